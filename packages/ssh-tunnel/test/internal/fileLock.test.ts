import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, FileSystem, Layer, Ref } from "effect"
import { TestClock } from "effect/testing"
import * as FileLock from "../../src/internal/fileLock.ts"
import { LocalHost } from "../../src/LocalHost.ts"
import * as NodeLocalHost from "../../src/node/LocalHost.ts"
import { Timing } from "../../src/Schedules.ts"

const platform = Layer.mergeAll(NodeServices.layer, NodeLocalHost.layer)

const setting = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const host = yield* LocalHost
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "lock-" })
  const lock = `${directory}/x.lock`
  /** Leaves a lock as a process of this identity would that was killed. */
  const abandon = Effect.fnUntraced(function*(owner: { readonly pid: number; readonly startTime: string } | string) {
    yield* fs.makeDirectory(lock)
    yield* fs.writeFileString(`${lock}/abandoned`, typeof owner === "string" ? owner : JSON.stringify(owner))
  })
  return { fs, host, directory, lock, abandon, entries: fs.readDirectory(directory) }
})

/** Runs many holders at once, each with a lock of its own making; fails when two are inside together. */
const crowd = Effect.fnUntraced(function*(lock: string, size: number) {
  const inside = yield* Ref.make(0)
  const visits = yield* Ref.make(0)
  const visit = Effect.gen(function*() {
    assert.strictEqual(yield* Ref.updateAndGet(inside, (n) => n + 1), 1)
    yield* Ref.update(visits, (n) => n + 1)
    for (let i = 0; i < 5; i++) yield* Effect.yieldNow
    yield* Ref.update(inside, (n) => n - 1)
  })
  yield* Effect.forEach(
    Array.from({ length: size }),
    () => Effect.flatMap(FileLock.make, ({ withLock }) => withLock(lock, visit)),
    { concurrency: "unbounded", discard: true }
  )
  return yield* Ref.get(visits)
})

describe("fileLock", () => {
  it.live("lets one in at a time and leaves nothing", () =>
    Effect.gen(function*() {
      const { entries, lock } = yield* setting
      assert.strictEqual(yield* crowd(lock, 25), 25)
      assert.deepStrictEqual(yield* entries, [])
    }).pipe(Effect.provide(platform)))

  it.live("recovers a dead owner's lock, and only one of the many who see it takes it", () =>
    Effect.gen(function*() {
      const { abandon, entries, fs, host, lock } = yield* setting
      for (
        const owner of [
          // Killed, and its pid belongs to another process now.
          { pid: host.self.pid, startTime: "0" },
          // Killed; no process has this pid (above pid_max).
          { pid: 2 ** 30, startTime: "1" },
          // The power went before the content was on the disk.
          "",
          "{\"pid\":\"x\"}"
        ]
      ) {
        yield* abandon(owner)
        assert.strictEqual(yield* crowd(lock, 10), 10)
        assert.deepStrictEqual(yield* entries, [])
      }
      // Killed between the removal of a dead owner's entry and its own.
      yield* fs.makeDirectory(lock)
      assert.strictEqual(yield* crowd(lock, 10), 10)
      assert.deepStrictEqual(yield* entries, [])
    }).pipe(Effect.provide(platform)))

  it.live("waits for a living owner, not longer than allowed, and names it", () =>
    Effect.gen(function*() {
      const { abandon, entries, host, lock } = yield* setting
      yield* abandon(host.self)
      const { withLock } = yield* FileLock.make
      const error = yield* Effect.flip(withLock(lock, Effect.void))
      assert.isTrue(error._tag === "FileLocked" && error.owner === host.self.pid, error.message)
      assert.deepStrictEqual(yield* entries, ["x.lock"])
    }).pipe(
      Effect.provideService(Timing, { ...Timing.defaults, fileLock: Duration.millis(600) }),
      Effect.provide(platform)
    ))

  // Bun's watch of a directory was seen to miss an event; there it is the look after a while that the lock relies on.
  const onEventsAlone = process.versions["bun"] === undefined ? it.effect : it.live

  onEventsAlone("goes on when the lock is given back; on Node no clock has to move", () =>
    Effect.gen(function*() {
      const { entries, lock } = yield* setting
      const { withLock } = yield* FileLock.make
      const taken = yield* Deferred.make<void>()
      const leave = yield* Deferred.make<void>()
      const first = yield* Effect.forkChild(
        withLock(lock, Effect.andThen(Deferred.succeed(taken, undefined), Deferred.await(leave)))
      )
      yield* Deferred.await(taken)
      const others = yield* Effect.forkChild(crowd(lock, 10))
      yield* Deferred.succeed(leave, undefined)
      yield* Fiber.join(first)
      assert.strictEqual(yield* Fiber.join(others), 10)
      assert.deepStrictEqual(yield* entries, [])
    }).pipe(Effect.provide(platform)))

  it.effect("an interrupted wait leaves at once and leaves nothing", () =>
    Effect.gen(function*() {
      const { abandon, entries, fs, host, lock } = yield* setting
      yield* abandon(host.self)
      const { withLock } = yield* FileLock.make
      const waiting = yield* Effect.forkChild(withLock(lock, Effect.void))
      // Its candidate is there, so it is trying.
      yield* Effect.repeat(Effect.andThen(Effect.yieldNow, entries), { until: (names) => names.length > 1 })
      yield* Fiber.interrupt(waiting)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(waiting)))
      assert.deepStrictEqual(yield* entries, ["x.lock"])
      yield* fs.remove(lock, { recursive: true })
      assert.strictEqual(yield* withLock(lock, Effect.succeed("mine")), "mine")
      yield* TestClock.adjust(0)
    }).pipe(Effect.provide(platform)))

  it.live("sweeps what killed waiters left, and nothing of the living", () =>
    Effect.gen(function*() {
      const { entries, fs, directory, host, lock } = yield* setting
      const living = `x.lock-${host.self.pid}-00ff`
      for (const name of [`x.lock-${2 ** 30}-00ff`, living, "x.lock-notes", "y.lock-1-00"]) {
        yield* fs.makeDirectory(`${directory}/${name}`)
      }
      const { withLock } = yield* FileLock.make
      yield* withLock(lock, Effect.void)
      assert.deepStrictEqual((yield* entries).sort(), [living, "x.lock-notes", "y.lock-1-00"].sort())
    }).pipe(Effect.provide(platform)))

  it.live("fails as the platform says where it cannot be made", () =>
    Effect.gen(function*() {
      const { directory, lock, fs } = yield* setting
      const { withLock } = yield* FileLock.make
      assert.strictEqual(
        (yield* Effect.flip(withLock(`${directory}/missing/x.lock`, Effect.void)))._tag,
        "PlatformError"
      )
      yield* fs.writeFileString(lock, "a file")
      assert.strictEqual((yield* Effect.flip(withLock(lock, Effect.void)))._tag, "PlatformError")
      assert.strictEqual(yield* fs.readFileString(lock), "a file")
    }).pipe(Effect.provide(platform)))
})
