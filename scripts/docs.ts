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
const read = (file: string): string => readFileSync(join(root, file), "utf8")
if (!isCheck) {
  for (const file of world.pages) {
    const [text, next] = [read(file), refreshed(read(file), world)]
    if (next === text) continue
    writeFileSync(join(root, file), next)
    console.log(`${file} is brought up to date`)
  }
}
const problems = world.pages.flatMap((file) => problemsOf(file, read(file), world))
for (const { file, line, problem } of problems) console.error(`${file}:${line} ${problem}`)
console.log(`${world.pages.length} pages, ${problems.length} problems`)
process.exitCode = problems.length === 0 ? 0 : 1
