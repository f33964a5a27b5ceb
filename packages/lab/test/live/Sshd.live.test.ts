import { assert, describe, it } from "@effect/vitest"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as SshKey from "@opencode-ai/ssh-lab/SshKey"
import { Effect, Exit, Option, Schedule, Scope } from "effect"
import * as Fs from "node:fs"

const awaitClosed = (port: number) =>
  Port.isListening(port).pipe(Effect.repeat({ schedule: Schedule.spaced("5 millis"), while: (open) => open }))

describe.skipIf(!Sshd.available)("Sshd", () => {
  it.live("lets the user's ssh in, counts logins, isolates HOME", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make()
      const client = yield* SshClient.make({ hosts: { box: sshd } })
      const result = yield* client.ssh("-o", "BatchMode=yes", "box", "printf %s \"$HOME\"")
      assert.strictEqual(result.stderr, "")
      assert.strictEqual(result.stdout, sshd.home)
      assert.strictEqual(yield* sshd.authentications, 1)
      yield* client.ssh("-o", "BatchMode=yes", "box", "true")
      yield* sshd.awaitAuthentications(2)
    }))

  it.live("refuses a key it does not know, and takes it once authorized", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make()
      const key = yield* SshKey.make(`${sshd.directory}/other`)
      const client = yield* SshClient.make({ hosts: { box: { sshd, identityFile: key.file } } })
      const refused = yield* client.ssh("-o", "BatchMode=yes", "box", "true")
      assert.strictEqual(refused.code, 255)
      assert.include(refused.stderr, "Permission denied (publickey)")
      assert.strictEqual(yield* sshd.authentications, 0)
      yield* sshd.authorize(key.publicKey)
      assert.strictEqual((yield* client.ssh("-o", "BatchMode=yes", "box", "true")).code, 0)
    }))

  it.live("jumps over a second sshd", () =>
    Effect.gen(function*() {
      const jump = yield* Sshd.make()
      const target = yield* Sshd.make({ config: ["Banner none"] })
      const client = yield* SshClient.make({
        hosts: { jump, target: { sshd: target, lines: ["ProxyJump jump"] } },
        directoryName: "a user's files"
      })
      // ProxyJump hands the path of -F to a shell unquoted: relative, from its directory.
      const result = yield* Process.run("ssh", ["-F", "config", "-o", "BatchMode=yes", "target", "true"], {
        cwd: client.directory
      })
      assert.strictEqual(result.stderr, "")
      assert.strictEqual(result.code, 0)
      assert.strictEqual(yield* jump.authentications, 1)
      assert.strictEqual(yield* target.authentications, 1)
    }))

  it.live("its end takes the sessions, and the daemons that they left, with it", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
      const sshd = yield* Sshd.make().pipe(Scope.provide(scope))
      const client = yield* SshClient.make({ hosts: { box: sshd } })
      const held = yield* Process.spawn("ssh", ["-F", client.configFile, "box", "echo ready; exec sleep 1000"])
      yield* held.stdout.waitFor("ready")
      // Its shell returns as soon as the daemon says that it runs.
      yield* client.ssh("box", "{ setsid sh -c 'echo; exec sleep 2000' 2>/dev/null </dev/null & } | read _")
      const commands = (yield* sshd.processes).map((info) => info.command)
      assert.isTrue(commands.includes("sleep 1000"), commands.join("\n"))
      assert.isTrue(commands.some((command) => command.endsWith("sleep 2000")), commands.join("\n"))
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* sshd.processes, [])
      assert.isFalse(yield* Port.isListening(sshd.port))
      assert.isFalse(Fs.existsSync(sshd.directory))
      assert.strictEqual((yield* held.exit).code, 255)
    }))

  it.live("drops sessions and goes on; stops and starts again on the same port", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make()
      const client = yield* SshClient.make({ hosts: { box: sshd } })
      const held = yield* Process.spawn("ssh", ["-F", client.configFile, "box", "echo ready; exec sleep 1000"])
      yield* held.stdout.waitFor("ready")
      yield* sshd.dropSessions
      assert.strictEqual((yield* held.exit).code, 255)
      assert.strictEqual((yield* client.ssh("box", "exit 7")).code, 7)
      yield* sshd.stop
      assert.isFalse(yield* Port.isListening(sshd.port))
      yield* sshd.start
      assert.strictEqual((yield* client.ssh("box", "exit 8")).code, 8)
    }))

  it.live("starts again after somebody killed it", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make({ directoryName: "a machine" })
      const client = yield* SshClient.make({ hosts: { box: sshd } })
      const held = yield* Process.spawn("ssh", ["-F", client.configFile, "box", "echo ready; exec sleep 1000"])
      yield* held.stdout.waitFor("ready")
      const listener = yield* sshd.pid
      yield* Effect.sync(() => process.kill(listener ?? 0, "SIGKILL"))
      yield* awaitClosed(sshd.port)
      yield* sshd.start
      assert.strictEqual((yield* client.ssh("box", "exit 9")).code, 9)
      assert.strictEqual((yield* held.exit).code, 255)
    }))

  it.live("freezes: the connection stays and nobody answers, until it thaws", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make()
      const client = yield* SshClient.make({ hosts: { box: sshd } })
      const held = yield* Process.spawn("ssh", ["-F", client.configFile, "box", "echo ready; exec cat"])
      yield* held.stdout.waitFor("ready")
      yield* sshd.freeze
      assert.isTrue(yield* Port.isListening(sshd.port))
      yield* held.write("echo\n")
      const answer = yield* held.stdout.waitFor("echo").pipe(Effect.timeoutOption("200 millis"))
      assert.isTrue(Option.isNone(answer))
      yield* sshd.thaw
      yield* held.stdout.waitFor("echo")
    }))

  it.live("runs commands by another login shell", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make({ loginShell: "/bin/sh" })
      const client = yield* SshClient.make({ hosts: { box: sshd } })
      const result = yield* client.ssh("box", "echo $0 $SHELL")
      assert.strictEqual(result.stdout, "/bin/sh /bin/sh\n")
    }))

  it.live("a changed known_hosts fails the scope", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.scoped(Effect.gen(function*() {
        const client = yield* SshClient.make({ knownHosts: ["example.com ssh-ed25519 AAAA"] })
        yield* Effect.sync(() => Fs.appendFileSync(client.knownHostsFile, "\n"))
        yield* Effect.sync(() => Fs.writeFileSync(`${client.directory}/known_hosts.old`, ""))
      })).pipe(Effect.exit)
      assert.isTrue(Exit.isFailure(exit))
      assert.include(String(exit), "changed: known_hosts")
      assert.include(String(exit), "new: known_hosts.old")
    }))
})
