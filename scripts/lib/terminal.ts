/** A terminal's last picture, as SVG: what a program wrote to a terminal, replayed. */

interface Style {
  readonly color?: number | string
  readonly bold?: boolean
  readonly dim?: boolean
}

interface Cell extends Style {
  readonly char: string
}

/** Lines of cells from top to bottom; lines that scrolled away are kept. */
export type Screen = ReadonlyArray<ReadonlyArray<Cell>>

const plain: Style = {}

/** Applies one `ESC [ … m`. */
const styled = (style: Style, parameters: ReadonlyArray<number>): Style => {
  let next = style
  for (let i = 0; i < parameters.length; i++) {
    const code = parameters[i] ?? 0
    if (code === 0) next = plain
    else if (code === 1) next = { ...next, bold: true }
    else if (code === 2) next = { ...next, dim: true }
    else if (code === 22) next = { ...next, bold: false, dim: false }
    else if (code >= 30 && code <= 37) next = { ...next, color: code - 30 }
    else if (code >= 90 && code <= 97) next = { ...next, color: code - 82 }
    else if (code === 38 && parameters[i + 1] === 5) {
      const color = parameters[i + 2] ?? 0
      if (color > 15) throw new Error(`colour ${color} is not known here`)
      next = { ...next, color }
      i += 2
    } else if (code === 38 && parameters[i + 1] === 2) {
      next = { ...next, color: `rgb(${parameters.slice(i + 2, i + 5).join(",")})` }
      i += 4
    } else if (code === 39) {
      const { color: _, ...rest } = next
      next = rest
    } else if (![3, 4, 23, 24, 49].includes(code)) throw new Error(`the style ${code} is not known here`)
  }
  return next
}

// eslint-disable-next-line no-control-regex -- they are what it reads
const token = /\u001b\[(\??[\d;]*)([A-Za-z])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[=>78]|[\s\S]/gu

/**
 * Replays what was written to a terminal of this width. Fails on a sequence that it does not know: a picture is
 * right, or there is none.
 */
export const replay = (output: string, columns: number): Screen => {
  const lines: Array<Array<Cell>> = [[]]
  let row = 0
  let column = 0
  let style = plain
  const line = (): Array<Cell> => {
    while (lines.length <= row) lines.push([])
    return lines[row] ?? []
  }
  const control = (parameter: string, command: string) => {
    const numbers = parameter.replace("?", "").split(";").map(Number)
    const count = Math.max(1, numbers[0] ?? 1)
    switch (command) {
      case "m":
        style = styled(style, numbers)
        return
      case "K":
        if (numbers[0] === 2) line().length = 0
        else if (numbers[0] === 1) { for (let i = 0; i <= column; i++) line()[i] = { char: " " } }
        else line().length = Math.min(line().length, column)
        return
      case "J":
        if (numbers[0] === 2) lines.length = row
        else {
          line().length = Math.min(line().length, column)
          lines.length = row + 1
        }
        return
      case "A":
        row = Math.max(0, row - count)
        return
      case "B":
        row += count
        return
      case "C":
        column = Math.min(columns - 1, column + count)
        return
      case "D":
        column = Math.max(0, column - count)
        return
      case "G":
        column = count - 1
        return
      case "h":
      case "l":
        // Modes of the terminal (cursor, pasting) do not show.
        if (parameter.startsWith("?")) return
    }
    throw new Error(`ESC [ ${parameter}${command} is not known here`)
  }
  for (const [text, parameter, command] of output.matchAll(token)) {
    if (command !== undefined) control(parameter ?? "", command)
    else if (text === "\n") {
      // As it is after a terminal's driver: a new line begins at its beginning.
      column = 0
      row++
    } else if (text === "\r") column = 0
    else if (text === "\b") column = Math.max(0, column - 1)
    else if (text === "\t") column = Math.min(columns - 1, (Math.floor(column / 8) + 1) * 8)
    else if (text.length === 1 && text < " ") throw new Error(`the character ${text.charCodeAt(0)} is not known here`)
    else if (!text.startsWith("\u001b")) {
      if (column === columns) {
        column = 0
        row++
      }
      const cells = line()
      while (cells.length < column) cells.push({ char: " " })
      cells[column] = { ...style, char: text }
      column++
    }
  }
  const end = lines.findLastIndex((cells) => cells.some(({ char }) => char.trim() !== ""))
  return lines.slice(0, end + 1)
}

/** The text alone, without trailing blanks. */
export const textOf = (screen: Screen): string =>
  screen.map((cells) => Array.from(cells, (cell) => cell?.char ?? " ").join("").trimEnd()).join("\n")

const palette = [
  "#484f58",
  "#ff7b72",
  "#3fb950",
  "#d29922",
  "#58a6ff",
  "#bc8cff",
  "#39c5cf",
  "#b1bac4",
  "#6e7681",
  "#ffa198",
  "#56d364",
  "#e3b341",
  "#79c0ff",
  "#d2a8ff",
  "#56d4dd",
  "#f0f6fc"
]
const foreground = "#e6edf3"
const background = "#0d1117"
const cellWidth = 8.4
const lineHeight = 20
const margin = 16
const bar = 32

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("\"", "&quot;")

const attributes = ({ bold, color, dim }: Style): string => {
  const fill = typeof color === "string" ? color : color === undefined ? foreground : palette[color] ?? foreground
  return [
    fill === foreground ? "" : ` fill="${fill}"`,
    bold === true ? ` font-weight="bold"` : "",
    dim === true ? ` opacity="0.65"` : ""
  ].join("")
}

/** Neighbours that look the same; blanks between them need no element. */
const runs = (cells: ReadonlyArray<Cell>) => {
  const found: Array<{ readonly start: number; readonly look: string; text: string }> = []
  Array.from(cells, (cell) => cell ?? { char: " " }).forEach((cell, index) => {
    const look = attributes(cell)
    const last = found.at(-1)
    if (last !== undefined && last.look === look) last.text += cell.char
    else found.push({ start: index, look, text: cell.char })
  })
  return found.filter(({ text }) => text.trim() !== "")
}

/** The picture. Every run has its exact width, so that columns stay columns with any font. */
export const svg = (screen: Screen, columns: number, title: string): string => {
  const width = Math.ceil(columns * cellWidth + 2 * margin)
  const height = bar + screen.length * lineHeight + margin
  const lines = screen.flatMap((cells, row) => {
    const y = bar + (row + 1) * lineHeight - 6
    return runs(cells).map(({ look, start, text }) => {
      const trimmed = text.trimEnd()
      const lead = trimmed.length - trimmed.trimStart().length
      const content = [...trimmed.trimStart()]
      const x = (margin + (start + lead) * cellWidth).toFixed(1)
      const length = (content.length * cellWidth).toFixed(1)
      return `<text x="${x}" y="${y}" textLength="${length}"${look}>${escaped(content.join(""))}</text>`
    })
  })
  return `${
    [
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`,
      `<title>${escaped(title)}</title>`,
      `<desc>${escaped(textOf(screen))}</desc>`,
      `<rect width="${width}" height="${height}" rx="8" fill="${background}"/>`,
      ...["#ff5f57", "#febc2e", "#28c840"].map((color, index) =>
        `<circle cx="${margin + 6 + index * 20}" cy="${bar / 2}" r="6" fill="${color}"/>`
      ),
      `<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="${foreground}" xml:space="preserve">`,
      ...lines,
      "</g>",
      "</svg>"
    ].join("\n")
  }\n`
}

/** A recording's first line: the command as a person types it, and the width of the terminal. */
const head = /^\$ (.+) #(\d+)\n/

/** A recording: what was run and what it wrote. */
export const recording = (command: string, columns: number, output: string): string =>
  `$ ${command} #${columns}\n${output.replaceAll("\r\n", "\n")}`

/** The picture of a recording. */
export const picture = (recorded: string): string => {
  const [first, command = "", columns = ""] = head.exec(recorded) ?? []
  if (first === undefined) throw new Error("a recording begins with its command")
  const prompt = `\u001b[2m$\u001b[0m \u001b[1m${command}\u001b[0m\n`
  return svg(replay(prompt + recorded.slice(first.length), Number(columns)), Number(columns), command)
}
