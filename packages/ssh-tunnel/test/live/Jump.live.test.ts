import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as SshKey from "@opencode-ai/ssh-lab/SshKey"
import { Effect } from "effect"
import * as Path from "node:path"
import * as Workstation from "./support/Workstation.ts"

/** Two machines, or three, and a server behind the last of them that says it is OpenCode. */
const machines = Effect.gen(function*() {
  const [jump, target] = yield* Effect.all([Sshd.make(), Sshd.make()], { concurrency: "unbounded" })
  const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
  return { jump, target, server }
})

/** A workstation with this ssh config, and a connection to `target`. */
const connection = (options: SshClient.Options, fields: Omit<Workstation.Fields, "host">) =>
  Effect.gen(function*() {
    const client = yield* SshClient.make(options)
    const workstation = yield* Workstation.make()
    return yield* workstation.profile({ host: "target", sshConfig: client.configFile, ...fields })
  })

const logins = (...all: ReadonlyArray<Sshd.Sshd>) => Effect.forEach(all, (sshd) => sshd.authentications)

/** A key that no machine accepts. */
const otherKey = (sshd: Sshd.Sshd) => SshKey.make(Path.join(sshd.directory, "other"))

describe.skipIf(!Sshd.available)("jump hosts", () => {
  it.live("ProxyJump of the ssh config: one login on each machine", () =>
    Effect.gen(function*() {
      const { jump, server, target } = yield* machines
      const box = yield* connection(
        { hosts: { jump, target: { sshd: target, lines: ["ProxyJump jump"] } } },
        { remotePort: server.port }
      )
      yield* box.connected
      assert.deepStrictEqual(yield* logins(jump, target), [1, 1])
    }))

  it.live("ProxyJump of the profile wins over that of the ssh config; `none` connects directly", () =>
    Effect.gen(function*() {
      const { jump, server, target } = yield* machines
      const other = yield* Sshd.make()
      const hosts = { jump, other, target: { sshd: target, lines: ["ProxyJump other"] } }
      const box = yield* connection({ hosts }, { remotePort: server.port, proxyJump: "jump" })
      yield* box.connected
      assert.deepStrictEqual(yield* logins(other, jump, target), [0, 1, 1])
      const direct = yield* connection({ hosts }, { remotePort: server.port, proxyJump: "none" })
      yield* direct.connected
      assert.deepStrictEqual(yield* logins(other, jump, target), [0, 1, 2])
    }))

  it.live("a jump host written out with user and port, which no Host entry names", () =>
    Effect.gen(function*() {
      const { jump, server, target } = yield* machines
      const box = yield* connection(
        {
          hosts: { target },
          knownHosts: jump.knownHosts,
          after: `Host 127.0.0.1\n  IdentityFile ${SshClient.quote(jump.key.file)}`
        },
        { remotePort: server.port, proxyJump: `${jump.user}@127.0.0.1:${jump.port}` }
      )
      yield* box.connected
      assert.deepStrictEqual(yield* logins(jump, target), [1, 1])
    }))

  it.live("two hops, in a list and nested in the ssh config", () =>
    Effect.gen(function*() {
      const { jump: first, server, target } = yield* machines
      const second = yield* Sshd.make()
      const box = yield* connection(
        { hosts: { first, second, target } },
        { remotePort: server.port, proxyJump: "first,second" }
      )
      yield* box.connected
      assert.deepStrictEqual(yield* logins(first, second, target), [1, 1, 1])
      yield* box.disconnect
      const nested = yield* connection(
        {
          hosts: {
            first,
            second: { sshd: second, lines: ["ProxyJump first"] },
            target: { sshd: target, lines: ["ProxyJump second"] }
          }
        },
        { remotePort: server.port }
      )
      yield* nested.connected
      assert.deepStrictEqual(yield* logins(first, second, target), [2, 2, 2])
    }))

  it.live("a jump host with an unknown key is refused, though the target's key is known", () =>
    Effect.gen(function*() {
      const { jump, server, target } = yield* machines
      const box = yield* connection(
        { hosts: { jump: { sshd: jump, known: false }, target: { sshd: target, lines: ["ProxyJump jump"] } } },
        { remotePort: server.port }
      )
      const error = yield* Effect.flip(box.connected)
      if (error.reason._tag !== "HostKeyUnknown") return assert.fail(String(error))
      assert.strictEqual(error.reason.hop, "jump")
      assert.strictEqual(error.reason.target.host, "jump")
      assert.strictEqual(error.reason.fingerprint, jump.hostKeys[0]?.fingerprint)
      assert.include(error.message, "the jump host jump")
      assert.match(error.remedy.command ?? "", / jump true$/)
      assert.deepStrictEqual(yield* logins(jump, target), [0, 0])
    }))

  it.live("the second of two hops with an unknown key is the one that is named", () =>
    Effect.gen(function*() {
      const { jump: first, server, target } = yield* machines
      const second = yield* Sshd.make()
      const box = yield* connection(
        { hosts: { first, second: { sshd: second, known: false }, target } },
        { remotePort: server.port, proxyJump: "first,second" }
      )
      const error = yield* Effect.flip(box.connected)
      if (error.reason._tag !== "HostKeyUnknown") return assert.fail(String(error))
      assert.strictEqual(error.reason.hop, "second")
      assert.strictEqual(error.reason.fingerprint, second.hostKeys[0]?.fingerprint)
      // Only through the first one it can be reached.
      assert.match(error.remedy.command ?? "", / -J first second true$/)
      assert.deepStrictEqual(yield* logins(second, target), [0, 0])
    }))

  it.live("a target with an unknown key is refused behind a known jump host", () =>
    Effect.gen(function*() {
      const { jump, server, target } = yield* machines
      const box = yield* connection(
        { hosts: { jump, target: { sshd: target, known: false, lines: ["ProxyJump jump"] } } },
        { remotePort: server.port }
      )
      const error = yield* Effect.flip(box.connected)
      if (error.reason._tag !== "HostKeyUnknown") return assert.fail(String(error))
      assert.isUndefined(error.reason.hop)
      assert.strictEqual(error.reason.fingerprint, target.hostKeys[0]?.fingerprint)
      assert.deepStrictEqual(yield* logins(jump, target), [1, 0])
    }))

  it.live("a jump host that passes nothing on says so", () =>
    Effect.gen(function*() {
      const { server, target } = yield* machines
      const jump = yield* Sshd.make({ config: ["AllowTcpForwarding no"] })
      const box = yield* connection(
        { hosts: { jump, target: { sshd: target, lines: ["ProxyJump jump"] } } },
        { remotePort: server.port }
      )
      const error = yield* Effect.flip(box.connected)
      if (error.reason._tag !== "ProxyJumpFailed") return assert.fail(String(error))
      assert.deepStrictEqual([error.reason.hop, error.reason.problem], ["jump", "prohibited"])
    }))
})

describe.skipIf(!Sshd.available)("profile and ssh config", () => {
  it.live("User, Port and IdentityFile of the ssh config are used", () =>
    Effect.gen(function*() {
      const { server, target } = yield* machines
      const box = yield* connection({ hosts: { target } }, { remotePort: server.port })
      yield* box.connected
      assert.deepStrictEqual(yield* logins(target), [1])
    }))

  it.live("those of the profile win", () =>
    Effect.gen(function*() {
      const { jump, server, target } = yield* machines
      const other = yield* otherKey(target)
      const wrong = {
        sshd: target,
        lines: ["User nobody-here", `Port ${jump.port}`],
        identityFile: other.file
      }
      const box = yield* connection(
        { hosts: { target: wrong } },
        { remotePort: server.port, user: target.user, port: target.port, identityFile: target.key.file }
      )
      yield* box.connected
      assert.deepStrictEqual(yield* logins(jump, target), [0, 1])
    }))

  it.live("a user of the profile wins when it is wrong, too", () =>
    Effect.gen(function*() {
      const { server, target } = yield* machines
      const box = yield* connection({ hosts: { target } }, { remotePort: server.port, user: "nobody-here" })
      const error = yield* Effect.flip(box.connected)
      assert.strictEqual(error.reason._tag, "AuthenticationFailed")
      assert.include(yield* target.log.text, "Invalid user nobody-here")
      assert.deepStrictEqual(yield* logins(target), [0])
    }))

  it.live("of two keys that would do, the profile's is the one that logs in", () =>
    Effect.gen(function*() {
      const { server, target } = yield* machines
      const other = yield* otherKey(target)
      yield* target.authorize(other.publicKey)
      const hosts = { target }
      yield* (yield* connection({ hosts }, { remotePort: server.port })).connected
      yield* (yield* connection({ hosts }, { remotePort: server.port, identityFile: other.file })).connected
      const accepted = (yield* target.log.lines).filter((line) => line.startsWith("Accepted publickey"))
      assert.deepStrictEqual(accepted.map((line) => /SHA256:\S+/.exec(line)?.[0]), [
        target.key.fingerprint,
        other.fingerprint
      ])
    }))

  it.live("a profile's identity file is the first key that is offered", () =>
    Effect.gen(function*() {
      const { server } = yield* machines
      // Each key that is offered counts: a second one would be one too many.
      const target = yield* Sshd.make({ config: ["MaxAuthTries 1"] })
      const other = yield* otherKey(target)
      const box = yield* connection(
        { hosts: { target: { sshd: target, identityFile: other.file } } },
        { remotePort: server.port, identityFile: target.key.file }
      )
      yield* box.connected
      assert.deepStrictEqual(yield* logins(target), [1])
    }))
})
