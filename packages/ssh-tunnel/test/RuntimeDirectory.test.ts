import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import type { Path as PlatformPath } from "effect"
import { Deferred, Duration, Effect, Fiber, FileSystem, Layer, Option, PlatformError, Ref } from "effect"
import { TestClock } from "effect/testing"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { LocalHost } from "../src/LocalHost.ts"
import { RuntimeDirectory } from "../src/RuntimeDirectory.ts"
import { Timing } from "../src/Schedules.ts"

const fromFs = <A>(method: string, use: () => A) =>
  Effect.try({
    try: use,
    catch: (cause) => PlatformError.systemError({ _tag: "Unknown", module: "LocalHost", method, cause })
  })

/**
 * A machine whose live processes are given as `pid → start time`; the signals that were sent are recorded. `looks` is
 * what it says of its temporary directory.
 */
const machine = Effect.fnUntraced(function*(
  base: string,
  live: Record<number, string> = {},
  looks: { readonly uid?: number; readonly mode?: number } = {},
  platform: Layer.Layer<FileSystem.FileSystem | PlatformPath.Path> = NodeServices.layer
) {
  const signals = yield* Ref.make<ReadonlyArray<string>>([])
  const layer = RuntimeDirectory.layer.pipe(
    Layer.provide(platform),
    Layer.provide(LocalHost.layerMock({
      temporaryDirectory: base,
      environment: { XDG_RUNTIME_DIR: base },
      uid: process.getuid?.(),
      self: { pid: 1000, startTime: "me" },
      identify: (pid) =>
        Effect.succeed(Option.map(Option.fromUndefinedOr(live[pid]), (startTime) => ({ pid, startTime }))),
      signalGroup: (pgid, signal) => Effect.as(Ref.update(signals, (all) => [...all, `${signal} ${pgid}`]), true),
      inspect: (path) =>
        fromFs("inspect", () => {
          const stat = Fs.lstatSync(path)
          const kind = stat.isDirectory() ? "directory" : stat.isFile() ? "file" : "symlink"
          return { kind, uid: stat.uid, mode: stat.mode & 0o7777, ...(path === base ? looks : undefined) } as const
        }),
      removeEmptyDirectory: (path) => fromFs("rmdir", () => Fs.rmdirSync(path))
    }))
  )
  return { layer, signals }
})

const plant = (base: string, name: string, files: Record<string, unknown>, mode = 0o700) => {
  const directory = Path.join(base, name)
  Fs.mkdirSync(directory, { mode })
  Fs.chmodSync(directory, mode)
  for (const [file, content] of Object.entries(files)) {
    Fs.writeFileSync(Path.join(directory, file), JSON.stringify(content))
  }
  Fs.utimesSync(directory, 1, 1)
  return directory
}

it.effect("is made at the first use, is ours alone, and goes with its layer", () =>
  Effect.gen(function*() {
    const base = yield* TempDirectory.make()
    const { layer } = yield* machine(base)
    const path = yield* Effect.gen(function*() {
      const directory = yield* RuntimeDirectory
      assert.deepStrictEqual(Fs.readdirSync(base), [])
      const path = yield* directory.path
      assert.strictEqual(yield* directory.path, path)
      assert.strictEqual(Fs.statSync(path).mode & 0o777, 0o700)
      const name = yield* directory.fresh("config-")
      assert.notStrictEqual(yield* directory.fresh("config-"), name)
      yield* directory.write(name, "text")
      assert.strictEqual(Fs.statSync(Path.join(path, name)).mode & 0o777, 0o600)
      return path
    }).pipe(Effect.provide(layer))
    assert.isFalse(Fs.existsSync(path))
  }))

it.effect("is removed after the writing that was interrupted, not beside it", () =>
  Effect.gen(function*() {
    const base = yield* TempDirectory.make()
    const begun = yield* Deferred.make<void>()
    const mayEnd = yield* Deferred.make<void>()
    const slow = Layer.effect(
      FileSystem.FileSystem,
      Effect.map(FileSystem.FileSystem, (fs): FileSystem.FileSystem => ({
        ...fs,
        writeFileString: (path, content, options) =>
          Path.basename(path) === "owner.json" ? fs.writeFileString(path, content, options) : Effect.gen(function*() {
            yield* Deferred.succeed(begun, undefined)
            yield* Deferred.await(mayEnd)
            yield* fs.writeFileString(path, content, options)
          })
      }))
    ).pipe(Layer.provideMerge(NodeServices.layer))
    const { layer } = yield* machine(base, {}, {}, slow)
    yield* Effect.gen(function*() {
      const directory = yield* RuntimeDirectory
      const writing = yield* Effect.forkChild(directory.write("config", "text"))
      yield* Deferred.await(begun)
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(writing), { startImmediately: true })
      yield* Deferred.succeed(mayEnd, undefined)
      yield* Fiber.join(interrupting)
      assert.strictEqual(Fs.readFileSync(Path.join(yield* directory.path, "config"), "utf8"), "text")
    }).pipe(Effect.provide(layer))
    assert.deepStrictEqual(Fs.readdirSync(base), [])
  }))

it.effect("goes with its layer also where a removal leaves it and says nothing, as Bun's may", () =>
  Effect.gen(function*() {
    const base = yield* TempDirectory.make()
    const removals = yield* Ref.make(0)
    const forgetful = Layer.effect(
      FileSystem.FileSystem,
      Effect.map(FileSystem.FileSystem, (fs): FileSystem.FileSystem => ({
        ...fs,
        remove: (path, options) =>
          Effect.flatMap(
            Ref.updateAndGet(removals, (count) => count + 1),
            (count) => count === 1 ? Effect.void : fs.remove(path, options)
          )
      }))
    ).pipe(Layer.provideMerge(NodeServices.layer))
    const { layer } = yield* machine(base, {}, {}, forgetful)
    yield* Effect.flatMap(RuntimeDirectory, ({ path }) => path).pipe(Effect.provide(layer))
    assert.deepStrictEqual(Fs.readdirSync(base), [])
    assert.strictEqual(yield* Ref.get(removals), 2)
  }))

it.effect("is made only where nobody else could put another one in its place", () =>
  Effect.gen(function*() {
    const base = Fs.realpathSync(yield* TempDirectory.make())
    const me = process.getuid?.() ?? 0
    const stranger = me + 1
    const isTaken = Effect.fnUntraced(function*(uid: number, mode: number) {
      const { layer } = yield* machine(base, {}, { uid, mode })
      const path = yield* Effect.flatMap(RuntimeDirectory, ({ path }) => path).pipe(Effect.provide(layer))
      return Path.dirname(path) === base
    })
    assert.isTrue(yield* isTaken(me, 0o700))
    assert.isTrue(yield* isTaken(me, 0o755))
    assert.isTrue(yield* isTaken(0, 0o1777))
    assert.isTrue(yield* isTaken(me, 0o1777))
    assert.isFalse(yield* isTaken(me, 0o777))
    assert.isFalse(yield* isTaken(me, 0o770), "the others of the group")
    assert.isFalse(yield* isTaken(stranger, 0o755))
    assert.isFalse(yield* isTaken(stranger, 0o1777), "the owner of a sticky directory may rename everything in it")
  }))

it.effect("the sweep ends what a dead process left, and only groups that are still the recorded ones", () =>
  Effect.gen(function*() {
    const base = yield* TempDirectory.make()
    const { layer, signals } = yield* machine(base, { 7: "then", 8: "later", 2000: "alive" })
    const dead = plant(base, "opencode-ssh-run-aaaaaa", {
      "owner.json": { pid: 4242, startTime: "gone" },
      "group-7.json": { pid: 7, startTime: "then" },
      "group-8.json": { pid: 8, startTime: "then" },
      "group-9.json": { pid: 9, startTime: "then" }
    })
    const alive = plant(base, "opencode-ssh-run-bbbbbb", {
      "owner.json": { pid: 2000, startTime: "alive" },
      "group-7.json": { pid: 7, startTime: "then" }
    })
    yield* Effect.gen(function*() {
      const directory = yield* RuntimeDirectory
      yield* Effect.forkChild(directory.sweep, { startImmediately: true })
      while (Fs.existsSync(dead)) {
        yield* TestClock.adjust("1 second")
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
    }).pipe(Effect.provide(layer))
    assert.isTrue(Fs.existsSync(alive))
    assert.deepStrictEqual(yield* Ref.get(signals), ["SIGTERM 7", "SIGKILL 7"])
  }))

it.effect("the sweep leaves alone what is not surely ours", () =>
  Effect.gen(function*() {
    const base = yield* TempDirectory.make()
    const { layer, signals } = yield* machine(base)
    const dead = { "owner.json": { pid: 4242, startTime: "gone" } }
    const strangers = [
      plant(base, "opencode-ssh-lab-0123456789ab", dead),
      plant(base, "opencode-ssh-run-", dead),
      plant(base, "opencode-ssh-run-aaaaaaa", dead),
      plant(base, "opencode-ssh-run-noowne", {}),
      plant(base, "opencode-ssh-run-broken", { "owner.json": "nonsense" }),
      plant(base, "opencode-ssh-run-public", dead, 0o755)
    ]
    Fs.symlinkSync(strangers[0] ?? "", Path.join(base, "opencode-ssh-run-linked"))
    yield* Effect.gen(function*() {
      const directory = yield* RuntimeDirectory
      yield* directory.sweep
    }).pipe(Effect.provide(layer))
    for (const path of strangers) assert.isTrue(Fs.existsSync(path), path)
    assert.deepStrictEqual(yield* Ref.get(signals), [])
  }))

it.effect("a directory that a cleaner took is made anew, with the records of what still runs", () =>
  Effect.gen(function*() {
    const base = yield* TempDirectory.make()
    const { layer } = yield* machine(base)
    const [first, second] = yield* Effect.gen(function*() {
      const directory = yield* RuntimeDirectory
      const first = yield* directory.path
      yield* directory.record({ pid: 7, startTime: "then" })
      yield* directory.record({ pid: 8, startTime: "then" })
      yield* directory.write("config-1", "text")
      Fs.rmSync(first, { recursive: true })
      // Nobody makes a directory in order to forget.
      yield* directory.forget(8)
      assert.deepStrictEqual(Fs.readdirSync(base), [])

      const second = yield* directory.path
      assert.notStrictEqual(second, first)
      assert.deepStrictEqual(Fs.readdirSync(second).sort(), ["group-7.json", "owner.json"])
      assert.strictEqual(Fs.statSync(second).mode & 0o777, 0o700)
      assert.isFalse(yield* directory.has("config-1"))
      assert.strictEqual(yield* directory.path, second)

      // Whoever comes after the cleaner does not get what we write.
      Fs.rmSync(second, { recursive: true })
      Fs.symlinkSync(base, second)
      const third = yield* directory.path
      assert.notStrictEqual(third, second)
      Fs.rmSync(second)
      Fs.mkdirSync(second, { mode: 0o777 })
      Fs.chmodSync(second, 0o777)
      assert.strictEqual(yield* directory.path, third)

      // Files go before directories do, by their age.
      Fs.rmSync(Path.join(third, "owner.json"))
      assert.strictEqual(yield* directory.path, third)
      assert.deepStrictEqual(JSON.parse(Fs.readFileSync(Path.join(third, "owner.json"), "utf8")), {
        pid: 1000,
        startTime: "me"
      })
      return [first, third]
    }).pipe(Effect.provide(layer))
    assert.isFalse(Fs.existsSync(first ?? ""))
    assert.isFalse(Fs.existsSync(second ?? ""))
  }))

it.effect("the sweep takes what its maker did not live to sign, once it is old and if nothing is in it", () =>
  Effect.gen(function*() {
    const base = yield* TempDirectory.make()
    const { layer } = yield* machine(base)
    const empty = plant(base, "opencode-ssh-run-empty0", {})
    const half = plant(base, "opencode-ssh-run-half00", {})
    Fs.writeFileSync(Path.join(half, "owner.json"), "")
    Fs.utimesSync(half, 1, 1)
    const others = [
      plant(base, "opencode-ssh-run-other0", { "notes.txt": "mine" }),
      plant(base, "opencode-ssh-run-torn00", { "owner.json": "nonsense" }),
      plant(base, "opencode-ssh-run-public", {}, 0o755)
    ]
    yield* Effect.gen(function*() {
      const directory = yield* RuntimeDirectory
      // All of them are of the first second of 1970.
      yield* TestClock.setTime(1_000 + Duration.toMillis(Timing.defaults.unsignedDirectory))
      yield* directory.sweep
      assert.isTrue(Fs.existsSync(empty), "its maker may be about to sign it")
      yield* TestClock.adjust("1 second")
      yield* directory.sweep
    }).pipe(Effect.provide(layer))
    assert.isFalse(Fs.existsSync(empty))
    assert.isFalse(Fs.existsSync(half))
    for (const path of others) assert.isTrue(Fs.existsSync(path), path)
  }))
