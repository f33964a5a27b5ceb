/** The page that holds the result of the last soak. */
import type { Counts } from "./steps.ts"

export interface SoakRun extends Counts {
  readonly tests: ReadonlyArray<{
    readonly title: string
    readonly status: string
    /** Milliseconds. */
    readonly duration: number
  }>
  readonly minutes: number
  readonly date: Date
  readonly machine: string
}

const seconds = (duration: number): string => (duration / 1000).toFixed(0)

/** The whole page, as `npm run soak` writes it. */
export const soakPage = ({ date, failed, machine, minutes, passed, skipped, tests }: SoakRun): string =>
  [
    "# Soak",
    "",
    "The long counts of what `npm test` does a few times: hosts that are killed at random moments, connections that are",
    "cut and made again, files that are written by processes that die. `npm run soak` runs them, on 2 cores in less than 30",
    "minutes, and writes this page. Seeds are in its output; `OPENCODE_SSH_TEST_SEED=N npm run soak -- Crash` repeats one.",
    "",
    "## Last result",
    "",
    `${date.toISOString().slice(0, 10)}, ${
      minutes.toFixed(1)
    } minutes, ${machine}: **${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}**`,
    "",
    "| What | Seconds | |",
    "| --- | --- | --- |",
    ...tests.map(({ duration, status, title }) =>
      `| ${title.replaceAll("|", "\\|")} | ${seconds(duration)} | ${status} |`
    ),
    ""
  ].join("\n")
