/** This checkout as the documentation's checks see it. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { commandsOf, type World } from "./docs.ts"
import { generated } from "./reference.ts"

/** The root directory. */
export const root = dirname(dirname(import.meta.dirname))

/** What is no source of ours, wherever it is. */
const foreign: ReadonlySet<string> = new Set(["node_modules", "dist", ".git", ".tmp"])

const filesBelow = (directory: string): ReadonlyArray<string> =>
  readdirSync(join(root, directory), { withFileTypes: true })
    .filter(({ name }) => !foreign.has(name))
    .flatMap((entry) => {
      const path = directory === "" ? entry.name : `${directory}/${entry.name}`
      return entry.isDirectory() ? filesBelow(path) : [path]
    })
    .sort()

const isSource = (path: string): boolean =>
  /\.(?:ts|mjs|sh)$/.test(path) && !path.startsWith("scripts/lib/docs") && !path.startsWith("scripts/test/Docs")

/** The checkout, and the pages in it that are checked. */
export const readWorld = (): World & { readonly pages: ReadonlyArray<string> } => {
  const read = (path: string): string | undefined => {
    try {
      return readFileSync(join(root, path), "utf8")
    } catch {
      return undefined
    }
  }
  const files = filesBelow("")
  const repository = { read, files }
  const manifest = JSON.parse(read("package.json") ?? "{}") as { readonly scripts?: Readonly<Record<string, string>> }
  return {
    ...repository,
    exists: (path) => path === "" || existsSync(join(root, path)),
    sources: files.filter(isSource).map((path) => read(path) ?? "").join("\n"),
    tasks: new Set(Object.keys(manifest.scripts ?? {})),
    commands: commandsOf(read("docs/cli.md") ?? ""),
    generated: generated(repository),
    pages: files.filter((path) => path.endsWith(".md"))
  }
}
