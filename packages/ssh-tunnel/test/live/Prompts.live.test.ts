import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as SshKey from "@opencode-ai/ssh-lab/SshKey"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Duration, Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Workstation from "./support/Workstation.ts"

/** From connect to the error, in milliseconds; on a machine that is busy, so many times what ssh itself takes. */
const atOnce = 2_000
const timesSsh = 5

/**
 * A workstation on whose desktop ssh would find everything that it needs to ask: a program for it, the order to use
 * it, and a screen. The program leaves a trace.
 */
const desktop = Effect.gen(function*() {
  const directory = yield* TempDirectory.make()
  const askpass = Path.join(directory, "askpass")
  const asked = Path.join(directory, "asked")
  Fs.writeFileSync(askpass, `#!/bin/sh\necho "$*" >>"${asked}"\necho anything\n`, { mode: 0o755 })
  const environment = {
    SSH_ASKPASS: askpass,
    SSH_ASKPASS_REQUIRE: "force",
    DISPLAY: ":0",
    WAYLAND_DISPLAY: "wayland-0"
  }
  const workstation = yield* Workstation.make({ environment })
  return { workstation, asked, environment }
})

/** Connects, and returns the error; nobody may have been asked, and it may not have taken long. */
const failure = Effect.fnUntraced(function*(options: SshClient.Options, fields: Partial<Workstation.Fields> = {}) {
  const client = yield* SshClient.make(options)
  const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
  const { asked, workstation } = yield* desktop
  const box = yield* workstation.profile({
    host: "box",
    sshConfig: client.configFile,
    remotePort: server.port,
    ...fields
  })
  const [took, error] = yield* Effect.timed(Effect.flip(box.connected))
  assert.isFalse(Fs.existsSync(asked), "somebody was asked")
  const [alone] = yield* Effect.timed(client.ssh("-o", "BatchMode=yes", "box", "true"))
  assert.isBelow(Duration.toMillis(took), Math.max(atOnce, timesSsh * Duration.toMillis(alone)))
  assert.deepStrictEqual(yield* workstation.sshProcesses, [])
  return error
})

const reason = Effect.fnUntraced(function*(options: SshClient.Options, fields: Partial<Workstation.Fields> = {}) {
  const error = yield* failure(options, fields)
  assert.isFalse(error.retryable)
  if (error.reason._tag !== "InteractionRequired") return assert.fail(String(error))
  return error.reason
})

/** A key with a passphrase that the machine accepts. */
const lockedKey = Effect.fnUntraced(function*(sshd: Sshd.Sshd) {
  const key = yield* SshKey.make(Path.join(sshd.directory, "locked"), { passphrase: "not asked for" })
  yield* sshd.authorize(key.publicKey)
  return key
})

describe.skipIf(!Sshd.available)("where ssh would ask", () => {
  it.live("the program that asks is really found by an ordinary ssh", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make()
      const key = yield* lockedKey(sshd)
      const client = yield* SshClient.make({ hosts: { box: { sshd, identityFile: key.file } } })
      const { asked } = yield* desktop
      yield* client.ssh("-o", "NumberOfPasswordPrompts=1", "box", "true")
      assert.include(Fs.readFileSync(asked, "utf8"), key.file)
    }))

  it.live("a machine that wants a password", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make({ config: ["PasswordAuthentication yes", "PubkeyAuthentication no"] })
      assert.strictEqual((yield* reason({ hosts: { box: sshd } })).what, "password")
    }))

  it.live("a machine that asks questions", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make({
        config: ["UsePAM yes", "KbdInteractiveAuthentication yes", "PubkeyAuthentication no"]
      })
      assert.strictEqual((yield* reason({ hosts: { box: sshd } })).what, "keyboard-interactive")
    }))

  it.live("a machine that wants a password after the key", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make({
        config: ["PasswordAuthentication yes", "AuthenticationMethods publickey,password"]
      })
      assert.strictEqual((yield* reason({ hosts: { box: sshd } })).what, "password")
    }))

  it.live("a key with a passphrase, of the ssh config and of the profile", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make()
      const key = yield* lockedKey(sshd)
      for (
        const [identityFile, fields] of [
          [key.file, {}],
          [false, { identityFile: key.file }]
        ] as const
      ) {
        const found = yield* reason({ hosts: { box: { sshd, identityFile } } }, fields)
        assert.strictEqual(found.what, "passphrase")
        assert.strictEqual(found.identityFile, key.file)
        assert.strictEqual(found.remedy.command, `ssh-add ${key.file}`)
      }
      assert.strictEqual(yield* sshd.authentications, 0)
    }))

  it.live("a jump host whose key has a passphrase", () =>
    Effect.gen(function*() {
      const [jump, target] = yield* Effect.all([Sshd.make(), Sshd.make()], { concurrency: "unbounded" })
      const key = yield* lockedKey(jump)
      const found = yield* reason({
        hosts: { jump: { sshd: jump, identityFile: key.file }, box: { sshd: target, lines: ["ProxyJump jump"] } }
      })
      assert.strictEqual(found.what, "passphrase")
      assert.strictEqual(found.hop, "jump")
      assert.strictEqual(found.identityFile, key.file)
      assert.deepStrictEqual([yield* jump.authentications, yield* target.authentications], [0, 0])
    }))

  it.live("a jump host that wants a password", () =>
    Effect.gen(function*() {
      const jump = yield* Sshd.make({ config: ["PasswordAuthentication yes", "PubkeyAuthentication no"] })
      const target = yield* Sshd.make()
      const found = yield* reason({ hosts: { jump, box: { sshd: target, lines: ["ProxyJump jump"] } } })
      assert.deepStrictEqual([found.what, found.hop], ["password", "jump"])
    }))

  it.live("an ssh that the user's ProxyCommand runs, which our config does not reach", () =>
    Effect.gen(function*() {
      const [jump, target] = yield* Effect.all([Sshd.make(), Sshd.make()], { concurrency: "unbounded" })
      const key = yield* lockedKey(jump)
      const jumps = yield* SshClient.make({ hosts: { jump: { sshd: jump, identityFile: key.file } } })
      const error = yield* failure({
        hosts: { box: { sshd: target, lines: [`ProxyCommand ssh -F ${jumps.configFile} -W %h:%p jump`] } }
      })
      if (error.reason._tag !== "ProxyJumpFailed") return assert.fail(String(error))
      assert.strictEqual(error.reason.problem, "proxy-command")
      assert.include(error.message, "Permission denied")
      assert.deepStrictEqual([yield* jump.authentications, yield* target.authentications], [0, 0])
    }))

  it.live("the user's own wishes to be asked do not count", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make({ config: ["PasswordAuthentication yes"] })
      const key = yield* lockedKey(sshd)
      const found = yield* reason({
        hosts: {
          box: {
            sshd,
            identityFile: key.file,
            lines: ["BatchMode no", "StrictHostKeyChecking ask", "AddKeysToAgent ask", "NumberOfPasswordPrompts 3"]
          }
        }
      })
      assert.strictEqual(found.what, "passphrase")
    }))

  it.live("the plain strategy asks nobody either", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make()
      const key = yield* lockedKey(sshd)
      const found = yield* reason({ hosts: { box: { sshd, identityFile: key.file } } }, { strategy: "plain" })
      assert.strictEqual(found.what, "passphrase")
    }))
})
