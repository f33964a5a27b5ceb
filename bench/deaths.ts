/** How soon each kind of death is noticed, and how soon it is mended once its cause is gone. */
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Link from "@opencode-ai/ssh-lab/Link"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import { type Connections, type ConnectionState } from "@opencode-ai/ssh-tunnel"
import { Effect, Fiber, HashMap, Option, type Scope, Stream } from "effect"
import type { Figure } from "./figures.ts"
import { median, spread } from "./statistics.ts"
import * as World from "./world.ts"

/** One death: `kill` is its beginning; `mend` takes its cause away, and runs once it was noticed. */
interface Death {
  readonly kill: Effect.Effect<unknown, unknown, Scope.Scope>
  readonly mend: Effect.Effect<unknown, unknown, Scope.Scope>
}

interface Seen {
  readonly state: ConnectionState
  readonly at: number
}

/** Notices and mends one death; milliseconds. The wait that the last `Reconnecting` announced is not counted. */
const once = Effect.fnUntraced(function*(connections: Connections["Service"], { kill, mend }: Death) {
  const seen: Array<Seen> = []
  const watching = yield* connections.states.pipe(
    Stream.map((states) => Option.getOrUndefined(HashMap.get(states, World.id))),
    Stream.runForEach((state) =>
      Effect.sync(() => {
        if (state !== undefined) seen.push({ state, at: Date.now() })
      })
    ),
    Effect.forkChild({ startImmediately: true })
  )
  const next = (isIt: (state: ConnectionState) => boolean, after: number) =>
    Effect.repeat(
      Effect.andThen(Effect.sleep(1), Effect.sync(() => seen.slice(after).find(({ state }) => isIt(state)))),
      {
        until: (found): found is Seen => found !== undefined
      }
    )
  const begun = Date.now()
  const known = seen.length
  yield* kill
  const noticed = yield* next(({ _tag }) => _tag !== "Connected", known)
  yield* mend
  const mended = Date.now()
  const up = yield* next(({ _tag }) => _tag === "Connected", seen.indexOf(noticed))
  const waits = seen.filter(({ at }) => at <= up.at).flatMap(({ state }) =>
    state._tag === "Reconnecting" ? [Date.parse(state.nextAt)] : []
  )
  yield* Fiber.interrupt(watching)
  return { noticed: noticed.at - begun, recovered: Math.max(0, up.at - Math.max(mended, ...waits)) }
})

/** The first probe of a new connection is over by then, in milliseconds: the next one is not near. */
const settled = 1_000

const routes = FakeServer.v1("1.18.33")

export const deaths = Effect.gen(function*() {
  const links: Array<Link.Link> = []
  const world = yield* World.make({
    way: (to) => Effect.tap(Link.make({ to }), (link) => Effect.sync(() => links.push(link)))
  })
  const allLinks = (use: (link: Link.Link) => Effect.Effect<void>) => Effect.forEach(links, use, { discard: true })
  const masters = Effect.map(
    ProcessTable.find({ ancestor: process.pid }),
    (found) => found.filter(({ command }) => /^ssh .*-M /.test(command))
  )
  let server = world.server
  const { port } = server
  return yield* World.withConnections(world, (connections) =>
    Effect.gen(function*() {
      yield* connections.connect(World.id)
      yield* connections.settled(World.id)
      const kinds: ReadonlyArray<readonly [what: string, times: number, goal: number, death: Death]> = [
        ["ssh killed", 5, 100, {
          kill: Effect.flatMap(masters, (found) => ProcessTable.signal(found, "SIGKILL")),
          mend: Effect.void
        }],
        ["server killed", 5, 200, {
          kill: Effect.suspend(() => server.stop),
          mend: Effect.map(FakeServer.http(routes, { port }), (next) => {
            server = next
          })
        }],
        ["server hung", 2, 25_000, {
          kill: Effect.suspend(() => server.setRoutes({ "*": { silent: true } })),
          mend: Effect.suspend(() => server.setRoutes(routes))
        }],
        ["link dead without a word", 2, 20_000, {
          kill: allLinks((link) => link.die),
          mend: allLinks((link) => link.recover)
        }]
      ]
      const figures: Array<Figure> = []
      for (const [what, times, goal, death] of kinds) {
        const noticed: Array<number> = []
        const recovered: Array<number> = []
        for (let time = 0; time < times; time++) {
          yield* Effect.sleep(settled)
          const result = yield* once(connections, death)
          noticed.push(result.noticed)
          recovered.push(result.recovered)
          yield* connections.settled(World.id)
        }
        console.log(`${what}: noticed after ${spread(noticed)} ms, connected again after ${spread(recovered)} ms`)
        figures.push(
          {
            what: `${what}, noticed after, ms`,
            ours: `${median(noticed).toFixed(0)} (at most ${Math.max(...noticed).toFixed(0)})`,
            goal: `≤ ${goal}`,
            met: median(noticed) <= goal
          },
          {
            what: `${what}, connected again after the cause is gone and the wait over, ms`,
            ours: median(recovered).toFixed(0),
            goal: "≤ 1000",
            met: median(recovered) <= 1000
          }
        )
      }
      return figures
    }))
}).pipe(Effect.scoped)
