/** What a process that has ended said last: it may still be in its pipe. */
import { Duration, Effect, Fiber, Option } from "effect"

/** Into so many parts the limit is cut. */
const slices = 10

/**
 * Waits at most `limit` until the fiber that reads a pipe has come to its end; a child may hold the pipe open.
 *
 * **Gotchas**
 *
 * Not one wait: an event loop that was busy for as long looks at its timers before it looks at its pipes, and would
 * give up with everything that was said unread. Between two of several waits it reads.
 */
export const lastWords = <A, E>(reader: Fiber.Fiber<A, E>, limit: Duration.Duration): Effect.Effect<void> =>
  Effect.timeoutOption(Fiber.await(reader), Duration.divideUnsafe(limit, slices)).pipe(
    Effect.repeat({ times: slices - 1, until: Option.isSome }),
    Effect.asVoid
  )
