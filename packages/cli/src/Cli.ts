/** The tree of commands, and how a command line becomes an exit code. */
import { Cause, Effect, Layer, Stdio } from "effect"
import * as CliConfig from "effect/cli/CliConfig"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import { completions } from "./commands/Completions.ts"
import { connect } from "./commands/Connect.ts"
import { diagnose } from "./commands/Diagnose.ts"
import { doctor } from "./commands/Doctor.ts"
import { help, type Tree } from "./commands/Help.ts"
import { hosts } from "./commands/Hosts.ts"
import { profiles } from "./commands/Profiles.ts"
import { server } from "./commands/Server.ts"
import * as ExitCode from "./ExitCode.ts"
import * as Failure from "./Failure.ts"
import * as Presenter from "./Presenter.ts"
import { program } from "./Program.ts"
import { version } from "./Version.ts"

/** Every command. */
export const root = Command.make(program).pipe(
  Command.withDescription(
    "Use an OpenCode server on another machine as if it ran here: over your own ssh, with its config and its keys."
  ),
  Command.withSubcommands([
    connect,
    doctor,
    diagnose,
    hosts,
    profiles,
    server,
    completions((): Command.Command.Any => root),
    // `--help` runs no command, so that what the commands need does not matter.
    help((): Tree => root as unknown as Tree)
  ])
)

/** The options that every command has. The wizard is left out: it would ask, and scripts could hang on it. */
export const layerConfig: Layer.Layer<never> = CliConfig.layer({
  builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel]
})

/** Whether programs read stdout, also when the command line is wrong. What stands behind `--` is somebody else's. */
export const wantsJson = (args: ReadonlyArray<string>): boolean => {
  const dashes = args.indexOf("--")
  return args.slice(0, dashes === -1 ? undefined : dashes).some((arg) => arg === "--json" || arg === "--json=true")
}

/** Runs the command line of `Stdio` and returns the exit code; every failure has been told then. */
export const run = Effect.gen(function*() {
  const args = yield* (yield* Stdio.Stdio).args
  const json = wantsJson(args)
  return yield* Command.run(root, { version }).pipe(
    Effect.as(ExitCode.ok),
    Effect.catch((failure) => Failure.report(failure, { json })),
    Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Failure.reportDefect(cause)),
    Effect.provide(Layer.merge(Presenter.layer({ json }), layerConfig))
  )
})
