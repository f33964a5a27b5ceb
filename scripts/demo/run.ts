/** The demo itself: makes or names a remote machine, connects, shows what came of it, ends it all, and looks for leftovers. */
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { isConnectionError } from "@opencode-ai/ssh-tunnel/ConnectionError"
import { SshCommandLineRefused } from "@opencode-ai/ssh-tunnel/SshCommandLine"
import { Cause, Deferred, Duration, Effect, Exit, Logger, Ref, References } from "effect"
import * as ExitCode from "../../packages/cli/src/ExitCode.ts"
import * as Failure from "../../packages/cli/src/Failure.ts"
import { Output } from "../../packages/cli/src/Output.ts"
import { exit, layerSignals } from "../../packages/cli/src/Process.ts"
import * as Sanitize from "../../packages/cli/src/Sanitize.ts"
import { Signals } from "../../packages/cli/src/Signals.ts"
import type { Options } from "./options.ts"
import * as Remote from "./remote.ts"
import { missing } from "./requirements.ts"
import * as Screen from "./screen.ts"
import * as Traces from "./traces.ts"
import { Quit, visit } from "./visit.ts"

/** After a signal everything is gone within this time, or the demo gives up: a second signal changes nothing. */
const endWithin = Duration.seconds(30)

/** Tells a failure as the command line does, and returns its exit code. */
const explain = Effect.fnUntraced(function*(screen: Screen.Screen, error: unknown) {
  if (isConnectionError(error)) {
    yield* Failure.explain(error).pipe(Effect.provideService(Output, Screen.output(screen)))
    return ExitCode.ofError(error)
  }
  const problem = error instanceof Error ? error.message : String(error)
  screen.line(`${screen.paint("red", "error:")} ${Sanitize.lines(problem).join("\n  ")}`)
  return error instanceof SshCommandLineRefused ? ExitCode.usage : ExitCode.unexpected
})

/** Makes the remote machine, visits it, and ends both; returns the exit code. */
const story = Effect.fnUntraced(
  function*(options: Options, screen: Screen.Screen, quit: Effect.Effect<never, Quit>, traces: Ref.Ref<Traces.Traces>) {
    const begun = performance.now()
    const remote = yield* options.host.length > 0
      ? Remote.own(options)
      : Effect.raceFirst(Remote.embedded, quit)
    if (remote.isOurs) {
      screen.line(screen.paint("dim", `It is ready after ${((performance.now() - begun) / 1000).toFixed(1)} s.`))
    }
    screen.line()
    return yield* visit({ remote, screen, quit, traces, once: options.once })
  },
  Effect.scoped
)

const lookBack = Effect.fnUntraced(function*({ line, paint }: Screen.Screen, traces: Traces.Traces) {
  const left = yield* Traces.leftovers(traces)
  line()
  if (left.length === 0) {
    line(`${paint("green", "✓")} Nothing is left on this computer: no process, no port, no temp file.`)
    return true
  }
  line(`${paint("red", "✗")} Left on this computer, and removed now:`)
  for (const each of left) line(`  ${Sanitize.line(each)}`)
  return false
})

const demo = Effect.fnUntraced(function*(options: Options, screen: Screen.Screen) {
  const lacking = options.host.length > 0 ? undefined : missing({
    platform: process.platform,
    arch: process.arch,
    sshd: Sshd.available,
    opencode: Opencode.available
  })
  if (lacking !== undefined) {
    screen.line(`${screen.paint("red", "error:")} ${lacking}`)
    return ExitCode.unexpected
  }
  const signals = yield* Signals
  const traces = yield* Ref.make(yield* Traces.begin)
  const signalled = yield* Deferred.make<never, Quit>()
  yield* signals.next.pipe(
    Effect.tap(() => Effect.sync(() => setTimeout(() => process.exit(1), Duration.toMillis(endWithin)).unref())),
    Effect.flatMap((signal) => Deferred.fail(signalled, new Quit({ signal }))),
    Effect.forkScoped
  )
  const outcome = yield* Effect.exit(story(options, screen, Deferred.await(signalled), traces))
  const code = yield* Exit.match(outcome, {
    onSuccess: (code) => Effect.succeed(code),
    onFailure: (cause) => {
      const error = Cause.squash(cause)
      return error instanceof Quit ? Effect.succeed(ExitCode.ofSignal(error.signal)) : explain(screen, error)
    }
  })
  return (yield* lookBack(screen, yield* Ref.get(traces))) ? code : ExitCode.unexpected
}, Effect.scoped)

/** Runs the demo and ends the process. */
export const run = (options: Options): void => {
  const screen = Screen.make(process.stdout, process.env)
  Effect.runFork(
    demo(options, screen).pipe(
      Effect.provide(layerSignals),
      Effect.provideService(Logger.CurrentLoggers, new Set([Logger.withConsoleError(Logger.formatLogFmt)])),
      Effect.provideService(References.MinimumLogLevel, "Warn"),
      Effect.flatMap(exit)
    )
  )
}
