import { describe, it } from "@effect/vitest"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { killAtRandom } from "../live/support/killAtRandom.ts"

describe.skipIf(!Sshd.available)("host processes", () => {
  it.live(
    "300 are killed at random moments: nothing of them is left after a second",
    () => killAtRandom(300),
    1_500_000
  )
})
