/** Logging in: keys, agents, and what sshd asks for. */
import type { LabError } from "@opencode-ai/ssh-lab/LabError"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshAgent from "@opencode-ai/ssh-lab/SshAgent"
import { quote } from "@opencode-ai/ssh-lab/SshClient"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Duration, Effect } from "effect"
import * as Fs from "node:fs"
import { box, type BoxOptions, boxWith, type Keys, keys } from "./places.ts"
import { fails, type Failure, type Group, type Scenario, type Situation } from "./Scenario.ts"
import { replayed } from "./transcript.ts"

/** The user's key, which the ssh config names, and what is wrong with it. */
const withKey = (
  spoil: (user: Keys, file: string) => Effect.Effect<void, LabError> | void,
  options: BoxOptions & { readonly passphrase?: string; readonly authorized?: boolean } = {}
): Scenario["setUp"] =>
  Effect.gen(function*() {
    const user = yield* keys
    const key = yield* user.make("id_ed25519", options.passphrase === undefined ? {} : options)
    return yield* boxWith({ ...options, host: { identityFile: key.file, ...options.host } }, ({ sshd }) =>
      Effect.gen(function*() {
        if (options.authorized !== false) {
          yield* sshd.authorize(key.publicKey)
        }
        const spoiling = spoil(user, key.file)
        if (spoiling !== undefined) {
          yield* spoiling
        }
        return { names: [[user.directory, "~/.ssh"]] }
      }))
  })

/** Several keys that the server does not know. */
const strangers = (count: number) =>
  Effect.gen(function*() {
    const user = yield* keys
    const all = yield* Effect.forEach(Array.from({ length: count }, (_, i) => `id_${i}`), (name) => user.make(name))
    return { user, all }
  })

const sshd = (...config: ReadonlyArray<string>): BoxOptions => ({ sshd: { config } })

const interactive = ["KbdInteractiveAuthentication yes", "UsePAM yes"]

/** A file of the user that ssh cannot use as a private key. */
const unusable = (
  name: string,
  about: string,
  problem: "missing" | "permissions" | "malformed" | "public-key",
  spoil: (user: Keys, file: string) => void,
  options: Parameters<typeof withKey>[1] = {}
): Scenario => ({
  name,
  about,
  expected: fails("ConfigurationError", "IdentityFileUnusable", "final", { problem }),
  setUp: withKey(spoil, options)
})

/** ssh's own words, where the thing that makes it say them is not here. */
const securityKey = (name: string, about: string, transcript: string, expected: Failure): Scenario => ({
  name,
  about,
  expected,
  origin: "transcript",
  setUp: replayed(transcript)
})

export const authentication: Group = {
  title: "Authentication",
  scenarios: [
    {
      name: "no-key",
      about: "There is no key that ssh could offer: no identity file, no agent.",
      expected: fails("TransportError", "AuthenticationFailed", "final", { offered: 0 }),
      setUp: boxWith({ host: { identityFile: false, lines: ["IdentityFile none"] } })
    },
    {
      name: "key-refused",
      about: "The account does not know the key.",
      expected: fails("TransportError", "AuthenticationFailed", "final", { offered: 1, alsoAccepts: ["publickey"] }),
      setUp: withKey(() => {}, { authorized: false })
    },
    {
      name: "key-refused-password-left",
      about: "The account does not know the key; it would take a password.",
      expected: fails("TransportError", "AuthenticationFailed", "final", {
        offered: 1,
        alsoAccepts: ["publickey", "password"]
      }),
      setUp: withKey(() => {}, { authorized: false, ...sshd("PasswordAuthentication yes") })
    },
    {
      name: "no-such-user",
      about: "There is no such account.",
      expected: fails("TransportError", "AuthenticationFailed", "final", { user: "nobody-here", offered: 1 }),
      setUp: boxWith({ profile: { user: "nobody-here" } })
    },
    {
      name: "agent-gone",
      about: "The ssh agent has ended, and the account does not know the key of the file.",
      expected: fails("TransportError", "AuthenticationFailed", "final", { offered: 1 }),
      setUp: Effect.map(
        withKey(() => {}, { authorized: false, host: { lines: ["IdentitiesOnly no"] } }),
        (situation) => ({ ...situation, environment: { SSH_AUTH_SOCK: "/nobody/listens/here" } })
      )
    },
    {
      name: "key-with-passphrase",
      about: "The account accepts the key, which is locked with a passphrase; no agent has it.",
      expected: fails("TransportError", "InteractionRequired", "final", { what: "passphrase" }),
      setUp: withKey(() => {}, { passphrase: "open sesame" })
    },
    {
      name: "key-with-passphrase-of-the-profile",
      about: "The same with the identity file of the profile.",
      expected: fails("TransportError", "InteractionRequired", "final", { what: "passphrase" }),
      setUp: Effect.gen(function*() {
        const user = yield* keys
        const key = yield* user.make("id_work", { passphrase: "open sesame" })
        return yield* boxWith(
          {
            sshd: { authorizedKeys: [key.publicKey] },
            host: { identityFile: false },
            profile: { identityFile: key.file }
          },
          () => ({ names: [[user.directory, "~/.ssh"]] })
        )
      })
    },
    {
      name: "old-key-with-passphrase",
      about: "A locked key in the PEM format, with no .pub file beside it.",
      expected: fails("TransportError", "InteractionRequired", "final", { what: "passphrase" }),
      setUp: Effect.gen(function*() {
        const user = yield* keys
        const key = yield* user.make("id_rsa", { type: "rsa" })
        yield* Process.output("ssh-keygen", ["-q", "-p", "-m", "PEM", "-f", key.file, "-N", "open sesame"])
        Fs.rmSync(`${key.file}.pub`)
        return yield* boxWith(
          { sshd: { authorizedKeys: [key.publicKey] }, host: { identityFile: key.file } },
          () => ({ names: [[user.directory, "~/.ssh"]] })
        )
      })
    },
    {
      name: "key-with-passphrase-refused",
      about: "The key is locked, and the account does not know it.",
      expected: fails("TransportError", "AuthenticationFailed", "final", { offered: 1 }),
      setUp: withKey(() => {}, { passphrase: "open sesame", authorized: false })
    },
    {
      name: "password-only",
      about: "The server takes passwords only.",
      expected: fails("TransportError", "InteractionRequired", "final", { what: "password" }),
      setUp: boxWith(sshd("PasswordAuthentication yes", "PubkeyAuthentication no"))
    },
    {
      name: "keyboard-interactive-only",
      about: "The server asks questions only (keyboard-interactive).",
      expected: fails("TransportError", "InteractionRequired", "final", { what: "keyboard-interactive" }),
      setUp: boxWith(sshd(...interactive, "PubkeyAuthentication no"))
    },
    {
      name: "second-factor-password",
      about: "The key is good, and the server wants a password too.",
      expected: fails("TransportError", "InteractionRequired", "final", { what: "password" }),
      setUp: boxWith(sshd("PasswordAuthentication yes", "AuthenticationMethods publickey,password"))
    },
    {
      name: "second-factor-question",
      about: "The key is good, and the server asks a question too, such as for a one-time code.",
      expected: fails("TransportError", "InteractionRequired", "final", { what: "keyboard-interactive" }),
      setUp: boxWith(sshd(...interactive, "AuthenticationMethods publickey,keyboard-interactive"))
    },
    {
      name: "second-factor-key",
      about: "The key is good, and the server wants another key too.",
      expected: fails("TransportError", "AuthenticationFailed", "final", {
        alsoAccepts: ["publickey"],
        partial: true
      }),
      setUp: boxWith(sshd("AuthenticationMethods publickey,publickey"))
    },
    {
      name: "too-many-keys-of-the-agent",
      about: "The agent has eight keys, and the server closes after six (MaxAuthTries).",
      expected: fails("TransportError", "TooManyAuthenticationFailures", "final"),
      setUp: Effect.gen(function*() {
        const { all } = yield* strangers(8)
        const agent = yield* SshAgent.make()
        yield* Effect.forEach(all, (key) => agent.add(key))
        const { situation } = yield* box({ host: { lines: ["IdentitiesOnly no"] } })
        return { ...situation, environment: { SSH_AUTH_SOCK: agent.socket } }
      })
    },
    {
      name: "too-many-identity-files",
      about: "The ssh config names eight identity files, and the server closes after six (MaxAuthTries).",
      expected: fails("TransportError", "TooManyAuthenticationFailures", "final"),
      setUp: Effect.gen(function*() {
        const { all } = yield* strangers(8)
        const lines = all.map(({ file }) => `IdentityFile ${quote(file)}`)
        return yield* boxWith({ host: { identityFile: false, lines } })
      })
    },
    {
      name: "agent-hangs",
      about: "The ssh agent accepts connections and never answers (deadline shortened).",
      expected: fails("TransportError", "AuthenticationTimedOut", "retried"),
      setUp: Effect.gen(function*() {
        const socket = yield* SshAgent.hung
        const { situation } = yield* box()
        return {
          ...situation,
          environment: { SSH_AUTH_SOCK: socket },
          timing: { deadline: Duration.seconds(2), deadlineWithSecurityKey: Duration.seconds(4) }
        }
      })
    },
    {
      name: "login-hangs",
      about: "sshd stops in the middle of the login: its AuthorizedKeysCommand hangs (deadline shortened).",
      requires: ["root"],
      expected: fails("TransportError", "AuthenticationTimedOut", "retried"),
      setUp: Effect.gen(function*() {
        const directory = yield* TempDirectory.make()
        const hang = `/bin/sh -c "while test -d ${directory}; do sleep 0.1; done"`
        const situation = yield* withKey(() => {}, {
          authorized: false,
          ...sshd(`AuthorizedKeysCommand ${hang}`, "AuthorizedKeysCommandUser root")
        })
        return { ...situation, timing: { deadline: Duration.seconds(2) } }
      })
    },
    {
      name: "agent-wants-confirmation",
      about: "The agent asks for a confirmation before it uses the key (ssh-add -c), and nobody gives it.",
      expected: fails("TransportError", "InteractionRequired", "final", { what: "confirmation" }),
      setUp: Effect.gen(function*() {
        const user = yield* keys
        const key = yield* user.make("id_confirm")
        const agent = yield* SshAgent.make()
        yield* agent.add(key, { confirm: true })
        Fs.rmSync(key.file)
        const { situation } = yield* box({
          sshd: { authorizedKeys: [key.publicKey] },
          host: { identityFile: false, lines: ["IdentitiesOnly no", "IdentityFile none"] }
        })
        return { ...situation, environment: { SSH_AUTH_SOCK: agent.socket } }
      })
    },
    securityKey(
      "security-key-wants-pin",
      "The security key asks for its PIN.",
      "source-security-key-pin",
      fails("TransportError", "InteractionRequired", "final", { what: "pin" })
    ),
    securityKey(
      "security-key-absent",
      "The security key is not plugged in.",
      "source-security-key-absent",
      fails("TransportError", "InteractionRequired", "final", { what: "security-key" })
    ),
    securityKey(
      "security-key-of-the-agent-refused",
      "The agent has the security key, and it was not touched.",
      "source-security-key-agent-refused",
      fails("TransportError", "InteractionRequired", "final", { what: "security-key" })
    ),
    {
      name: "security-key-not-touched",
      about: "The security key waits for a touch that does not come (deadlines shortened).",
      expected: fails("TransportError", "AuthenticationTimedOut", "retried", { waitingFor: "security-key" }),
      origin: "transcript",
      setUp: Effect.map(
        replayed("source-security-key-waiting", { end: "never" }),
        (situation): Situation => ({
          ...situation,
          timing: { deadline: Duration.seconds(1), deadlineWithSecurityKey: Duration.seconds(2) }
        })
      )
    },
    unusable("identity-file-missing", "The identity file does not exist.", "missing", (_, file) => {
      Fs.rmSync(file)
      Fs.rmSync(`${file}.pub`)
    }),
    unusable(
      "private-half-missing",
      "Only the .pub file is there, and the account accepts it.",
      "missing",
      (_, file) => Fs.rmSync(file)
    ),
    unusable(
      "identity-file-open-to-others",
      "The identity file has mode 0644.",
      "permissions",
      (_, file) => Fs.chmodSync(file, 0o644)
    ),
    unusable("identity-file-malformed", "The identity file holds something else.", "malformed", (_, file) => {
      Fs.writeFileSync(file, "this is no key\n")
    }),
    unusable("identity-file-truncated", "The identity file has lost its second half.", "malformed", (_, file) => {
      const text = Fs.readFileSync(file, "utf8")
      Fs.writeFileSync(file, text.slice(0, text.length / 2))
    }),
    {
      name: "identity-file-is-public",
      about: "The profile names the public key, id_ed25519.pub.",
      expected: fails("ConfigurationError", "IdentityFileUnusable", "final", { problem: "public-key" }),
      setUp: Effect.gen(function*() {
        const user = yield* keys
        const key = yield* user.make("id_ed25519")
        return yield* boxWith(
          {
            sshd: { authorizedKeys: [key.publicKey] },
            host: { identityFile: false },
            profile: { identityFile: `${key.file}.pub` }
          },
          () => ({ names: [[user.directory, "~/.ssh"]] })
        )
      })
    }
  ]
}
