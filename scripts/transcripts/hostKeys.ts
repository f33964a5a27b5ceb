/** Host keys. */
import * as Process from "@opencode-ai/ssh-lab/Process"
import { Effect } from "effect"
import * as Fs from "node:fs"
import { type Scenarios, withBox } from "./recording.ts"
import { hostBlock, writeConfig } from "./user.ts"

export const hostKeys: Scenarios = {
  "host-key-unknown": {
    about: "known_hosts is empty",
    recording: withBox(() => {}, { known: false })
  },
  "host-key-unknown-dev-null": {
    about: "UserKnownHostsFile /dev/null",
    recording: withBox(() => {}, { lines: ["UserKnownHostsFile /dev/null"] })
  },
  "host-key-unknown-missing-file": {
    about: "UserKnownHostsFile does not exist",
    recording: withBox((user) => Fs.rmSync(user.path("known_hosts")))
  },
  "host-key-changed": {
    about: "known_hosts has another key of the same type",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        const old = yield* user.key("old_host_key")
        user.know(`[127.0.0.1]:${box.port} ${old.publicKey}`)
      }), { known: false })
  },
  "host-key-changed-two-types": {
    about: "known_hosts has another ed25519 key and, after it, an rsa key: ssh names the last",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        const old = yield* user.key("old_host_key")
        const rsa = yield* user.key("old_host_rsa", { type: "rsa" })
        user.know(`[127.0.0.1]:${box.port} ${old.publicKey}`, `[127.0.0.1]:${box.port} ${rsa.publicKey}`)
      }), { known: false })
  },
  "host-key-other-type-known": {
    about: "known_hosts has only an rsa key, the server only an ed25519 key",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        const rsa = yield* user.key("old_host_rsa", { type: "rsa" })
        user.know(`[127.0.0.1]:${box.port} ${rsa.publicKey}`)
      }), { known: false })
  },
  "host-key-changed-alias": {
    about: "another key, with a HostKeyAlias",
    recording: withBox((user) =>
      Effect.gen(function*() {
        const old = yield* user.key("old_host_key")
        user.know(`the-box ${old.publicKey}`)
      }), { known: false, lines: ["HostKeyAlias the-box"] })
  },
  "host-key-revoked-marker": {
    about: "@revoked in known_hosts",
    recording: withBox((user, box) => user.know(...box.knownHosts.map((line) => `@revoked ${line}`)))
  },
  "host-key-revoked-krl": {
    about: "RevokedHostKeys is a KRL with this key",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        writeConfig(user, hostBlock("box", box.port, `RevokedHostKeys ${user.path("revoked")}`))
        yield* Process.output("ssh-keygen", ["-q", "-k", "-f", user.path("revoked"), `${box.hostKeys[0]?.file}.pub`])
      })
    )
  },
  "host-key-revoked-krl-missing": {
    about: "RevokedHostKeys names a file that does not exist",
    recording: withBox((user, box) =>
      writeConfig(user, hostBlock("box", box.port, `RevokedHostKeys ${user.path("revoked")}`))
    )
  },
  "host-key-revoked-krl-malformed": {
    about: "RevokedHostKeys names a file that is no KRL",
    recording: withBox((user, box) => {
      user.write("revoked", "no list of keys\n")
      writeConfig(user, hostBlock("box", box.port, `RevokedHostKeys ${user.path("revoked")}`))
    })
  },
  "host-certificate-unknown-authority": {
    about: "the server shows a certificate, known_hosts has neither its authority nor its key",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        const authority = yield* user.key("authority")
        const host = box.hostKeys[0]?.file ?? ""
        Fs.copyFileSync(`${host}.pub`, user.path("host.pub"))
        yield* Process.output("ssh-keygen", ["-q", "-s", authority.file, "-I", "box", "-h", user.path("host.pub")])
        yield* box.stop
        yield* box.start
      }), {
      known: false,
      server: (user) => ({ config: [`HostCertificate ${user.path("host-cert.pub")}`] })
    })
  }
}
