/**
 * The main job, to be seen: a profile becomes a working URL. See `usage` in demo/options.ts.
 *
 * Loading the engine from source takes a second, and a person should not stare at nothing for so long.
 */
import { introduction, parse, usage } from "./demo/options.ts"

const options = parse(process.argv.slice(2))
if (options === "help") {
  console.log(usage)
} else if (typeof options === "string") {
  console.error(`${options}\n\n${usage}`)
  process.exitCode = 2
} else {
  console.log(introduction(options))
  const { run } = await import("./demo/run.ts")
  run(options)
}
