/** The recorded transcripts of `test/fixtures/stderr`: a head of `# key: value` lines, an empty line, and ssh's stderr. */
import { Schema } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"

const directory = Path.join(import.meta.dirname, "..", "fixtures", "stderr")

export interface Transcript {
  readonly name: string
  readonly about: string
  /** `real, OpenSSH_…`, or `from source, …` where it can't be produced here. */
  readonly recorded: string
  readonly exit: { readonly code?: number; readonly signal?: string }
  readonly stderr: string
}

const parse = (name: string, text: string): Transcript => {
  const end = text.indexOf("\n\n")
  const [about = "", recorded = "", , exit = ""] = text.slice(0, end).split("\n").map((line) =>
    line.replace(/^# (?:(?:recorded|command|exit): )?/, "")
  )
  return {
    name,
    about,
    recorded,
    exit: /^\d+$/.test(exit) ? { code: Number(exit) } : { signal: exit },
    stderr: text.slice(end + 2)
  }
}

export const transcripts: ReadonlyArray<Transcript> = Fs.readdirSync(directory)
  .filter((file) => file.endsWith(".txt"))
  .sort()
  .map((file) => parse(file.slice(0, -".txt".length), Fs.readFileSync(Path.join(directory, file), "utf8")))

export const transcript = (name: string): Transcript => {
  const found = transcripts.find((transcript) => transcript.name === name)
  if (found === undefined) throw new Error(`there is no transcript ${name}`)
  return found
}

const wordings = [...new Set(transcripts.flatMap(({ stderr }) => stderr.split(/\r?\n/)))].filter((line) => line !== "")

/** Text made of ssh's own lines, whole or damaged, and of others, with all kinds of line ends. */
export const AnyText = Schema.Array(Schema.Struct({
  line: Schema.Union([Schema.Literals(wordings), Schema.Literals(wordings), Schema.String]),
  more: Schema.Union([Schema.Literals(["", "", ""]), Schema.String]),
  end: Schema.Literals(["\r\n", "\r\n", "\r\n", "\n", "\r", ""])
})).check(Schema.isMaxLength(40))

export const textOf = (lines: typeof AnyText.Type): string =>
  lines.map(({ end, line, more }) => line + more + end).join("")
