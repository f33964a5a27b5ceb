/** How a failure is told: to a person in plain words with a command to paste, to a program as one line of JSON. */
import { type ConnectionError, isConnectionError } from "@opencode-ai/ssh-tunnel/ConnectionError"
import { shellLine } from "@opencode-ai/ssh-tunnel/Remedy"
import { Cause, Console, Effect } from "effect"
import type * as CliError from "effect/cli/CliError"
import type { Ended, UsageError } from "./CliFailure.ts"
import * as ExitCode from "./ExitCode.ts"
import * as JsonLines from "./JsonLines.ts"
import { Output } from "./Output.ts"
import { program } from "./Program.ts"
import * as Sanitize from "./Sanitize.ts"

/** What the last lines of a remote program's output are worth showing of. */
const tailLines = 12

/** The texts that a reason keeps for a person to look at: the remote log, what ssh or a command printed. */
export const details = (error: ConnectionError): ReadonlyArray<string> => {
  const reason = error.reason
  const text = "log" in reason
    ? reason.log
    : "output" in reason
    ? reason.output
    : "stderr" in reason
    ? reason.stderr
    : reason._tag === "OpencodeUnusable" || reason._tag === "CommandRefused"
    ? reason.detail
    : ""
  return Sanitize.lines(text).map((line) => line.trimEnd()).filter((line) => line !== "").slice(-tailLines)
}

/** Message, details, remedy, and the command on a line of its own, ready to be pasted. */
export const explain = Effect.fn("Failure.explain")(function*(error: ConnectionError) {
  const { note, paint } = yield* Output
  const { command, text } = error.remedy
  yield* note(`${paint("red", "error:")} ${Sanitize.line(error.message)}`)
  for (const line of details(error)) yield* note(paint("dim", `  | ${line}`))
  yield* note(Sanitize.line(text))
  if (command !== undefined) {
    yield* note("")
    yield* note(`  ${paint("bold", Sanitize.line(command))}`)
  }
})

const helpCommand = (path: ReadonlyArray<string>): string => shellLine([program, ...path, "--help"])

/** Tells a person what is wrong with the command line, and where the right form is explained. */
export const explainUsage = Effect.fn("Failure.explainUsage")(
  function*(messages: ReadonlyArray<string>, path: ReadonlyArray<string>) {
    const { note, paint } = yield* Output
    for (const message of messages) {
      for (const line of Sanitize.lines(message)) yield* note(`${paint("red", "error:")} ${line}`)
    }
    yield* note(`See ${helpCommand(path)}`)
  }
)

const printUsageJson = (message: string, reason: string, path: ReadonlyArray<string>) =>
  Effect.flatMap(JsonLines.now, (at) =>
    JsonLines.print({
      type: "error",
      at,
      error: {
        _tag: "UsageError",
        reason: { _tag: reason },
        message,
        retryable: false,
        remedy: { text: "The command's help explains its options.", command: helpCommand(path) }
      }
    }))

/** Everything that running a command may fail with. */
export type Failure = ConnectionError | UsageError | Ended | CliError.CliError

/** Tells a failure, in the form that was asked for, and returns the exit code. */
export const report = Effect.fn("Failure.report")(function*(failure: Failure, options: { readonly json: boolean }) {
  if (failure._tag === "Ended") return failure.exitCode
  if (isConnectionError(failure)) {
    if (options.json) {
      yield* JsonLines.print({ type: "error", at: yield* JsonLines.now, error: JsonLines.errorJson(failure) })
    } else {
      yield* explain(failure)
    }
    return ExitCode.ofError(failure)
  }
  // The presenter has shown a person what effect/cli found wrong; programs have not been told yet.
  const [messages, reason, path] = failure._tag === "ShowHelp"
    ? [
      failure.errors.length === 0 ? ["A command is missing"] : failure.errors.map((error) => error.message),
      failure.errors[0]?._tag ?? "MissingSubcommand",
      failure.commandPath.slice(1)
    ] as const
    : [[failure.message], failure._tag, failure._tag === "UsageError" ? failure.help ?? [] : []] as const
  if (options.json) yield* printUsageJson(messages.join("\n"), reason, path)
  else if (failure._tag !== "ShowHelp") yield* explainUsage(messages, path)
  return ExitCode.usage
})

/** Tells about a defect of ours, on stderr; stdout stays what it is. */
export const reportDefect = (cause: Cause.Cause<unknown>): Effect.Effect<number> =>
  Effect.as(Console.error(`${program}: unexpected error\n${Cause.pretty(cause)}`), ExitCode.unexpected)
