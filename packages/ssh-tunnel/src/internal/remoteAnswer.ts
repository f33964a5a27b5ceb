/** What the remote script answers, and what that means in our words. */
import { Redacted, Schema } from "effect"
import {
  BootstrapError,
  type BootstrapReason,
  CommandRefused,
  InvalidOutput,
  NotOurs,
  OpencodeNotFound,
  OpencodeUnusable,
  PortInUse,
  RemoteNotWritable,
  ServerExited,
  StartTimedOut,
  UnsupportedRemote
} from "../BootstrapError.ts"
import { CompatibilityError, UnsupportedVersion } from "../CompatibilityError.ts"
import { Credentials } from "../Credentials.ts"
import { Port } from "../Destination.ts"
import { Lifetime } from "../Profile.ts"
import { RemoteServer } from "../RemoteServer.ts"
import { incompatibility, type VersionRange } from "./versionRange.ts"

/** A server in the script's words. */
export const Server = Schema.Struct({
  origin: Schema.Literals(["started", "reused"]),
  owner: Schema.Literals(["ours", "opencode"]),
  pid: Schema.Int,
  port: Port,
  version: Schema.String,
  lifetime: Lifetime,
  startedAt: Schema.String,
  username: Schema.String,
  password: Schema.optionalKey(Schema.String),
  logFile: Schema.optionalKey(Schema.String)
})

/** An error of the script: every member that any of them has. */
const Failure = Schema.Struct({
  _tag: Schema.String,
  searched: Schema.optionalKey(Schema.Array(Schema.String)),
  path: Schema.optionalKey(Schema.String),
  problem: Schema.optionalKey(Schema.String),
  detail: Schema.optionalKey(Schema.String),
  port: Schema.optionalKey(Schema.Int),
  exitCode: Schema.optionalKey(Schema.Int),
  log: Schema.optionalKey(Schema.String),
  waited: Schema.optionalKey(Schema.Int),
  found: Schema.optionalKey(Schema.String)
})
export type Refusal = typeof Failure.Type

/** The JSON of a `result` line. */
export const Answer = Schema.Union([
  Schema.Struct({ error: Failure }),
  Schema.Struct({ server: Schema.NullOr(Server) }),
  Schema.Struct({ stopped: Server }),
  Schema.Struct({ log: Schema.Struct({ path: Schema.String }) })
])
export type Answer = typeof Answer.Type

/** The JSON of a `found` line: the binary that was chosen. */
export const Found = Schema.Struct({
  path: Schema.String,
  version: Schema.String,
  searched: Schema.Array(Schema.String)
})

/** The server of an answer. Its password is `Redacted` from here on. */
export const remoteServer = (
  { logFile, password, startedAt, username, ...server }: typeof Server.Type
): RemoteServer =>
  new RemoteServer({
    origin: server.origin,
    owner: server.owner,
    pid: server.pid,
    port: server.port,
    version: server.version,
    lifetime: server.lifetime,
    ...(password === undefined
      ? undefined
      : { credentials: new Credentials({ username, password: Redacted.make(password) }) }),
    ...(startedAt === "" ? undefined : { startedAt }),
    ...(logFile === undefined ? undefined : { logFile })
  })

/** A literal of `values`, or the last of them for a word that a newer script may say. */
const oneOf = <const A extends string>(values: readonly [...Array<A>, A], word: string | undefined): A =>
  values.find((value) => value === word) ?? values[values.length - 1]!

const reasonOf = (failure: Refusal): BootstrapReason | undefined => {
  const { detail = "", log = "", path = "" } = failure
  switch (failure._tag) {
    case "OpencodeNotFound":
      return new OpencodeNotFound({ searched: failure.searched ?? [] })
    case "OpencodeUnusable":
      return new OpencodeUnusable({
        path,
        problem: oneOf(["architecture", "mode", "configuration", "crash"], failure.problem),
        detail
      })
    case "RemoteNotWritable":
      return new RemoteNotWritable({
        path,
        problem: oneOf(["full", "read-only", "unsafe", "denied"], failure.problem)
      })
    case "PortInUse":
      return failure.port === undefined ? undefined : new PortInUse({ port: failure.port })
    case "ServerExited":
      return new ServerExited({
        ...(failure.exitCode === undefined ? undefined : { exitCode: failure.exitCode }),
        log
      })
    case "StartTimedOut":
      return new StartTimedOut({ waited: failure.waited ?? 0, log })
    case "UnsupportedRemote":
      return new UnsupportedRemote({ detail })
    case "NotOurs":
      return new NotOurs({ detail })
    default:
      return undefined
  }
}

/** The error that an answer stands for; `undefined` for words that this client does not know. */
export const failureOf = (
  failure: Refusal,
  range: VersionRange | undefined
): BootstrapError | CompatibilityError | undefined => {
  if (failure._tag === "UnsupportedVersion") {
    const found = failure.found ?? ""
    const supported = range?.text ?? ""
    const reason = range === undefined ? undefined : incompatibility(found, range)
    return new CompatibilityError({ reason: reason ?? new UnsupportedVersion({ found, supported }) })
  }
  const reason = reasonOf(failure)
  return reason === undefined ? undefined : new BootstrapError({ reason })
}

/** How a command ended that owed an answer. `heard`: the script itself said something. */
export interface Silence {
  readonly exitCode: number
  readonly heard: boolean
  readonly output: string
}

/**
 * Why there is no answer. When the script never spoke, something else ran in
 * its place or nothing at all: a program that prints or fails is the server's
 * ForceCommand or a nologin shell, silence with exit code 0 a start-up file
 * that ends the session.
 */
export const unanswered = ({ exitCode, heard, output }: Silence): BootstrapReason => {
  if (heard) return new InvalidOutput({ exitCode, output })
  if (exitCode === 127 || /is not recognized|CommandNotFoundException/.test(output)) {
    return new UnsupportedRemote({ detail: `it has no POSIX shell (${output.trim()})` })
  }
  if (/syntax error|parse error/i.test(output)) {
    return new UnsupportedRemote({ detail: `its sh cannot read our script (${output.trim()})` })
  }
  return exitCode === 0 && output.trim() === ""
    ? new InvalidOutput({ exitCode, output })
    : new CommandRefused({ detail: output })
}
