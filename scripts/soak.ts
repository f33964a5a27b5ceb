/**
 * The long counts: suites named `*.soak.test.ts`, on Node. They take minutes to hours, and are no part of `npm test`.
 *
 *   npm run soak [-- part of a test file's name …]
 */
import { spawn } from "node:child_process"
import { globSync } from "node:fs"
import { constants } from "node:os"

const suites = globSync("packages/*/test/**/*.soak.test.ts")
if (suites.length === 0) {
  console.error("There are NO soak suites yet (packages/*/test/**/*.soak.test.ts): nothing was run, nothing is proven.")
  process.exit(1)
}
const child = spawn("vitest", ["run", "--project", "soak", ...process.argv.slice(2)], { stdio: "inherit" })
// A terminal's Ctrl-C reaches vitest by itself.
process.on("SIGINT", () => {})
process.on("SIGTERM", () => child.kill("SIGTERM"))
child.on("exit", (code, signal) => {
  process.exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal])
})
