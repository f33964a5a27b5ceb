import { assert, describe, it } from "@effect/vitest"
import { picture, recording, replay, svg, textOf } from "../lib/terminal.ts"

const shown = (output: string, columns = 20) => textOf(replay(output, columns))

describe("a terminal", () => {
  it("overwrites, erases and moves", () => {
    assert.strictEqual(shown("one\rtwo\r\nthree\b\bEE\n"), "two\nthrEE")
    assert.strictEqual(shown("⠋ wait\r\u001b[2K✓ done"), "✓ done")
    assert.strictEqual(shown("abcdef\r\u001b[3C\u001b[K"), "abc")
    assert.strictEqual(shown("abc\u001b[1Kd"), "   d")
    assert.strictEqual(shown("a\nb\nc\u001b[2A\rx\n\u001b[J"), "x")
    assert.strictEqual(shown("a\tb\u001b[Gc\u001b[?25l"), "c       b")
    assert.strictEqual(shown("ab\u001b[2Dc\u001b[Bd"), "cb\n d")
  })

  it("breaks lines at its width only", () => {
    assert.strictEqual(shown("12345", 5), "12345")
    assert.strictEqual(shown("12345\n6", 5), "12345\n6")
    assert.strictEqual(shown("123456", 5), "12345\n6")
  })

  it("drops titles, and refuses what it does not know", () => {
    assert.strictEqual(shown("\u001b]0;title\u0007text"), "text")
    assert.throws(() => shown("\u001b[3S"), "not known")
    assert.throws(() => shown("\u001b[48;5;1mx"), "not known")
    assert.throws(() => shown("\u0007"), "not known")
  })
})

describe("a picture", () => {
  it("keeps colours and places, and escapes", () => {
    const text = svg(replay("\u001b[32m✓\u001b[0m  <a & \u001b[1;2mb\u001b[22m c", 20), 20, "a \"b\"")
    assert.include(text, ">✓</text>")
    assert.include(text, `fill="#3fb950"`)
    assert.include(text, "&lt;a &amp;</text>")
    assert.include(text, `font-weight="bold" opacity="0.65">b</text>`)
    assert.include(text, "<title>a &quot;b&quot;</title>")
    assert.match(text, /<text x="41\.2" y="46" textLength="33\.6">&lt;a &amp;<\/text>/)
  })

  it("of a recording shows its command first", () => {
    const text = picture(recording("npm run demo", 40, "hello\r\n"))
    assert.include(text, "<desc>$ npm run demo\nhello</desc>")
    assert.throws(() => picture("hello"), "begins with its command")
  })
})
