import { assert, it } from "@effect/vitest"
import { ConnectionError } from "@opencode-ai/ssh-tunnel/ConnectionError"
import { Effect } from "effect"
import * as ExitCode from "../src/ExitCode.ts"

it.effect.prop("each class of errors has its code", [ConnectionError], ([error]) =>
  Effect.sync(() => {
    const codes = {
      ConfigurationError: 10,
      TransportError: 11,
      DiscoveryError: 12,
      BootstrapError: 13,
      CompatibilityError: 14
    }
    assert.strictEqual(ExitCode.ofError(error), codes[error._tag])
  }))

it("a signal counts as shells count it", () => {
  assert.deepStrictEqual(["SIGHUP", "SIGINT", "SIGTERM", "SIGKILL"].map(ExitCode.ofSignal), [129, 130, 143, 137])
})
