/**
 * The whole test suite: static checks, then everything on Node, then the unit suites and some live ones on Bun.
 * One line per step; the output of a step that fails is shown in full. The last line is the total.
 *
 *   npm test [-- [--chromium] [part of a test file's name …]]
 *   npm run test:bridge      only what is between the desktop's main process and its windows, on Node and Bun
 *   npm run test:window      only the Connections window and its host, in Chromium
 *
 * `--everything` (what `.ci/run` says) adds what else must work in a fresh clone: build, command line, demo.
 */
import * as Mark from "@opencode-ai/ssh-lab/Mark"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import { Effect } from "effect"
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { type Outcome, outcome, passSignals, runStep, type Step, total } from "./lib/steps.ts"
import { readFlaky, readReport } from "./lib/vitestReport.ts"

const isCI = ["1", "true"].includes(process.env["CI"] ?? "")
const flags = process.argv.slice(2).filter((arg) => arg.startsWith("--"))
/** Parts of the suite that have a task of their own. */
const parts: Readonly<Record<string, string>> = {
  "--bridge": "packages/desktop-bridge/",
  "--window": "packages/desktop/"
}
const filters = [
  ...flags.flatMap((flag) => parts[flag] ?? []),
  ...process.argv.slice(2).filter((arg) => !arg.startsWith("--"))
]
const reports = mkdtempSync(join(tmpdir(), "opencode-ssh-reports-"))

/** Everything below carries this; what carries it at the end was left behind. */
const runVariable = "OPENCODE_SSH_LAB_RUN"
const run = Mark.random()
process.env[runVariable] = run

const shellScripts = () => [
  ...globSync("**/*.sh", { exclude: (name) => ["node_modules", "dist"].includes(basename(name)) }),
  ".ci/run",
  "bin/opencode-ssh"
]

const missing = (process.env["OPENCODE_SSH_MISSING"] ?? "").split(" ").filter((name) => name !== "")

const staticSteps: ReadonlyArray<Step> = [
  { name: "types", command: ["tsc", "-p", "tsconfig.json"] },
  { name: "types of the window", command: ["tsc", "-p", "packages/desktop/tsconfig.json"] },
  { name: "lint", command: ["oxlint", "--deny-warnings"] },
  { name: "format", command: ["dprint", "check"] },
  { name: "Effect's diagnostics", command: ["bun", "run", "lint:effect"] },
  { name: "import directions", command: ["node", "scripts/imports.ts"] },
  missing.includes("shellcheck")
    ? { name: "shell scripts", skip: "shellcheck is missing" }
    : { name: "shell scripts", command: ["shellcheck", ...shellScripts()] }
]

/** Tests that needed a second try. Each is a bug, in the test or in what it tests. */
const flaky: Array<string> = []

const vitest = (name: string, prefix: ReadonlyArray<string>, args: ReadonlyArray<string>): Step => {
  const report = join(reports, `${name.replaceAll(/\W+/g, "-")}.json`)
  return {
    name,
    command: [
      ...prefix,
      "run",
      ...args,
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${report}`,
      "--passWithNoTests",
      ...filters
    ],
    read: (status) => {
      const json = readFileSync(report, "utf8")
      flaky.push(...readFlaky(json))
      return readReport(json, status)
    }
  }
}

const bunVitest = ["bun", "--bun", "node_modules/vitest/vitest.mjs"]
/**
 * On a person's machine each runtime goes through its suites beside the other: live suites wait more than they work.
 * In CI, where a whole change hangs on the result and nobody waits for it, one after the other.
 */
const testSteps: ReadonlyArray<ReadonlyArray<Step>> = [
  [vitest("tests on Node, unit and live", ["vitest"], ["--project", "unit", "--project", "live"])],
  [
    vitest("tests on Bun, unit", bunVitest, ["--project", "unit", "--pool=threads"]),
    vitest("tests on Bun, live", bunVitest, ["--project", "live-bun", "--pool=threads"])
  ]
]

const everythingElse: ReadonlyArray<Step> = [
  { name: "build", command: ["node", "scripts/build.ts"] },
  { name: "command line", command: ["bin/opencode-ssh", "--version"] },
  { name: "demo", command: ["node", "scripts/demo.ts", "--once"] }
].filter(({ command }) => command.every((word) => !word.startsWith("scripts/") || existsSync(word)))

/** A process that outlives its suite is a bug of that suite, or of us. */
const leftovers: Step = {
  name: "nothing left behind",
  check: async () => {
    const find = () => Effect.runPromise(ProcessTable.find({ environment: `${runVariable}=${run}` }))
    const deadline = performance.now() + 2_000
    let left = await find()
    while (left.length > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      left = await find()
    }
    await Effect.runPromise(ProcessTable.signal(left, "SIGKILL"))
    return left.map(({ command, pid }) => `process ${pid}: ${command}`).join("\n")
  }
}

const inTurn = async (steps: ReadonlyArray<Step>): Promise<ReadonlyArray<Outcome>> => {
  const outcomes: Array<Outcome> = []
  for (const step of steps) outcomes.push(await runStep(step))
  return outcomes
}

passSignals()
const outcomes: Array<Outcome> = []
try {
  if (filters.length === 0) outcomes.push(...await Promise.all(staticSteps.map(runStep)))
  const more = flags.includes("--everything") ? everythingElse : []
  const groups = isCI ? [testSteps.flat()] : testSteps
  outcomes.push(...(await Promise.all(groups.map(inTurn))).flat(), ...await inTurn([...more, leftovers]))
} finally {
  rmSync(reports, { recursive: true, force: true })
}
if (flaky.length > 0) console.log(`\n${flaky.length} FLAKY, passed at the second try:\n${flaky.join("\n")}`)
const sum = total(outcomes)
if (sum.skipped > 0) {
  console.log(`\n${sum.skipped} SKIPPED${missing.length > 0 ? `; missing here: ${missing.join(", ")}` : ""}`)
  if (isCI) outcomes.push(outcome({ name: "no skips in CI", failed: 1 }))
}
if (filters.length > 0 && sum.passed + sum.failed + sum.skipped <= 1) {
  console.log(`\nno test file's name contains ${filters.join(" or ")}`)
  outcomes.push(outcome({ name: "something was tested", failed: 1 }))
}
const final = total(outcomes)
process.exitCode = final.failed > 0 ? 1 : 0
console.log(`\n${final.passed} passed, ${final.failed} failed${final.skipped > 0 ? `, ${final.skipped} skipped` : ""}`)
