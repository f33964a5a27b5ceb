import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, Fiber, FileSystem, Queue, Stream } from "effect"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import { profile } from "../ProfileFixtures.ts"
import { acknowledgedBy, bundle, entries, ids, killSavers, repository, saver } from "./support/profileSaves.ts"

/** Whether this process may mount a file system, to fill it up and to make it read-only. */
const canMount = (() => {
  const directory = Fs.mkdtempSync(`${Os.tmpdir()}/mount-`)
  const mounted = spawnSync("mount", ["-t", "tmpfs", "tmpfs", directory]).status === 0
  if (mounted) spawnSync("umount", [directory])
  Fs.rmdirSync(directory)
  if (!mounted && process.env["CI"] === "true") throw new Error("these tests must be able to mount a tmpfs")
  return mounted
})()

/** Mounts a tmpfs of 64 KiB there, until the scope ends; mounts it again with other options. */
const smallDisk = Effect.fnUntraced(function*(directory: string) {
  const mount = (...args: ReadonlyArray<string>) =>
    Effect.tap(
      Process.run("mount", [...args, directory]),
      ({ code, stderr }) => Effect.sync(() => assert.strictEqual(code, 0, stderr))
    )
  yield* Effect.acquireRelease(
    mount("-t", "tmpfs", "-o", "size=64k", "tmpfs"),
    () => Effect.ignore(Process.run("umount", ["-l", directory]))
  )
  return mount
})

describe("the profile file between processes", () => {
  it.live("8 processes save 15 profiles each, and none is lost", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make()
      const repo = yield* repository(directory)
      const script = yield* bundle
      const prefixes = ["a", "b", "c", "d", "e", "f", "g", "h"]
      const children = yield* Effect.forEach(prefixes, (prefix) => saver(script, directory, prefix, 15), {
        concurrency: "unbounded"
      })
      const sizes = yield* Queue.unbounded<number>()
      const complete = yield* repo.changes.pipe(
        Stream.map((list) => list.length),
        Stream.tap((size) => Queue.offer(sizes, size)),
        Stream.takeUntil((size) => size === 120),
        Stream.runDrain,
        Effect.forkChild
      )
      assert.strictEqual(yield* Queue.take(sizes), 0)
      yield* Effect.forEach(children, (child) => child.write("go\n"), { discard: true })
      for (const child of children) {
        assert.deepStrictEqual(yield* child.exit, { code: 0, signal: undefined }, yield* child.stderr.text)
      }
      const expected = prefixes.flatMap((prefix) => Array.from({ length: 15 }, (_, index) => `${prefix}-${index}`))
      assert.deepStrictEqual(ids(yield* repo.list).sort(), expected.sort())
      // Seen from here: every version was whole, and each added something.
      yield* Fiber.join(complete)
      const seen = yield* Queue.takeAll(sizes)
      assert.isTrue(seen.every((size, index) => index === 0 || size > (seen[index - 1] ?? 0)), seen.join())
      assert.deepStrictEqual(yield* entries(directory), ["ssh-profiles.json"])
    }))

  it.live("30 processes are killed while they save: nothing torn, nothing lost, nobody waits for the dead", () =>
    killSavers(30, { linked: false }))

  it.live("20 more, when the file is a symbolic link: the same, and the link stays", () =>
    killSavers(20, { linked: true }))

  it.live.skipIf(!canMount)(
    "a full disk and a read-only one: a typed error, and the old profiles",
    () =>
      Effect.gen(function*() {
        const directory = yield* TempDirectory.make()
        const mount = yield* smallDisk(directory)
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

  it.live.skipIf(!canMount)(
    "a disk that fills up while 3 processes save: some are refused, none of the others is lost",
    () =>
      Effect.gen(function*() {
        const directory = yield* TempDirectory.make()
        const script = yield* bundle
        yield* smallDisk(directory)
        const children = yield* Effect.forEach(["a", "b", "c"], (prefix) => saver(script, directory, prefix, 120), {
          concurrency: "unbounded"
        })
        yield* Effect.forEach(children, (child) => child.write("go\n"), { discard: true })
        for (const child of children) {
          assert.deepStrictEqual(yield* child.exit, { code: 0, signal: undefined }, yield* child.stderr.text)
        }
        const lines = (yield* Effect.forEach(children, ({ stdout }) => stdout.lines)).flat()
        const refused = lines.filter((line) => line.startsWith("refused"))
        assert.isNotEmpty(refused)
        assert.deepStrictEqual([...new Set(refused)], ["refused ProfileStoreUnwritable"])
        const saved = (yield* Effect.forEach(children, acknowledgedBy)).flat()
        assert.isNotEmpty(saved)
        assert.deepStrictEqual(ids(yield* (yield* repository(directory)).list).sort(), saved.sort())
        assert.deepStrictEqual(yield* entries(directory), ["ssh-profiles.json"])
      })
  )
})
