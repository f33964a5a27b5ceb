import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Duration, Effect, Schema } from "effect"
import * as Lifecycle from "../../src/internal/lifecycle.ts"
import { Timing } from "../../src/Schedules.ts"
import { connected, happenings, linkLost, play, refused, serverGone, step } from "./lifecycleModel.ts"

const Script = Arbitrary.array(
  Arbitrary.schema(
    Schema.Struct({
      happening: Schema.Literals(happenings),
      chance: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
    })
  ),
  { minLength: 1, maxLength: 60 }
)

const at = (monotonic: number, chance = 0.5): Lifecycle.Moment => ({ monotonic, wall: monotonic, chance })

/** Connected at 0, by the events that lead there. */
const up = (origin: Lifecycle.Origin = "user"): Lifecycle.Life => {
  const [opening] = step(Lifecycle.initial, { _tag: "Connect", origin }, at(0))
  const [finding] = step(opening, { _tag: "Opened", ticket: opening.ticket }, at(0))
  return step(finding, { _tag: "Found", ticket: finding.ticket, connected }, at(0))[0]
}

describe("the life of a connection", () => {
  it.effect.prop(
    "keeps its laws, whatever happens in whatever order",
    { script: Script },
    ({ script }) =>
      Effect.sync(() => {
        play(script)
      }),
    { arbitrary: { runs: 1000 }, timeout: 60_000 }
  )

  it.effect.prop(
    "keeps them also when it begins connected",
    { script: Script },
    ({ script }) =>
      Effect.sync(() => {
        const seen = play(
          [
            ...["restore", "work succeeds", "work succeeds"].map((happening) => ({ happening, chance: 0.5 } as const)),
            ...script
          ] as Parameters<typeof play>[0]
        )
        assert.deepStrictEqual(seen.slice(0, 3), ["Opening", "Finding", "Up"])
      }),
    { arbitrary: { runs: 1000 }, timeout: 60_000 }
  )

  it("an outage that nothing mends: at once, then longer and longer, for three hours and not for ever", () => {
    let life = up()
    let now = 60_000
    const began = now
    const waits: Array<number> = []
    for (;;) {
      const [next, commands] = step(life, { _tag: "Lost", ticket: life.ticket, error: linkLost }, at(now))
      if (next._tag !== "Waiting") {
        assert.strictEqual(next._tag, "Closing")
        break
      }
      const wait = commands.find(({ _tag }) => _tag === "Wait")
      if (wait?._tag !== "Wait") return assert.fail("no wait")
      waits.push(wait.millis)
      now += wait.millis
      life = step(next, { _tag: "Elapsed", ticket: next.ticket }, at(now))[0]
      // A login that fails takes its time.
      now += 3000
    }
    assert.deepStrictEqual(waits.slice(0, 9), [0, 500, 1000, 2000, 4000, 8000, 16_000, 25_000, 25_000])
    assert.isTrue(waits.every((wait, index) => index === 0 || wait >= (waits[index - 1] ?? 0)))
    assert.isAtLeast(now - began, Duration.toMillis(Timing.defaults.retryFor))
    assert.isBelow(now - began, Duration.toMillis(Timing.defaults.retryFor) + 60_000)
    assert.isAbove(waits.length, 300)
  })

  it("jitter spreads a wait by a fifth up and down, and never over the limit", () => {
    const wait = (attempt: number, chance: number) => Lifecycle.backOff(Timing.defaults, attempt, chance)
    assert.deepStrictEqual([wait(1, 0), wait(1, 1)], [0, 0])
    assert.deepStrictEqual([wait(2, 0), wait(2, 1)].map(Math.round), [400, 600])
    assert.deepStrictEqual([wait(1000, 0), wait(1000, 1)].map(Math.round), [20_000, 30_000])
  })

  it("a connection that was healthy begins a new outage; one that was not goes on with the old", () => {
    const attemptAfter = (lasted: number) => {
      let life = up()
      for (const error of [linkLost, linkLost]) {
        const [waiting] = step(life, { _tag: "Lost", ticket: life.ticket, error }, at(1000))
        life = step(waiting, { _tag: "Elapsed", ticket: waiting.ticket }, at(1000))[0]
      }
      life = step(life, { _tag: "Opened", ticket: life.ticket }, at(1000))[0]
      life = step(life, { _tag: "Found", ticket: life.ticket, connected }, at(1000))[0]
      const [lost] = step(life, { _tag: "Lost", ticket: life.ticket, error: linkLost }, at(1000 + lasted))
      return lost.shown._tag === "Reconnecting" ? lost.shown.attempt : undefined
    }
    const healthy = Duration.toMillis(Timing.defaults.healthyAfter)
    assert.strictEqual(attemptAfter(healthy - 1), 3)
    assert.strictEqual(attemptAfter(healthy), 1)
  })

  it("a connection that was dead from its beginning was not healthy: that takes longer than to notice it", () => {
    const { control, healthInterval, healthTimeout, healthyAfter } = Timing.defaults
    const noticed = [healthInterval, healthTimeout, healthTimeout, control].reduce(Duration.sum)
    assert.isAtLeast(Duration.toMillis(healthyAfter), Duration.toMillis(noticed))
  })

  it("the first error is final for a person, and the beginning of a wait for a restore", () => {
    const after = (origin: Lifecycle.Origin, error: typeof linkLost) => {
      const [opening] = step(Lifecycle.initial, { _tag: "Connect", origin }, at(0))
      return step(opening, { _tag: "Lost", ticket: opening.ticket, error }, at(0))[0]._tag
    }
    assert.strictEqual(after("user", linkLost), "Closing")
    assert.strictEqual(after("restore", linkLost), "Waiting")
    assert.strictEqual(after("restore", refused), "Closing")
  })

  it("a connect while the last one is being ended follows it, without a word in between", () => {
    const [closing] = step(up(), { _tag: "Disconnect" }, at(1))
    const [again, nothing] = step(closing, { _tag: "Connect", origin: "user" }, at(2))
    assert.deepStrictEqual(nothing, [])
    const [opening, commands] = step(again, { _tag: "Closed", ticket: again.ticket }, at(3))
    assert.strictEqual(opening._tag, "Opening")
    assert.deepStrictEqual(commands.map(({ _tag }) => _tag), ["Publish", "Open"])
    const [wins] = step(again, { _tag: "Disconnect" }, at(3))
    assert.strictEqual(step(wins, { _tag: "Closed", ticket: wins.ticket }, at(4))[0]._tag, "Off")
  })

  it("Connecting counts from where it began, and a loss keeps the URL in view", () => {
    const [opening] = step(Lifecycle.initial, { _tag: "Connect", origin: "user" }, at(1000))
    const later = { _tag: "Connecting", step: "authenticating", since: new Date(5000).toISOString() } as const
    const [progressed] = step(opening, { _tag: "Progress", ticket: opening.ticket, state: later }, at(5000))
    assert.deepStrictEqual(progressed.shown, { ...later, since: new Date(1000).toISOString() })
    const life = up()
    const [lost] = step(life, { _tag: "Lost", ticket: life.ticket, error: serverGone }, at(5000))
    assert.deepStrictEqual(lost.shown, {
      _tag: "Reconnecting",
      attempt: 1,
      nextAt: new Date(5000).toISOString(),
      error: serverGone,
      url: connected.url
    })
  })
})
