/** The way to the machine: proxies, jump hosts, addresses, and settings of the connection. */
import { assert } from "@effect/vitest"
import * as Namespace from "@opencode-ai/ssh-lab/Namespace"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { fails } from "../lab/Scenario.ts"
import type { Entry, Group, Place } from "./Entry.ts"

const both = ["master", "plain"] as const

const bun = fileURLToPath(new URL("../../../../node_modules/.bin/bun", import.meta.url))
const passSocket = fileURLToPath(new URL("passSocket.ts", import.meta.url))

/** A second jump host in front of the first one: the same machine, by another name. */
const first = [
  "Host first",
  "  HostName 127.0.0.1",
  "  Port {jumpport}",
  "  User {user}",
  "  IdentityFile {jumpkey}",
  "  IdentitiesOnly yes"
]

const isIpv6 = ({ machines }: Place) =>
  Effect.map(machines.ipv6, ({ knownHosts }) => ({ hostkey: knownHosts[0]?.split(" ").slice(1).join(" ") ?? "" }))

const ipv6 = (name: string, about: string, box: ReadonlyArray<string>, more: Partial<Entry> = {}): Entry => ({
  name,
  about,
  machine: "ipv6",
  box,
  requires: ["ipv6"],
  knownHosts: ["[::1]:{port} {hostkey}"],
  prepare: isIpv6,
  expected: "Connected",
  ...more
})

const proxies: ReadonlyArray<Entry> = [
  {
    name: "proxy-command",
    about: "A program makes the connection.",
    box: ["ProxyCommand ssh -F {ssh}/config -W %h:%p jump"],
    jump: [],
    expected: "Connected"
  },
  {
    name: "proxy-command-noise",
    about: "A program makes the connection, and prints what sounds like failures.",
    box: [
      "ProxyCommand sh -c 'echo Permission denied. >&2; echo ssh: connect to host x port 1: Connection refused >&2; exec \"$@\"' sh ssh -F {ssh}/config -W %h:%p jump"
    ],
    jump: [],
    expected: "Connected"
  },
  {
    name: "proxy-command-tokens",
    about: "A program makes the connection, and gets names of host, user, port and more.",
    box: ["ProxyCommand sh -c 'echo %% %h %p %r %n >{dir}/asked; exec \"$@\"' sh ssh -F {ssh}/config -W %h:%p jump"],
    jump: [],
    leaves: ["asked"],
    expected: "Connected"
  },
  {
    name: "proxy-use-fdpass",
    about: "A program makes the connection, hands it over and ends.",
    box: ["ProxyCommand '{bun}' '{program}' %h %p", "ProxyUseFdpass yes"],
    prepare: () => Effect.succeed({ bun, program: passSocket }),
    requires: ["linux"],
    strategies: both,
    expected: "Connected"
  },
  {
    name: "proxy-command-none",
    about: "All hosts but this one have a proxy.",
    box: ["ProxyCommand none"],
    after: ["Host *", "  ProxyCommand /bin/false"],
    expected: "Connected"
  },
  {
    name: "proxy-jump",
    about: "A jump host.",
    box: ["ProxyJump jump"],
    jump: [],
    strategies: both,
    expected: "Connected"
  },
  {
    name: "proxy-jump-two-hops",
    about: "Two jump hosts in a list.",
    before: first,
    box: ["ProxyJump first,jump"],
    jump: [],
    expected: "Connected"
  },
  {
    name: "proxy-jump-nested",
    about: "A jump host that has a jump host.",
    before: first,
    box: ["ProxyJump jump"],
    jump: ["ProxyJump first"],
    expected: "Connected"
  },
  {
    name: "proxy-jump-written-out",
    about: "A jump host as a URI, with user and port.",
    box: ["ProxyJump ssh://{user}@127.0.0.1:{jumpport}"],
    jump: [],
    after: ["Host 127.0.0.1", "  IdentityFile {jumpkey}", "  IdentityFile {key}"],
    expected: "Connected"
  },
  {
    name: "proxy-jump-for-all",
    about: "Every host has a jump host, which is none for itself.",
    jump: ["ProxyJump none"],
    after: ["Host *", "  ProxyJump jump"],
    expected: "Connected"
  },
  {
    name: "proxy-jump-with-sessions",
    about: "A jump host whose config is for sessions in a terminal.",
    box: ["ProxyJump jump"],
    jump: [
      "RemoteCommand touch {dir}/remote",
      "RequestTTY force",
      "SessionType none",
      "StdinNull yes",
      "ForkAfterAuthentication yes",
      "PermitLocalCommand yes",
      "LocalCommand touch {dir}/local; sleep 1000",
      "LogLevel QUIET",
      "Tunnel yes"
    ],
    strategies: both,
    expected: "Connected"
  },
  ...["/bin/dash", "/usr/bin/fish", "/usr/bin/tcsh", "/usr/bin/zsh"].map((shell): Entry => ({
    name: `proxy-jump-by-${shell.split("/").at(-1)}`,
    about: `A jump host, and ssh's shell for such commands is ${shell.split("/").at(-1)}.`,
    box: ["ProxyJump jump"],
    jump: [],
    environment: { SHELL: shell },
    expected: "Connected"
  }))
]

const addresses: ReadonlyArray<Entry> = [
  ipv6("ipv6", "The host has an IPv6 address.", ["HostName ::1"]),
  ipv6("address-family-inet6", "Only IPv6 is wanted.", ["HostName ::1", "AddressFamily inet6"], { strategies: both }),
  ipv6("address-family-inet6-everywhere", "Only IPv6 is wanted, for the jump host as well.", ["ProxyJump six"], {
    before: [
      "AddressFamily inet6",
      "Host six",
      "  HostName ::1",
      "  Port {port}",
      "  User {user}",
      "  IdentityFile {key}"
    ],
    strategies: both
  }),
  ipv6("address-family-inet6-script", "Only IPv6 is wanted, and a script is run.", [
    "HostName ::1",
    "AddressFamily inet6"
  ], {
    connected: ({ run }) =>
      Effect.gen(function*() {
        assert.match(yield* run("echo \"$SSH_CONNECTION\""), /^::1 /)
      })
  }),
  ipv6(
    "address-family-inet",
    "Only IPv4 is wanted, for a host that has IPv6.",
    ["HostName ::1", "AddressFamily inet"],
    {
      expected: fails("TransportError", "HostNameNotResolved", "retried")
    }
  ),
  {
    name: "address-family-of-the-other-kind",
    about: "Only IPv6 is wanted, for an IPv4 address.",
    box: ["AddressFamily inet6"],
    expected: fails("TransportError", "HostNameNotResolved", "retried")
  },
  {
    name: "address-family-inet-for-ipv4",
    about: "Only IPv4 is wanted.",
    box: ["AddressFamily inet"],
    expected: "Connected"
  },
  {
    name: "port-in-host-name",
    about: "The HostName has a port, which ssh takes for a part of the name.",
    box: ["HostName 127.0.0.1:{port}"],
    requires: ["namespaces"],
    // Nobody is asked for that name.
    environment: { OPENCODE_SSH_BINARY: "{offline}" },
    prepare: () => Effect.map(Namespace.wrapper("ssh", Namespace.network.none), (path) => ({ offline: path })),
    expected: fails("TransportError", "HostNameNotResolved", "retried")
  },
  {
    name: "host-name-of-tokens",
    about: "The HostName is made of the name that was given.",
    before: ["Host 127.0.0.1", "  HostName %h", "  Port {port}", "  User {user}", "  IdentityFile {key}"],
    profile: { host: "127.0.0.1" },
    expected: "Connected"
  },
  {
    name: "bind-address",
    about: "Connections come from a certain address.",
    box: ["BindAddress 127.0.0.1"],
    expected: "Connected"
  }
]

const settings: ReadonlyArray<Entry> = ([
  ["compression", "Data is compressed.", ["Compression yes"]],
  ["keep-alive-off", "Dead connections are not to be noticed.", ["ServerAliveInterval 0", "TCPKeepAlive no"]],
  ["rekey-often", "New keys after each 16 KB.", ["RekeyLimit 16K 1m"]],
  ["few-algorithms", "One algorithm of each kind.", [
    "Ciphers aes256-ctr",
    "MACs hmac-sha2-512",
    "KexAlgorithms curve25519-sha256",
    "HostKeyAlgorithms ssh-ed25519"
  ]],
  ["connection-attempts", "Several attempts, and a short limit for each.", [
    "ConnectionAttempts 5",
    "ConnectTimeout 3"
  ]],
  ["quality-of-service", "Other marks on packets.", ["IPQoS cs1 none"]],
  ["gssapi", "Kerberos first.", ["GSSAPIAuthentication yes", "GSSAPIDelegateCredentials yes"]],
  ["no-shared-secrets", "Passwords and questions are allowed, many times.", [
    "NumberOfPasswordPrompts 9",
    "PasswordAuthentication yes",
    "KbdInteractiveAuthentication yes",
    "BatchMode no"
  ]]
] as const).map(([name, about, box]): Entry => ({ name, about, box, expected: "Connected" }))

export const groups: ReadonlyArray<Group> = [
  { title: "Proxies and jump hosts", entries: proxies },
  { title: "Addresses", entries: addresses },
  { title: "Settings of the connection", entries: settings }
]
