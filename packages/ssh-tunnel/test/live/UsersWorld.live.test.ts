/** What the corpus (test/world, `World.live.test.ts`) cannot show: it shares its machines, and its programs are the usual ones. */
import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Context, Effect, Redacted, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Tunnel } from "../../src/Tunnel.ts"
import * as Workstation from "./support/Workstation.ts"

const machine = Effect.gen(function*() {
  const sshd = yield* Sshd.make()
  const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
  return { sshd, server }
})

/** A connection to `box`, whose block of the ssh config begins with these lines. */
const boxWith = (
  { server, sshd }: Effect.Success<typeof machine>,
  lines: ReadonlyArray<string>,
  environment: Workstation.Options["environment"] = {}
) =>
  Effect.gen(function*() {
    const client = yield* SshClient.make({ hosts: { box: { sshd, lines } } })
    const workstation = yield* Workstation.make({ environment })
    const box = yield* workstation.profile({ host: "box", sshConfig: client.configFile, remotePort: server.port })
    return { client, workstation, box }
  })

/** Runs a script over a tunnel of its own. */
const run = (workstation: Workstation.Workstation, box: Workstation.Connection, script: string) =>
  Effect.scoped(Effect.gen(function*() {
    const tunnel = yield* Context.get(workstation.services, Tunnel).open(box.profile.destination)
    const command = yield* tunnel.exec(Redacted.make(`${script}\nexit 0\n`))
    return yield* Stream.mkString(command.stdout)
  }))

describe.skipIf(!Sshd.available)("the user's ssh config", () => {
  it.live("a living master of the user is neither used nor ended", () =>
    Effect.gen(function*() {
      const remote = yield* machine
      const sockets = yield* TempDirectory.make()
      const shared = ["ControlMaster auto", "ControlPersist yes", `ControlPath ${sockets}/%C`]
      const { box, client } = yield* boxWith(remote, shared)
      const theirs = yield* Process.spawn("ssh", ["-F", client.configFile, "-M", "-N", "-v", "box"])
      yield* theirs.stderr.waitFor("Entering interactive session")
      yield* remote.sshd.awaitAuthentications(1)
      yield* box.connected
      assert.strictEqual(yield* remote.sshd.authentications, 2)
      yield* box.disconnect
      assert.strictEqual((yield* client.ssh("-O", "check", "box")).code, 0)
      yield* theirs.stop
    }))
})

describe.skipIf(!Sshd.available)("the user's directories", () => {
  /** A name of a directory that runs a command when a shell reads it. */
  const hostile = "it's a \"dir\" $(touch $LAB_MARKER) `touch $LAB_MARKER` %h %d; touch $LAB_MARKER;"

  it.live("home, temporary and runtime directory with spaces, quotes and commands in their names, and ProxyJump", () =>
    Effect.gen(function*() {
      const { server, sshd: target } = yield* machine
      const jump = yield* Sshd.make()
      const marker = Path.join(yield* TempDirectory.make(), "marker")
      // The config is the one in the home directory, so nothing names it.
      const client = yield* SshClient.make({
        directoryName: `a home $(touch $LAB_MARKER) "q" it's/.ssh`,
        hosts: { jump, box: { sshd: target, lines: ["ProxyJump jump"], identityFile: false } }
      })
      const home = Path.dirname(client.directory)
      const directory = yield* TempDirectory.make({ name: hostile })
      const identityFile = Path.join(directory, "id")
      Fs.copyFileSync(target.key.file, identityFile)
      Fs.chmodSync(identityFile, 0o600)
      const workstation = yield* Workstation.make({
        directoryName: hostile,
        home,
        environment: { HOME: home, TMPDIR: directory, LAB_MARKER: marker }
      })
      const box = yield* workstation.profile({ host: "box", remotePort: server.port, identityFile })
      yield* box.connected
      assert.isTrue((yield* workstation.runtimeFiles).length > 0)
      assert.deepStrictEqual([yield* jump.authentications, yield* target.authentications], [1, 1])
      assert.strictEqual(yield* run(workstation, box, "echo over there"), "over there\n")
      yield* box.disconnect
      // Failures are explained by the same files.
      const unknown = yield* workstation.profile({ host: "127.0.0.1", port: target.port, remotePort: server.port })
      assert.strictEqual((yield* Effect.flip(unknown.connected)).reason._tag, "AuthenticationFailed")
      assert.isFalse(Fs.existsSync(marker))
    }))

  it.live("another ssh, in a directory with spaces, also for the jump host", () =>
    Effect.gen(function*() {
      const { server, sshd: target } = yield* machine
      const jump = yield* Sshd.make()
      const directory = yield* TempDirectory.make({ name: "my own $(touch $LAB_MARKER) ssh" })
      const binary = Path.join(directory, "my ssh")
      const log = Path.join(directory, "log")
      Fs.writeFileSync(binary, `#!/bin/sh\necho "$*" >>"$LAB_LOG"\nexec ssh "$@"\n`, { mode: 0o755 })
      const client = yield* SshClient.make({ hosts: { jump, box: { sshd: target, lines: ["ProxyJump jump"] } } })
      const workstation = yield* Workstation.make({
        environment: { OPENCODE_SSH_BINARY: binary, LAB_LOG: log, LAB_MARKER: Path.join(directory, "marker") }
      })
      const box = yield* workstation.profile({ host: "box", sshConfig: client.configFile, remotePort: server.port })
      yield* box.connected
      const calls = Fs.readFileSync(log, "utf8").trim().split("\n")
      for (const part of ["-V", " -M ", "-O forward"]) assert.isTrue(calls.some((call) => call.includes(part)), part)
      assert.deepStrictEqual(Fs.readdirSync(directory).sort(), ["log", "my ssh"])
      yield* box.disconnect
      // A link to ssh itself keeps its name: then the hop is the same program, too.
      const linked = Path.join(directory, "a link")
      Fs.symlinkSync((yield* Process.output("sh", ["-c", "command -v ssh"])).trim(), linked)
      const other = yield* Workstation.make({
        environment: { OPENCODE_SSH_BINARY: linked, LAB_MARKER: Path.join(directory, "marker") }
      })
      const again = yield* other.profile({ host: "box", sshConfig: client.configFile, remotePort: server.port })
      yield* again.connected
      assert.strictEqual((yield* other.sshProcesses).filter(({ command }) => command.startsWith("./ssh -F ")).length, 2)
      assert.deepStrictEqual([yield* jump.authentications, yield* target.authentications], [2, 2])
      assert.isFalse(Fs.existsSync(Path.join(directory, "marker")))
    }))

  it.live("no ssh at all, or something else of that name, is told before anything is tried", () =>
    Effect.gen(function*() {
      const remote = yield* machine
      for (const binary of ["/nonexistent/ssh", "/bin/echo"]) {
        const { box } = yield* boxWith(remote, [], { OPENCODE_SSH_BINARY: binary })
        const error = yield* Effect.flip(box.connected)
        assert.isTrue(error._tag === "ConfigurationError" && error.reason._tag === "SshNotFound")
        assert.include(error.message, binary)
      }
      assert.strictEqual(yield* remote.sshd.authentications, 0)
    }))
})
