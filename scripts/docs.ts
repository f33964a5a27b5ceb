/**
 * Keeps the documentation true; see lib/docs.ts for what is checked.
 *
 *     node scripts/docs.ts           brings copies of code and generated tables up to date
 *     node scripts/docs.ts --check   writes nothing; exits 1 when something is stale, broken or unknown
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { problemsOf, refreshed } from "./lib/docs.ts"
import { readWorld, root } from "./lib/repository.ts"

const isCheck = process.argv.includes("--check")
const world = readWorld()
const pages = world.pages.map((file) => ({ file, text: readFileSync(join(root, file), "utf8") }))
let count = 0
for (const { file, text } of pages) {
  const next = isCheck ? text : refreshed(text, world)
  if (next !== text) {
    writeFileSync(join(root, file), next)
    console.log(`${file} is brought up to date`)
  }
  for (const { line, problem } of problemsOf(file, next, world)) {
    console.error(`${file}:${line} ${problem}`)
    count++
  }
}
console.log(`${pages.length} pages, ${count} problems`)
process.exitCode = count === 0 ? 0 : 1
