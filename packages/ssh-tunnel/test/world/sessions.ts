/** What the user's config does with sessions, and what it makes ssh print. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { fails } from "../lab/Scenario.ts"
import type { Connected, Entry, Group } from "./Entry.ts"

const both = ["master", "plain"] as const

/** A script runs, without a terminal. */
const runs = ({ run }: Connected) =>
  Effect.gen(function*() {
    // On a terminal, tty would name it.
    assert.strictEqual(yield* run("tty"), "not a tty\n")
  })

const session = (name: string, about: string, box: ReadonlyArray<string>, more: Partial<Entry> = {}): Entry => ({
  name,
  about,
  box,
  connected: runs,
  expected: "Connected",
  ...more
})

const sessions: ReadonlyArray<Entry> = [
  session("remote-command", "Every connection is to run a command over there.", [
    "RemoteCommand touch {dir}/remote; exec cat",
    "RequestTTY force"
  ], { strategies: both }),
  session("request-tty-force", "Every session is to have a terminal.", ["RequestTTY force"]),
  session("permit-local-command-hanging", "A command of this machine runs after each login, and hangs.", [
    "PermitLocalCommand yes",
    "LocalCommand touch {dir}/local; sleep 1000"
  ], { strategies: both }),
  session("fork-after-authentication", "ssh goes to the background after the login.", [
    "ForkAfterAuthentication yes"
  ], { strategies: both }),
  session("stdin-null", "ssh reads nothing.", ["StdinNull yes"], { strategies: both }),
  session("session-type-none", "ssh opens no session.", ["SessionType none"], { strategies: both }),
  session("session-type-subsystem", "Every session is a subsystem, such as sftp.", [
    "SessionType subsystem",
    "RemoteCommand sftp"
  ]),
  session("tunnel-yes", "A network interface is to be made, for which nobody has the rights.", [
    "Tunnel yes",
    "TunnelDevice any:any"
  ]),
  session("escape-char", "The escape character is one that scripts hold.", [
    "EscapeChar y",
    "EnableEscapeCommandline yes"
  ], { box: ["IgnoreUnknown EnableEscapeCommandline", "EscapeChar y", "EnableEscapeCommandline yes"] }),
  session("send-env", "The whole environment is sent, also what the machine does not take.", [
    "SendEnv *",
    "SetEnv LAB_SET=yes FOO=bar"
  ], { environment: { LAB_SENT: "a b", LAB_ODD: "new\nline" } }),
  session("background-noise-at-login", "A command of the config prints before each login.", [], {
    before: ["Match exec \"echo noise; echo Permission denied. >&2\"", "  ConnectTimeout 9"]
  })
]

const logs: ReadonlyArray<Entry> = [
  ...["QUIET", "FATAL", "DEBUG3"].map((level): Entry => ({
    name: `log-level-${level.toLowerCase()}`,
    about: `ssh's log level is ${level}.`,
    box: [`LogLevel ${level}`],
    strategies: level === "DEBUG3" ? both : ["master"],
    expected: "Connected"
  })),
  {
    name: "log-level-quiet-hides-no-reason",
    about: "ssh is to be silent, and the login is denied.",
    box: ["LogLevel QUIET", "User nobody-here"],
    expected: fails("TransportError", "AuthenticationFailed", "final")
  },
  {
    name: "log-level-debug3-hides-no-reason",
    about: "ssh is to tell everything, and the login is denied.",
    box: ["LogLevel DEBUG3", "User nobody-here"],
    expected: fails("TransportError", "AuthenticationFailed", "final")
  },
  {
    name: "log-verbose",
    about: "Single functions of ssh are to tell everything.",
    box: ["LogVerbose *:*:*"],
    strategies: both,
    expected: "Connected"
  },
  {
    name: "visual-host-key",
    about: "The host key is drawn at each login.",
    box: ["VisualHostKey yes"],
    expected: "Connected"
  },
  {
    name: "fingerprint-hash",
    about: "Fingerprints are to be MD5's.",
    box: ["FingerprintHash md5"],
    known: false,
    expected: fails("TransportError", "HostKeyUnknown", "final")
  }
]

export const groups: ReadonlyArray<Group> = [
  { title: "Sessions", entries: sessions },
  { title: "Logs", entries: logs }
]
