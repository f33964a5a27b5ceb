/** The generated blocks of pages: what only the sources can say truly. */
import { Timing } from "@opencode-ai/ssh-tunnel/Schedules"
import { Duration, Result } from "effect"
import { ofError } from "../../packages/cli/src/ExitCode.ts"
import { candidates } from "../../packages/ssh-tunnel/src/internal/healthAnswer.ts"
import { overlay } from "../../packages/ssh-tunnel/src/internal/overlay.ts"
import type { World } from "./docs.ts"
import { errorReference } from "./errorReference.ts"
import { lifecycleDiagram } from "./lifecycleDiagram.ts"
import { docOf, sentenceOf, table } from "./markdown.ts"

/** The repository's files, of which the texts are made. */
export type Repository = Pick<World, "read" | "files">

const tunnel = "packages/ssh-tunnel/src/"

const must = ({ read }: Repository) => (path: string): string => {
  const text = read(path)
  if (text === undefined) throw new Error(`there is no ${path}`)
  return text
}

const bridge = "packages/desktop-bridge/src/"

const folders: ReadonlyArray<readonly [path: string, what: string]> = [
  [tunnel, "the public modules"],
  [`${tunnel}internal/`, "nobody's API"],
  [`${tunnel}node/`, "the platform: the only part that imports `node:*` and `@effect/platform-node`"],
  [bridge, "the public modules"],
  [`${bridge}node/`, "the main process's platform"]
]

/** Folder by folder, one line for each module: its name, and what it is in its own words. */
const house = (repository: Repository): string =>
  folders.map(([folder, what]) => {
    const names = repository.files
      .filter((path) => path.startsWith(folder) && path.endsWith(".ts"))
      .map((path) => path.slice(folder.length))
      .filter((name) => !name.includes("/"))
    const lines = names.map((name) => {
      const doc = docOf(must(repository)(folder + name))
      return `- \`${name}\`${doc === undefined ? "" : `: ${sentenceOf(doc)}`}`
    })
    return [`\`${folder}\`, ${what}:`, lines.join("\n")].join("\n\n")
  }).join("\n\n")

const durationText = (duration: Duration.Duration): string => {
  const millis = Duration.toMillis(duration)
  return millis % 1000 === 0 ? `${millis / 1000} s` : `${millis} ms`
}

/** The durations that something uses. */
const durations = (repository: Repository): string => {
  const source = must(repository)(`${tunnel}Schedules.ts`)
  const users = repository.files
    .filter((path) => path.startsWith(tunnel) && path.endsWith(".ts") && !path.endsWith("Schedules.ts"))
    .map(must(repository))
    .join("\n")
  return table(
    ["Name", "Value", "What for"],
    Object.entries<Duration.Duration>({ ...Timing.defaults })
      .filter(([name]) => new RegExp(`\\b${name}\\b`).test(users))
      .map(([name, duration]) => [`\`${name}\``, durationText(duration), docOf(source, name) ?? ""])
  )
}

/** The config file that ssh gets, for a user without special wishes. */
const overlayText = (): string => {
  const text = Result.getOrThrow(overlay({ home: "/home/me", sshVersion: { major: 9, minor: 2 } }))
  return `\`\`\`text\n${text.trimEnd()}\n\`\`\``
}

/** The fields of a profile, with the words of the JSON Schema. */
const profileFields = (repository: Repository): string => {
  const schema = JSON.parse(must(repository)("packages/ssh-tunnel/schema/ssh-profiles.schema.json")) as {
    readonly properties: { readonly profiles: { readonly items: ObjectSchema } }
  }
  return table(["Field", "Required", "What it is"], rowsOf(schema.properties.profiles.items))
}

interface ObjectSchema {
  readonly properties: Readonly<Record<string, ObjectSchema & { readonly description?: string }>>
  readonly required?: ReadonlyArray<string>
}

const rowsOf = ({ properties, required = [] }: ObjectSchema, prefix = ""): ReadonlyArray<ReadonlyArray<string>> =>
  Object.entries(properties).flatMap(([name, field]) => [
    [`\`${prefix}${name}\``, required.includes(name) ? "yes" : "", field.description ?? ""],
    ...("properties" in field ? rowsOf(field, `${prefix}${name}.`) : [])
  ])

const endpoints = (): string => candidates.map(({ path }) => `\`GET ${path}\``).join(", ")

/** Every generated block, by name. */
export const generated = (repository: Repository): World["generated"] =>
  new Map([
    ["house", () => house(repository)],
    ["durations", () => durations(repository)],
    ["overlay", overlayText],
    ["profile-fields", () => profileFields(repository)],
    ["endpoints", endpoints],
    ["lifecycle", lifecycleDiagram],
    [
      "errors",
      () => errorReference(must(repository), (name) => ofError({ _tag: name } as Parameters<typeof ofError>[0]))
    ]
  ])
