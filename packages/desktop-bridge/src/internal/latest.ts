/**
 * Streams for windows of any speed: at most one picture waits, the latest. What a slow window gets is the difference
 * between the picture that it had and the one that is true now.
 */
import type { States } from "@opencode-ai/ssh-tunnel/Connections"
import { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { Equal, HashMap, Option, Stream } from "effect"
import type { ProfileState, StatesUpdate } from "../BridgeApi.ts"

/** Keeps only the latest element while the consumer is busy; the producer never waits. */
export const latest = <A, E, R>(stream: Stream.Stream<A, E, R>): Stream.Stream<A, E, R> =>
  Stream.buffer(stream, { capacity: 1, strategy: "sliding" })

const disconnected = ConnectionState.cases.Disconnected.make({})

const entries = (states: States): ReadonlyArray<ProfileState> =>
  HashMap.toEntries(states).map(([id, state]) => ({ id, state }))

/** What somebody who knows `before` must be told to know `now`: everything at first, then only what differs. */
export const news = (before: Option.Option<States>, now: States): ReadonlyArray<StatesUpdate> => {
  if (Option.isNone(before)) return [{ _tag: "All", states: entries(now) }]
  const known = before.value
  const changed = entries(now).filter(({ id, state }) =>
    !Equal.equals(Option.getOrElse(HashMap.get(known, id), () => disconnected), state)
  )
  const gone = entries(known).filter(({ id, state }) => !HashMap.has(now, id) && state._tag !== "Disconnected")
  return [
    ...changed.map((entry): StatesUpdate => ({ _tag: "Changed", ...entry })),
    ...gone.map(({ id }): StatesUpdate => ({ _tag: "Changed", id, state: disconnected }))
  ]
}

/** {@link news} of a stream of pictures. */
export const newsOf = <E, R>(states: Stream.Stream<States, E, R>): Stream.Stream<StatesUpdate, E, R> =>
  latest(states).pipe(
    Stream.mapAccum(() => Option.none<States>(), (before, now) => [Option.some(now), news(before, now)] as const)
  )
