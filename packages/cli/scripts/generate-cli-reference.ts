/**
 * Writes docs/cli.md from the tree of commands, so that it says what the program does.
 *
 *     node packages/cli/scripts/generate-cli-reference.ts           writes the page
 *     node packages/cli/scripts/generate-cli-reference.ts --check   exits 1 if it is stale
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, Option, Ref } from "effect"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import type { FlagDoc, HelpDoc } from "effect/cli/HelpDoc"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { layerConfig, root } from "../src/Cli.ts"
import type { Tree } from "../src/commands/Help.ts"
import * as ExitCode from "../src/ExitCode.ts"
import { withOperands } from "../src/Presenter.ts"
import { version } from "../src/Version.ts"

/** Where the page is. */
export const target = Path.join(import.meta.dirname, "..", "..", "..", "docs", "cli.md")

/** The paths of all commands that do something, in the order of the tree. */
const leaves = (
  command: Command.Command.Any,
  path: ReadonlyArray<string> = []
): ReadonlyArray<ReadonlyArray<string>> => {
  const below = command.subcommands.flatMap(({ commands }) => commands)
  return below.length === 0 ? [path] : below.flatMap((each) => leaves(each, [...path, each.name]))
}

/** What `--help` would show for a command. */
const docOf = Effect.fnUntraced(function*(path: ReadonlyArray<string>) {
  const shown = yield* Ref.make(Option.none<HelpDoc>())
  const presenter = CliOutput.layerPresenter({
    present: (event) => event._tag === "Help" ? Ref.set(shown, Option.some(withOperands(event.helpDoc))) : Effect.void
  })
  // `--help` runs no command, so that what the commands need does not matter.
  yield* Command.runWith(root as unknown as Tree, { version })([...path, "--help"]).pipe(
    Effect.provide(Layer.merge(presenter, layerConfig))
  )
  return Option.getOrThrow(yield* Ref.get(shown))
})

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ").replaceAll("<", "&lt;")

const code = (text: string): string => `\`${text.replaceAll("|", "\\|")}\``

const table = (heading: readonly [string, string], rows: ReadonlyArray<readonly [string, string]>): string =>
  [heading, ["---", "---"] as const, ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n")

const flagRow = (flag: FlagDoc): readonly [string, string] => {
  const names = [...flag.aliases, `--${flag.name}`].join(", ")
  const value = flag.type === "boolean" ? "" : ` ${flag.type}`
  const text = Option.getOrElse(flag.description, () => "")
  return [code(`${names}${value}`), cell(flag.required ? `${text} (required)` : text)]
}

const section = (path: ReadonlyArray<string>, doc: HelpDoc): string =>
  [
    `### ${path.join(" ")}`,
    `${doc.description.replace(/\.$/, "")}.`,
    `\`\`\`text\n${doc.usage}\n\`\`\``,
    ...(doc.args === undefined ? [] : [table(
      ["Argument", "Meaning"],
      doc.args.map((arg) => [code(arg.name), cell(Option.getOrElse(arg.description, () => ""))])
    )]),
    ...(doc.flags.length === 0 ? [] : [table(["Option", "Meaning"], doc.flags.map(flagRow))]),
    ...(doc.examples ?? []).map(({ command, description }) =>
      `${description === undefined ? "" : `${description}:\n\n`}\`\`\`sh\n${command}\n\`\`\``
    )
  ].join("\n\n")

const exitCodes: ReadonlyArray<readonly [string, string]> = [
  [
    String(ExitCode.ok),
    "Done. For `connect`: a clean end by Ctrl-C, SIGTERM or SIGHUP, or `--once` and connected. For `doctor`: no step has failed; warnings do not count. For `diagnose`: there is a report, also of a connection that failed"
  ],
  [String(ExitCode.unexpected), "A fault of the program itself"],
  [String(ExitCode.usage), "Wrong usage"],
  ["10", "`ConfigurationError`: something on this machine is set up in a way that cannot work"],
  ["11", "`TransportError`: ssh could not make the connection"],
  ["12", "`DiscoveryError`: no OpenCode server was found behind it"],
  ["13", "`BootstrapError`: the server could not be started, stopped or looked at"],
  ["14", "`CompatibilityError`: the server's version is not supported"],
  [`${ExitCode.notExecutable}, ${ExitCode.notFound}`, "`-- CMD` cannot be run, or does not exist"],
  [
    "128 + n",
    "Signal n ended the command, or `connect --once` or `-- CMD` before there was a connection. `diagnose` prints its report all the same"
  ]
]

const variables: ReadonlyArray<readonly [string, string]> = [
  [
    "`OPENCODE_SERVER_PASSWORD`",
    "Password of a server that bootstrap did not start. There is no option for it: arguments can be seen by others"
  ],
  [
    "`OPENCODE_SERVER_USERNAME`",
    "Its user name, unless `--username` or the profile says otherwise; `opencode` when nothing does"
  ],
  ["`OPENCODE_SSH_BINARY`", "Another ssh program"],
  ["`OPENCODE_SSH_DATA_DIR`", "Another directory for profiles and remembered ports"],
  [
    "`BROWSER`",
    "Commands for `--open`, separated by colons, tried in order; `%s` stands for the URL; `none` opens nothing"
  ],
  ["`NO_COLOR`", "Any value: no colours"]
]

/** The page as it should be. */
export const generate: Effect.Effect<string> = Effect.gen(function*() {
  const sections = yield* Effect.forEach(leaves(root), (path) => Effect.map(docOf(path), (doc) => section(path, doc)))
  const top = yield* docOf([])
  return `${
    [
      "<!-- Generated by packages/cli/scripts/generate-cli-reference.ts. Do not edit. -->",
      "# Command line",
      top.description,
      "Results go to stdout, everything about how they come about goes to stderr.",
      "## Commands",
      ...sections,
      "### Everywhere",
      table(["Option", "Meaning"], (top.globalFlags ?? []).map(flagRow)),
      "## Exit codes",
      table(["Code", "Meaning"], exitCodes),
      "## Environment",
      table(["Variable", "Meaning"], variables),
      jsonText
    ].join("\n\n")
  }\n`
}).pipe(Effect.provide(NodeServices.layer), Effect.orDie)

const jsonText = `## \`--json\`

stdout is NDJSON: one object a line, and nothing else, whatever happens. Readers ignore fields and types that they do not
know. With \`connect --json -- CMD\`, the output of CMD goes to stderr.

| Line | Printed by |
| --- | --- |
| \`{"type":"state","at","profile","state":{"_tag",…}}\` | \`connect\`, for each state as it happens. \`profile\` is the profile's name, or the destination as it was given |
| \`{"type":"error","at","error"}\` | any command that fails before, or without, a state that says so; always the last line |
| \`{"type":"profile","profile":{"id","name","host",…}}\` | \`profiles list\`, \`show\`, \`add\`, \`edit\`, \`remove\`, \`import\` |
| \`{"type":"host","host","file","line"}\` | \`hosts\` |
| \`{"type":"server","at","profile","status","server"}\` | \`server status\` (\`running\`, \`none\`) and \`stop\` (\`stopped\`); \`server\` is \`null\` when there is none |
| \`{"type":"log","profile","line"}\` | \`server log\` |
| \`{"type":"step","at","profile","step":{"id","title","status","detail","durationMs","error"?}}\` | \`doctor\`, for each step as soon as it is decided. \`status\` is \`ok\`, \`failed\`, \`warning\` or \`skipped\` |
| \`{"type":"examination","at","profile","status","warnings","durationMs","failed","error"?}\` | \`doctor\`, at last: \`status\` is \`ok\` or \`failed\`, \`failed\` the id of the first step that failed or \`null\`, and \`error\` its error |
| \`{"type":"report","at","profile","report":{"format",…}}\` | \`diagnose\`: the report, with the fields of DiagnosticReport |

An error, also in the states \`Failed\` and \`Reconnecting\`, is
\`{"_tag","reason":{"_tag",…},"message","retryable","remedy":{"text","command"?}}\`; wrong usage has the \`_tag\` \`UsageError\`.
Times are ISO 8601.`

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = await Effect.runPromise(generate)
  if (process.argv.includes("--check")) {
    const isFresh = Fs.existsSync(target) && Fs.readFileSync(target, "utf8") === text
    if (!isFresh) {
      process.stderr.write("docs/cli.md is stale: run node packages/cli/scripts/generate-cli-reference.ts\n")
    }
    process.exitCode = isFresh ? 0 : 1
  } else {
    Fs.mkdirSync(Path.dirname(target), { recursive: true })
    Fs.writeFileSync(target, text)
  }
}
