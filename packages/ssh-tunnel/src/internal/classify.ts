/**
 * Why ssh ended, as one of the reasons of {@link TransportError} or
 * {@link ConfigurationError}. Structure first (did it start, was it up, which
 * connection of the chain came how far), then the facts that {@link SshLog} has
 * read; what no rule knows is `Unclassified` with its text, never guessed.
 */
import {
  ConfigurationError,
  type ConfigurationReason,
  IdentityFileUnusable,
  RevokedKeysUnreadable,
  RuntimeDirectoryUnusable,
  SshConfigInvalid,
  SshNotFound
} from "../ConfigurationError.ts"
import type { SshTarget } from "../Remedy.ts"
import {
  AuthenticationFailed,
  AuthenticationTimedOut,
  ConnectionClosed,
  ConnectionLost,
  ConnectionRefused,
  ConnectionTimedOut,
  HostKeyChanged,
  HostKeyRevoked,
  HostKeyUnknown,
  HostNameNotResolved,
  InteractionRequired,
  LocalPortInUse,
  NetworkUnreachable,
  NoCommonAlgorithm,
  ProxyJumpFailed,
  TooManyAuthenticationFailures,
  TransportError,
  type TransportReason,
  Unclassified
} from "../TransportError.ts"
import { append, type Attempt, type Connection, empty, progress, type SshLog, tail } from "./sshLog.ts"
import type { Failure } from "./sshWordings.ts"

/** How the ssh process ended. */
export interface SshExit {
  readonly code?: number
  readonly signal?: string
  /** It never ran: the platform's own words. */
  readonly spawnError?: string
}

/** What {@link classify} needs to know. */
export interface Ended {
  readonly log: SshLog
  readonly exit: SshExit
  /** `established`: the connection was ready before; whatever happened, it is lost. */
  readonly phase: "opening" | "established"
  /** The destination, for remedies. */
  readonly target: SshTarget
  /** The same for a jump host, by the name that the user gave it. */
  readonly hops: (name: string) => SshTarget
  /** The ssh program, for {@link SshNotFound}. */
  readonly binary?: string
  /** The identity file of the profile: when it is unusable, that is the cause. */
  readonly identityFile?: string
  /**
   * Whether an accepted host key can be remembered: `false` when every
   * `UserKnownHostsFile` is /dev/null or `none` (no line of ssh tells). Default: it can.
   */
  readonly rememberable?: (hop: string | undefined) => boolean
  /**
   * Key types that known_hosts has for this name, see {@link knownHostsQuery}. Without
   * them a key of a new type counts as *changed*, as ssh itself says.
   */
  readonly knownKeyTypes?: ReadonlyArray<string>
}

interface Place {
  readonly target: SshTarget
  readonly hop?: string
}

const transport = (reason: TransportReason): TransportError => new TransportError({ reason })
const configuration = (reason: ConfigurationReason): ConfigurationError => new ConfigurationError({ reason })

const isIn = <T extends Failure["_tag"]>(failures: ReadonlyArray<Failure>, tag: T) =>
  failures.find((failure): failure is Extract<Failure, { readonly _tag: T }> => failure._tag === tag)

/** The name by which errors speak of a jump host. */
const nameOf = (connection: Connection): string => connection.hop ?? connection.host ?? "of the ProxyCommand"

/** ED25519 for `ssh-ed25519`, as known_hosts messages call it. */
const keyTypeOf = (algorithm: string): string =>
  algorithm === "ssh-rsa" || algorithm.startsWith("rsa-") ?
    "RSA"
    : algorithm.startsWith("sk-ssh-ed25519") ?
    "ED25519-SK"
    : algorithm.startsWith("sk-ecdsa") ?
    "ECDSA-SK"
    : algorithm.startsWith("ssh-ed25519") ?
    "ED25519"
    : algorithm.startsWith("ecdsa-") ?
    "ECDSA"
    : algorithm

const hostKeyReason = (ended: Ended, connection: Connection, place: Place): TransportReason | undefined => {
  const { failures, serverKey } = connection
  const shown = serverKey === undefined
    ? undefined
    : { keyType: keyTypeOf(serverKey.algorithm), fingerprint: serverKey.fingerprint }
  const revokedByFile = isIn(failures, "KeyRevokedByFile")
  if (revokedByFile !== undefined) {
    const { file, fingerprint, keyType } = revokedByFile
    return new HostKeyRevoked({ ...place, keyType, fingerprint, knownHostsFile: file })
  }
  const revoked = isIn(failures, "KeyRevoked")
  if (revoked !== undefined) return new HostKeyRevoked({ ...place, ...shown, knownHostsName: revoked.name })
  const rememberable = ended.rememberable?.(place.hop) ?? true
  const changed = isIn(failures, "KeyChangedName")
  if (changed !== undefined) {
    const offending = isIn(failures, "KeyOffending")
    const fields = {
      ...place,
      ...shown,
      knownHostsName: changed.name,
      ...(offending === undefined ? undefined : { knownHostsFile: offending.file, line: offending.line })
    }
    return shown !== undefined && ended.knownKeyTypes !== undefined && !ended.knownKeyTypes.includes(shown.keyType)
      ? new HostKeyUnknown({ ...fields, rememberable })
      : new HostKeyChanged(fields)
  }
  const unknown = isIn(failures, "KeyUnknown")
  if (unknown !== undefined) {
    return new HostKeyUnknown({
      ...place,
      keyType: unknown.keyType,
      ...shown,
      knownHostsName: unknown.name,
      rememberable
    })
  }
  return undefined
}

const configLineReason = (failure: Extract<Failure, { readonly _tag: "ConfigLine" }>): SshConfigInvalid =>
  new SshConfigInvalid({
    file: failure.file,
    detail: failure.detail,
    ...(failure.line === undefined || failure.line === 0 ? undefined : { line: failure.line })
  })

const openAttempts = (connection: Connection, outcome: Attempt["outcome"]) =>
  connection.attempts.filter((attempt) => attempt.outcome === outcome)

const authenticationReason = (
  ended: Ended,
  connection: Connection,
  place: Place,
  denied: Extract<Failure, { readonly _tag: "PermissionDenied" }>
): TransportReason | ConfigurationReason => {
  const methods = denied.methods.length > 0 ? denied.methods : connection.methods
  const refused = openAttempts(connection, "refused").length > 0
  if (!connection.partial && methods.includes("publickey")) {
    const unusable = connection.identities.find(({ file }) => file === ended.identityFile) ??
      (refused ? undefined : connection.identities[0])
    if (unusable !== undefined) return new IdentityFileUnusable(unusable)
  }
  const unsigned = openAttempts(connection, "unsigned")[0]
  if (unsigned !== undefined && unsigned.key?.agent === true) {
    return new InteractionRequired({ ...place, what: "confirmation" })
  }
  const locked = openAttempts(connection, "accepted")[0] ??
    openAttempts(connection, "trying").find(({ file }) =>
      connection.candidates.some((key) => key.file === file && key.explicit)
    )
  if (locked !== undefined && !connection.identities.some(({ file }) => file === locked.file)) {
    return new InteractionRequired({ ...place, what: "passphrase", identityFile: locked.file })
  }
  if (connection.partial || !refused) {
    const what = methods.includes("password")
      ? "password" as const
      : methods.includes("keyboard-interactive")
      ? "keyboard-interactive" as const
      : undefined
    if (what !== undefined) return new InteractionRequired({ ...place, what })
  }
  return new AuthenticationFailed({ ...place, user: denied.user, alsoAccepts: methods })
}

const passingOnReason = (
  hop: string,
  target: SshTarget,
  failure: Extract<Failure, { readonly _tag: "NotPassedOn" }>
): ProxyJumpFailed =>
  new ProxyJumpFailed({
    target,
    hop,
    problem: failure.reason === "prohibited"
      ? "prohibited"
      : failure.detail === "Connection refused"
      ? "refused"
      : failure.detail === "Connection timed out" || failure.detail === "Network is unreachable" ||
          failure.detail === "No route to host"
      ? "unreachable"
      : "unknown",
    detail: failure.detail
  })

const reasonOf = (
  ended: Ended,
  connection: Connection,
  place: Place
): TransportReason | ConfigurationReason | undefined => {
  const first = connection.failures[0]
  if (first === undefined) return undefined
  switch (first._tag) {
    case "ConfigLine":
      return configLineReason(first)
    case "NotResolved":
      return new HostNameNotResolved({ ...place, hostName: first.hostName, detail: first.detail })
    case "ConnectFailed":
      switch (first.problem) {
        case "refused":
          return new ConnectionRefused({ ...place, port: first.port })
        case "timed-out":
          return new ConnectionTimedOut({ ...place, phase: "connect" })
        case "unreachable":
          return new NetworkUnreachable({ ...place, detail: first.detail })
        default:
          return undefined
      }
    case "BannerTimedOut":
      return new ConnectionTimedOut({ ...place, phase: "banner" })
    case "TimedOut":
      return new ConnectionTimedOut({
        ...place,
        phase:
          connection.stage === "identified" || connection.stage === "keyed" || connection.stage === "authenticating"
            ? "key-exchange"
            : "banner"
      })
    case "NoCommon":
      return new NoCommonAlgorithm({ ...place, kind: first.kind, offered: first.offered })
    case "Disconnected":
      return first.detail === "Too many authentication failures"
        ? new TooManyAuthenticationFailures(place)
        : new ConnectionClosed({ ...place, detail: first.detail })
    case "Closed":
    case "NotSsh":
    case "LostByPeer":
      return connection.stage === "authenticated"
        ? new ConnectionLost({ ...place, detail: first.detail })
        : new ConnectionClosed({ ...place, detail: first.detail })
    case "RevokedKeysUnreadable":
      return new RevokedKeysUnreadable({ file: first.file, detail: first.detail })
    case "KeyUnknown":
    case "KeyChanged":
    case "KeyRevoked":
    case "KeyRevokedByFile":
    case "VerificationFailed":
      return ended.log.contradictory ? undefined : hostKeyReason(ended, connection, place)
    case "PermissionDenied":
      return authenticationReason(ended, connection, place, first)
    case "BindRefused":
      return first.detail === "Address already in use" ? new LocalPortInUse({ port: first.port }) : undefined
    case "SocketFailed":
      return new RuntimeDirectoryUnusable({ path: first.path, detail: first.detail })
    case "CommandMissing":
      return new ProxyJumpFailed({
        target: ended.target,
        hop: nameOf(connection),
        problem: "proxy-command",
        detail: first.detail
      })
    default:
      return undefined
  }
}

/** The error for an ssh that has ended; see {@link Ended}. Total: every input gives an error. */
export const classify = (ended: Ended): TransportError | ConfigurationError => {
  const { exit, log, target } = ended
  if (exit.spawnError !== undefined) {
    return configuration(new SshNotFound({ binary: ended.binary ?? "ssh", detail: exit.spawnError }))
  }
  const ending = exit.signal ?? `exit code ${exit.code ?? "unknown"}`
  if (ended.phase === "established") {
    return transport(
      new ConnectionLost({ target, detail: log.lastWords === "" ? `ssh ended (${ending})` : log.lastWords })
    )
  }
  // The innermost connection that failed is the cause; those outside of it only lost their way.
  for (let index = log.connections.length - 1; index >= 0; index--) {
    const connection = log.connections[index]
    if (connection === undefined || connection.failures.length === 0) continue
    const inner = log.connections[index + 1]
    const passing = isIn(connection.failures, "NotPassedOn")
    if (passing !== undefined && inner !== undefined) {
      return transport(passingOnReason(nameOf(inner), target, passing))
    }
    const name = nameOf(connection)
    const place: Place = index === 0 ? { target } : { target: ended.hops(name), hop: name }
    const reason = reasonOf(ended, connection, place)
    if (reason === undefined) break
    return isConfiguration(reason) ? configuration(reason) : transport(reason)
  }
  return transport(
    new Unclassified({
      target,
      stderr: tail(log),
      ...(exit.code === undefined ? undefined : { exitCode: exit.code }),
      ...(exit.signal === undefined ? undefined : { signal: exit.signal })
    })
  )
}

const configurationTags: ReadonlySet<string> = new Set<ConfigurationReason["_tag"]>([
  "SshConfigInvalid",
  "IdentityFileUnusable",
  "RevokedKeysUnreadable",
  "RuntimeDirectoryUnusable"
])
const isConfiguration = (reason: TransportReason | ConfigurationReason): reason is ConfigurationReason =>
  configurationTags.has(reason._tag)

/** The error for an ssh that was still not ready after `waited` milliseconds. */
export const expired = (ended: {
  readonly log: SshLog
  readonly target: SshTarget
  readonly hops: (name: string) => SshTarget
  readonly waited: number
}): TransportError => {
  const { hop, waitingFor } = progress(ended.log)
  return transport(
    new AuthenticationTimedOut({
      target: hop === undefined ? ended.target : ended.hops(hop),
      ...(hop === undefined ? undefined : { hop }),
      ...(waitingFor === undefined ? undefined : { waitingFor }),
      waited: ended.waited
    })
  )
}

/**
 * What `ssh-keygen -l -F <name> -f <file>` should be asked before
 * {@link classify}, because ssh calls a key *changed* also when known_hosts has
 * only keys of other types; `undefined` when nothing is to be asked.
 */
export const knownHostsQuery = (
  log: SshLog
): { readonly name: string; readonly file: string; readonly hop?: string } | undefined => {
  for (const connection of log.connections) {
    const changed = isIn(connection.failures, "KeyChangedName")
    const offending = isIn(connection.failures, "KeyOffending")
    if (changed === undefined || offending === undefined || connection.serverKey === undefined) continue
    if (offending.keyType === keyTypeOf(connection.serverKey.algorithm)) continue
    return {
      name: changed.name,
      file: offending.file,
      ...(connection.hop === undefined ? undefined : { hop: connection.hop })
    }
  }
  return undefined
}

/**
 * The error for an `ssh -G` that failed: the file and line that ssh names, or
 * `fallbackFile` with ssh's last words.
 */
export const configurationError = (stderr: string, fallbackFile: string): ConfigurationError => {
  const [, log] = append(empty, stderr.endsWith("\n") ? stderr : `${stderr}\n`)
  const found = log.connections[0]?.failures.find((failure) => failure._tag === "ConfigLine")
  return configuration(
    found === undefined
      ? new SshConfigInvalid({ file: fallbackFile, detail: log.lastWords === "" ? "ssh -G failed" : log.lastWords })
      : configLineReason(found)
  )
}
