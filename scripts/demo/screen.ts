/** Where the demo writes: lines, and one line that is begun when something starts and completed when it ends. */

import { Effect } from "effect"
import { Output, type Style } from "../../packages/cli/src/Output.ts"

const codes: Readonly<Record<Style, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 }

export interface Screen {
  readonly paint: (style: Style, text: string) => string
  /** A whole line. One that is still open ends first. */
  readonly line: (text?: string) => void
  /** Begins a line. */
  readonly begin: (text: string) => void
  /** Completes the line that was begun last, unless others came between. */
  readonly complete: (text: string) => void
}

export interface Out {
  readonly isTTY?: boolean
  readonly write: (text: string) => unknown
}

/** Colours only on a terminal that obeys them, and without NO_COLOR (no-color.org). */
export const make = (out: Out, environment: Readonly<Record<string, string | undefined>>): Screen => {
  const colours = out.isTTY === true && (environment["NO_COLOR"] ?? "") === "" && environment["TERM"] !== "dumb"
  let isOpen = false
  const close = (rest: string) => {
    if (isOpen) out.write(`${rest}\n`)
    isOpen = false
  }
  return {
    paint: (style, text) => colours ? `\u001b[${codes[style]}m${text}\u001b[0m` : text,
    line: (text = "") => {
      close("")
      out.write(`${text}\n`)
    },
    begin: (text) => {
      close("")
      out.write(text)
      isOpen = true
    },
    complete: close
  }
}

/** The same for what the command line's parts have to say. */
export const output = ({ line, paint }: Screen): Output["Service"] => {
  const print = (text: string) => Effect.sync(() => line(text))
  return Output.of({
    animated: false,
    stdoutIsTerminal: false,
    paint,
    result: print,
    note: print,
    status: () => Effect.void
  })
}
