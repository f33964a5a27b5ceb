/**
 * Hides what must not leave this machine in a report: the only place where
 * anything is hidden.
 *
 * Always: secrets that this process knows, verbatim and encoded (base64 in
 * every alignment, percent-encoding, JSON and shell quoting, hex, and these in
 * each other), and what looks like one: values of names such as `*_KEY`,
 * `TOKEN`, `SECRET`, `PASSWORD` in environments, JSON, YAML and flags,
 * `Authorization` headers, userinfo and credential parameters of URLs, private
 * keys, tokens of known formats. By default also people and places, as plain
 * counters that are stable within one call: `user-1`, `host-1`, `ip-1`, `~`.
 *
 * Pure; total on any text; linear in its length; applied twice it changes
 * nothing more.
 *
 * **Gotchas**
 *
 * - Redact texts after their chunks were joined, and before they are cut.
 * - Names that every machine has (`root`, `localhost`, 127.0.0.1) and public
 *   sites stay: they are nobody.
 * - Fingerprints and public keys stay: they are public, and needed to compare.
 */
import { Redacted } from "effect"
import { decode, type Decoded, original, type Span, uncolour } from "./internal/redactDecode.ts"
import * as Known from "./internal/redactKnown.ts"
import { isSecretName } from "./internal/redactNames.ts"
import { marker, patterns } from "./internal/redactPatterns.ts"
import * as Places from "./internal/redactPlaces.ts"

export { isSecretName } from "./internal/redactNames.ts"
export { marker } from "./internal/redactPatterns.ts"

/** What is known about the process and the connection that a text is about. */
export interface Options {
  /** Every secret that this process knows. */
  readonly secrets?: Iterable<Redacted.Redacted<string>>
  /** Login names, local and remote, the most important one first: it becomes `user-1`. */
  readonly users?: ReadonlyArray<string>
  /** Names and addresses; `[user@]host[:port]` is understood. */
  readonly hosts?: ReadonlyArray<string>
  /** Home directories, which become `~`. */
  readonly homes?: ReadonlyArray<string>
  /** What else a person has named, e.g. profiles; becomes `profile-1`. */
  readonly labels?: ReadonlyArray<string>
  /** `false` shows people and places as they are. Default `true`. */
  readonly pseudonyms?: boolean
}

/** {@link Options} made ready for many texts. Holds secrets in the clear: keep it no longer than needed. */
export interface Context {
  readonly known: Known.Known
  /** Absent when people and places are shown. */
  readonly places: Places.Places | undefined
}

/** How a text came about. */
export interface TextOptions {
  /**
   * Where the text was cut out of a longer one. At a cut beginning the rest of
   * the first line is dropped (at most 4,096 units of a longer one): it may be
   * the end of a secret whose name was cut off.
   */
  readonly cut?: "start" | "end" | "both"
  /**
   * Whether names that stand somewhere as the name of a user or host are
   * recognised everywhere in this text. Only for texts of which every word may
   * be somebody's: whoever wrote it could make pseudonyms of its other words.
   */
  readonly learn?: boolean
}

/** A text that this process knows to be a secret. */
export const secret = (value: string): Redacted.Redacted<string> => Redacted.make(value)

/** A wiped secret can do no harm. */
const valueOf = (secret: Redacted.Redacted<string>): string => {
  try {
    return Redacted.value(secret)
  } catch {
    return ""
  }
}

/** Makes the options ready. */
export const context = (options: Options = {}): Context => ({
  known: Known.compile([...options.secrets ?? []].map(valueOf)),
  places: options.pseudonyms === false ? undefined : Places.compile({
    users: options.users ?? [],
    hosts: options.hosts ?? [],
    homes: options.homes ?? [],
    labels: options.labels ?? []
  })
})

/** How much is dropped at most where a text begins in the middle of a line. */
const longestRemainder = 4096

/** How deep escapes may be nested, e.g. JSON in JSON in a URL; and colours around them. */
const levels = 4

/** All spans of secrets, found in the text and in what it means with its escapes resolved. */
const secretsIn = (text: string, known: Known.Known, cut: TextOptions["cut"]): ReadonlyArray<Span> => {
  const edges = { start: cut === "start" || cut === "both", end: cut === "end" || cut === "both" }
  const spans: Array<Span> = []
  const upward: Array<(span: Span) => Span> = []
  let level: string | undefined = text
  for (let depth = 0; depth <= levels && level !== undefined; depth++) {
    for (const span of [...Known.find(known, level, edges), ...patterns(level, edges.start)]) {
      if (span.end > span.start) spans.push(upward.reduceRight((at, lift) => lift(at), span))
    }
    const decoded: Decoded | undefined = depth === 0 ? uncolour(level) ?? decode(level) : decode(level)
    if (decoded !== undefined) upward.push((span) => original(decoded, span))
    level = decoded?.text
  }
  return spans
}

/** The text with a marker for each span. What is a marker already stays one. */
const hide = (text: string, spans: ReadonlyArray<Span>): string => {
  const sorted = [...spans].sort((a, b) => a.start - b.start)
  let result = ""
  let from = 0
  let index = 0
  while (index < sorted.length) {
    let { end, start } = sorted[index] ?? { start: 0, end: 0 }
    for (index++; index < sorted.length && (sorted[index]?.start ?? 0) <= end; index++) {
      end = Math.max(end, sorted[index]?.end ?? 0)
    }
    const near = Math.max(0, start - marker.length)
    const around = text.slice(near, start + marker.length).indexOf(marker)
    if (around !== -1 && near + around <= start && end <= near + around + marker.length) continue
    result += text.slice(from, start) + marker
    from = end
  }
  return result + text.slice(from)
}

const withoutRemainder = (text: string): string => {
  const newline = text.slice(0, longestRemainder).indexOf("\n")
  return newline === -1 ? text.slice(longestRemainder) : text.slice(newline + 1)
}

const withoutSecrets = (text: string, known: Known.Known, cut: TextOptions["cut"]): string => {
  let hidden = hide(text, secretsIn(text, known, cut))
  if (cut === "start" || cut === "both") hidden = withoutRemainder(hidden)
  else if (hidden === text) return text
  // What was hidden may have stood between a name and another secret.
  for (let round = 0; round < 4; round++) {
    const again = hide(hidden, secretsIn(hidden, known, undefined))
    if (again === hidden) break
    hidden = again
  }
  return hidden
}

const redactString = (text: string, { known, places }: Context, names: Names, options: TextOptions): string => {
  let hidden = withoutSecrets(text, known, options.cut)
  if (places === undefined || names === undefined) return hidden
  // A pseudonym may make a token of what it stands in, or a name of what stands beside it.
  for (let round = 0; round < 4; round++) {
    const named = Places.replacePlaces(hidden, places, names, options.learn ?? false)
    if (named === hidden) break
    hidden = withoutSecrets(named, known, undefined)
  }
  return hidden
}

type Names = Places.Pseudonyms | undefined

/** Redacts the parts of one report: the same name gets the same pseudonym in all of them. */
export interface Redactor {
  /** See {@link redactText}. */
  readonly text: (text: string, options?: TextOptions) => string
  /** See {@link redact}. */
  readonly value: <A>(value: A) => A
}

/** Starts a report: counters begin at 1. */
export const redactor = (context: Context): Redactor => {
  const names: Names = context.places === undefined ? undefined : Places.pseudonyms(context.places)
  /** Most short texts of a report come again and again. */
  const known = new Map<string, string>()
  const text = (text: string, options: TextOptions = {}) => {
    if (options.cut !== undefined || options.learn === true || text.length > 256) {
      return redactString(text, context, names, options)
    }
    const before = known.get(text)
    if (before !== undefined) return before
    const redacted = redactString(text, context, names, options)
    known.set(text, redacted)
    return redacted
  }
  return { text, value: (value) => redactValue(value, text) }
}

/** Hides secrets, and people and places, in a text of any content. */
export const redactText = (text: string, context: Context, options: TextOptions = {}): string =>
  redactor(context).text(text, options)

/**
 * Hides the same in plain data: in every string, in keys, and whole values
 * whose key, or the flag before them in an array, promises a secret. Pseudonyms
 * are stable within one call, in the order of the data. A `Redacted` becomes
 * the marker; instances of classes become what they print as.
 */
export const redact = <A>(value: A, context: Context): A => redactor(context).value(value)

/** Deeper structures are cut off. */
const deepest = 64

const isPlain = (value: object): value is Readonly<Record<string, unknown>> => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/** A text that must be hidden because of its name. */
const isSecretValue = (value: unknown): boolean =>
  (typeof value === "string" && value !== "") || typeof value === "number" || typeof value === "bigint"

const redactValue = <A>(value: A, text: (text: string) => string): A => {
  const walk = (value: unknown, depth: number): unknown => {
    if (typeof value === "string") return text(value)
    if (Redacted.isRedacted(value)) return marker
    if (typeof value !== "object" || value === null) return typeof value === "function" ? undefined : value
    if (depth >= deepest) return "…"
    if (Array.isArray(value)) {
      return value.map((item: unknown, index) => {
        const before: unknown = value[index - 1]
        return typeof before === "string" && /^--?[A-Za-z][\w-]*$/.test(before) && isSecretName(before) &&
            typeof item === "string" && !/^--?[A-Za-z]/.test(item)
          ? marker
          : walk(item, depth + 1)
      })
    }
    if (!isPlain(value)) return text(printed(value))
    const result: Record<string, unknown> = {}
    for (const [key, item] of Object.entries(value)) {
      const name = text(key)
      // Two names may become one.
      const free = Object.hasOwn(result, name) ? `${name} (${Object.keys(result).length})` : name
      Object.defineProperty(result, free, {
        value: isSecretName(key) && isSecretValue(item) ? marker : walk(item, depth + 1),
        enumerable: true,
        writable: true,
        configurable: true
      })
    }
    return result
  }
  return walk(value, 0) as A
}

const printed = (value: object): string => {
  try {
    return String(value)
  } catch {
    return "[object]"
  }
}
