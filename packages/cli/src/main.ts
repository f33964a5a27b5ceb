/** `opencode-ssh`, the program. */
import { program } from "./Program.ts"
import { version } from "./Version.ts"

const [first, ...others] = process.argv.slice(2)

if (others.length === 0 && (first === "--version" || first === "-v")) {
  // The same line that `run` would print, without evaluating everything that it needs.
  process.stdout.write(`${program} ${version}\n`)
} else {
  await import("./start.ts")
}
