import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { readIncoming } from "../../src/internal/incoming.ts"
import { TransportLimits } from "../../src/TransportLimits.ts"

const limits = { ...TransportLimits.defaults, messageBytes: 4096, messageDepth: 8 }

const call = (payload: unknown) => ({ _tag: "Request", id: 1, tag: "add", payload, headers: [] })

describe("a message that comes in", () => {
  it("is rebuilt from what was looked at", () => {
    const payload = { a: [1, "two", null, true], b: {} }
    const given = {
      ...call(payload),
      traceId: "t",
      spanId: "s",
      sampled: true,
      discard: true,
      headers: [["a", "b"]],
      x: 1
    }
    assert.deepStrictEqual(readIncoming(given, limits)?.message, {
      _tag: "Request",
      id: 1,
      tag: "add",
      payload,
      headers: []
    })
    assert.deepStrictEqual(readIncoming({ _tag: "Ack", requestId: "a", x: 1 }, limits)?.message, {
      _tag: "Ack",
      requestId: "a"
    })
    assert.deepStrictEqual(readIncoming({ _tag: "Ping", x: 1 }, limits)?.message, { _tag: "Ping" })
  })

  it("may not take its words from its prototype", () => {
    assert.isUndefined(readIncoming(Object.create({ _tag: "Ping" }), limits))
    assert.isUndefined(readIncoming(Object.assign(Object.create(null), { _tag: "Ack" }), limits))
    assert.deepStrictEqual(readIncoming(Object.assign(Object.create(null), { _tag: "Ping" }), limits)?.message, {
      _tag: "Ping"
    })
  })

  it("is measured to the byte before the limit, and not after", () => {
    const most = (length: number) => readIncoming(call("x".repeat(length)), limits)
    const fits = Array.from({ length: 4096 }, (_, length) => length).filter((length) => most(length) !== undefined)
    assert.strictEqual(fits.length, fits.at(-1)! + 1)
    assert.strictEqual(most(fits.at(-1)!)?.bytes, limits.messageBytes)
  })

  it("is as deep as the limit, and not deeper", () => {
    const deep = (levels: number): unknown => levels === 0 ? 1 : [deep(levels - 1)]
    assert.isDefined(readIncoming(call(deep(7)), limits))
    assert.isUndefined(readIncoming(call(deep(8)), limits))
  })

  it("without an end costs no time", () => {
    const sparse: Array<unknown> = []
    sparse.length = 2 ** 31
    assert.isUndefined(readIncoming(call(sparse), limits))
    const wide = { again: {} as unknown }
    let value: unknown = wide
    for (let level = 0; level < 6; level++) value = [value, value, value, value, value, value, value, value]
    assert.isUndefined(readIncoming(call(value), limits))
    wide.again = wide
    assert.isUndefined(readIncoming(call(wide), limits))
  })

  it.effect.prop("keeps any payload as it is", [Arbitrary.schema(Schema.Json)], ([payload]) =>
    Effect.sync(() => {
      const roomy = TransportLimits.defaults
      const read = readIncoming(call(payload), roomy)
      if (JSON.stringify(payload).includes("\"__proto__\"")) return
      assert.deepStrictEqual(read?.message, call(payload) as never)
      assert.isAtLeast(read?.bytes ?? 0, JSON.stringify(payload).length / 6)
    }))

  it.effect.prop(
    "of any kind is read or refused, never an error",
    [Arbitrary.schema(Schema.Json)],
    ([message]) =>
      Effect.sync(() => {
        const read = readIncoming(message, limits)
        assert.isTrue(read === undefined || ["Request", "Ack", "Interrupt", "Ping"].includes(read.message._tag))
      })
  )
})
