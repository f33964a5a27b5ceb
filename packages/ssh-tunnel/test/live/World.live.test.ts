/**
 * The corpus of ssh configs and environments (test/world): each connects through the product to a real sshd, or
 * fails with the right error.
 */
import { describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { afterAll, beforeAll } from "vitest"
import { entries } from "../world/corpus.ts"
import type { Entry } from "../world/Entry.ts"
import * as Machines from "../world/Machines.ts"
import * as Run from "../world/Run.ts"

const isCI = process.env["CI"] === "true"

/** What this machine does not offer; CI must offer everything. */
const absent = (entry: Entry): ReadonlyArray<string> => isCI ? [] : Run.missing(entry)

const offered = entries.filter((entry) => absent(entry).length === 0)
const skipped = entries.filter((entry) => absent(entry).length > 0)
for (const entry of skipped) console.warn(`SKIPPED: ${entry.name} needs ${absent(entry).join(" and ")}`)

const scope = Scope.makeUnsafe()
let world: Run.World
beforeAll(async () => {
  world = await Effect.runPromise(Effect.flatMap(Machines.make, Run.make).pipe(Scope.provide(scope)))
})
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

const cases = offered.flatMap((entry) =>
  (entry.strategies ?? ["master"] as const).map((strategy) =>
    [strategy === "master" ? entry.name : `${entry.name} (${strategy})`, entry, strategy] as const
  )
)

describe.concurrent("the user's world", () => {
  it.live.each(cases)("%s", ([, entry, strategy]) => Run.run(entry, strategy, world))
  for (const { name } of skipped) it.skip(name)
})
