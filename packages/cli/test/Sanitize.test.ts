import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Sanitize from "../src/Sanitize.ts"

/** Text with many of the characters that matter. */
const HostileText = Schema.Array(Schema.Union([
  Schema.String,
  Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff })).pipe(Schema.brand("CodeUnit"))
]))

const textOf = (parts: ReadonlyArray<string | number>): string =>
  parts.map((part) => typeof part === "string" ? part : String.fromCharCode(part)).join("")

const isControl = (character: string): boolean => {
  const code = character.codePointAt(0) ?? 0
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0x2028 || code === 0x2029 ||
    (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || (code >= 0xd800 && code <= 0xdfff)
}

it.effect.prop(
  "no control character, bidirectional override or lone surrogate is left",
  [HostileText],
  ([parts]) =>
    Effect.sync(() => {
      const text = textOf(parts)
      for (const harmless of [Sanitize.line(text), ...Sanitize.lines(text), Sanitize.logLine(text)]) {
        assert.isFalse(Array.from(harmless).some(isControl), JSON.stringify(harmless))
      }
    })
)

it.effect.prop(
  "printable ASCII stays as it is",
  [Schema.String.check(Schema.isPattern(/^[ -~]*$/))],
  ([text]) =>
    Effect.sync(() => {
      assert.strictEqual(Sanitize.line(text), text)
    })
)

it("shows what a terminal would obey", () => {
  assert.strictEqual(Sanitize.line("1.0\u001b]0;title\u0007"), "1.0\\x1b]0;title\\x07")
  assert.strictEqual(Sanitize.line("a\u202eb\u009bc\u0000"), "a\\u202eb\\x9bc\\x00")
  assert.strictEqual(Sanitize.line("é 漢 🙂"), "é 漢 🙂")
})

it("keeps line ends, and drops the colours of a log", () => {
  assert.deepStrictEqual(Sanitize.lines("a\r\nb\tc\n\u001b[2J"), ["a", "b c", "\\x1b[2J"])
  assert.strictEqual(Sanitize.logLine("\u001b[1;31mERROR\u001b[0m no\u001b[2J"), "ERROR no\\x1b[2J")
})
