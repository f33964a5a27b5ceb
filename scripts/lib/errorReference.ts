/** The tables of docs/errors.md, from the error classes, their docstrings and one example or more of each reason. */
import type { BootstrapReason } from "@opencode-ai/ssh-tunnel/BootstrapError"
import * as Bootstrap from "@opencode-ai/ssh-tunnel/BootstrapError"
import type { CompatibilityReason } from "@opencode-ai/ssh-tunnel/CompatibilityError"
import * as Compatibility from "@opencode-ai/ssh-tunnel/CompatibilityError"
import type { ConfigurationReason } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import * as Configuration from "@opencode-ai/ssh-tunnel/ConfigurationError"
import type { DiscoveryReason } from "@opencode-ai/ssh-tunnel/DiscoveryError"
import * as Discovery from "@opencode-ai/ssh-tunnel/DiscoveryError"
import type { TransportReason } from "@opencode-ai/ssh-tunnel/TransportError"
import * as Transport from "@opencode-ai/ssh-tunnel/TransportError"
import { docOf, table } from "./markdown.ts"

type Reason = ConfigurationReason | TransportReason | DiscoveryReason | BootstrapReason | CompatibilityReason

/** One instance or more of every reason: a reason without an example does not type-check. */
type Examples<R extends Reason> = { readonly [Tag in R["_tag"]]: readonly [R, ...ReadonlyArray<R>] }

const target = { host: "box", options: [] }
const remotePort = 4096
const detail = "…"
const file = "/home/me/.ssh/id_ed25519"

const configuration: Examples<ConfigurationReason> = {
  InvalidProfile: [new Configuration.InvalidProfile({ path: "host", detail })],
  ProfileNotFound: [new Configuration.ProfileNotFound({ profile: "work" })],
  SshConfigInvalid: [
    new Configuration.SshConfigInvalid({ file: "/home/me/.ssh/config", configLine: 3, detail }),
    new Configuration.SshConfigInvalid({ file: "/home/me/.ssh/config", detail: "Bad owner or permissions" })
  ],
  IdentityFileUnusable: (["missing", "permissions", "malformed", "public-key"] as const).map((problem) =>
    new Configuration.IdentityFileUnusable({ file: problem === "public-key" ? `${file}.pub` : file, problem })
  ) as [Configuration.IdentityFileUnusable],
  RevokedKeysUnreadable: [new Configuration.RevokedKeysUnreadable({ file: "/home/me/.ssh/revoked", detail })],
  SshNotFound: [new Configuration.SshNotFound({ binary: "ssh", detail })],
  SshTooOld: [new Configuration.SshTooOld({ found: "OpenSSH_6.6", needed: "OpenSSH 7.3" })],
  RuntimeDirectoryUnusable: [new Configuration.RuntimeDirectoryUnusable({ path: "/tmp", detail })],
  ProfileStoreUnreadable: [
    new Configuration.ProfileStoreUnreadable({ path: "ssh-profiles.json", detail }),
    new Configuration.ProfileStoreUnreadable({
      path: "ssh-profiles.json",
      detail,
      keptAs: "ssh-profiles.json.corrupt-…"
    })
  ],
  ProfileStoreUnwritable: [new Configuration.ProfileStoreUnwritable({ path: "ssh-profiles.json", detail })]
}

const transport: Examples<TransportReason> = {
  HostNameNotResolved: [new Transport.HostNameNotResolved({ target, hostName: "box", detail })],
  ConnectionRefused: [new Transport.ConnectionRefused({ target, port: 22 })],
  ConnectionTimedOut: [new Transport.ConnectionTimedOut({ target, phase: "connect" })],
  NetworkUnreachable: [new Transport.NetworkUnreachable({ target, detail })],
  HostKeyUnknown: [
    new Transport.HostKeyUnknown({ target, rememberable: true }),
    new Transport.HostKeyUnknown({ target, rememberable: true, knownHostsName: "box", knownKeyTypes: ["RSA"] }),
    new Transport.HostKeyUnknown({ target, rememberable: false })
  ],
  HostKeyChanged: [new Transport.HostKeyChanged({ target, knownHostsName: "box" })],
  HostKeyRevoked: [new Transport.HostKeyRevoked({ target })],
  AuthenticationFailed: [new Transport.AuthenticationFailed({ target, alsoAccepts: [] })],
  AuthenticationTimedOut: [
    new Transport.AuthenticationTimedOut({ target, waited: 30_000 }),
    new Transport.AuthenticationTimedOut({ target, waited: 120_000, waitingFor: "security-key" })
  ],
  InteractionRequired: (["passphrase", "password", "pin", "security-key", "confirmation"] as const).map((what) =>
    new Transport.InteractionRequired({
      target,
      what,
      ...(what === "passphrase" || what === "pin" ? { identityFile: file } : {})
    })
  ).concat(
    (["accepted", "unsupported"] as const).map((key) =>
      new Transport.InteractionRequired({ target, what: "password", key })
    )
  ) as [Transport.InteractionRequired],
  TooManyAuthenticationFailures: [new Transport.TooManyAuthenticationFailures({ target })],
  NoCommonAlgorithm: [new Transport.NoCommonAlgorithm({ target, kind: "cipher", offered: detail })],
  ProxyJumpFailed: (["prohibited", "proxy-command", "refused"] as const).map((problem) =>
    new Transport.ProxyJumpFailed({ target, hop: "bastion", problem, detail })
  ) as [Transport.ProxyJumpFailed],
  LocalPortInUse: [new Transport.LocalPortInUse({ port: 4096 })],
  ForwardingDenied: [new Transport.ForwardingDenied({ target, remotePort })],
  ConnectionClosed: [new Transport.ConnectionClosed({ target, detail })],
  ConnectionLost: [new Transport.ConnectionLost({ target, detail })],
  Unclassified: [new Transport.Unclassified({ target, stderr: detail })]
}

const discovery: Examples<DiscoveryReason> = {
  NothingListening: [new Discovery.NothingListening({ remotePort })],
  NoAnswer: [new Discovery.NoAnswer({ remotePort, waited: 10_000 })],
  UnexpectedStatus: [new Discovery.UnexpectedStatus({ remotePort, path: "/global/health", status: 503 })],
  Unauthorized: [new Discovery.Unauthorized({ remotePort, credentials: "none" })],
  NotAnOpencodeServer: [new Discovery.NotAnOpencodeServer({ remotePort, detail })],
  Unhealthy: [new Discovery.Unhealthy({ remotePort, detail })]
}

const bootstrap: Examples<BootstrapReason> = {
  OpencodeNotFound: [new Bootstrap.OpencodeNotFound({ searched: [] })],
  OpencodeUnusable: (["crash", "configuration"] as const).map((problem) =>
    new Bootstrap.OpencodeUnusable({ path: "opencode", problem, detail })
  ) as [Bootstrap.OpencodeUnusable],
  CommandRefused: [new Bootstrap.CommandRefused({ detail })],
  RemoteNotWritable: [new Bootstrap.RemoteNotWritable({ path: "~/.local/state/opencode-ssh", problem: "full" })],
  PortInUse: [new Bootstrap.PortInUse({ port: remotePort })],
  ServerExited: [new Bootstrap.ServerExited({ log: detail })],
  StartTimedOut: [new Bootstrap.StartTimedOut({ waited: 30_000, log: detail })],
  InvalidOutput: [new Bootstrap.InvalidOutput({ output: detail })],
  UnsupportedRemote: [new Bootstrap.UnsupportedRemote({ detail })],
  NotOurs: [new Bootstrap.NotOurs({ detail })]
}

const compatibility: Examples<CompatibilityReason> = {
  UnsupportedVersion: [new Compatibility.UnsupportedVersion({ found: "0.9.0", supported: ">=1.0.0 <3.0.0" })],
  UnparsableVersion: [new Compatibility.UnparsableVersion({ found: "local", supported: ">=1.0.0 <3.0.0" })]
}

/** Every class with its reasons, in the order in which a connection can meet them. */
export const classes = {
  ConfigurationError: configuration,
  TransportError: transport,
  DiscoveryError: discovery,
  BootstrapError: bootstrap,
  CompatibilityError: compatibility
}

const remediesOf = (examples: ReadonlyArray<Reason>): string => {
  const texts = examples.map(({ remedy: { command, text } }) =>
    command === undefined ? text : `${text.replace(/[.:]$/, ":")} \`${command.replaceAll("|", "\\|")}\``
  )
  return [...new Set(texts)].join("<br>")
}

const retriedOf = (examples: ReadonlyArray<Reason>): string => {
  const answers = new Set(examples.map(({ retryable }) => retryable))
  return answers.size > 1 ? "depends" : answers.has(true) ? "yes" : "no"
}

/** The tables. `read` gives a module's text, `exitCode` the command line's code for a class. */
export const errorReference = (
  read: (path: string) => string,
  exitCode: (name: keyof typeof classes) => number
): string =>
  Object.entries(classes).map(([name, reasons]) => {
    const source = read(`packages/ssh-tunnel/src/${name}.ts`)
    const rows = Object.entries<ReadonlyArray<Reason>>(reasons).map(([tag, examples]) => [
      `\`${tag}\``,
      docOf(source, tag) ?? "",
      retriedOf(examples),
      remediesOf(examples)
    ])
    const code = exitCode(name as keyof typeof classes)
    return [
      `## ${name}`,
      `${docOf(source) ?? ""} Exit code ${code}.`,
      table(["Reason", "What it means", "Retried", "Remedy"], rows)
    ].join("\n\n")
  }).join("\n\n")
