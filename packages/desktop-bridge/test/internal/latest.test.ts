import { assert, describe, it } from "@effect/vitest"
import type { States } from "@opencode-ai/ssh-tunnel/Connections"
import { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import type { ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import {
  Deferred,
  Effect,
  Equal,
  Fiber,
  HashMap,
  Layer,
  MutableRef,
  Option,
  Queue,
  Ref,
  Schema,
  Stream,
  SubscriptionRef
} from "effect"
import * as RpcClient from "effect/rpc/RpcClient"
import { BridgeApi, type StatesUpdate } from "../../src/BridgeApi.ts"
import * as Latest from "../../src/internal/latest.ts"
import * as MemoryPort from "../../src/MemoryPort.ts"
import * as MessagePortRpc from "../../src/MessagePortRpc.ts"
import { applied } from "../../src/OpencodeServers.ts"
import type { Port } from "../../src/Port.ts"
import * as World from "../support/World.ts"

const connecting = (since: string): ConnectionState =>
  ConnectionState.cases.Connecting.make({ step: "starting", since })
const disconnected = ConnectionState.cases.Disconnected.make({})

/** What a window shows; who is not listed is disconnected. */
const shown = (states: States): States => HashMap.filter(states, ({ _tag }) => _tag !== "Disconnected")

describe("news", () => {
  it.effect.prop(
    "lead from any picture to any later one, and say nothing that is known",
    [Schema.Array(Schema.Array(Schema.Tuple([Schema.Literals(["a", "b", "c"]), ConnectionState])))],
    ([pictures]) =>
      Effect.sync(() => {
        let known: States = HashMap.empty()
        let before = Option.none<States>()
        for (const picture of pictures) {
          const now: States = HashMap.fromIterable(picture.map(([name, state]) => [World.id(name), state] as const))
          const news = Latest.news(before, now)
          for (const update of news) known = applied(known, update)
          assert.isTrue(Equal.equals(shown(known), shown(now)))
          assert.deepStrictEqual(Latest.news(Option.some(now), now), [])
          before = Option.some(now)
        }
      })
  )

  it("name a profile that is gone as disconnected", () => {
    const before: States = HashMap.make([World.id("a"), connecting("1")])
    assert.deepStrictEqual(Latest.news(Option.some(before), HashMap.empty()), [
      { _tag: "Changed", id: World.id("a"), state: disconnected }
    ])
  })
})

/** A window; `reads` false is one that takes nothing off its streams. Counts what arrives. */
const window = Effect.fnUntraced(function*(port: Port, reads: boolean) {
  const arrived = MutableRef.make(0)
  const held: Array<unknown> = []
  const wrapped: Port = {
    ...port,
    post: (message) => {
      const { _tag } = message as { readonly _tag: string }
      if (_tag === "Ack" && !reads) held.push(message)
      else port.post(message)
    },
    listen: (onMessage) =>
      port.listen((message) => {
        if ((message as { readonly _tag: string })._tag === "Chunk") MutableRef.increment(arrived)
        onMessage(message)
      })
  }
  const link = yield* Layer.build(MessagePortRpc.layerClient(wrapped))
  const client = yield* RpcClient.make(BridgeApi).pipe(Effect.provideContext(link))
  return {
    client,
    arrived: Effect.sync(() => MutableRef.get(arrived)),
    /** Takes what has arrived so far. */
    read: Effect.sync(() => held.splice(0).forEach(port.post))
  }
})

describe("a window that never reads", () => {
  it.live("gets one message and holds up nobody; when it reads, it gets what is true then, once", () =>
    Effect.gen(function*() {
      const changes = 5000
      const profiles = 3
      const states = yield* SubscriptionRef.make<States>(HashMap.empty())
      const taken = yield* Ref.make(0)
      const all = yield* Deferred.make<void>()
      const ports = yield* Queue.unbounded<Port>()
      const counted = SubscriptionRef.changes(states).pipe(
        Stream.tap(() =>
          Effect.flatMap(
            Ref.updateAndGet(taken, (n) => n + 1),
            (n) => n === 2 * (changes + 1) ? Deferred.succeed(all, undefined) : Effect.void
          )
        )
      )
      yield* Layer.build(
        MessagePortRpc.layerServer(BridgeApi, Stream.fromQueue(ports)).pipe(
          Layer.provide(World.layer({ connections: { states: counted } }))
        )
      )
      const [here, there] = [MemoryPort.makePair(), MemoryPort.makePair()]
      yield* Queue.offerAll(ports, [here[0], there[0]])
      const slow = yield* window(here[1], false)
      const fast = yield* window(there[1], true)
      const updates = yield* Queue.unbounded<StatesUpdate>()
      yield* Effect.forkScoped(Stream.runForEach(slow.client.watchStates(), (update) => Queue.offer(updates, update)))
      assert.strictEqual((yield* Queue.take(updates))._tag, "All")
      const last = connecting(String(changes))
      const first = yield* Deferred.make<void>()
      const quick = yield* fast.client.watchStates().pipe(
        Stream.tap(() => Deferred.succeed(first, undefined)),
        Stream.takeUntil((update) => update._tag === "Changed" && Equal.equals(update.state, last)),
        Stream.runDrain,
        Effect.forkScoped
      )
      yield* Deferred.await(first)
      for (let change = 1; change <= changes; change++) {
        const id: ProfileId = World.id(`p${change % profiles}`)
        yield* SubscriptionRef.update(states, HashMap.set(id, connecting(String(change))))
      }
      // The other window is up to date, and nothing waits anywhere: every change was taken, for both windows.
      yield* Fiber.join(quick)
      yield* Deferred.await(all)
      assert.strictEqual(yield* slow.arrived, 1)
      assert.strictEqual(yield* Queue.size(updates), 0)
      // Its calls are answered meanwhile.
      assert.strictEqual((yield* slow.client.about()).notifications, false)

      yield* slow.read
      let known: States = HashMap.empty()
      while (!Equal.equals(known, yield* SubscriptionRef.get(states))) {
        known = applied(known, yield* Queue.take(updates))
        yield* slow.read
      }
      assert.isAtMost(yield* slow.arrived, 1 + 2 * profiles, "not the history")
    }).pipe(Effect.scoped))
})
