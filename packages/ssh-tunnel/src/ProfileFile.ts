/**
 * The profile file's format: `{ "version": 1, "profiles": [ … ] }`, as pure
 * functions from text to profiles and back.
 *
 * What we do not know is kept: fields of the file, of a profile and of its
 * `bootstrap`, and whole entries that are not valid profiles survive a save.
 *
 * **Gotchas**
 *
 * Unknown numbers that a double cannot hold are rounded, as by every
 * JavaScript program.
 */
import { Array as Arr, Option, Predicate, Result, Schema, SchemaIssue } from "effect"
import type { JsonSchema } from "effect"
import { InvalidProfile } from "./ConfigurationError.ts"
import { BootstrapSettings, Profile, type ProfileId } from "./Profile.ts"

/** The format that this code writes. */
export const formatVersion = 1

type JsonObject = { readonly [key: string]: unknown }

/** A profile file's content; `root` and `entries` hold what was read, known or not. */
export interface ProfileDocument {
  /** The file's format; newer than {@link formatVersion} means that it must not be written. */
  readonly version: number
  readonly root: JsonObject
  readonly entries: ReadonlyArray<unknown>
}

/** Why a text is no profile file. `newer`: it claims a later format, and nothing in it looks like our profiles. */
export class ProfileFileError extends Schema.TaggedError<ProfileFileError>()("ProfileFileError", {
  problem: Schema.Literals(["corrupt", "newer"]),
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** An entry of the file that cannot be used as a profile. It stays in the file until it is corrected or removed. */
export class ProfileProblem extends Schema.Class<ProfileProblem>("@opencode-ai/ssh-tunnel/ProfileProblem")({
  /** Its place in the file, from 0. */
  index: Schema.Int,
  id: Schema.optionalKey(Schema.String),
  name: Schema.optionalKey(Schema.String),
  reason: InvalidProfile
}) {}

/** A file's profiles, and the entries that are none. */
export interface ProfileContents {
  readonly profiles: ReadonlyArray<Profile>
  readonly problems: ReadonlyArray<ProfileProblem>
}

/** A file without profiles. */
export const emptyDocument: ProfileDocument = { version: formatVersion, root: {}, entries: [] }

const decodeProfile = Schema.decodeUnknownResult(Profile)
const encodeProfile = Schema.encodeUnknownResult(Profile)
const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

const invalid = ({ issue }: Schema.SchemaError): InvalidProfile => {
  const first = issuesOf(issue).issues[0]
  const path = (first?.path ?? []).map((part) => String(Predicate.isObject(part) ? part["key"] : part)).join(".")
  return new InvalidProfile({ path, detail: first?.message ?? "not a profile" })
}

const textOf = (entry: unknown, key: string): string | undefined =>
  Predicate.isObject(entry) && Predicate.isString(entry[key]) ? entry[key] : undefined

/** The `id` of an entry, valid or not. */
const idOf = (entry: unknown): string | undefined => textOf(entry, "id")

/** The profiles of a document in the file's order. Of entries with one id the first counts, the others are problems. */
export const contents = (document: ProfileDocument): ProfileContents => {
  const [profiles, problems] = Arr.partition(document.entries, (entry, index) => {
    const id = idOf(entry)
    const repeated = id !== undefined && document.entries.findIndex((other) => idOf(other) === id) < index
    const decoded = repeated
      ? Result.fail(new InvalidProfile({ path: "id", detail: `another profile has the id ${JSON.stringify(id)}` }))
      : Result.mapError(decodeProfile(entry), invalid)
    return Result.mapError(decoded, (reason) => {
      const name = textOf(entry, "name")
      return new ProfileProblem({
        index,
        reason,
        ...(id === undefined ? undefined : { id }),
        ...(name === undefined ? undefined : { name })
      })
    })
  })
  return { profiles, problems }
}

const corrupt = (detail: string) => Result.fail(new ProfileFileError({ problem: "corrupt", detail }))

/**
 * Reads the text of a profile file. An empty text is a file without profiles.
 *
 * A later format is read as far as its entries are profiles, so that going
 * back to an older program does not hide them.
 */
export const parse = (text: string): Result.Result<ProfileDocument, ProfileFileError> => {
  const json = text.replace(/^\uFEFF/, "")
  if (json.trim() === "") return Result.succeed(emptyDocument)
  const parsed = Result.try({ try: (): unknown => JSON.parse(json), catch: (cause) => String(cause) })
  if (Result.isFailure(parsed)) return corrupt(`not JSON (${parsed.failure})`)
  const root = parsed.success
  if (!Predicate.isObject(root)) return corrupt("not a JSON object")
  const version = root["version"]
  if (!Predicate.isNumber(version) || !Number.isSafeInteger(version) || version < 1) {
    return corrupt("it has no format version")
  }
  const entries = root["profiles"]
  if (version <= formatVersion) {
    return Array.isArray(entries)
      ? Result.succeed({ version, root, entries })
      : corrupt("it has no list of profiles")
  }
  const document: ProfileDocument = { version, root, entries: Array.isArray(entries) ? entries : [] }
  const { problems, profiles } = contents(document)
  return Array.isArray(entries) && (profiles.length > 0 || problems.length === 0)
    ? Result.succeed(document)
    : Result.fail(
      new ProfileFileError({ problem: "newer", detail: `it is of format ${version}, which a later version wrote` })
    )
}

/** A document as the text of a file. */
export const stringify = (document: ProfileDocument): string =>
  `${JSON.stringify({ ...document.root, version: document.version, profiles: document.entries }, undefined, 2)}\n`

const profileFields = Object.keys(Profile.fields)
const bootstrapFields = Object.keys(BootstrapSettings.fields)

/** The old object with new values for its `known` fields, in the old order; what is not known stays. */
const merge = (old: unknown, values: JsonObject, known: ReadonlyArray<string>): JsonObject => {
  const before = Predicate.isObject(old) ? Object.entries(old) : []
  const kept = before
    .filter(([key]) => !known.includes(key) || Object.hasOwn(values, key))
    .map(([key, value]) => [key, known.includes(key) ? values[key] : value] as const)
  const added = Object.entries(values).filter(([key]) => before.every(([name]) => name !== key))
  // Entries, not assignments: a field called `__proto__` is a field like any other.
  return Object.fromEntries([...kept, ...added])
}

/** Adds the profile at the end, or replaces the known fields of the entry with its id. Fails when a value breaks its rule. */
export const setProfile = (
  document: ProfileDocument,
  profile: Profile
): Result.Result<ProfileDocument, InvalidProfile> =>
  Result.map(Result.mapError(encodeProfile(profile), invalid), (encoded) => {
    const place = document.entries.findIndex((entry) => idOf(entry) === encoded.id)
    const old = document.entries[place]
    const bootstrap = merge(Predicate.isObject(old) ? old["bootstrap"] : undefined, encoded.bootstrap, bootstrapFields)
    const entry = merge(old, { ...encoded, bootstrap }, profileFields)
    return { ...document, entries: place === -1 ? [...document.entries, entry] : document.entries.with(place, entry) }
  })

/** Removes every entry with this id, valid or not; `None` when there is none. */
export const removeProfile = (document: ProfileDocument, id: string): Option.Option<ProfileDocument> => {
  const entries = document.entries.filter((entry) => idOf(entry) !== id)
  return entries.length === document.entries.length ? Option.none() : Option.some({ ...document, entries })
}

/** The profile with this id. */
export const getProfile = (
  document: ProfileDocument,
  id: ProfileId
): Option.Option<Result.Result<Profile, InvalidProfile>> => {
  const index = document.entries.findIndex((entry) => idOf(entry) === id)
  return index === -1 ? Option.none() : Option.some(Result.mapError(decodeProfile(document.entries[index]), invalid))
}

/**
 * Profiles as a file to hand to somebody else: known fields only. No secret
 * can be in it, because no field of a profile is one and nothing unknown is
 * copied. Read it with {@link parse} and {@link contents}.
 */
export const exportProfiles = (profiles: ReadonlyArray<Profile>): string =>
  stringify({ ...emptyDocument, entries: profiles.map((profile) => Schema.encodeSync(Profile)(profile)) })

const field = Profile.fields

/** The file as a Schema: what {@link jsonSchema} is made from. Reading and writing go through {@link parse}. */
export const ProfileFile = Schema.Struct({
  version: Schema.Literal(formatVersion).annotateKey({ description: "The format of this file." }),
  profiles: Schema.Array(Schema.Struct({
    id: field.id.annotateKey({
      description: "The profile's identity, given once and never changed: letters, digits, '.', '_', '-'; at most 64."
    }),
    name: field.name.annotateKey({ description: "The text a person calls the profile by: one line." }),
    host: field.host.annotateKey({
      description: "A Host of the ssh config, a DNS name, or an IP address (IPv6 without brackets)."
    }),
    user: field.user.annotateKey({ description: "The remote user; absent: what the ssh config says." }),
    port: field.port.annotateKey({ description: "The port of sshd; absent: what the ssh config says." }),
    identityFile: field.identityFile.annotateKey({
      description:
        "A private key, as an absolute path or beginning with '~/'. The agent's other keys are not offered then."
    }),
    proxyJump: field.proxyJump.annotateKey({
      description: "Jump hosts as for 'ssh -J': [user@]host[:port], separated by commas; 'none' switches them off."
    }),
    sshConfig: field.sshConfig.annotateKey({ description: "Another ssh config file, as 'ssh -F'." }),
    strategy: field.strategy.annotateKey({ description: "How ssh is run; 'auto' when absent." }),
    remotePort: field.remotePort.annotateKey({
      description: "The port of the OpenCode server on the remote machine; 4096 when absent."
    }),
    localPort: field.localPort.annotateKey({
      description:
        "Pins the local port; connecting fails when it is taken. Absent: the last one is kept where possible."
    }),
    bootstrap: Schema.Struct({
      enabled: BootstrapSettings.fields.enabled.annotateKey({
        description: "Whether OpenCode may be started on the remote machine."
      }),
      port: BootstrapSettings.fields.port.annotateKey({ description: "Where the started server listens." }),
      lifetime: BootstrapSettings.fields.lifetime.annotateKey({
        description: "'persistent' survives disconnects; 'session' ends with the connection."
      })
    }).annotateKey({ description: "Whether and how OpenCode may be started on the remote machine." }),
    versionRange: field.versionRange.annotateKey({
      description: "Supported server versions in npm's range syntax, for example '>=1.2.0 <2.0.0'."
    }),
    username: field.username.annotateKey({
      description: "The server's user name; 'opencode' when absent. Passwords are never in this file."
    })
  })).annotateKey({ description: "The profiles in the order in which they were first saved." })
})

/** Key annotations come out as `allOf: [{ description }]`; this puts them where a reader looks. */
const inlined = (node: unknown): unknown => {
  if (Array.isArray(node)) return node.map(inlined)
  if (!Predicate.isObject(node)) return node
  const rest = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, inlined(value)]))
  const allOf = rest["allOf"]
  if (!Array.isArray(allOf) || allOf.length !== 1 || !Predicate.isObject(allOf[0])) return rest
  const { allOf: _, ...others } = rest
  return { ...others, ...allOf[0] }
}

/** The file's JSON Schema (draft 2020-12), for editors and other programs. */
export const jsonSchema = (): JsonSchema.JsonSchema => {
  const { schema } = Schema.toJsonSchemaDocument(ProfileFile)
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "SSH connection profiles of OpenCode",
    ...inlined(schema) as JsonSchema.JsonSchema
  }
}
