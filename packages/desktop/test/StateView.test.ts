import { assert, describe, it } from "@effect/vitest"
import { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import * as StateView from "../src/ui/StateView.ts"
import { duration, milliseconds, words } from "../src/ui/Strings.ts"

const now = Date.parse("2026-01-01T00:01:00.000Z")
const since = "2026-01-01T00:00:57.200Z"

describe("a state", () => {
  it.prop("is told by word, colour and icon, each by its own", [ConnectionState], ([state]) => {
    const { icon, tone, word } = StateView.view(state)
    assert.strictEqual(word, words[state._tag])
    assert.isNotEmpty(icon)
    assert.isNotEmpty(tone)
    assert.isString(StateView.summary(state, now))
    assert.isString(StateView.announcement(state))
  }, { arbitrary: { runs: 100 } })

  it("says what is being done, and for how long", () => {
    assert.strictEqual(
      StateView.summary({ _tag: "Connecting", step: "authenticating", hop: "bastion", since }, now),
      "2 s · Logging in at bastion"
    )
    assert.strictEqual(
      StateView.step({ _tag: "Connecting", step: "authenticating", waitingFor: "security-key", since }),
      "Touch your security key now"
    )
    assert.strictEqual(StateView.elapsed({ _tag: "Discovering", since }, now), "2 s")
    assert.isUndefined(StateView.elapsed({ _tag: "Disconnected" }, now))
  })

  it("counts down to whole seconds and not below zero", () => {
    assert.strictEqual(StateView.secondsUntil("2026-01-01T00:01:07.400Z", now), 8)
    assert.strictEqual(StateView.secondsUntil("2026-01-01T00:00:00.000Z", now), 0)
    assert.strictEqual(StateView.secondsUntil("never", now), 0)
    // The other clock is ahead.
    assert.strictEqual(StateView.secondsSince("2026-01-01T00:02:00.000Z", now), 0)
  })
})

describe("times", () => {
  it.each(
    [[0, "0 s"], [59.9, "59 s"], [61, "1 min 1 s"], [3600, "1 h 0 min"], [90_061, "1 d 1 h"], [-5, "0 s"]] as const
  )(
    "%d s is %s",
    (seconds, text) => assert.strictEqual(duration(seconds), text)
  )
  it("of steps", () => {
    assert.strictEqual(milliseconds(12), "12 ms")
    assert.strictEqual(milliseconds(1234), "1.2 s")
  })
})
