/** Whether a window can reach its main process, and what to do while it cannot. */
import { Context, Effect, Layer, Predicate, Schedule, Stream } from "effect"
import type { RpcClientError } from "effect/rpc/RpcClientError"

/**
 * - `Opening`: the first connection is being made; calls wait for it;
 * - `Online`: calls go through;
 * - `Offline`: the connection is lost and is being made again; calls fail at once;
 * - `Closed`: it is lost for good (a port never opens again); calls fail at once.
 *
 * `since` is ISO 8601.
 */
export interface LinkState {
  readonly _tag: "Opening" | "Online" | "Offline" | "Closed"
  readonly since: string
}

const alwaysOnline: LinkState = { _tag: "Online", since: new Date(0).toISOString() }

/**
 * The link of one client.
 *
 * **Details**
 *
 * Calls and streams that run when the link is lost fail at once with an
 * `RpcClientError`. Whether a lost call was carried out is not known, so none is
 * repeated; see {@link resuming} for streams.
 */
export class Link extends Context.Service<Link, {
  readonly state: Effect.Effect<LinkState>
  /** The present state, then each new one. */
  readonly changes: Stream.Stream<LinkState>
  /** Ends the wait before the next attempt; does nothing when there is no such wait. */
  readonly retryNow: Effect.Effect<void>
}>()("@opencode-ai/desktop-bridge/Link") {
  /** For clients without a transport, such as `RpcTest`'s: always online. */
  static readonly layerMemory: Layer.Layer<Link> = Layer.succeed(Link, {
    state: Effect.succeed(alwaysOnline),
    changes: Stream.concat(Stream.succeed(alwaysOnline), Stream.never),
    retryNow: Effect.void
  })
}

/** Whether a call failed because its answer could not arrive: the error of the transport, which no handler gives. */
export const isLinkError = (error: unknown): error is RpcClientError => Predicate.isTagged(error, "RpcClientError")

/**
 * The stream, started anew whenever the link was lost and is back. It fails only
 * by its own errors, or when the link is closed for good.
 *
 * **Gotchas**
 *
 * For streams that begin with the whole present picture (`watchProfiles`,
 * `watchStates`): then nothing is missed, and a reader who takes every first
 * item as a new picture sees no more than a pause. Others would repeat
 * themselves: `examine` logs in again, `serverLog` gives its last lines again.
 */
export const resuming = <A, E, R>(stream: Stream.Stream<A, E, R>): Stream.Stream<A, E, R | Link> =>
  Stream.unwrap(Effect.map(Link, (link) => {
    /** True when the link is back, false when it never will be. */
    const isBack = link.changes.pipe(
      Stream.filter(({ _tag }) => _tag === "Online" || _tag === "Closed"),
      Stream.take(1),
      Stream.runFold(() => false, (_, { _tag }) => _tag === "Online")
    )
    return Stream.retry(
      stream,
      Schedule.forever.pipe(
        Schedule.setInputType<E>(),
        Schedule.while(({ input }) => isLinkError(input) ? isBack : false)
      )
    )
  }))
