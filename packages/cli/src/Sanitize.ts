/**
 * Text of unknown origin made harmless for a terminal. Versions, log lines,
 * banners and error details come from the other machine: an escape sequence in
 * them could rewrite the screen, set the title or feed the clipboard, and a
 * bidirectional override could make a command read as another one.
 */

/** C0 and C1 controls, DEL, line and paragraph separators, bidirectional and invisible formatting, lone surrogates. */
// eslint-disable-next-line no-control-regex -- control characters are what this finds
const unsafe = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|\p{Cs}/gu

const escape = (character: string): string => {
  const code = character.codePointAt(0) ?? 0
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`
}

/** One line of harmless text: what a terminal would obey becomes visible (`\x1b`, `\u202e`). */
export const line = (text: string): string => text.replace(unsafe, escape)

/** Several lines of harmless text: line ends stay (also `\r\n`), a tab becomes a space, the rest as {@link line}. */
export const lines = (text: string): ReadonlyArray<string> =>
  text.replaceAll("\t", " ").split(/\r?\n/).map((each) => line(each))

/** Colours and other renditions (`ESC [ … m`), which do nothing but decorate. */
// eslint-disable-next-line no-control-regex -- escape sequences are what this finds
const renditions = /\u001b\[[0-9;:]*m/g

/** A line of a log: its colours are dropped, anything else that a terminal would obey becomes visible. */
export const logLine = (text: string): string => line(text.replace(renditions, "").replaceAll("\t", " "))
