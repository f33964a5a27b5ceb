/** Nothing listens on the remote port, and the profile allows to start OpenCode there. */
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Namespace from "@opencode-ai/ssh-lab/Namespace"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import type * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Context, Duration, Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Bootstrap } from "../../src/Bootstrap.ts"
import { Tunnel } from "../../src/Tunnel.ts"
import * as Machine from "../remote/Machine.ts"
import { boxWith } from "./places.ts"
import { fails, type Failure, type Group, type Requirement, type Scenario, type Situation } from "./Scenario.ts"

const enabled = { enabled: true, lifetime: "persistent" } as const

interface Remote {
  readonly sshd?: Sshd.Options
  /** The stand-in for opencode there (see test/remote/fixtures); `false`: none. */
  readonly fake?: Readonly<Record<string, unknown>> | false
  readonly more?: (sshd: Sshd.Sshd) => Effect.Effect<Partial<Situation> | void> | Partial<Situation> | void
}

const binary = (sshd: Sshd.Sshd): string => Path.join(sshd.home, ".opencode/bin/opencode")

/** A machine on which nothing listens yet. */
const remote = ({ fake = {}, more = () => {}, sshd: options = {} }: Remote): Scenario["setUp"] =>
  Effect.gen(function*() {
    const remotePort = yield* Port.free
    return yield* boxWith(
      { remotePort, sshd: options, profile: { bootstrap: enabled } },
      ({ sshd, situation }) =>
        Effect.gen(function*() {
          if (fake !== false) Machine.install(Path.dirname(binary(sshd)), { version: "1.18.33", ...fake })
          const answer = more(sshd)
          const change = (Effect.isEffect(answer) ? yield* answer : answer) ?? {}
          return {
            ...change,
            profile: { ...situation.profile, ...change.profile },
            names: [[sshd.home, "~"], ...change.names ?? []]
          }
        })
    )
  })

const scenario = (
  name: string,
  about: string,
  expected: Scenario["expected"],
  there: Remote,
  requires: ReadonlyArray<Requirement> = []
): Scenario => ({ name, about, expected, requires, setUp: remote(there) })

/** Mounts an `/etc/passwd` with other lines instead of that of root, who runs this. */
const passwd = (change: (root: ReadonlyArray<string>) => ReadonlyArray<ReadonlyArray<string>>) =>
  Effect.gen(function*() {
    const directory = yield* TempDirectory.make()
    const file = Path.join(directory, "passwd")
    const lines = Fs.readFileSync("/etc/passwd", "utf8").trimEnd().split("\n")
    const changed = lines.flatMap((line) =>
      line.startsWith("root:") ? change(line.split(":")).map((fields) => fields.join(":")) : [line]
    )
    Fs.writeFileSync(file, `${changed.join("\n")}\n`)
    return Namespace.replaced("/etc/passwd", file)
  })

/** The account has another login shell: the real thing, in a namespace. */
const withShell = (
  name: string,
  about: string,
  expected: Failure,
  shell: string
): Scenario => ({
  name,
  about,
  expected,
  requires: ["root"],
  setUp: Effect.flatMap(
    passwd((root) => [[...root.slice(0, 6), shell]]),
    (mount) => remote({ sshd: { mounts: [mount], home: "real" } })
  )
})

const refused = fails("BootstrapError", "CommandRefused", "final")

/** Shell lines that make a home in which an account without rights has an opencode and no place for state. */
const guestHome = [
  Namespace.empty("/mnt", 1_000_000),
  "mkdir -p /mnt/guest/.opencode/bin /mnt/guest/.local/state",
  "printf '#!/bin/sh\\necho 1.18.33\\n' > /mnt/guest/.opencode/bin/opencode",
  "chmod 755 /mnt/guest/.opencode/bin/opencode"
]

/** The header of a program for another processor. */
const foreignProgram = (): Buffer => {
  const header = Buffer.alloc(64)
  header.write("\x7fELF\x02\x01\x01", "latin1")
  header.writeUInt16LE(2, 16)
  header.writeUInt16LE(process.arch === "arm64" ? 62 : 183, 18)
  return header
}

const state = "$1/home/.local/state"

export const bootstrap: Group = {
  title: "Starting OpenCode on the remote machine",
  scenarios: [
    scenario(
      "opencode-missing",
      "OpenCode is not installed.",
      fails("BootstrapError", "OpencodeNotFound", "final"),
      { fake: false }
    ),
    scenario(
      "opencode-not-executable",
      "The opencode file is not executable.",
      fails("BootstrapError", "OpencodeUnusable", "final", { problem: "mode" }),
      { more: (sshd) => Fs.chmodSync(binary(sshd), 0o644) }
    ),
    scenario(
      "opencode-of-another-architecture",
      "The opencode program is built for another processor.",
      fails("BootstrapError", "OpencodeUnusable", "final", { problem: "architecture" }),
      { more: (sshd) => Fs.writeFileSync(binary(sshd), foreignProgram()) }
    ),
    scenario(
      "opencode-crashes",
      "opencode fails as soon as it is asked for its version.",
      fails("BootstrapError", "OpencodeUnusable", "final", { problem: "crash" }),
      { fake: { versionCode: 3, versionError: "Illegal instruction" } }
    ),
    {
      name: "opencode-configuration-invalid",
      about: "opencode.json is not valid (the real opencode).",
      expected: fails("BootstrapError", "OpencodeUnusable", "final", { problem: "configuration" }),
      requires: ["opencode"],
      setUp: remote({
        fake: false,
        more: (sshd) =>
          Effect.gen(function*() {
            yield* Effect.orDie(Opencode.install(sshd.home))
            const directory = Path.join(sshd.home, ".config/opencode")
            Fs.mkdirSync(directory, { recursive: true })
            Fs.writeFileSync(Path.join(directory, "opencode.json"), "{ \"model\": 5 }")
          })
      })
    },
    scenario(
      "opencode-too-old-to-start",
      "The installed opencode is of a version that this client does not support; it is not started.",
      fails("CompatibilityError", "UnsupportedVersion", "final", { found: "0.9.9" }),
      { fake: { version: "0.9.9" } }
    ),
    {
      name: "bootstrap-port-taken",
      about: "A stranger holds the port on which the server is to listen.",
      expected: fails("BootstrapError", "PortInUse", "final"),
      setUp: Effect.flatMap(FakeServer.tcp(() => {}), ({ port }) =>
        Effect.map(remote({}), (situation) => ({
          ...situation,
          profile: { ...situation.profile, bootstrap: { ...enabled, port } },
          names: [[port, "BOOTSTRAP-PORT"], ...situation.names ?? []]
        })))
    },
    scenario(
      "server-exits",
      "The server ends while it is starting.",
      fails("BootstrapError", "ServerExited", "final", { exitCode: 7 }),
      { fake: { serve: "exit", serveCode: 7, serveError: "cannot open the database" } }
    ),
    scenario(
      "start-times-out",
      "The server is started, and does not answer (limit shortened).",
      fails("BootstrapError", "StartTimedOut", "retried"),
      {
        fake: { serve: "slow" },
        more: () => ({ timing: { bootstrap: Duration.seconds(7), scriptMargin: Duration.seconds(3) } })
      }
    ),
    scenario(
      "forced-command",
      "The account may run nothing but one command (ForceCommand).",
      refused,
      { sshd: { config: ["ForceCommand echo 'only this'"] } }
    ),
    scenario(
      "sftp-only",
      "The account may transfer files only (ForceCommand internal-sftp).",
      refused,
      { sshd: { config: ["Subsystem sftp internal-sftp", "ForceCommand internal-sftp"] } }
    ),
    withShell("nologin", "The account's login shell is nologin.", refused, "/usr/sbin/nologin"),
    scenario("no-sessions", "sshd opens no session at all (MaxSessions 0).", refused, {
      sshd: { config: ["MaxSessions 0"] }
    }),
    scenario(
      "one-session",
      "sshd opens one session at a time (MaxSessions 1), which is enough.",
      "Connected",
      { sshd: { config: ["MaxSessions 1"] } }
    ),
    withShell(
      "login-shell-missing",
      "The account's login shell does not exist: sshd lets nobody in.",
      fails("TransportError", "AuthenticationFailed", "final"),
      "/no/such/shell"
    ),
    scenario(
      "no-posix-shell",
      "There is no sh in the PATH of the remote account.",
      fails("BootstrapError", "UnsupportedRemote", "final"),
      { sshd: { env: { PATH: "/nowhere" } } }
    ),
    scenario(
      "start-up-file-ends-the-session",
      "A start-up file of the login shell ends every session.",
      fails("BootstrapError", "InvalidOutput", "final"),
      {
        sshd: { loginShell: "/bin/bash" },
        more: (sshd) => Fs.writeFileSync(Path.join(sshd.home, ".bashrc"), "exit 0\n")
      }
    ),
    scenario(
      "remote-disk-full",
      "The disk is full where the server's state must go.",
      fails("BootstrapError", "RemoteNotWritable", "final", { problem: "full" }),
      {
        sshd: {
          mounts: [Namespace.empty(state, 16_384), `{ head -c 100000 /dev/zero > "${state}/data" 2>&1 || true; }`]
        }
      },
      ["root"]
    ),
    scenario(
      "remote-home-read-only",
      "The home directory is on a file system that is mounted read-only.",
      fails("BootstrapError", "RemoteNotWritable", "final", { problem: "read-only" }),
      { sshd: { mounts: [Namespace.readOnly("$1/home")] } },
      ["root"]
    ),
    {
      name: "remote-state-of-another-owner",
      about: "The directory for state in the home belongs to root, as after a sudo.",
      expected: fails("BootstrapError", "RemoteNotWritable", "final", { problem: "denied" }),
      requires: ["root"],
      setUp: Effect.flatMap(
        passwd((root) => [root, ["guest", "*", "4711", "4711", "", "/mnt/guest", "/bin/bash"]]),
        (mount) =>
          Effect.gen(function*() {
            const keys = Path.join(yield* TempDirectory.make(), "keys")
            const situation = yield* remote({
              sshd: {
                // Not in the name of an account that cannot read the file.
                config: [
                  "AuthorizedKeysFile none",
                  `AuthorizedKeysCommand /bin/cat ${keys}`,
                  "AuthorizedKeysCommandUser root"
                ],
                mounts: [...guestHome, mount],
                home: "real"
              },
              fake: false,
              more: (sshd) => Fs.writeFileSync(keys, `${sshd.key.publicKey}\n`)
            })
            return { ...situation, profile: { ...situation.profile, user: "guest" } }
          })
      )
    },
    scenario(
      "remote-state-of-a-stranger",
      "The directory for the server's state belongs to another account, which could plant a registration.",
      fails("BootstrapError", "RemoteNotWritable", "final", { problem: "unsafe" }),
      {
        more: (sshd) => {
          const directory = Path.join(sshd.home, ".local/state/opencode-ssh")
          Fs.mkdirSync(directory, { recursive: true })
          Fs.chownSync(directory, 4711, 4711)
        }
      },
      ["root"]
    ),
    {
      name: "connection-lost-while-starting",
      about: "The connection is cut while the server is being started.",
      expected: fails("TransportError", "ConnectionLost", "retried"),
      setUp: remote({
        fake: { serve: "slow" },
        more: (sshd) => ({ during: "Bootstrapping", afterwards: sshd.dropSessions })
      })
    },
    {
      name: "nothing-to-stop",
      about: "The server is to be stopped, and bootstrap has started none.",
      expected: fails("BootstrapError", "NotOurs", "final"),
      setUp: Effect.map(remote({}), (situation): Situation => ({
        ...situation,
        ask: ({ services }, { destination }) =>
          Effect.flatMap(Context.get(services, Tunnel).open(destination), Context.get(services, Bootstrap).stop)
      }))
    }
  ]
}
