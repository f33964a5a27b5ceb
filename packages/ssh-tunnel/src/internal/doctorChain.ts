/** What ssh's log tells of the way to the login: how far the chain of connections has come, and who was met. Pure. */
import type { ConnectionError } from "../ConnectionError.ts"
import type { StepId } from "../DoctorStep.ts"
import type { TransportReason } from "../TransportError.ts"
import { type Connection, isBefore, noConnection } from "./sshConnection.ts"
import { currentConnection, type SshLog } from "./sshLog.ts"

/** The steps that ssh's log decides. */
export const chainSteps = ["name", "port", "host-key", "authentication"] as const satisfies ReadonlyArray<StepId>
export type ChainStep = (typeof chainSteps)[number]

/** The name by which a person knows a connection's other end; `""`: the program of a ProxyCommand. */
const nameOf = (connection: Connection): string => connection.hop ?? connection.host ?? ""

const isAddress = (host: string): boolean => /^[\d.]+$/.test(host) || host.includes(":")

/** ssh's words for all machines, the first that is met in front. */
const chain = (log: SshLog): ReadonlyArray<Connection> => log.connections.toReversed()

/** Whether another program than ssh makes the first connection: nothing is heard of names and ports then. */
export const isProxied = (log: SshLog): boolean => {
  const first = log.connections.at(-1)
  return log.connections.length > 1 && first !== undefined && first.hop === undefined && first.host === undefined
}

/** Whether the whole chain has done this step. */
export const isDone = (log: SshLog, step: ChainStep): boolean => {
  const target = log.connections[0] ?? noConnection
  switch (step) {
    case "name":
      // Names behind a jump host are its business; it tells of them by whether the next port answers.
      return !isBefore(target, "identified") ||
        (!isProxied(log) && !isBefore(log.connections.at(-1) ?? target, "connecting"))
    case "port":
      return !isBefore(target, "identified")
    case "host-key":
      return !isBefore(target, "keyed")
    case "authentication":
      return !isBefore(target, "authenticated")
  }
}

const lines = (texts: ReadonlyArray<string>): string => texts.filter((text) => text !== "").join("\n")

/** One line for each machine of the chain, behind its name when there are several. */
const each = (log: SshLog, text: (connection: Connection) => string | undefined): string => {
  const met = chain(log).filter((connection) => nameOf(connection) !== "")
  return lines(met.map((connection) => {
    const said = text(connection) ?? ""
    return said === "" || (met.length === 1 && connection === log.connections[0])
      ? said
      : `${nameOf(connection)}: ${said}`
  }))
}

const loginOf = ({ attempts, user }: Connection): string => {
  const key = attempts.findLast(({ outcome }) => outcome === "accepted" || outcome === "partial")
  const who = user === undefined ? "" : `as ${user}`
  const what = key === undefined
    ? ""
    : `with ${key.key === undefined || key.key.type === "" ? "" : `the ${key.key.type} key `}${key.file}${
      key.key?.agent === true ? " of the agent" : ""
    }`
  return [who, what].filter((text) => text !== "").join(" ")
}

/** What was seen of a step, as far as the chain has come. */
export const detailOf = (log: SshLog, step: ChainStep): string => {
  switch (step) {
    case "name": {
      const [first = noConnection, ...others] = chain(log)
      if (isProxied(log)) return "the ProxyCommand does this"
      const host = nameOf(first)
      const text = isAddress(host) ? `${host} is an address` : host
      return others.length === 0 ? text : `${text}, the jump host; names behind it are its business`
    }
    case "port":
      return each(
        log,
        (connection) =>
          isBefore(connection, "identified") || connection.port === undefined ? undefined : `port ${connection.port}`
      )
    case "host-key":
      return each(
        log,
        (connection) =>
          isBefore(connection, "keyed") || connection.serverKey === undefined
            ? undefined
            : `${connection.serverKey.algorithm} ${connection.serverKey.fingerprint}`
      )
    case "authentication":
      return each(log, (connection) => isBefore(connection, "authenticated") ? undefined : loginOf(connection))
  }
}

/** Where the connection that ssh was busy with had come to. */
const busyWith = (log: SshLog): StepId => {
  const connection = currentConnection(log)
  switch (connection.stage) {
    case "starting":
      // Behind a jump host, or a ProxyCommand, that should have let it through.
      return connection.proxy === undefined ? "name" : "port"
    case "connecting":
    case "connected":
      return "port"
    case "identified":
      return "host-key"
    case "keyed":
    case "authenticating":
      return "authentication"
    case "authenticated":
      return "forwarding"
  }
}

const transportStep = (reason: TransportReason, log: SshLog): StepId => {
  switch (reason._tag) {
    case "HostNameNotResolved":
      return "name"
    case "ConnectionRefused":
    case "NetworkUnreachable":
    case "ProxyJumpFailed":
      return "port"
    case "ConnectionTimedOut":
      return ({ "connect": "port", "banner": "port", "key-exchange": "host-key", "login": "authentication" } as const)[
        reason.phase
      ]
    case "HostKeyUnknown":
    case "HostKeyChanged":
    case "HostKeyRevoked":
    case "NoCommonAlgorithm":
      return "host-key"
    case "AuthenticationFailed":
    case "InteractionRequired":
    case "TooManyAuthenticationFailures":
      return "authentication"
    case "LocalPortInUse":
    case "ForwardingDenied":
      return "forwarding"
    case "AuthenticationTimedOut":
    case "ConnectionClosed":
    case "ConnectionLost":
    case "Unclassified":
      return busyWith(log)
  }
}

/** The step at which a connection that could not be made has failed. */
export const stepOf = (error: ConnectionError, log: SshLog): StepId => {
  switch (error._tag) {
    case "TransportError":
      return transportStep(error.reason, log)
    case "ConfigurationError":
      switch (error.reason._tag) {
        case "SshNotFound":
        case "SshTooOld":
          return "ssh"
        case "RevokedKeysUnreadable":
          return "host-key"
        case "IdentityFileUnusable":
          return "authentication"
        default:
          return "config"
      }
    default:
      return "server"
  }
}
