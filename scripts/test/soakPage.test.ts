import { assert, it } from "vitest"
import { describeMachine } from "../lib/machine.ts"
import { soakPage } from "../lib/soakPage.ts"
import { readTests } from "../lib/vitestReport.ts"

const report = JSON.stringify({
  numPassedTests: 1,
  numFailedTests: 1,
  numPendingTests: 0,
  numTodoTests: 0,
  testResults: [{
    status: "failed",
    assertionResults: [
      { status: "passed", fullName: "a file is whole | after 600 kills", duration: 12_340.5 },
      { status: "failed", fullName: "a server is one" }
    ]
  }]
})

it("a soak's page tells when, on what, how long and how it ended, test by test", () => {
  const page = soakPage({
    passed: 1,
    failed: 1,
    skipped: 0,
    tests: readTests(report),
    minutes: 12.34,
    date: new Date("2026-01-02T03:04:05Z"),
    machine: "Linux 6.1"
  })
  assert.include(page, "2026-01-02, 12.3 minutes, Linux 6.1: **1 passed, 1 failed**\n")
  assert.include(page, "| a file is whole \\| after 600 kills | 12 | passed |\n")
  assert.include(page, "| a server is one | 0 | failed |\n")
})

it("a machine is described by versions, and by nothing that names it", async () => {
  const text = await describeMachine()
  assert.match(text, /^\w+ \d+\.\d+, \w+, \d+ cores, .*Node \d+/)
  assert.notInclude(text, "/")
})
