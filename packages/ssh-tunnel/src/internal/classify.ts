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
  RuntimeDirectoryUnusable,
  SshConfigInvalid,
  SshNotFound
} from "../ConfigurationError.ts"
import type { SshTarget } from "../Remedy.ts"
import {
  AuthenticationTimedOut,
  ConnectionClosed,
  ConnectionLost,
  ConnectionRefused,
  ConnectionTimedOut,
  HostNameNotResolved,
  LocalPortInUse,
  NetworkUnreachable,
  NoCommonAlgorithm,
  ProxyJumpFailed,
  TooManyAuthenticationFailures,
  TransportError,
  type TransportReason,
  Unclassified
} from "../TransportError.ts"
import { type Ended, type FailureOf, first, type Place, placeOf, type Reason } from "./ended.ts"
import { hostKeyReason } from "./hostKeyReason.ts"
import { loginReason } from "./loginReason.ts"
import type { Connection } from "./sshConnection.ts"
import { append, currentConnection, empty, progress, type SshLog, tail } from "./sshLog.ts"
import { type Failure, passingProblem } from "./sshWordings.ts"

export type { Ended, SshExit } from "./ended.ts"
export { knownHostsQuery } from "./hostKeyReason.ts"

const isEndOf = (failure: Failure): boolean => failure._tag === "Closed" || failure._tag === "NotIdentified"

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
      if (denied !== undefined) return loginReason(ended, connection, place, denied)
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
