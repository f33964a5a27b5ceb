import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, Option, Queue, Redacted, Ref, Result, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { BootstrapError, CommandRefused, NotOurs, StartTimedOut } from "../src/BootstrapError.ts"
import { Connections } from "../src/Connections.ts"
import type { ConnectionState } from "../src/ConnectionState.ts"
import { Credentials } from "../src/Credentials.ts"
import { CredentialStore } from "../src/CredentialStore.ts"
import { LocalPorts } from "../src/LocalPorts.ts"
import { MemoryTunnels } from "../src/MemoryTunnels.ts"
import { type Profile, ProfileId } from "../src/Profile.ts"
import { Timing } from "../src/Schedules.ts"
import { awaitState, id, lost, ours, profile, record, refused, stored, world } from "./ConnectionsWorld.ts"

const bootstrapping = profile({ bootstrap: { enabled: true, lifetime: "persistent" } })
const { healthInterval, healthTimeout, lastWords, retryFor, wakeUpInterval } = Timing.defaults

/** Long enough for a request of the world, and for nothing else. */
const aMoment = TestClock.adjust("2 millis")

/** Connected, and the first probe answered. */
const connect = Effect.gen(function*() {
  const connections = yield* Connections
  yield* connections.connect(id)
  const connected = yield* connections.settled(id)
  yield* aMoment
  return { connections, connected }
})

describe("connecting", () => {
  it.effect("connects, publishes an endpoint, and disconnects", () =>
    Effect.gen(function*() {
      const { layerWith, open, opened } = yield* world
      yield* Effect.gen(function*() {
        const connections = yield* Connections
        const seen = yield* record(connections)
        yield* connections.connect(id)
        yield* connections.connect(id)
        const state = yield* connections.settled(id)
        assert.strictEqual(state.url, "http://127.0.0.1:50000")
        assert.strictEqual(state.remotePort, 4096)
        assert.strictEqual(state.bootstrapped, false)
        assert.isUndefined(state.movedFrom)
        assert.isTrue(Option.isSome(yield* connections.endpoint(id)))
        assert.strictEqual(Option.getOrThrow(yield* connections.tunnel(id)).strategy, "master")
        yield* connections.disconnect(id)
        assert.isTrue(Option.isNone(yield* connections.endpoint(id)))
        assert.isTrue(Option.isNone(yield* connections.tunnel(id)))
        assert.strictEqual(yield* Ref.get(open), 0)
        yield* Effect.yieldNow
        assert.deepStrictEqual(yield* Ref.get(seen), [
          "Connecting",
          "Discovering",
          "Connected",
          "Disconnecting",
          "Disconnected"
        ])
      }).pipe(Effect.scoped, Effect.provide(layerWith(profile())))
      assert.strictEqual(yield* Ref.get(opened), 1)
    }))

  it.effect("the first error of a user's connect is Failed, at once and for good", () =>
    Effect.gen(function*() {
      const { layerWith, opened, openings } = yield* world
      yield* Queue.offer(openings, lost)
      yield* Effect.gen(function*() {
        const connections = yield* Connections
        yield* connections.connect(id)
        const error = yield* Effect.flip(connections.settled(id))
        assert.strictEqual(error.reason._tag, "ConnectionLost")
        yield* TestClock.adjust("4 hours")
        assert.strictEqual(yield* Ref.get(opened), 1)
        assert.strictEqual((yield* connections.state(id))._tag, "Failed")
      }).pipe(Effect.provide(layerWith(profile())))
    }))

  it.effect("a restore waits for better times, but not after a refusal", () =>
    Effect.gen(function*() {
      const { layerWith, opened, openings } = yield* world
      yield* Queue.offerAll(openings, [lost, lost, refused])
      yield* Effect.gen(function*() {
        const connections = yield* Connections
        yield* connections.connect(id, { origin: "restore" })
        yield* awaitState(connections, "Reconnecting")
        yield* TestClock.adjust("10 seconds")
        const { error } = yield* awaitState(connections, "Failed")
        assert.strictEqual(error.reason._tag, "AuthenticationFailed")
        yield* TestClock.adjust("4 hours")
        assert.strictEqual(yield* Ref.get(opened), 3)
      }).pipe(Effect.provide(layerWith(profile())))
    }))

  it.effect("connect while the last connection is being ended follows it", () =>
    Effect.gen(function*() {
      const { layerWith, open, opened } = yield* world
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        const ending = yield* Effect.forkChild(connections.disconnect(id), { startImmediately: true })
        yield* connections.connect(id)
        yield* connections.settled(id)
        yield* Fiber.join(ending)
        assert.deepStrictEqual([yield* Ref.get(opened), yield* Ref.get(open)], [2, 1])
      }).pipe(Effect.provide(layerWith(profile())))
    }))

  it.effect("nobody is told that it is over before the last ssh has ended, and no new one is started before that", () =>
    Effect.gen(function*() {
      const { ending, layerWith, open, opened, silent } = yield* world
      yield* Ref.set(silent, true)
      yield* Ref.set(ending, 1000)
      yield* Effect.gen(function*() {
        const connections = yield* Connections
        yield* connections.connect(id)
        yield* aMoment
        const first = yield* Effect.forkChild(connections.disconnect(id), { startImmediately: true })
        yield* TestClock.adjust("500 millis")
        assert.strictEqual((yield* connections.state(id))._tag, "Disconnecting")
        yield* Ref.set(silent, false)
        yield* connections.connect(id)
        yield* TestClock.adjust("400 millis")
        assert.deepStrictEqual([yield* Ref.get(opened), yield* Ref.get(open)], [1, 1])
        yield* TestClock.adjust("200 millis")
        yield* Fiber.join(first)
        yield* connections.settled(id)
        assert.deepStrictEqual([yield* Ref.get(opened), yield* Ref.get(open)], [2, 1])
        const second = yield* Effect.forkChild(connections.disconnect(id), { startImmediately: true })
        yield* TestClock.adjust("900 millis")
        assert.isUndefined(second.pollUnsafe())
        assert.strictEqual((yield* connections.state(id))._tag, "Disconnecting")
        yield* TestClock.adjust("200 millis")
        yield* Fiber.join(second)
        assert.strictEqual((yield* connections.state(id))._tag, "Disconnected")
        assert.strictEqual(yield* Ref.get(open), 0)
      }).pipe(Effect.provide(layerWith(profile())))
    }))

  it.effect("disconnect waits for no forward: neither for that of a new server nor for the question to sshd", () =>
    Effect.gen(function*() {
      const { endless, layerWith, open, serve, serverDies } = yield* world
      yield* Effect.gen(function*() {
        const connections = yield* Connections
        yield* Ref.set(endless, [4999])
        yield* serverDies()
        yield* connections.connect(id)
        yield* aMoment
        assert.include(["Discovering", "Bootstrapping"], (yield* connections.state(id))._tag)
        yield* connections.disconnect(id)
        assert.strictEqual(yield* Ref.get(open), 0)

        yield* Ref.set(endless, [1])
        yield* serve(4096, { state: "up" })
        yield* connect
        yield* serve(4096, { state: "hung" })
        yield* TestClock.adjust(Duration.sum(healthInterval, Duration.sum(healthTimeout, Duration.seconds(1))))
        assert.strictEqual((yield* connections.state(id))._tag, "Connected")
        yield* connections.disconnect(id)
        assert.strictEqual(yield* Ref.get(open), 0)
      }).pipe(Effect.provide(layerWith(bootstrapping)))
    }))

  it.effect("a defect ends as Failed, and the session is closed", () =>
    Effect.gen(function*() {
      const { layerWith, open } = yield* world
      yield* Effect.gen(function*() {
        const connections = yield* Connections
        yield* connections.connect(id)
        const error = yield* Effect.flip(connections.settled(id))
        assert.include(error.message, "a bug")
        assert.strictEqual(yield* Ref.get(open), 0)
        yield* connections.disconnect(id)
        assert.strictEqual((yield* connections.state(id))._tag, "Disconnected")
      }).pipe(
        Effect.provide(layerWith(profile(), {
          localPorts: Layer.mock(LocalPorts, { recall: () => Effect.die(new Error("a bug")) })
        }))
      )
    }))

  it.effect("an unknown profile is a typed failure of its state", () =>
    Effect.gen(function*() {
      const { layerWith } = yield* world
      yield* Effect.gen(function*() {
        const connections = yield* Connections
        const other = ProfileId.make("other")
        yield* connections.connect(other)
        const error = yield* Effect.flip(connections.settled(other))
        assert.strictEqual(error.reason._tag, "ProfileNotFound")
      }).pipe(Effect.provide(layerWith(profile())))
    }))

  it.effect("when the service ends everything is closed, and nothing is published or begun after that", () =>
    Effect.gen(function*() {
      const { layerWith, open, opened } = yield* world
      const scope = yield* Scope.make()
      const connections = yield* Layer.build(layerWith(profile())).pipe(
        Effect.flatMap((context) => Effect.provide(Connections, context)),
        Scope.provide(scope)
      )
      yield* connections.connect(id)
      yield* connections.settled(id)
      yield* Effect.gen(function*() {
        const seen = yield* record(connections)
        yield* Scope.close(scope, yield* Effect.exit(Effect.void))
        yield* connections.connect(id)
        yield* connections.connect(ProfileId.make("another"))
        yield* connections.networkChanged
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(yield* Ref.get(seen), ["Connected", "Disconnected"])
        assert.strictEqual((yield* connections.state(ProfileId.make("another")))._tag, "Disconnected")
      }).pipe(Effect.scoped)
      assert.deepStrictEqual([yield* Ref.get(opened), yield* Ref.get(open)], [1, 0])
    }))
})

describe("trying again", () => {
  it.effect("a lost connection comes back by itself under the same URL", () =>
    Effect.gen(function*() {
      const { layerWith, open, opened, openings, sshDies } = yield* world
      yield* Effect.gen(function*() {
        const { connected, connections } = yield* connect
        const seen = yield* record(connections)
        yield* TestClock.adjust("1 minute")
        yield* Queue.offerAll(openings, [lost, lost])
        yield* sshDies
        const waiting = yield* awaitState(connections, "Reconnecting", ({ attempt }) => attempt === 2)
        assert.strictEqual(waiting.url, connected.url)
        assert.isTrue(Option.isNone(yield* connections.endpoint(id)))
        assert.isTrue(Option.isNone(yield* connections.tunnel(id)))
        yield* TestClock.adjust("10 seconds")
        const after = yield* awaitState(connections, "Connected")
        assert.strictEqual(after.url, connected.url)
        assert.deepStrictEqual([yield* Ref.get(opened), yield* Ref.get(open)], [4, 1])
        assert.deepStrictEqual(yield* Ref.get(seen), [
          "Connected",
          "Reconnecting 1 ConnectionLost",
          "Connecting",
          "Reconnecting 2 ConnectionLost",
          "Connecting",
          "Reconnecting 3 ConnectionLost",
          "Connecting",
          "Discovering",
          "Connected"
        ])
      }).pipe(Effect.scoped, Effect.provide(layerWith(profile())))
      assert.strictEqual(yield* Ref.get(open), 0)
    }))

  it.effect("retryNow skips the wait, disconnect ends it", () =>
    Effect.gen(function*() {
      const { layerWith, opened, openings, sshDies } = yield* world
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        yield* Queue.offerAll(openings, Array.from({ length: 20 }, () => lost))
        yield* sshDies
        yield* TestClock.adjust("20 seconds")
        const waiting = yield* awaitState(connections, "Reconnecting")
        const before = yield* Ref.get(opened)
        yield* connections.retryNow(id)
        yield* awaitState(connections, "Reconnecting", ({ attempt }) => attempt === waiting.attempt + 1)
        assert.strictEqual(yield* Ref.get(opened), before + 1)
        yield* connections.disconnect(id)
        yield* connections.retryNow(id)
        yield* connections.networkChanged
        yield* TestClock.adjust("4 hours")
        assert.strictEqual((yield* connections.state(id))._tag, "Disconnected")
        assert.strictEqual(yield* Ref.get(opened), before + 1)
      }).pipe(Effect.provide(layerWith(profile())))
    }))

  it.effect("a night without network: it gives up after three hours of trying, and stays so for the other seven", () =>
    Effect.gen(function*() {
      const { layerWith, opened, openings, sshDies } = yield* world
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        yield* Queue.offerAll(openings, Array.from({ length: 2000 }, () => lost))
        yield* sshDies
        yield* TestClock.adjust("179 minutes")
        const trying = yield* connections.state(id)
        assert.strictEqual(trying._tag, "Reconnecting")
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual((yield* connections.state(id))._tag, "Failed")
        const tried = yield* Ref.get(opened)
        // The cap of 30 s, and jitter.
        assert.isAbove(tried, (3 * 3600) / 30)
        assert.isBelow(tried, (3 * 3600) / 19)
        yield* TestClock.adjust("7 hours")
        yield* connections.networkChanged
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* Ref.get(opened), tried)
        assert.strictEqual((yield* connections.state(id))._tag, "Failed")
      }).pipe(Effect.provide(layerWith(profile())))
    }))

  it.effect("a server that dies behind a living tunnel costs no new ssh, and leaves no listener meanwhile", () =>
    Effect.gen(function*() {
      const { forwards, layerWith, opened, serve, serverDies } = yield* world
      yield* Effect.gen(function*() {
        const { connected, connections } = yield* connect
        const seen = yield* record(connections)
        yield* serverDies()
        yield* aMoment
        yield* awaitState(connections, "Reconnecting", ({ attempt }) => attempt === 2)
        assert.isTrue(Option.isNone(yield* connections.endpoint(id)))
        assert.isTrue(Option.isNone(yield* connections.tunnel(id)))
        // Requests are refused while nobody could answer them; it is looked for through a port that nobody knows.
        assert.deepStrictEqual(yield* Ref.get(forwards), ["+50000:4096", "-50000:4096", "+50100:4096", "-50100:4096"])
        yield* serve(4096, { state: "up", version: "1.19.0" })
        yield* TestClock.adjust("10 seconds")
        const after = yield* awaitState(connections, "Connected")
        assert.deepStrictEqual([after.url, after.serverVersion], [connected.url, "1.19.0"])
        assert.strictEqual(yield* Ref.get(opened), 1)
        assert.deepStrictEqual(yield* Ref.get(seen), [
          "Connected",
          "Reconnecting 1 NothingListening",
          "Discovering",
          "Reconnecting 2 NothingListening",
          "Discovering",
          "Connected"
        ])
      }).pipe(Effect.scoped, Effect.provide(layerWith(profile())))
    }))

  it.effect("ssh that ends while only the server is waited for is noticed, and made anew", () =>
    Effect.gen(function*() {
      const { layerWith, open, opened, serve, serverDies, sshDies } = yield* world
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        yield* serverDies()
        yield* TestClock.adjust("1 minute")
        yield* awaitState(connections, "Reconnecting", ({ error }) => error._tag === "DiscoveryError")
        yield* sshDies
        yield* awaitState(connections, "Reconnecting", ({ error }) => error._tag === "TransportError")
        assert.strictEqual(yield* Ref.get(open), 0)
        yield* serve(4096, { state: "up" })
        yield* TestClock.adjust("30 seconds")
        yield* awaitState(connections, "Connected")
        assert.strictEqual(yield* Ref.get(opened), 2)
      }).pipe(Effect.provide(layerWith(profile())))
    }))
})

describe("the local port", () => {
  it.effect("a stranger who took it while we were away: another one, and the state says which it was", () =>
    Effect.gen(function*() {
      const { layerWith, sshDies, strangers } = yield* world
      yield* Effect.gen(function*() {
        const { connected, connections } = yield* connect
        assert.strictEqual(connected.localPort, 50_000)
        yield* Ref.set(strangers, [50_000])
        yield* TestClock.adjust("1 minute")
        yield* sshDies
        const moved = yield* awaitState(connections, "Connected", ({ localPort }) => localPort !== 50_000)
        assert.deepStrictEqual([moved.movedFrom, moved.localPort], [50_000, 50_001])
        // The new one is the one to keep, even when the old one is free again.
        yield* Ref.set(strangers, [])
        yield* TestClock.adjust("1 minute")
        yield* sshDies
        const kept = yield* awaitState(connections, "Connected", ({ movedFrom }) => movedFrom === undefined)
        assert.strictEqual(kept.localPort, 50_001)
      }).pipe(Effect.provide(layerWith(profile())))
    }))

  it.effect("also when only the server was away", () =>
    Effect.gen(function*() {
      const { layerWith, opened, serve, serverDies, strangers } = yield* world
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        yield* serverDies()
        yield* aMoment
        yield* awaitState(connections, "Reconnecting", ({ attempt }) => attempt === 2)
        yield* Ref.set(strangers, [50_000])
        yield* serve(4096, { state: "up" })
        yield* TestClock.adjust("10 seconds")
        const moved = yield* awaitState(connections, "Connected")
        assert.strictEqual(moved.movedFrom, 50_000)
        assert.notStrictEqual(moved.localPort, 50_000)
        assert.strictEqual(yield* Ref.get(opened), 1)
      }).pipe(Effect.provide(layerWith(profile())))
    }))

  it.effect("is remembered after Connected: a file that takes its time delays nobody, and is not lost", () =>
    Effect.gen(function*() {
      const { layerWith, open } = yield* world
      const gate = yield* Deferred.make<void>()
      const written = yield* Ref.make<ReadonlyArray<number>>([])
      const slow = Layer.mock(LocalPorts, {
        recall: () => Effect.succeedNone,
        remember: (_, port) => Effect.andThen(Deferred.await(gate), Ref.update(written, (all) => [...all, port]))
      })
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        yield* connections.disconnect(id)
        assert.deepStrictEqual([yield* Ref.get(written), yield* Ref.get(open)], [[], 0])
        yield* Effect.forkChild(Effect.delay(Deferred.succeed(gate, undefined), "1 second"))
        yield* Effect.forkChild(TestClock.adjust("1 second"))
      }).pipe(Effect.provide(layerWith(profile(), { localPorts: slow })))
      // The service has ended, and not before it was written.
      assert.deepStrictEqual(yield* Ref.get(written), [50_000])
    }))
})

describe("liveness", () => {
  it.effect("one probe each interval, never with a password", () =>
    Effect.gen(function*() {
      const { asked, layerWith, probes, probing, serve } = yield* world
      yield* serve(4096, { state: "up", password: stored })
      yield* Effect.gen(function*() {
        yield* connect
        yield* Ref.set(asked, [])
        const before = yield* Ref.get(probes)
        yield* TestClock.adjust(Duration.times(healthInterval, 10.5))
        assert.strictEqual((yield* Ref.get(probes)) - before, 10)
        assert.deepStrictEqual(new Set(yield* Ref.get(asked)), new Set(["probe on 4096 with nothing"]))
        assert.strictEqual((yield* Ref.get(probing)).most, 1)
      }).pipe(Effect.provide(layerWith(profile(), { credentials: stored })))
    }))

  it.effect("a server that hangs: two probes without an answer, and ssh is kept", () =>
    Effect.gen(function*() {
      const { layerWith, opened, serve } = yield* world
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        const seen = yield* record(connections)
        yield* serve(4096, { state: "hung" })
        yield* TestClock.adjust(Duration.sum(healthInterval, healthTimeout))
        assert.deepStrictEqual(yield* Ref.get(seen), ["Connected"])
        yield* TestClock.adjust(Duration.sum(healthTimeout, lastWords))
        yield* serve(4096, { state: "up" })
        yield* TestClock.adjust("1 minute")
        const words = yield* Ref.get(seen)
        assert.deepStrictEqual(words.slice(0, 2), ["Connected", "Reconnecting 1 NoAnswer"])
        assert.strictEqual(words.at(-1), "Connected")
        assert.strictEqual(yield* Ref.get(opened), 1)
      }).pipe(Effect.scoped, Effect.provide(layerWith(profile())))
    }))

  it.effect("one missed probe of a server that is only slow does not end anything", () =>
    Effect.gen(function*() {
      const { layerWith, serve } = yield* world
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        const seen = yield* record(connections)
        for (let round = 0; round < 3; round++) {
          yield* serve(4096, { state: "hung" })
          yield* TestClock.adjust(Duration.sum(healthInterval, Duration.seconds(2)))
          yield* serve(4096, { state: "up" })
          yield* TestClock.adjust(Duration.subtract(healthTimeout, Duration.seconds(2)))
          yield* aMoment
        }
        assert.deepStrictEqual(yield* Ref.get(seen), ["Connected"])
      }).pipe(Effect.scoped, Effect.provide(layerWith(profile())))
    }))

  it.effect("an idle connection that a living server closes is a question, and not asked again and again", () =>
    Effect.gen(function*() {
      const { asked, closeIdle, layerWith, probes, probing } = yield* world
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        const seen = yield* record(connections)
        yield* Ref.set(asked, [])
        yield* closeIdle
        yield* aMoment
        assert.deepStrictEqual(yield* Ref.get(asked), ["discovery on 4096 with nothing", "probe on 4096 with nothing"])
        // One that keeps none: the probe's own connection is closed as well.
        const before = yield* Ref.get(probes)
        yield* Effect.forever(Effect.andThen(closeIdle, Effect.sleep("3 millis"))).pipe(Effect.forkScoped)
        yield* TestClock.adjust(Duration.times(healthInterval, 10))
        assert.isBelow((yield* Ref.get(probes)) - before, 25)
        assert.strictEqual((yield* Ref.get(probing)).most, 1)
        assert.deepStrictEqual(yield* Ref.get(seen), ["Connected"])
      }).pipe(Effect.scoped, Effect.provide(layerWith(profile())))
    }))

  it.effect("nudge, interval and end of the idle connection at the same time are one probe", () =>
    Effect.gen(function*() {
      const { closeIdle, layerWith, probes, probing } = yield* world
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        const before = yield* Ref.get(probes)
        yield* Effect.all([
          connections.networkChanged,
          connections.networkChanged,
          connections.connect(id),
          closeIdle
        ], { concurrency: "unbounded" })
        yield* aMoment
        assert.strictEqual((yield* Ref.get(probing)).most, 1)
        yield* Effect.andThen(aMoment, aMoment)
        assert.strictEqual((yield* Ref.get(probes)) - before, 1)
        assert.strictEqual((yield* connections.state(id))._tag, "Connected")
      }).pipe(Effect.provide(layerWith(profile())))
    }))
})

describe("waking up", () => {
  it.effect("a connection that lived through the sleep is asked at once, and kept", () =>
    Effect.gen(function*() {
      const { layerWith, opened, probes, sleep, withClocks } = yield* world
      yield* withClocks(
        Effect.gen(function*() {
          const { connections } = yield* connect
          const seen = yield* record(connections)
          const before = yield* Ref.get(probes)
          yield* sleep(8 * 3_600_000)
          yield* TestClock.adjust(wakeUpInterval)
          yield* aMoment
          assert.strictEqual((yield* Ref.get(probes)) - before, 1)
          // And an hour without sleep asks nobody out of turn.
          yield* TestClock.adjust("1 hour")
          assert.isAtMost((yield* Ref.get(probes)) - before, 361)
          assert.deepStrictEqual(yield* Ref.get(seen), ["Connected"])
          assert.strictEqual(yield* Ref.get(opened), 1)
        }).pipe(Effect.scoped, Effect.provide(layerWith(profile())))
      )
    }))

  it.effect("one through which nothing comes any more is dropped, and made anew", () =>
    Effect.gen(function*() {
      const { layerWith, linkDead, opened, sleep, withClocks } = yield* world
      yield* withClocks(
        Effect.gen(function*() {
          const { connections } = yield* connect
          const seen = yield* record(connections)
          yield* Ref.set(linkDead, true)
          yield* sleep(60_000)
          yield* TestClock.adjust(wakeUpInterval)
          yield* TestClock.adjust(healthTimeout)
          assert.deepStrictEqual(yield* Ref.get(seen), ["Connected"])
          yield* TestClock.adjust(Duration.subtract(healthTimeout, Duration.millis(4)))
          // The new one goes another way.
          yield* Ref.set(linkDead, false)
          yield* Effect.andThen(aMoment, aMoment)
          assert.deepStrictEqual(yield* Ref.get(seen), [
            "Connected",
            "Reconnecting 1 ConnectionLost",
            "Connecting",
            "Discovering",
            "Connected"
          ])
          assert.strictEqual(yield* Ref.get(opened), 2)
        }).pipe(Effect.scoped, Effect.provide(layerWith(profile())))
      )
    }))

  it.effect("a server that hangs when the machine wakes up costs no new ssh", () =>
    Effect.gen(function*() {
      const { forwards, layerWith, opened, serve } = yield* world
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        const seen = yield* record(connections)
        yield* serve(4096, { state: "hung" })
        yield* connections.networkChanged
        yield* TestClock.adjust(Duration.sum(Duration.times(healthTimeout, 2), lastWords))
        assert.strictEqual((yield* Ref.get(seen))[1], "Reconnecting 1 NoAnswer")
        assert.strictEqual(yield* Ref.get(opened), 1)
        // What sshd was asked through is gone.
        assert.includeMembers([...(yield* Ref.get(forwards))], ["+50100:1", "-50100:1"])
      }).pipe(Effect.scoped, Effect.provide(layerWith(profile())))
    }))

  it.effect("a link that dies without a word is told from a server that hangs, also without a wake-up", () =>
    Effect.gen(function*() {
      const { layerWith, linkDead } = yield* world
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        const seen = yield* record(connections)
        yield* Ref.set(linkDead, true)
        yield* TestClock.adjust(Duration.sum(healthInterval, Duration.times(healthTimeout, 2)))
        assert.strictEqual((yield* Ref.get(seen))[1], "Reconnecting 1 ConnectionLost")
      }).pipe(Effect.scoped, Effect.provide(layerWith(profile())))
    }))

  it.effect("a night on which the machine sleeps: it does not count, and the wait is over when it wakes", () =>
    Effect.gen(function*() {
      const { layerWith, opened, openings, sleep, sshDies, withClocks } = yield* world
      yield* withClocks(
        Effect.gen(function*() {
          const { connected, connections } = yield* connect
          yield* Queue.offerAll(openings, Array.from({ length: 10 }, () => lost))
          yield* sshDies
          yield* TestClock.adjust("1 minute")
          const tired = yield* awaitState(connections, "Reconnecting")
          assert.isAbove(tired.attempt, 5)
          // Ten hours with the lid closed; then the network takes some seconds.
          yield* sleep(10 * 3_600_000)
          yield* TestClock.adjust(wakeUpInterval)
          const fresh = yield* awaitState(connections, "Reconnecting")
          assert.isAtMost(fresh.attempt, 4)
          yield* TestClock.adjust("8 seconds")
          const back = yield* awaitState(connections, "Connected")
          assert.strictEqual(back.url, connected.url)
          assert.isAtMost(yield* Ref.get(opened), 12)
        }).pipe(Effect.provide(layerWith(profile())))
      )
    }))

  it.effect("three hours of trying begin anew with each wake-up", () =>
    Effect.gen(function*() {
      const { layerWith, openings, sleep, sshDies, withClocks } = yield* world
      yield* withClocks(
        Effect.gen(function*() {
          const { connections } = yield* connect
          yield* Queue.offerAll(openings, Array.from({ length: 3000 }, () => lost))
          yield* sshDies
          yield* TestClock.adjust("2 hours")
          yield* sleep(3_600_000)
          yield* TestClock.adjust("2 hours")
          assert.strictEqual((yield* connections.state(id))._tag, "Reconnecting")
          yield* TestClock.adjust(Duration.subtract(retryFor, Duration.hours(2)))
          yield* TestClock.adjust("1 minute")
          assert.strictEqual((yield* connections.state(id))._tag, "Failed")
        }).pipe(Effect.provide(layerWith(profile())))
      )
    }))
})

describe("who gets a password", () => {
  it.effect("bootstrap starts a server, and the forward follows it", () =>
    Effect.gen(function*() {
      const { ensured, forwards, layerWith, serverDies } = yield* world
      yield* serverDies()
      yield* Effect.gen(function*() {
        const { connected, connections } = yield* connect
        assert.deepStrictEqual(
          [connected.remotePort, connected.localPort, connected.bootstrapped],
          [4999, 50_000, "started"]
        )
        assert.deepStrictEqual(yield* Ref.get(forwards), ["+50000:4096", "-50000:4096", "+50000:4999"])
        assert.deepStrictEqual(yield* Ref.get(ensured), ["ensure any"])
        const endpoint = Option.getOrThrow(yield* connections.endpoint(id))
        assert.strictEqual(Redacted.value(Option.getOrThrow(endpoint.credentials).password), "random")
      }).pipe(Effect.provide(layerWith(bootstrapping)))
    }))

  it.effect("without leave to bootstrap nothing is started", () =>
    Effect.gen(function*() {
      const { ensured, layerWith, open, serverDies } = yield* world
      yield* serverDies()
      yield* Effect.gen(function*() {
        const connections = yield* Connections
        yield* connections.connect(id)
        const error = yield* Effect.flip(connections.settled(id))
        assert.strictEqual(error.reason._tag, "NothingListening")
        assert.deepStrictEqual(yield* Ref.get(ensured), [])
        assert.strictEqual(yield* Ref.get(open), 0)
      }).pipe(Effect.provide(layerWith(profile())))
    }))

  it.effect("beside a server that wants a password, bootstrap only looks", () =>
    Effect.gen(function*() {
      const { ensured, layerWith, serve } = yield* world
      yield* serve(4096, { state: "up", password: stored })
      yield* Effect.gen(function*() {
        const connections = yield* Connections
        yield* connections.connect(id)
        const error = yield* Effect.flip(connections.settled(id))
        assert.strictEqual(error.reason._tag, "Unauthorized")
        assert.deepStrictEqual(yield* Ref.get(ensured), ["look any"])
      }).pipe(Effect.provide(layerWith(bootstrapping)))
    }))

  it.effect("a person's password goes to a server that asks for one, and not before", () =>
    Effect.gen(function*() {
      const { asked, layerWith, serve } = yield* world
      yield* serve(4096, { state: "up", password: stored })
      yield* Effect.gen(function*() {
        const { connected } = yield* connect
        assert.isTrue(connected.secured)
        assert.deepStrictEqual((yield* Ref.get(asked)).slice(0, 2), [
          "discovery on 4096 with nothing",
          "discovery on 4096 with the person's"
        ])
      }).pipe(Effect.provide(layerWith(profile(), { credentials: stored })))
      yield* serve(4096, { state: "up" })
      yield* Ref.set(asked, [])
      yield* Effect.gen(function*() {
        const { connected } = yield* connect
        assert.isFalse(connected.secured)
        assert.deepStrictEqual((yield* Ref.get(asked)).slice(0, 1), ["discovery on 4096 with nothing"])
        assert.notInclude((yield* Ref.get(asked)).join(), "the person's")
        // Who is given the endpoint would send it along unasked.
        const { credentials } = Option.getOrThrow(yield* (yield* Connections).endpoint(id))
        assert.isTrue(Option.isNone(credentials))
      }).pipe(Effect.provide(layerWith(profile(), { credentials: stored })))
    }))

  it.effect("a password that was stored for another server is not sent to the one that the profile leads to now", () =>
    Effect.gen(function*() {
      const { asked, layerWith, serve } = yield* world
      yield* serve(4096, { state: "up", password: stored })
      const attempt = (before: Profile) =>
        Effect.gen(function*() {
          yield* Ref.set(asked, [])
          const connections = yield* Connections
          yield* connections.connect(id)
          const result = yield* Effect.result(connections.settled(id))
          return Result.isSuccess(result) ? "connected" : result.failure.reason._tag
        }).pipe(
          Effect.provide(layerWith(profile(), { credentials: new Credentials({ ...stored, server: before.server }) }))
        )
      assert.strictEqual(yield* attempt(profile()), "connected")
      assert.strictEqual(yield* attempt(profile({ name: "Another name", localPort: 7001 })), "connected")
      const elsewhere = [
        { host: "other" },
        { user: "other" },
        { port: 2222 },
        { proxyJump: "other" },
        { sshConfig: "/other" },
        { remotePort: 4097 },
        { bootstrap: { ...profile().bootstrap, port: 4097 } }
      ]
      for (const fields of elsewhere) {
        assert.strictEqual(yield* attempt(profile(fields as never)), "Unauthorized", JSON.stringify(fields))
        assert.notInclude((yield* Ref.get(asked)).join(), "the person's")
      }
    }))

  it.effect("a password that is stored later is not for a session that was open before: the profile may lead elsewhere", () =>
    Effect.gen(function*() {
      const { asked, layerWith, opened, serve, serverDies } = yield* world
      yield* serve(4096, { state: "up" })
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        yield* CredentialStore.use(({ set }) => set(id, stored))
        // The machine that the session leads to asks for a password next time.
        yield* serverDies()
        yield* aMoment
        yield* awaitState(connections, "Reconnecting", ({ attempt }) => attempt === 2)
        yield* serve(4096, { state: "up", password: stored })
        yield* TestClock.adjust("10 seconds")
        const { error } = yield* awaitState(connections, "Failed")
        assert.strictEqual(error.reason._tag, "Unauthorized")
        assert.notInclude((yield* Ref.get(asked)).join(), "the person's")
        assert.strictEqual(yield* Ref.get(opened), 1)
        // A new session is of the profile as it is now.
        yield* connect
        assert.include((yield* Ref.get(asked)).join(), "the person's")
      }).pipe(Effect.provide(layerWith(profile())))
    }))

  it.effect("who asked for a password and is gone a moment later was a server of ours: another is started", () =>
    Effect.gen(function*() {
      const { ensured, layerWith, serve, serverDies, whileLooking } = yield* world
      yield* serve(4096, { state: "up", password: ours })
      yield* Ref.set(whileLooking, serverDies())
      yield* Effect.gen(function*() {
        assert.strictEqual((yield* connect).connected.bootstrapped, "started")
        assert.deepStrictEqual(yield* Ref.get(ensured), ["look any", "ensure any"])
      }).pipe(Effect.provide(layerWith(bootstrapping)))
    }))

  it.effect("where bootstrap may look, not to a port of another user", () =>
    Effect.gen(function*() {
      const { asked, ensured, layerWith, looking, serve } = yield* world
      yield* serve(4096, { state: "up", password: stored })
      yield* Ref.set(looking, Option.some(new BootstrapError({ reason: new NotOurs({ detail: "another user" }) })))
      yield* Effect.gen(function*() {
        const connections = yield* Connections
        yield* connections.connect(id)
        const error = yield* Effect.flip(connections.settled(id))
        assert.strictEqual(error.reason._tag, "NotOurs")
        assert.deepStrictEqual(yield* Ref.get(ensured), ["look 4096"])
        assert.deepStrictEqual(yield* Ref.get(asked), ["discovery on 4096 with nothing"])
      }).pipe(Effect.provide(layerWith(bootstrapping, { credentials: stored })))
      // A machine on which no command may run tells nothing.
      yield* Ref.set(
        looking,
        Option.some(new BootstrapError({ reason: new CommandRefused({ detail: "" }) }))
      )
      yield* Effect.gen(function*() {
        assert.isTrue((yield* connect).connected.secured)
      }).pipe(Effect.provide(layerWith(bootstrapping, { credentials: stored })))
    }))

  it.effect("the password of a server of ours: only after its registration was read, on every connection anew", () =>
    Effect.gen(function*() {
      const { asked, ensured, layerWith, opened, registered, serve, serverDies, sshDies } = yield* world
      yield* serverDies()
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        assert.deepStrictEqual(yield* Ref.get(asked), [
          "discovery on 4096 with nothing",
          "discovery on 4999 with random",
          "probe on 4999 with nothing"
        ])
        // ssh died, and somebody else has the port now: who asks for a password gets none.
        yield* Ref.set(asked, [])
        yield* serve(4999, { state: "up", password: stored })
        yield* serve(4096, { state: "up", password: stored })
        yield* Ref.set(registered, Option.none())
        yield* sshDies
        const error = (yield* awaitState(connections, "Failed")).error
        assert.strictEqual(error.reason._tag, "Unauthorized")
        // Once more, to see whether it was a server of ours in its last moment.
        assert.deepStrictEqual([...new Set(yield* Ref.get(asked))], ["discovery on 4096 with nothing"])
        assert.deepStrictEqual(yield* Ref.get(ensured), ["ensure any", "look any"])
        assert.strictEqual(yield* Ref.get(opened), 2)
      }).pipe(Effect.provide(layerWith(bootstrapping)))
    }))

  it.effect("a server of ours whose idle connection ended is kept when its registration says that it lives", () =>
    Effect.gen(function*() {
      const { asked, closeIdle, ensured, layerWith, opened, registered, serve, serverDies } = yield* world
      yield* serverDies()
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        const seen = yield* record(connections)
        yield* closeIdle
        yield* aMoment
        assert.deepStrictEqual(yield* Ref.get(seen), ["Connected"])
        assert.deepStrictEqual(yield* Ref.get(ensured), ["ensure any", "look any"])

        // It died, and a stranger asks for a password in its place.
        yield* Ref.set(asked, [])
        yield* Ref.set(registered, Option.none())
        yield* serve(4999, { state: "up", password: stored })
        yield* closeIdle
        yield* TestClock.adjust(Duration.sum(healthInterval, lastWords))
        yield* awaitState(connections, "Failed")
        assert.isFalse((yield* Ref.get(asked)).some((line) => line.endsWith("random")))
        assert.strictEqual(yield* Ref.get(opened), 1)
      }).pipe(Effect.scoped, Effect.provide(layerWith(bootstrapping)))
    }))
})

describe("a server with lifetime session", () => {
  const session = profile({ bootstrap: { enabled: true, lifetime: "session" } })

  it.effect("that another session has started lives as long as this one too", () =>
    Effect.gen(function*() {
      const { ensured, holding, layerWith, registered, serve } = yield* world
      yield* serve(4096, { state: "up", password: ours })
      yield* Ref.set(registered, Option.some(4096))
      yield* Effect.gen(function*() {
        const { connected, connections } = yield* connect
        assert.strictEqual(connected.bootstrapped, "reused")
        assert.deepStrictEqual(yield* Ref.get(ensured), ["look any", "ensure any"])
        // It hangs and comes back: the command that this connection has there is good for it.
        yield* serve(4096, { state: "hung", password: ours })
        yield* TestClock.adjust(Duration.times(Duration.sum(healthInterval, healthTimeout), 2))
        yield* serve(4096, { state: "up", password: ours })
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* connections.state(id))._tag, "Connected")
        const later = (yield* Ref.get(ensured)).slice(2)
        assert.isAbove(later.length, 0)
        assert.isTrue(later.every((line) => line === "look any"))
        assert.strictEqual(yield* Ref.get(holding), 1)
        yield* connections.disconnect(id)
        assert.strictEqual(yield* Ref.get(holding), 0)
      }).pipe(Effect.provide(layerWith(session)))
    }))

  it.effect("leaves no command there when it dies or could not be started: sshd counts them", () =>
    Effect.gen(function*() {
      const { failing, holding, layerWith, opened, registered, serverDies } = yield* world
      yield* serverDies()
      yield* Effect.gen(function*() {
        const { connections } = yield* connect
        yield* Ref.set(registered, Option.none())
        yield* serverDies(4999)
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* connections.state(id))._tag, "Connected")
        assert.strictEqual(yield* Ref.get(holding), 1)
        yield* Ref.set(
          failing,
          Option.some(new BootstrapError({ reason: new StartTimedOut({ waited: 30_000, log: "" }) }))
        )
        yield* Ref.set(registered, Option.none())
        yield* serverDies(4999)
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual((yield* connections.state(id))._tag, "Reconnecting")
        assert.isAtMost(yield* Ref.get(holding), 1)
        assert.strictEqual(yield* Ref.get(opened), 1)
      }).pipe(Effect.provide(layerWith(session)))
    }))
})

it.effect("the connections in memory are these connections", () =>
  Effect.gen(function*() {
    const connections = yield* Connections
    const tunnels = yield* MemoryTunnels
    yield* connections.connect(id)
    const before = yield* connections.settled(id)
    // Hours of probes and clocks.
    yield* TestClock.adjust("5 hours")
    assert.deepStrictEqual(yield* connections.state(id), before as ConnectionState)
    assert.strictEqual(yield* tunnels.opened, 1)
    const tunnel = Option.getOrThrow(yield* connections.tunnel(id))
    yield* tunnels.cut
    assert.isTrue((yield* Effect.flip(tunnel.closed)).retryable)
    yield* connections.states.pipe(
      Stream.filter(() => true),
      Stream.mapEffect(() => tunnels.opened),
      Stream.takeUntil((opened) => opened === 2),
      Stream.runDrain
    )
  }).pipe(Effect.provide(Connections.layerMemory({ profiles: [profile()] }))))
