/** What a process that has ended said last: it may still be in its pipe. */
import { Duration, Effect, Fiber, Option } from "effect"

/** Into so many parts the limit is cut. */
const slices = 10

/**
 * Waits at most `limit` until the fibers that read its pipes have come to their ends; a child may hold a pipe open.
 *
 * **Gotchas**
 *
 * Not one wait: an event loop that was busy for as long looks at its timers before it looks at its pipes, and would
 * give up with everything that was said unread. Between two of several waits it reads.
 */
export const lastWords = (
  readers: ReadonlyArray<Fiber.Fiber<unknown, unknown>>,
  limit: Duration.Duration
): Effect.Effect<void> =>
  Effect.timeoutOption(Fiber.awaitAll(readers), Duration.divideUnsafe(limit, slices)).pipe(
    Effect.repeat({ times: slices - 1, until: Option.isSome }),
    Effect.asVoid
  )
