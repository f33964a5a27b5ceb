/** Markdown out of sources: their docstrings, and tables. */

/** One line of a table's cell. */
const cell = (text: string): string => text.replaceAll("\n", " ").replaceAll(/(?<!\\)\|/g, "\\|")

/** A table; the cells' own Markdown is kept. */
export const table = (heading: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [heading, heading.map(() => "---"), ...rows].map((row) => `| ${row.map(cell).join(" | ")} |`).join("\n")

/** The text of a comment: one line a paragraph, links as code, up to the first section such as **Gotchas**. */
const textOf = (comment: string): string => {
  const lines = comment.replace(/^\/\*\*/, "").replace(/\*\/$/, "").split("\n").map((line) =>
    line.replace(/^\s*\* ?/, "").trim()
  )
  const [text = ""] = lines.join("\n").split(/\n\*\*[A-Z]/)
  return text
    .trim()
    .replaceAll(/\{@link ([^}]+)\}/g, "`$1`")
    .replaceAll(/`(\w+)``/g, "`$1")
    .replaceAll(/(?<!\n)\n(?![\n-])/g, " ")
}

/** The docstring of an exported class or constant, or of the module itself (its first comment). */
export const docOf = (source: string, name?: string): string | undefined => {
  const pattern = name === undefined
    ? /^(?:#!.*\n|\/\/.*\n|\n)*(\/\*\*(?:(?!\*\/)[\s\S])*\*\/)/
    : new RegExp(
      `(\\/\\*\\*(?:(?!\\*\\/)[\\s\\S])*\\*\\/)\\s*(?:export |readonly |static )*(?:class |const )?${name}\\b`
    )
  const comment = pattern.exec(source)?.[1]
  return comment === undefined ? undefined : textOf(comment)
}

/** The first sentence, shortened at a colon or semicolon when it is long. */
export const sentenceOf = (text: string): string => {
  const sentence = /^[\s\S]*?[.](?=\s|$)/.exec(text)?.[0] ?? text
  const short = sentence.length <= 110 ? sentence : sentence.split(/[:;] |, (?=so |which |because )/)[0] ?? sentence
  return short.replace(/[.:;,]$/, "")
}
