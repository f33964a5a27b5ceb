import { assert, describe, it } from "@effect/vitest"
import { total } from "../lib/steps.ts"
import { readFlaky, readReport } from "../lib/vitestReport.ts"

const file = (status: string, ...tests: ReadonlyArray<string>) => ({
  status,
  assertionResults: tests.map((status) => ({ status }))
})

const report = (passed: number, failed: number, skipped: number, ...testResults: ReadonlyArray<unknown>) =>
  JSON.stringify({
    numPassedTests: passed,
    numFailedTests: failed,
    numPendingTests: skipped,
    numTodoTests: 0,
    testResults
  })

describe("readReport", () => {
  it("counts tests", () => {
    const json = report(2, 1, 1, file("passed", "passed", "passed", "skipped"), file("failed", "failed"))
    assert.deepStrictEqual(readReport(json, 1), { passed: 2, failed: 1, skipped: 1 })
  })

  it("counts a file that fails as a whole, though all of its tests pass", () => {
    const json = report(2, 0, 0, file("failed", "passed", "passed"), file("failed"))
    assert.deepStrictEqual(readReport(json, 1), { passed: 2, failed: 2, skipped: 0 })
  })

  it("counts a run that fails without saying where", () => {
    assert.deepStrictEqual(readReport(report(3, 0, 0, file("passed", "passed")), 1), {
      passed: 3,
      failed: 1,
      skipped: 0
    })
    assert.deepStrictEqual(readReport(report(3, 0, 0), 0), { passed: 3, failed: 0, skipped: 0 })
  })

  it("sums", () => {
    assert.deepStrictEqual(
      total([{ passed: 1, failed: 2, skipped: 3 }, { passed: 10, failed: 20, skipped: 30 }]),
      { passed: 11, failed: 22, skipped: 33 }
    )
  })

  it("names what passed only at the second try", () => {
    const json = JSON.stringify({
      testResults: [{
        assertionResults: [
          { status: "passed", fullName: "flaky", failureMessages: ["expected 0 to be 1"] },
          { status: "passed", fullName: "steady", failureMessages: [] },
          { status: "failed", fullName: "broken", failureMessages: ["no", "no"] }
        ]
      }]
    })
    assert.deepStrictEqual(readFlaky(json), ["flaky"])
  })
})
