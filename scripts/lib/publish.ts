/** What a package's manifest and emitted files become when it leaves the workspace. */
import { posix } from "node:path"

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly exports?: Readonly<Record<string, string | null>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly [more: string]: unknown
}

/** Exact versions: those of the catalog, and of the workspace's own packages. */
export interface Versions {
  readonly catalog: Readonly<Record<string, string>>
  readonly workspace: Readonly<Record<string, string>>
}

const versionOf = (name: string, range: string, { catalog, workspace }: Versions): string => {
  const version = range === "catalog:" ? catalog[name] : range.startsWith("workspace:") ? workspace[name] : range
  if (version === undefined) throw new Error(`${name}: ${range} stands for no version`)
  return version
}

/** Sources become emitted files, each beside its declarations; anything else is shipped as it is. */
const target = (path: string | null): unknown => {
  const source = path === null ? null : /^\.\/src\/(.*)\.ts$/.exec(path)?.[1]
  return source === null || source === undefined
    ? path
    : { types: `./lib/${source}.d.ts`, default: `./lib/${source}.js` }
}

/** The manifest of the published package: it exports `lib` instead of `src`, and needs exact versions. */
export const publishedManifest = (manifest: Manifest, versions: Versions): Record<string, unknown> => {
  const { devDependencies: _devDependencies, scripts: _scripts, ...rest } = manifest
  return {
    ...rest,
    exports: Object.fromEntries(Object.entries(manifest.exports ?? {}).map(([name, path]) => [name, target(path)])),
    dependencies: Object.fromEntries(
      Object.entries(manifest.dependencies ?? {}).map(([name, range]) => [name, versionOf(name, range, versions)])
    )
  }
}

/** tsc keeps `./Other.ts` in declarations; there only `./Other.js` exists. */
export const publishedDeclaration = (text: string): string =>
  text.replaceAll(/\b(from\s*|import\s*\(?\s*)(["'])(\.{1,2}\/[^"']*)\.ts\2/g, "$1$2$3.js$2")

/**
 * Points a source map at the sources that are shipped with it. `file` is the map's path below `lib`, the map's own
 * sources are relative to `libDirectory` of the workspace; both packages have `src` beside `lib`.
 */
export const publishedMap = (text: string, file: string, libDirectory: string, srcDirectory: string): string => {
  const map = JSON.parse(text) as { readonly sources: ReadonlyArray<string> }
  const directory = posix.dirname(file)
  const sources = map.sources.map((source) => {
    const below = posix.relative(srcDirectory, posix.join(libDirectory, directory, source))
    return posix.relative(posix.join("lib", directory), posix.join("src", below))
  })
  return JSON.stringify({ ...map, sources })
}
