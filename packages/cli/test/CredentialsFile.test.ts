import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { Credentials } from "@opencode-ai/ssh-tunnel/Credentials"
import { Effect, Exit, FileSystem, Option, Redacted, Scope } from "effect"
import * as CredentialsFile from "../src/CredentialsFile.ts"
import { connected, connecting, makeWorld, since } from "./harness.ts"

const endpoint = {
  url: "http://127.0.0.1:41234",
  credentials: Option.some(new Credentials({ username: "opencode", password: Redacted.make("s3cret \"✓\"") }))
}
const open = { url: "http://127.0.0.1:41234", credentials: Option.none() }

const inDirectory = <A, E>(
  test: (
    directory: string,
    fs: FileSystem.FileSystem
  ) => Effect.Effect<A, E, FileSystem.FileSystem | NodeServices.NodeServices | Scope.Scope>
) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    return yield* test(yield* fs.makeTempDirectoryScoped(), fs)
  }).pipe(Effect.provide(NodeServices.layer))

const modeOf = (info: FileSystem.File.Info) => info.mode & 0o7777

it.effect("is written whole, for its owner alone, replaced as a whole, and removed at the end", () =>
  inDirectory((directory, fs) =>
    Effect.gen(function*() {
      const path = `${directory}/credentials.json`
      const scope = yield* Scope.make()
      const file = yield* Scope.provide(CredentialsFile.make(path), scope)
      assert.isFalse(yield* fs.exists(path))
      yield* file.write(endpoint)
      const first = yield* fs.lstat(path)
      assert.strictEqual(modeOf(first), 0o600)
      assert.deepStrictEqual(JSON.parse(yield* fs.readFileString(path)), {
        url: "http://127.0.0.1:41234",
        username: "opencode",
        password: "s3cret \"✓\""
      })
      yield* file.write(open)
      const second = yield* fs.lstat(path)
      assert.notDeepEqual(second.ino, first.ino)
      assert.strictEqual(modeOf(second), 0o600)
      assert.deepStrictEqual(JSON.parse(yield* fs.readFileString(path)), { url: "http://127.0.0.1:41234" })
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["credentials.json"])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* fs.readDirectory(directory), [])
    })
  ))

it.effect("takes the place of an empty file and of what an earlier run left", () =>
  inDirectory((directory, fs) =>
    Effect.gen(function*() {
      const path = `${directory}/credentials.json`
      for (const before of ["", "{\"url\":\"http://127.0.0.1:1\",\"username\":\"a\",\"password\":\"b\"}\n"]) {
        yield* fs.writeFileString(path, before, { mode: 0o644 })
        yield* Effect.scoped(Effect.gen(function*() {
          const file = yield* CredentialsFile.make(path)
          yield* file.write(endpoint)
          assert.strictEqual(modeOf(yield* fs.lstat(path)), 0o600)
        }))
        assert.isFalse(yield* fs.exists(path))
      }
    })
  ))

it.effect("touches nothing else: links, directories, other files, missing directories", () =>
  inDirectory((directory, fs) =>
    Effect.gen(function*() {
      const other = `${directory}/other`
      yield* fs.writeFileString(other, "precious")
      yield* fs.symlink(other, `${directory}/link`)
      yield* fs.symlink(`${directory}/nowhere`, `${directory}/dangling`)
      yield* fs.writeFileString(`${directory}/big`, "x".repeat(70_000))
      for (const name of ["other", "link", "dangling", "big", "."]) {
        const refused = yield* Effect.flip(Effect.scoped(CredentialsFile.make(`${directory}/${name}`)))
        assert.strictEqual(refused._tag, "UsageError", name)
      }
      const missing = yield* Effect.scoped(
        Effect.flatMap(CredentialsFile.make(`${directory}/none/f`), (file) => Effect.flip(file.write(endpoint)))
      )
      assert.include(missing.message, "directory does not exist")
      assert.strictEqual(yield* fs.readFileString(other), "precious")
      assert.isFalse(yield* fs.exists(`${directory}/nowhere`))
    })
  ))

it.effect("a link that appears later is refused, and a stranger's file is not removed", () =>
  inDirectory((directory, fs) =>
    Effect.gen(function*() {
      const path = `${directory}/credentials.json`
      yield* Effect.scoped(Effect.gen(function*() {
        const file = yield* CredentialsFile.make(path)
        yield* file.write(endpoint)
        yield* fs.remove(path)
        yield* fs.symlink(`${directory}/victim`, path)
        assert.include((yield* Effect.flip(file.write(endpoint))).message, "symbolic link")
      }))
      assert.strictEqual(yield* fs.readLink(path), `${directory}/victim`)
      assert.isFalse(yield* fs.exists(`${directory}/victim`))
    })
  ))

it.effect("connect has it ready before it says so, follows a new URL, and leaves nothing", () =>
  inDirectory((directory, fs) =>
    Effect.gen(function*() {
      const path = `${directory}/c.json`
      const seen = `${directory}/seen`
      const lost = ConnectionState.cases.Connecting.make({ step: "starting", since })
      const { cli } = yield* makeWorld({
        script: {
          states: [connecting("connecting"), connected(), lost, connected({ url: "http://127.0.0.1:5" })],
          credentials: Option.getOrThrow(endpoint.credentials)
        }
      })
      const { code, stderr } = yield* cli(
        "connect",
        "box",
        "--json",
        "--credentials-file",
        path,
        "--",
        "cp",
        path,
        seen
      )
      assert.strictEqual(code, 0, stderr.join("\n"))
      assert.strictEqual(JSON.parse(yield* fs.readFileString(seen)).password, "s3cret \"✓\"")
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["seen"])
    })
  ))

it.effect("connect refuses an unusable file before it connects", () =>
  inDirectory((directory, fs) =>
    Effect.gen(function*() {
      yield* fs.writeFileString(`${directory}/precious`, "precious")
      const { cli } = yield* makeWorld({ script: { states: [connected()] } })
      const { code, stdout } = yield* cli("connect", "box", "--credentials-file", `${directory}/precious`)
      assert.deepStrictEqual([code, stdout], [2, []])
      assert.strictEqual(yield* fs.readFileString(`${directory}/precious`), "precious")
    })
  ))
