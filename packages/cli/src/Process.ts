/** The process that the command line runs in: the only module that touches it. */
import { Effect, type Layer } from "effect"
import * as ExitCode from "./ExitCode.ts"
import { handled, Signals } from "./Signals.ts"

/** `linux`, `darwin`, `win32`, … */
export const platform: string = process.platform

/**
 * Signals of this process. While the layer lives none of them ends it. A
 * reader of our output that goes away (`| head -1`) counts as SIGHUP: nobody
 * is there any more.
 */
export const layerSignals: Layer.Layer<Signals> = Signals.layerFrom({
  listen: (receive) =>
    Effect.forEach(handled, (signal) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const listener = () => receive(signal)
          process.on(signal, listener)
          return listener
        }),
        (listener) => Effect.sync(() => process.off(signal, listener))
      )).pipe(
        Effect.andThen(Effect.acquireRelease(
          Effect.sync(() => {
            const listener = () => receive("SIGHUP")
            // Once: every further line fails as well, and must not pass for somebody who insists.
            process.stdout.once("error", listener).on("error", ignore)
            process.stderr.on("error", ignore)
            return listener
          }),
          (listener) => Effect.sync(() => process.stdout.off("error", listener))
        )),
        Effect.asVoid
      ),
  abandon: (signal) => Effect.andThen(exit(ExitCode.ofSignal(signal)), Effect.never)
})

const ignore = () => {}

/** Lets the event loop and pipes finish what was written, then ends the process whatever is still open. */
export const exit = (code: number): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const end = () => {
      process.exit(code)
      resume(Effect.void)
    }
    // A stream that was destroyed (its reader is gone) calls back with an error, which is just as well.
    process.stdout.write("", () => process.stderr.write("", end))
  })
