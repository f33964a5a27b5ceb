/**
 * Which module may import which: dependencies point down, platforms are chosen at the edge, internals stay internal,
 * and no module needs itself.
 */
import { posix } from "node:path"
import { parseSync } from "vite"

/** Source texts by path, relative to the root, with `/`. */
export type Sources = ReadonlyMap<string, string>

export interface Violation {
  readonly file: string
  readonly line: number
  readonly problem: string
}

interface Import {
  readonly from: string
  readonly line: number
  /** It is gone at run time. */
  readonly isType: boolean
}

const scope = "@opencode-ai/"

/**
 * What each package's `src` may import besides itself: `node:` stands for all of Node's modules, a name for that
 * package and its subpaths. What is not listed may import nothing.
 */
const layers: Readonly<Record<string, ReadonlyArray<string>>> = {
  "ssh-tunnel": ["effect"],
  "desktop-bridge": ["effect", "@opencode-ai/ssh-tunnel"],
  // The local host builds the window when its sources are newer.
  desktop: ["effect", "@opencode-ai/desktop-bridge", "@opencode-ai/ssh-tunnel", "vite"],
  cli: ["effect", "@opencode-ai/ssh-tunnel", "@effect/platform-node", "node:"],
  lab: ["effect", "@effect/platform-node", "node:"]
}

/** What is bundled for the page: the contract, and of ssh-tunnel its words, which need no platform and no service. */
const pagePart = "packages/desktop/src/ui/"
const page: ReadonlyArray<string> = [
  "effect",
  "solid-js",
  "@kobalte/core",
  ...["BridgeApi", "BridgeError", "Link", "WebSocketRpc"].map((name) => `${scope}desktop-bridge/${name}`),
  ...["ConnectionError", "ConnectionState", "Destination", "DoctorStep", "Profile", "ProfileDraft", "SshCommandLine"]
    .map((name) => `${scope}ssh-tunnel/${name}`)
]

/** The parts that pick a platform, and may therefore import it. Nothing else of their package imports them. */
const platformParts: ReadonlyArray<string> = [
  "packages/ssh-tunnel/src/node/",
  "packages/desktop-bridge/src/node/",
  "packages/desktop/src/host/"
]
/** Packages whose whole `src` is an application, which chooses. */
const applications: ReadonlySet<string> = new Set(["cli"])
const platform: ReadonlyArray<string> = ["@effect/platform-node", "node:"]

const fits = (specifier: string, allowed: string): boolean =>
  allowed.endsWith(":") ? specifier.startsWith(allowed) : specifier === allowed || specifier.startsWith(`${allowed}/`)

const lineOf = (source: string, offset: number): number => source.slice(0, offset).split("\n").length

/** All imports and re-exports of a module, dynamic ones with a fixed name included. */
export const importsOf = (file: string, source: string): ReadonlyArray<Import> => {
  const { module } = parseSync(file, source)
  const isTypeStatement = (start: number) => /^(?:import|export)\s+type\b/.test(source.slice(start, start + 40))
  return [
    ...module.staticImports.map(({ entries, moduleRequest, start }) => ({
      from: moduleRequest.value,
      line: lineOf(source, start),
      isType: isTypeStatement(start) || (entries.length > 0 && entries.every((entry) => entry.isType))
    })),
    ...module.staticExports.flatMap(({ entries, start }) => {
      const from = entries.map((entry) => entry.moduleRequest?.value).find((value) => value !== undefined)
      const isType = isTypeStatement(start) || entries.every((entry) => entry.isType)
      return from === undefined ? [] : [{ from, line: lineOf(source, start), isType }]
    }),
    ...module.dynamicImports.flatMap(({ moduleRequest, start }) => {
      const text = source.slice(moduleRequest.start, moduleRequest.end)
      return /^(["']).*\1$/.test(text) ? [{ from: text.slice(1, -1), line: lineOf(source, start), isType: false }] : []
    })
  ]
}

const isRelative = (specifier: string): boolean => specifier.startsWith(".")

const resolve = (file: string, specifier: string): string => posix.join(posix.dirname(file), specifier)

const partOf = (file: string): { readonly packageName: string | undefined; readonly area: string } => {
  const [top = "", name, area = ""] = file.split("/")
  return top === "packages" ? { packageName: name, area } : { packageName: undefined, area: top }
}

const checkRelative = (file: string, specifier: string): string | undefined => {
  const target = resolve(file, specifier)
  const { area, packageName } = partOf(file)
  const targetPart = partOf(target)
  // The workspace's own tools record and generate what belongs inside a package, and its tests run them.
  const isTool = area === "scripts" || (area === "test" && targetPart.area === "scripts")
  if (targetPart.packageName !== packageName && !isTool) {
    return "reaches into another package by a path: import it by its name"
  }
  if (packageName === undefined || area !== "src") return undefined
  // A version is read from there.
  if (targetPart.area === "package.json") return undefined
  if (targetPart.area !== "src") return `src imports nothing of ${targetPart.area}`
  const part = platformParts.find((prefix) => target.startsWith(prefix))
  if (part !== undefined && !file.startsWith(part)) return "services pick no platform: only its user imports this part"
  return undefined
}

const checkPackage = (file: string, specifier: string): string | undefined => {
  if (specifier === "@effect/platform-node") return "the barrel loads everything: import the module that is meant"
  if (specifier.startsWith(scope) && specifier.split("/")[2] === "internal") return "internals are nobody's API"
  const { area, packageName } = partOf(file)
  if (packageName === undefined || area !== "src") return undefined
  const isPlatform = platformParts.some((prefix) => file.startsWith(prefix))
  const allowed = file.startsWith(pagePart) ? page : [...layers[packageName] ?? [], ...(isPlatform ? platform : [])]
  if (
    specifier.startsWith(scope) && specifier.split("/")[2] === "node" && !isPlatform && !applications.has(packageName)
  ) {
    return "services pick no platform: only its user imports this part"
  }
  if (allowed.some((name) => fits(specifier, name))) return undefined
  return `src of ${packageName} may import only ${allowed.join(", ")}${allowed.length === 0 ? "nothing" : ""}`
}

/** Groups of modules that need each other at run time (strongly connected components; Tarjan). */
const cycles = (graph: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlyArray<ReadonlyArray<string>> => {
  const order = new Map<string, number>()
  const low = new Map<string, number>()
  const stack: Array<string> = []
  const found: Array<ReadonlyArray<string>> = []
  const visit = (node: string): number => {
    const index = order.size
    order.set(node, index)
    low.set(node, index)
    stack.push(node)
    for (const next of graph.get(node) ?? []) {
      const reached = order.has(next) ? stack.includes(next) ? order.get(next) : undefined : visit(next)
      if (reached !== undefined) low.set(node, Math.min(low.get(node) ?? index, reached))
    }
    if (low.get(node) === index) {
      const group = stack.splice(stack.indexOf(node))
      if (group.length > 1 || graph.get(node)?.includes(node) === true) found.push(group)
    }
    return low.get(node) ?? index
  }
  for (const node of graph.keys()) {
    if (!order.has(node)) visit(node)
  }
  return found
}

/** Everything that these sources do against the rules. */
export const violations = (sources: Sources): ReadonlyArray<Violation> => {
  const found: Array<Violation> = []
  const graph = new Map<string, ReadonlyArray<string>>()
  for (const [file, source] of sources) {
    const imports = importsOf(file, source)
    for (const { from, line } of imports) {
      const problem = isRelative(from) ? checkRelative(file, from) : checkPackage(file, from)
      if (problem !== undefined) found.push({ file, line, problem: `imports ${from}: ${problem}` })
    }
    graph.set(
      file,
      imports.filter(({ from, isType }) => isRelative(from) && !isType).map(({ from }) => resolve(file, from))
        .filter((target) => sources.has(target))
    )
  }
  for (const group of cycles(graph)) {
    const [file = ""] = group
    found.push({ file, line: 1, problem: `is part of a cycle: ${[...group, file].join(" → ")}` })
  }
  return found
}
