/** Columns for a person. */
import { displayWidth } from "effect/cli/CliOutput"

const pad = (text: string, width: number): string => text + " ".repeat(Math.max(0, width - displayWidth(text)))

/** Rows as lines whose columns begin below each other; the first row is the heading. Cells must be harmless (Sanitize). */
export const lines = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const columns = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from(
    { length: columns },
    (_, column) => Math.max(...rows.map((row) => displayWidth(row[column] ?? "")))
  )
  return rows.map((row) => row.map((cell, column) => pad(cell, widths[column] ?? 0)).join("  ").trimEnd())
}
