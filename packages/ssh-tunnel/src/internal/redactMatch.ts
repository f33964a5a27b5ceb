/** Matching without a copy of the pattern for each text, which costs more than most texts. */

/** Calls `take` for each match of a global pattern, from left to right. */
export const eachMatch = (pattern: RegExp, text: string, take: (match: RegExpExecArray) => void): void => {
  pattern.lastIndex = 0
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const next = pattern.lastIndex
    take(match)
    pattern.lastIndex = match[0] === "" ? next + 1 : next
  }
  pattern.lastIndex = 0
}

/** All matches of a global pattern. */
export const matches = (pattern: RegExp, text: string): ReadonlyArray<RegExpExecArray> => {
  const found: Array<RegExpExecArray> = []
  eachMatch(pattern, text, (match) => found.push(match))
  return found
}
