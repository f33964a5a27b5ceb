/**
 * `--json`: stdout is NDJSON, one object a line, and nothing else. The shapes
 * are stable; new fields may be added, so readers ignore what they don't know.
 */
import type { RemoteServer } from "@opencode-ai/ssh-tunnel/Bootstrap"
import { type ConnectionError, describe } from "@opencode-ai/ssh-tunnel/ConnectionError"
import { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { Port } from "@opencode-ai/ssh-tunnel/Destination"
import { DiagnosticReport } from "@opencode-ai/ssh-tunnel/DiagnosticReport"
import { type DoctorStep, StepId, StepStatus } from "@opencode-ai/ssh-tunnel/DoctorStep"
import { Lifetime, Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { Console, DateTime, Effect, Schema } from "effect"

/** An instant as ISO 8601 text in UTC. */
const Instant = Schema.String

/** An error: its wire form and the texts that it derives. `reason` has more fields than its tag, by its kind. */
export const ErrorJson = Schema.Struct({
  _tag: Schema.String,
  reason: Schema.StructWithRest(Schema.Struct({ _tag: Schema.String }), [Schema.Record(Schema.String, Schema.Json)]),
  message: Schema.String,
  retryable: Schema.Boolean,
  remedy: Schema.Struct({ text: Schema.String, command: Schema.optionalKey(Schema.String) })
})
export type ErrorJson = typeof ErrorJson.Type

/** A state by its `_tag` with the fields that design and ConnectionState give it; an `error` is an {@link ErrorJson}. */
const StateJson = Schema.StructWithRest(
  Schema.Struct({ _tag: Schema.String, error: Schema.optionalKey(ErrorJson) }),
  [Schema.Record(Schema.String, Schema.Json)]
)

/** `connect`: a state, as it happens. `profile` is the profile's name, or the destination as it was given. */
export const StateLine = Schema.Struct({
  type: Schema.tag("state"),
  at: Instant,
  profile: Schema.String,
  state: StateJson
})

/** Any command: it failed before, or without, a state that could say so. Always the last line. */
export const ErrorLine = Schema.Struct({
  type: Schema.tag("error"),
  at: Instant,
  error: ErrorJson
})

/** `profiles list|show|add|edit|remove|import`: one profile, for `remove` as it was. */
export const ProfileLine = Schema.Struct({
  type: Schema.tag("profile"),
  profile: Profile
})

/** `hosts`: one Host name of the ssh config, and where it was first named. */
export const HostLine = Schema.Struct({
  type: Schema.tag("host"),
  host: Schema.String,
  file: Schema.String,
  line: Schema.Int
})

/** A server that bootstrap registered. Its password is never shown. */
const ServerJson = Schema.Struct({
  port: Port,
  pid: Schema.Int,
  version: Schema.String,
  owner: Schema.Literals(["ours", "opencode"]),
  lifetime: Lifetime,
  startedAt: Schema.optionalKey(Instant),
  logFile: Schema.optionalKey(Schema.String)
})

/** `server status`: the server, `null` when none runs; `server stop`: the server that was stopped. */
export const ServerLine = Schema.Struct({
  type: Schema.tag("server"),
  at: Instant,
  profile: Schema.String,
  status: Schema.Literals(["running", "stopped", "none"]),
  server: Schema.NullOr(ServerJson)
})

/** `server log`: one line of the server's log. */
export const LogLine = Schema.Struct({
  type: Schema.tag("log"),
  profile: Schema.String,
  line: Schema.String
})

const StepJson = Schema.Struct({
  id: StepId,
  title: Schema.String,
  status: StepStatus,
  detail: Schema.String,
  durationMs: Schema.Int,
  error: Schema.optionalKey(ErrorJson)
})

/** `doctor`: a step, as soon as it is decided. */
export const StepLine = Schema.Struct({
  type: Schema.tag("step"),
  at: Instant,
  profile: Schema.String,
  step: StepJson
})

/** `doctor`: the last line, when every step was told. `failed` and `error` are those of the first step that failed. */
export const ExaminationLine = Schema.Struct({
  type: Schema.tag("examination"),
  at: Instant,
  profile: Schema.String,
  status: Schema.Literals(["ok", "failed"]),
  warnings: Schema.Int,
  durationMs: Schema.Int,
  failed: Schema.NullOr(StepId),
  error: Schema.optionalKey(ErrorJson)
})

/** `diagnose`: the report, as DiagnosticReport has it. */
export const ReportLine = Schema.Struct({
  type: Schema.tag("report"),
  at: Instant,
  profile: Schema.String,
  report: Schema.Record(Schema.String, Schema.Json)
})

/** Every line that `--json` may print. */
export const Line = Schema.Union([
  StateLine,
  ErrorLine,
  ProfileLine,
  HostLine,
  ServerLine,
  LogLine,
  StepLine,
  ExaminationLine,
  ReportLine
])
export type Line = typeof Line.Type

const encode = Schema.encodeSync(Line)

/** The line's text, without its end. */
export const format = (line: Line): string => JSON.stringify(encode(line))

/** Prints one line to stdout. */
export const print = (line: Line): Effect.Effect<void> => Console.log(format(line))

/** Now, in the form of the lines. */
export const now: Effect.Effect<string> = Effect.map(DateTime.now, DateTime.formatIso)

const toJson = (value: unknown): Schema.Json => JSON.parse(JSON.stringify(value)) as Schema.Json

/** An error in the form of the lines. */
export const errorJson = (error: ConnectionError): ErrorJson => toJson(describe(error)) as unknown as ErrorJson

const encodeState = Schema.encodeSync(ConnectionState)

/** A state in the form of the lines: as its schema encodes it, errors with their derived texts. */
export const stateJson = (state: ConnectionState): (typeof StateLine.Type)["state"] => ({
  ...toJson(encodeState(state)) as Record<string, Schema.Json> & { readonly _tag: string },
  ...("error" in state ? { error: errorJson(state.error) } : undefined)
})

/** A step of an examination in the form of the lines. */
export const stepJson = ({ error, ...step }: DoctorStep): typeof StepJson.Type => ({
  id: step.id,
  title: step.title,
  status: step.status,
  detail: step.detail,
  durationMs: step.durationMs,
  ...(error === undefined ? undefined : { error: errorJson(error) })
})

const encodeReport = Schema.encodeSync(DiagnosticReport)

/** A report in the form of the lines. */
export const reportJson = (report: DiagnosticReport): (typeof ReportLine.Type)["report"] =>
  toJson(encodeReport(report)) as Record<string, Schema.Json>

/** What may be told about a remote server. */
export const serverJson = (server: RemoteServer): typeof ServerJson.Type => ({
  port: server.port,
  pid: server.pid,
  version: server.version,
  owner: server.owner,
  lifetime: server.lifetime,
  ...(server.startedAt === undefined ? undefined : { startedAt: server.startedAt }),
  ...(server.logFile === undefined ? undefined : { logFile: server.logFile })
})
