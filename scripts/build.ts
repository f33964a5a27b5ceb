/**
 * Builds what leaves the workspace: each library as ESM with declarations and source maps, ready to be published, in
 * `packages/<name>/dist`; the command line as one file.
 *
 *   npm run build [-- [--pack <directory for the tarballs>] [names of packages, default all …]]
 */
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { parseArgs } from "node:util"
import { type Manifest, publishedDeclaration, publishedManifest, publishedMap } from "./lib/publish.ts"

const { positionals, values } = parseArgs({ options: { pack: { type: "string" } }, allowPositionals: true })
const root = dirname(import.meta.dirname)
const packages = join(root, "packages")

const readJson = <A>(file: string): A => JSON.parse(readFileSync(file, "utf8")) as A
const edit = (file: string, change: (text: string) => string) => writeFileSync(file, change(readFileSync(file, "utf8")))
const run = (cwd: string, command: string, ...args: ReadonlyArray<string>) => {
  const { status } = spawnSync(command, args, { cwd, stdio: ["ignore", "inherit", "inherit"] })
  if (status === 0) return
  console.error(`${command} ${args.join(" ")} failed`)
  process.exit(1)
}

const manifests = new Map(
  readdirSync(packages).filter((name) => existsSync(join(packages, name, "package.json"))).map((name) =>
    [name, readJson<Manifest>(join(packages, name, "package.json"))] as const
  )
)
const { workspaces } = readJson<{ workspaces: { catalog: Record<string, string> } }>(join(root, "package.json"))
const versions = {
  catalog: workspaces.catalog,
  workspace: Object.fromEntries([...manifests.values()].map(({ name, version }) => [name, version]))
}

/** A library: `dist` is the root of the published package. */
const buildLibrary = (directory: string, manifest: Manifest): string => {
  const dist = join(directory, "dist")
  const lib = join(dist, "lib")
  rmSync(dist, { recursive: true, force: true })
  run(directory, "tsc", "-p", "tsconfig.build.json", "--outDir", lib)
  for (const file of globSync("**/*.d.ts", { cwd: lib })) edit(join(lib, file), publishedDeclaration)
  for (const file of globSync("**/*.map", { cwd: lib })) {
    edit(join(lib, file), (text) => publishedMap(text, file, lib, join(directory, "src")))
  }
  const published = JSON.stringify(publishedManifest(manifest, versions), undefined, 2)
  writeFileSync(join(dist, "package.json"), `${published}\n`)
  for (const name of ["src", "schema", "README.md", "LICENSE"]) {
    const source = [join(directory, name), join(root, name)].find((path) => existsSync(path))
    if (source !== undefined && (name === "LICENSE" || source.startsWith(directory))) {
      cpSync(source, join(dist, name), { recursive: true })
    }
  }
  return dist
}

/** An application: its own build script makes one file of it. */
const buildApplication = (directory: string): string => {
  rmSync(join(directory, "dist"), { recursive: true, force: true })
  run(directory, "bun", "run", "--silent", "build")
  return directory
}

const isLibrary = (name: string): boolean => existsSync(join(packages, name, "tsconfig.build.json"))

/** A package after the libraries of the workspace that it is checked against: their declarations are what it is published with. */
const withLibraries = (name: string): ReadonlyArray<string> => {
  const needed = isLibrary(name) ? Object.keys(manifests.get(name)?.dependencies ?? {}) : []
  return [
    ...[...manifests].filter(([, other]) => needed.includes(other.name)).flatMap(([other]) => withLibraries(other)),
    name
  ]
}
const chosen = [...manifests.keys()].filter((name) => positionals.length === 0 || positionals.includes(name))
for (const name of new Set(chosen.flatMap(withLibraries))) {
  const manifest = manifests.get(name)
  if (manifest === undefined || manifest.private === true) continue
  const directory = join(packages, name)
  const publishable = isLibrary(name) ? buildLibrary(directory, manifest) : buildApplication(directory)
  console.log(
    `${manifest.name} ${manifest.version}: ${
      globSync("**/*.{js,mjs}", { cwd: join(directory, "dist") }).length
    } modules`
  )
  if (values.pack === undefined) continue
  const destination = resolve(values.pack)
  mkdirSync(destination, { recursive: true })
  run(publishable, "bun", "pm", "pack", "--quiet", "--destination", destination)
}
