import { assert, it } from "@effect/vitest"
import { Arbitrary, Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionState } from "../src/ConnectionState.ts"
import { emptyHistory, FlightRecorder, keptOutput, Recording } from "../src/FlightRecorder.ts"
import { ProfileId } from "../src/Profile.ts"
import { index } from "./RedactionFixtures.ts"

const id = ProfileId.make("box")
const discovering = (since: string) => ConnectionState.cases.Discovering.make({ since })

it.effect("keeps the newest states, with their instants, and counts the others", () =>
  Effect.gen(function*() {
    const { history, recorder } = yield* FlightRecorder
    assert.deepStrictEqual(yield* history(id), emptyHistory)
    for (let at = 0; at < 130; at++) {
      yield* recorder(id).state(discovering(String(at)))
      yield* TestClock.adjust("10 millis")
    }
    const { forgotten, states } = yield* history(id)
    assert.strictEqual(forgotten, 30)
    assert.deepStrictEqual(states.map(({ at }) => at), Array.from({ length: 100 }, (_, number) => (number + 30) * 10))
    assert.deepStrictEqual(states[0]?.state, discovering("30"))
    assert.deepStrictEqual(yield* history(ProfileId.make("other")), emptyHistory)
  }).pipe(Effect.provide(FlightRecorder.layer)))

it.effect.prop(
  "keeps the end of an output in bounded memory, however it is cut into chunks",
  { lengths: Arbitrary.array(index(keptOutput * 3), { minLength: 1, maxLength: 8 }) },
  ({ lengths }) =>
    Effect.gen(function*() {
      const { history, recorder } = yield* FlightRecorder
      const append = yield* recorder(id).output("ssh")
      const chunks = lengths.map((length, number) => String.fromCharCode(97 + number).repeat(length))
      yield* Effect.forEach(chunks, append)
      const [output] = (yield* history(id)).outputs
      const all = chunks.join("")
      const text = output?.text ?? ""
      assert.isTrue(all.endsWith(text))
      assert.isAtMost(text.length, 2 * keptOutput)
      assert.isAtLeast(text.length, Math.min(all.length, keptOutput))
      assert.strictEqual(output?.cut, text.length < all.length)
    }).pipe(Effect.provide(FlightRecorder.layer))
)

it.effect("keeps processes apart, and forgets the oldest of the same source", () =>
  Effect.gen(function*() {
    const { history, recorder } = yield* FlightRecorder
    const remote = yield* recorder(id).output("remote stdout")
    const appends = yield* Effect.replicateEffect(recorder(id).output("ssh"), 8)
    yield* Effect.forEach(appends, (append, number) => append(`ssh ${number}`))
    yield* remote("out")
    // Of a process that is forgotten already.
    yield* appends[0]?.("late") ?? Effect.void
    const { outputs } = yield* history(id)
    assert.deepStrictEqual(outputs.map(({ source, text }) => `${source}: ${text}`), [
      "remote stdout: out",
      ...[2, 3, 4, 5, 6, 7].map((number) => `ssh: ssh ${number}`)
    ])
  }).pipe(Effect.provide(FlightRecorder.layer)))

it.effect("knows each secret once, of all connections", () =>
  Effect.gen(function*() {
    const { recorder, secrets } = yield* FlightRecorder
    yield* recorder(id).secret(Redacted.make("one"))
    yield* recorder(ProfileId.make("other")).secret(Redacted.make("one"))
    yield* recorder(ProfileId.make("other")).secret(Redacted.make("two"))
    assert.deepStrictEqual((yield* secrets).map(Redacted.value), ["one", "two"])
  }).pipe(Effect.provide(FlightRecorder.layer)))

it.effect("outside of a connection nothing is kept", () =>
  Effect.gen(function*() {
    const recording = yield* Recording
    yield* recording.state(discovering("x"))
    const append = yield* recording.output("ssh")
    yield* append("text")
    yield* recording.secret(Redacted.make("secret"))
    const { history, secrets } = yield* FlightRecorder
    assert.deepStrictEqual(yield* history(id), emptyHistory)
    assert.deepStrictEqual(yield* secrets, [])
  }).pipe(Effect.provide(FlightRecorder.layer)))
