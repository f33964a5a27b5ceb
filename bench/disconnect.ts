/** Disconnect, asked → no process and a free port, against SIGTERM of raw `ssh -N -L` until the same is true. */
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import { Effect } from "effect"
import type { Figure } from "./figures.ts"
import { tunnel } from "./rawSsh.ts"
import { median, pairedRatio, spread } from "./statistics.ts"
import * as World from "./world.ts"

/** Both have done by then what they do once after the login, in milliseconds. */
const settled = 400

export const disconnect = Effect.fnUntraced(function*(runs: number) {
  const world = yield* World.make()
  const { client, server } = world
  return yield* World.withConnections(world, (connections) =>
    Effect.gen(function*() {
      const theirs: Array<number> = []
      const mine: Array<number> = []
      let left = 0
      for (let run = 0; run < runs; run++) {
        theirs.push(
          yield* Effect.scoped(Effect.gen(function*() {
            const { ssh } = yield* tunnel(client.configFile, "box", server.port)
            yield* Effect.sleep(settled)
            const { ms } = yield* World.timed(Effect.andThen(ssh.kill("SIGTERM"), ssh.exit))
            return ms
          }))
        )
        yield* connections.connect(World.id)
        const { localPort } = yield* connections.settled(World.id)
        yield* Effect.sleep(settled)
        const { ms } = yield* World.timed(connections.disconnect(World.id))
        const processes = yield* ProcessTable.find({ ancestor: process.pid })
        if (processes.some(({ command }) => command.startsWith("ssh ")) || (yield* Port.isListening(localPort))) {
          left += 1
        }
        mine.push(ms)
      }
      console.log(`disconnect: ${runs} runs in turn, ms as min / median / max`)
      console.log(`  SIGTERM of ssh -N -L  ${spread(theirs)}`)
      console.log(`  ours                  ${spread(mine)}`)
      const ratio = pairedRatio(mine, theirs)
      const figures: ReadonlyArray<Figure> = [
        {
          what: "disconnect, asked → no process, port free, ms",
          byHand: median(theirs).toFixed(1),
          ours: median(mine).toFixed(1),
          ratio,
          goal: "≤ 1.2",
          met: Number(ratio.toFixed(2)) <= 1.2
        },
        { what: `of ${runs} disconnects, left a process or a listener`, ours: String(left), goal: "0", met: left === 0 }
      ]
      return figures
    }))
}, Effect.scoped)
