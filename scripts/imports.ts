/** Checks the directions of all imports of this repository; see lib/importRules.ts. */
import { globSync, readFileSync } from "node:fs"
import { dirname, sep } from "node:path"
import { violations } from "./lib/importRules.ts"

process.chdir(dirname(import.meta.dirname))
const files = globSync("{packages/*/{src,test,bench,scripts},examples,bench,scripts}/**/*.{ts,tsx}", {
  exclude: (name) => ["node_modules", "dist"].includes(name.split(sep).at(-1) ?? "")
}).map((file) => file.replaceAll(sep, "/")).sort()
const found = violations(new Map(files.map((file) => [file, readFileSync(file, "utf8")])))
for (const { file, line, problem } of found) console.error(`${file}:${line} ${problem}`)
console.log(`${files.length} modules, ${found.length} violations`)
process.exitCode = found.length === 0 ? 0 : 1
