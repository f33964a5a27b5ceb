/**
 * As much of ssh_config(5)'s syntax as it takes to find the hosts that a
 * person has named: lines, words, `Host` and `Match` conditions, `Include`
 * patterns. Follows OpenSSH's readconf.c, misc.c (strdelim, argv_split),
 * match.c and openbsd-compat/glob.c. A line that ssh would refuse is skipped
 * here: ssh itself says so when it is asked to connect.
 */

/** A condition for the name that a person gives to ssh. It errs on the side of `true`. */
export type Condition = (name: string) => boolean

/** What a config file says about hosts, in its order. `line` counts from 1. */
export type Entry =
  | { readonly _tag: "Name"; readonly name: string; readonly line: number }
  | { readonly _tag: "Include"; readonly path: string; readonly line: number; readonly when: Condition }

const always: Condition = () => true

const skipBlanks = (text: string): string => text.replace(/^[ \t\r\n]+/, "")

/** strdelim(3) of OpenSSH: a token ends at a blank, at one `=`, or with its double quotes. */
const token = (text: string): readonly [token: string, rest: string] | undefined => {
  const end = text.search(/[ \t\r\n"=]/)
  if (end === -1) return [text, ""]
  if (text[end] === "\"") {
    const close = text.indexOf("\"", end + 1)
    return close === -1
      ? undefined
      : [text.slice(0, end) + text.slice(end + 1, close), skipBlanks(text.slice(close + 1))]
  }
  const rest = skipBlanks(text.slice(end + 1))
  return [text.slice(0, end), text[end] !== "=" && rest.startsWith("=") ? skipBlanks(rest.slice(1)) : rest]
}

/**
 * Splits a line into its lower-case keyword and the text of its arguments;
 * `undefined` for comments, empty lines, and keywords without arguments.
 */
export const keyword = (line: string): { readonly keyword: string; readonly rest: string } | undefined => {
  const text = line.replace(/[ \t\r\n\f]+$/, "")
  // One leading token may be empty: the indentation.
  const first = token(text)
  const found = first?.[0] === "" ? token(first[1]) : first
  if (found === undefined || found[0] === "" || found[0].startsWith("#")) return undefined
  const rest = skipBlanks(found[1])
  return rest === "" ? undefined : { keyword: found[0].toLowerCase(), rest }
}

/**
 * Splits arguments into words: both kinds of quotes, a few escapes, and `#`
 * at the start of a word begins a comment. `undefined` when a quote is open.
 */
export const words = (text: string): ReadonlyArray<string> | undefined => {
  const found: Array<string> = []
  let index = 0
  while (index < text.length) {
    const start = text.charAt(index)
    if (start === " " || start === "\t") {
      index++
      continue
    }
    if (start === "#") break
    let word = ""
    let quote = ""
    for (; index < text.length; index++) {
      const char = text.charAt(index)
      const next = text.charAt(index + 1)
      if (char === "\\") {
        const escapes = next === "'" || next === "\"" || next === "\\" || (quote === "" && next === " ")
        word += escapes ? next : char
        if (escapes) index++
      } else if (quote === "" && (char === " " || char === "\t")) break
      else if (quote === "" && (char === "\"" || char === "'")) quote = char
      else if (quote !== "" && char === quote) quote = ""
      else word += char
    }
    if (quote !== "") return undefined
    found.push(word)
  }
  return found
}

const escapeRegExp = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")

/** match_pattern of OpenSSH: `*` and `?`, nothing else, on the whole text. */
export const matchesPattern = (text: string, pattern: string): boolean =>
  new RegExp(
    `^${
      pattern.replace(/\*+|\?|[^*?]+/g, (part) => part[0] === "*" ? ".*" : part === "?" ? "." : escapeRegExp(part))
    }$`,
    "s"
  ).test(text)

const isConcrete = (pattern: string): boolean => pattern !== "" && !pattern.startsWith("!") && !/[*?]/.test(pattern)

/** A negated pattern that matches spoils the whole list, wherever it stands. */
const matchesList = (name: string, patterns: ReadonlyArray<string>): boolean =>
  patterns.some((pattern) => !pattern.startsWith("!") && matchesPattern(name, pattern)) &&
  !patterns.some((pattern) => pattern.startsWith("!") && matchesPattern(name, pattern.slice(1)))

/** `Host`: names are compared as they were typed. */
const hostBlock = (patterns: ReadonlyArray<string>): Block => ({
  names: patterns.filter(isConcrete),
  when: (name) => matchesList(name, patterns)
})

/** What a `Host` or `Match` line begins: the concrete names it has, and whom it is for. */
interface Block {
  readonly names: ReadonlyArray<string>
  readonly when: Condition
}

/**
 * `Match`: only `originalhost` is about what a person types; `host` is about
 * the HostName that it stands for, and the other criteria are not asked (`exec`
 * would run something), so they may hold.
 */
const matchBlock = (arguments_: ReadonlyArray<string>): Block => {
  const names: Array<string> = []
  const conditions: Array<Condition> = []
  for (let index = 0; index < arguments_.length; index++) {
    const word = arguments_[index] ?? ""
    const negated = word.startsWith("!")
    const [attribute = "", inline] = word.slice(negated ? 1 : 0).split(/=(.*)/s, 2)
    const name = attribute.toLowerCase()
    if (name === "all") conditions.push(() => !negated)
    if (name === "all" || name === "canonical" || name === "final") continue
    const patterns = (inline ?? arguments_[++index] ?? "").toLowerCase().split(",")
    if (name !== "originalhost") continue
    if (!negated) names.push(...(inline ?? arguments_[index] ?? "").split(",").filter(isConcrete))
    conditions.push((host) => matchesList(host.toLowerCase(), patterns) !== negated)
  }
  return { names, when: (host) => conditions.every((condition) => condition(host)) }
}

/**
 * The names and includes of one file. A name is what stands in a `Host` line,
 * or in `originalhost` of a `Match` line, without wildcards and not negated,
 * and only if that line really matches it. An include carries the condition of
 * the block that it stands in, because ssh never looks into it for other hosts.
 */
export const entries = (text: string): ReadonlyArray<Entry> => {
  const found: Array<Entry> = []
  let when = always
  text.split("\n").forEach((content, index) => {
    const line = index + 1
    const parsed = keyword(content)
    const arguments_ = parsed === undefined ? undefined : words(parsed.rest)
    if (parsed === undefined || arguments_ === undefined) return
    if (parsed.keyword === "include") {
      for (const path of arguments_) {
        if (path !== "") found.push({ _tag: "Include", path, line, when })
      }
    } else if (parsed.keyword === "host" || parsed.keyword === "match") {
      const block = parsed.keyword === "host" ? hostBlock(arguments_) : matchBlock(arguments_)
      when = block.when
      for (const name of block.names) {
        if (block.when(name)) found.push({ _tag: "Name", name, line })
      }
    }
  })
  return found
}

/** What `Include` may stand for on this machine. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The home directory of the passwd entry. */
  readonly home: string
  readonly username: string
  readonly uid: number | undefined
  /** Where relative patterns begin: `~/.ssh` for the user's files, `/etc/ssh` for the system's. */
  readonly base: string
}

const isAbsolute = (path: string): boolean => /^([\\/]|[A-Za-z]:)/.test(path)

/**
 * An `Include` argument as an absolute pattern. `undefined` when it depends on
 * the host (`%h`), on a variable that is not set, or on another user's home.
 * `~` is `$HOME` here, unlike anywhere else in ssh (glob(3), GLOB_TILDE).
 */
export const includePattern = (path: string, around: Surroundings): string | undefined => {
  const values: Readonly<Record<string, string | undefined>> = {
    "%": "%",
    d: around.home,
    u: around.username,
    i: around.uid === undefined ? undefined : String(around.uid)
  }
  let known = true
  const expanded = path.replace(/\$\{([^}]*)\}|%([%CLdhijklnpru])/g, (_, variable: string, percent: string) => {
    const value = percent === undefined ? around.environment[variable] : values[percent]
    known &&= value !== undefined
    return value ?? ""
  })
  if (!known) return undefined
  if (/^~($|[\\/])/.test(expanded)) return (around.environment["HOME"] ?? around.home) + expanded.slice(1)
  if (expanded.startsWith("~")) return undefined
  return isAbsolute(expanded) ? expanded : `${around.base}/${expanded}`
}

/** One component of a path pattern: a plain name, or a test for the names in a directory. */
export type Component = string | ((name: string) => boolean)

/** A character of a pattern; one after `\` is quoted and means only itself. */
interface PatternChar {
  readonly char: string
  readonly quoted: boolean
}

const patternChars = (pattern: string): ReadonlyArray<PatternChar> =>
  Array.from(
    pattern.matchAll(/\\(.)|./gs),
    ([whole, escaped]) =>
      escaped === undefined ? { char: whole, quoted: whole === "\\" } : { char: escaped, quoted: true }
  )

const classes: Readonly<Record<string, string>> = {
  alnum: "A-Za-z0-9",
  alpha: "A-Za-z",
  blank: " \\t",
  digit: "0-9",
  lower: "a-z",
  punct: "!-\\/:-@\\[-`{-~",
  space: "\\s",
  upper: "A-Z",
  xdigit: "A-Fa-f0-9"
}

/** The inside of a bracket expression as the inside of a RegExp's. */
const classBody = (characters: ReadonlyArray<PatternChar>): string => {
  const parts: Array<string> = []
  for (let index = 0; index < characters.length; index++) {
    const { char = "", quoted = false } = characters[index] ?? {}
    const [dash, last] = characters.slice(index + 1, index + 3)
    const named = char === "[" && !quoted
      ? /^\[:([a-z]+):\]/.exec(characters.slice(index).map(({ char }) => char).join(""))
      : null
    if (named !== null) {
      parts.push(classes[named[1] ?? ""] ?? "")
      index += named[0].length - 1
    } else if (dash?.char === "-" && !dash.quoted && last !== undefined) {
      if (char <= last.char) parts.push(`${escapeRegExp(char)}-${escapeRegExp(last.char)}`)
      index += 2
    } else parts.push(escapeRegExp(char))
  }
  return parts.join("")
}

/** glob(3): `*`, `?`, `[…]` with `!`, ranges and classes, and `\` before any character. */
const component = (pattern: string): Component => {
  const characters = patternChars(pattern)
  const is = (index: number, char: string) => characters[index]?.char === char && !characters[index].quoted
  const endOfBracket = (from: number): number => {
    const named = /^(?:\[:[a-z]+:\])+/.exec(characters.slice(from).map(({ char }) => char).join(""))
    const first = named === null ? from + 1 : from + named[0].length
    return characters.findIndex((_, index) => index >= first && is(index, "]"))
  }
  const parts: Array<string> = []
  let magic = false
  for (let index = 0; index < characters.length; index++) {
    const from = index + (is(index + 1, "!") ? 2 : 1)
    const end = is(index, "[") ? endOfBracket(from) : -1
    if (is(index, "*") || is(index, "?")) {
      magic = true
      parts.push(is(index, "*") ? ".*" : ".")
    } else if (end !== -1) {
      magic = true
      const body = classBody(characters.slice(from, end))
      parts.push(body === "" ? "(?!)" : `[${from === index + 2 ? "^" : ""}${body}]`)
      index = end
    } else parts.push(escapeRegExp(characters[index]?.char ?? ""))
  }
  if (!magic) return characters.map(({ char }) => char).join("")
  const test = new RegExp(`^${parts.join("")}$`, "s")
  // A leading dot must be written.
  return (name) => (characters[0]?.char === "." || !name.startsWith(".")) && test.test(name)
}

/** The components of an absolute path pattern; the first is the root (`""`, or a drive). */
export const components = (pattern: string): ReadonlyArray<Component> =>
  pattern.split("/").filter((part, index) => part !== "" || index === 0).map(component)
