import { describe, it } from "@effect/vitest"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Effect } from "effect"
import { reconnects, simultaneous } from "../live/support/servers.ts"

describe.skipIf(!Sshd.available)("a persistent server", () => {
  it.live("is one and the same over 500 reconnects, unless it is killed itself", () => reconnects(500, 25), 1_500_000)

  it.live(
    "is one for 20 bootstraps at the same time, 10 times",
    () => Effect.replicateEffect(Effect.scoped(simultaneous(5, 4)), 10, { discard: true }),
    600_000
  )
})
