/**
 * Text of unknown origin made harmless for a page that shows it. Versions, log lines, banners and error details come
 * from the other machine: a bidirectional override could make a command read as another one, and what cannot be seen
 * could be pasted into a terminal.
 */

/**
 * What has no glyph, or turns, hides or moves other glyphs: controls (but line feed), direction marks, invisible
 * fillers, halves of characters, and blanks that are not the blank.
 */
const unsafe = /(?![\n ])(?:\p{C}|\p{Z}|\p{Default_Ignorable_Code_Point})/gu

/** One or two marks make an accent; a heap of them covers other lines. */
const heapedMarks = /(?<=\p{M}{2})\p{M}/gu

/** Terminal colours carry no content. */
// eslint-disable-next-line no-control-regex -- escape sequences are what this finds
const colours = /\u001b\[[0-9;:]{0,32}[mK]/g

const code = (char: string): string => `<U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}>`

/** Several lines: line ends stay, a tab becomes a space, what could act becomes visible (`<U+202E>`). */
export const lines = (text: string): string =>
  text.replaceAll("\r\n", "\n").replace(colours, "").replaceAll("\t", " ").replace(heapedMarks, code).replace(
    unsafe,
    code
  )

/** One line, cut where it gets longer than `limit` UTF-16 units. */
export const line = (text: string, limit: number): string => {
  const shown = lines(text.length > limit ? `${text.slice(0, limit).replace(/[\ud800-\udbff]$/, "")}…` : text)
  return shown.replaceAll("\n", "<U+000A>")
}
