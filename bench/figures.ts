/** What the benchmarks found: rows of a table, and the place in README.md where the last ones stand. */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** One row; texts as they stand in the table. */
export interface Figure {
  readonly what: string
  /** The same thing done by hand with the system's ssh. */
  readonly byHand?: string
  readonly ours: string
  readonly ratio?: number
  readonly goal?: string
  /** Whether the goal is met; absent where there is none. */
  readonly met?: boolean
}

const row = ({ byHand = "", goal = "", met, ours, ratio, what }: Figure): string =>
  `| ${what} | ${byHand} | ${ours} | ${ratio === undefined ? "" : ratio.toFixed(2)} | ${goal}${
    met === false ? " **missed**" : ""
  } |`

/** A table in Markdown. */
export const table = (figures: ReadonlyArray<Figure>): string =>
  ["| | by hand | ours | ratio | goal |", "| --- | --- | --- | --- | --- |", ...figures.map(row)].join("\n")

const begin = "<!-- figures -->"
const end = "<!-- end of figures -->"
const page = fileURLToPath(new URL("README.md", import.meta.url))

/** Puts them in the place of the last ones. */
export const publish = (figures: ReadonlyArray<Figure>, heading: string): void => {
  const text = readFileSync(page, "utf8")
  const [before, rest] = [text.slice(0, text.indexOf(begin)), text.slice(text.indexOf(end))]
  if (!text.includes(begin) || !text.includes(end)) throw new Error(`bench/README.md has no ${begin} … ${end}`)
  writeFileSync(page, `${before}${begin}\n\n${heading}\n\n${table(figures)}\n\n${rest}`)
}
