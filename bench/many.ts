/** 1, 10 and 100 profiles at once against as many raw ssh; what a connection costs while nothing happens. */
import * as Port from "@opencode-ai/ssh-lab/Port"
import { Effect } from "effect"
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Figure } from "./figures.ts"
import { tunnel } from "./rawSsh.ts"
import { median, pairedRatio, spread } from "./statistics.ts"
import * as World from "./world.ts"

const script = fileURLToPath(new URL("host.ts", import.meta.url))

const answer = <A>(child: ChildProcess) =>
  Effect.callback<A>((resume) => {
    child.once("message", (message: { readonly value?: A; readonly error?: string }) => {
      resume(message.error === undefined ? Effect.succeed(message.value as A) : Effect.die(message.error))
    })
  })

/** A host process of its own with so many profiles. */
const host = Effect.fnUntraced(function*({ client, server }: World.World, count: number) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      fork(script, [client.configFile, String(server.port), String(count)], { execArgv: ["--expose-gc"] })
    ),
    (child) =>
      Effect.callback<void>((resume) => {
        child.once("exit", () => resume(Effect.void))
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.send("end")
      })
  )
  yield* answer(child)
  const ask = <A>(question: string) =>
    Effect.gen(function*() {
      child.send(question)
      return yield* answer<A>(child)
    })
  yield* ask("warmUp")
  return { ask }
})

interface Connected {
  readonly ms: number
  readonly up: number
  readonly errors: ReadonlyArray<string>
}
interface Memory {
  readonly rss: number
  readonly heapUsed: number
}

const mebibyte = 1024 * 1024

/** So many raw ssh started together, until each has given a good answer; all are gone when it returns. */
const rawTogether = ({ client, server }: World.World, count: number) =>
  Effect.scoped(Effect.gen(function*() {
    const ports = yield* Port.freeMany(count)
    const every = Math.max(2, count / 2)
    const { ms } = yield* World.timed(Effect.forEach(
      ports,
      (port) => tunnel(client.configFile, "box", server.port, { port, every }),
      { concurrency: "unbounded", discard: true }
    ))
    return ms
  }))

export const many = Effect.gen(function*() {
  const figures: Array<Figure> = []
  const world = yield* World.make({ maxStartups: 1000 })
  for (const [count, pairs] of [[1, 7], [10, 5], [100, 3]] as const) {
    const theirs: Array<number> = []
    const mine: Array<number> = []
    yield* Effect.scoped(Effect.gen(function*() {
      const { ask } = yield* host(world, count)
      for (let pair = 0; pair < pairs; pair++) {
        theirs.push(yield* rawTogether(world, count))
        const { errors, ms, up } = yield* ask<Connected>("connect")
        if (up !== count) return yield* Effect.die(`${up} of ${count} are up: ${errors.join("; ")}`)
        mine.push(ms)
        yield* ask("disconnect")
      }
    }))
    console.log(`${count} at once: ms as min / median / max`)
    console.log(`  ssh -N -L  ${spread(theirs)}`)
    console.log(`  ours       ${spread(mine)}`)
    const ratio = pairedRatio(mine, theirs)
    figures.push({
      what: `${count} ${count === 1 ? "profile" : "profiles at once"}, all connected, ms`,
      byHand: median(theirs).toFixed(0),
      ours: median(mine).toFixed(0),
      ratio,
      goal: "≤ 1.2",
      met: Number(ratio.toFixed(2)) <= 1.2
    })
  }
  const ordinary = yield* World.make()
  const count = 100
  yield* Effect.scoped(Effect.gen(function*() {
    const { ask } = yield* host(ordinary, count)
    const before = yield* ask<Memory>("memory")
    const { ms, up } = yield* ask<Connected>("connect")
    const after = yield* ask<Memory>("memory")
    const idle = yield* ask<number>("idle")
    const perConnection = (key: keyof Memory) => (after[key] - before[key]) / count / mebibyte
    const disconnected = yield* ask<number>("disconnect")
    figures.push(
      {
        what: `${count} profiles at once, sshd's default MaxStartups: up (after ms)`,
        ours: `${up} (${ms.toFixed(0)})`,
        goal: String(count),
        met: up === count
      },
      {
        what: "memory of the host process per connection, MiB resident (heap)",
        ours: `${perConnection("rss").toFixed(2)} (${perConnection("heapUsed").toFixed(2)})`,
        goal: "≤ 1",
        met: perConnection("rss") <= 1
      },
      {
        what: `processor time of the host process with ${count} idle connections, % of a core`,
        ours: (idle / 10_000_000 * 100).toFixed(1)
      },
      { what: `${count} disconnects at once, ms`, ours: disconnected.toFixed(0) }
    )
  }))
  return figures
}).pipe(Effect.scoped)
