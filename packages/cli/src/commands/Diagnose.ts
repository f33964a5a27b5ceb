/** `opencode-ssh diagnose`: a report that holds no secret, for whoever is to find the fault. */
import { Connections } from "@opencode-ai/ssh-tunnel/Connections"
import { toMarkdown } from "@opencode-ai/ssh-tunnel/DiagnosticReport"
import { Diagnostics } from "@opencode-ai/ssh-tunnel/Diagnostics"
import { Effect, HashMap, Option, Stream } from "effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { Ended } from "../CliFailure.ts"
import { Engine } from "../Engine.ts"
import { environmentCredentials } from "../EnvironmentCredentials.ts"
import * as ExitCode from "../ExitCode.ts"
import * as JsonLines from "../JsonLines.ts"
import { Output } from "../Output.ts"
import { Operands } from "../Presenter.ts"
import * as ProfileFlags from "../ProfileFlags.ts"
import * as Sanitize from "../Sanitize.ts"
import { insist, Signals } from "../Signals.ts"
import * as StateText from "../StateText.ts"
import * as Target from "../Target.ts"
import { destination, json } from "./shared.ts"

/**
 * Connects as `connect --once` would, and makes the report while the connection
 * is as it has become. A signal ends the attempt, and the report tells how far
 * it came.
 */
const examine = Effect.fn("diagnose.examine")(function*(target: Target.Target, pseudonyms: boolean) {
  const connections = yield* Connections
  const diagnostics = yield* Diagnostics
  const signals = yield* Signals
  const output = yield* Output
  const { label, profile } = target
  yield* connections.states.pipe(
    Stream.map(HashMap.get(profile.id)),
    Stream.runForEach((state) =>
      Option.isSome(state) ? output.status(StateText.ofState(state.value, label)) : Effect.void
    ),
    Effect.forkScoped
  )
  yield* connections.connect(profile.id, { origin: "user" })
  const end = yield* Effect.raceFirst(
    Effect.map(Effect.result(connections.settled(profile.id)), () => Option.none()),
    Effect.asSome(signals.next)
  )
  // A second signal ends the process at once.
  if (Option.isSome(end)) yield* Effect.forkScoped(insist(signals))
  const report = yield* diagnostics.report(profile, { pseudonyms })
  yield* connections.disconnect(profile.id)
  yield* output.status("")
  return { report, signal: end }
}, Effect.scoped)

export const diagnose = Command.make(
  "diagnose",
  {
    destination,
    ...ProfileFlags.target,
    ...ProfileFlags.server,
    noPseudonyms: Flag.Boolean("no-pseudonyms").pipe(
      Flag.withDescription("Show people and places as they are; secrets stay hidden"),
      Flag.withDefault(false),
      Flag.withoutNegation
    ),
    json
  },
  Effect.fn("diagnose")(function*(given) {
    const engine = yield* Engine
    const output = yield* Output
    const target = yield* Effect.provide(Target.resolve(given.destination, given), engine.profiles)
    const credentials = yield* environmentCredentials(target.profile)
    const { report, signal } = yield* examine(target, !given.noPseudonyms).pipe(
      Effect.provide(engine.connections(target.profile, credentials))
    )
    if (given.json) {
      yield* JsonLines.print({
        type: "report",
        at: yield* JsonLines.now,
        profile: target.label,
        report: JsonLines.reportJson(report)
      })
    } else {
      yield* output.result(toMarkdown(report).trimEnd())
      const [error] = report.state === "Failed" ? report.errors : []
      if (error !== undefined) yield* output.note(`The connection failed: ${Sanitize.line(error.message)}`)
      yield* output.note("Read the report before you send it: only secrets that can be recognised are hidden.")
    }
    if (Option.isSome(signal)) return yield* new Ended({ exitCode: ExitCode.ofSignal(signal.value) })
  })
).pipe(
  Command.withShortDescription("Write a report about a connection, without secrets, to send to somebody"),
  Command.withDescription(
    "Connect once, and write a report about it as Markdown: versions, settings, what happened when, what ssh and the remote machine said, and what to do. Secrets are hidden; people and places get other names. The exit code is 0 when there is a report, also about a connection that failed."
  ),
  Command.annotate(Operands, "<profile|destination> [flags]"),
  Command.withExamples([
    { command: "opencode-ssh diagnose work > report.md", description: "A report to paste into an issue" }
  ])
)
