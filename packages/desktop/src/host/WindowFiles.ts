/** The window's built files: made anew when a source is newer, as the command line's bundle is. */
import { Effect, Schema } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

const root = Path.resolve(fileURLToPath(import.meta.url), "../../..")

/** Where they are built. */
export const directory = Path.join(root, "dist")

/** What the window is made of; the words come from the packages beside this one. */
const sources = [
  "index.html",
  "vite.config.ts",
  "package.json",
  "public",
  "src/ui",
  "../desktop-bridge/src",
  "../ssh-tunnel/src"
].map((name) => Path.join(root, name))

/** The window could not be built. */
export class WindowBuildFailed extends Schema.TaggedError<WindowBuildFailed>()("WindowBuildFailed", {
  detail: Schema.String
}) {
  override get message() {
    return `The window could not be built: ${this.detail}`
  }
}

/** When a file, or one of a directory's, was last changed; a directory's own time tells of what was removed. */
const newest = (path: string): number => {
  const stat = Fs.statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return 0
  return stat.isDirectory()
    ? Math.max(stat.mtimeMs, ...Fs.readdirSync(path).map((name) => newest(Path.join(path, name))))
    : stat.mtimeMs
}

/** Whether there is no build, or one that is older than its sources. */
export const isStale: Effect.Effect<boolean> = Effect.sync(() => {
  const built = Fs.statSync(Path.join(directory, "index.html"), { throwIfNoEntry: false })?.mtimeMs
  return built === undefined || sources.some((source) => newest(source) > built)
})

/** Builds the window, into `directory` unless told otherwise. Takes about two seconds. */
export const build = Effect.fn("WindowFiles.build")((outDir: string = directory) =>
  Effect.tryPromise({
    // Only who builds needs the bundler.
    try: async () => {
      const { build } = await import("vite")
      await build({ configFile: Path.join(root, "vite.config.ts"), build: { outDir } })
    },
    catch: (error) => new WindowBuildFailed({ detail: error instanceof Error ? error.message : String(error) })
  })
)
