/** Runs with every live test file: it fails when the file leaves a process, a listener or a temp directory behind. */
import * as Leftovers from "@opencode-ai/ssh-lab/Leftovers"
import { Effect } from "effect"
import { afterAll } from "vitest"

const baseline = await Effect.runPromise(Leftovers.begin)

// Registered first, so it runs last: after the scopes of shared layers have been closed.
afterAll(() => Effect.runPromise(Leftovers.check(baseline)))
