/**
 * Markdown of a report. Only our own words stand outside of fenced code blocks,
 * and a fence is longer than any run of backticks in its block (CommonMark
 * §4.5), so nothing in a block can end it.
 */
import type { DiagnosticReport } from "../DiagnosticReport.ts"
import { span } from "./timeline.ts"

/** The data of the report, without the class, which needs this module. */
type Data = Omit<DiagnosticReport, never>

const fenced = (text: string): string => {
  const longest = Math.max(0, ...Array.from(text.matchAll(/`+/g), ([ticks]) => ticks.length))
  const fence = "`".repeat(Math.max(3, longest + 1))
  return `${fence}text\n${text.replace(/\n+$/, "")}\n${fence}`
}

/** Two columns. */
const table = (rows: ReadonlyArray<readonly [name: string, value: string]>): string => {
  const width = Math.max(0, ...rows.map(([name]) => Math.min(name.length, 32)))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`.trimEnd()).join("\n")
}

const orNone = (lines: ReadonlyArray<string>, none: string): string =>
  lines.length === 0 ? none : fenced(lines.join("\n"))

/** Values of more than one line stand below their name. */
const field = (name: string, value: string): string =>
  value.includes("\n") ? `${name}:\n${value.replace(/\n+$/, "").replace(/^/gm, "  ")}` : `${name}: ${value}`

const error = (
  { at, class: tag, count, details, message, reason, remedy, retryable }: Data["errors"][number]
): string =>
  fenced([
    `${tag} / ${reason}`,
    message,
    "",
    `seen:      ${at}${count === 1 ? "" : `, ${count} times`}`,
    `retryable: ${retryable ? "yes" : "no"}`,
    `remedy:    ${remedy.text}`,
    ...(remedy.command === undefined ? [] : [`           ${remedy.command}`]),
    ...(details.length === 0 ? [] : ["", ...details.map(({ name, value }) => field(name, value))])
  ].join("\n"))

const output = (outputs: Data["output"]["ssh"], none: string): string =>
  outputs.length === 0 ?
    none :
    outputs.map(({ at, cut, text }) =>
      `Since ${at}${cut ? ", only the end" : ""}:\n\n${text === "" ? "Nothing was printed." : fenced(text)}`
    ).join("\n\n")

/** The sections in their fixed order; all are there, also when they are empty. */
const sections = (report: Data): ReadonlyArray<readonly [title: string, body: string]> => [
  [
    "Versions",
    fenced(table([
      ["application", report.versions.application],
      ["runtime", report.versions.runtime],
      ["system", report.versions.system],
      ["ssh", report.versions.ssh]
    ]))
  ],
  [
    "Connection",
    fenced(table([
      ["state", report.state],
      [
        "strategy",
        report.strategy.used === undefined
          ? `${report.strategy.asked} (never connected)`
          : `${report.strategy.used} (asked: ${report.strategy.asked})`
      ],
      ...report.profile.map(({ name, value }) => [name, value] as const)
    ]))
  ],
  ["Errors", report.errors.length === 0 ? "None was seen." : report.errors.map(error).join("\n\n")],
  ["Equivalent command", fenced(report.command)],
  [
    "Effective parameters",
    [
      ...(report.parameters.problem === undefined ? [] : [fenced(report.parameters.problem)]),
      orNone(
        report.parameters.values.length === 0
          ? []
          : [table(report.parameters.values.map(({ keyword, value }) => [keyword, value] as const))],
        "`ssh -G` gave none."
      )
    ].join("\n\n")
  ],
  [
    "Timeline",
    [
      ...(report.timeline.omitted === 0 ? [] : [`${report.timeline.omitted} earlier states are left out.`]),
      orNone(
        report.timeline.states.map(({ at, detail, lasted, state }) =>
          `${at}  ${span(lasted).padStart(12)}  ${state}${detail === "" ? "" : `: ${detail}`}`
        ),
        "It was never connected."
      )
    ].join("\n\n")
  ],
  [
    "Probes",
    orNone(
      report.probes.map(({ answer, at, path, remotePort }) => `${at}  port ${remotePort}  GET ${path}  ${answer}`),
      "No health endpoint has answered."
    )
  ],
  [
    "Bootstrap",
    orNone(
      report.bootstrap.candidates.map(({ at, path, version }) => `${at}  ${path}  ${version}`),
      report.bootstrap.enabled ? "It is allowed. No `opencode` was found so far." : "It is not allowed by the profile."
    )
  ],
  ["Output of ssh", output(report.output.ssh, "ssh was not started.")],
  ["Remote stdout", output(report.output.remoteStdout, "No remote command was run.")],
  ["Remote stderr", output(report.output.remoteStderr, "No remote command was run.")]
]

/** The whole document. */
export const render = (report: Data): string =>
  [
    "# Report on an SSH connection to OpenCode",
    `Made at ${report.at}. Secrets are replaced by \`<redacted>\`, ${
      report.pseudonyms
        ? "people and places by `user-1`, `host-1`, `ip-1` and `~`"
        : "people and places are shown"
    }; characters that cannot be seen are shown as \`<U+001B>\`.`,
    ...sections(report).map(([title, body]) => `## ${title}\n\n${body}`)
  ].join("\n\n") + "\n"
