import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Protocol from "../../src/internal/remoteProtocol.ts"

const nonce = "0123456789abcdef"

const read = (pieces: ReadonlyArray<string>, word = nonce) => {
  const feed = Protocol.feed(word)
  let reading = Protocol.initial
  const events: Array<Protocol.RemoteEvent> = []
  for (const piece of pieces) {
    const [next, more] = feed(reading, piece)
    reading = next
    events.push(...more)
    assert.isAtMost(reading.partial.length, Protocol.maximumLine + piece.length)
    assert.isAtMost(reading.noise.length, Protocol.maximumNoise)
  }
  return { events, reading }
}

/** Cuts a text at these places (modulo its length). */
const cut = (text: string, places: ReadonlyArray<number>): ReadonlyArray<string> => {
  const sorted = [...new Set(places.map((place) => Math.abs(place) % (text.length + 1)))].sort((a, b) => a - b)
  return [...sorted, text.length].map((place, index) => text.slice(sorted[index - 1] ?? 0, place))
}

// Anything an rc file may print; a line of it that happens to be ours is another matter.
const Noise = Schema.Array(Schema.Union([
  Schema.String,
  Schema.Literals([
    "Welcome to Debian\n",
    "no newline at the end",
    "\r\n",
    " 0123456789abcdef step starting\n",
    "fedcba9876543210 result {\"server\":null}\n",
    "0123456789abcde\n",
    "0123456789abcdefstep looking\n",
    "\u0000\u001b[31m\n",
    "😀\n"
  ])
]))

const Line = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("step"), text: Schema.Literals(["looking", "starting", "waiting"]) }),
  Schema.Struct({ kind: Schema.Literal("log"), text: Schema.String }),
  Schema.Struct({ kind: Schema.Literal("result"), text: Schema.Json })
])

const rendered = (line: typeof Line.Type): string =>
  `\n${nonce} ${line.kind} ${
    line.kind === "result" ? JSON.stringify(line.text) : line.text.replaceAll(/[\r\n]/g, "")
  }\n`

const expected = (line: typeof Line.Type): Protocol.RemoteEvent =>
  line.kind === "step"
    ? { _tag: "Step", step: line.text }
    : line.kind === "log"
    ? { _tag: "Log", line: line.text.replaceAll(/[\r\n]/g, "") }
    : { _tag: "Result", value: JSON.parse(JSON.stringify(line.text)) }

/** Noise that holds no whole line of ours. */
const harmless = (noise: ReadonlyArray<string>): string =>
  noise.join("").split("\n").filter((line) => !line.startsWith(`${nonce} `)).join("\n")

describe("remoteProtocol", () => {
  it.effect.prop(
    "reads its lines among any noise, wherever the pieces end",
    [Schema.Array(Schema.Tuple([Noise, Line])), Noise, Schema.Array(Schema.Int)],
    ([parts, last, places]) =>
      Effect.sync(() => {
        const text = parts.map(([noise, line]) => harmless(noise) + rendered(line)).join("") + harmless(last)
        const { events } = read(cut(text, places))
        assert.deepStrictEqual(events, parts.map(([, line]) => expected(line)))
      })
  )

  it.effect.prop(
    "keeps the end of the noise, wherever the pieces end",
    [Noise, Schema.Array(Schema.Int)],
    ([noise, places]) =>
      Effect.sync(() => {
        const text = harmless(noise)
        const whole = read([text]).reading
        const pieces = read(cut(text, places)).reading
        assert.strictEqual(pieces.noise + pieces.partial, whole.noise + whole.partial)
      })
  )

  it("takes no line that only looks like one of its own", () => {
    const fakes = [
      `x${nonce} result {"server":null}\n`,
      ` ${nonce} result {"server":null}\n`,
      `${nonce}\tresult {"server":null}\n`,
      `${nonce.toUpperCase()} result {"server":null}\n`,
      `${"f".repeat(nonce.length)} result {"server":null}\n`,
      `result {"server":null}\n`
    ]
    assert.deepStrictEqual(read(fakes).events, [])
  })

  it("ignores what newer scripts may say, and says what cannot be read", () => {
    const { events } = read([
      `${nonce} wonder 1\n${nonce} result {"a":\n${nonce} found [1]\n${nonce}  \n${nonce} step\r\n`
    ])
    assert.deepStrictEqual(events, [
      { _tag: "Garbled", kind: "result" },
      { _tag: "Found", value: [1] },
      { _tag: "Step", step: "" }
    ])
  })

  it("does not collect a line of 10 MB, ours or not", () => {
    const megabyte = "a".repeat(1024 * 1024)
    const pieces = (start: string) => [start, ...Array.from({ length: 10 }, () => megabyte), "\n"]
    const stranger = read([...pieces("x"), `${nonce} step looking\n`])
    assert.deepStrictEqual(stranger.events, [{ _tag: "Step", step: "looking" }])
    const result = read([...pieces(`${nonce} result "`), `${nonce} step looking\n`])
    assert.deepStrictEqual(result.events, [{ _tag: "Garbled", kind: "result" }, { _tag: "Step", step: "looking" }])
    const log = read([...pieces(`${nonce} log `), `${nonce} log b\n`])
    assert.strictEqual(log.events.length, 2)
    assert.isTrue(log.events.every((event) => event._tag === "Log" && event.line.length <= Protocol.maximumLine))
  })

  it("cuts no character in two", () => {
    assert.strictEqual(Protocol.tail("😀😀", 3), "😀")
    assert.strictEqual(Protocol.tail("abc", 3), "abc")
  })
})
