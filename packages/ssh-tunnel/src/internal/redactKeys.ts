/**
 * Finds private keys: PEM and OpenSSH blocks, PuTTY's files, and their base64
 * without a frame; also when they are cut, indented, quoted, on one line, or
 * when every line has something in front of it.
 */
import type { Span } from "./redactDecode.ts"
import { matches } from "./redactMatch.ts"

const begin = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|Private-Lines:[ \t]*\d+/g
const end = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|Private-MAC:[ \t]*[0-9a-f]+/g

/** How long a block may be: an RSA key of 16384 bits has 12.4 KB. */
const longest = 32 * 1024

/**
 * How base64 of a key begins when nothing frames it: `openssh-key-v1`, and a
 * whole PEM file in base64 (`-----BEGIN …`, which may be a certificate).
 */
const magic = /(?<![A-Za-z0-9+/])(?:b3BlbnNzaC1rZXktdjE|LS0tLS1CRUdJTi)[A-Za-z0-9+/]+={0,2}/g

const isPrivatePem = (base64: string): boolean => {
  try {
    return /PRIVATE KEY/.test(atob(base64.slice(0, 64)))
  } catch {
    return false
  }
}

/** What the lines of a block look like. Words of English are no base64 of this length. */
const bodyLine = /^(?:[A-Za-z0-9+/]{16,}={0,2}|[A-Za-z0-9+/]{1,15}={1,2}|(?:[A-Za-z0-9+/]{4}){1,4})$/
const headerLine = /^(?:Proc-Type|DEK-Info|Comment|Version|Hash):/
/** What may stand before and after a line: indents, quotes, comment signs, concatenation, diff and list signs. */
const before = new Set(" \t\r\n\0\"'`>|#*,;.()[]-")
const after = new Set(" \t\r\n\0\"'`,;\\()[]")
/** In a block whose lines have something in front of them. */
const randomRun = /[A-Za-z0-9+/]{8,}={0,2}/g

const isRandom = (run: string): boolean =>
  [/[0-9+/]/, /[a-z][A-Z]/, /[A-Z]{2}/, /=$/].filter((trait) => trait.test(run)).length >= 2

/** A line without its decoration; concatenated strings have a `+` outside of their quotes. */
const strip = (line: string): string => {
  let start = 0
  let end = line.length
  while (start < end && before.has(line.charAt(start))) start++
  while (end > start && after.has(line.charAt(end - 1))) end--
  if (end > start + 1 && line.charAt(end - 1) === "+" && after.has(line.charAt(end - 2))) {
    end--
    while (end > start && after.has(line.charAt(end - 1))) end--
  }
  return line.slice(start, end)
}

interface Line {
  readonly text: string
  readonly start: number
  readonly end: number
}

/** The lines of a part of the text, one after the other. */
function* lines(text: string, from: number, to: number): Generator<Line> {
  let start = from
  while (start < to) {
    const newline = text.indexOf("\n", start)
    const stop = newline === -1 || newline >= to ? to : newline
    yield { text: text.slice(start, stop), start, end: stop }
    start = stop + 1
  }
}

/** Whether a line is a part of a key and nothing else. */
const isBody = (line: string): boolean => {
  const bare = strip(line)
  return bare === "" || headerLine.test(bare) || bare.split(/[ \t]+/).every((word) => bodyLine.test(word))
}

/** From the begin of a block to where it ends (`close`, at most `most`); what is not of the block is left alone. */
const block = (
  text: string,
  start: number,
  from: number,
  close: Span | undefined,
  most = text.length
): ReadonlyArray<Span> => {
  const limit = Math.min(most, from + longest)
  const closed = close !== undefined && close.start < limit
  const to = closed ? close.start : limit
  const spans: Array<Span> = []
  let open = start
  let stop = from
  for (const line of lines(text, from, to)) {
    if (isBody(line.text)) {
      if (strip(line.text) !== "") stop = line.end
      continue
    }
    if (open !== -1) spans.push({ start: open, end: stop })
    open = -1
    const runs = matches(randomRun, line.text).filter(([run]) => isRandom(run))
    // Without an end, the block is over where nothing looks like it.
    if (!closed && !runs.some(([run]) => run.length >= 40)) return spans
    for (const run of runs) {
      spans.push({ start: line.start + run.index, end: line.start + run.index + run[0].length })
    }
    stop = line.end
  }
  if (open !== -1) spans.push({ start: open, end: closed ? close.end : stop })
  return spans
}

/** The rest of a block whose begin was cut off: upward from its end. */
const headless = (text: string, close: Span): Span => {
  let start = close.start
  while (start > 0 && close.start - start < longest) {
    const newline = text.lastIndexOf("\n", start - 2) + 1
    const isOwnLine = start === close.start && text.charAt(start - 1) !== "\n"
    const line = text.slice(isOwnLine ? text.lastIndexOf("\n", start - 1) + 1 : newline, start)
    const isDecoration = strip(line) === ""
    if (line === "" || (isDecoration && !isOwnLine) || !isBody(line)) break
    start -= line.length
  }
  return { start, end: close.end }
}

/** At the beginning of a text that was cut in the middle of a block. */
const remainder = (text: string): ReadonlyArray<Span> => {
  let stop = 0
  for (const line of lines(text, 0, Math.min(text.length, longest))) {
    const bare = strip(line.text)
    if (stop === 0 ? !/^[A-Za-z0-9+/]{40,}={0,2}$/.test(bare) : !bodyLine.test(bare)) break
    stop = line.end
  }
  return stop === 0 ? [] : [{ start: 0, end: stop }]
}

/** `cut`: the text may begin in the middle of a block. */
export const keys = (text: string, cut: boolean): ReadonlyArray<Span> => {
  const spans = cut ? [...remainder(text)] : []
  if (/PRIVATE KEY|Private-/.test(text)) {
    const closes = matches(end, text).map(({ 0: all, index }) => ({ start: index, end: index + all.length }))
    let next = 0
    let over = 0
    const begins = matches(begin, text)
    for (const [number, { 0: all, index }] of begins.entries()) {
      if (index < over) continue
      const from = index + all.length
      while (next < closes.length && (closes[next]?.start ?? 0) < from) next++
      const found = block(text, index, from, closes[next], begins[number + 1]?.index)
      spans.push(...found)
      over = Math.max(from, found.at(-1)?.end ?? 0)
    }
    spans.push(...closes.map((close) => headless(text, close)))
  }
  for (const { 0: run, index } of matches(magic, text)) {
    if (run.startsWith("b3Blb") || isPrivatePem(run)) spans.push(...block(text, index, index + run.length, undefined))
  }
  return spans
}
