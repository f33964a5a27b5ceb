/** known_hosts and what sshd shows, at the target and at a jump host. */
import type { LabError } from "@opencode-ai/ssh-lab/LabError"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import type * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { boxWith, jumpWith, keys } from "./places.ts"
import { fails, type Failure, type Group, type Scenario, type Situation } from "./Scenario.ts"

/** What is known of a machine, as its only lines of known_hosts, and the lines of its host in the ssh config. */
interface Spoiled {
  readonly known?: ReadonlyArray<string>
  readonly lines?: ReadonlyArray<string>
  readonly names?: Situation["names"]
}

type Spoil = (sshd: Sshd.Sshd) => Effect.Effect<Spoiled, LabError>

const knownAs = (sshd: Sshd.Sshd, publicKey: string): string =>
  `[127.0.0.1]:${sshd.port} ${publicKey.split(" ").slice(0, 2).join(" ")}`

/** A file beside sshd's own; the user's ssh directory is watched. */
const beside = (sshd: Sshd.Sshd, name: string): string => Path.join(sshd.directory, name)

const anotherKey = (type: "ed25519" | "rsa"): Spoil => (sshd) => {
  const file = beside(sshd, `another_${type}`)
  const bits = type === "rsa" ? ["-b", "2048"] : []
  return Process.output("ssh-keygen", ["-q", "-t", type, ...bits, "-N", "", "-C", "", "-f", file]).pipe(
    Effect.map(() => ({ known: [knownAs(sshd, Fs.readFileSync(`${file}.pub`, "utf8"))] }))
  )
}

const revokedBy =
  (make: (sshd: Sshd.Sshd, file: string) => ReturnType<typeof Process.output> | void): Spoil => (sshd) =>
    Effect.gen(function*() {
      const file = beside(sshd, "revoked")
      const making = make(sshd, file)
      if (making !== undefined) yield* making
      return {
        known: sshd.knownHosts,
        lines: [`RevokedHostKeys ${SshClient.quote(file)}`],
        names: [[file, "~/.ssh/revoked"]]
      }
    })

const causes: ReadonlyArray<{
  readonly name: string
  readonly about: (machine: string) => string
  readonly expected: (hop: { readonly hop?: string }) => Failure
  readonly spoil: Spoil
}> = [
  {
    name: "host-key-unknown",
    about: (machine) => `known_hosts has no key of ${machine}.`,
    expected: (hop) =>
      fails("TransportError", "HostKeyUnknown", "final", { keyType: "ED25519", rememberable: true, ...hop }),
    spoil: () => Effect.succeed({})
  },
  {
    name: "host-key-of-another-type-known",
    about: (machine) => `known_hosts has an RSA key of ${machine}, which shows its ED25519 key.`,
    expected: (hop) =>
      fails("TransportError", "HostKeyUnknown", "final", { keyType: "ED25519", knownKeyTypes: ["RSA"], ...hop }),
    spoil: anotherKey("rsa")
  },
  {
    name: "host-key-changed",
    about: (machine) => `known_hosts has another ED25519 key of ${machine}.`,
    expected: (hop) => fails("TransportError", "HostKeyChanged", "final", { keyType: "ED25519", ...hop }),
    spoil: anotherKey("ed25519")
  },
  {
    name: "host-key-marked-revoked",
    about: (machine) => `known_hosts marks the key of ${machine} with @revoked.`,
    expected: (hop) => fails("TransportError", "HostKeyRevoked", "final", { keyType: "ED25519", ...hop }),
    spoil: (sshd) => Effect.succeed({ known: sshd.knownHosts.map((line) => `@revoked ${line}`) })
  },
  {
    name: "host-key-in-revocation-list",
    about: (machine) => `RevokedHostKeys is a key revocation list with the key of ${machine}.`,
    expected: (hop) => fails("TransportError", "HostKeyRevoked", "final", { keyType: "ED25519", ...hop }),
    spoil: revokedBy((sshd, file) =>
      Process.output("ssh-keygen", ["-q", "-k", "-f", file, `${sshd.hostKeys[0]?.file}.pub`])
    )
  },
  {
    name: "revocation-list-missing",
    about: (machine) => `RevokedHostKeys names a file that does not exist, for ${machine}.`,
    expected: () =>
      fails("ConfigurationError", "RevokedKeysUnreadable", "final", { detail: "No such file or directory" }),
    spoil: revokedBy(() => {})
  },
  {
    name: "revocation-list-malformed",
    about: (machine) => `RevokedHostKeys names a file that is no list of keys, for ${machine}.`,
    expected: () => fails("ConfigurationError", "RevokedKeysUnreadable", "final", { detail: "invalid format" }),
    spoil: revokedBy((_, file) => Fs.writeFileSync(file, "no list of keys\n"))
  },
  {
    name: "host-key-not-remembered",
    about: (machine) => `The ssh config sets UserKnownHostsFile to /dev/null for ${machine}.`,
    expected: (hop) => fails("TransportError", "HostKeyUnknown", "final", { rememberable: false, ...hop }),
    spoil: () => Effect.succeed({ lines: ["UserKnownHostsFile /dev/null"] })
  }
]

/** Writes the user's files again, when the machine is there that they speak of. */
const spoilFiles = Effect.fnUntraced(
  function*(client: SshClient.SshClient, host: string, sshd: Sshd.Sshd, spoil: Spoil) {
    const { known = [], lines = [], names = [] } = yield* spoil(sshd)
    const others = Fs.readFileSync(client.knownHostsFile, "utf8")
    const config = Fs.readFileSync(client.configFile, "utf8")
    yield* client.write("known_hosts", [...known, others].join("\n"))
    const block = [`Host ${host}`, ...lines].join("\n  ")
    yield* client.write("config", config.replace(new RegExp(`^Host ${host}$`, "m"), () => block))
    return { names }
  }
)

const atTarget = ({ about, expected, name, spoil }: typeof causes[number]): Scenario => ({
  name,
  about: about("the host"),
  expected: expected({}),
  setUp: boxWith({ host: { known: false } }, ({ client, sshd }) => spoilFiles(client, "box", sshd, spoil))
})

const atJump = ({ about, expected, name, spoil }: typeof causes[number]): Scenario => ({
  name: `jump-${name}`,
  about: about("the jump host"),
  expected: expected({ hop: "jump" }),
  setUp: jumpWith({ jumpHost: { known: false } }, ({ client, jump }) => spoilFiles(client, "jump", jump, spoil))
})

export const hostKeys: Group = {
  title: "Host keys",
  scenarios: [
    ...causes.map(atTarget),
    {
      name: "host-certificate-of-unknown-authority",
      about: "sshd shows a certificate whose authority known_hosts does not have.",
      expected: fails("TransportError", "HostKeyUnknown", "final", { rememberable: true }),
      setUp: Effect.gen(function*() {
        const directory = yield* TempDirectory.make()
        const certificate = Path.join(directory, "host-cert.pub")
        return yield* boxWith(
          { sshd: { config: [`HostCertificate ${certificate}`] }, host: { known: false } },
          ({ sshd }) =>
            Effect.gen(function*() {
              const { make, path } = yield* keys
              const authority = yield* make("authority")
              Fs.copyFileSync(`${sshd.hostKeys[0]?.file}.pub`, path("host.pub"))
              yield* Process.output("ssh-keygen", ["-q", "-s", authority.file, "-I", "box", "-h", path("host.pub")])
              Fs.copyFileSync(path("host-cert.pub"), certificate)
              yield* sshd.stop
              yield* sshd.start
              return {}
            })
        )
      })
    },
    ...causes.map(atJump),
    {
      name: "target-host-key-unknown-behind-jump",
      about: "The jump host's key is known, and the key of the host behind it is not.",
      expected: fails("TransportError", "HostKeyUnknown", "final", { rememberable: true }),
      setUp: jumpWith({ boxHost: { known: false } })
    }
  ]
}
