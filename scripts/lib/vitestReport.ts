/** Reading vitest's JSON reports. */
import type { Counts } from "./steps.ts"

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: ReadonlyArray<{
    readonly status: string
    readonly assertionResults: ReadonlyArray<{
      readonly status: string
      readonly fullName?: string
      readonly duration?: number | null
      /** Of every try: a test that has passed with some was flaky. */
      readonly failureMessages?: ReadonlyArray<string> | null
    }>
  }>
}

/**
 * What a run's report and exit status say. A file that fails as a whole (it cannot be loaded, or leaves something
 * behind) has no failed test of its own: it counts as one; so does a run that fails without naming anything.
 */
export const readReport = (json: string, status: number): Counts => {
  const report = JSON.parse(json) as Report
  const failedFiles =
    report.testResults.filter(({ assertionResults, status }) =>
      status === "failed" && !assertionResults.some((result) => result.status === "failed")
    ).length
  const failed = report.numFailedTests + failedFiles
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && status !== 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests
  }
}

/** The tests that passed only when they were tried again. */
export const readFlaky = (json: string): ReadonlyArray<string> =>
  (JSON.parse(json) as Report).testResults.flatMap(({ assertionResults }) =>
    assertionResults.flatMap(({ failureMessages, fullName, status }) =>
      status === "passed" && (failureMessages ?? []).length > 0 ? [fullName ?? ""] : []
    )
  )

/** Each test of a run: what it says, how it ended, and how many milliseconds it took. */
export const readTests = (json: string) =>
  (JSON.parse(json) as Report).testResults.flatMap(({ assertionResults }) =>
    assertionResults.map(({ duration, fullName, status }) => ({
      title: fullName ?? "",
      status,
      duration: duration ?? 0
    }))
  )
