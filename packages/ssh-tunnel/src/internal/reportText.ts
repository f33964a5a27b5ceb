/**
 * Texts of strangers for a report: nothing of them acts, nothing is hidden, and
 * each knows its size. A report is pasted into web pages and terminals.
 */

/**
 * What has no glyph, or turns, hides or moves other glyphs: controls (but line
 * feed and tab), direction marks, invisible fillers, halves of characters, and
 * blanks that are not the blank.
 */
const invisible = /(?![\n\t ])(?:\p{C}|\p{Z}|\p{Default_Ignorable_Code_Point})/gu

/** One or two marks make an accent; a heap of them covers other lines. */
const heapedMarks = /(?<=\p{M}{2})\p{M}/gu

const code = (char: string): string => `<U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}>`

/** No fence gets longer than this. */
const longestFence = 32

const longTicks = new RegExp(`\`{${longestFence},}`, "g")

/** Terminal colours carry no content. */
export const withoutColours = (text: string): string => text.replace(/\u001b\[[0-9;:]{0,32}[mK]/g, "")

/** Every other control and invisible character, shown by its number. ssh ends its lines by CR LF. */
export const visible = (text: string): string =>
  text
    .replaceAll("\r\n", "\n")
    .replace(heapedMarks, code)
    .replace(invisible, code)
    .replace(longTicks, (ticks) => `${"`".repeat(longestFence - 1)}<U+0060 × ${ticks.length - longestFence + 1}>`)

/** The same in one line. */
export const visibleLine = (text: string): string => visible(text).replaceAll("\n", "<U+000A>").replaceAll("\t", " ")

const encoder = new TextEncoder()

/** The size in UTF-8. */
export const bytes = (text: string): number => encoder.encode(text).length

/** The beginning of a text, at most so many units; says how much is missing. */
export const head = (text: string, limit: number): string => {
  if (text.length <= limit) return text
  const kept = text.slice(0, limit).replace(/[\ud800-\udbff]$/, "")
  return `${kept}… (${text.length - kept.length} more)`
}

/** The end of a text, at most so many bytes of UTF-8, from the beginning of a line where one is near. */
export const tail = (text: string, limit: number): { readonly text: string; readonly cut: boolean } => {
  if (bytes(text) <= limit) return { text, cut: false }
  // At most four bytes a unit pair, three a unit: step back from the end until it fits.
  let start = Math.max(0, text.length - limit)
  for (let size = bytes(text.slice(start)); size > limit; size = bytes(text.slice(start))) {
    start += Math.max(1, Math.floor((size - limit) / 3))
  }
  const newline = text.indexOf("\n", start)
  if (newline !== -1 && newline - start < 1024 && newline < text.length - 1) start = newline + 1
  return { text: text.slice(start).replace(/^[\udc00-\udfff]/, ""), cut: true }
}
