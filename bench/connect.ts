/** Profile → Connected against raw `ssh -N -L` plus the first good answer, in turn, on loopback and with 100 ms RTT. */
import * as DelayProxy from "@opencode-ai/ssh-lab/DelayProxy"
import { Effect } from "effect"
import type { Figure } from "./figures.ts"
import { tunnel } from "./rawSsh.ts"
import { median, pairedRatio, spread } from "./statistics.ts"
import * as World from "./world.ts"

const roundTrip = 100

const scenario = Effect.fnUntraced(function*(name: string, delay: number, count: number, goal: number) {
  const world = yield* World.make(
    delay === 0 ? {} : { way: (to) => DelayProxy.make({ to, delay: delay / 2 }) }
  )
  const { client, server, sshd } = world
  return yield* World.withConnections(world, (connections) =>
    Effect.gen(function*() {
      const connect = Effect.andThen(connections.connect(World.id), connections.settled(World.id))
      const raw = Effect.scoped(
        Effect.map(World.timed(tunnel(client.configFile, "box", server.port)), ({ ms }) => ms)
      )
      const ours = Effect.acquireUseRelease(
        World.timed(connect),
        ({ ms }) => Effect.succeed(ms),
        () => connections.disconnect(World.id)
      )
      yield* raw
      yield* ours
      const before = yield* sshd.authentications
      const theirs: Array<number> = []
      const mine: Array<number> = []
      for (let run = 0; run < count; run++) {
        theirs.push(yield* raw)
        mine.push(yield* ours)
      }
      const authentications = ((yield* sshd.authentications) - before - count) / count
      const ratio = pairedRatio(mine, theirs)
      console.log(`${name}: ${count} runs in turn, ms as min / median / max`)
      console.log(`  ssh -N -L and first answer   ${spread(theirs)}`)
      console.log(`  profile → Connected          ${spread(mine)}`)
      const figure: Figure = {
        what: `connect, ${name}, ms`,
        byHand: median(theirs).toFixed(0),
        ours: median(mine).toFixed(0),
        ratio,
        goal: `≤ ${goal.toFixed(2)}`,
        met: Number(ratio.toFixed(2)) <= goal
      }
      return { figure, authentications }
    }))
}, Effect.scoped)

export const connect = Effect.fnUntraced(function*(runs: number) {
  const near = yield* scenario("loopback", 0, runs, 1)
  const far = yield* scenario(`${roundTrip} ms RTT`, roundTrip, Math.max(3, Math.ceil(runs / 3)), 1.05)
  const figures: ReadonlyArray<Figure> = [
    near.figure,
    far.figure,
    {
      what: "authentications per connect",
      byHand: "1",
      ours: String(near.authentications),
      goal: "1",
      met: near.authentications === 1
    }
  ]
  return figures
})
