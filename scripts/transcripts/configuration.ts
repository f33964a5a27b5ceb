/** The user's configuration. */
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Argv from "../../packages/ssh-tunnel/src/internal/argv.ts"
import { connecting, type Scenarios, start, withConfig } from "./recording.ts"
import { hostBlock, makeUser, server, writeConfig, writeOverlay } from "./user.ts"

export const configuration: Scenarios = {
  "config-unknown-keyword": {
    about: "line 2 has a keyword that ssh does not know",
    recording: withConfig((user) => void user.write("config", "Host *\n  Foobar yes\n"))
  },
  "config-bad-value": {
    about: "line 2 has a bad port",
    recording: withConfig((user) => void user.write("config", "Host *\n  Port abc\n"))
  },
  "config-bad-time": {
    about: "line 2 has a bad time",
    recording: withConfig((user) => void user.write("config", "Host *\n  ConnectTimeout soon\n"))
  },
  "config-bad-yes-no": {
    about: "line 2 has another word than yes or no",
    recording: withConfig((user) => void user.write("config", "Host *\n  Compression perhaps\n"))
  },
  "config-bad-quotes": {
    about: "line 2 has an open quote",
    recording: withConfig((user) => void user.write("config", "Host *\n  User \"me\n"))
  },
  "config-extra-argument": {
    about: "line 2 has a word too much",
    recording: withConfig((user) => void user.write("config", "Host *\n  Port 22 23\n"))
  },
  "config-missing-argument": {
    about: "line 2 has a keyword without value",
    recording: withConfig((user) => void user.write("config", "Host *\n  Port\n"))
  },
  "config-bad-match": {
    about: "line 1 is a Match with a word that does not exist",
    recording: withConfig((user) => void user.write("config", "Match weather sunny\n  Port 22\n"))
  },
  "config-bad-jump": {
    about: "line 2 has a ProxyJump that is none",
    recording: withConfig((user) => void user.write("config", "Host *\n  ProxyJump a b\n"))
  },
  "config-unsupported-option": {
    about: "line 2 has a keyword that this ssh was built without: a warning, and the host does not exist",
    recording: withConfig((user) =>
      void user.write("config", "Host *\n  SmartcardDevice 1\n  HostName no-such-host.invalid\n")
    )
  },
  "config-deprecated-option": {
    about: "line 2 has a keyword of long ago: a note, and the host does not exist",
    recording: withConfig((user) =>
      void user.write("config", "Host *\n  Protocol 2\n  HostName no-such-host.invalid\n")
    )
  },
  "config-unreadable": {
    about: "the config file cannot be opened (a symbolic link to itself)",
    recording: withConfig((user) => {
      Fs.rmSync(user.path("config"))
      Fs.symlinkSync("config", user.path("config"))
    })
  },
  "config-included-unreadable": {
    about: "an included file cannot be opened (a symbolic link to itself)",
    recording: withConfig((user) => {
      Fs.symlinkSync("work", user.path("work"))
      user.write("config", `Include ${user.path("work")}\n`)
    })
  },
  "config-jump-loop": {
    about: "a host that jumps over itself",
    recording: withConfig((user) => void user.write("config", "Host a\n  ProxyJump a\nHost *\n  ProxyJump a\n"))
  },
  "config-bad-algorithms": {
    about: "line 2 has a cipher that does not exist",
    recording: withConfig((user) => void user.write("config", "Host *\n  Ciphers rot13\n"))
  },
  "config-included-bad": {
    about: "an included file has an unknown keyword",
    recording: withConfig((user) => {
      user.write("work", "# work\nFoobar yes\n")
      user.write("config", `Include ${user.path("work")}\n`)
    })
  },
  "config-permissions": {
    about: "the config file has mode 0666",
    recording: withConfig((user) => Fs.chmodSync(user.path("config"), 0o666))
  },
  "config-included-permissions": {
    about: "an included file has mode 0666",
    recording: withConfig((user) => {
      user.write("work", "Host *\n", 0o666)
      user.write("config", `Include ${user.path("work")}\n`)
    })
  },
  "config-directory": {
    about: "the config file is a directory",
    recording: withConfig((user) => {
      Fs.rmSync(user.path("config"))
      Fs.mkdirSync(user.path("config"), { mode: 0o700 })
    })
  },
  "config-agent-variable": {
    about: "IdentityAgent names a variable that is not set",
    recording: withConfig((user) => void user.write("config", "Host *\n  IdentityAgent ${NO_SUCH_VARIABLE}\n"))
  },
  "config-missing-f": {
    about: "ssh -F names a file that does not exist",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const { record } = yield* start(user, ["-F", user.path("gone"), "-N", "--", "box"])
      return yield* record
    })
  },
  "config-bad-option": {
    about: "a bad -o on the command line",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const { record } = yield* start(user, ["-F", "none", "-o", "Foobar=yes", "-N", "--", "box"])
      return yield* record
    })
  },
  "control-socket-directory-missing": {
    about: "-S in a directory that does not exist",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const key = yield* user.key("id_ed25519")
      const box = yield* server(user, "box")
      yield* box.authorize(key.publicKey)
      user.know(...box.knownHosts)
      writeConfig(user, hostBlock("box", box.port))
      writeOverlay(user)
      const { record } = yield* start(user, Argv.master({ ...connecting(user, "box"), socket: "gone/c1" }))
      return yield* record
    })
  },
  "control-socket-too-long": {
    about: "-S with a path of 120 characters",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const key = yield* user.key("id_ed25519")
      const box = yield* server(user, "box")
      yield* box.authorize(key.publicKey)
      user.know(...box.knownHosts)
      writeConfig(user, hostBlock("box", box.port))
      writeOverlay(user)
      const { record } = yield* start(user, Argv.master({ ...connecting(user, "box"), socket: "c".repeat(120) }))
      return yield* record
    })
  }
}
