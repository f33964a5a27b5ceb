import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Path from "node:path"
import * as FakeSsh from "../../src/FakeSsh.ts"
import * as Port from "../../src/Port.ts"
import * as Process from "../../src/Process.ts"
import * as SshAgent from "../../src/SshAgent.ts"
import * as SshClient from "../../src/SshClient.ts"
import * as Sshd from "../../src/Sshd.ts"
import * as SshKey from "../../src/SshKey.ts"
import * as TempDirectory from "../../src/TempDirectory.ts"
import * as Terminal from "../../src/Terminal.ts"

describe("a terminal", () => {
  it.live("types each answer once, when it is asked for, and shows everything", () =>
    Effect.gen(function*() {
      const line = "test -t 0 && printf 'name? ' && read a && printf 'and? ' && read b && echo \"[$a,$b]\"; exit 3"
      const { code, shown } = yield* Terminal.run(line, [
        { when: /\? $/, type: "one" },
        { when: /\? $/, type: "two" }
      ])
      assert.strictEqual(code, 3)
      assert.include(shown, "[one,two]")
    }))

  it.live("lets a person unlock a key for the agent", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make()
      const key = yield* SshKey.make(Path.join(directory, "id"), { passphrase: "open sesame" })
      const agent = yield* SshAgent.make()
      const env = { SSH_AUTH_SOCK: agent.socket, SSH_ASKPASS: undefined, DISPLAY: undefined }
      const listed = Process.run("ssh-add", ["-l"], { env })
      assert.include((yield* listed).stdout, "no identities")
      const answer = { when: /Enter passphrase for .*: $/, type: "open sesame" }
      const { code, shown } = yield* Terminal.run(`ssh-add '${key.file}'`, [answer], { env })
      assert.strictEqual(code, 0, shown)
      assert.include((yield* listed).stdout, key.fingerprint)
    }))
})

describe("agents", () => {
  it.live("says no to each question", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make()
      const key = yield* SshKey.make(Path.join(directory, "id"))
      const agent = yield* SshAgent.make()
      yield* agent.add(key, { confirm: true })
      const signed = yield* Process.run("ssh-keygen", ["-Y", "sign", "-n", "test", "-f", `${key.file}.pub`], {
        env: { SSH_AUTH_SOCK: agent.socket },
        input: "text"
      })
      assert.notStrictEqual(signed.code, 0)
      assert.match(signed.stderr, /agent refused operation/)
    }))

  it.live("may hang", () =>
    Effect.gen(function*() {
      const socket = yield* SshAgent.hung
      const asking = yield* Process.spawn("ssh-add", ["-l"], { env: { SSH_AUTH_SOCK: socket } })
      const end = yield* asking.exit.pipe(Effect.timeoutOption("300 millis"))
      assert.isTrue(end._tag === "None")
    }))
})

describe("a stand-in for ssh", () => {
  it.live("says what it is told, and tells its version", () =>
    Effect.gen(function*() {
      const ssh = yield* FakeSsh.make({ version: "OpenSSH_6.6", stderr: "it's \"over\"\r\n", end: { code: 3 } })
      assert.deepInclude(yield* Process.run(ssh, ["-V"]), { code: 0, stderr: "OpenSSH_6.6\n" })
      assert.deepInclude(yield* Process.run(ssh, ["-N", "box"]), { code: 3, stderr: "it's \"over\"\r\n" })
      assert.include((yield* Process.run(ssh, ["-F", "x", "-G", "box"])).stdout, "hostname 127.0.0.1")
      const hanging = yield* FakeSsh.make({ stderr: "wait\n", end: "never" })
      const child = yield* Process.spawn(hanging, ["box"])
      yield* child.stderr.waitFor("wait")
      yield* child.kill("SIGTERM")
      assert.strictEqual((yield* child.exit).signal, "SIGTERM")
    }))
})

describe.skipIf(!Sshd.available)("a connection that only occupies", () => {
  it.live("is one of those that MaxStartups counts, until the scope ends", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make({ config: ["MaxStartups 1"] })
      const client = yield* SshClient.make({ hosts: { box: sshd } })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Port.occupy(sshd.port)
        assert.strictEqual((yield* client.ssh("box", "true")).code, 255)
      }))
      yield* sshd.log.waitFor("Connection closed by")
      assert.strictEqual((yield* client.ssh("box", "true")).code, 0)
    }))

  it.live("fails where nobody speaks", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Port.occupy(yield* Port.free))
      assert.include(error.message, "nobody speaks")
    }))
})
