/**
 * The long counts: suites named `*.soak.test.ts`, on Node, one after the other. They take minutes, and are no part of
 * `npm test`. The last line is the total; the result of a whole run is written to bench/soak.md.
 *
 *   npm run soak [-- part of a test file's name …]
 */
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { describeMachine } from "./lib/machine.ts"
import { soakPage, type SoakRun } from "./lib/soakPage.ts"
import { type Outcome, outcome, passSignals, runStep, total } from "./lib/steps.ts"
import { readReport, readTests } from "./lib/vitestReport.ts"

const page = "bench/soak.md"
const filters = process.argv.slice(2)
const isWhole = filters.length === 0
const suites = globSync("packages/*/test/**/*.soak.test.ts").sort()
const chosen = suites.filter((suite) => isWhole || filters.some((filter) => basename(suite).includes(filter)))
const reports = mkdtempSync(join(tmpdir(), "opencode-ssh-soak-"))
const begun = performance.now()
const outcomes: Array<Outcome> = []
const tests: Array<SoakRun["tests"][number]> = []

passSignals()
try {
  for (const suite of chosen) {
    const report = join(reports, `${basename(suite)}.json`)
    const command = ["vitest", "run", "--project", "soak", "--reporter=default", "--reporter=json"]
    outcomes.push(
      await runStep({
        name: suite,
        command: [...command, `--outputFile.json=${report}`, suite],
        limit: 30 * 60_000,
        read: (status) => {
          const text = readFileSync(report, "utf8")
          tests.push(...readTests(text))
          return readReport(text, status)
        }
      })
    )
  }
} finally {
  rmSync(reports, { recursive: true, force: true })
}
if (chosen.length === 0) {
  console.log(`no soak suite's name contains ${filters.join(" or ") || "anything"}: nothing was run`)
  outcomes.push(outcome({ name: "something was tested", failed: 1 }))
}
const final = total(outcomes)
if (isWhole) {
  const minutes = (performance.now() - begun) / 60_000
  writeFileSync(page, soakPage({ ...final, tests, minutes, date: new Date(), machine: await describeMachine() }))
  console.log(`\nwritten to ${page}`)
}
process.exitCode = final.failed > 0 ? 1 : 0
console.log(`\n${final.passed} passed, ${final.failed} failed${final.skipped > 0 ? `, ${final.skipped} skipped` : ""}`)
