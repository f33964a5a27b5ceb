import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, FileSystem, Layer, Option, PlatformError, Ref, Result } from "effect"
import { DataDirectory } from "../src/DataDirectory.ts"
import * as NodeLocalHost from "../src/node/LocalHost.ts"
import { ProfileRepo } from "../src/ProfileRepo.ts"
import { profile } from "./ProfileFixtures.ts"

const diskFull = (method: string) =>
  PlatformError.systemError({
    _tag: "Unknown",
    module: "FileSystem",
    method,
    cause: Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" })
  })

/** A file system whose n-th change of the disk (from 0) fails; `done` tells how many were asked for. */
const failing = Effect.fnUntraced(function*(fs: FileSystem.FileSystem, n: number) {
  const count = yield* Ref.make(0)
  const guard = <A, R>(
    method: string,
    effect: Effect.Effect<A, PlatformError.PlatformError, R>
  ): Effect.Effect<A, PlatformError.PlatformError, R> =>
    Effect.flatMap(
      Ref.getAndUpdate(count, (done) => done + 1),
      (done) => done === n ? Effect.fail(diskFull(method)) : effect
    )
  const guarded: FileSystem.FileSystem = {
    ...fs,
    makeDirectory: (...args) => guard("makeDirectory", fs.makeDirectory(...args)),
    rename: (...args) => guard("rename", fs.rename(...args)),
    remove: (...args) => guard("remove", fs.remove(...args)),
    writeFile: (...args) => guard("writeFile", fs.writeFile(...args)),
    writeFileString: (...args) => guard("writeFileString", fs.writeFileString(...args)),
    open: (path, options) =>
      Effect.map(guard("open", fs.open(path, options)), (file): FileSystem.File =>
        Object.create(file, {
          sync: { get: () => guard("sync", file.sync) },
          writeAll: {
            // Half of it arrives, as on a disk that fills up.
            value: (bytes: Uint8Array) =>
              guard("writeAll", file.writeAll(bytes)).pipe(
                Effect.tapError(() => file.writeAll(bytes.subarray(0, bytes.length / 2)))
              )
          }
        }))
  }
  return { guarded, done: Ref.get(count) }
})

const repository = (directory: string, fs: FileSystem.FileSystem) =>
  Effect.flatMap(
    Layer.build(
      ProfileRepo.layerNoDeps.pipe(
        Layer.provide(DataDirectory.layerAt(`${directory}/data`)),
        Layer.provide(NodeLocalHost.layer),
        Layer.provide(Layer.succeed(FileSystem.FileSystem, fs))
      )
    ),
    (context) => Effect.provide(ProfileRepo, context)
  )

describe("a save whose n-th step fails", () => {
  it.effect("keeps the old profiles or has the new ones, says so, leaves nothing behind and can be repeated", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const outcomes: Array<string> = []
      for (let n = 0; outcomes.at(-1) !== "no fault"; n++) {
        const directory = yield* fs.makeTempDirectoryScoped({ prefix: "faults-" })
        const sound = yield* repository(directory, fs)
        yield* sound.save(profile("old"))
        const { done, guarded } = yield* failing(fs, n)
        const faulty = yield* repository(directory, guarded)
        const result = yield* Effect.result(faulty.save(profile("new")))
        const list = (yield* sound.list).map(({ id }) => id as string)
        if (Result.isFailure(result)) {
          const { reason } = result.failure
          assert.strictEqual(reason._tag, "ProfileStoreUnwritable", `step ${n}`)
          assert.include(reason.message, "no space left", `step ${n}`)
          assert.deepStrictEqual(list, ["old"], `step ${n}`)
          outcomes.push("old")
        } else {
          assert.deepStrictEqual(list, ["old", "new"], `step ${n}`)
          outcomes.push((yield* done) > n ? "new" : "no fault")
        }
        const left = yield* fs.readDirectory(`${directory}/data`)
        assert.isFalse(left.some((name) => name.includes(".tmp-")), `step ${n}: ${left.join()}`)
        yield* sound.save(profile("later"))
        assert.include((yield* sound.list).map(({ id }) => id as string), "later", `step ${n}`)
        // A candidate for the lock that could not be removed is swept when its process has ended; this one lives.
        const after = (yield* fs.readDirectory(`${directory}/data`)).filter((name) => !/\.lock-\d+-/.test(name))
        assert.deepStrictEqual(after, ["ssh-profiles.json"], `step ${n}`)
      }
      // Every step up to the rename, and some after it.
      assert.isAtLeast(outcomes.filter((outcome) => outcome === "old").length, 7)
      assert.isAtLeast(outcomes.filter((outcome) => outcome === "new").length, 3)
    }).pipe(Effect.provide(NodeServices.layer)))

  it.effect("and one that is interrupted at any point: whole, and nothing left behind", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const directory = yield* fs.makeTempDirectoryScoped({ prefix: "interrupts-" })
      const repo = yield* repository(directory, fs)
      const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      // Some turns of the event loop more each time, until a save is done before its interrupt comes.
      for (let n = 0, done = false; !done; n = Math.ceil(n * 1.1) + 1) {
        const saving = yield* Effect.forkChild(repo.save(profile(`p${n}`)))
        for (let i = 0; i < n; i++) yield* turn
        yield* Fiber.interrupt(saving)
        done = Exit.isSuccess(yield* Fiber.await(saving))
        const list = (yield* repo.list).map(({ id }) => id as string)
        if (done) assert.include(list, `p${n}`)
        const left = (yield* Effect.option(fs.readDirectory(`${directory}/data`))).pipe(Option.getOrElse(() => []))
        assert.deepStrictEqual(left.filter((name) => name !== "ssh-profiles.json"), [], `after ${n} turns`)
      }
    }).pipe(Effect.provide(NodeServices.layer)))
})
