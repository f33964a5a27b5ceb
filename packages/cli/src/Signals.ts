/** The signals by which a person, a supervisor or a closing terminal asks this process to end. */
import { Context, Effect, Layer, Queue, type Scope } from "effect"

/** SIGHUP is a quit like the others: the terminal is gone (effect's own runners leave it unhandled). */
export const handled = ["SIGINT", "SIGTERM", "SIGHUP"] as const
export type Signal = (typeof handled)[number]

/** See the module. */
export class Signals extends Context.Service<Signals, {
  /** Waits for the next signal that nobody has taken yet. */
  readonly next: Effect.Effect<Signal>
  /** Ends the process at once, without cleaning up: for a person who insists. */
  readonly abandon: (signal: Signal) => Effect.Effect<never>
}>()("@opencode-ai/ssh-cli/Signals") {
  /** `listen` calls back for each signal until the layer's scope closes. */
  static readonly layerFrom = (options: {
    readonly listen: (receive: (signal: Signal) => void) => Effect.Effect<void, never, Scope.Scope>
    readonly abandon: (signal: Signal) => Effect.Effect<never>
  }): Layer.Layer<Signals> =>
    Layer.effect(
      Signals,
      Effect.gen(function*() {
        const received = yield* Queue.unbounded<Signal>()
        yield* options.listen((signal) => Queue.offerUnsafe(received, signal))
        return Signals.of({ next: Queue.take(received), abandon: options.abandon })
      })
    )

  /** Never signalled. */
  static readonly layerQuiet: Layer.Layer<Signals> = Layer.succeed(
    Signals,
    Signals.of({ next: Effect.never, abandon: () => Effect.never })
  )
}

/**
 * Runs an effect until it ends or a signal asks for the end, whichever is
 * first; the effect is then interrupted and its finalizers are waited for. A
 * second signal meanwhile ends the process at once.
 */
export const untilSignal = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  onSignal: (signal: Signal) => Effect.Effect<B, E2, R2>
): Effect.Effect<A | B, E | E2, R | R2 | Signals> =>
  Effect.gen(function*() {
    const signals = yield* Signals
    const first = yield* Effect.scoped(Effect.gen(function*() {
      const whileEnding = yield* Effect.scope
      return yield* Effect.raceFirst(
        Effect.map(effect, (value) => ({ _tag: "Done", value }) as const),
        signals.next.pipe(
          Effect.tap(() => Effect.forkIn(insist(signals), whileEnding)),
          Effect.map((signal) => ({ _tag: "Signal", signal }) as const)
        )
      )
    }))
    return first._tag === "Done" ? first.value : yield* onSignal(first.signal)
  })

/** Ends the process at the next signal; for the time after a first one. */
export const insist = (signals: Signals["Service"]): Effect.Effect<never> =>
  Effect.flatMap(signals.next, signals.abandon)
