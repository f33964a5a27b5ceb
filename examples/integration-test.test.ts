/**
 * A server-side integration test: your code over the real `Connections`; below it mocks, and time is the test's.
 */
import { assert, it } from "@effect/vitest"
import { Connections, MemoryTunnels, Profile, ProfileId } from "@opencode-ai/ssh-tunnel"
import { Effect, Fiber, HashMap, Option, Stream } from "effect"
import { TestClock } from "effect/testing"

/** The code under test: what a status page says about a profile. */
const statusLines = (id: ProfileId) =>
  Stream.unwrap(Connections.useSync(({ states }) => states)).pipe(
    Stream.map((all) => Option.getOrUndefined(HashMap.get(all, id))),
    Stream.map((state) => state?._tag === "Connected" ? `online at ${state.url}` : "offline"),
    Stream.changes
  )

const id = ProfileId.make("box")
const profile = new Profile({ id, name: "Box", host: "box", bootstrap: { enabled: false, lifetime: "persistent" } })

// #region layer
const layer = Connections.layerMemory({ profiles: [profile], localPort: 50_000 })
// #endregion

it.effect("the status page says when a connection is away, and that it came back under the same URL", () =>
  Effect.gen(function*() {
    const reading = Stream.runCollect(Stream.take(statusLines(id), 4))
    const lines = yield* Effect.forkChild(reading, { startImmediately: true })
    const connections = yield* Connections
    const tunnels = yield* MemoryTunnels
    yield* connections.connect(id)
    yield* connections.settled(id)
    yield* tunnels.cut
    yield* TestClock.adjust("5 seconds")
    const up = "online at http://127.0.0.1:50000"
    assert.deepStrictEqual([...(yield* Fiber.join(lines))], ["offline", up, "offline", up])
    assert.strictEqual(yield* tunnels.opened, 2)
  }).pipe(Effect.provide(layer)))
