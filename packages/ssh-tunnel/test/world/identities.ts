/** Keys, agents and host keys. */
import { assert } from "@effect/vitest"
import { LabError } from "@opencode-ai/ssh-lab/LabError"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshKey from "@opencode-ai/ssh-lab/SshKey"
import { Effect } from "effect"
import * as Fs from "node:fs"
import { fails } from "../lab/Scenario.ts"
import type { Entry, Group, Place } from "./Entry.ts"

/** The socket of the agent that holds the right key, also in the entry's directory. */
const agent = ({ fill, machines }: Place) =>
  Effect.map(machines.agent, ({ socket }) => {
    Fs.symlinkSync(socket, fill("{dir}/agent"))
    return { agent: socket }
  })

/** No key but the agent's. */
const byAgent = (
  name: string,
  about: string,
  box: ReadonlyArray<string>,
  environment?: Entry["environment"],
  more: Partial<Entry> = {}
): Entry => ({
  name,
  about,
  box: [...box, "IdentitiesOnly no", "IdentityFile none"],
  identityFile: false,
  ...(environment === undefined ? {} : { environment }),
  prepare: agent,
  expected: "Connected",
  ...more
})

const denied = fails("TransportError", "AuthenticationFailed", "final")

/** Keys that nobody knows. */
const strangers = (count: number) => ({ fill }: Place) =>
  Effect.forEach(
    Array.from({ length: count }, (_, index) => fill(`{dir}/other-${index}`)),
    (file) => SshKey.make(file),
    { concurrency: 4, discard: true }
  )

const keys: ReadonlyArray<Entry> = [
  byAgent("agent-of-the-environment", "The agent is the environment's.", [], { SSH_AUTH_SOCK: "{agent}" }),
  byAgent("identity-agent-path", "The agent has a path.", ["IdentityAgent {dir}/agent"]),
  byAgent("identity-agent-variable", "The agent's path is in a variable.", ["IdentityAgent $LAB_AGENT"], {
    LAB_AGENT: "{agent}"
  }),
  byAgent(
    "identity-agent-braces",
    "The agent's path holds a variable.",
    ["IdentityAgent ${LAB_DIRECTORY}/agent"],
    { LAB_DIRECTORY: "{dir}" }
  ),
  byAgent(
    "identity-agent-by-name",
    "The agent is to be the environment's, by the name of the variable.",
    ["IdentityAgent SSH_AUTH_SOCK"],
    { SSH_AUTH_SOCK: "{agent}" }
  ),
  byAgent("identity-agent-none", "There is an agent, and it must not be used.", ["IdentityAgent none"], {
    SSH_AUTH_SOCK: "{agent}"
  }, { expected: denied }),
  byAgent("identity-agent-gone", "The agent has gone, and its socket stayed away.", ["IdentityAgent {dir}/gone"], {
    SSH_AUTH_SOCK: "{agent}"
  }, { expected: denied }),
  {
    name: "agent-dead",
    about: "The environment names a socket of an agent that has died; there is a key file.",
    environment: { SSH_AUTH_SOCK: "{dir}/dead" },
    files: { dead: "" },
    expected: "Connected"
  },
  {
    name: "public-key-of-the-agent",
    about: "The key file is the public half; the agent has the other one, and more keys would be too many.",
    box: ["IdentityFile {dir}/id.pub", "IdentitiesOnly yes", "IdentityAgent {dir}/agent"],
    identityFile: false,
    prepare: (place) =>
      Effect.gen(function*() {
        yield* agent(place)
        Fs.copyFileSync(place.fill("{key}.pub"), place.fill("{dir}/id.pub"))
      }),
    expected: "Connected"
  },
  {
    name: "add-keys-to-agent",
    about: "Keys are to be added to the agent: ours is not.",
    box: ["AddKeysToAgent yes", "IdentityAgent {dir}/agent"],
    prepare: agent,
    connected: ({ fill }) =>
      Effect.gen(function*() {
        const listed = yield* Process.output("ssh-add", ["-l"], { env: { SSH_AUTH_SOCK: fill("{dir}/agent") } })
        assert.strictEqual(listed.trim().split("\n").length, 1)
      }),
    expected: "Connected"
  },
  {
    name: "many-keys",
    about: "More keys than a server lets one try, before the right one.",
    box: Array.from({ length: 8 }, (_, index) => `IdentityFile {dir}/other-${index}`),
    prepare: strangers(8),
    expected: fails("TransportError", "TooManyAuthenticationFailures", "final")
  },
  {
    name: "many-keys-and-the-profile",
    about: "The same, and the profile says which one it is.",
    box: Array.from({ length: 8 }, (_, index) => `IdentityFile {dir}/other-${index}`),
    prepare: strangers(8),
    profile: { identityFile: "{key}" },
    expected: "Connected"
  },
  {
    name: "user-certificate",
    about: "The key is welcome for its certificate alone.",
    machine: "certified",
    box: ["CertificateFile {certificate}", "IdentityFile {certkey}"],
    identityFile: false,
    prepare: ({ machines }) =>
      Effect.map(machines.authority, ({ user }) => ({ certkey: user.file, certificate: `${user.file}-cert.pub` })),
    expected: "Connected"
  },
  {
    name: "public-key-authentication-off",
    about: "Keys are switched off, and what is left would ask.",
    box: ["PubkeyAuthentication no"],
    expected: denied
  },
  {
    name: "preferred-authentications",
    about: "Everything that asks comes first.",
    box: ["PreferredAuthentications gssapi-with-mic,hostbased,keyboard-interactive,password,publickey", "BatchMode no"],
    expected: "Connected"
  },
  {
    name: "token-library-missing",
    about: "The library for a hardware token is not there.",
    box: ["PKCS11Provider {dir}/missing.so"],
    expected: "Connected"
  }
]

const unknown = fails("TransportError", "HostKeyUnknown", "final")

/** A line of known_hosts, as a name. */
const hashed = ({ fill, machines }: Place) =>
  Effect.gen(function*() {
    const { knownHosts } = yield* machines.plain
    const file = fill("{dir}/hashed")
    Fs.writeFileSync(file, `${knownHosts.join("\n")}\n`)
    yield* Process.output("ssh-keygen", ["-q", "-H", "-f", file])
    const text = Fs.readFileSync(file, "utf8").trim()
    if (!text.startsWith("|1|")) return yield* new LabError({ message: `not hashed: ${text}` })
    Fs.rmSync(`${file}.old`)
    return { hashed: text }
  })

const hostKey = ({ machines }: Place) =>
  Effect.map(machines.plain, ({ knownHosts }) => ({ hostkey: knownHosts[0]?.split(" ").slice(1).join(" ") ?? "" }))

const authority = ({ machines }: Place) => Effect.map(machines.authority, ({ host }) => ({ authority: host }))

const hostKeys: ReadonlyArray<Entry> = [
  {
    name: "hash-known-hosts",
    about: "known_hosts is hashed.",
    box: ["HashKnownHosts yes"],
    known: false,
    knownHosts: ["{hashed}"],
    prepare: hashed,
    expected: "Connected"
  },
  {
    name: "hash-known-hosts-unknown",
    about: "A new key would be written, hashed.",
    box: ["HashKnownHosts yes", "StrictHostKeyChecking accept-new", "UpdateHostKeys yes"],
    known: false,
    expected: unknown
  },
  {
    name: "known-hosts-command",
    about: "A command knows the host keys.",
    box: ["KnownHostsCommand {dir}/known %H %t"],
    files: { known: "#!/bin/sh\necho \"$1 {hostkey}\"\n" },
    known: false,
    prepare: hostKey,
    expected: "Connected"
  },
  {
    name: "known-hosts-command-fails",
    about: "The command that knows the host keys fails, and may be well the next time.",
    box: ["KnownHostsCommand /bin/false"],
    known: false,
    expected: fails("TransportError", "Unclassified", "retried")
  },
  {
    name: "host-certificate",
    about: "The host is known by its authority alone.",
    machine: "certified",
    box: ["HostKeyAlias certified.lab"],
    known: false,
    knownHosts: ["@cert-authority *.lab {authority}"],
    prepare: authority,
    expected: "Connected"
  },
  {
    name: "host-certificate-of-another-name",
    about: "The host's certificate is for another name.",
    machine: "certified",
    known: false,
    knownHosts: ["@cert-authority * {authority}"],
    prepare: authority,
    expected: unknown
  },
  {
    name: "host-key-alias",
    about: "The host key is known by another name.",
    box: ["HostKeyAlias the-name"],
    known: false,
    knownHosts: ["the-name {hostkey}"],
    prepare: hostKey,
    strategies: ["master", "plain"],
    expected: "Connected"
  },
  {
    name: "known-hosts-of-all",
    about: "The host key is known to the whole machine.",
    box: ["GlobalKnownHostsFile {dir}/all", "UserKnownHostsFile /dev/null"],
    files: { all: "[127.0.0.1]:{port} {hostkey}\n" },
    known: false,
    prepare: hostKey,
    expected: "Connected"
  },
  {
    name: "check-host-ip",
    about: "Addresses and new keys are to be written down: nothing is.",
    box: ["CheckHostIP yes", "UpdateHostKeys yes", "HostKeyAlias the-name"],
    known: false,
    knownHosts: ["the-name {hostkey}"],
    prepare: hostKey,
    expected: "Connected"
  },
  {
    name: "unknown-host-on-localhost",
    about: "Hosts of this machine are to be trusted whatever their key.",
    box: ["NoHostAuthenticationForLocalhost yes", "StrictHostKeyChecking no"],
    known: false,
    expected: unknown
  },
  {
    name: "host-key-algorithms",
    about: "Only a type of key is wanted that the host has not.",
    box: ["HostKeyAlgorithms ecdsa-sha2-nistp256"],
    expected: fails("TransportError", "NoCommonAlgorithm", "final")
  }
]

export const groups: ReadonlyArray<Group> = [
  { title: "Keys and agents", entries: keys },
  { title: "Host keys", entries: hostKeys }
]
