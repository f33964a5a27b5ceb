import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import {
  ConnectionError,
  describe as describeError,
  HostKeyUnknown,
  isConnectionError,
  TransportError
} from "../src/index.ts"

it.effect.prop(
  "every error survives the wire as an instance, with its derived texts",
  [ConnectionError],
  ([error]) =>
    Effect.gen(function*() {
      const wire = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(ConnectionError)(error)))
      const back = yield* Schema.decodeUnknownEffect(ConnectionError)(wire)
      assert.isTrue(isConnectionError(back))
      assert.strictEqual(back._tag, error._tag)
      assert.strictEqual(back.reason._tag, error.reason._tag)
      assert.strictEqual(back.message, error.message)
      assert.strictEqual(back.retryable, error.retryable)
      assert.strictEqual(JSON.stringify(describeError(back)), JSON.stringify(describeError(error)))
      assert.isAbove(back.message.length, 0)
      assert.isAbove(back.remedy.text.length, 0)
    })
)

it("the wire form is { _tag, reason } and nothing derived", () => {
  const error = new TransportError({
    reason: new HostKeyUnknown({
      target: { host: "box", options: ["-p", "2222"] },
      keyType: "ED25519",
      fingerprint: "SHA256:abc",
      rememberable: true
    })
  })
  assert.deepStrictEqual(Schema.encodeSync(ConnectionError)(error) as unknown, {
    _tag: "TransportError",
    reason: {
      _tag: "HostKeyUnknown",
      target: { host: "box", options: ["-p", "2222"] },
      keyType: "ED25519",
      fingerprint: "SHA256:abc",
      rememberable: true
    }
  })
  assert.strictEqual(error.remedy.command, "ssh -S none -o StrictHostKeyChecking=ask -p 2222 box true")
})
