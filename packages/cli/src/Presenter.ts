/** Where help and errors of usage go: what was asked for to stdout, everything else to stderr. */
import { Console, Context, Effect, Layer } from "effect"
import * as CliOutput from "effect/cli/CliOutput"
import type { HelpDoc } from "effect/cli/HelpDoc"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import { explainUsage } from "./Failure.ts"
import { Output } from "./Output.ts"
import { program } from "./Program.ts"

/** Annotates a command whose usage effect/cli cannot know: what stands behind `[flags]`. */
export class Operands extends Context.Reference<string>("@opencode-ai/ssh-cli/Presenter/Operands", {
  defaultValue: () => ""
}) {}

/** The help of a command with its annotated operands. */
export const withOperands = (doc: HelpDoc): HelpDoc => {
  const operands = Context.get(doc.annotations, Operands)
  return operands === "" ? doc : { ...doc, usage: `${doc.usage.slice(0, doc.usage.indexOf("[flags]"))}${operands}` }
}

/** `json`: stdout is kept for NDJSON, and errors of usage are told there (Failure). */
export const layer = (options: { readonly json: boolean }): Layer.Layer<never, never, Output> =>
  Layer.unwrap(Effect.map(Output, (output) => {
    const format = (doc: HelpDoc) =>
      Effect.map(
        TerminalCapabilities.TerminalCapabilities,
        ({ canColor }) =>
          CliOutput.defaultFormatter({ colors: canColor, globalFlags: "summary" }).formatHelpDoc(withOperands(doc))
      )
    return CliOutput.layerPresenter({
      present: (event) => {
        switch (event._tag) {
          case "Version":
            return Console.log(`${program} ${event.version}`)
          case "Help":
            return event.reason === "Requested"
              ? Effect.flatMap(format(event.helpDoc), Console.log)
              : options.json
              ? Effect.void
              : Effect.flatMap(format(event.helpDoc), Console.error)
          case "InvalidInvocation":
            return options.json
              ? Effect.void
              : explainUsage(event.errors.map((error) => error.message), event.commandPath.slice(1)).pipe(
                Effect.provideService(Output, output)
              )
        }
      }
    })
  }))
