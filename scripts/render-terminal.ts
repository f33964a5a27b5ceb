/**
 * Pictures of what programs write to a terminal. A recording is the real output of a real run; the picture is made
 * of nothing else, and a test compares the two.
 *
 *     node scripts/render-terminal.ts docs/images/demo.ansi
 *         writes docs/images/demo.svg
 *     node scripts/render-terminal.ts docs/images/demo.ansi 'npm run demo -- --once'
 *         runs that in a terminal of its own (script(1) of util-linux) first, and keeps its output in the recording
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { picture, recording } from "./lib/terminal.ts"

const columns = 108

/** Runs the command in a terminal of `columns` columns, and returns what it wrote there. */
const record = (command: string): string => {
  const directory = mkdtempSync(join(tmpdir(), "render-terminal-"))
  const log = join(directory, "log")
  try {
    const { status } = spawnSync(
      "script",
      ["--quiet", "--return", "--command", `stty cols ${columns} rows 40; exec ${command}`, log],
      { stdio: "inherit", env: { ...process.env, TERM: "xterm-256color" } }
    )
    // A failure can be what the picture is about.
    if (status !== 0) console.error(`${command} ended with ${status}`)
    return readFileSync(log, "utf8").replace(/^Script started.*\n/, "").replace(/\n?\nScript done[\s\S]*$/, "\n")
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const [file = "", command] = process.argv.slice(2)
if (!file.endsWith(".ansi")) {
  console.error("usage: node scripts/render-terminal.ts FILE.ansi ['COMMAND']")
  process.exit(2)
}
if (command !== undefined) writeFileSync(file, recording(command, columns, record(command)))
writeFileSync(file.replace(/\.ansi$/, ".svg"), picture(readFileSync(file, "utf8")))
