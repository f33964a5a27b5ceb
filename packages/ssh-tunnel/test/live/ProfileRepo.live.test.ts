import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, Fiber, FileSystem, Layer, Queue, Ref, Result, Stream } from "effect"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import { fileURLToPath } from "node:url"
import { DataDirectory } from "../../src/DataDirectory.ts"
import * as NodeLocalHost from "../../src/node/LocalHost.ts"
import type { Profile } from "../../src/Profile.ts"
import { parse } from "../../src/ProfileFile.ts"
import { ProfileRepo } from "../../src/ProfileRepo.ts"
import { profile } from "../ProfileFixtures.ts"

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** `saveProfiles.ts` as one file: a process that has to compile all modules takes seven times as long to start. */
const bundle = Effect.gen(function*() {
  const script = `${yield* TempDirectory.make()}/saveProfiles.mjs`
  const bun = at("../../../../node_modules/.bin/bun")
  yield* Process.output(bun, ["build", at("saveProfiles.ts"), "--target=node", "--outfile", script])
  return script
})

const repository = (directory: string) =>
  Effect.flatMap(
    Layer.build(
      ProfileRepo.layerNoDeps.pipe(
        Layer.provide(DataDirectory.layerAt(directory)),
        Layer.provide(Layer.mergeAll(NodeServices.layer, NodeLocalHost.layer))
      )
    ),
    (context) => Effect.provide(ProfileRepo, context)
  )

const ids = (profiles: ReadonlyArray<Profile>) => profiles.map(({ id }) => id as string)

/** A process that will save `count` profiles as soon as it gets a line. */
const saver = (script: string, directory: string, prefix: string, count: number) =>
  Effect.tap(
    Process.spawn(process.execPath, [script, directory, prefix, String(count)]),
    (child) => child.stdout.waitFor("ready")
  )

const entries = (directory: string) => Effect.sync(() => Fs.readdirSync(directory))

/** Whether this process may mount a file system, to fill it up and to make it read-only. */
const canMount = (() => {
  const directory = Fs.mkdtempSync(`${Os.tmpdir()}/mount-`)
  const mounted = spawnSync("mount", ["-t", "tmpfs", "tmpfs", directory]).status === 0
  if (mounted) spawnSync("umount", [directory])
  Fs.rmdirSync(directory)
  if (!mounted && process.env["CI"] === "true") throw new Error("these tests must be able to mount a tmpfs")
  return mounted
})()

describe("the profile file between processes", () => {
  it.live("4 processes save 25 profiles each, and none is lost", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make()
      const repo = yield* repository(directory)
      const script = yield* bundle
      const prefixes = ["a", "b", "c", "d"]
      const children = yield* Effect.forEach(prefixes, (prefix) => saver(script, directory, prefix, 25), {
        concurrency: "unbounded"
      })
      const sizes = yield* Queue.unbounded<number>()
      const complete = yield* repo.changes.pipe(
        Stream.map((list) => list.length),
        Stream.tap((size) => Queue.offer(sizes, size)),
        Stream.takeUntil((size) => size === 100),
        Stream.runDrain,
        Effect.forkChild
      )
      assert.strictEqual(yield* Queue.take(sizes), 0)
      yield* Effect.forEach(children, (child) => child.write("go\n"), { discard: true })
      for (const child of children) {
        assert.deepStrictEqual(yield* child.exit, { code: 0, signal: undefined }, yield* child.stderr.text)
      }
      const expected = prefixes.flatMap((prefix) => Array.from({ length: 25 }, (_, index) => `${prefix}-${index}`))
      assert.deepStrictEqual(ids(yield* repo.list).sort(), expected.sort())
      // Seen from here: every version was whole, and each added something.
      yield* Fiber.join(complete)
      const seen = yield* Queue.takeAll(sizes)
      assert.isTrue(seen.every((size, index) => index === 0 || size > (seen[index - 1] ?? 0)), seen.join())
      assert.deepStrictEqual(yield* entries(directory), ["ssh-profiles.json"])
    }))

  it.live("50 processes are killed while they save: nothing torn, nothing lost, nobody waits for the dead", () =>
    Effect.gen(function*() {
      const kills = 50
      const script = yield* bundle
      const directory = yield* TempDirectory.make()
      const repo = yield* repository(directory)
      const acknowledged = yield* Ref.make<ReadonlyArray<string>>([])
      const check = Effect.gen(function*() {
        const promised = yield* Ref.get(acknowledged)
        const parsed = parse(Fs.readFileSync(`${directory}/ssh-profiles.json`, "utf8"))
        assert.isTrue(Result.isSuccess(parsed), "torn")
        const there = new Set(ids(yield* repo.list))
        assert.deepStrictEqual(promised.filter((id) => !there.has(id)), [], "lost")
      })
      const life = (number: number) =>
        Effect.scoped(Effect.gen(function*() {
          const child = yield* saver(script, directory, `k${number}`, 1_000)
          yield* child.write("go\n")
          yield* child.stdout.waitFor(`k${number}-${number % 3}`)
          // Any moment of a save, which takes a few milliseconds.
          yield* Effect.sleep(Math.random() * 10)
          yield* child.kill("SIGKILL")
          yield* child.exit
          yield* child.stdout.ended
          const lines = yield* child.stdout.lines
          yield* Ref.update(acknowledged, (all) => [...all, ...lines.filter((line) => /^k\d+-\d+$/.test(line))])
          yield* check
        }))
      yield* Effect.forEach(Array.from({ length: kills }, (_, number) => number), life, {
        concurrency: 3,
        discard: true
      })
      assert.isAtLeast((yield* Ref.get(acknowledged)).length, kills)
      yield* repo.save(profile("last"))
      yield* check
      assert.deepStrictEqual(yield* entries(directory), ["ssh-profiles.json"])
    }))

  it.live.skipIf(!canMount)(
    "a full disk and a read-only one: a typed error, and the old profiles",
    () =>
      Effect.gen(function*() {
        const directory = yield* TempDirectory.make()
        const mount = (...args: ReadonlyArray<string>) =>
          Effect.tap(
            Process.run("mount", [...args, directory]),
            ({ code, stderr }) => Effect.sync(() => assert.strictEqual(code, 0, stderr))
          )
        yield* Effect.acquireRelease(
          mount("-t", "tmpfs", "-o", "size=64k", "tmpfs"),
          () => Effect.ignore(Process.run("umount", ["-l", directory]))
        )
        const fs = yield* FileSystem.FileSystem
        const repo = yield* repository(directory)
        yield* repo.save(profile("a"))
        const expectRefused = Effect.gen(function*() {
          const before = yield* fs.readFileString(`${directory}/ssh-profiles.json`)
          const left = yield* entries(directory)
          const { reason } = yield* Effect.flip(repo.save(profile("b")))
          assert.strictEqual(reason._tag, "ProfileStoreUnwritable")
          assert.strictEqual(yield* fs.readFileString(`${directory}/ssh-profiles.json`), before)
          assert.deepStrictEqual(yield* entries(directory), left)
          assert.deepStrictEqual(ids(yield* repo.list), ["a"])
          return reason.message
        })
        const filler = `${directory}/filler`
        // Pages fill up before names do, so the directory of the lock can still be made.
        yield* Effect.ignore(fs.writeFile(filler, new Uint8Array(1024 * 1024)))
        assert.match(yield* expectRefused, /ENOSPC/)
        yield* fs.remove(filler)
        yield* mount("-o", "remount,ro")
        assert.match(yield* expectRefused, /EROFS/)
        yield* mount("-o", "remount,rw")
        yield* repo.save(profile("b"))
        assert.deepStrictEqual(ids(yield* repo.list), ["a", "b"])
      }).pipe(Effect.provide(NodeServices.layer))
  )
})
