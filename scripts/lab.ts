/**
 * The failure laboratory by hand: a real cause, and what the product says. See `usage`.
 */
import * as Leftovers from "@opencode-ai/ssh-lab/Leftovers"
import { Effect } from "effect"
import { describeOutcome, listing } from "../packages/ssh-tunnel/test/lab/Report.ts"
import { missing, run } from "../packages/ssh-tunnel/test/lab/Run.ts"
import { scenarios } from "../packages/ssh-tunnel/test/lab/scenarios.ts"

const usage = `usage: npm run lab                     lists the scenarios
       npm run lab -- SCENARIO …       runs them, and prints what the product says
       npm run lab -- --all            runs all that this machine allows

A SCENARIO is a name of the list, or a part of one.`

const words = process.argv.slice(2)
const chosen = words.includes("--all")
  ? scenarios
  : scenarios.filter(({ name }) =>
    words.includes(name) || words.some((word) => !scenarios.some((other) => other.name === word) && name.includes(word))
  )

const program = Effect.gen(function*() {
  const baseline = yield* Leftovers.begin
  for (const scenario of chosen) {
    const absent = missing(scenario)
    if (absent.length > 0) {
      console.log(`${scenario.name}: SKIPPED, it needs ${absent.join(" and ")}\n`)
      continue
    }
    const text = yield* Effect.scoped(Effect.map(run(scenario), (outcome) => describeOutcome(scenario, outcome)))
    console.log(`${text}\n`)
  }
  yield* Leftovers.check(baseline)
})

if (words.includes("--help") || words.includes("-h")) {
  console.log(usage)
} else if (words.length === 0) {
  console.log(`${listing()}\n\n${usage}`)
} else if (chosen.length === 0) {
  console.error(`there is no scenario ${words.join(" ")}\n\n${usage}`)
  process.exitCode = 2
} else {
  await Effect.runPromise(program)
}
