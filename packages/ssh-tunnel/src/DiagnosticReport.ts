/**
 * A report on one connection, to paste into an issue. It holds no secret:
 * everything in it went through `Redaction`, and every text of a stranger was
 * made visible (control, direction and invisible characters as `<U+001B>`).
 */
import { Schema } from "effect"
import * as Markdown from "./internal/reportMarkdown.ts"

const Text = Schema.String
const Instant = Schema.String.check(
  Schema.isPattern(/^[+-]?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, { expected: "an instant" })
)
const StateName = Schema.Literals([
  "Disconnected",
  "Connecting",
  "Discovering",
  "Bootstrapping",
  "Connected",
  "Reconnecting",
  "Failed",
  "Disconnecting"
])
const Millis = Schema.Finite

/** A keyword of `ssh -G` and its value. */
const Parameter = Schema.Struct({ keyword: Text, value: Text })

/** An error, its reason's fields, and what a person can do. `count`: how often it was seen. */
export const ReportedError = Schema.Struct({
  class: Text,
  reason: Text,
  message: Text,
  retryable: Schema.Boolean,
  remedy: Schema.Struct({ text: Text, command: Schema.optionalKey(Text) }),
  details: Schema.Array(Schema.Struct({ name: Text, value: Text })),
  at: Instant,
  count: Schema.Int
})

/** What one process printed: its end. `cut`: there was more before. */
export const ReportedOutput = Schema.Struct({ at: Instant, cut: Schema.Boolean, text: Text })

/**
 * See the module. Instants are ISO 8601, durations milliseconds. At most
 * 128 KiB, as Markdown and as JSON.
 *
 * **Gotchas**
 *
 * The fields are for machines to read again; only additions change `format`'s
 * meaning, anything else its number.
 */
export class DiagnosticReport extends Schema.Class<DiagnosticReport>("@opencode-ai/ssh-tunnel/DiagnosticReport")({
  format: Schema.Literal(1),
  at: Instant,
  /** Whether people and places are shown as `user-1`, `host-1`, `ip-1`, `~`. */
  pseudonyms: Schema.Boolean,
  versions: Schema.Struct({
    /** The application that uses this library. */
    application: Text,
    runtime: Text,
    system: Text,
    /** The answer of `ssh -V`, or why there is none. */
    ssh: Text
  }),
  /** The profile's settings, as far as they are set. */
  profile: Schema.Array(Schema.Struct({ name: Text, value: Text })),
  strategy: Schema.Struct({
    asked: Schema.Literals(["auto", "master", "plain"]),
    /** What the last connection used. */
    used: Schema.optionalKey(Schema.Literals(["master", "plain"]))
  }),
  /** The last state; `Disconnected` for a profile that never connected. */
  state: StateName,
  /** The last error first; the others are different ones, of the same run of the application. */
  errors: Schema.Array(ReportedError),
  /** What a person could type to get the same forward. */
  command: Text,
  /** `ssh -G`, an allow-list of keywords; `problem` says why there is no answer. */
  parameters: Schema.Struct({ values: Schema.Array(Parameter), problem: Schema.optionalKey(Text) }),
  timeline: Schema.Struct({
    /** How many earlier states are left out. */
    omitted: Schema.Int,
    states: Schema.Array(Schema.Struct({ at: Instant, state: StateName, detail: Text, lasted: Millis }))
  }),
  probes: Schema.Array(Schema.Struct({ at: Instant, remotePort: Schema.Int, path: Text, answer: Text })),
  bootstrap: Schema.Struct({
    enabled: Schema.Boolean,
    /** Each `opencode` that was found on the remote machine. */
    candidates: Schema.Array(Schema.Struct({ at: Instant, path: Text, version: Text }))
  }),
  /** The last 16 KiB of each, by process. */
  output: Schema.Struct({
    ssh: Schema.Array(ReportedOutput),
    remoteStdout: Schema.Array(ReportedOutput),
    remoteStderr: Schema.Array(ReportedOutput)
  })
}) {}

/** The report as GitHub-flavoured Markdown. All that is not ours stands in fenced code blocks. */
export const toMarkdown = (report: DiagnosticReport): string => Markdown.render(report)

const encode = Schema.encodeSync(Schema.fromJsonString(DiagnosticReport))

/** The report as one line of JSON. */
export const toJson = (report: DiagnosticReport): string => encode(report)
