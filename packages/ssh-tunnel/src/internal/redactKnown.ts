/**
 * Finds the secrets that this process knows in a text, verbatim and encoded,
 * all of them in one pass (Aho and Corasick 1975): linear in the text, however
 * many secrets and encodings there are.
 *
 * What quoting adds (quotes, backslashes, blanks, line breaks, invisible
 * characters) is skipped in text and secret alike, so that shell quoting,
 * wrapped base64 and a secret broken by a terminal's line end need no variants
 * of their own. Escapes are resolved by `redactDecode` before.
 */
import * as Base64 from "effect/encoding/Base64"
import * as Hex from "effect/encoding/Hex"
import { decode, type Span } from "./redactDecode.ts"

/** Shorter ones are hidden only where they stand alone; else half of every text would vanish. */
const shortest = 4

/** A longer secret is looked for in pieces of this length, so that a part of it is found as well. */
const pieceLength = 512

/** Encodings of encodings are looked for only of secrets up to this length. */
const longestTwice = 256

/** Compiled secrets. */
export interface Known {
  /** Per node: the code unit that leads to it, its first child, its next sibling, its longest proper suffix. */
  readonly unit: Int32Array
  readonly child: Int32Array
  readonly sibling: Int32Array
  readonly fail: Int32Array
  readonly depth: Int32Array
  /** The length of the longest pattern that ends in the node, 0 for none; negative for base64. */
  readonly ends: Int32Array
  /** The children of the root by code unit. */
  readonly roots: Int32Array
  /** Secrets that must stand alone. */
  readonly alone: ReadonlyArray<string>
  readonly patterns: ReadonlyArray<string>
}

/** Where the text may have been cut out of a longer one, so that a part of a secret may stand there. */
export interface Edges {
  readonly start: boolean
  readonly end: boolean
}

/** A unit as patterns and texts are compared by: -1 is skipped; base64url counts as base64. */
const normal = (unit: number): number => {
  if (unit <= 0x20 || unit === 0x22 || unit === 0x27 || unit === 0x5c || unit === 0x60) return -1
  if (unit === 0x2d) return 0x2b
  if (unit === 0x5f) return 0x2f
  if (unit < 0x7f) return unit
  return unit <= 0xa0 || unit === 0xad || unit === 0x61c || unit === 0x180e || (unit >= 0x200b && unit <= 0x200f) ||
      (unit >= 0x2028 && unit <= 0x202e) || (unit >= 0x2060 && unit <= 0x206f) || unit === 0xfeff
    ? -1
    : unit
}

const normalised = (text: string): string => {
  let result = ""
  for (let index = 0; index < text.length; index++) {
    const unit = normal(text.charCodeAt(index))
    if (unit !== -1) result += String.fromCharCode(unit)
  }
  return result
}

const encoder = new TextEncoder()

const utf16 = (text: string): Uint8Array => {
  const bytes = new Uint8Array(text.length * 2)
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    bytes[2 * index] = unit & 0xff
    bytes[2 * index + 1] = unit >> 8
  }
  return bytes
}

/**
 * The base64 of bytes that stand somewhere in a longer input: for each of the
 * three alignments the characters that depend on nothing else.
 */
const base64Cores = (bytes: Uint8Array): ReadonlyArray<string> =>
  [0, 1, 2].map((offset) => {
    const shifted = new Uint8Array(offset + bytes.length)
    shifted.set(bytes, offset)
    return Base64.encode(shifted).slice(Math.ceil(offset * 8 / 6), Math.floor((offset + bytes.length) * 8 / 6))
  })

const percentEncoded = (text: string): string => encodeURIComponent(text.toWellFormed())

const pieces = (secret: string): ReadonlyArray<string> => {
  const count = Math.max(1, Math.floor(secret.length / pieceLength))
  return Array.from(
    { length: count },
    (_, index) => secret.slice(index * pieceLength, index === count - 1 ? undefined : (index + 1) * pieceLength)
  )
}

/** What becomes of a secret that holds escapes itself when the text around it is decoded. */
const decodings = (secret: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (let text = decode(secret)?.text; text !== undefined && found.length < 3; text = decode(text)?.text) {
    found.push(text)
  }
  return found
}

/** Every form of a piece that decoding alone does not lead back to it. */
const forms = (secret: string): { readonly plain: ReadonlyArray<string>; readonly base64: ReadonlyArray<string> } => {
  const bytes = encoder.encode(secret)
  const hex = Hex.encode(bytes)
  const inner = new Set([secret, JSON.stringify(secret).slice(1, -1), percentEncoded(secret)])
  return {
    plain: [secret, secret.replaceAll(" ", "+"), ...decodings(secret), hex, hex.toUpperCase()],
    base64: [
      ...[...inner].flatMap((text) => base64Cores(encoder.encode(text))),
      ...base64Cores(utf16(secret)),
      ...(secret.length > longestTwice
        ? []
        : base64Cores(bytes).flatMap((core) => base64Cores(encoder.encode(core))))
    ]
  }
}

/** Compiles secrets; empty ones are ignored. */
export const compile = (secrets: Iterable<string>): Known => {
  /** Whether it is base64. */
  const patterns = new Map<string, boolean>()
  const alone = new Set<string>()
  const add = (form: string, isBase64: boolean) => {
    const pattern = normalised(form)
    if (pattern.length >= shortest) patterns.set(pattern, isBase64 && patterns.get(pattern) !== false)
  }
  for (const secret of secrets) {
    if (secret === "") continue
    if (normalised(secret).length < shortest) {
      alone.add(secret)
      continue
    }
    for (const piece of pieces(secret)) {
      const { base64, plain } = forms(piece)
      for (const form of plain) add(form, false)
      for (const form of base64) add(form, true)
    }
  }
  return { ...automaton(patterns), alone: [...alone] }
}

const automaton = (forms: ReadonlyMap<string, boolean>): Omit<Known, "alone"> => {
  const patterns = [...forms.keys()]
  const size = patterns.reduce((sum, pattern) => sum + pattern.length, 1)
  const [unit, child, sibling, fail, depth, ends] = [
    new Int32Array(size),
    new Int32Array(size),
    new Int32Array(size),
    new Int32Array(size),
    new Int32Array(size),
    new Int32Array(size)
  ]
  const roots = new Int32Array(patterns.some((pattern) => pattern.charCodeAt(0) > 0x7f) ? 0x10000 : 0x80)
  let count = 1
  const childOf = (node: number, code: number): number => {
    if (node === 0) return roots[code] ?? 0
    let next = child[node] ?? 0
    while (next !== 0 && unit[next] !== code) next = sibling[next] ?? 0
    return next
  }
  const parents = new Int32Array(size)
  for (const pattern of patterns) {
    let node = 0
    for (let index = 0; index < pattern.length; index++) {
      const code = pattern.charCodeAt(index)
      let next = childOf(node, code)
      if (next === 0) {
        next = count++
        unit[next] = code
        depth[next] = index + 1
        parents[next] = node
        if (node === 0) roots[code] = next
        else {
          sibling[next] = child[node] ?? 0
          child[node] = next
        }
      }
      node = next
    }
    ends[node] = forms.get(pattern) === true ? -pattern.length : pattern.length
  }
  // By depth, so that a node's suffix is finished before the node.
  const queue = new Int32Array(size)
  let last = 0
  for (const node of roots) if (node !== 0) queue[last++] = node
  for (let first = 0; first < last; first++) {
    const node = queue[first] ?? 0
    const code = unit[node] ?? 0
    const parent = parents[node] ?? 0
    if (parent !== 0) {
      let suffix = fail[parent] ?? 0
      let next = childOf(suffix, code)
      while (next === 0 && suffix !== 0) {
        suffix = fail[suffix] ?? 0
        next = childOf(suffix, code)
      }
      fail[node] = next
    }
    if (ends[node] === 0) ends[node] = ends[fail[node] ?? 0] ?? 0
    for (let next = child[node] ?? 0; next !== 0; next = sibling[next] ?? 0) queue[last++] = next
  }
  return { unit, child, sibling, fail, depth, ends, roots, patterns }
}

const isBase64 = (unit: number): boolean =>
  (unit >= 0x30 && unit <= 0x39) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a) ||
  unit === 0x2b || unit === 0x2f || unit === 0x2d || unit === 0x5f

const isWord = (unit: number): boolean =>
  (unit >= 0x30 && unit <= 0x39) || (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a)

/** Where texts were shortened by somebody: what stands before it may be the beginning of a secret. */
const ellipsis = 0x2026

/**
 * The spans of the text that hold a known secret or, at its edges, a part of
 * one. A span of base64 is one unit longer on each side: that character can
 * hold the last bits of a secret.
 */
export const find = (known: Known, text: string, edges: Edges = { start: false, end: false }): ReadonlyArray<Span> => {
  const spans: Array<Span> = []
  if (known.patterns.length > 0) {
    const { child, depth, ends, fail, roots, sibling, unit } = known
    /** Where the unit that was read as the i-th stands. */
    const places = new Uint32Array(text.length)
    let read = 0
    let node = 0
    const take = (length: number, stop: number, wide: boolean) => {
      const start = places[read - length] ?? 0
      const before = wide && start > 0 && isBase64(text.charCodeAt(start - 1)) ? 1 : 0
      const after = wide && isBase64(text.charCodeAt(stop)) ? 1 : 0
      spans.push({ start: start - before, end: stop + after })
    }
    const takeBeginning = (end: number) => {
      const length = depth[node] ?? 0
      if (length >= shortest) take(length, end, false)
    }
    for (let index = 0; index < text.length; index++) {
      const raw = text.charCodeAt(index)
      const code = normal(raw)
      if (code === -1) continue
      if (raw === ellipsis) takeBeginning(index)
      for (;;) {
        let next = 0
        if (node === 0) next = roots[code] ?? 0
        else {
          next = child[node] ?? 0
          while (next !== 0 && unit[next] !== code) next = sibling[next] ?? 0
        }
        if (next !== 0 || node === 0) {
          node = next
          break
        }
        node = fail[node] ?? 0
      }
      places[read++] = index
      const length = ends[node] ?? 0
      if (length !== 0) take(Math.abs(length), index + 1, length < 0)
    }
    if (edges.end) takeBeginning(text.length)
    if (edges.start) {
      const length = endingAtStart(known, text)
      if (length > 0) spans.push({ start: 0, end: length })
    }
  }
  for (const secret of known.alone) {
    for (let at = text.indexOf(secret); at !== -1; at = text.indexOf(secret, at + secret.length)) {
      const end = at + secret.length
      const glued = (isWord(text.charCodeAt(at)) && isWord(text.charCodeAt(at - 1))) ||
        (isWord(text.charCodeAt(end - 1)) && isWord(text.charCodeAt(end)))
      if (!glued) spans.push({ start: at, end })
    }
  }
  return spans
}

/** How much of the text's beginning is the end of a pattern whose beginning was cut off. */
const endingAtStart = ({ patterns }: Known, text: string): number => {
  const longest = patterns.reduce((length, pattern) => Math.max(length, pattern.length), 0)
  const places: Array<number> = []
  let head = ""
  for (let index = 0; index < text.length && head.length < longest; index++) {
    const code = normal(text.charCodeAt(index))
    if (code === -1) continue
    head += String.fromCharCode(code)
    places.push(index)
  }
  let found = 0
  for (const pattern of patterns) {
    for (let length = Math.min(pattern.length - 1, head.length); length > Math.max(found, shortest - 1); length--) {
      if (pattern.endsWith(head.slice(0, length))) {
        found = length
        break
      }
    }
  }
  return found === 0 ? 0 : (places[found - 1] ?? 0) + 1
}
