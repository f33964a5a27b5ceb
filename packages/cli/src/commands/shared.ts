/** What several commands take, and do. */
import { SshConfig } from "@opencode-ai/ssh-tunnel/SshConfig"
import { Effect, Option } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import { Ended } from "../CliFailure.ts"
import { Engine } from "../Engine.ts"
import * as ExitCode from "../ExitCode.ts"
import { untilSignal } from "../Signals.ts"

/** `<profile|destination>` */
export const destination = Argument.String("destination").pipe(
  Argument.withMetavar("profile|destination"),
  Argument.withDescription(
    "A saved profile's name or id, else [user@]host[:port]; ssh://[user@]host[:port] is never taken for a profile"
  )
)

/** `<profile>` */
export const profile = Argument.String("profile").pipe(
  Argument.withDescription("A saved profile's name or id")
)

/** `--json` */
export const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Print one JSON object a line to stdout"),
  Flag.withDefault(false),
  Flag.withoutNegation
)

/** Lets a signal end a command's work, cleanly, with the exit code 128 + n. */
export const interruptible = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  untilSignal(work, (signal) => Effect.fail(new Ended({ exitCode: ExitCode.ofSignal(signal) })))

/** The Host names of the user's ssh config, or of another one. */
export const configuredHosts = Effect.fn("configuredHosts")(function*(file: Option.Option<string>) {
  const engine = yield* Engine
  return yield* SshConfig.use((config) => config.hosts(Option.isSome(file) ? { file: file.value } : {})).pipe(
    Effect.provide(engine.sshConfig)
  )
})
