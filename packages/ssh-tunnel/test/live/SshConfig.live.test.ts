import { assert, describe, it } from "@effect/vitest"
import * as Leftovers from "@opencode-ai/ssh-lab/Leftovers"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as SshKey from "@opencode-ai/ssh-lab/SshKey"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, Result } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { SshConfigInvalid } from "../../src/ConfigurationError.ts"
import { Destination } from "../../src/Destination.ts"
import * as Argv from "../../src/internal/argv.ts"
import { overlay } from "../../src/internal/overlay.ts"
import { layerSshConfig } from "../../src/node/index.ts"
import { SshConfig } from "../../src/SshConfig.ts"

/** The test leaves no process, listener or directory behind. */
const tidy = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const baseline = yield* Leftovers.begin
    const result = yield* Effect.scoped(test)
    yield* Leftovers.check(baseline)
    return result
  })

const live = <A, E, R>(test: Effect.Effect<A, E, R>) => tidy(Effect.provide(test, layerSshConfig))

describe("the ssh config on this machine", () => {
  it.live("names its hosts, through real directories", () =>
    live(Effect.gen(function*() {
      const client = yield* SshClient.make({
        directoryName: "a $(x) [b]",
        files: {
          "conf.d/20 two": "Host two\n",
          "conf.d/10-one": "Host one 2 *.example.com\n",
          "conf.d/.swp": "Host swap\n",
          "conf.d/sub/three": "Host three\n"
        }
      })
      yield* Process.output("mkfifo", [`${client.directory}/conf.d/30-pipe`])
      const directory = client.directory.replaceAll("[", "\\[")
      yield* client.write(
        "config",
        `Include ${SshClient.quote(`${directory}/conf.d/*`)}\nHost last\nInclude ${SshClient.quote(directory)}/none\n`
      )
      const config = yield* SshConfig
      assert.deepStrictEqual(yield* config.hosts({ file: client.configFile }), [
        { name: "one", file: `${client.directory}/conf.d/10-one`, line: 1 },
        { name: "2", file: `${client.directory}/conf.d/10-one`, line: 1 },
        { name: "two", file: `${client.directory}/conf.d/20 two`, line: 1 },
        { name: "last", file: client.configFile, line: 2 }
      ])
    })))

  it.live("is asked through the overlay: our policy, the profile, then the file", () =>
    live(Effect.gen(function*() {
      const client = yield* SshClient.make({
        directoryName: "d\"'%h $(touch hit) ü",
        before: "Host box\n  User configured\n  Port 1\n  StrictHostKeyChecking no\n  ServerAliveInterval 99\n"
      })
      const config = yield* SshConfig
      const parameters = yield* config.effective(
        new Destination({ host: "box", port: 2222, sshConfig: client.configFile })
      )
      assert.strictEqual(parameters.user, "configured")
      assert.strictEqual(parameters.port, 2222)
      assert.strictEqual(parameters.hostname, "box")
      assert.deepInclude(parameters.parameters, { keyword: "stricthostkeychecking", value: "true" })
      assert.deepInclude(parameters.parameters, { keyword: "serveraliveinterval", value: "5" })
      assert.deepInclude(parameters.parameters, { keyword: "connecttimeout", value: "10" })
    })))

  it.live("tells what ssh has against it, with file and line", () =>
    live(Effect.gen(function*() {
      const config = yield* SshConfig
      const complaint = (sshConfig: string) =>
        config.effective(new Destination({ host: "box", sshConfig })).pipe(
          Effect.flip,
          Effect.map(({ reason }) => reason)
        )
      const client = yield* SshClient.make()
      yield* client.write("config", "Host box\n\n  NoSuchKeyword yes\n")
      const unknown = yield* complaint(client.configFile)
      assert.deepStrictEqual(
        unknown instanceof SshConfigInvalid && [unknown.file, unknown.configLine],
        [client.configFile, 3]
      )
      yield* Effect.sync(() => Fs.chmodSync(client.configFile, 0o666))
      const writable = yield* complaint(client.configFile)
      assert.instanceOf(writable, SshConfigInvalid)
      assert.match(writable.message, /owner or permissions/)
      yield* Effect.sync(() => Fs.chmodSync(client.configFile, 0o600))
      const missing = yield* complaint(`${client.directory}/missing`)
      assert.instanceOf(missing, SshConfigInvalid)
      assert.match(missing.message, /No such file/)
    })))
})

/** Runs ssh as we do: in a directory of ours, with the overlay; `true` as its remote command. */
const connect = Effect.fnUntraced(function*(destination: Destination, env: Record<string, string> = {}) {
  const cwd = yield* TempDirectory.make({ name: "run $(touch hit) dir" })
  const text = overlay({ userConfig: destination.sshConfig, home: "/nonexistent", sshVersion: { major: 8, minor: 7 } })
  yield* Effect.sync(() => Fs.writeFileSync(`${cwd}/config-1`, Result.getOrThrow(text), { mode: 0o600 }))
  const result = yield* Process.run(
    "ssh",
    Argv.plainExec({ config: "config-1", destination, home: "/nonexistent" }),
    { cwd, input: "echo out; exit 3\n", env }
  )
  assert.deepStrictEqual(yield* Effect.sync(() => Fs.readdirSync(cwd)), ["config-1"])
  return result
})

describe.skipIf(!Sshd.available)("overlay and words against a real sshd", () => {
  it.live("run a script through two hops, from a directory that no shell could take", () =>
    tidy(Effect.gen(function*() {
      const [jump, middle, target] = yield* Effect.all([Sshd.make(), Sshd.make(), Sshd.make()])
      const client = yield* SshClient.make({
        hosts: { jump, middle, box: target },
        // What the overlay must win against, on each of the three.
        before: "Host *\n  LogLevel QUIET\n  RequestTTY force\n  RemoteCommand reboot\n  ControlMaster auto\n"
      })
      const result = yield* connect(
        new Destination({ host: "box", proxyJump: "jump,middle", sshConfig: client.configFile })
      )
      assert.strictEqual(result.stdout, "out\n", result.stderr)
      assert.strictEqual(result.code, 3)
      assert.deepStrictEqual(
        yield* Effect.all([jump.authentications, middle.authentications, target.authentications]),
        [1, 1, 1]
      )
    })))

  it.live("a hop with an unknown key is refused, whatever the user's config would accept", () =>
    tidy(Effect.gen(function*() {
      const [jump, target] = yield* Effect.all([Sshd.make(), Sshd.make()])
      const client = yield* SshClient.make({
        hosts: { jump: { sshd: jump, known: false }, box: target },
        before:
          "Host *\n  StrictHostKeyChecking accept-new\n  NoHostAuthenticationForLocalhost yes\n  UpdateHostKeys yes\n"
      })
      const { code, stderr } = yield* connect(
        new Destination({ host: "box", proxyJump: "jump", sshConfig: client.configFile })
      )
      assert.strictEqual(code, 255)
      assert.match(stderr, /No ED25519 host key is known/)
      assert.strictEqual(yield* jump.authentications, 0)
    })))

  it.live("a hop with a locked key asks nobody", () =>
    tidy(Effect.gen(function*() {
      const [jump, target] = yield* Effect.all([Sshd.make(), Sshd.make()])
      const directory = yield* TempDirectory.make()
      const locked = yield* SshKey.make(`${directory}/locked`, { passphrase: "secret" })
      yield* jump.authorize(locked.publicKey)
      const client = yield* SshClient.make({
        hosts: { jump: { sshd: jump, identityFile: locked.file }, box: target },
        before: "Host *\n  BatchMode no\n"
      })
      yield* Effect.sync(() =>
        Fs.writeFileSync(`${directory}/askpass`, `#!/bin/sh\ntouch '${directory}/asked'\necho secret\n`, {
          mode: 0o700
        })
      )
      const { code } = yield* connect(
        new Destination({ host: "box", proxyJump: "jump", sshConfig: client.configFile }),
        { SSH_ASKPASS: `${directory}/askpass`, SSH_ASKPASS_REQUIRE: "force", DISPLAY: ":0" }
      )
      assert.strictEqual(code, 255)
      assert.isFalse(yield* Effect.sync(() => Fs.existsSync(`${directory}/asked`)))
    })))

  const names = ["100%h", "a b", "it's", "d\"q", "back\\slash", "\\\\", "\"", "#x", "$(touch hit)", "ü", "~", "%%d %"]

  it.live("an identity file of any name logs in", () =>
    tidy(Effect.gen(function*() {
      const sshd = yield* Sshd.make()
      const client = yield* SshClient.make({ hosts: { box: { sshd, identityFile: false } } })
      const directory = yield* TempDirectory.make()
      for (const name of names) {
        const file = Path.join(directory, name)
        yield* Effect.sync(() => Fs.copyFileSync(sshd.key.file, file))
        const { code, stderr } = yield* connect(
          new Destination({ host: "box", identityFile: file, sshConfig: client.configFile })
        )
        assert.strictEqual(code, 3, `${name}: ${stderr}`)
      }
      assert.strictEqual(yield* sshd.authentications, names.length)
    })))

  it.live("the words that we show to a person log in as well", () =>
    tidy(Effect.gen(function*() {
      const [jump, target] = yield* Effect.all([Sshd.make(), Sshd.make()])
      const client = yield* SshClient.make({
        hosts: { jump, box: { sshd: target, identityFile: false } }
      })
      const destination = new Destination({
        host: "box",
        user: target.user,
        port: target.port,
        identityFile: target.key.file,
        proxyJump: "jump",
        sshConfig: client.configFile
      })
      const { host, options } = Argv.target(destination, "/nonexistent")
      const direct = yield* Process.run("ssh", ["-T", ...options, host, "exit 4"])
      assert.strictEqual(direct.code, 4, direct.stderr)
      const hop = Argv.hopTarget(destination, "jump", "/nonexistent")
      const alone = yield* Process.run("ssh", ["-T", ...hop.options, hop.host, "exit 5"])
      assert.strictEqual(alone.code, 5, alone.stderr)
    })))
})
