/**
 * Reads the remote script's output: lines `NONCE KIND REST`, among whatever
 * start-up files and banners print. Pure; keeps a bounded amount of text,
 * whatever the other side sends.
 */

/** What one of our lines says. Lines of other kinds are of newer scripts and mean nothing here. */
export type RemoteEvent =
  | { readonly _tag: "Step"; readonly step: string }
  | { readonly _tag: "Found"; readonly value: unknown }
  | { readonly _tag: "Log"; readonly line: string }
  | { readonly _tag: "Result"; readonly value: unknown }
  /** One of our lines that cannot be read. Its text is not kept: it may hold a secret. */
  | { readonly _tag: "Garbled"; readonly kind: string }

/** Where the reading stands. */
export interface Reading {
  /** The beginning of a line that has not ended yet. */
  readonly partial: string
  /** The rest of the present line is not wanted: `noise` is remembered for the report, `dropped` is not. */
  readonly skipping: "noise" | "dropped" | undefined
  /** The end of what was printed that isn't ours. */
  readonly noise: string
}

/** The longest line of ours that is read: a result with a tail of a log has some 20 KiB. */
export const maximumLine = 256 * 1024

/** How much noise is kept. */
export const maximumNoise = 8 * 1024

/** Before anything was printed. */
export const initial: Reading = { partial: "", skipping: undefined, noise: "" }

const parse = (text: string): { readonly value: unknown } | undefined => {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

const eventOf = (line: string): RemoteEvent | undefined => {
  const space = line.indexOf(" ")
  const kind = space === -1 ? line : line.slice(0, space)
  const rest = space === -1 ? "" : line.slice(space + 1)
  switch (kind) {
    case "step":
      return { _tag: "Step", step: rest }
    case "log":
      return { _tag: "Log", line: rest }
    case "found":
    case "result": {
      const parsed = parse(rest)
      if (parsed === undefined) return { _tag: "Garbled", kind }
      return { _tag: kind === "found" ? "Found" : "Result", value: parsed.value }
    }
    default:
      return undefined
  }
}

/** The last characters of a text, without half of a surrogate pair in front. */
export const tail = (text: string, maximum: number): string => {
  if (text.length <= maximum) return text
  const cut = text.slice(text.length - maximum)
  return /^[\uDC00-\uDFFF]/.test(cut) ? cut.slice(1) : cut
}

const remember = (noise: string, text: string): string => tail(noise + text, maximumNoise)

/**
 * Takes the next piece of output. Pieces may end anywhere.
 *
 * **Gotchas**
 *
 * A line of ours that grows beyond {@link maximumLine} is given up: a `log`
 * line as far as it came, others as `Garbled`.
 */
export const feed =
  (nonce: string) => (reading: Reading, piece: string): readonly [Reading, ReadonlyArray<RemoteEvent>] => {
    const marker = `${nonce} `
    const events: Array<RemoteEvent> = []
    let { noise, partial, skipping } = reading
    const parts = piece.split("\n")
    for (const [index, part] of parts.entries()) {
      const ends = index < parts.length - 1
      if (skipping === undefined) {
        partial += part
        if (partial.startsWith(marker)) {
          if (partial.length > maximumLine) {
            const event = eventOf(partial.slice(marker.length, maximumLine))
            if (event !== undefined) events.push(event)
            skipping = "dropped"
            partial = ""
          }
        } else if (partial.length >= marker.length) {
          noise = remember(noise, partial)
          skipping = "noise"
          partial = ""
        }
      } else if (skipping === "noise") {
        noise = remember(noise, part)
      }
      if (!ends) continue
      if (skipping === undefined) {
        const line = partial.endsWith("\r") ? partial.slice(0, -1) : partial
        if (line.startsWith(marker)) {
          const event = eventOf(line.slice(marker.length))
          if (event !== undefined) events.push(event)
        } else if (line !== "") {
          noise = remember(noise, `${line}\n`)
        }
      } else if (skipping === "noise") {
        noise = remember(noise, "\n")
      }
      skipping = undefined
      partial = ""
    }
    return [{ noise, partial, skipping }, events]
  }
