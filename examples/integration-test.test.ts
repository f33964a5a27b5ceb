/**
 * A server-side integration test: your code over the real `Connections`; below it mocks, and time is the test's.
 */
import { assert, it } from "@effect/vitest"
import {
  Bootstrap,
  ConnectionLost,
  Connections,
  CredentialStore,
  Discovery,
  LocalHost,
  LocalPorts,
  LoopbackHttp,
  type OpenTunnel,
  Profile,
  ProfileId,
  ProfileRepo,
  ServerInfo,
  TransportError,
  Tunnel
} from "@opencode-ai/ssh-tunnel"
import { Effect, Fiber, HashMap, Layer, Option, Queue, Stream } from "effect"
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
const server = new ServerInfo({ generation: "v1", version: "1.18.33", path: "/global/health", secured: true })
const lost = new TransportError({ reason: new ConnectionLost({ target: { host: "box", options: [] }, detail: "" }) })

/** A machine that can always be reached; each `cut` ends the ssh connection of the moment. */
const world = Effect.gen(function*() {
  const cuts = yield* Queue.unbounded<void>()
  const tunnel: OpenTunnel = {
    strategy: "master",
    forward: (remotePort) =>
      Effect.succeed({ localPort: 50_000, remotePort, rejections: Stream.never, cancel: Effect.void }),
    exec: () => Effect.die("this test runs no remote command"),
    capabilities: Effect.succeed({ sessions: "allowed" }),
    closed: Effect.andThen(Queue.take(cuts), Effect.fail(lost)),
    stderr: Effect.succeed("")
  }
  // #region layer
  const layer = Layer.provide(Connections.layerNoDeps, [
    Tunnel.layerMock({ open: () => Effect.succeed(tunnel) }),
    Discovery.layerMock({ find: () => Effect.succeed(server) }),
    Bootstrap.layerMock({}),
    LoopbackHttp.layerMock({ hold: () => Effect.never }),
    ProfileRepo.layerMemory([profile]),
    CredentialStore.layerMemory(),
    LocalPorts.layerMemory(),
    LocalHost.layerMock()
  ])
  // #endregion
  return { cut: Queue.offer(cuts, undefined), layer }
})

it.effect("the status page says when a connection is away, and that it came back under the same URL", () =>
  Effect.gen(function*() {
    const { cut, layer } = yield* world
    yield* Effect.gen(function*() {
      const reading = Stream.runCollect(Stream.take(statusLines(id), 4))
      const lines = yield* Effect.forkChild(reading, { startImmediately: true })
      const connections = yield* Connections
      yield* connections.connect(id)
      yield* connections.settled(id)
      yield* cut
      yield* TestClock.adjust("5 seconds")
      const up = "online at http://127.0.0.1:50000"
      assert.deepStrictEqual([...(yield* Fiber.join(lines))], ["offline", up, "offline", up])
    }).pipe(Effect.provide(layer))
  }))
