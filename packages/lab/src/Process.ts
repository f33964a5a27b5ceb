import { Effect, type Scope } from "effect"
import * as ChildProcess from "node:child_process"
import { LabError } from "./LabError.ts"
import * as Log from "./Log.ts"
import * as Mark from "./Mark.ts"

/** How a process ended: an exit code, or the signal that killed it. */
export interface Exit {
  readonly code: number | undefined
  readonly signal: NodeJS.Signals | undefined
}

/** A process of a fixture: leader of its own session and process group, without a terminal. */
export interface Process {
  readonly pid: number
  readonly stdout: Log.Log
  readonly stderr: Log.Log
  /** Waits for its end. */
  readonly exit: Effect.Effect<Exit>
  /** Sends a signal to the process (default) or to its whole group. A process that is gone is no error. */
  readonly kill: (signal: NodeJS.Signals, target?: "process" | "group") => Effect.Effect<void>
  /** Writes to its stdin. */
  readonly write: (text: string) => Effect.Effect<void>
  /** Closes its stdin. */
  readonly endInput: Effect.Effect<void>
  /** Ends the group: SIGTERM, after `killAfter` SIGKILL; done when the process is gone. */
  readonly stop: Effect.Effect<void>
}

export interface Options {
  readonly cwd?: string
  /** Added to this process's environment; `undefined` removes a variable. The lab's mark is always there. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** SIGTERM to SIGKILL, in milliseconds; default 2000. */
  readonly killAfter?: number
  /** Sees each piece of its stdout as well. */
  readonly onStdout?: (chunk: string) => void
  /** Sees each piece of its stderr as well. */
  readonly onStderr?: (chunk: string) => void
}

const signalGroup = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(-pid, signal)
  } catch {
    // The group is gone.
  }
}

const start = (
  command: string,
  args: ReadonlyArray<string>,
  options: Options
): Effect.Effect<Process, LabError> =>
  Effect.callback((resume) => {
    const child = ChildProcess.spawn(command, args, {
      cwd: options.cwd,
      env: Mark.environment(options.env),
      detached: true,
      stdio: ["pipe", "pipe", "pipe"]
    })
    const stdout = Log.make(`${command} (stdout)`)
    const stderr = Log.make(`${command} (stderr)`)
    child.stdout.setEncoding("utf8").on("data", stdout.write).on("close", stdout.end).on("error", stdout.end)
    child.stderr.setEncoding("utf8").on("data", stderr.write).on("close", stderr.end).on("error", stderr.end)
    if (options.onStdout !== undefined) child.stdout.on("data", options.onStdout)
    if (options.onStderr !== undefined) child.stderr.on("data", options.onStderr)
    // It may end without having read its input.
    child.stdin.on("error", () => {})
    const exited = new Promise<Exit>((resolve) => {
      child.once("exit", (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }))
    })
    const exit = Effect.promise(() => exited)
    const isGone = () => child.exitCode !== null || child.signalCode !== null
    const killAfter = options.killAfter ?? 2_000
    child.once("error", (cause) => resume(Effect.fail(new LabError({ message: `cannot start ${command}`, cause }))))
    child.once("spawn", () => {
      const pid = child.pid ?? 0
      const closePipes = Effect.sync(() => {
        child.stdin.destroy()
        child.stdout.destroy()
        child.stderr.destroy()
      })
      resume(Effect.succeed<Process>({
        pid,
        stdout,
        stderr,
        exit,
        kill: (signal, target = "process") =>
          Effect.sync(() => {
            if (target === "group") return signalGroup(pid, signal)
            if (!isGone()) child.kill(signal)
          }),
        write: (text) => Effect.sync(() => void child.stdin.write(text)),
        endInput: Effect.sync(() => void child.stdin.end()),
        stop: Effect.suspend(() => {
          signalGroup(pid, "SIGTERM")
          return exit.pipe(
            Effect.timeoutOrElse({
              duration: killAfter,
              orElse: () => Effect.sync(() => signalGroup(pid, "SIGKILL")).pipe(Effect.andThen(exit))
            }),
            // What the leader left behind in its group.
            Effect.andThen(Effect.sync(() => signalGroup(pid, "SIGKILL"))),
            Effect.andThen(closePipes)
          )
        })
      }))
    })
  })

/** Starts a process that ends, with its process group, when the scope does. */
export const spawn = (
  command: string,
  args: ReadonlyArray<string>,
  options: Options = {}
): Effect.Effect<Process, LabError, Scope.Scope> =>
  Effect.acquireRelease(start(command, args, options), (child) => child.stop)

/** The result of a process that ran to its end. */
export interface Result extends Exit {
  readonly stdout: string
  readonly stderr: string
}

/** Runs a process to its end, with `input` (default: none) on its stdin; any exit code is a success. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: Options & { readonly input?: string } = {}
): Effect.Effect<Result, LabError> =>
  Effect.scoped(Effect.gen(function*() {
    const child = yield* spawn(command, args, options)
    if (options.input !== undefined) yield* child.write(options.input)
    yield* child.endInput
    const exit = yield* child.exit
    // A daemon that it left behind may hold the pipes for ever.
    yield* child.stdout.ended.pipe(Effect.andThen(child.stderr.ended), Effect.timeoutOption(lastWords))
    return { ...exit, stdout: yield* child.stdout.text, stderr: yield* child.stderr.text }
  }))

/** How long to wait, once a process has ended, for output that is still in its pipes (milliseconds). */
const lastWords = 500

/** Like {@link run}, but any other exit than 0 is a failure that shows stderr; returns stdout. */
export const output = Effect.fn("Process.output")(function*(
  command: string,
  args: ReadonlyArray<string>,
  options: Options & { readonly input?: string } = {}
) {
  const result = yield* run(command, args, options)
  if (result.code === 0) return result.stdout
  return yield* new LabError({
    message: `${command} ${args.join(" ")}: ${result.signal ?? `exit ${result.code}`}\n${result.stderr}`
  })
})
