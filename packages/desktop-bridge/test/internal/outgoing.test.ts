import { assert, describe, it } from "@effect/vitest"
import { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { Credentials } from "@opencode-ai/ssh-tunnel/Credentials"
import { CredentialStore } from "@opencode-ai/ssh-tunnel/CredentialStore"
import { FlightRecorder } from "@opencode-ai/ssh-tunnel/FlightRecorder"
import { Effect, Layer, Redacted, Schema } from "effect"
import { BridgeError } from "../../src/BridgeError.ts"
import * as Outgoing from "../../src/internal/outgoing.ts"
import * as Sanitize from "../../src/Sanitize.ts"
import * as World from "../support/World.ts"

// eslint-disable-next-line no-control-regex -- control characters are what must not be there
const acting = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\p{Cs}/u

const encode = Schema.encodeSync(BridgeError)
const secret = "hunter2-hunter2"
const credentials = new Credentials({ username: "opencode", password: Redacted.make(secret) })

describe("what leaves for a window", () => {
  it.effect.prop(
    "any error arrives as an instance of its class, and none of its texts can act",
    [BridgeError],
    ([error]) =>
      Effect.sync(() => {
        const cleaned = Outgoing.error(error, Sanitize.lines)
        assert.strictEqual(cleaned.constructor, error.constructor)
        const texts: Array<string> = [cleaned.message]
        JSON.stringify(encode(cleaned), (_, value: unknown) => {
          if (typeof value === "string") texts.push(value)
          return value
        })
        for (const text of texts) assert.notMatch(text, acting)
      })
  )

  it.effect.prop(
    "any state stays that state, and a second cleaning changes nothing",
    [ConnectionState],
    ([state]) =>
      Effect.sync(() => {
        const cleaned = Outgoing.state(state, Sanitize.lines)
        assert.strictEqual(cleaned._tag, state._tag)
        assert.deepStrictEqual(Outgoing.state(cleaned, Sanitize.lines), cleaned)
      })
  )

  it.effect.prop("any text loses what acts and keeps its words", [Schema.String], ([text]) =>
    Effect.sync(() => {
      assert.notMatch(Sanitize.lines(text), acting)
      assert.notInclude(Sanitize.line(text, 100), "\n")
      assert.strictEqual(Sanitize.lines("Größe: 5 µs 日本 👍 é"), "Größe: 5 µs 日本 👍 é")
    }))

  it.effect("secrets of a profile's store are known, and new ones from when they come", () =>
    Effect.gen(function*() {
      const { cleaner } = yield* Outgoing.make
      const store = yield* CredentialStore
      const other = "correct-horse-battery"
      const text = `${secret} ${other}`
      assert.strictEqual((yield* cleaner())(text), text)
      assert.strictEqual((yield* cleaner(World.id("box")))(text), `<redacted> ${other}`)
      assert.notInclude((yield* cleaner(World.id("box")))(btoa(`opencode:${secret}`)), btoa("hunter2-hun"))
      yield* store.set(World.id("b"), new Credentials({ username: "x", password: Redacted.make(other) }))
      assert.strictEqual((yield* cleaner(World.id("b")))(text), `${secret} <redacted>`)
      const recorder = yield* FlightRecorder
      yield* recorder.recorder(World.id("b")).secret(Redacted.make(secret))
      assert.strictEqual((yield* cleaner(World.id("b")))(text), "<redacted> <redacted>")
    }).pipe(
      Effect.provide(Layer.merge(FlightRecorder.layer, CredentialStore.layerMemory([[World.id("box"), credentials]])))
    ))

  it("a line of a log is cut", () => {
    const line = Outgoing.logLine(`${"x".repeat(5000)}\r`, Sanitize.lines)
    assert.isAtMost(line.length, 4097)
  })
})
