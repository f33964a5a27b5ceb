/**
 * A text with its escapes resolved, and where each unit of the result stands in
 * the original: so that what is found in the one can be hidden in the other.
 */

/** Half-open, in UTF-16 units. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** The result of {@link decode}; unit `i` of `text` stands for `[starts[i], ends[i])` of the original. */
export interface Decoded {
  readonly text: string
  readonly starts: Uint32Array
  readonly ends: Uint32Array
}

/**
 * The beginning of an escape at the end of the text, which means nothing;
 * percent-encoding, the escapes of JSON, C and shells, HTML entities, and
 * colours of terminals (which may stand in the middle of a word).
 */
const escape =
  /(?:%[0-9a-fA-F]?|\\(?:u[0-9a-fA-F]{0,3}|x[0-9a-fA-F]?)?|&#?[0-9A-Za-z]{0,7}|\u001b(?:\[[0-9;:?]{0,64})?)$|\\(?:u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,6}\}|x[0-9a-fA-F]{2}|[0-7]{1,3}|\r\n|[^])|%[0-9a-fA-F]{2}|&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);|\u001b\[[0-9;:?]{0,64}[A-Za-z]/g

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: "\"", apos: "'" }

const letters: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  b: "\b",
  f: "\f",
  v: "\v",
  e: "\u001b",
  "\n": "",
  "\r\n": ""
}

const codePoint = (digits: string, radix: number): string => {
  const value = parseInt(digits, radix)
  return value <= 0x10ffff ? String.fromCodePoint(value) : "\ufffd"
}

const partial = /^(?:%.?|\\(?:u.{0,3}|x.?)?|&[^;]*)$/

/** A number for a byte (part of UTF-8), a text for everything else. */
const meaning = (found: string): string | number => {
  if (partial.test(found)) return ""
  if (found.startsWith("%")) return parseInt(found.slice(1), 16)
  if (found.startsWith("\u001b")) return ""
  if (found.startsWith("&#")) {
    return /[xX]/.test(found) ? codePoint(found.slice(3, -1), 16) : codePoint(found.slice(2, -1), 10)
  }
  if (found.startsWith("&")) return entities[found.slice(1, -1)] ?? found
  const rest = found.slice(1)
  if (/^u./.test(rest)) {
    return rest[1] === "{" ? codePoint(rest.slice(2, -1), 16) : String.fromCharCode(parseInt(rest.slice(1), 16))
  }
  if (/^x./.test(rest)) return parseInt(rest.slice(1), 16)
  if (/^[0-7]/.test(rest)) return parseInt(rest, 8) & 0xff
  return letters[rest] ?? rest
}

/** How many bytes a character of UTF-8 has that begins with this one; 0 for none. */
const sequenceLength = (byte: number): number =>
  byte < 0x80
    ? 1
    : byte >= 0xc2 && byte < 0xe0
    ? 2
    : byte >= 0xe0 && byte < 0xf0
    ? 3
    : byte >= 0xf0 && byte < 0xf5
    ? 4
    : 0

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const fromUtf8 = (bytes: ReadonlyArray<number>): string | undefined => {
  try {
    return utf8.decode(Uint8Array.from(bytes))
  } catch {
    return undefined
  }
}

/** Colours of terminals, which may stand in the middle of a word. */
const colours = /\u001b\[[0-9;:?]{0,64}(?:[A-Za-z]|$)/g

/** Takes terminal colours out; `undefined` when there is none. */
export const uncolour = (text: string): Decoded | undefined =>
  text.includes("\u001b[") ? resolve(text, colours) : undefined

/** Resolves one level of escapes; `undefined` when there is none. */
export const decode = (text: string): Decoded | undefined =>
  /[\\%&\u001b]/.test(text) ? resolve(text, escape) : undefined

const resolve = (text: string, escape: RegExp): Decoded => {
  // Nothing grows by decoding: every escape is longer than what it means.
  const starts = new Uint32Array(text.length)
  const ends = new Uint32Array(text.length)
  const parts: Array<string> = []
  let length = 0
  const put = (units: string, start: number, end: number) => {
    parts.push(units)
    for (let index = 0; index < units.length; index++) {
      starts[length] = start
      ends[length] = end
      length++
    }
  }
  const copy = (from: number, to: number) => {
    if (from >= to) return
    parts.push(text.slice(from, to))
    for (let index = from; index < to; index++) {
      starts[length] = index
      ends[length] = index + 1
      length++
    }
  }
  /** Bytes that stand side by side and may be one character. */
  let bytes: Array<{ readonly value: number; readonly start: number; readonly end: number }> = []
  /** `keep`: how many must wait for what follows; `last`: nothing follows. */
  const flush = (keep = 0, last = false) => {
    let index = 0
    while (index < bytes.length - keep) {
      const first = bytes[index]
      if (first === undefined) break
      const wanted = sequenceLength(first.value)
      const sequence = bytes.slice(index, index + wanted)
      const character = wanted > 0 && sequence.length === wanted
        ? fromUtf8(sequence.map(({ value }) => value))
        : undefined
      if (character === undefined && last && sequence.length < wanted) {
        // The text was cut in a character.
        index = bytes.length
      } else if (character === undefined) {
        put(String.fromCharCode(first.value), first.start, first.end)
        index++
      } else {
        put(character, first.start, sequence.at(-1)?.end ?? first.end)
        index += wanted
      }
    }
    bytes = bytes.slice(index)
  }
  let from = 0
  escape.lastIndex = 0
  for (let match = escape.exec(text); match !== null; match = escape.exec(text)) {
    if (match.index > from) {
      flush()
      copy(from, match.index)
    }
    const means = meaning(match[0])
    from = match.index + match[0].length
    if (typeof means === "number") {
      bytes.push({ value: means, start: match.index, end: from })
      if (bytes.length >= 1024) flush(3)
    } else {
      flush(0, partial.test(match[0]))
      put(means, match.index, from)
    }
  }
  flush(0, from === text.length)
  copy(from, text.length)
  return { text: parts.join(""), starts: starts.subarray(0, length), ends: ends.subarray(0, length) }
}

/** The span of the original for one of the decoded text; it is not empty. */
export const original = ({ ends, starts }: Decoded, { end, start }: Span): Span => ({
  start: starts[start] ?? 0,
  end: ends[end - 1] ?? 0
})
