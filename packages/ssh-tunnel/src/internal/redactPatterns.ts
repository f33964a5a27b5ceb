/**
 * Finds secrets that nobody told us of, by what stands around them: headers,
 * userinfo of URLs, values of names that promise a secret, known formats of
 * tokens, private keys. Every rule looks only a bounded way back, so the whole
 * is linear.
 */
import { Result } from "effect"
import * as Base64 from "effect/encoding/Base64"
import type { Span } from "./redactDecode.ts"
import { keys } from "./redactKeys.ts"
import { matches } from "./redactMatch.ts"
import { isSecretName, isSecretParameter } from "./redactNames.ts"

/** What stands for a secret. */
export const marker = "<redacted>"

const longestName = 80

/** Values that tell no secret. */
const empty =
  /^(?:null|nil|none|undefined|true|false|yes|no|\*+|\[?(?:redacted|hidden|masked|secret)\]?|<[a-z][a-z _-]{0,40}>|\.\.\.|…)$/i

const isBlank = (char: string): boolean => char === " " || char === "\t"
const isLineEnd = (char: string): boolean => char === "" || char === "\n" || char === "\r" || char === "\0"
const isNameUnit = (unit: number): boolean =>
  (unit >= 0x61 && unit <= 0x7a) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x30 && unit <= 0x39) ||
  unit === 0x5f || unit === 0x2d || unit === 0x2e
const quotes = "\"'`"

/** The end of the line that `at` is on. Variables in /proc/PID/environ end with NUL. */
const lineEnd = (text: string, at: number): number => {
  lineBreak.lastIndex = at
  return lineBreak.exec(text)?.index ?? text.length
}
const lineBreak = /[\n\r\0]/g

const span = (text: string, start: number, end: number): ReadonlyArray<Span> => {
  let stop = end
  while (stop > start && isBlank(text.charAt(stop - 1))) stop--
  return stop <= start || (stop - start <= 64 && empty.test(text.slice(start, stop))) ? [] : [{ start, end: stop }]
}

/** A quoted text: from after its opening quote (and the backslashes that escape it) to before the closing one. */
const quoted = (text: string, at: number, escapes: string): { end: number; after: number } => {
  const quote = text.charAt(at + escapes.length)
  let index = at + escapes.length + 1
  for (; !isLineEnd(text.charAt(index)); index++) {
    const char = text.charAt(index)
    if (char === quote && escapes === "") return { end: index, after: index + 1 }
    if (char !== "\\") continue
    let stop = index
    while (text.charAt(stop) === "\\") stop++
    if (escapes !== "" && text.charAt(stop) === quote && stop - index === escapes.length) {
      return { end: index, after: stop + 1 }
    }
    // In a shell's single quotes a backslash is only a backslash.
    if (quote === "'" && escapes === "" && text.charAt(stop) === "'") return { end: stop, after: stop + 1 }
    index = escapes === "" && (stop - index) % 2 === 1 && !isLineEnd(text.charAt(stop)) ? stop : stop - 1
  }
  return { end: index, after: index }
}

const trailing = /[,;)\]}]+$/

/** A value without quotes in the middle of a line. */
const bare = (text: string, at: number, inUrl: boolean): number => {
  let end = at
  for (;; end++) {
    const char = text.charAt(end)
    if (isLineEnd(char) || isBlank(char) || char === "\u00a0") break
    if (inUrl && /[&#"'<>`)\]}|\\]/.test(char)) break
    const next = text.charAt(end + 1)
    if (quotes.includes(char) && !/[\w\\$]/.test(next)) break
    if (/[,;&]/.test(char) && /^(?:[\s"'}\])]|$|[\w.-]{1,40}[=:])/.test(text.slice(end + 1, end + 43))) break
  }
  return end - (trailing.exec(text.slice(Math.max(at, end - 8), end))?.[0].length ?? 0)
}

/** The words of a shell that stand together as one: `'it'\''s'`. */
const shellWord = (text: string, at: number): number => {
  let end = at
  while (!isLineEnd(text.charAt(end))) {
    const char = text.charAt(end)
    if (char === "\"" || char === "'") end = quoted(text, end, "").after
    else if (char === "\\") end += isLineEnd(text.charAt(end + 1)) ? 1 : 2
    else if (/[\s,;)}\]&|<>]/.test(char)) break
    else end++
  }
  return end
}

interface Place {
  /** The name stands at the beginning of a line: the value is all the rest of it. */
  readonly wholeLine: boolean
  readonly inUrl: boolean
}

/** The strings of an array in one line. */
const elements = (text: string, at: number): ReadonlyArray<Span> => {
  const inner = /^\[([^\]{\n\r\0]{0,4096})\]?/.exec(text.slice(at, at + 4100))?.[1] ?? ""
  return span(text, at + 1, at + 1 + inner.length)
}

/** The value that begins at `from` or after blanks. */
const value = (text: string, from: number, { inUrl, wholeLine }: Place): ReadonlyArray<Span> => {
  let at = from
  while (isBlank(text.charAt(at))) at++
  if (isLineEnd(text.charAt(at))) return []
  const dollar = text.charAt(at) === "$" && /["']/.test(text.charAt(at + 1)) ? 1 : 0
  const escapes = /^\\+(?=["'`])/.exec(text.slice(at, at + 16))?.[0] ?? ""
  const open = at + dollar + escapes.length
  if (quotes.includes(text.charAt(open))) {
    const { after, end } = quoted(text, at + dollar, escapes)
    const glued = escapes === "" && /[\\"'\w$]/.test(text.charAt(after))
    return span(text, open + 1, glued ? shellWord(text, at + dollar) : end)
  }
  const first = text.charAt(at)
  if (first === "[" && !wholeLine) return elements(text, at)
  if (first === "{") return []
  if (!wholeLine) return span(text, at, bare(text, at, inUrl))
  const to = lineEnd(text, at)
  return /^[|>][+-]?$/.test(text.slice(at, Math.min(to, at + 16)).trim())
    ? blockScalar(text, from, to)
    : span(text, at, to)
}

/** The lines of a YAML block: those that are indented more than the line of their key, which holds `key`. */
const blockScalar = (text: string, key: number, from: number): ReadonlyArray<Span> => {
  const indent = /^[ \t]*/.exec(text.slice(lineBreakBefore(text, key - 1), key))?.[0].length ?? 0
  let end = from
  while (end < text.length) {
    const stop = lineEnd(text, end + 1)
    const line = text.slice(end + 1, Math.min(stop, end + 66 + indent))
    if (line.trim() !== "" && (/^[ \t]*/.exec(line)?.[0].length ?? 0) <= indent) break
    end = stop
  }
  return span(text, from + 1, end)
}

/** What may stand between a line's beginning and the name of a variable. */
const lineStart = /^[ \t]*(?:(?:export|declare -x|set|setenv|-|\+|\+\+)[ \t]+)?$/

/** `name = value`, `"name": value`, `name: value`, `?name=value`. */
const assignments = (text: string): ReadonlyArray<Span> => {
  const spans: Array<Span> = []
  separator.lastIndex = 0
  for (let match = separator.exec(text); match !== null; match = separator.exec(text)) {
    let end = match.index
    const least = Math.max(0, end - 12)
    while (end > least && /[\s"'`\])\\]/.test(text.charAt(end - 1)) && text.charAt(end - 1) !== "\n") end--
    let start = end
    while (start > 0 && end - start < longestName && isNameUnit(text.charCodeAt(start - 1))) start--
    const name = text.slice(start, end)
    if (name === "") continue
    const parameter = /[?&]/.test(text.charAt(start - 1)) && match[0] === "="
    if (!(parameter ? isSecretParameter(name) : isSecretName(name))) continue
    const after = match.index + match[0].length
    const header = /authorization$/i.test(name)
      ? authorization(text, after)
      : /cookie$/i.test(name) && match[0] === ":"
      ? span(text, after, untilQuote(text, after))
      : undefined
    if (header !== undefined) {
      spans.push(...header)
      separator.lastIndex = Math.max(after, header.at(-1)?.end ?? 0)
      continue
    }
    // The directory that a shell is in.
    if (/^(?:OLD)?PWD$/i.test(name) && /^\s*["']?(?:[/~]|[A-Za-z]:)/.test(text.slice(after, after + 8))) continue
    const before = text.slice(Math.max(lineBreakBefore(text, start), start - 40), start)
    const wholeLine = end === match.index && lineStart.test(before) &&
      (match[0] === "=" ? /[A-Z]/.test(name) || !isLogLine(text, after) : isBlank(text.charAt(after)))
    const found = value(text, after, { wholeLine, inUrl: parameter })
    spans.push(...found)
    separator.lastIndex = Math.max(after, found.at(-1)?.end ?? 0)
  }
  return spans
}
const separator = /=>|:=|[:=]/g

/** `name=value name=value`: more values follow on the line. */
const isLogLine = (text: string, at: number): boolean =>
  /^[^\n\r\0]*?[ \t][\w.-]{1,40}=/.test(text.slice(at, at + 2048))

const lineBreakBefore = (text: string, at: number): number => {
  for (let index = at; index > Math.max(0, at - 64); index--) if (isLineEnd(text.charAt(index - 1))) return index
  return Math.max(0, at - 64)
}

const find = (pattern: RegExp, text: string, at: number): number => {
  pattern.lastIndex = at
  return pattern.exec(text)?.index ?? text.length
}
const quoteOrLineEnd = /["'`\n\r\0]/g
const headerEnd = /["'`,\s\\\0]/g

const untilQuote = (text: string, at: number): number => find(quoteOrLineEnd, text, at + 1)

/** The credentials after `Authorization:`; the scheme is left. */
const authorization = (text: string, from: number): ReadonlyArray<Span> => {
  const match = /^[ \t"'`\\]*(?:([A-Za-z][\w-]{0,30})[ \t]+)?(?=\S)/.exec(text.slice(from, from + 80))
  if (match === null) return []
  const at = from + match[0].length
  return span(text, at, /^digest$/i.test(match[1] ?? "") ? lineEnd(text, at) : find(headerEnd, text, at))
}

const schemeAndToken = /(?<![\w-])(Basic|Bearer)(?:[ \t]+|%20)([\w.~+/=-]{4,})/gi

/** `Basic …` and `Bearer …` without their header's name. */
const schemes = (text: string): ReadonlyArray<Span> =>
  matches(schemeAndToken, text).flatMap((match) => {
    const [all, scheme = "", token = ""] = match
    const isSecret = /^basic$/i.test(scheme)
      ? Result.match(Base64.decodeString(token), { onFailure: () => false, onSuccess: (text) => text.includes(":") }) ||
        (token.length >= 16 && /\d|=/.test(token))
      : token.length >= 24 || /\d/.test(token)
    const end = match.index + all.length
    return isSecret ? [{ start: end - token.length, end }] : []
  })

/** Tokens that tell by their form what they are. Types of security keys (`sk-ssh-…`) are none. */
const formats = new RegExp(
  `(?<![A-Za-z0-9])(?:${
    [
      "gh[pousr]_[A-Za-z0-9]{16,}",
      "github_pat_\\w{20,}",
      "gl(?:pat|dt|rt|soat|cbt|ptt|ft|imt|agent|oas)-[\\w-]{16,}",
      "xox[a-z](?:-[\\w]+)+",
      "xapp-[\\w-]{16,}",
      "sk-(?!ssh-|ecdsa-)[\\w-]{16,}",
      "(?:sk|rk|pk)_(?:live|test)_\\w{10,}",
      "(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",
      "AIza[\\w-]{30,}",
      "ya29\\.[\\w-]{20,}",
      "npm_[A-Za-z0-9]{30,}",
      "pypi-[\\w-]{30,}",
      "hf_[A-Za-z0-9]{20,}",
      "gsk_[A-Za-z0-9]{20,}",
      "xai-[\\w-]{20,}",
      "r8_[A-Za-z0-9]{20,}",
      "do[opr]_v1_[0-9a-f]{40,}",
      "SG\\.[\\w-]{10,}\\.[\\w-]{10,}",
      "eyJ[\\w-]{8,1024}\\.[\\w-]{2,}(?:\\.[\\w-]*)*",
      "AGE-SECRET-KEY-1[A-Z0-9]{20,}",
      "tskey-[\\w-]{10,}"
    ].join("|")
  })`,
  "g"
)

const tokens = (text: string): ReadonlyArray<Span> =>
  matches(formats, text).map(({ 0: token, index }) => ({ start: index, end: index + token.length }))

const longestAuthority = 512

/** Passwords before the `@` of a URL, and a lone token there. */
const urls = (text: string): ReadonlyArray<Span> => {
  const spans: Array<Span> = []
  for (let at = text.indexOf("://"); at !== -1; at = text.indexOf("://", at + 3)) {
    const from = at + 3
    const next = text.slice(from, from + longestAuthority).indexOf("://")
    const rest = text.slice(from, from + (next === -1 ? longestAuthority : next))
    const candidate = rest.slice(0, /[\s"<>`\\\0]|$/.exec(rest)?.index)
    const path = /[/?#]|$/.exec(candidate)?.index ?? candidate.length
    let userinfo = candidate.lastIndexOf("@", path)
    // A raw slash in the password: what stands before it would be a host whose port is no number.
    if (userinfo === -1 && /^[^/:@[\]]*:(?!\d*(?:[/?#]|$))/.test(candidate)) userinfo = candidate.indexOf("@", path)
    if (userinfo <= 0) continue
    const colon = candidate.slice(0, userinfo).indexOf(":")
    const scheme = /[a-z][a-z0-9+.-]{0,20}$/i.exec(text.slice(Math.max(0, at - 22), at))?.[0].toLowerCase() ?? ""
    if (colon !== -1) spans.push(...span(text, from + colon + 1, from + userinfo))
    else if (/^(?:https?|wss?|ftps?)$/.test(scheme) && userinfo >= 8) spans.push({ start: from, end: from + userinfo })
  }
  return spans
}

/** The second group of each match. */
const second = (text: string, pattern: RegExp): ReadonlyArray<Span> =>
  matches(pattern, text).flatMap(({ 0: all, 1: before = "", 2: secret = "", index }) => {
    const start = index + before.length
    return secret === "" || start + secret.length > index + all.length ? [] : span(text, start, start + secret.length)
  })

const userAndPassword =
  /((?<![\w/])(?!npm:|workspace:|jsr:|catalog:|patch:)[\w.-]{1,64}:)([^\s:@/"'<>`]{1,256})@(?!sha(?:256|512):)(?=[\w[])/g
const basicFlag = /((?<![\w-])(?:-u|--user|--proxy-user)(?:[= \t]+|["'], ?)["']?[^\s"':]{1,64}:)([^\s"']{1,512})/g
const sshpass = /(\bsshpass[ \t]{1,8}-p[ \t]{0,8})("[^"\n]*"|'[^'\n]*'|[^\s"']\S*)/g
const netrc = /(\blogin[ \t]{1,8}[^\s]{1,128}[ \t]{1,8}password[ \t]{1,8})(\S{1,512})/g

const usage =
  /^(?:-{1,2}[A-Za-z]|(?:is|was|must|and|or|for|to|the|in|are|not|option|TOKEN|KEY|PASS|PASSWORD|SECRET|VALUE|STRING|TEXT)(?![\w-]))/

const flag = /(?<![\w-])--?([A-Za-z][\w-]{1,60})(?:[ \t](?![ \t])|["']?,[ \t\r\n]{0,16}(?=["']))/g

/** `--password VALUE`, also as two strings of an array. */
const flags = (text: string): ReadonlyArray<Span> =>
  matches(flag, text).flatMap(
    ({ 0: all, 1: name = "", index }) => {
      if (!isSecretName(name)) return []
      const at = index + all.length
      // A usage text, or the next flag.
      if (usage.test(text.slice(at, at + 32))) return []
      return /["']/.test(text.charAt(at))
        ? value(text, at, { wholeLine: false, inUrl: false })
        : span(text, at, shellWord(text, at))
    }
  )

const elementText = /(<([\w.-]{1,60})>)([^<\n]{1,4096})<\//g
const xml = (text: string): ReadonlyArray<Span> =>
  matches(elementText, text).flatMap(({ 1: tag = "", 2: name = "", 3: secret = "", index }) =>
    isSecretName(name) ? span(text, index + tag.length, index + tag.length + secret.length) : []
  )

/** All spans that hold a secret by their surroundings. `cut`: the text's beginning was cut off. */
export const patterns = (text: string, cut: boolean): ReadonlyArray<Span> => [
  ...keys(text, cut),
  ...assignments(text),
  ...schemes(text),
  ...tokens(text),
  ...(text.includes("://") ? urls(text) : []),
  ...(text.includes("@") ? second(text, userAndPassword) : []),
  ...(text.includes("-") ? [...flags(text), ...second(text, basicFlag), ...second(text, sshpass)] : []),
  ...(text.includes("login") ? second(text, netrc) : []),
  ...(text.includes("</") ? xml(text) : [])
]
