/** What every transport must do, tried on each. */
import { assert, describe, it } from "@effect/vitest"
import {
  Arbitrary,
  Cause,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Queue,
  Ref,
  Schema,
  Scope,
  Stream,
  SubscriptionRef
} from "effect"
import * as RpcClient from "effect/rpc/RpcClient"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import * as RpcTest from "effect/rpc/RpcTest"
import { isLinkError, Link, resuming } from "../../src/Link.ts"
import { TransportLimits } from "../../src/TransportLimits.ts"
import { Broken, Missing, Probe, Suite, SuiteHandlers } from "../support/Suite.ts"
import { type Raw, type Transport, transports, type Window } from "../support/Transport.ts"

type Client = RpcClient.FromGroup<typeof Suite, RpcClientError>

const handlers = SuiteHandlers.pipe(Layer.provideMerge(Probe.layer))

const clientOf = (window: Window) => RpcClient.make(Suite).pipe(Effect.provide(window.context))

const request = (id: string | number, tag: string, payload: unknown = null) => ({
  _tag: "Request",
  id,
  tag,
  payload,
  headers: []
})

/** The next message for this call. */
const answerTo = (raw: Raw, id: string | number): Effect.Effect<Record<string, unknown>> =>
  Effect.flatMap(Queue.take(raw.received), (message) => {
    const answer = message as Record<string, unknown>
    return answer["requestId"] === id ? Effect.succeed(answer) : answerTo(raw, id)
  })

const success = (id: string | number, value: unknown) => ({
  _tag: "Exit",
  requestId: id,
  exit: { _tag: "Success", value }
})

const assertDied = (answer: Record<string, unknown>, words: RegExp) => {
  assert.strictEqual(answer["_tag"], "Exit")
  assert.match(JSON.stringify(answer["exit"]), /^\{"_tag":"Failure","cause":\[\{"_tag":"Die"/)
  assert.match(JSON.stringify(answer["exit"]), words)
}

const assertLost = <A, E>(exit: Exit.Exit<A, E>) => {
  const error = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : Option.none()
  assert.isTrue(Option.exists(error, isLinkError), String(exit))
}

/** The link's state once it is one of these. */
const linkIs = ({ context }: Window, ...tags: ReadonlyArray<string>) =>
  Link.pipe(
    Effect.flatMap((link) => link.changes.pipe(Stream.filter(({ _tag }) => tags.includes(_tag)), Stream.runHead)),
    Effect.provide(context)
  )

const nested = (depth: number): unknown => {
  let value: unknown = "core"
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { value }
  return value
}

const cycle = () => {
  const value: Record<string, unknown> = { _tag: "Request", id: 1, tag: "add", headers: [] }
  return Object.assign(value, { payload: value })
}

/** No honest window sends these: its port is ended. */
const malformed: ReadonlyArray<readonly [name: string, message: unknown]> = [
  ["null", null],
  ["a number", 42],
  ["a truth", true],
  ["a text", "connect"],
  ["a list", []],
  ["a list of messages", [{ _tag: "Ping" }]],
  ["an empty object", {}],
  ["an unknown kind", { _tag: "Hello" }],
  ["a kind that every object has", { _tag: "constructor" }],
  ["the end of input, which no window announces", { _tag: "Eof" }],
  ["an answer", { _tag: "Exit", requestId: 1, exit: { _tag: "Success" } }],
  ["a call without an id", { _tag: "Request", tag: "add", payload: { a: 1, b: 2 }, headers: [] }],
  ["a call without a name", { _tag: "Request", id: 1, payload: {}, headers: [] }],
  ["an id that is an object", request({ toString: "1" } as never, "add")],
  ["an id of a broken number", request(1.5, "add")],
  ["an id without end", request("1".repeat(1000), "add")],
  ["a name without end", request(1, "a".repeat(1000))],
  ["a notification", { ...request(1, "die", { message: "x" }), isNotification: true }],
  ["an acknowledgement of nothing in particular", { _tag: "Ack" }],
  ["an interrupt of a list", { _tag: "Interrupt", requestId: [1] }],
  ["a huge text", request(1, "hang", { name: "x".repeat(2 * 1024 * 1024) })],
  ["a huge list", request(1, "hang", { name: Array.from({ length: 200_000 }, () => 1) })],
  ["deep lists", request(1, "hang", { name: nested(200) })],
  ["very deep lists", request(1, "hang", nested(1000))],
  ["a prototype", request(1, "add", JSON.parse(`{"a":1,"b":2,"__proto__":{"polluted":true}}`))],
  ["a prototype far inside", request(1, "add", { a: [JSON.parse(`{"__proto__":{"polluted":true}}`)] })]
]

/** Structured clone carries more than JSON. */
const unjson: ReadonlyArray<readonly [name: string, message: unknown]> = [
  ["nothing", undefined],
  ["a cycle", cycle()],
  ["a date", request(1, "hang", { name: new Date(0) })],
  ["a map", new Map([["_tag", "Ping"]])],
  ["bytes", request(1, "hang", new Uint8Array(8))],
  ["a large number of bytes", request(1, "hang", new ArrayBuffer(8 * 1024 * 1024))],
  ["a big integer", request(1, "add", { a: 1n, b: 2n })],
  ["no number", request(1, "add", { a: Number.NaN, b: 1 })],
  ["an error", new Error("Ping")]
]

/** What holds with and without a transport. */
const behaviour = (make: Effect.Effect<Client, never, Layer.Success<typeof handlers> | Scope.Scope>) => {
  const test = (
    name: string,
    body: (client: Client, probe: Probe["Service"]) => Effect.Effect<void, unknown, Scope.Scope>
  ) =>
    it.live(name, () =>
      Effect.gen(function*() {
        const client = yield* make
        yield* body(client, yield* Probe)
      }).pipe(Effect.provide(handlers)))

  test("answers a call", (client) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
    }))

  test("fails a call with an instance of its error", (client) =>
    Effect.gen(function*() {
      const broken = yield* Effect.flip(client.fail({ part: "door" }))
      assert.instanceOf(broken, Broken)
      assert.strictEqual(broken.message, "door is broken")
      assert.instanceOf(yield* Effect.flip(client.fail({})), Missing)
    }))

  test("gives the items of a stream in order, and its end", (client) =>
    Effect.gen(function*() {
      const items = yield* Stream.runCollect(client.count({ to: 1000 }))
      assert.deepStrictEqual(Array.from(items), Array.from({ length: 1000 }, (_, index) => index + 1))
    }))

  test("gives the items of a stream that fails, then its error", (client) =>
    Effect.gen(function*() {
      const seen = yield* Ref.make(0)
      const error = yield* client.countAndFail({ to: 40 }).pipe(
        Stream.runForEach(() => Ref.update(seen, (count) => count + 1)),
        Effect.flip
      )
      assert.instanceOf(error, Broken)
      assert.strictEqual(yield* Ref.get(seen), 40)
    }))

  test("interrupts the stream at the server when its reader stops", (client, probe) =>
    Effect.gen(function*() {
      yield* Stream.runDrain(Stream.take(client.pour({ name: "water" }), 3))
      yield* probe.until("interrupted water")
    }))

  test("interrupts the call at the server when its caller is interrupted", (client, probe) =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkScoped(client.hang({ name: "call" }))
      yield* probe.until("started call")
      yield* Fiber.interrupt(fiber)
      yield* probe.until("interrupted call")
    }))

  test("ends only the call that has a defect", (client, probe) =>
    Effect.gen(function*() {
      const other = yield* Effect.forkScoped(client.hang({ name: "other" }))
      yield* probe.until("started other")
      const exit = yield* Effect.exit(client.die({ message: "a bug" }))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), String(exit))
      assert.include(String(exit), "a bug")
      yield* probe.release
      assert.strictEqual(yield* Fiber.join(other), "other")
      assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
    }))

  test("answers 100 calls at once", (client) =>
    Effect.gen(function*() {
      const sums = yield* Effect.forEach(
        Array.from({ length: 100 }, (_, index) => index),
        (index) => client.add({ a: index, b: index }),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(sums, Array.from({ length: 100 }, (_, index) => 2 * index))
    }))

  test("keeps 100 streams and 100 calls apart", (client, probe) =>
    Effect.gen(function*() {
      const watching = yield* Effect.forEach(
        Array.from({ length: 100 }, (_, index) => `${index}`),
        (name) =>
          Effect.gen(function*() {
            const calls = yield* Effect.forkScoped(client.hang({ name }))
            const first = yield* Effect.forkScoped(
              client.watch({ name }).pipe(Stream.takeUntil((picture) => picture === "second"), Stream.runCollect)
            )
            return { name, calls, first }
          })
      )
      yield* Queue.takeN(probe.events, 200)
      yield* SubscriptionRef.set(probe.picture, "second")
      yield* probe.release
      for (const { calls, first, name } of watching) {
        assert.strictEqual(yield* Fiber.join(calls), name)
        assert.deepStrictEqual(Array.from(yield* Fiber.join(first)), ["first", "second"])
      }
    }))
}

describe("in memory, without a transport", () =>
  behaviour(RpcTest.makeClient(Suite, { disableFatalDefects: true }) as unknown as Effect.Effect<Client, never, never>))

const suite = (transport: Transport) => {
  behaviour(Effect.flatMap(transport.serve(Suite), ({ window }) => Effect.flatMap(window, clientOf)))

  const test = (
    name: string,
    body: (
      serving: Effect.Success<ReturnType<Transport["serve"]>>,
      probe: Probe["Service"]
    ) => Effect.Effect<void, unknown, Scope.Scope>,
    limits: Partial<typeof TransportLimits.defaults> = {}
  ) =>
    it.live(name, () =>
      Effect.gen(function*() {
        const serving = yield* transport.serve(Suite)
        yield* body(serving, yield* Probe)
      }).pipe(
        Effect.provide(handlers),
        Effect.provideService(TransportLimits, { ...TransportLimits.defaults, ...limits })
      ))

  test("a call that interrupts itself is a defect, not an interruption of the caller", ({ window }) =>
    Effect.gen(function*() {
      const client = yield* clientOf(yield* window)
      const exit = yield* Effect.exit(client.interruptItself())
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause) && !Cause.hasInterrupts(exit.cause), String(exit))
    }))

  test(
    "a stream that is not read holds up no other call, and stays small",
    ({ window }, probe) =>
      Effect.gen(function*() {
        const client = yield* clientOf(yield* window)
        const unread = yield* client.pour({ name: "water" }, { asQueue: true, streamBufferSize: 2 })
        yield* probe.until("started water")
        yield* Effect.forEach(Array.from({ length: 50 }), () => client.add({ a: 1, b: 2 }))
        assert.isBelow(yield* Ref.get(probe.poured), 100)
        assert.strictEqual((yield* Queue.take(unread)).length, 1000)
      })
  )

  describe("a link that is lost", () => {
    test(
      "fails what runs over it at once, and interrupts it at the server, and nothing else",
      ({ window }, probe) =>
        Effect.gen(function*() {
          const mine = yield* window
          const client = yield* clientOf(mine)
          const other = yield* clientOf(yield* window)
          const untouched = yield* Effect.forkScoped(other.hang({ name: "other" }))
          yield* probe.until("started other")
          const call = yield* Effect.forkScoped(client.hang({ name: "call" }))
          yield* probe.until("started call")
          const stream = yield* Effect.forkScoped(Stream.runDrain(client.watch({ name: "stream" })))
          yield* probe.until("started stream")
          yield* mine.cut
          assertLost(yield* Fiber.await(call))
          assertLost(yield* Fiber.await(stream))
          assert.sameMembers(yield* Queue.takeN(probe.events, 2), ["interrupted call", "interrupted stream"])
          yield* probe.release
          assert.strictEqual(yield* Fiber.join(untouched), "other")
        })
    )

    test("fails 100 calls of it at once", ({ window }, probe) =>
      Effect.gen(function*() {
        const mine = yield* window
        const client = yield* clientOf(mine)
        const calls = yield* Effect.forEach(
          Array.from({ length: 100 }, (_, index) => `${index}`),
          (name) => Effect.forkScoped(client.hang({ name }))
        )
        yield* Queue.takeN(probe.events, 100)
        yield* mine.cut
        for (const call of calls) assertLost(yield* Fiber.await(call))
      }))

    test(
      transport.reopens ? "comes back by itself, and calls go through again" : "stays lost, and says so",
      ({ window }) =>
        Effect.gen(function*() {
          const mine = yield* window
          const client = yield* clientOf(mine)
          assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
          const seen = yield* Queue.unbounded<string>()
          const link = yield* Effect.provide(Link, mine.context)
          yield* link.changes.pipe(
            Stream.runForEach(({ _tag, since }) => {
              assert.match(since, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
              return Queue.offer(seen, _tag)
            }),
            Effect.forkScoped
          )
          assert.strictEqual(yield* Queue.take(seen), "Online")
          yield* mine.cut
          if (transport.reopens) {
            assert.deepStrictEqual(yield* Queue.takeN(seen, 2), ["Offline", "Online"])
            assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
          } else {
            assert.strictEqual(yield* Queue.take(seen), "Closed")
            assertLost(yield* Effect.exit(client.add({ a: 1, b: 2 })))
            assertLost(yield* Effect.exit(Stream.runDrain(client.watch({ name: "late" }))))
          }
        })
    )

    test(
      transport.reopens ? "resumes a stream with the present picture" : "ends a stream that would resume",
      ({ window }, probe) =>
        Effect.gen(function*() {
          const mine = yield* window
          const client = yield* clientOf(mine)
          const pictures = yield* Queue.unbounded<string>()
          const watching = yield* resuming(client.watch({ name: "stream" })).pipe(
            Stream.runForEach((picture) => Queue.offer(pictures, picture)),
            Effect.provide(mine.context),
            Effect.forkScoped
          )
          assert.strictEqual(yield* Queue.take(pictures), "first")
          yield* SubscriptionRef.set(probe.picture, "second")
          assert.strictEqual(yield* Queue.take(pictures), "second")
          yield* mine.cut
          yield* probe.until("interrupted stream")
          yield* SubscriptionRef.set(probe.picture, "third")
          if (!transport.reopens) return assertLost(yield* Fiber.await(watching))
          assert.strictEqual(yield* Queue.take(pictures), "third")
          yield* SubscriptionRef.set(probe.picture, "fourth")
          assert.strictEqual(yield* Queue.take(pictures), "fourth")
          // Again and again.
          for (const picture of ["fifth", "sixth", "seventh"]) {
            yield* linkIs(mine, "Online")
            yield* mine.cut
            yield* probe.until("interrupted stream")
            yield* SubscriptionRef.set(probe.picture, picture)
            assert.strictEqual(yield* Queue.take(pictures), picture)
          }
        }),
      { retryFirst: Duration.millis(5), retryMost: Duration.millis(20) }
    )

    test("does not resume after an error of the stream's own", ({ window }) =>
      Effect.gen(function*() {
        const mine = yield* window
        const client = yield* clientOf(mine)
        const error = yield* resuming(client.countAndFail({ to: 2 })).pipe(
          Stream.runDrain,
          Effect.provide(mine.context),
          Effect.flip
        )
        assert.instanceOf(error, Broken)
      }))

    it.live("is told when the server stops: no call looks interrupted", () =>
      Effect.gen(function*() {
        const probe = yield* Probe
        const scope = yield* Effect.scope
        const stop = yield* Deferred.make<void>()
        const ready = yield* Deferred.make<Window>()
        yield* Effect.gen(function*() {
          // The window is of this test's scope, the server is not.
          const { window } = yield* transport.serve(Suite)
          yield* Deferred.succeed(ready, yield* Scope.provide(window, scope))
          yield* Deferred.await(stop)
        }).pipe(Effect.scoped, Effect.forkScoped)
        const client = yield* clientOf(yield* Deferred.await(ready))
        const call = yield* Effect.forkScoped(client.hang({ name: "call" }))
        const stream = yield* Effect.forkScoped(Stream.runDrain(client.watch({ name: "stream" })))
        yield* Queue.takeN(probe.events, 2)
        yield* Deferred.succeed(stop, undefined)
        assertLost(yield* Fiber.await(call))
        assertLost(yield* Fiber.await(stream))
      }).pipe(Effect.provide(handlers)))
  })

  describe("a message that is none ends its sender, and nobody else", () => {
    for (const [name, message] of [...malformed, ...(transport.clones ? unjson : [])]) {
      test(name, ({ raw, window }, probe) =>
        Effect.gen(function*() {
          const client = yield* clientOf(yield* window)
          const call = yield* Effect.forkScoped(client.hang({ name: "honest" }))
          yield* probe.until("started honest")
          const hostile = yield* raw
          hostile.post(message)
          yield* hostile.ended
          assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
          yield* probe.release
          assert.strictEqual(yield* Fiber.join(call), "honest")
          assert.isUndefined(({} as Record<string, unknown>)["polluted"])
        }))
    }

    test("the id of a call that runs", ({ raw }, probe) =>
      Effect.gen(function*() {
        const hostile = yield* raw
        hostile.post(request(7, "hang", { name: "call" }))
        yield* probe.until("started call")
        hostile.post(request(7, "add", { a: 1, b: 2 }))
        yield* hostile.ended
        yield* probe.until("interrupted call")
      }))

    test("more than is worked off", ({ raw, window }) =>
      Effect.gen(function*() {
        const client = yield* clientOf(yield* window)
        const hostile = yield* raw
        for (let count = 0; count < 2000; count++) hostile.post({ _tag: "Ping", more: "x".repeat(1000) })
        yield* hostile.ended
        assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
      }), { waitingBytes: 4096 })
  })

  describe("a message that asks for what is not there", () => {
    test("a call that does not exist is a defect of that call", ({ raw }) =>
      Effect.gen(function*() {
        const hostile = yield* raw
        for (const tag of ["nope", "", "constructor", "__proto__", "toString", "hasOwnProperty"]) {
          hostile.post(request(1, tag, {}))
          assertDied(yield* answerTo(hostile, 1), /Unknown request tag/)
        }
        hostile.post(request(2, "add", { a: 1, b: 2 }))
        assert.deepStrictEqual(yield* answerTo(hostile, 2), success(2, 3))
      }))

    test("a payload that the schema refuses is a defect of that call", ({ raw }) =>
      Effect.gen(function*() {
        const hostile = yield* raw
        for (const payload of [undefined, null, 1, "x", [], {}, { a: 1 }, { a: "1", b: 2 }, { a: 1.5, b: 2 }]) {
          hostile.post(request("id", "add", payload))
          assertDied(yield* answerTo(hostile, "id"), /Expected|Missing/)
        }
        hostile.post(request("id", "add", { a: 1, b: 2, more: { constructor: 1 } }))
        assert.deepStrictEqual(yield* answerTo(hostile, "id"), success("id", 3))
      }))

    test("acknowledgements and interrupts of nothing are nothing", ({ raw }) =>
      Effect.gen(function*() {
        const hostile = yield* raw
        for (const requestId of [0, -1, "0", "constructor", Number.MAX_SAFE_INTEGER]) {
          hostile.post({ _tag: "Ack", requestId })
          hostile.post({ _tag: "Interrupt", requestId })
        }
        hostile.post({ _tag: "Ping" })
        assert.deepStrictEqual(yield* Queue.take(hostile.received), { _tag: "Pong" })
        hostile.post(request(1, "add", { a: 1, b: 2 }))
        assert.deepStrictEqual(yield* Queue.take(hostile.received), success(1, 3))
      }))

    test("the ids of another window's calls are nobody's", ({ raw, window }, probe) =>
      Effect.gen(function*() {
        const client = yield* clientOf(yield* window)
        const call = yield* Effect.forkScoped(client.hang({ name: "honest" }))
        const pictures = yield* client.watch({ name: "stream" }, { asQueue: true })
        assert.strictEqual(yield* Queue.take(pictures), "first")
        yield* Queue.takeN(probe.events, 2)
        const hostile = yield* raw
        // Ids are small numbers that count up.
        for (let requestId = 0; requestId < 5000; requestId++) {
          hostile.post({ _tag: "Interrupt", requestId })
          hostile.post({ _tag: "Ack", requestId })
        }
        hostile.post({ _tag: "Ping" })
        assert.deepStrictEqual(yield* Queue.take(hostile.received), { _tag: "Pong" })
        yield* SubscriptionRef.set(probe.picture, "second")
        assert.strictEqual(yield* Queue.take(pictures), "second")
        yield* probe.release
        assert.strictEqual(yield* Fiber.join(call), "honest")
      }))

    test("the same id in two windows is two calls", ({ raw }, probe) =>
      Effect.gen(function*() {
        const [one, two] = [yield* raw, yield* raw]
        one.post(request(1, "hang", { name: "one" }))
        two.post(request(1, "hang", { name: "two" }))
        yield* Queue.takeN(probe.events, 2)
        two.post({ _tag: "Interrupt", requestId: 1 })
        yield* probe.until("interrupted two")
        yield* probe.release
        assert.deepStrictEqual(yield* answerTo(one, 1), success(1, "one"))
      }))

    test("headers, traces and marks of a call are ignored", ({ raw }) =>
      Effect.gen(function*() {
        const hostile = yield* raw
        hostile.post({
          ...request(1, "add", { a: 1, b: 2 }),
          headers: [["__proto__", "x"], 1, { length: 2 }],
          traceId: 1,
          spanId: {},
          sampled: "no",
          discard: true
        })
        assert.deepStrictEqual(yield* answerTo(hostile, 1), success(1, 3))
      }))

    test(
      "a call beyond the number of calls at a time is a defect of that call",
      ({ raw }, probe) =>
        Effect.gen(function*() {
          const hostile = yield* raw
          for (let id = 0; id < 5; id++) hostile.post(request(id, "hang", { name: `${id}` }))
          assertDied(yield* answerTo(hostile, 4), /Too many calls/)
          yield* probe.release
          for (let id = 0; id < 4; id++) yield* answerTo(hostile, id)
          hostile.post(request(5, "add", { a: 1, b: 2 }))
          assert.deepStrictEqual(yield* answerTo(hostile, 5), success(5, 3))
        }),
      { calls: 4 }
    )
  })

  test(
    "a stream that is never acknowledged sends one round of items",
    ({ raw, window }, probe) =>
      Effect.gen(function*() {
        const hostile = yield* raw
        for (let id = 0; id < 20; id++) hostile.post(request(id, "pour", { name: `${id}` }))
        const client = yield* clientOf(yield* window)
        for (let id = 0; id < 20; id++) yield* answerTo(hostile, id)
        yield* Effect.forEach(Array.from({ length: 50 }), () => client.add({ a: 1, b: 2 }))
        assert.isAtMost(yield* Ref.get(probe.poured), 40)
        // Acknowledgements in advance do not count.
        for (let count = 0; count < 1000; count++) hostile.post({ _tag: "Ack", requestId: 0 })
        hostile.post({ _tag: "Ping" })
        yield* Effect.repeat(Queue.take(hostile.received), {
          until: (message) => (message as { readonly _tag: string })._tag === "Pong"
        })
        yield* Effect.forEach(Array.from({ length: 50 }), () => client.add({ a: 1, b: 2 }))
        assert.isAtMost(yield* Ref.get(probe.poured), 1100)
      })
  )

  const Json = Schema.Json
  const Nearly = Schema.Struct({
    _tag: Schema.Literals(["Request", "Ack", "Interrupt", "Ping", "Eof", "Exit", "Chunk", "Defect"]),
    id: Schema.optionalKey(Schema.Union([Schema.Int, Schema.String, Json])),
    requestId: Schema.optionalKey(Schema.Union([Schema.Int, Schema.String, Json])),
    tag: Schema.optionalKey(Schema.Union([Schema.Literals(["add", "hang", "pour", "watch", "fail"]), Json])),
    payload: Schema.optionalKey(Json),
    headers: Schema.optionalKey(Json),
    discard: Schema.optionalKey(Json)
  })
  const messages = Arbitrary.array(Arbitrary.schema(Schema.Union([Json, Nearly, Nearly])), { maxLength: 12 })

  it.live("survives any JSON, and so do the calls of others", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const serving = yield* transport.serve(Suite)
      const client = yield* clientOf(yield* serving.window)
      const honest = yield* Effect.forkScoped(client.hang({ name: "honest" }))
      yield* probe.until("started honest")
      const result = yield* Arbitrary.checkEffect(messages, (sent) =>
        Effect.scoped(Effect.gen(function*() {
          const hostile = yield* serving.raw
          for (const message of sent) hostile.post(message)
          return (yield* client.add({ a: 1, b: 2 })) === 3
        })), { runs: 100 })
      assert.isUndefined(Arbitrary.formatCheckFailure(result))
      yield* probe.release
      assert.strictEqual(yield* Fiber.join(honest), "honest")
    }).pipe(Effect.provide(handlers)))
}

for (const transport of transports) describe(transport.name, () => suite(transport))
