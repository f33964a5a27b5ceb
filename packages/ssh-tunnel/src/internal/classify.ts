/**
 * Why ssh ended, as one of the reasons of {@link TransportError} or
 * {@link ConfigurationError}. Structure first: did it start, was it up, which
 * connection of the chain is it about and how far had that come. Then the lines
 * that {@link SshLog} has read. What no rule knows is `Unclassified` with its
 * text, never guessed.
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
import {
  append,
  type Attempt,
  type Connection,
  currentConnection,
  empty,
  progress,
  type SshLog,
  tail
} from "./sshLog.ts"
import { type Failure, passingProblem } from "./sshWordings.ts"

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
  /** The ssh program, for `SshNotFound`. Default: `ssh`. */
  readonly binary?: string
  /** The user's config file, for errors for which ssh names none. Default: `~/.ssh/config`. */
  readonly configFile?: string
  /** The identity file of the profile, as ssh prints it: when it is unusable, that is the cause. */
  readonly identityFile?: string
  /**
   * Whether an accepted host key can be remembered: `false` when every
   * `UserKnownHostsFile` is /dev/null or `none` (no line of ssh tells). Default: it can.
   */
  readonly rememberable?: (hop: string | undefined) => boolean
  /**
   * Key types (`ED25519`, `RSA`, …) that all known_hosts files together have for
   * the name of {@link knownHostsQuery}. When absent or empty, a key of a new
   * type counts as *changed*, as ssh itself says.
   */
  readonly knownKeyTypes?: ReadonlyArray<string>
}

type Reason = TransportReason | ConfigurationReason
type FailureOf<T extends Failure["_tag"]> = Extract<Failure, { readonly _tag: T }>

interface Place {
  readonly target: SshTarget
  readonly hop?: string
}

const first = <T extends Failure["_tag"]>(failures: ReadonlyArray<Failure>, tag: T) =>
  failures.find((failure): failure is FailureOf<T> => failure._tag === tag)

const isEndOf = (failure: Failure): boolean => failure._tag === "Closed" || failure._tag === "NotIdentified"

/** The program of a ProxyCommand is no place: the host that it leads to is meant. */
const placeOf = (ended: Pick<Ended, "log" | "target" | "hops">, index: number): Place => {
  const connection = ended.log.connections[index]
  if (index <= 0 || connection === undefined) return { target: ended.target }
  const hop = connection.hop ?? connection.host
  if (hop === undefined) return placeOf(ended, index - 1)
  return { target: ended.hops(hop), hop }
}

/** What ssh calls a key's type: `ED25519` for the algorithm `ssh-ed25519`. */
const keyTypeOf = (algorithm: string): string =>
  algorithm.startsWith("ssh-rsa") || algorithm.startsWith("rsa-")
    ? "RSA"
    : algorithm.startsWith("ssh-ed25519")
    ? "ED25519"
    : algorithm.startsWith("ecdsa-")
    ? "ECDSA"
    : algorithm.startsWith("sk-ssh-ed25519")
    ? "ED25519-SK"
    : algorithm.startsWith("sk-ecdsa-")
    ? "ECDSA-SK"
    : algorithm.startsWith("ssh-dss")
    ? "DSA"
    : algorithm

const hopOf = ({ hop, host }: Connection): { readonly hop?: string } => {
  const name = hop ?? host
  return name === undefined ? {} : { hop: name }
}

const configInvalid = (failure: FailureOf<"ConfigInvalid">, fallbackFile: string): SshConfigInvalid =>
  new SshConfigInvalid({
    file: failure.file ?? fallbackFile,
    detail: failure.detail,
    ...(failure.line === undefined || failure.line === 0 ? undefined : { configLine: failure.line })
  })

// --- Host keys -------------------------------------------------------------------------------------------------------

/** known_hosts names of this connection: a message about another name is not about this connection. */
const isNameOf = (connection: Connection, name: string): boolean => {
  const { host, hostKeyAlias, port } = connection
  const names = [hostKeyAlias, host, host === undefined ? undefined : `[${host}]:${port}`]
  // ssh cuts names in messages after 200 bytes.
  return names.some((known) =>
    known !== undefined && (known === name || (name.length >= 200 && known.startsWith(name)))
  )
}

/** "Host key verification failed." is the last word of an ssh; only those outside of it may speak afterwards. */
const isLastWord = (log: SshLog): boolean => {
  const end = log.failures.findIndex(({ _tag }) => _tag === "VerificationFailed")
  if (end === -1) return false
  const after = log.failures.slice(end + 1)
  const closings = after.filter(({ _tag }) => _tag === "Closed")
  return closings.length <= log.current &&
    after.every((failure) =>
      log.connections.length > 1 && failure._tag === "Lost" ||
      log.current > 0 && (failure._tag === "NotIdentified" || failure._tag === "Closed" && failure.proxied)
    )
}

const hostKeyReason = (ended: Ended, connection: Connection, place: Place): Reason | undefined => {
  const { log } = ended
  const { failures } = log
  if (connection.forged || !isLastWord(log)) return undefined
  const unreadable = first(failures, "RevokedKeysUnreadable")
  if (unreadable !== undefined) {
    return new RevokedKeysUnreadable({ file: unreadable.file, detail: unreadable.detail })
  }
  const shown = connection.serverKey === undefined
    ? undefined
    : { keyType: keyTypeOf(connection.serverKey.algorithm), fingerprint: connection.serverKey.fingerprint }
  const listed = first(failures, "KeyRevokedByFile")
  if (listed !== undefined) {
    return new HostKeyRevoked({
      ...place,
      keyType: listed.keyType,
      fingerprint: listed.fingerprint,
      knownHostsFile: listed.file
    })
  }
  const named = first(failures, "KeyRevoked") ?? first(failures, "KeyChanged") ?? first(failures, "KeyUnknown")
  if (named === undefined || !isNameOf(connection, named.name)) return undefined
  const fields = { ...place, ...shown, knownHostsName: named.name }
  if (named._tag === "KeyRevoked") return new HostKeyRevoked(fields)
  const rememberable = ended.rememberable?.(place.hop) ?? true
  if (named._tag === "KeyUnknown") return new HostKeyUnknown({ keyType: named.keyType, ...fields, rememberable })
  const offending = first(failures, "KeyOffending")
  const entry = offending === undefined ? undefined : { knownHostsFile: offending.file, knownHostsLine: offending.line }
  const known = knownHostsQuery(log) === undefined ? [] : ended.knownKeyTypes ?? []
  return known.length === 0 || shown === undefined || known.includes(shown.keyType)
    ? new HostKeyChanged({ ...fields, ...entry })
    : new HostKeyUnknown({ ...fields, ...entry, knownKeyTypes: [...new Set(known)], rememberable })
}

/**
 * What `ssh-keygen -l -F <name> -f <file>` should be asked of every known_hosts
 * file in force before {@link classify}, because ssh calls a key *changed* also
 * when known_hosts has only keys of other types. `undefined`: ssh's text is
 * enough, nothing is to be asked.
 *
 * **Gotchas**
 *
 * Asking only the file that ssh names is not enough: it names the last entry
 * that does not match, and a key of the shown type may stand in another file.
 */
export const knownHostsQuery = (
  log: SshLog
): { readonly name: string; readonly file: string; readonly hop?: string } | undefined => {
  const { hop, serverKey } = currentConnection(log)
  const changed = first(log.failures, "KeyChanged")
  const offending = first(log.failures, "KeyOffending")
  if (changed === undefined || offending === undefined || serverKey === undefined) return undefined
  if (offending.keyType === keyTypeOf(serverKey.algorithm)) return undefined
  return { name: changed.name, file: offending.file, ...(hop === undefined ? undefined : { hop }) }
}

// --- Authentication --------------------------------------------------------------------------------------------------

const isSecurityKey = ({ key }: Attempt): boolean => /-SK(?:-CERT)?$/.test(key?.type ?? "")

const unusableIdentity = (ended: Ended, connection: Connection, wasRefused: boolean) => {
  const { identities } = connection
  const own = identities.find(({ file }) => file === ended.identityFile)
  const unusable = own ??
    (wasRefused ? undefined : identities.find(({ problem }) => problem !== "missing") ?? identities[0])
  if (unusable === undefined) return undefined
  // ssh offers a public key that was named by mistake, and then can't load it as a private one.
  const isPublic = unusable.file.endsWith(".pub") && unusable.problem !== "missing" && unusable.problem !== "unreadable"
  return new IdentityFileUnusable(isPublic ? { file: unusable.file, problem: "public-key" } : unusable)
}

const signingReason = (place: Place, attempt: Attempt, isFile: boolean): Reason | undefined => {
  const securityKey = isSecurityKey(attempt)
  const identityFile = isFile ? { identityFile: attempt.file } : undefined
  switch (attempt.signing) {
    case "refused":
      return new InteractionRequired({ ...place, what: securityKey ? "security-key" : "confirmation" })
    case "pin":
      return securityKey ? new InteractionRequired({ ...place, what: "pin", ...identityFile }) : undefined
    case "no-device":
      return securityKey ? new InteractionRequired({ ...place, what: "security-key", ...identityFile }) : undefined
    default:
      return undefined
  }
}

const authenticationReason = (
  ended: Ended,
  connection: Connection,
  place: Place,
  denied: FailureOf<"PermissionDenied">
): Reason | undefined => {
  const { attempts, candidates, identities, partial } = connection
  const methods = denied.methods
  const wasRefused = attempts.some(({ outcome }) => outcome === "refused")

  // A key that sshd would take, but that gave no signature.
  const wanted = attempts.find(({ outcome }) => outcome === "accepted" || outcome === "unsigned")
  if (wanted !== undefined && !identities.some(({ file }) => file === wanted.file)) {
    const isFile = wanted.key?.agent !== true && ended.log.identityFiles.includes(wanted.file)
    if (wanted.outcome === "unsigned") return signingReason(place, wanted, isFile)
    return isFile
      ? new InteractionRequired({ ...place, what: "passphrase", identityFile: wanted.file })
      : undefined
  }
  if (methods.includes("publickey") && !partial) {
    const unusable = unusableIdentity(ended, connection, wasRefused && wanted === undefined)
    if (unusable !== undefined) return unusable
    // Not even its public half could be read, and it is there: a locked key in an old format.
    const locked = attempts.find(({ file, outcome }) =>
      outcome === "trying" && candidates.some((key) => key.file === file && key.explicit)
    )
    if (locked !== undefined && !wasRefused) {
      return new InteractionRequired({ ...place, what: "passphrase", identityFile: locked.file })
    }
  }
  if (partial || !wasRefused) {
    const what = (["password", "keyboard-interactive"] as const).find((method) => methods.includes(method))
    if (what !== undefined) return new InteractionRequired({ ...place, what })
  }
  return new AuthenticationFailed({
    ...place,
    user: denied.user,
    alsoAccepts: methods,
    offered: attempts.filter(({ outcome }) => outcome === "refused" || outcome === "partial").length
  })
}

// --- The stages of one connection ------------------------------------------------------------------------------------

/**
 * Reasons of the connection that ssh was busy with when it ended. ssh's own
 * last line is the first one that counts, except while a banner may have been
 * printed before it.
 */
const reasonIn = (ended: Ended, connection: Connection, place: Place): Reason | undefined => {
  const { current, failures, lastWords } = ended.log
  // The ssh outside of this one only tells that its proxy is gone.
  const outer = current > 0 && connection.stage !== "connected"
    ? failures.findIndex((failure, index) => failure._tag === "NotIdentified" && failures.slice(index).every(isEndOf))
    : -1
  const own = outer === -1 ? failures : failures.slice(0, outer)
  const timedOut = (phase: "connect" | "banner" | "key-exchange" | "login") =>
    first(own, "BannerTimedOut") !== undefined || first(own, "TimedOut") !== undefined
      ? new ConnectionTimedOut({ ...place, phase })
      : undefined
  const closed = (): Reason | undefined => {
    const end = own.find(isEndOf)
    return end === undefined ? undefined : new ConnectionClosed({
      ...place,
      detail: end._tag === "NotIdentified" || end._tag === "Closed" ? end.detail : ""
    })
  }
  const disconnected = (failure: FailureOf<"Disconnected"> | undefined): Reason | undefined =>
    failure === undefined ? undefined : new ConnectionClosed({ ...place, detail: failure.detail })

  switch (connection.stage) {
    case "starting": {
      const notPassedOn = first(own, "NotPassedOn")
      const inner = ended.log.connections[current + 1]
      if (notPassedOn !== undefined && inner !== undefined) {
        return new ProxyJumpFailed({
          target: ended.target,
          ...hopOf(inner),
          problem: notPassedOn.reason === "prohibited"
            ? "prohibited"
            : passingProblem(notPassedOn.detail) ?? "unknown",
          detail: notPassedOn.detail
        })
      }
      const notResolved = first(own, "NotResolved")
      if (notResolved !== undefined) {
        return new HostNameNotResolved({ ...place, hostName: notResolved.hostName, detail: notResolved.detail })
      }
      const invalid = first(own, "ConfigInvalid")
      if (invalid !== undefined) return configInvalid(invalid, ended.configFile ?? "~/.ssh/config")
      if (inner?.stage === "authenticated") {
        // The jump host has let it through, or its own connection has ended meanwhile.
        const lost = own.find(({ _tag }) => _tag === "Lost" || _tag === "NotResponding" || _tag === "Disconnected")
        return lost === undefined || !("detail" in lost)
          ? timedOut("banner") ?? closed()
          : new ConnectionClosed({ ...placeOf(ended, current + 1), detail: lost.detail ?? "" })
      }
      if (current > 0 && outer !== -1) {
        return new ProxyJumpFailed({
          target: ended.target,
          ...(connection.hop === undefined
            ? { command: (ended.log.connections[current - 1]?.proxy ?? "").slice(0, 256), problem: "proxy-command" }
            : { hop: connection.hop, problem: "unknown" }),
          detail: lastWords
        })
      }
      return timedOut("connect") ?? closed()
    }
    case "connecting": {
      const failed = first(own, "ConnectFailed")
      switch (failed?.problem) {
        case "refused":
          return new ConnectionRefused({ ...place, port: failed.port })
        case "timed-out":
          return new ConnectionTimedOut({ ...place, phase: "connect" })
        case "unreachable":
          return new NetworkUnreachable({ ...place, detail: failed.detail })
        case "closed":
          return new ConnectionClosed({ ...place, detail: failed.detail })
        default:
          return timedOut("connect")
      }
    }
    case "connected":
      return timedOut("banner") ?? disconnected(first(own, "Disconnected")) ?? closed()
    case "identified": {
      const [cause] = own
      switch (cause?._tag) {
        case "NoCommon":
          return new NoCommonAlgorithm({ ...place, kind: cause.kind, offered: cause.offered })
        case "Disconnected":
          return disconnected(cause)
        case "TimedOut":
        case "BannerTimedOut":
          return timedOut("key-exchange")
        case "Closed":
        case "NotIdentified":
          return closed()
        case undefined:
          return undefined
        default:
          return hostKeyReason(ended, connection, place)
      }
    }
    case "keyed":
    case "authenticating": {
      const denied = ended.log.exhausted ? first(own, "PermissionDenied") : undefined
      if (denied !== undefined) return authenticationReason(ended, connection, place, denied)
      const last = own.at(-1)
      switch (last?._tag) {
        case "DisconnectedFrom":
        case "Disconnected": {
          const said = own.findLast((failure): failure is FailureOf<"Disconnected"> => failure._tag === "Disconnected")
          return said?.detail === "Too many authentication failures"
            ? new TooManyAuthenticationFailures(place)
            : disconnected(said)
        }
        case "Closed":
          return new ConnectionClosed({ ...place, detail: last.detail })
        case "TimedOut":
        case "BannerTimedOut":
          return timedOut("login")
        default:
          return undefined
      }
    }
    case "authenticated": {
      const [cause] = own
      switch (cause?._tag) {
        case "NotForwarded":
          return cause.taken ? new LocalPortInUse({ port: cause.port }) : undefined
        case "SocketFailed":
          // ssh binds under a random name first, and then renames.
          return new RuntimeDirectoryUnusable({
            path: cause.path.replace(/\.[A-Za-z0-9]{16}$/, ""),
            detail: cause.detail
          })
        case "Lost":
        case "NotResponding":
        case "Closed":
        case "Disconnected":
        case "TimedOut":
          return lostReason(ended)
        default:
          return undefined
      }
    }
  }
}

const isLoss = (
  failure: Failure
): failure is FailureOf<"Lost" | "NotResponding" | "Closed" | "Disconnected" | "TimedOut"> =>
  failure._tag === "Lost" || failure._tag === "NotResponding" || failure._tag === "Closed" ||
  failure._tag === "Disconnected" || failure._tag === "TimedOut"

/** Each ssh of the chain says so, the innermost first, when the connection below it is gone. */
const lostReason = ({ exit, hops, log, target }: Ended): ConnectionLost => {
  const losses = log.failures.filter(isLoss)
  const [cause] = losses
  const place = placeOf({ log, target, hops }, Math.min(losses.length, log.connections.length) - 1)
  const ending = exit.signal ?? `exit code ${exit.code ?? "unknown"}`
  return new ConnectionLost({
    ...(losses.length === 0 ? { target } : place),
    detail: cause?.detail ?? (log.lastWords === "" ? `ssh ended (${ending})` : log.lastWords)
  })
}

// --- Exports ---------------------------------------------------------------------------------------------------------

const transport = (reason: TransportReason): TransportError => new TransportError({ reason })
const configuration = (reason: ConfigurationReason): ConfigurationError => new ConfigurationError({ reason })

const isConfiguration = (reason: Reason): reason is ConfigurationReason =>
  reason._tag === "SshConfigInvalid" || reason._tag === "IdentityFileUnusable" ||
  reason._tag === "RevokedKeysUnreadable" || reason._tag === "RuntimeDirectoryUnusable"

/** The error for an ssh that has ended; see {@link Ended}. Total: every input gives an error. */
export const classify = (ended: Ended): TransportError | ConfigurationError => {
  const { exit, log } = ended
  if (exit.spawnError !== undefined) {
    return configuration(new SshNotFound({ binary: ended.binary ?? "ssh", detail: exit.spawnError }))
  }
  if (ended.phase === "established") return transport(lostReason(ended))
  const reason = reasonIn(ended, currentConnection(log), placeOf(ended, log.current))
  if (reason !== undefined) return isConfiguration(reason) ? configuration(reason) : transport(reason)
  return transport(
    new Unclassified({
      ...placeOf(ended, log.current),
      stderr: tail(log),
      ...(exit.code === undefined ? undefined : { exitCode: exit.code }),
      ...(exit.signal === undefined ? undefined : { signal: exit.signal })
    })
  )
}

/** The error for an ssh that was still not ready after `waited` milliseconds. */
export const expired = (ended: {
  readonly log: SshLog
  readonly target: SshTarget
  readonly hops: (name: string) => SshTarget
  readonly waited: number
}): TransportError => {
  const { waitingFor } = progress(ended.log)
  return transport(
    new AuthenticationTimedOut({
      ...placeOf(ended, ended.log.current),
      ...(waitingFor === undefined ? undefined : { waitingFor }),
      waited: Math.round(ended.waited)
    })
  )
}

/**
 * The error for an `ssh -G` that failed: the file and line that ssh names, or
 * `fallbackFile` with ssh's last words.
 */
export const configurationError = (stderr: string, fallbackFile: string): ConfigurationError => {
  const [, log] = append(empty, stderr.endsWith("\n") ? stderr : `${stderr}\r\n`)
  const invalid = first(log.failures, "ConfigInvalid")
  return configuration(
    invalid === undefined
      ? new SshConfigInvalid({ file: fallbackFile, detail: log.lastWords === "" ? "ssh -G failed" : log.lastWords })
      : configInvalid(invalid, fallbackFile)
  )
}
