/** Authentication. */
import * as Process from "@opencode-ai/ssh-lab/Process"
import { Effect } from "effect"
import * as Fs from "node:fs"
import { run, type Scenarios, withBox } from "./recording.ts"
import { hostBlock, makeUser, server, writeConfig, writeOverlay } from "./user.ts"

export const authentication: Scenarios = {
  "key-refused": {
    about: "the server does not know the key",
    recording: withBox(() => {}, { authorized: false })
  },
  "key-refused-password-left": {
    about: "the server does not know the key and would take a password",
    recording: withBox(() => {}, { authorized: false, server: { config: ["PasswordAuthentication yes"] } })
  },
  "no-key-to-offer": {
    about: "IdentityFile none, no agent",
    recording: withBox((user, box) => writeConfig(user, hostBlock("box", box.port, "IdentityFile none")))
  },
  "no-default-key": {
    about: "no IdentityFile, no agent, no default key",
    recording: withBox((user, box) =>
      void user.write(
        "config",
        [
          hostBlock("box", box.port),
          "Host *",
          `  UserKnownHostsFile ${user.path("known_hosts")}`,
          "  GlobalKnownHostsFile /dev/null",
          ""
        ].join("\n")
      )
    )
  },
  "key-locked": {
    about: "the key has a passphrase, the server accepts it",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        Fs.rmSync(user.path("id_ed25519"))
        Fs.rmSync(user.path("id_ed25519.pub"))
        const key = yield* user.key("id_ed25519", { passphrase: "secret" })
        yield* box.authorize(key.publicKey)
      })
    )
  },
  "key-locked-refused": {
    about: "the key has a passphrase, the server does not know it",
    recording: withBox((user) =>
      Effect.gen(function*() {
        Fs.rmSync(user.path("id_ed25519"))
        Fs.rmSync(user.path("id_ed25519.pub"))
        yield* user.key("id_ed25519", { passphrase: "secret" })
      }), { authorized: false })
  },
  "key-locked-without-public": {
    about: "the key has a passphrase, in the PEM format that hides the public half; no .pub beside it",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        Fs.rmSync(user.path("id_ed25519"))
        Fs.rmSync(user.path("id_ed25519.pub"))
        const key = yield* user.key("id_rsa", { type: "rsa" })
        yield* Process.output("ssh-keygen", ["-q", "-p", "-m", "PEM", "-f", key.file, "-N", "secret"])
        Fs.rmSync(`${key.file}.pub`)
        yield* box.authorize(key.publicKey)
        writeConfig(user, hostBlock("box", box.port, `IdentityFile ${key.file}`))
      })
    )
  },
  "key-without-public": {
    about: "a PEM key without passphrase and without .pub, refused",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        Fs.rmSync(user.path("id_ed25519"))
        Fs.rmSync(user.path("id_ed25519.pub"))
        const key = yield* user.key("id_rsa", { type: "rsa" })
        yield* Process.output("ssh-keygen", ["-q", "-p", "-m", "PEM", "-f", key.file, "-N", ""])
        Fs.rmSync(`${key.file}.pub`)
        writeConfig(user, hostBlock("box", box.port, `IdentityFile ${key.file}`))
      })
    )
  },
  "key-one-refused-one-locked": {
    about: "one key is refused, another is accepted but locked",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        const locked = yield* user.key("id_locked", { passphrase: "secret" })
        yield* box.authorize(locked.publicKey)
        writeConfig(
          user,
          hostBlock("box", box.port, `IdentityFile ${user.path("id_ed25519")}`, `IdentityFile ${locked.file}`)
        )
      }), { authorized: false })
  },
  "password-only": {
    about: "the server takes passwords only",
    recording: withBox(() => {}, { server: { config: ["PasswordAuthentication yes", "PubkeyAuthentication no"] } })
  },
  "keyboard-interactive-only": {
    about: "the server takes keyboard-interactive only",
    recording: withBox(() => {}, {
      server: { config: ["KbdInteractiveAuthentication yes", "PubkeyAuthentication no", "UsePAM yes"] }
    })
  },
  "password-and-keyboard-interactive": {
    about: "the server takes both",
    recording: withBox(() => {}, {
      server: {
        config: [
          "KbdInteractiveAuthentication yes",
          "PasswordAuthentication yes",
          "PubkeyAuthentication no",
          "UsePAM yes"
        ]
      }
    })
  },
  "key-then-password": {
    about: "AuthenticationMethods publickey,password",
    recording: withBox(() => {}, {
      server: { config: ["PasswordAuthentication yes", "AuthenticationMethods publickey,password"] }
    })
  },
  "key-then-keyboard-interactive": {
    about: "AuthenticationMethods publickey,keyboard-interactive",
    recording: withBox(() => {}, {
      server: {
        config: [
          "KbdInteractiveAuthentication yes",
          "UsePAM yes",
          "AuthenticationMethods publickey,keyboard-interactive"
        ]
      }
    })
  },
  "key-then-key": {
    about: "AuthenticationMethods publickey,publickey with one key",
    recording: withBox(() => {}, { server: { config: ["AuthenticationMethods publickey,publickey"] } })
  },
  "too-many-failures": {
    about: "eight identity files, none of them known; MaxAuthTries 6",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        const keys = yield* Effect.forEach(Array.from({ length: 8 }, (_, i) => `id_${i}`), (name) => user.key(name))
        writeConfig(user, hostBlock("box", box.port, ...keys.map(({ file }) => `IdentityFile ${file}`)))
      }), { authorized: false })
  },
  "too-many-failures-agent": {
    about: "an agent with eight keys, none of them known",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const box = yield* server(user, "box")
      user.know(...box.knownHosts)
      const socket = user.path("agent")
      const agent = yield* Process.spawn("ssh-agent", ["-D", "-a", socket])
      yield* agent.stdout.waitFor("SSH_AUTH_SOCK")
      for (let i = 0; i < 8; i++) {
        const key = yield* user.key(`id_${i}`)
        yield* Process.output("ssh-add", ["-q", key.file], { env: { SSH_AUTH_SOCK: socket } })
      }
      writeConfig(user, hostBlock("box", box.port, "IdentitiesOnly no"))
      writeOverlay(user)
      return yield* run(user, "box", { env: { SSH_AUTH_SOCK: socket } })
    })
  },
  "agent-refuses": {
    about: "the agent wants a confirmation (ssh-add -c) that nobody gives",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const box = yield* server(user, "box")
      user.know(...box.knownHosts)
      const key = yield* user.key("id_confirm")
      yield* box.authorize(key.publicKey)
      const socket = user.path("agent")
      const agent = yield* Process.spawn("ssh-agent", ["-D", "-a", socket], {
        env: { SSH_ASKPASS: "/bin/false", DISPLAY: undefined, SSH_ASKPASS_REQUIRE: "force" }
      })
      yield* agent.stdout.waitFor("SSH_AUTH_SOCK")
      yield* Process.output("ssh-add", ["-q", "-c", key.file], { env: { SSH_AUTH_SOCK: socket } })
      Fs.rmSync(key.file)
      writeConfig(user, hostBlock("box", box.port, "IdentitiesOnly no"))
      writeOverlay(user)
      return yield* run(user, "box", { env: { SSH_AUTH_SOCK: socket } })
    })
  },
  "agent-gone": {
    about: "SSH_AUTH_SOCK names a socket behind which nobody is; the key file is refused",
    recording: withBox(
      (user, box) =>
        writeConfig(user, hostBlock("box", box.port, "IdentitiesOnly no", `IdentityAgent ${user.path("nobody")}`)),
      {
        authorized: false
      }
    )
  }
}
