/**
 * All benchmarks, one after the other, on a machine that does nothing else: five minutes. The figures go to README.md.
 *
 *   npm run bench [-- connect|traffic|disconnect|many|deaths …]    some of them, shown and not written
 */
import { Effect } from "effect"
import { loadavg } from "node:os"
import { describeMachine } from "../scripts/lib/machine.ts"
import { connect } from "./connect.ts"
import { deaths } from "./deaths.ts"
import { disconnect } from "./disconnect.ts"
import { type Figure, publish, table } from "./figures.ts"
import { many } from "./many.ts"
import { traffic } from "./traffic.ts"

const runs = 15
const parts = {
  connect: connect(runs),
  traffic,
  disconnect: disconnect(runs),
  many,
  deaths
} as const

const names = Object.keys(parts) as Array<keyof typeof parts>
const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !names.some((part) => part === name))
if (unknown.length > 0) {
  console.error(`there is no benchmark ${unknown.join(", ")}; there are ${names.join(", ")}`)
  process.exit(2)
}
const figures: Array<Figure> = []
const begun = performance.now()
/** What else the machine had to do before. */
const load = loadavg()[0]?.toFixed(1) ?? "unknown"
for (const name of names) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  figures.push(...await Effect.runPromise(parts[name]))
}
const minutes = (performance.now() - begun) / 60_000
console.log(`\n${table(figures)}\n`)
if (wanted.length === 0) {
  publish(
    figures,
    `${new Date().toISOString().slice(0, 10)}, ${await describeMachine()}, ${
      minutes.toFixed(1)
    } minutes, load average before ${load}; medians of up to ${runs} runs:`
  )
  console.log("written to bench/README.md")
}
const missed = figures.filter(({ met }) => met === false)
console.log(missed.length === 0 ? "all goals are met" : `missed: ${missed.map(({ what }) => what).join("; ")}`)
