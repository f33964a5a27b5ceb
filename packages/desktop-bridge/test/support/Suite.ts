/** A small contract of the transports' own, and handlers that tell what becomes of their calls. */
import { Context, Effect, Layer, Queue, Ref, Schema, Stream, SubscriptionRef } from "effect"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"

export class Broken extends Schema.TaggedError<Broken>()("Broken", { part: Schema.String }) {
  override get message() {
    return `${this.part} is broken`
  }
}

export class Missing extends Schema.TaggedError<Missing>()("Missing", {}) {}

export class Suite extends RpcGroup.make(
  Rpc.make("add", { payload: { a: Schema.Int, b: Schema.Int }, success: Schema.Int }),
  Rpc.make("fail", { payload: { part: Schema.optionalKey(Schema.String) }, error: Schema.Union([Broken, Missing]) }),
  Rpc.make("die", { payload: { message: Schema.String } }),
  Rpc.make("interruptItself"),
  /** Runs until it is interrupted or `release`d. */
  Rpc.make("hang", { payload: { name: Schema.String }, success: Schema.String }),
  Rpc.make("count", { payload: { to: Schema.Int }, success: Schema.Int, error: Broken, stream: true }),
  /** Fails after its last item. */
  Rpc.make("countAndFail", { payload: { to: Schema.Int }, success: Schema.Int, error: Broken, stream: true }),
  /** The present picture, then each new one. */
  Rpc.make("watch", { payload: { name: Schema.String }, success: Schema.String, stream: true }),
  /** Items of 1000 characters without an end. */
  Rpc.make("pour", { payload: { name: Schema.String }, success: Schema.String, stream: true }),
  /** A text of so many characters. */
  Rpc.make("blob", { payload: { length: Schema.Int }, success: Schema.String })
) {}

/** What is known on the server's side. */
export class Probe extends Context.Service<Probe, {
  /** `started NAME`, `interrupted NAME`, in order. */
  readonly events: Queue.Queue<string>
  /** Takes events until this one came. */
  readonly until: (event: string) => Effect.Effect<void>
  readonly picture: SubscriptionRef.SubscriptionRef<string>
  /** Items that `pour` was asked for. */
  readonly poured: Ref.Ref<number>
  readonly release: Effect.Effect<void>
  readonly released: Effect.Effect<void>
}>()("test/Probe") {
  static readonly layer = Layer.effect(
    Probe,
    Effect.gen(function*() {
      const events = yield* Queue.unbounded<string>()
      const gate = yield* SubscriptionRef.make(false)
      const until = (event: string): Effect.Effect<void> =>
        Effect.flatMap(Queue.take(events), (next) => next === event ? Effect.void : until(event))
      return {
        events,
        until,
        picture: yield* SubscriptionRef.make("first"),
        poured: yield* Ref.make(0),
        release: SubscriptionRef.set(gate, true),
        released: SubscriptionRef.changes(gate).pipe(Stream.filter((open) => open), Stream.runHead, Effect.asVoid)
      }
    })
  )
}

export const SuiteHandlers = Suite.toLayer(Effect.gen(function*() {
  const probe = yield* Probe
  const tell = (event: string) => Queue.offer(probe.events, event)
  const watched = (name: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.andThen(tell(`started ${name}`), effect).pipe(Effect.onInterrupt(() => tell(`interrupted ${name}`)))
  const watchedStream = (name: string) => <A, E, R>(stream: Stream.Stream<A, E, R>) =>
    Stream.unwrap(
      Effect.as(
        Effect.andThen(tell(`started ${name}`), Effect.addFinalizer(() => tell(`interrupted ${name}`))),
        stream
      )
    )
  return Suite.of({
    add: ({ a, b }) => Effect.succeed(a + b),
    fail: ({ part }) => Effect.fail(part === undefined ? new Missing() : new Broken({ part })),
    die: ({ message }) => Effect.die(new Error(message)),
    interruptItself: () => Effect.interrupt,
    hang: ({ name }) => Effect.as(probe.released, name).pipe(watched(name)),
    count: ({ to }) => Stream.range(1, to),
    countAndFail: ({ to }) => Stream.concat(Stream.range(1, to), Stream.fail(new Broken({ part: "counter" }))),
    watch: ({ name }) => SubscriptionRef.changes(probe.picture).pipe(watchedStream(name)),
    pour: ({ name }) =>
      Stream.fromEffectRepeat(Effect.as(Ref.update(probe.poured, (count) => count + 1), "x".repeat(1000))).pipe(
        watchedStream(name)
      ),
    blob: ({ length }) => Effect.succeed("x".repeat(length))
  })
}))
