/**
 * Around every handler: a bug ends its own call and no other, and a window is told that there was one, but not what it
 * said. Known errors are cleaned.
 */
import { Cause, Effect, Stream } from "effect"
import { BridgeDefect, type BridgeError } from "../BridgeError.ts"

/** How errors are made fit for a window. */
export type CleanError = (error: BridgeError) => Effect.Effect<BridgeError>

const defect = (call: string, cause: Cause.Cause<unknown>) =>
  Effect.as(Effect.logError(`The call ${call} of a window died of a defect`, cause), new BridgeDefect({ call }))

const failure = (call: string, clean: CleanError) => (cause: Cause.Cause<BridgeError>) => {
  if (Cause.hasDies(cause)) return Effect.flatMap(defect(call, cause), Effect.fail)
  if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
  return Effect.flatMap(
    Effect.catchCause(clean(Cause.squash(cause) as BridgeError), (bug) => defect(call, bug)),
    Effect.fail
  )
}

/** A call. */
export const effect = <A>(
  call: string,
  clean: CleanError,
  handler: () => Effect.Effect<A, BridgeError>
): Effect.Effect<A, BridgeError> => Effect.catchCause(Effect.suspend(handler), failure(call, clean))

/** A call that answers by a stream. */
export const stream = <A>(
  call: string,
  clean: CleanError,
  handler: () => Stream.Stream<A, BridgeError>
): Stream.Stream<A, BridgeError> =>
  Stream.catchCause(Stream.suspend(handler), (cause) => Stream.unwrap(failure(call, clean)(cause)))
