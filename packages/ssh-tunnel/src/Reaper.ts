/**
 * Ends our ssh processes when we can't: `ssh -N` outlives its parent, so one
 * small `sh` per host process holds a pipe to us and, when that pipe ends,
 * ends the process groups that were registered with it.
 */
import { type Cause, Context, Duration, Effect, Layer, Option, Queue, Ref, Scope, Semaphore, Stream } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { ConfigurationError, RuntimeDirectoryUnusable } from "./ConfigurationError.ts"
import { reaperScript } from "./internal/reaperScript.ts"
import { LocalHost } from "./LocalHost.ts"
import { RuntimeDirectory } from "./RuntimeDirectory.ts"
import { Timing } from "./Schedules.ts"

interface Shell {
  /** The runtime directory that it would remove. */
  readonly directory: string
  readonly input: Queue.Queue<Uint8Array>
  readonly answers: Queue.Queue<string, Cause.Done>
  readonly isRunning: Effect.Effect<boolean>
  /** Ends it without a word, and so without an end of its groups. */
  readonly kill: Effect.Effect<void>
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
      const shell = yield* Ref.make(Option.none<Shell>())
      const questions = yield* Ref.make(0)
      // One at a time, so that no shell is started twice.
      const turn = yield* Semaphore.make(1)
      const encoder = new TextEncoder()

      const unusable = (cause: unknown) =>
        new ConfigurationError({
          reason: new RuntimeDirectoryUnusable({
            path: "/bin/sh",
            detail: `the reaper cannot be used: ${String(cause)}`
          })
        })

      /** What is asked for the second time may be answered twice, so each question has a number. */
      const ask = Effect.fnUntraced(function*(
        target: Shell,
        op: "+" | "-" | "@",
        word: string | number,
        limit: Duration.Duration = timing.control
      ) {
        const id = String(yield* Ref.updateAndGet(questions, (n) => n + 1))
        yield* Queue.offer(target.input, encoder.encode(`${op} ${id} ${word}\n`))
        // Not for ever: it may be stopped, and one that has died answers nobody.
        yield* Queue.take(target.answers).pipe(
          Effect.repeat({ until: (answer) => answer === id }),
          Effect.mapError(() => unusable("it has died")),
          Effect.timeoutOrElse({
            duration: limit,
            orElse: () => Effect.fail(unusable("it does not answer"))
          })
        )
      })

      /**
       * One that does not answer may go on later, with groups that ended meanwhile and whose numbers are somebody
       * else's by then: it has to go.
       */
      const orRetire = <A>(target: Shell, asked: Effect.Effect<A, ConfigurationError>) =>
        Effect.tapError(asked, () => Effect.andThen(Ref.set(shell, Option.none()), target.kill))

      /** Has every group of ours. Whoever calls it has the turn. */
      const running: Effect.Effect<Shell, ConfigurationError> = Effect.gen(function*() {
        const directory = yield* runtimeDirectory.path
        const current = yield* Ref.get(shell)
        if (Option.isSome(current) && (yield* current.value.isRunning)) {
          if (current.value.directory === directory) return current.value
          const next = { ...current.value, directory }
          yield* orRetire(next, ask(next, "@", directory))
          yield* Ref.set(shell, Option.some(next))
          return next
        }
        const next = yield* spawn(directory)
        yield* Ref.set(shell, Option.some(next))
        for (const pgid of yield* Ref.get(groups)) yield* orRetire(next, ask(next, "+", pgid))
        return next
      })

      /** A new one for the groups that have lost theirs. On a very busy machine the first may not answer in time. */
      const takeOver = Effect.flatMap(
        Ref.get(groups),
        ({ size }) => size > 0 ? Effect.ignore(Effect.retry(running, { times: 1 })) : Effect.void
      )

      /** A reaper that died is missed at once by the groups that it had. */
      const revive = Effect.fnUntraced(function*(answers: Shell["answers"]) {
        const current = yield* Ref.get(shell)
        if (Option.isNone(current) || current.value.answers !== answers) return
        // Its exit may not be known yet.
        yield* Ref.set(shell, Option.none())
        yield* takeOver
      }, turn.withPermits(1))

      const spawn = Effect.fnUntraced(function*(directory: string) {
        const input = yield* Queue.unbounded<Uint8Array>()
        const answers = yield* Queue.unbounded<string, Cause.Done>()
        const spoke = yield* Ref.make(false)
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
          Stream.runForEach((line) => Effect.andThen(Ref.set(spoke, true), Queue.offer(answers, line))),
          Effect.ignore,
          // A reaper that died answers nobody: whoever waits goes on.
          Effect.ensuring(Queue.end(answers)),
          // One that never spoke would be the next one's fate as well.
          Effect.andThen(Effect.flatMap(Ref.get(spoke), (once) => once ? revive(answers) : Effect.void)),
          Effect.forkIn(scope)
        )
        return {
          directory,
          input,
          answers,
          isRunning: Effect.orElseSucceed(handle.isRunning, () => false),
          kill: Effect.ignore(handle.kill({ killSignal: "SIGKILL" }))
        } satisfies Shell
      }, Effect.provideService(Scope.Scope, scope))

      return Reaper.of({
        start: Effect.asVoid(running).pipe(turn.withPermits(1)),
        register: Effect.fn("Reaper.register")(
          function*(pgid: number) {
            const add = Effect.flatMap(running, (target) => orRetire(target, ask(target, "+", pgid)))
            // The first failure may be the last word of one that was stopped, or killed: another one is started.
            yield* Effect.retry(add, { times: 1 })
            yield* Ref.update(groups, (set) => new Set(set).add(pgid))
          },
          turn.withPermits(1)
        ),
        unregister: Effect.fn("Reaper.unregister")(
          function*(pgid: number) {
            yield* Ref.update(groups, (set) => new Set([...set].filter((other) => other !== pgid)))
            const current = yield* Ref.get(shell)
            if (Option.isNone(current)) return
            yield* orRetire(current.value, ask(current.value, "-", pgid, timing.killAfter)).pipe(
              Effect.catch(() => takeOver)
            )
          },
          turn.withPermits(1)
        )
      })
    })
  )
}
