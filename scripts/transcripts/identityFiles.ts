/** Identity files. */
import { Effect } from "effect"
import * as Fs from "node:fs"
import { run, type Scenarios, withBox } from "./recording.ts"
import { hostBlock, makeUser, server, writeConfig, writeOverlay } from "./user.ts"

export const identityFiles: Scenarios = {
  "identity-missing": {
    about: "IdentityFile does not exist",
    recording: withBox((user) => {
      Fs.rmSync(user.path("id_ed25519"))
      Fs.rmSync(user.path("id_ed25519.pub"))
    })
  },
  "identity-private-missing": {
    about: "only the .pub is there, and the server accepts it",
    recording: withBox((user) => Fs.rmSync(user.path("id_ed25519")))
  },
  "identity-missing-i": {
    about: "ssh -i FILE that does not exist, and no default key",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const box = yield* server(user, "box")
      user.know(...box.knownHosts)
      writeConfig(user, hostBlock("box", box.port))
      writeOverlay(user)
      return yield* run(user, "box", { words: ["-i", user.path("id_other")] })
    })
  },
  "identity-permissions": {
    about: "IdentityFile has mode 0644",
    recording: withBox((user) => Fs.chmodSync(user.path("id_ed25519"), 0o644))
  },
  "identity-permissions-without-public": {
    about: "IdentityFile has mode 0644, no .pub beside it",
    recording: withBox((user) => {
      Fs.chmodSync(user.path("id_ed25519"), 0o644)
      Fs.rmSync(user.path("id_ed25519.pub"))
    })
  },
  "identity-malformed": {
    about: "IdentityFile holds something else",
    recording: withBox((user) => {
      user.write("id_ed25519", "this is no key\n")
      Fs.rmSync(user.path("id_ed25519.pub"))
    })
  },
  "identity-malformed-beside-public": {
    about: "IdentityFile holds something else, the .pub beside it is good",
    recording: withBox((user) => void user.write("id_ed25519", "this is no key\n"))
  },
  "identity-truncated": {
    about: "IdentityFile has lost its second half, the .pub beside it is good",
    recording: withBox((user) => {
      const text = Fs.readFileSync(user.path("id_ed25519"), "utf8")
      user.write("id_ed25519", text.slice(0, text.length / 2))
    })
  },
  "identity-empty": {
    about: "IdentityFile is empty, no .pub beside it",
    recording: withBox((user) => {
      user.write("id_ed25519", "")
      Fs.rmSync(user.path("id_ed25519.pub"))
    })
  },
  "identity-directory": {
    about: "IdentityFile is a directory",
    recording: withBox((user) => {
      Fs.rmSync(user.path("id_ed25519"))
      Fs.rmSync(user.path("id_ed25519.pub"))
      Fs.mkdirSync(user.path("id_ed25519"), { mode: 0o700 })
    })
  },
  "identity-public": {
    about: "IdentityFile names the .pub (0644)",
    recording: withBox((user, box) =>
      writeConfig(user, hostBlock("box", box.port, `IdentityFile ${user.path("id_ed25519.pub")}`))
    )
  },
  "identity-public-0600": {
    about: "IdentityFile names the .pub, with mode 0600",
    recording: withBox((user, box) => {
      Fs.chmodSync(user.path("id_ed25519.pub"), 0o600)
      writeConfig(user, hostBlock("box", box.port, `IdentityFile ${user.path("id_ed25519.pub")}`))
    })
  },
  "identity-missing-other-refused": {
    about: "one IdentityFile does not exist, another is refused",
    recording: withBox((user, box) =>
      writeConfig(
        user,
        hostBlock("box", box.port, `IdentityFile ${user.path("id_gone")}`, `IdentityFile ${user.path("id_ed25519")}`)
      ), { authorized: false })
  }
}
