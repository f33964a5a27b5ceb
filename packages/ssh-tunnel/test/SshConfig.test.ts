import { assert, describe, it } from "@effect/vitest"
import { ByteSize, Effect, FileSystem, Layer, Option, Path, PlatformError } from "effect"
import { ConfigurationError, SshConfigInvalid } from "../src/ConfigurationError.ts"
import { Destination } from "../src/Destination.ts"
import { LocalHost } from "../src/LocalHost.ts"
import { OpenSsh } from "../src/OpenSsh.ts"
import { SshConfig } from "../src/SshConfig.ts"

type Problem = "PermissionDenied"

const localHost = (environment: Readonly<Record<string, string>>) =>
  Layer.mock(LocalHost, {
    platform: "posix",
    system: "linux",
    runtime: "node",
    environment,
    home: "/home/me",
    username: "me",
    uid: 1000,
    temporaryDirectory: "/tmp",
    self: { pid: 1, startTime: "1" }
  })

/** A machine whose only files are these; `null` cannot be read. */
const machine = (contents: Readonly<Record<string, string | null>>, environment: Record<string, string> = {}) => {
  const failure = (method: string, path: string, _tag: Problem | "NotFound") =>
    Effect.fail(PlatformError.systemError({ _tag, module: "FileSystem", method, pathOrDescriptor: path }))
  const isDirectory = (path: string) => Object.keys(contents).some((file) => file.startsWith(`${path}/`))
  const files = FileSystem.layerNoop({
    stat: (path) =>
      path in contents || isDirectory(path)
        ? Effect.succeed<FileSystem.File.Info>({
          type: path in contents ? "File" : "Directory",
          mtime: Option.none(),
          atime: Option.none(),
          birthtime: Option.none(),
          dev: 0n,
          ino: Option.none(),
          mode: 0o600,
          nlink: Option.none(),
          uid: Option.none(),
          gid: Option.none(),
          rdev: Option.none(),
          size: ByteSize.bytes(0),
          blksize: Option.none(),
          blocks: Option.none()
        })
        : failure("stat", path, "NotFound"),
    readFileString: (path) => {
      const content = contents[path]
      return typeof content === "string"
        ? Effect.succeed(content)
        : failure("readFileString", path, content === null ? "PermissionDenied" : "NotFound")
    },
    readDirectory: (path) => {
      const prefix = path === "/" ? path : `${path}/`
      const names = Object.keys(contents).filter((file) => file.startsWith(prefix))
        .map((file) => file.slice(prefix.length).split("/")[0] ?? "")
      return names.length === 0 ? failure("readDirectory", path, "NotFound") : Effect.succeed([...new Set(names)])
    }
  })
  return SshConfig.layerNoDeps.pipe(Layer.provide([
    files,
    Path.layer,
    Layer.mock(OpenSsh, {}),
    localHost(environment)
  ]))
}

const hosts = (
  contents: Readonly<Record<string, string | null>>,
  options?: { readonly file?: string },
  environment?: Record<string, string>
) =>
  SshConfig.use((config) => config.hosts(options)).pipe(
    Effect.provide(machine(contents, environment))
  )

const names = (...input: Parameters<typeof hosts>) =>
  Effect.map(hosts(...input), (found) => found.map(({ name }) => name))

const user = "/home/me/.ssh/config"

describe("hosts", () => {
  it.effect("are those of the user, then the system's, with their place", () =>
    Effect.gen(function*() {
      const found = yield* hosts({
        [user]: "# mine\nHost a b\n  User x\nHost *\n",
        "/etc/ssh/ssh_config": "Host c a\n"
      })
      assert.deepStrictEqual(found, [
        { name: "a", file: user, line: 2 },
        { name: "b", file: user, line: 2 },
        { name: "c", file: "/etc/ssh/ssh_config", line: 1 }
      ])
    }))

  it.effect("there are none without files, nor with none", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* hosts({}), [])
      assert.deepStrictEqual(yield* hosts({ [user]: "Host a" }, { file: "none" }), [])
    }))

  it.effect("with a file they are those of that file alone", () =>
    Effect.gen(function*() {
      const files = {
        [user]: "Host a",
        "/etc/ssh/ssh_config": "Host b",
        "/home/me/other": "Include d\nHost c\n",
        "/home/me/.ssh/d": "Host d"
      }
      assert.deepStrictEqual(yield* names(files, { file: "~/other" }), ["d", "c"])
    }))

  it.effect("include what Include names, in its place, sorted, without dot files and directories", () =>
    Effect.gen(function*() {
      const found = yield* names({
        [user]: "Host first\nInclude missing conf.d/* ~/elsewhere/x? /abs/*/config\nHost last\n",
        "/home/me/.ssh/conf.d/b": "Host b",
        "/home/me/.ssh/conf.d/a": "Host a",
        "/home/me/.ssh/conf.d/.hidden": "Host hidden",
        "/home/me/.ssh/conf.d/sub/z": "Host z",
        "/home/me/elsewhere/x1": "Host x1",
        "/home/me/elsewhere/x12": "Host x12",
        "/abs/2/config": "Host abs2",
        "/abs/1/config": "Host abs1",
        "/abs/3/other": "Host abs3"
      })
      // "first" is the block that the Include stands in: nobody else gets there.
      assert.deepStrictEqual(found, ["first", "last"])
      const outside = yield* names({
        [user]: "Include missing conf.d/* ~/elsewhere/x? /abs/*/config\nHost last\n",
        "/home/me/.ssh/conf.d/b": "Host b",
        "/home/me/.ssh/conf.d/a": "Host a",
        "/home/me/.ssh/conf.d/.hidden": "Host hidden",
        "/home/me/.ssh/conf.d/sub/z": "Host z",
        "/home/me/elsewhere/x1": "Host x1",
        "/home/me/elsewhere/x12": "Host x12",
        "/abs/2/config": "Host abs2",
        "/abs/1/config": "Host abs1",
        "/abs/3/other": "Host abs3"
      })
      assert.deepStrictEqual(outside, ["a", "b", "x1", "abs1", "abs2", "last"])
    }))

  it.effect("an include in a block is for whom the block is for, however deep", () =>
    Effect.gen(function*() {
      const found = yield* names({
        [user]: "Host work-*\n  Include work\nMatch all\n  Include all\nMatch originalhost m*\n  Include match\n",
        "/home/me/.ssh/work": "Host work-1 home\nInclude deeper\n",
        "/home/me/.ssh/deeper": "Host work-1 work-2 other\n",
        "/home/me/.ssh/all": "Host anybody\n",
        "/home/me/.ssh/match": "Host mine yours\n"
      })
      // Inside `Host work-1 home`, deeper is read for these two only.
      assert.deepStrictEqual(found, ["work-1", "anybody", "mine"])
    }))

  it.effect("relative includes of the system's file are the system's", () =>
    Effect.gen(function*() {
      const found = yield* names({
        "/etc/ssh/ssh_config": "Include ssh_config.d/*.conf\nHost s\n",
        "/etc/ssh/ssh_config.d/a.conf": "Host a",
        "/etc/ssh/ssh_config.d/b.txt": "Host b",
        "/home/me/.ssh/ssh_config.d/c.conf": "Host c"
      })
      assert.deepStrictEqual(found, ["a", "s"])
    }))

  it.effect("~ of an include is HOME, as for glob(3), while the config itself is the passwd entry's", () =>
    Effect.gen(function*() {
      const found = yield* names(
        { [user]: "Include ~/x y ${DIR}/z", "/env/x": "Host x", "/env/.ssh/y": "Host y", "/dir/z": "Host z" },
        undefined,
        { HOME: "/env", DIR: "/dir" }
      )
      assert.deepStrictEqual(found, ["x", "y", "z"])
    }))

  it.effect("names that no destination may have are left out", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* names({ [user]: "Host .host a/b $(x) \"c d\" -e % fine ::1 bücher" }), [
        "fine",
        "::1",
        "bücher"
      ])
    }))

  it.effect("includes nest 16 deep, as for ssh", () =>
    Effect.gen(function*() {
      const chain = (depth: number) =>
        Object.fromEntries([
          [user, "Include 1\n"],
          ...Array.from({ length: depth }, (_, index): [string, string] => [
            `/home/me/.ssh/${index + 1}`,
            index + 1 === depth ? "Host deepest\n" : `Include ${index + 2}\n`
          ])
        ])
      assert.deepStrictEqual(yield* names(chain(16)), ["deepest"])
      const tooDeep = yield* Effect.flip(hosts(chain(17)))
      assert.deepStrictEqual(
        tooDeep.reason,
        new SshConfigInvalid({
          file: "/home/me/.ssh/16",
          configLine: 1,
          detail: "Too many recursive configuration includes"
        })
      )
      const cycle = yield* Effect.flip(hosts({ [user]: "Include config config" }))
      assert.strictEqual(cycle.reason._tag, "SshConfigInvalid")
    }))

  it.effect("what ssh could not read is an error; what it ignores is none", () =>
    Effect.gen(function*() {
      const missing = yield* Effect.flip(hosts({}, { file: "/missing" }))
      assert.deepStrictEqual(
        missing.reason,
        new SshConfigInvalid({ file: "/missing", detail: "No such file or directory" })
      )
      const unreadable = yield* Effect.flip(hosts({ [user]: null }))
      assert.deepStrictEqual(unreadable.reason, new SshConfigInvalid({ file: user, detail: "Permission denied" }))
      const included = yield* Effect.flip(hosts({ [user]: "Include x", "/home/me/.ssh/x": null }))
      assert.deepStrictEqual(
        included.reason,
        new SshConfigInvalid({
          file: "/home/me/.ssh/x",
          detail: "Can't open user config file: Permission denied"
        })
      )
      assert.deepStrictEqual(yield* names({ [user]: "Host a", "/etc/ssh/ssh_config": null }), ["a"])
    }))
})

const answer = `host box
user me
hostname box.example.com
port 2222
batchmode yes
identityfile ~/.ssh/a
identityfile ~/.ssh/b c
setenv TOKEN=secret
proxycommand connect --password secret %h
`

const effective = (resolve: OpenSsh["Service"]["resolve"]) =>
  SshConfig.use((config) => config.effective(new Destination({ host: "box", sshConfig: "/f" }))).pipe(
    Effect.provide(SshConfig.layerNoDeps.pipe(Layer.provide([
      FileSystem.layerNoop({}),
      Path.layer,
      Layer.mock(OpenSsh, { resolve }),
      localHost({})
    ])))
  )

describe("effective", () => {
  it.effect("is what ssh -G says", () =>
    Effect.gen(function*() {
      const parameters = yield* effective((destination) =>
        destination.sshConfig === "/f" ? Effect.succeed(answer) : Effect.die("another destination")
      )
      assert.strictEqual(parameters.hostname, "box.example.com")
      assert.strictEqual(parameters.user, "me")
      assert.strictEqual(parameters.port, 2222)
      assert.deepStrictEqual(parameters.identityFiles, ["~/.ssh/a", "~/.ssh/b c"])
      assert.notInclude(JSON.stringify(parameters.parameters), "secret")
    }))

  it.effect("passes ssh's complaint on, and knows when there was no answer", () =>
    Effect.gen(function*() {
      const complaint = new ConfigurationError({
        reason: new SshConfigInvalid({ file: "/f", configLine: 3, detail: "bad" })
      })
      assert.strictEqual(yield* Effect.flip(effective(() => Effect.fail(complaint))), complaint)
      const nothing = yield* Effect.flip(effective(() => Effect.succeed("")))
      assert.strictEqual(nothing.reason._tag, "SshConfigInvalid")
    }))
})
