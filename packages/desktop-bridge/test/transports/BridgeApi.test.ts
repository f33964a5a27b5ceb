/** The contract itself over every transport: whatever its schemas allow arrives as it was sent, both ways. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Option, Queue, Ref, type Schema, Stream } from "effect"
import type * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSchema from "effect/rpc/RpcSchema"
import { BridgeApi } from "../../src/BridgeApi.ts"
import { BridgeError } from "../../src/BridgeError.ts"
import { transports } from "../support/Transport.ts"

const calls = [...BridgeApi.requests.values()] as unknown as ReadonlyArray<Rpc.AnyWithProps>

/** What the main process answers next, and what it was asked. */
const makeMain = Effect.gen(function*() {
  const asked = yield* Queue.unbounded<readonly [call: string, payload: unknown]>()
  const answer = yield* Ref.make<Effect.Effect<unknown, unknown>>(Effect.void)
  const handler = (rpc: Rpc.AnyWithProps) => (payload: unknown) => {
    const answered = Effect.andThen(Queue.offer(asked, [rpc._tag, payload]), Effect.flatten(Ref.get(answer)))
    return RpcSchema.isStreamSchema(rpc.successSchema) ? Stream.fromEffect(answered) : answered
  }
  // The handlers' types differ from call to call; their schemas are what is tried here.
  const handlers = Object.fromEntries(calls.map((rpc) => [rpc._tag, handler(rpc)]))
  return { asked, answer, layer: BridgeApi.toLayer(handlers as never) }
})

const samplesOf = (schema: Schema.Top, count: number) =>
  Arbitrary.sampleEffect(Arbitrary.schema(schema as Schema.Codec<unknown>), { count, seed: "bridge" }).pipe(
    Effect.orDie
  )

const successOf = ({ successSchema }: Rpc.AnyWithProps): Schema.Top =>
  RpcSchema.isStreamSchema(successSchema) ? successSchema.success as Schema.Top : successSchema

for (const transport of transports) {
  describe(`the bridge over ${transport.name}`, () => {
    for (const rpc of calls) {
      it.live(rpc._tag, () =>
        Effect.gen(function*() {
          const main = yield* makeMain
          const { window } = yield* Effect.provide(transport.serve(BridgeApi), main.layer)
          const client = yield* RpcClient.make(BridgeApi, { flatten: true }).pipe(
            Effect.provide((yield* window).context)
          )
          const call = (payload: unknown): Effect.Effect<unknown, unknown> => {
            const called: unknown = client(rpc._tag as never, payload as never)
            return Stream.isStream(called)
              ? Stream.runHead(called as Stream.Stream<unknown, unknown>).pipe(Effect.map(Option.getOrUndefined))
              : called as Effect.Effect<unknown, unknown>
          }
          const payloads = yield* samplesOf(rpc.payloadSchema, 10)
          const successes = yield* samplesOf(successOf(rpc), 10)
          const errors = yield* samplesOf(BridgeError, 10)
          for (const [index, payload] of payloads.entries()) {
            yield* Ref.set(main.answer, Effect.succeed(successes[index]))
            assert.deepStrictEqual(yield* call(payload), successes[index])
            assert.deepStrictEqual(yield* Queue.take(main.asked), [rpc._tag, payload])
            const error = errors[index] as BridgeError
            yield* Ref.set(main.answer, Effect.fail(error))
            const failure = yield* Effect.flip(call(payload)) as Effect.Effect<BridgeError>
            assert.deepStrictEqual(failure, error)
            assert.strictEqual(failure.constructor, error.constructor)
            assert.deepStrictEqual(failure.remedy, error.remedy)
            yield* Queue.take(main.asked)
          }
        }))
    }
  })
}
