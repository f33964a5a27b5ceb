import { assert, it } from "@effect/vitest"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Credentials } from "@opencode-ai/ssh-tunnel/Credentials"
import { CredentialStore } from "@opencode-ai/ssh-tunnel/CredentialStore"
import { DataDirectory } from "@opencode-ai/ssh-tunnel/DataDirectory"
import { layerPlatform } from "@opencode-ai/ssh-tunnel/node"
import { Deferred, Effect, Fiber, FileSystem, Layer, Logger, Option, PlatformError, Redacted } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as SafeStorage from "../src/SafeStorage.ts"
import * as World from "./support/World.ts"

const { id } = World
const secret = "correct horse \u{1f40e}"
const credentials = new Credentials({ username: "me", password: Redacted.make(secret) })

/** Turns bytes round; enough to see that nothing is written as it is. */
const turned = (bytes: Uint8Array) => bytes.map((byte) => byte ^ 0xa5)
const storage: SafeStorage.SafeStorage = {
  isEncryptionAvailable: () => true,
  encryptString: (text) => turned(new TextEncoder().encode(text)),
  decryptString: (bytes) => new TextDecoder("utf-8", { fatal: true }).decode(turned(bytes))
}

/** What one start of the application does with passwords. */
const start = <A>(
  directory: string,
  use: (store: CredentialStore["Service"]) => Effect.Effect<A>,
  safe: SafeStorage.SafeStorage = storage,
  change: (fs: FileSystem.FileSystem) => Partial<FileSystem.FileSystem> = () => ({})
) =>
  CredentialStore.use(use).pipe(
    Effect.provide(
      SafeStorage.layer(safe).pipe(
        Layer.provide(DataDirectory.layerAt(directory)),
        Layer.provide(Layer.merge(
          layerPlatform,
          Layer.effect(FileSystem.FileSystem, Effect.map(FileSystem.FileSystem, (fs) => ({ ...fs, ...change(fs) })))
            .pipe(Layer.provide(layerPlatform))
        ))
      )
    )
  )
const get = (name: string) => (store: CredentialStore["Service"]) =>
  Effect.map(store.get(id(name)), Option.map(({ password, username }) => [username, Redacted.value(password)]))
const set = (name: string) => (store: CredentialStore["Service"]) => store.set(id(name), credentials)
const files = (directory: string) =>
  Fs.existsSync(Path.join(directory, "ssh-credentials"))
    ? Fs.readdirSync(Path.join(directory, "ssh-credentials")).sort()
    : []

it.live("a password is there at the next start, and nowhere as it is", () =>
  Effect.gen(function*() {
    const directory = yield* TempDirectory.make()
    yield* start(directory, set("box"))
    assert.deepStrictEqual(yield* start(directory, get("box")), Option.some(["me", secret]))
    assert.isTrue(Option.isNone(yield* start(directory, get("other"))))
    // With the server that it is for.
    const bound = new Credentials({ ...credentials, server: "there" })
    yield* start(directory, (store) => store.set(id("box"), bound))
    assert.deepStrictEqual(yield* start(directory, (store) => store.get(id("box"))), Option.some(bound))
    const [file = ""] = files(directory)
    const path = Path.join(directory, "ssh-credentials", file)
    const bytes = Fs.readFileSync(path)
    assert.notInclude(bytes.toString("latin1"), Buffer.from(secret).toString("latin1"))
    assert.strictEqual(Fs.statSync(path).mode & 0o777, 0o600)
    yield* start(directory, (store) => store.remove(id("box")))
    assert.isTrue(Option.isNone(yield* start(directory, get("box"))))
    assert.deepStrictEqual(files(directory), [])
  }).pipe(Effect.scoped))

it.live("ids that differ in case only are two, and a file under another name is nobody's password", () =>
  Effect.gen(function*() {
    const directory = yield* TempDirectory.make()
    yield* start(directory, set("Box"))
    assert.isTrue(Option.isNone(yield* start(directory, get("box"))))
    assert.strictEqual(new Set(files(directory).map((name) => name.toLowerCase())).size, 1)
    yield* start(directory, set("box"))
    assert.strictEqual(new Set(files(directory).map((name) => name.toLowerCase())).size, 2)
    const place = Path.join(directory, "ssh-credentials")
    Fs.copyFileSync(Path.join(place, "box"), Path.join(place, "thief"))
    assert.isTrue(Option.isNone(yield* start(directory, get("thief"))))
  }).pipe(Effect.scoped))

it.live("without encryption nothing is written, and what was written before does not come back", () =>
  Effect.gen(function*() {
    const directory = yield* TempDirectory.make()
    for (
      const unsafe of [
        { ...storage, isEncryptionAvailable: () => false },
        { ...storage, getSelectedStorageBackend: () => "basic_text" }
      ]
    ) {
      yield* start(directory, set("box"))
      assert.strictEqual(files(directory).length, 1)
      const seen = yield* start(directory, (store) => Effect.andThen(set("box")(store), get("box")(store)), unsafe)
      assert.deepStrictEqual(seen, Option.some(["me", secret]), "it is known until the end")
      assert.deepStrictEqual(files(directory), [])
      assert.isTrue(Option.isNone(yield* start(directory, get("box"), unsafe)))
    }
  }).pipe(Effect.scoped))

it.live("a storage that throws costs the password, and its words go nowhere", () => {
  const logged: Array<unknown> = []
  return Effect.gen(function*() {
    const directory = yield* TempDirectory.make()
    const broken = {
      ...storage,
      encryptString: (text: string): Uint8Array => {
        throw new Error(text)
      },
      decryptString: (): string => {
        throw new Error(secret)
      }
    }
    yield* start(directory, set("box"), broken)
    assert.deepStrictEqual(files(directory), [])
    yield* start(directory, set("box"))
    assert.isTrue(Option.isNone(yield* start(directory, get("box"), broken)))
    assert.strictEqual(logged.length, 2)
    assert.notInclude(JSON.stringify(logged), "correct horse")
  }).pipe(Effect.scoped, Effect.provide(Logger.layer([Logger.make(({ message }) => void logged.push(message))])))
})

it.live("a password that is forgotten stays so, whatever was on its way", () =>
  Effect.gen(function*() {
    for (const slow of ["readFile", "rename"] as const) {
      const directory = yield* TempDirectory.make()
      if (slow === "readFile") yield* start(directory, set("box"))
      const reached = yield* Deferred.make<void>()
      const go = yield* Deferred.make<void>()
      const held = Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(go))
      yield* start(
        directory,
        (store) =>
          Effect.gen(function*() {
            const before = yield* Effect.forkChild(slow === "readFile" ? store.get(id("box")) : set("box")(store))
            yield* Deferred.await(reached)
            const forgetting = yield* Effect.forkChild(store.remove(id("box")), { startImmediately: true })
            yield* Deferred.succeed(go, undefined)
            yield* Fiber.join(before)
            yield* Fiber.join(forgetting)
            assert.isTrue(Option.isNone(yield* store.get(id("box"))), slow)
          }),
        storage,
        (fs) => ({
          readFile: (path) => Effect.andThen(slow === "readFile" ? held : Effect.void, fs.readFile(path)),
          rename: (from, to) => Effect.andThen(slow === "rename" ? held : Effect.void, fs.rename(from, to))
        })
      )
      assert.deepStrictEqual(files(directory), [])
      assert.isTrue(Option.isNone(yield* start(directory, get("box"))), slow)
    }
  }).pipe(Effect.scoped))

it.live("an old password does not come back when the new one cannot be stored, or when its file cannot be removed", () =>
  Effect.gen(function*() {
    const refused = Effect.fail(
      PlatformError.systemError({ _tag: "PermissionDenied", module: "FileSystem", method: "remove" })
    )
    const full = {
      ...storage,
      encryptString: (): Uint8Array => {
        throw new Error("the keychain is locked")
      }
    }
    const directory = yield* TempDirectory.make()
    yield* start(directory, set("box"))
    yield* start(directory, set("box"), full)
    assert.isTrue(Option.isNone(yield* start(directory, get("box"))))
    yield* start(directory, set("box"))
    yield* start(directory, (store) => store.remove(id("box")), storage, () => ({ remove: () => refused }))
    assert.isTrue(Option.isNone(yield* start(directory, get("box"))))
  }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))))
