import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, FileSystem, Layer, Option, Path, Queue, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { ConfigurationReason } from "../src/ConfigurationError.ts"
import { DataDirectory } from "../src/DataDirectory.ts"
import { LocalHost } from "../src/LocalHost.ts"
import * as NodeLocalHost from "../src/node/LocalHost.ts"
import type { Profile } from "../src/Profile.ts"
import { ProfileRepo } from "../src/ProfileRepo.ts"
import { plain, profile, profileId } from "./ProfileFixtures.ts"

const platform = Layer.mergeAll(NodeServices.layer, NodeLocalHost.layer)

/** Sees the length of each file that was read. */
class Reads extends Context.Service<Reads, { readonly reads: Queue.Queue<number> }>()("test/Reads") {
  static readonly layer = Layer.effect(Reads, Effect.map(Queue.sliding<number>(64), (reads) => ({ reads })))
}

const watchedReads = Layer.effect(
  FileSystem.FileSystem,
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const watcher = yield* Effect.serviceOption(Reads)
    return Option.match(watcher, {
      onNone: () => fs,
      onSome: ({ reads }) => ({
        ...fs,
        readFile: (path: string) => Effect.tap(fs.readFile(path), (bytes) => Queue.offer(reads, bytes.length))
      })
    })
  })
)

/** A repository in a directory of its own, which is made by the repository. */
const fileLayer = Layer.unwrap(Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = path.join(yield* fs.makeTempDirectoryScoped({ prefix: "profiles-" }), "data", "opencode")
  return ProfileRepo.layerNoDeps.pipe(Layer.provideMerge(DataDirectory.layerAt(directory)))
})).pipe(Layer.provideMerge(watchedReads), Layer.provideMerge(platform))

const reasonOf = <A, R>(effect: Effect.Effect<A, { readonly reason: ConfigurationReason }, R>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

const names = (profiles: ReadonlyArray<Profile>) => profiles.map(({ id }) => id as string)

const contract = (
  name: string,
  layer: Layer.Layer<ProfileRepo, unknown>,
  withProfiles: (
    initial: ReadonlyArray<Profile>
  ) => Layer.Layer<ProfileRepo, unknown>
) =>
  describe(name, () => {
    it.effect("starts empty", () =>
      Effect.gen(function*() {
        const repo = yield* ProfileRepo
        assert.deepStrictEqual(yield* repo.list, [])
        assert.deepStrictEqual(yield* repo.problems, [])
        assert.strictEqual((yield* reasonOf(repo.get(profileId("a"))))._tag, "ProfileNotFound")
      }).pipe(Effect.provide(layer)))

    it.effect("saves, replaces in place, removes", () =>
      Effect.gen(function*() {
        const repo = yield* ProfileRepo
        yield* repo.save(profile("a", { user: "me" }))
        yield* repo.save(profile("b"))
        yield* repo.save(profile("c"))
        yield* repo.save(profile("b", { port: 2222 }))
        yield* repo.save(profile("a"))
        assert.deepStrictEqual(yield* repo.list, [profile("a"), profile("b", { port: 2222 }), profile("c")])
        assert.deepStrictEqual(yield* repo.get(profileId("b")), profile("b", { port: 2222 }))
        yield* repo.remove(profileId("b"))
        assert.deepStrictEqual(names(yield* repo.list), ["a", "c"])
        assert.strictEqual((yield* reasonOf(repo.remove(profileId("b"))))._tag, "ProfileNotFound")
        assert.strictEqual((yield* reasonOf(repo.get(profileId("b"))))._tag, "ProfileNotFound")
      }).pipe(Effect.provide(layer)))

    it.effect("refuses a profile that breaks a rule, and keeps what it has", () =>
      Effect.gen(function*() {
        const repo = yield* ProfileRepo
        const reason = yield* reasonOf(repo.save(Object.assign(profile("a"), { host: "-oProxyCommand=x" })))
        assert.isTrue(reason._tag === "InvalidProfile" && reason.path === "host")
        assert.deepStrictEqual(names(yield* repo.list), ["z"])
      }).pipe(Effect.provide(withProfiles([profile("z")]))))

    it.effect("loses none of many saves at once", () =>
      Effect.gen(function*() {
        const repo = yield* ProfileRepo
        const ids = Array.from({ length: 30 }, (_, index) => `p${index}`)
        yield* Effect.forEach(ids, (id) => repo.save(profile(id)), { concurrency: "unbounded", discard: true })
        assert.deepStrictEqual(names(yield* repo.list).sort(), ids.toSorted())
      }).pipe(Effect.provide(layer)))

    it.effect("changes begin with the list and report each change once", () =>
      Effect.gen(function*() {
        const repo = yield* ProfileRepo
        const seen = yield* Queue.unbounded<ReadonlyArray<string>>()
        yield* repo.changes.pipe(
          Stream.runForEach((profiles) => Queue.offer(seen, names(profiles))),
          Effect.forkScoped
        )
        assert.deepStrictEqual(yield* Queue.take(seen), ["z"])
        yield* repo.save(profile("a"))
        assert.deepStrictEqual(yield* Queue.take(seen), ["z", "a"])
        yield* repo.save(profile("a"))
        yield* repo.save(profile("a"))
        yield* repo.remove(profileId("z"))
        assert.deepStrictEqual(yield* Queue.take(seen), ["a"])
        yield* repo.remove(profileId("a"))
        assert.deepStrictEqual(yield* Queue.take(seen), [])
        assert.strictEqual(yield* Queue.size(seen), 0)
      }).pipe(Effect.provide(withProfiles([profile("z")]))))
  })

const saved = (initial: ReadonlyArray<Profile>) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const repo = yield* ProfileRepo
    for (const one of initial) yield* repo.save(one)
  }))

contract("ProfileRepo in memory", ProfileRepo.layerMemory(), ProfileRepo.layerMemory)
contract("ProfileRepo in a file", fileLayer, (initial) => Layer.provideMerge(saved(initial), fileLayer))

/** A file repository with the means to look at its file. */
const withFile = Effect.gen(function*() {
  const repo = yield* ProfileRepo
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = (yield* DataDirectory).path
  const file = path.join(directory, "ssh-profiles.json")
  const write = (text: string | Uint8Array) =>
    fs.makeDirectory(directory, { recursive: true }).pipe(
      Effect.andThen(fs.writeFile(file, typeof text === "string" ? new TextEncoder().encode(text) : text))
    )
  return { repo, fs, path, directory, file, write, read: fs.readFileString(file), entries: fs.readDirectory(directory) }
})

const modeOf = (fs: FileSystem.FileSystem, path: string) =>
  Effect.map(fs.stat(path), ({ mode }) => (mode & 0o777).toString(8))

describe("the profile file", () => {
  it.effect("is private, in private directories, and alone", () =>
    Effect.gen(function*() {
      const { directory, entries, file, fs, path, repo } = yield* withFile
      yield* repo.save(profile("a"))
      assert.strictEqual(yield* modeOf(fs, file), "600")
      assert.strictEqual(yield* modeOf(fs, directory), "700")
      assert.strictEqual(yield* modeOf(fs, path.dirname(directory)), "700")
      assert.deepStrictEqual(yield* entries, ["ssh-profiles.json"])
    }).pipe(Effect.provide(fileLayer)))

  it.effect("becomes private when it was not, and is left alone when nothing changes", () =>
    Effect.gen(function*() {
      const { file, fs, read, repo, write } = yield* withFile
      const text = `{"profiles":[${JSON.stringify(plain(profile("a")))}],"version":1}`
      yield* write(text)
      yield* fs.chmod(file, 0o644)
      yield* repo.save(profile("a"))
      assert.strictEqual(yield* read, text)
      yield* repo.save(profile("b"))
      assert.strictEqual(yield* modeOf(fs, file), "600")
    }).pipe(Effect.provide(fileLayer)))

  it.effect("keeps what we do not know", () =>
    Effect.gen(function*() {
      const { read, repo, write } = yield* withFile
      const invalid = { ...plain(profile("bad")) as object, host: "a b" }
      const valid = { ...plain(profile("a")) as object, color: "red" }
      yield* write(JSON.stringify({ version: 1, "x-top": [1], profiles: [invalid, valid, 7] }))
      assert.deepStrictEqual(yield* repo.list, [profile("a")])
      assert.deepStrictEqual((yield* repo.problems).map(({ id, index }) => [index, id]), [[0, "bad"], [2, undefined]])
      const reason = yield* reasonOf(repo.get(profileId("bad")))
      assert.isTrue(reason._tag === "InvalidProfile" && reason.path === "host")
      yield* repo.save(profile("a", { name: "New" }))
      yield* repo.save(profile("b"))
      assert.deepStrictEqual(JSON.parse(yield* read), {
        version: 1,
        "x-top": [1],
        profiles: [invalid, { ...valid, name: "New" }, 7, plain(profile("b"))]
      })
      yield* repo.remove(profileId("bad"))
      assert.deepStrictEqual(names(yield* repo.list), ["a", "b"])
    }).pipe(Effect.provide(fileLayer)))

  it.effect("of a later format is read but not written", () =>
    Effect.gen(function*() {
      const { entries, read, repo, write } = yield* withFile
      const text = JSON.stringify({ version: 2, profiles: [plain(profile("a")), { group: [] }] })
      yield* write(text)
      assert.deepStrictEqual(yield* repo.list, [profile("a")])
      for (const effect of [repo.save(profile("b")), repo.remove(profileId("a"))]) {
        const reason = yield* reasonOf(effect)
        assert.isTrue(reason._tag === "ProfileStoreUnwritable" && /format 2/.test(reason.detail), reason.message)
      }
      assert.strictEqual(yield* read, text)
      const strange = JSON.stringify({ version: 3, groups: {} })
      yield* write(strange)
      for (const effect of [repo.list, repo.save(profile("b")), repo.list]) {
        const reason = yield* reasonOf(effect)
        assert.isTrue(reason._tag === "ProfileStoreUnreadable" && reason.keptAs === undefined, reason.message)
      }
      assert.strictEqual(yield* read, strange)
      assert.deepStrictEqual(yield* entries, ["ssh-profiles.json"])
    }).pipe(Effect.provide(fileLayer)))

  it.effect("when corrupt is kept aside and reported once, and the next save goes on", () =>
    Effect.gen(function*() {
      const { entries, file, fs, path, read, repo, write } = yield* withFile
      yield* TestClock.setTime(Date.UTC(2026, 0, 2, 3, 4, 5, 678))
      // Not even text: the copy must hold the same bytes.
      const bytes = new Uint8Array([0x7b, 0xff, 0x00, 0x80])
      yield* write(bytes)
      // Another reader is about to keep the same: its name is not there yet, and may never be.
      const unfinished = `${file}.corrupt-2026-01-02T03-04-05-000Z.tmp-0123456789abcdef`
      yield* fs.writeFile(unfinished, bytes)
      const first = yield* reasonOf(repo.list)
      const keptAs = `${file}.corrupt-2026-01-02T03-04-05-678Z`
      assert.isTrue(first._tag === "ProfileStoreUnreadable" && first.keptAs === keptAs, first.message)
      assert.deepStrictEqual(yield* fs.readFile(file), bytes)
      assert.deepStrictEqual(yield* repo.list, [])
      yield* repo.save(profile("a"))
      assert.deepStrictEqual(yield* repo.list, [profile("a")])
      assert.deepStrictEqual(yield* fs.readFile(keptAs), bytes)
      assert.strictEqual(yield* modeOf(fs, keptAs), "600")

      // Without a look before it: the save itself says so first, and writes nothing.
      yield* write("{")
      const second = yield* reasonOf(repo.save(profile("b")))
      assert.isTrue(second._tag === "ProfileStoreUnreadable" && second.keptAs === `${keptAs}-1`, second.message)
      assert.strictEqual(yield* read, "{")
      yield* repo.save(profile("b"))
      assert.deepStrictEqual(names(yield* repo.list), ["b"])
      assert.deepStrictEqual(
        (yield* entries).sort(),
        [file, unfinished, keptAs, `${keptAs}-1`].map((name) => path.basename(name))
      )
    }).pipe(Effect.provide(fileLayer)))

  it.effect("when empty holds no profiles, and there is nothing to keep", () =>
    Effect.gen(function*() {
      const { entries, repo, write } = yield* withFile
      yield* write("")
      assert.deepStrictEqual(yield* repo.list, [])
      yield* repo.save(profile("a"))
      assert.deepStrictEqual(yield* entries, ["ssh-profiles.json"])
    }).pipe(Effect.provide(fileLayer)))

  it.effect("stays a symbolic link, whose target is replaced", () =>
    Effect.gen(function*() {
      const { directory, entries, file, fs, path, repo } = yield* withFile
      const dotfiles = path.join(yield* fs.makeTempDirectoryScoped(), "dotfiles")
      yield* fs.makeDirectory(path.join(dotfiles, "opencode"), { recursive: true })
      yield* fs.makeDirectory(path.dirname(directory), { recursive: true })
      // The directory is a link as well, so that `..` must count from its real place.
      yield* fs.symlink(path.join(dotfiles, "opencode"), directory)
      yield* fs.symlink("../profiles.json", file)
      const target = path.join(dotfiles, "profiles.json")
      assert.deepStrictEqual(yield* repo.list, [])
      yield* repo.save(profile("a"))
      yield* repo.save(profile("b"))
      assert.deepStrictEqual(names(yield* repo.list), ["a", "b"])
      assert.strictEqual((yield* fs.lstat(target)).type, "File")
      assert.strictEqual(yield* fs.readLink(file), "../profiles.json")
      assert.deepStrictEqual(yield* entries, ["ssh-profiles.json"])
      assert.deepStrictEqual((yield* fs.readDirectory(dotfiles)).sort(), ["opencode", "profiles.json"])
    }).pipe(Effect.provide(fileLayer)))

  it.effect("that is no file is never replaced", () =>
    Effect.gen(function*() {
      const { directory, file, fs, path, repo } = yield* withFile
      const expectUnusable = Effect.gen(function*() {
        const read = yield* reasonOf(repo.list)
        assert.strictEqual(read._tag, "ProfileStoreUnreadable", read.message)
        const write = yield* reasonOf(repo.save(profile("a")))
        assert.strictEqual(write._tag, "ProfileStoreUnwritable", write.message)
      })
      yield* fs.makeDirectory(path.join(file, "inside"), { recursive: true })
      yield* expectUnusable
      yield* fs.access(path.join(file, "inside"))
      yield* fs.remove(file, { recursive: true })
      yield* fs.symlink("/dev/null", file)
      yield* expectUnusable
      assert.strictEqual((yield* fs.stat("/dev/null")).type, "CharacterDevice")
      yield* fs.remove(file)
      yield* fs.symlink(path.basename(file), file)
      yield* expectUnusable
      yield* fs.remove(directory, { recursive: true })
      yield* fs.writeFileString(directory, "a file where the directory should be")
      yield* expectUnusable
    }).pipe(Effect.provide(fileLayer)))

  it.live("reports what another program writes, once, and survives its ways of saving", () =>
    Effect.gen(function*() {
      const { entries, file, fs, repo, write } = yield* withFile
      const { reads } = yield* Reads
      const text = (...ids: ReadonlyArray<string>) =>
        JSON.stringify({ version: 1, profiles: ids.map((id) => plain(profile(id))) })
      const seen = yield* Queue.unbounded<ReadonlyArray<string>>()
      yield* repo.changes.pipe(
        Stream.runForEach((profiles) => Queue.offer(seen, names(profiles))),
        Effect.forkScoped
      )
      assert.deepStrictEqual(yield* Queue.take(seen), [])
      yield* write(text("a"))
      assert.deepStrictEqual(yield* Queue.take(seen), ["a"])
      // Moved away, written anew: as vim does. Between the two there is no file, which a busy machine has time to see.
      yield* fs.rename(file, `${file}~`)
      yield* write(text("a", "b"))
      const between = yield* Queue.take(seen)
      assert.deepStrictEqual(between.length === 0 ? yield* Queue.take(seen) : between, ["a", "b"])
      // Atomically replaced.
      yield* fs.writeFileString(`${file}.new`, text("c"))
      yield* fs.rename(`${file}.new`, file)
      assert.deepStrictEqual(yield* Queue.take(seen), ["c"])
      // Written in two pieces, and we looked twice in between: half a file is no list.
      yield* write(text("c", "d").slice(0, 30))
      yield* Queue.take(reads).pipe(Effect.repeat({ until: (length) => length === 30 }))
      yield* Queue.take(reads).pipe(Effect.repeat({ until: (length) => length === 30 }))
      yield* write(text("c", "d"))
      assert.deepStrictEqual(yield* Queue.take(seen), ["c", "d"])
      assert.notInclude((yield* entries).join(), "corrupt")
      // Another entry that is no profile: who watches must ask for `problems` again.
      yield* write(JSON.stringify({ version: 1, profiles: [plain(profile("c")), plain(profile("d")), { id: "e" }] }))
      assert.deepStrictEqual(yield* Queue.take(seen), ["c", "d"])
      assert.deepStrictEqual((yield* repo.problems).map(({ id }) => id), ["e"])
      yield* fs.remove(file)
      assert.deepStrictEqual(yield* Queue.take(seen), [])
      assert.strictEqual(yield* Queue.size(seen), 0)
    }).pipe(Effect.provide(Layer.provideMerge(fileLayer, Reads.layer))))

  it.live("reports changes behind a symbolic link, also after it was turned", () =>
    Effect.gen(function*() {
      const { directory, file, fs, path, repo } = yield* withFile
      const elsewhere = yield* fs.makeTempDirectoryScoped()
      const target = (name: string) => path.join(elsewhere, name)
      const text = (id: string) => JSON.stringify({ version: 1, profiles: [plain(profile(id))] })
      yield* fs.makeDirectory(directory, { recursive: true })
      yield* fs.writeFileString(target("one"), text("a"))
      yield* fs.writeFileString(target("two"), text("b"))
      yield* fs.symlink(target("one"), file)
      const seen = yield* Queue.unbounded<ReadonlyArray<string>>()
      yield* repo.changes.pipe(
        Stream.runForEach((profiles) => Queue.offer(seen, names(profiles))),
        Effect.forkScoped
      )
      assert.deepStrictEqual(yield* Queue.take(seen), ["a"])
      yield* fs.symlink(target("two"), `${file}.new`)
      yield* fs.rename(`${file}.new`, file)
      assert.deepStrictEqual(yield* Queue.take(seen), ["b"])
      yield* fs.writeFileString(target("two"), text("c"))
      assert.deepStrictEqual(yield* Queue.take(seen), ["c"])
    }).pipe(Effect.provide(fileLayer)))

  it.effect("changes fail at the start only, and then begin without profiles", () =>
    Effect.gen(function*() {
      const { repo, write } = yield* withFile
      yield* write("{")
      const reason = yield* reasonOf(Stream.runHead(repo.changes))
      assert.strictEqual(reason._tag, "ProfileStoreUnreadable")
      assert.deepStrictEqual(yield* Stream.runHead(repo.changes), Option.some([]))
    }).pipe(Effect.provide(fileLayer)))
})

const mocked = (
  environment: Readonly<Record<string, string>>,
  host: { readonly platform?: "posix" | "windows"; readonly system?: string }
) => ({
  platform: "posix" as const,
  system: "linux 6.1",
  runtime: "node 24",
  environment,
  home: "/home/me",
  username: "me",
  uid: 1000,
  temporaryDirectory: "/tmp",
  self: { pid: 1, startTime: "1" },
  ...host
})

describe("DataDirectory", () => {
  const at = (
    environment: Readonly<Record<string, string>>,
    host: { readonly platform?: "posix" | "windows"; readonly system?: string } = {}
  ) =>
    Effect.map(DataDirectory, ({ path }) => path).pipe(
      Effect.provide(
        DataDirectory.layer.pipe(
          Layer.provide(Layer.mock(LocalHost, mocked(environment, host))),
          Layer.provide(NodeServices.layer)
        )
      )
    )

  it.effect("follows the environment, then the platform", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* at({}), "/home/me/.local/share/opencode")
      assert.strictEqual(yield* at({ HOME: "/other" }), "/other/.local/share/opencode")
      assert.strictEqual(yield* at({ XDG_DATA_HOME: "/x d" }), "/x d/opencode")
      assert.strictEqual(yield* at({ XDG_DATA_HOME: "relative" }), "/home/me/.local/share/opencode")
      assert.strictEqual(yield* at({ XDG_DATA_HOME: "/x", OPENCODE_SSH_DATA_DIR: "/data" }), "/data")
      assert.strictEqual(yield* at({ OPENCODE_SSH_DATA_DIR: "" }), "/home/me/.local/share/opencode")
      assert.strictEqual(yield* at({}, { system: "darwin 24.1.0" }), "/home/me/Library/Application Support/opencode")
      assert.strictEqual(
        yield* at({ APPDATA: "C:\\Users\\me\\AppData\\Roaming" }, { platform: "windows", system: "win32 10" }),
        "C:\\Users\\me\\AppData\\Roaming\\opencode"
      )
    }))
})
