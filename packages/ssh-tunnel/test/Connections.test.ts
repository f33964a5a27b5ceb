import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, HashMap, Layer, Option, Queue, Redacted, Ref, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Bootstrap, RemoteServer } from "../src/Bootstrap.ts"
import { Connections } from "../src/Connections.ts"
import type { ConnectionState } from "../src/ConnectionState.ts"
import { Credentials } from "../src/Credentials.ts"
import { CredentialStore } from "../src/CredentialStore.ts"
import { Discovery, type FindOptions } from "../src/Discovery.ts"
import { DiscoveryError, NothingListening, Unauthorized } from "../src/DiscoveryError.ts"
import { LocalHost } from "../src/LocalHost.ts"
import { LocalPorts } from "../src/LocalPorts.ts"
import { LoopbackHttp } from "../src/LoopbackHttp.ts"
import { Profile, ProfileId } from "../src/Profile.ts"
import { ProfileRepo } from "../src/ProfileRepo.ts"
import { Timing } from "../src/Schedules.ts"
import { ServerInfo } from "../src/ServerInfo.ts"
import { AuthenticationFailed, ConnectionLost, TransportError } from "../src/TransportError.ts"
import { type Forward, type OpenTunnel, Tunnel } from "../src/Tunnel.ts"

const id = ProfileId.make("box")
const target = { host: "box", options: [] }
const profile = (fields: Partial<Profile> = {}) =>
  new Profile({ id, name: "Box", host: "box", bootstrap: { enabled: false, lifetime: "persistent" }, ...fields })
const info = new ServerInfo({ generation: "v1", version: "1.18.33", path: "/global/health", secured: true })
const credentials = new Credentials({ username: "opencode", password: Redacted.make("random") })

const lost = new TransportError({ reason: new ConnectionLost({ target, detail: "test" }) })
const refused = new TransportError({ reason: new AuthenticationFailed({ target, alsoAccepts: [] }) })
const nothing = new DiscoveryError({ reason: new NothingListening({ remotePort: 4096 }) })

/** A world in which every part does what the test says. */
const world = Effect.gen(function*() {
  /** What opening a tunnel gives, one entry an attempt; succeeds when there is none. */
  const openings = yield* Queue.unbounded<TransportError>()
  const opened = yield* Ref.make(0)
  const open = yield* Ref.make(0)
  const forwards = yield* Ref.make<ReadonlyArray<string>>([])
  const closed = yield* Ref.make(yield* Deferred.make<never, TransportError>())
  const serverGone = yield* Ref.make(yield* Deferred.make<void>())
  const find = yield* Ref.make<(options: FindOptions) => Effect.Effect<ServerInfo, DiscoveryError>>(() =>
    Effect.succeed(info)
  )
  const ensured = yield* Ref.make<ReadonlyArray<string>>([])

  const tunnel = Effect.gen(function*() {
    const next = yield* Queue.poll(openings)
    yield* Ref.update(opened, (n) => n + 1)
    if (Option.isSome(next)) return yield* next.value
    yield* Effect.acquireRelease(Ref.update(open, (n) => n + 1), () => Ref.update(open, (n) => n - 1))
    const end = yield* Ref.get(closed)
    const it: OpenTunnel = {
      strategy: "master",
      forward: (remotePort, choice) =>
        Effect.gen(function*() {
          const localPort = choice !== undefined && choice._tag !== "Any" ? choice.port : 50_000
          yield* Ref.update(forwards, (all) => [...all, `+${localPort}:${remotePort}`])
          return {
            localPort,
            remotePort,
            rejections: Stream.never,
            cancel: Ref.update(forwards, (all) => [...all, `-${localPort}:${remotePort}`])
          } satisfies Forward
        }),
      exec: () => Effect.die("no command in this test"),
      capabilities: Effect.succeed({ sessions: "allowed" }),
      closed: Deferred.await(end),
      stderr: Effect.succeed("")
    }
    return it
  })

  const layer = Connections.layerNoDeps.pipe(
    Layer.provide(Layer.mergeAll(
      Tunnel.layerMock({ open: () => tunnel }),
      Discovery.layerMock({ find: (options) => Effect.flatMap(Ref.get(find), (find) => find(options)) }),
      Bootstrap.layerMock({
        ensure: (_, { mode, port }) =>
          Ref.update(ensured, (all) => [...all, `${mode} ${port ?? "any"}`]).pipe(
            Effect.as(Option.some(
              new RemoteServer({
                port: 4999,
                pid: 7,
                version: "1.18.33",
                credentials,
                origin: "started",
                owner: "ours",
                lifetime: "persistent"
              })
            ))
          )
      }),
      LoopbackHttp.layerMock({
        get: () => Effect.succeed({ status: 200, headers: {}, body: "", truncated: false }),
        hold: () =>
          Effect.map(Ref.get(serverGone), (gone) => ({
            response: { status: 200, headers: {}, body: "", truncated: false },
            closed: Deferred.await(gone)
          }))
      }),
      CredentialStore.layerMemory(),
      LocalPorts.layerMemory(),
      LocalHost.layerMock()
    ))
  )
  const dieOf = (error: TransportError) =>
    Effect.gen(function*() {
      const old = yield* Ref.getAndSet(closed, yield* Deferred.make<never, TransportError>())
      yield* Deferred.fail(old, error)
    })
  const serverDies = Effect.gen(function*() {
    const old = yield* Ref.getAndSet(serverGone, yield* Deferred.make<void>())
    yield* Deferred.succeed(old, undefined)
  })
  return { openings, opened, open, forwards, find, ensured, layer, dieOf, serverDies }
})

const withProfile = (one: Profile) => Layer.provide(ProfileRepo.layerMemory([one]))

const awaitState = <Tag extends ConnectionState["_tag"]>(connections: Connections["Service"], tag: Tag) =>
  connections.states.pipe(
    Stream.map((states) => Option.getOrUndefined(HashMap.get(states, id))),
    Stream.filter((state): state is Extract<ConnectionState, { _tag: Tag }> => state?._tag === tag),
    Stream.runHead,
    Effect.map(Option.getOrThrow)
  )

it.effect("connects, publishes an endpoint, and disconnects", () =>
  Effect.gen(function*() {
    const { layer, open, opened } = yield* world
    yield* Effect.gen(function*() {
      const connections = yield* Connections
      const seen = yield* Effect.forkChild(
        connections.states.pipe(
          Stream.map((states) => Option.getOrUndefined(HashMap.get(states, id))?._tag ?? "none"),
          Stream.takeUntil((tag) => tag === "Disconnected"),
          Stream.runCollect
        ),
        { startImmediately: true }
      )
      yield* connections.connect(id)
      yield* connections.connect(id)
      const state = yield* connections.settled(id)
      assert.strictEqual(state.url, "http://127.0.0.1:50000")
      assert.strictEqual(state.remotePort, 4096)
      assert.strictEqual(state.bootstrapped, false)
      assert.isTrue(Option.isSome(yield* connections.endpoint(id)))
      assert.strictEqual(Option.getOrThrow(yield* connections.tunnel(id)).strategy, "master")
      yield* connections.disconnect(id)
      assert.isTrue(Option.isNone(yield* connections.endpoint(id)))
      assert.isTrue(Option.isNone(yield* connections.tunnel(id)))
      assert.deepStrictEqual([...(yield* Fiber.join(seen))], [
        "none",
        "Connecting",
        "Discovering",
        "Connected",
        "Disconnecting",
        "Disconnected"
      ])
    }).pipe(Effect.provide(layer.pipe(withProfile(profile()))))
    assert.strictEqual(yield* Ref.get(opened), 1)
    assert.strictEqual(yield* Ref.get(open), 0)
  }))

it.effect("the first error of a user's connect is Failed, at once and for good", () =>
  Effect.gen(function*() {
    const { layer, openings, opened } = yield* world
    yield* Queue.offer(openings, lost)
    yield* Effect.gen(function*() {
      const connections = yield* Connections
      yield* connections.connect(id)
      const error = yield* Effect.flip(connections.settled(id))
      assert.strictEqual(error.reason._tag, "ConnectionLost")
      yield* TestClock.adjust("4 hours")
      assert.strictEqual(yield* Ref.get(opened), 1)
      assert.strictEqual((yield* connections.state(id))._tag, "Failed")
    }).pipe(Effect.provide(layer.pipe(withProfile(profile()))))
  }))

it.effect("a restore waits for better times, but not after a refusal", () =>
  Effect.gen(function*() {
    const { layer, openings, opened } = yield* world
    yield* Queue.offerAll(openings, [lost, lost, refused])
    yield* Effect.gen(function*() {
      const connections = yield* Connections
      yield* connections.connect(id, { origin: "restore" })
      yield* awaitState(connections, "Reconnecting")
      yield* TestClock.adjust("10 seconds")
      const { error } = yield* awaitState(connections, "Failed")
      assert.strictEqual(error.reason._tag, "AuthenticationFailed")
      assert.strictEqual(yield* Ref.get(opened), 3)
    }).pipe(Effect.provide(layer.pipe(withProfile(profile()))))
  }))

it.effect("a lost connection comes back by itself under the same URL", () =>
  Effect.gen(function*() {
    const { dieOf, layer, open, openings, opened } = yield* world
    yield* Effect.gen(function*() {
      const connections = yield* Connections
      yield* connections.connect(id)
      const before = yield* connections.settled(id)
      yield* TestClock.adjust("1 minute")
      yield* Queue.offerAll(openings, [lost, lost])
      yield* dieOf(lost)
      const waiting = yield* awaitState(connections, "Reconnecting")
      assert.strictEqual(waiting.attempt, 1)
      assert.strictEqual(waiting.url, before.url)
      assert.isTrue(Option.isNone(yield* connections.endpoint(id)))
      yield* TestClock.adjust("10 seconds")
      const after = yield* awaitState(connections, "Connected")
      assert.strictEqual(after.url, before.url)
      assert.strictEqual(yield* Ref.get(opened), 4)
      assert.strictEqual(yield* Ref.get(open), 1)
    }).pipe(Effect.provide(layer.pipe(withProfile(profile()))))
    assert.strictEqual(yield* Ref.get(open), 0)
  }))

it.effect("retryNow skips the wait, disconnect ends it", () =>
  Effect.gen(function*() {
    const { dieOf, layer, openings, opened } = yield* world
    yield* Effect.gen(function*() {
      const connections = yield* Connections
      yield* connections.connect(id)
      yield* connections.settled(id)
      yield* Queue.offerAll(openings, [lost, lost, lost, lost, lost, lost, lost, lost])
      yield* dieOf(lost)
      yield* TestClock.adjust("20 seconds")
      const waiting = yield* awaitState(connections, "Reconnecting")
      const before = yield* Ref.get(opened)
      yield* connections.retryNow(id)
      yield* connections.states.pipe(
        Stream.map((states) => Option.getOrUndefined(HashMap.get(states, id))),
        Stream.filter((state) => state?._tag === "Reconnecting" && state.attempt > waiting.attempt),
        Stream.runHead
      )
      assert.strictEqual(yield* Ref.get(opened), before + 1)
      yield* connections.disconnect(id)
      yield* TestClock.adjust("4 hours")
      assert.strictEqual((yield* connections.state(id))._tag, "Disconnected")
      assert.strictEqual(yield* Ref.get(opened), before + 1)
    }).pipe(Effect.provide(layer.pipe(withProfile(profile()))))
  }))

it.effect("it gives up after three hours of one outage", () =>
  Effect.gen(function*() {
    const { dieOf, layer, openings } = yield* world
    yield* Effect.gen(function*() {
      const connections = yield* Connections
      yield* connections.connect(id)
      yield* connections.settled(id)
      yield* Queue.offerAll(openings, Array.from({ length: 2000 }, () => lost))
      yield* dieOf(lost)
      yield* TestClock.adjust("179 minutes")
      assert.notStrictEqual((yield* connections.state(id))._tag, "Failed")
      yield* TestClock.adjust("2 minutes")
      assert.strictEqual((yield* connections.state(id))._tag, "Failed")
    }).pipe(Effect.provide(layer.pipe(withProfile(profile()))))
  }))

it.effect("bootstrap starts a server, and the forward follows it", () =>
  Effect.gen(function*() {
    const { ensured, find, forwards, layer } = yield* world
    yield* Ref.set(find, ({ credentials, forward }) =>
      forward.remotePort === 4999 && credentials !== undefined ? Effect.succeed(info) : Effect.fail(nothing))
    yield* Effect.gen(function*() {
      const connections = yield* Connections
      yield* connections.connect(id)
      const state = yield* connections.settled(id)
      assert.strictEqual(state.remotePort, 4999)
      assert.strictEqual(state.localPort, 50_000)
      assert.strictEqual(state.bootstrapped, "started")
      assert.deepStrictEqual(yield* Ref.get(forwards), ["+50000:4096", "-50000:4096", "+50000:4999"])
      assert.deepStrictEqual(yield* Ref.get(ensured), ["ensure any"])
      const endpoint = Option.getOrThrow(yield* connections.endpoint(id))
      assert.strictEqual(Redacted.value(Option.getOrThrow(endpoint.credentials).password), "random")
    }).pipe(
      Effect.provide(layer.pipe(withProfile(profile({ bootstrap: { enabled: true, lifetime: "persistent" } }))))
    )
  }))

it.effect("beside a server that wants a password, bootstrap only looks", () =>
  Effect.gen(function*() {
    const { ensured, find, layer } = yield* world
    yield* Ref.set(find, ({ credentials }) =>
      credentials === undefined
        ? Effect.fail(
          new DiscoveryError({ reason: new Unauthorized({ remotePort: 4096, credentials: "none" }) })
        )
        : Effect.succeed(info))
    yield* Effect.gen(function*() {
      const connections = yield* Connections
      yield* connections.connect(id)
      yield* connections.settled(id)
      assert.deepStrictEqual(yield* Ref.get(ensured), ["look any"])
    }).pipe(
      Effect.provide(layer.pipe(withProfile(profile({ bootstrap: { enabled: true, lifetime: "persistent" } }))))
    )
  }))

it.effect("without leave to bootstrap nothing is started", () =>
  Effect.gen(function*() {
    const { ensured, find, layer, open } = yield* world
    yield* Ref.set(find, () => Effect.fail(nothing))
    yield* Effect.gen(function*() {
      const connections = yield* Connections
      yield* connections.connect(id)
      const error = yield* Effect.flip(connections.settled(id))
      assert.strictEqual(error.reason._tag, "NothingListening")
      assert.deepStrictEqual(yield* Ref.get(ensured), [])
      assert.strictEqual(yield* Ref.get(open), 0)
    }).pipe(Effect.provide(layer.pipe(withProfile(profile()))))
  }))

it.effect("a server that dies behind a living tunnel costs no new ssh", () =>
  Effect.gen(function*() {
    const { find, layer, opened, serverDies } = yield* world
    yield* Effect.gen(function*() {
      const connections = yield* Connections
      yield* connections.connect(id)
      yield* connections.settled(id)
      yield* Ref.set(find, () => Effect.fail(nothing))
      yield* serverDies
      yield* awaitState(connections, "Reconnecting")
      yield* Ref.set(find, () => Effect.succeed(info))
      yield* TestClock.adjust("10 seconds")
      yield* awaitState(connections, "Connected")
      assert.strictEqual(yield* Ref.get(opened), 1)
    }).pipe(Effect.provide(layer.pipe(withProfile(profile()))))
  }))

it.effect("after a server of ours went away, its password is sent to nobody before the registration was read again", () =>
  Effect.gen(function*() {
    const { ensured, find, layer, opened, serverDies } = yield* world
    const seen = yield* Ref.make<ReadonlyArray<string>>([])
    const log = (line: string) => Ref.update(seen, (all) => [...all, line])
    yield* Ref.set(find, ({ credentials, forward }) =>
      Effect.gen(function*() {
        yield* log(credentials === undefined ? "bare" : `password after ${(yield* Ref.get(ensured)).length} looks`)
        if (forward.remotePort === 4999 && credentials !== undefined) return info
        return yield* forward.remotePort === 4999
          ? new DiscoveryError({ reason: new Unauthorized({ remotePort: 4999, credentials: "none" }) })
          : nothing
      }))
    yield* Effect.gen(function*() {
      const connections = yield* Connections
      yield* connections.connect(id)
      yield* connections.settled(id)
      yield* serverDies
      const losing = yield* Effect.forkChild(awaitState(connections, "Reconnecting"), { startImmediately: true })
      yield* TestClock.adjust(Timing.defaults.lastWords)
      assert.isTrue((yield* Fiber.join(losing)).error.retryable)
      yield* TestClock.adjust("10 seconds")
      const back = yield* awaitState(connections, "Connected")
      assert.strictEqual(back.bootstrapped, "started")
      assert.deepStrictEqual(yield* Ref.get(ensured), ["ensure any", "look any"])
      assert.deepStrictEqual(yield* Ref.get(seen), [
        "bare",
        "password after 1 looks",
        "bare",
        "bare",
        "password after 2 looks"
      ])
      assert.strictEqual(yield* Ref.get(opened), 1)
    }).pipe(
      Effect.provide(layer.pipe(withProfile(profile({ bootstrap: { enabled: true, lifetime: "persistent" } }))))
    )
  }))

it.effect("a defect ends as Failed, and the session is closed", () =>
  Effect.gen(function*() {
    const { find, layer, open } = yield* world
    yield* Ref.set(find, () => Effect.die(new Error("a bug")))
    yield* Effect.gen(function*() {
      const connections = yield* Connections
      yield* connections.connect(id)
      const error = yield* Effect.flip(connections.settled(id))
      assert.include(error.message, "a bug")
      yield* connections.disconnect(id)
      assert.strictEqual(yield* Ref.get(open), 0)
    }).pipe(Effect.provide(layer.pipe(withProfile(profile()))))
  }))

it.effect("an unknown profile is a typed failure of its state", () =>
  Effect.gen(function*() {
    const { layer } = yield* world
    yield* Effect.gen(function*() {
      const connections = yield* Connections
      const other = ProfileId.make("other")
      yield* connections.connect(other)
      const error = yield* Effect.flip(connections.settled(other))
      assert.strictEqual(error.reason._tag, "ProfileNotFound")
    }).pipe(Effect.provide(layer.pipe(withProfile(profile()))))
  }))
