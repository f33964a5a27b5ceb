import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as SshKey from "@opencode-ai/ssh-lab/SshKey"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Workstation from "./support/Workstation.ts"

/** The type and the base64 of a public key. */
const words = ({ publicKey }: SshKey.SshKey): string => publicKey.split(" ").slice(0, 2).join(" ")

/** A key of another machine, of this type. */
const strangersKey = Effect.fnUntraced(function*(type: SshKey.KeyType = "ed25519") {
  return yield* SshKey.make(Path.join(yield* TempDirectory.make(), "key"), { type })
})

/** A machine that no entry of known_hosts names but the ones that are given. */
const stranger = Effect.fnUntraced(function*(options: {
  readonly lines?: ReadonlyArray<string>
  readonly entries?: (sshd: Sshd.Sshd) => ReadonlyArray<string>
  readonly hostKeys?: ReadonlyArray<SshKey.KeyType>
} = {}) {
  const sshd = yield* Sshd.make(options.hostKeys === undefined ? {} : { hostKeys: options.hostKeys })
  const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
  const client = yield* SshClient.make({
    hosts: { box: { sshd, known: false, lines: options.lines ?? [] } },
    knownHosts: ["# a line of the user", ...options.entries?.(sshd) ?? []]
  })
  const workstation = yield* Workstation.make()
  const box = yield* workstation.profile({ host: "box", sshConfig: client.configFile, remotePort: server.port })
  return { sshd, client, box }
})

/** Runs a remedy's command as it is, in a shell; a person reads ssh's question, and answers yes. */
const follow = Effect.fnUntraced(function*(client: SshClient.SshClient, command: string | undefined) {
  const directory = yield* TempDirectory.make()
  const askpass = Path.join(directory, "yes")
  const question = Path.join(directory, "question")
  Fs.writeFileSync(askpass, `#!/bin/sh\necho "$*" >>"${question}"\necho yes\n`, { mode: 0o755 })
  yield* Process.output("sh", ["-c", command ?? "false"], {
    env: { SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: "force", SSH_AUTH_SOCK: undefined }
  })
  // What this changed is what the person wanted.
  yield* client.write("known_hosts", Fs.readFileSync(client.knownHostsFile, "utf8"))
  return Fs.existsSync(question) ? Fs.readFileSync(question, "utf8") : ""
})

describe.skipIf(!Sshd.available)("the host's key", () => {
  it.live("unknown: refused with its fingerprint and the command that accepts it; then it connects", () =>
    Effect.gen(function*() {
      const { box, client, sshd } = yield* stranger()
      const error = yield* Effect.flip(box.connected)
      if (error.reason._tag !== "HostKeyUnknown") return assert.fail(String(error))
      const real = sshd.hostKeys[0]?.fingerprint ?? "none"
      assert.strictEqual(error.reason.fingerprint, real)
      assert.strictEqual(error.reason.keyType?.toLowerCase().replace("ssh-", ""), "ed25519")
      assert.isFalse(error.retryable)
      assert.include(error.message, real)
      assert.include(error.remedy.text, "accept it once in a terminal")
      assert.strictEqual(
        error.remedy.command,
        `ssh -S none -o StrictHostKeyChecking=ask -F ${client.configFile} box true`
      )
      assert.strictEqual(yield* sshd.authentications, 0)
      assert.include(yield* follow(client, error.remedy.command), real)
      yield* box.connected
    }))

  it.live("known by another type of key only: unknown, and the old entry must go first", () =>
    Effect.gen(function*() {
      const old = yield* strangersKey("rsa")
      const { box, client, sshd } = yield* stranger({
        entries: ({ port }) => [`[127.0.0.1]:${port} ${words(old)}`]
      })
      const error = yield* Effect.flip(box.connected)
      if (error.reason._tag !== "HostKeyUnknown") return assert.fail(String(error))
      assert.deepStrictEqual(error.reason.knownKeyTypes, ["RSA"])
      assert.include(error.remedy.text, "RSA")
      assert.include(yield* follow(client, error.remedy.command), sshd.hostKeys[0]?.fingerprint ?? "none")
      yield* box.connected
    }))

  it.live("changed: refused with a warning, both fingerprint and entry; forgetting it makes it unknown", () =>
    Effect.gen(function*() {
      const old = yield* strangersKey()
      const { box, client, sshd } = yield* stranger({
        entries: ({ port }) => [`[127.0.0.1]:${port} ${words(old)}`]
      })
      const error = yield* Effect.flip(box.connected)
      if (error.reason._tag !== "HostKeyChanged") return assert.fail(String(error))
      assert.strictEqual(error.reason.fingerprint, sshd.hostKeys[0]?.fingerprint)
      assert.strictEqual(error.reason.knownHostsFile, client.knownHostsFile)
      assert.strictEqual(error.reason.knownHostsLine, 2)
      assert.strictEqual(error.reason.knownHostsName, `[127.0.0.1]:${sshd.port}`)
      assert.match(error.message, /^DANGER/)
      assert.isFalse(error.retryable)
      assert.strictEqual(yield* sshd.authentications, 0)
      yield* follow(client, error.remedy.command)
      assert.strictEqual((yield* Effect.flip(box.connected)).reason._tag, "HostKeyUnknown")
    }))

  it.live("changed under a HostKeyAlias: that name is the one to forget", () =>
    Effect.gen(function*() {
      const old = yield* strangersKey()
      const { box, client } = yield* stranger({
        lines: ["HostKeyAlias the-box"],
        entries: () => [`the-box ${words(old)}`]
      })
      const error = yield* Effect.flip(box.connected)
      if (error.reason._tag !== "HostKeyChanged") return assert.fail(String(error))
      assert.strictEqual(error.remedy.command, `ssh-keygen -R the-box -f ${client.knownHostsFile}`)
      yield* follow(client, error.remedy.command)
      assert.strictEqual((yield* Effect.flip(box.connected)).reason._tag, "HostKeyUnknown")
    }))

  it.live("revoked in known_hosts, or in a list of revoked keys", () =>
    Effect.gen(function*() {
      const marked = yield* stranger({
        entries: ({ hostKeys, port }) =>
          hostKeys.flatMap((key) => [
            `[127.0.0.1]:${port} ${words(key)}`,
            `@revoked [127.0.0.1]:${port} ${words(key)}`
          ])
      })
      const error = yield* Effect.flip(marked.box.connected)
      if (error.reason._tag !== "HostKeyRevoked") return assert.fail(String(error))
      assert.isUndefined(error.remedy.command)
      assert.strictEqual(yield* marked.sshd.authentications, 0)

      const revoked = Path.join(yield* TempDirectory.make(), "revoked")
      const listed = yield* stranger({
        lines: [`RevokedHostKeys ${revoked}`],
        entries: (sshd) => sshd.knownHosts
      })
      Fs.writeFileSync(revoked, listed.sshd.hostKeys.map(words).join("\n"))
      assert.strictEqual((yield* Effect.flip(listed.box.connected)).reason._tag, "HostKeyRevoked")
      Fs.rmSync(revoked)
      // Without its list ssh trusts nobody.
      const unreadable = yield* Effect.flip(listed.box.connected)
      assert.strictEqual(unreadable.reason._tag, "RevokedKeysUnreadable")
    }))

  it.live("unknown where nothing can be remembered: says so instead of a command that cannot help", () =>
    Effect.gen(function*() {
      const { box } = yield* stranger({ lines: ["UserKnownHostsFile /dev/null"] })
      const error = yield* Effect.flip(box.connected)
      if (error.reason._tag !== "HostKeyUnknown") return assert.fail(String(error))
      assert.isFalse(error.reason.rememberable)
      assert.isUndefined(error.remedy.command)
      assert.include(error.remedy.text, "/dev/null")
    }))

  it.live("the user's own leave to accept keys, and to write them down, is not ours", () =>
    Effect.gen(function*() {
      const lines = ["StrictHostKeyChecking accept-new", "UpdateHostKeys yes", "CheckHostIP yes", "HashKnownHosts yes"]
      const unknown = yield* stranger({ lines })
      assert.strictEqual((yield* Effect.flip(unknown.box.connected)).reason._tag, "HostKeyUnknown")
      // After login this one tells its other key, which an ordinary ssh would write down.
      const known = yield* stranger({
        lines,
        hostKeys: ["ed25519", "ecdsa"],
        entries: (sshd) => sshd.knownHosts.slice(0, 1)
      })
      yield* known.box.connected
    }))

  it.live("hashed entries of known_hosts are known, and their keys are compared", () =>
    Effect.gen(function*() {
      const hashed = Effect.fnUntraced(function*(client: SshClient.SshClient) {
        yield* Process.output("ssh-keygen", ["-H", "-f", client.knownHostsFile])
        yield* client.write("known_hosts", Fs.readFileSync(client.knownHostsFile, "utf8"))
      })
      const known = yield* stranger({ entries: (sshd) => sshd.knownHosts })
      yield* hashed(known.client)
      assert.notInclude(Fs.readFileSync(known.client.knownHostsFile, "utf8"), "127.0.0.1")
      yield* known.box.connected
      const old = yield* strangersKey()
      const changed = yield* stranger({ entries: ({ port }) => [`[127.0.0.1]:${port} ${words(old)}`] })
      yield* hashed(changed.client)
      const error = yield* Effect.flip(changed.box.connected)
      if (error.reason._tag !== "HostKeyChanged") return assert.fail(String(error))
      yield* follow(changed.client, error.remedy.command)
      assert.strictEqual((yield* Effect.flip(changed.box.connected)).reason._tag, "HostKeyUnknown")
    }))
})
