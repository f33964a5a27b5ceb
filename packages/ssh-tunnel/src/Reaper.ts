/**
 * Ends our ssh processes when we can't: `ssh -N` outlives its parent, so one
 * small `sh` per host process holds a pipe to us and, when that pipe ends,
 * ends the process groups that were registered with it.
 */
import {
  type Cause,
  Context,
  Duration,
  Effect,
  Layer,
  Option,
  Queue,
  Ref,
  Scope,
  Semaphore,
  Stream,
  SynchronizedRef
} from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { ConfigurationError, RuntimeDirectoryUnusable } from "./ConfigurationError.ts"
import { reaperScript } from "./internal/reaperScript.ts"
import { LocalHost } from "./LocalHost.ts"
import { RuntimeDirectory } from "./RuntimeDirectory.ts"
import { Timing } from "./Schedules.ts"

interface Shell {
  readonly input: Queue.Queue<Uint8Array>
  readonly answers: Queue.Queue<string, Cause.Done>
  readonly isRunning: Effect.Effect<boolean>
}

/**
 * See the module. On Windows there is nothing to do: the runtime puts direct
 * children into a job that ends with it.
 */
export class Reaper extends Context.Service<Reaper, {
  /** Starts the reaper, if it isn't; registration does so by itself. */
  readonly start: Effect.Effect<void, ConfigurationError>
  /** Returns when the reaper *has* the group: from then on no crash of ours leaves it. */
  readonly register: (pgid: number) => Effect.Effect<void, ConfigurationError>
  readonly unregister: (pgid: number) => Effect.Effect<void>
}>()("@opencode-ai/ssh-tunnel/Reaper") {
  /** A reaper that does nothing: for tests, and for Windows. */
  static readonly layerNoop: Layer.Layer<Reaper> = Layer.succeed(Reaper, {
    start: Effect.void,
    register: () => Effect.void,
    unregister: () => Effect.void
  })

  static readonly layer = Layer.unwrap(
    Effect.map(LocalHost, (host) => host.platform === "windows" ? Reaper.layerNoop : Reaper.layerPosix)
  )

  static readonly layerPosix = Layer.effect(
    Reaper,
    Effect.gen(function*() {
      const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
      const runtimeDirectory = yield* RuntimeDirectory
      const timing = yield* Timing
      const scope = yield* Effect.scope
      const groups = yield* Ref.make<ReadonlySet<number>>(new Set())
      const shell = yield* SynchronizedRef.make(Option.none<Shell>())
      const encoder = new TextEncoder()

      const unusable = (cause: unknown) =>
        new ConfigurationError({
          reason: new RuntimeDirectoryUnusable({
            path: "/bin/sh",
            detail: `the reaper cannot be used: ${String(cause)}`
          })
        })

      const send = Effect.fnUntraced(function*(target: Shell, line: string) {
        yield* Queue.offer(target.input, encoder.encode(`${line}\n`))
        // Not for ever: it may be stopped, and one that has died answers nobody.
        yield* Queue.take(target.answers).pipe(
          Effect.mapError(() => unusable("it has died")),
          Effect.timeoutOrElse({
            duration: timing.control,
            orElse: () => Effect.fail(unusable("it does not answer"))
          })
        )
      })

      const spawn = Effect.gen(function*() {
        const directory = yield* runtimeDirectory.path
        const input = yield* Queue.unbounded<Uint8Array>()
        const answers = yield* Queue.unbounded<string, Cause.Done>()
        const handle = yield* spawner.spawn(
          ChildProcess.make("/bin/sh", [
            "-c",
            reaperScript,
            "opencode-ssh-reaper",
            directory,
            String(Duration.toSeconds(timing.reaperGrace))
          ], {
            cwd: "/",
            stdin: { stream: Stream.fromQueue(input) },
            stdout: "pipe",
            stderr: "ignore",
            killSignal: "SIGKILL",
            forceKillAfter: timing.killAfter
          })
        ).pipe(Effect.mapError(unusable))
        yield* handle.stdout.pipe(
          Stream.decodeText(),
          Stream.splitLines,
          Stream.runForEach((line) => Queue.offer(answers, line)),
          Effect.ignore,
          // A reaper that died answers nobody: whoever waits goes on, and the next registration starts another.
          Effect.ensuring(Queue.end(answers)),
          Effect.forkIn(scope)
        )
        return { input, answers, isRunning: Effect.orElseSucceed(handle.isRunning, () => false) }
      }).pipe(Effect.provideService(Scope.Scope, scope))

      const running = SynchronizedRef.modifyEffect(
        shell,
        Effect.fnUntraced(function*(current) {
          if (Option.isSome(current) && (yield* current.value.isRunning)) return [current.value, current] as const
          const next = yield* spawn
          for (const pgid of yield* Ref.get(groups)) yield* send(next, `+ ${pgid}`)
          return [next, Option.some(next)] as const
        })
      )

      // Answers come in the order of the questions, so one question at a time needs no ids.
      const turn = yield* Semaphore.make(1)

      return Reaper.of({
        start: Effect.asVoid(running),
        register: Effect.fn("Reaper.register")(
          function*(pgid: number) {
            yield* send(yield* running, `+ ${pgid}`)
            yield* Ref.update(groups, (set) => new Set(set).add(pgid))
          },
          turn.withPermits(1)
        ),
        unregister: Effect.fn("Reaper.unregister")(
          function*(pgid: number) {
            yield* Ref.update(groups, (set) => new Set([...set].filter((other) => other !== pgid)))
            const current = yield* SynchronizedRef.get(shell)
            if (Option.isSome(current)) yield* Effect.ignoreCause(send(current.value, `- ${pgid}`))
          },
          turn.withPermits(1)
        )
      })
    })
  )
}
