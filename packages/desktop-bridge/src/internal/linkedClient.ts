/** A client's protocol over a link: one port, or one after the other. */
import {
  type Cause,
  Clock,
  Context,
  Data,
  Duration,
  Effect,
  FiberSet,
  Layer,
  Option,
  Predicate,
  Queue,
  Random,
  Ref,
  Schema,
  type Scope,
  Stream,
  SubscriptionRef
} from "effect"
import * as RpcClient from "effect/rpc/RpcClient"
import { RpcClientError } from "effect/rpc/RpcClientError"
import type { FromClientEncoded, FromServerEncoded } from "effect/rpc/RpcMessage"
import { SocketCloseError } from "effect/socket/Socket"
import { Link, type LinkState } from "../Link.ts"
import type { Port } from "../Port.ts"
import { TransportLimits } from "../TransportLimits.ts"

/** The other end does not answer now. */
export class Unreachable extends Data.TaggedError("Unreachable")<{}> {}

/** How to make a port. */
export interface Opening {
  readonly open: Effect.Effect<Port, Unreachable, Scope.Scope>
  /** Whether a lost port is replaced by a new one. */
  readonly reopens: boolean
}

/** The link, and the port while it is online. */
interface Connection {
  readonly state: LinkState
  readonly port: Option.Option<Port>
}

/** By the call's id, its client's. A plain map that is replaced: `HashMap` would be 2.5 KB (gzip) of every window. */
type Calls = ReadonlyMap<string | number, number>

const without = (id: string | number) => (calls: Calls): Calls => new Map([...calls].filter(([other]) => other !== id))

type Write = (clientId: number, response: FromServerEncoded) => Effect.Effect<void>

const isResponse = (value: unknown): value is FromServerEncoded =>
  Predicate.hasProperty(value, "_tag") && Predicate.isString(value._tag)

const linkError = (closeReason: string) =>
  // 1006: closed without a word (RFC 6455 §7.1.5).
  new RpcClientError({ reason: new SocketCloseError({ code: 1006, closeReason }) })

const make = Effect.fnUntraced(function*({ open, reopens }: Opening) {
  const limits = yield* TransportLimits
  const stateOf = (_tag: LinkState["_tag"]) =>
    Effect.map(Clock.currentTimeMillis, (millis): LinkState => ({ _tag, since: new Date(millis).toISOString() }))
  const connection = yield* SubscriptionRef.make<Connection>({
    state: yield* stateOf("Opening"),
    port: Option.none()
  })
  const become = Effect.fnUntraced(function*(tag: LinkState["_tag"], port: Option.Option<Port>) {
    const state = yield* stateOf(tag)
    yield* SubscriptionRef.update(connection, (before) => ({
      state: before.state._tag === tag ? before.state : state,
      port
    }))
  })
  const wakeUps = yield* Queue.sliding<void>(1)
  /** Which client waits for an answer to which call. */
  const calls = yield* Ref.make<Calls>(new Map())

  /** The present connection; the first one is waited for. */
  const opened = SubscriptionRef.get(connection).pipe(
    Effect.filterOrElse(({ state }) => state._tag !== "Opening", (present) =>
      SubscriptionRef.changes(connection).pipe(
        Stream.filter(({ state }) => state._tag !== "Opening"),
        Stream.runHead,
        Effect.map(Option.getOrElse(() => present))
      ))
  )

  const protocol = yield* RpcClient.Protocol.make(Effect.fnUntraced(function*(write: Write) {
    const delivering = yield* FiberSet.make()

    const deliver = Effect.fnUntraced(function*(response: unknown) {
      if (!isResponse(response)) return
      if (response._tag === "Defect") return yield* tellAll(response)
      if (response._tag !== "Chunk" && response._tag !== "Exit") return
      const clientId = (yield* Ref.get(calls)).get(response.requestId)
      if (clientId === undefined) return
      if (response._tag === "Chunk") {
        // It waits until the stream's reader has room, and nobody else may wait for that. The next one comes when this
        // one is acknowledged, so they cannot overtake each other.
        yield* FiberSet.run(delivering, write(clientId, response), { startImmediately: true })
        return
      }
      yield* Ref.update(calls, without(response.requestId))
      yield* write(clientId, response)
    })

    const tellAll = Effect.fnUntraced(function*(response: FromServerEncoded) {
      const waiting = yield* Ref.getAndSet(calls, new Map())
      yield* Effect.forEach(new Set(waiting.values()), (clientId) => write(clientId, response))
    }, Effect.uninterruptible)

    /** One port, from its opening to its end. Tells whether it lasted. */
    const live = Effect.gen(function*() {
      const port = yield* open
      const opened = yield* Clock.currentTimeMillis
      const inbox = yield* Queue.unbounded<unknown, Cause.Done>()
      yield* Effect.addFinalizer(() => Effect.sync(() => port.close()))
      port.onClose(() => Queue.endUnsafe(inbox))
      port.listen((message) => Queue.offerUnsafe(inbox, message))
      yield* become("Online", Option.some(port))
      yield* Stream.runForEach(Stream.fromQueue(inbox), deliver)
      return (yield* Clock.currentTimeMillis) - opened >= Duration.toMillis(limits.steady)
    }).pipe(
      Effect.scoped,
      Effect.orElseSucceed(() => false),
      // Whatever goes wrong with one port, its calls must be told, and the next port may do better.
      Effect.catchDefect((defect) => Effect.as(Effect.logError(defect), false))
    )

    /** First nobody can call any more, then everybody who waits is told: so no call is left waiting. */
    const lose = Queue.poll(wakeUps).pipe(
      // Whoever sees from here on that the link is lost may skip the wait that follows; an earlier wish does not count.
      Effect.andThen(become(reopens ? "Offline" : "Closed", Option.none())),
      Effect.andThen(tellAll({
        _tag: "ClientProtocolError",
        error: linkError("The link to the main process was lost before the answer came")
      }))
    )

    const losses = yield* Ref.make(0)
    const pause = Effect.fnUntraced(function*(lasted: boolean) {
      const before = yield* Ref.updateAndGet(losses, (count) => lasted ? 0 : count + 1)
      const longest = Math.min(
        Duration.toMillis(limits.retryFirst) * 2 ** Math.max(0, before - 1),
        Duration.toMillis(limits.retryMost)
      )
      // Several windows that lost the same server come back one by one.
      const millis = longest * (yield* Random.nextBetween(0.8, 1.2))
      yield* Effect.raceFirst(Effect.sleep(Duration.millis(millis)), Queue.take(wakeUps))
    })

    const turn = Effect.tap(live, lose)
    yield* Effect.forkScoped(reopens ? Effect.forever(Effect.flatMap(turn, pause)) : turn, { startImmediately: true })

    const send = Effect.fnUntraced(function*(clientId: number, request: FromClientEncoded) {
      const { port, state } = yield* opened
      if (Option.isNone(port)) {
        return yield* linkError(
          state._tag === "Closed" ? "The main process is gone" : "The main process cannot be reached now"
        )
      }
      if (request._tag === "Request") yield* Ref.update(calls, (all) => new Map(all).set(request.id, clientId))
      if (request._tag === "Interrupt") yield* Ref.update(calls, without(request.requestId))
      port.value.post(request)
    })
    return { send, supportsAck: true, supportsTransferables: false, codecFor: Schema.toCodecJson }
  }))

  const link = Link.of({
    state: Effect.map(SubscriptionRef.get(connection), ({ state }) => state),
    changes: SubscriptionRef.changes(connection).pipe(Stream.map(({ state }) => state), Stream.changes),
    retryNow: Effect.asVoid(Queue.offer(wakeUps, undefined))
  })
  return Context.make(RpcClient.Protocol, protocol).pipe(Context.add(Link, link))
})

export const layerLinked = (opening: Opening): Layer.Layer<RpcClient.Protocol | Link> =>
  Layer.effectContext(make(opening))
