/**
 * Documentation that cannot rot: code in pages is a copy of tested sources, tables are generated, and what a page
 * names (links, files, commands, options, variables, identifiers) exists. Pure: the repository is a {@link World}.
 */

/** What pages may speak of. Paths are relative to the root, with `/`. */
export interface World {
  /** The text of a file, `undefined` when there is none. */
  readonly read: (path: string) => string | undefined
  /** Whether there is such a file or directory. */
  readonly exists: (path: string) => boolean
  /** Paths of all files of the repository. */
  readonly files: ReadonlyArray<string>
  /** Everything that the sources say, in one text. */
  readonly sources: string
  /** Tasks of package.json. */
  readonly tasks: ReadonlySet<string>
  /** The command line's commands, such as `profiles add`, with their options; `""` has those of all commands. */
  readonly commands: ReadonlyMap<string, ReadonlySet<string>>
  /** The texts of generated blocks, by name. */
  readonly generated: ReadonlyMap<string, () => string>
}

export interface Problem {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly problem: string
}

const lineAt = (text: string, offset: number): number => text.slice(0, offset).split("\n").length

/** The same text with the same length and lines, and blanks for what must not be read as Markdown. */
const blanked = (text: string, pattern: RegExp): string =>
  text.replaceAll(pattern, (match) => match.replaceAll(/[^\n]/g, " "))

const fences = /^```[\s\S]*?^```/gm
const spans = /`[^`\n]+`/g

// --- Copies of sources -----------------------------------------------------------------------------------------------

const regionComment = /^\s*(?:\/\/|#)\s*#(end)?region\b\s*(.*?)\s*$/

const withoutIndent = (lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  const indents = lines.filter((line) => line.trim() !== "").map((line) => line.length - line.trimStart().length)
  const indent = indents.length === 0 ? 0 : Math.min(...indents)
  return lines.map((line) => line.slice(indent).trimEnd())
}

const trimmed = (lines: ReadonlyArray<string>): string => lines.join("\n").replace(/^\n+/, "").trimEnd()

/**
 * The lines between `// #region name` and `// #endregion`, without their common indentation and without the comments
 * of other regions; several regions of one name are one. `undefined` when there is none, or no end of it.
 */
export const regionOf = (source: string, name: string): string | undefined => {
  const parts: Array<Array<string>> = []
  let depth = 0
  for (const line of source.split("\n")) {
    const comment = regionComment.exec(line)
    const isEnd = comment?.[1] !== undefined
    if (depth > 0) {
      if (comment === null) parts.at(-1)?.push(line)
      else depth += isEnd ? -1 : 1
    } else if (comment !== null && !isEnd && comment[2] === name) {
      parts.push([])
      depth = 1
    }
  }
  if (parts.length === 0 || depth > 0) return undefined
  return parts.map((lines) => trimmed(withoutIndent(lines))).join("\n\n")
}

/** A code block that is a copy: `<!-- source: path#region -->`, and the fence below it. */
const copied = /<!-- source: ([^\s#]+)(?:#(\S+))? -->\n+```(\S*)\n([\s\S]*?)```/g

/** A block that is made by a program: `<!-- generated: name -->` … `<!-- end of name -->`. */
const made = /<!-- generated: (\S+) -->\n[\s\S]*?<!-- end of \1 -->/g

/** The page as it should be: its copies and generated blocks as they are today. */
export const refreshed = (text: string, world: Pick<World, "read" | "generated">): string =>
  text
    .replaceAll(copied, (block, path: string, region: string | undefined, language: string) => {
      const source = world.read(path)
      const content = source === undefined || region === undefined ? source?.trimEnd() : regionOf(source, region)
      return content === undefined
        ? block
        : `<!-- source: ${path}${region === undefined ? "" : `#${region}`} -->\n\n\`\`\`${language}\n${content}\n\`\`\``
    })
    .replaceAll(made, (block, name: string) => {
      const generate = world.generated.get(name)
      return generate === undefined ? block : `<!-- generated: ${name} -->\n\n${generate()}\n\n<!-- end of ${name} -->`
    })

const staleBlocks = (text: string, world: World): ReadonlyArray<readonly [number, string]> => [
  ...[...blanked(text, spans).matchAll(/<!-- source: (\S+) -->/g)].flatMap(
    (match): ReadonlyArray<readonly [number, string]> => {
      const [path = "", region] = (match[1] ?? "").split("#")
      const source = world.read(path)
      if (source === undefined) return [[match.index, `there is no ${path} to copy from`]]
      if (region !== undefined && regionOf(source, region) === undefined) {
        return [[match.index, `${path} has no region ${region}`]]
      }
      const fence = [...text.matchAll(copied)].find(({ index }) => index === match.index)
      if (fence === undefined) return [[match.index, "a code block must follow"]]
      const isFresh = refreshed(fence[0], world) === fence[0]
      return isFresh ? [] : [[match.index, `differs from ${match[1]}: run node scripts/docs.ts`]]
    }
  ),
  ...[...blanked(text, spans).matchAll(/<!-- generated: (\S+) -->/g)].flatMap(
    (match): ReadonlyArray<readonly [number, string]> => {
      if (!world.generated.has(match[1] ?? "")) return [[match.index, `nothing generates ${match[1]}`]]
      const block = [...text.matchAll(made)].find(({ index }) => index === match.index)
      if (block === undefined) return [[match.index, `<!-- end of ${match[1]} --> must follow`]]
      const isFresh = refreshed(block[0], world) === block[0]
      return isFresh ? [] : [[match.index, `${match[1]} is stale: run node scripts/docs.ts`]]
    }
  )
]

// --- Links -----------------------------------------------------------------------------------------------------------

/** The anchors of a page as GitHub makes them. */
export const anchorsOf = (text: string): ReadonlySet<string> => {
  const found = new Map<string, number>()
  const anchors = new Set<string>()
  for (const [, heading = ""] of blanked(text, fences).matchAll(/^#{1,6} +(.+?)\s*$/gm)) {
    const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll("`", "")
    const slug = plain.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(/\s/g, "-")
    const times = found.get(slug) ?? 0
    found.set(slug, times + 1)
    anchors.add(times === 0 ? slug : `${slug}-${times}`)
  }
  return anchors
}

/** Directory of a path, and a path seen from it. */
const resolve = (from: string, target: string): string => {
  const parts = from.split("/").slice(0, -1)
  for (const part of target.split("/")) {
    if (part === "..") parts.pop()
    else if (part !== "." && part !== "") parts.push(part)
  }
  return parts.join("/")
}

interface Link {
  readonly offset: number
  readonly target: string
}

const linksOf = (text: string): ReadonlyArray<Link> => {
  const prose = blanked(blanked(text, fences), spans)
  return [/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g, /\b(?:src|href)="([^"]+)"/g, /^\[[^\]]+\]:\s+(\S+)/gm].flatMap((pattern) =>
    [...prose.matchAll(pattern)].map((match) => ({ offset: match.index, target: match[1] ?? "" }))
  )
}

/** The files of the repository that a page leads to. */
export const linkedFiles = (file: string, text: string): ReadonlyArray<string> =>
  linksOf(text)
    .filter(({ target }) => !/^[a-z]+:|^#/.test(target))
    .map(({ target }) => resolve(file, decodeURI(target.split("#")[0] ?? "")))

const brokenLinks = (file: string, text: string, world: World): ReadonlyArray<readonly [number, string]> =>
  linksOf(text).flatMap(({ offset, target }): ReadonlyArray<readonly [number, string]> => {
    if (/^[a-z]+:/.test(target)) return []
    const [path = "", anchor] = target.split("#")
    const to = path === "" ? file : resolve(file, decodeURI(path))
    if (!world.exists(to)) return [[offset, `the link leads nowhere: ${target}`]]
    if (anchor === undefined || !to.endsWith(".md")) return []
    return anchorsOf(to === file ? text : world.read(to) ?? "").has(anchor)
      ? []
      : [[offset, `${to} has no heading for #${anchor}`]]
  })

// --- Names -----------------------------------------------------------------------------------------------------------

interface Code {
  readonly offset: number
  readonly text: string
}

/** Code spans, and the lines of code blocks that are no copies of a source. */
const codeOf = (text: string): ReadonlyArray<Code> => {
  const own = blanked(text, copied)
  return [
    ...[...blanked(own, fences).matchAll(spans)].map((match) => ({
      offset: match.index,
      text: match[0].slice(1, -1)
    })),
    ...[...own.matchAll(fences)].flatMap((fence) =>
      [...fence[0].matchAll(/^(?!```).+$/gm)].map((line) => ({ offset: fence.index + line.index, text: line[0] }))
    )
  ]
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")

const saysWord = (text: string, word: string): boolean => new RegExp(`(?<![\\w$])${escaped(word)}(?![\\w$])`).test(text)

/** A place of this repository; what holds a wildcard or a placeholder is none. */
const repositoryPath =
  /(?<![\w./@~$-])(?:\.\/)?((?:packages|scripts|docs|examples|bench|bin|\.ci|node_modules)\/[\w./-]*[\w/])(?![*<…\w])/g
const fileName = /(?<![\w./*<>@~+-])[A-Za-z][\w.-]*\.(?:ts|mjs|sh|md)(?![\w./])/g
const stateFile = /(?<![\w./*<>@~+-])[a-z][\w-]*\.(?:json|log)(?![\w./])/g
const variable = /(?<![\w$<-])[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9](?![\w=])/g
const task = /\b(?:npm|bun) run ([a-z][\w:-]*)/g
const hyphenated = /^[a-z]+(?:-[a-z]+)+-?$/
const identifier = /^(?:[A-Z][a-z0-9]+(?:[A-Z][A-Za-z0-9]*)?|[a-z]+[A-Z][A-Za-z0-9]*)$/
const member = /^([A-Z][A-Za-z0-9]+)\.(?!(?:ts|md|json)$)([a-z][A-Za-z0-9]*)$/

const namesIn = (code: string, world: World): ReadonlyArray<string> => {
  const missing: Array<string> = []
  for (const [, path = ""] of code.matchAll(repositoryPath)) {
    if (!world.exists(path.replace(/\/$/, ""))) missing.push(`there is no ${path}`)
  }
  for (const [name] of code.matchAll(fileName)) {
    if (!world.files.some((path) => path === name || path.endsWith(`/${name}`))) {
      missing.push(`no file is called ${name}`)
    }
  }
  for (const pattern of [stateFile, variable]) {
    for (const [name] of code.matchAll(pattern)) {
      if (!saysWord(world.sources, name)) missing.push(`no source knows ${name}`)
    }
  }
  for (const [, name = ""] of code.matchAll(task)) {
    if (!world.tasks.has(name)) missing.push(`package.json has no task ${name}`)
  }
  if (identifier.test(code) && !saysWord(world.sources, code)) missing.push(`no source knows ${code}`)
  if (hyphenated.test(code) && !world.sources.includes(code)) missing.push(`no source knows ${code}`)
  const [, owner = "", name = ""] = member.exec(code) ?? []
  if (owner !== "") {
    const modules = world.files.filter((path) => path.endsWith(`/${owner}.ts`))
    const isKnown = modules.some((path) => saysWord(world.read(path) ?? "", name)) ||
      (modules.length === 0 && saysWord(world.sources, code))
    if (!isKnown) missing.push(`there is no ${code}`)
  }
  return missing
}

/** Problems of the command lines in a piece of code. */
const commandsIn = (code: string, world: World): ReadonlyArray<string> =>
  [...code.matchAll(/(?:^|[\s;&|(/])opencode-ssh((?: +[^\s;&|)]+)+)/g)].flatMap((match) => {
    const words = (match[1] ?? "").trim().split(/ +/)
    const own = words.includes("--") ? words.slice(0, words.indexOf("--")) : words
    const names = own.filter((word) => /^[a-z]+$/.test(word))
    const path = [own.slice(0, 2).join(" "), own[0] ?? ""].find((name) => world.commands.has(name))
    // `server status|stop|log`, `profiles …`: the group is what is meant.
    const isGroup = [...world.commands.keys()].some((name) => name.startsWith(`${own[0]} `)) && names.length < 2
    const options = own.flatMap((word) => /^(--[a-z-]+|-[A-Za-z])(?:=.*)?$/.exec(word)?.[1] ?? [])
    const all = world.commands.get("") ?? new Set()
    if (path === undefined) {
      return isGroup || (own[0] ?? "").startsWith("-") || /^[<[…A-Z]/.test(own[0] ?? "")
        ? options.filter((option) => !all.has(option)).map((option) => `opencode-ssh has no option ${option}`)
        : [`opencode-ssh has no command ${own.slice(0, 2).join(" ")}`]
    }
    return options
      .filter((option) => world.commands.get(path)?.has(option) !== true && !all.has(option))
      .map((option) => `opencode-ssh ${path} has no option ${option}`)
  })

// --- All of it -------------------------------------------------------------------------------------------------------

/** A page that another program writes as a whole, and that its own test keeps fresh. */
const isGenerated = (text: string): boolean => text.startsWith("<!-- Generated by ")

/** Everything that is wrong with a page. */
export const problemsOf = (file: string, text: string, world: World): ReadonlyArray<Problem> =>
  [
    ...staleBlocks(text, world),
    ...brokenLinks(file, text, world),
    ...(isGenerated(text) ? [] : codeOf(text)).flatMap(({ offset, text: code }) =>
      [...namesIn(code, world), ...commandsIn(code, world)].map((problem) => [offset, problem] as const)
    )
  ]
    .map(([offset, problem]) => ({ file, line: lineAt(text, offset), problem }))
    .sort((a, b) => a.line - b.line)

/** The commands of docs/cli.md, which is generated from them: `### name` and the option tables below it. */
export const commandsOf = (reference: string): ReadonlyMap<string, ReadonlySet<string>> =>
  new Map(
    reference.split(/^### /m).slice(1).map((section) => {
      const name = section.split("\n")[0] ?? ""
      const options = [...section.matchAll(/^\| `((?:-[A-Za-z], )?--[a-z-]+)/gm)].flatMap((row) =>
        (row[1] ?? "").split(", ")
      )
      // What the description of a switch says about its opposite.
      const opposites = [...section.matchAll(/\((--no-[a-z-]+):/g)].map((match) => match[1] ?? "")
      return [name === "Everywhere" ? "" : name, new Set([...options, ...opposites])] as const
    })
  )
