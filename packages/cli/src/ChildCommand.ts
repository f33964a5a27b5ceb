/** `connect … -- CMD`: a program that runs while the connection is there. */
import type { ServerEndpoint } from "@opencode-ai/ssh-tunnel/Connections"
import { Effect, Fiber, Option, type PlatformError, Stdio, Stream } from "effect"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { variables } from "./EnvironmentCredentials.ts"
import * as ExitCode from "./ExitCode.ts"
import { Output } from "./Output.ts"
import * as Sanitize from "./Sanitize.ts"
import { killAfter, lastOutput } from "./Schedules.ts"
import { Signals } from "./Signals.ts"

/** How the platform reports a program that a signal ended: an error whose text names the signal. */
const signalOf = (error: PlatformError.PlatformError): string | undefined =>
  /receipt of signal: '(SIG[A-Z0-9]+)'/.exec(String(error.reason.cause))?.[1]

/**
 * Runs the program with our stdin, stdout and stderr, and with the server's
 * URL and credentials in its environment and nowhere else; returns its exit
 * code, 128 + n when a signal ended it, 127 or 126 when it could not be
 * started. Signals are passed on to it, and it decides what they mean.
 *
 * **Gotchas**
 *
 * With `stdoutToStderr` (stdout is NDJSON) its stdout is not a terminal.
 * On a terminal, Ctrl-C reaches the whole foreground process group, so the
 * program has it already: SIGINT is passed on only where there is no terminal.
 */
export const run = Effect.fn("ChildCommand.run")(
  function*(
    [program, ...words]: readonly [string, ...Array<string>],
    endpoint: ServerEndpoint,
    options: { readonly stdoutToStderr: boolean }
  ) {
    const spawner = yield* ChildProcessSpawner
    const stdio = yield* Stdio.Stdio
    const signals = yield* Signals
    const output = yield* Output
    const onTerminal = (yield* stdio.stdinIsTerminal) || (yield* stdio.stdoutIsTerminal) ||
      (yield* stdio.stderrIsTerminal)

    return yield* Effect.gen(function*() {
      const handle = yield* spawner.spawn(ChildProcess.make(program, words, {
        stdin: "inherit",
        stdout: options.stdoutToStderr ? "pipe" : "inherit",
        stderr: "inherit",
        // Our process group, so that it is in the terminal's foreground as we are.
        detached: false,
        forceKillAfter: killAfter,
        extendEnv: true,
        env: {
          [variables.url]: endpoint.url,
          // Undefined takes away what was meant for another server.
          [variables.username]: Option.getOrUndefined(endpoint.credentials)?.username,
          [variables.password]: Option.getOrUndefined(endpoint.credentials)?.password
        }
      }))
      const copying = yield* Effect.forkScoped(
        options.stdoutToStderr ? Effect.ignore(Stream.run(handle.stdout, stdio.stderr())) : Effect.void
      )
      yield* signals.next.pipe(
        Effect.flatMap((signal) =>
          signal === "SIGINT" && onTerminal
            ? Effect.void
            // `kill` waits for the exit, which other signals must not wait for.
            : Effect.forkScoped(Effect.ignore(handle.kill({ killSignal: signal })))
        ),
        Effect.forever,
        Effect.forkScoped
      )
      const code = yield* handle.exitCode.pipe(
        Effect.map(Number),
        Effect.catch((error) => {
          const signal = signalOf(error)
          return signal === undefined ? Effect.fail(error) : Effect.succeed(ExitCode.ofSignal(signal))
        })
      )
      // What it left running may hold the pipe for as long as it likes.
      yield* Effect.timeoutOption(Fiber.await(copying), lastOutput)
      return code
    }).pipe(
      Effect.scoped,
      Effect.catch((error) =>
        Effect.as(
          output.note(Sanitize.line(
            error.reason._tag === "NotFound" ? `${program}: command not found` : `${program}: ${error.message}`
          )),
          error.reason._tag === "NotFound" ? ExitCode.notFound : ExitCode.notExecutable
        )
      )
    )
  }
)
