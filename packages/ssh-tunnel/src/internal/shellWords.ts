/** Splits a pasted command line into words as a POSIX shell does (Shell Command Language §2.2), as far as no shell is needed. */
import { Result } from "effect"

/** What a shell would do something about, when it is not quoted. */
const operators = /[;|&<>()`\n\r]/

/** A no-break space is what web pages make of a blank. */
const blanks = " \t\u00a0"

/**
 * The words of a line, or a sentence that says why there are none.
 *
 * `$HOME` at the start of a word becomes `~`; every other expansion is
 * refused, and so are operators, as the line is not run. A backslash after a
 * drive letter (`C:\`, not quoted) is kept: that line comes from Windows.
 */
export const split = (text: string): Result.Result<ReadonlyArray<string>, string> => {
  const words: Array<string> = []
  let word: string | undefined
  let quote = ""
  /** Nothing of the word was quoted so far. */
  let bare = true
  for (let index = 0; index < text.length; index++) {
    const char = text.charAt(index)
    const next = text.charAt(index + 1)
    if (quote === "'") {
      if (char === "'") quote = ""
      else word = (word ?? "") + char
    } else if (char === "\\" && bare && /^[A-Za-z]:/.test(word ?? "")) {
      word = (word ?? "") + char
    } else if (char === "\\" && (quote === "" || /["\\$`\n]/.test(next))) {
      if (next === "") return Result.fail("The line ends with a backslash")
      index++
      // A backslash before a line end joins two lines.
      if (next === "\r" && text.charAt(index + 1) === "\n") index++
      else if (next !== "\n") word = (word ?? "") + next
    } else if (char === "$") {
      const home = /^\$(?:HOME(?![A-Za-z0-9_])|\{HOME\})/.exec(text.slice(index, index + 8))
      if (home === null || (word ?? "") !== "") {
        return Result.fail("Variables and commands ($…) are not expanded here: write their value")
      }
      word = "~"
      index += home[0].length - 1
    } else if (char === "`" && quote === "\"") {
      return Result.fail("Commands (`…`) are not run here: write their value")
    } else if (char === "\"") {
      quote = quote === "" ? "\"" : ""
      word ??= ""
      bare = false
    } else if (quote === "\"") {
      word = (word ?? "") + char
    } else if (char === "'") {
      quote = "'"
      word ??= ""
      bare = false
    } else if (blanks.includes(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
      bare = true
    } else if (char === "#" && word === undefined) {
      index = text.length
    } else if (operators.test(char)) {
      return Result.fail(
        char === "\n" || char === "\r"
          ? "Give one command, on one line"
          : `This is one ssh command, not a script: "${char}" has no place in it`
      )
    } else {
      word = (word ?? "") + char
    }
  }
  if (quote !== "") return Result.fail("A quotation mark is not closed")
  if (word !== undefined) words.push(word)
  return Result.succeed(words)
}
