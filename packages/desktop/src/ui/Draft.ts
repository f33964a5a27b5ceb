/** The wizard's form: texts as they are typed, and the profile or the errors that they make. */
import { type Destination, Host, LocalPath, Port, ProxyJump, User } from "@opencode-ai/ssh-tunnel/Destination"
import { defaultRemotePort, type Lifetime, type Profile, ProfileName } from "@opencode-ai/ssh-tunnel/Profile"
import type { ProfileDraft } from "@opencode-ai/ssh-tunnel/ProfileDraft"
import * as SshCommandLine from "@opencode-ai/ssh-tunnel/SshCommandLine"
import { Result, Schema } from "effect"
import * as Strings from "./Strings.ts"

/** What stands in the form. Empty texts are "not given". */
export interface Form {
  readonly name: string
  readonly host: string
  readonly user: string
  readonly port: string
  readonly identityFile: string
  readonly proxyJump: string
  readonly remotePort: string
  readonly localPort: string
  readonly username: string
  readonly bootstrap: boolean
  readonly lifetime: Lifetime
  /** `-F none` of a pasted command line. */
  readonly withoutConfig: boolean
}

export type Field = Exclude<keyof Form, "bootstrap" | "lifetime" | "withoutConfig">

export type Errors = { readonly [F in Field]?: string }

export const blank: Form = {
  name: "",
  host: "",
  user: "",
  port: "",
  identityFile: "",
  proxyJump: "",
  remotePort: "",
  localPort: "",
  username: "",
  bootstrap: true,
  lifetime: "persistent",
  withoutConfig: false
}

const text = (value: string | number | undefined): string => value === undefined ? "" : String(value)

/** The form of a destination that was picked or pasted; its name is the host until somebody gives another. */
export const ofDestination = (destination: Destination): Form => ({
  ...blank,
  name: destination.host,
  host: destination.host,
  user: text(destination.user),
  port: text(destination.port),
  identityFile: text(destination.identityFile),
  proxyJump: text(destination.proxyJump),
  withoutConfig: destination.sshConfig === "none"
})

/** The form of a profile that is edited. */
export const ofProfile = (profile: Profile): Form => ({
  name: profile.name,
  host: profile.host,
  user: text(profile.user),
  port: text(profile.port),
  identityFile: text(profile.identityFile),
  proxyJump: text(profile.proxyJump),
  remotePort: text(profile.remotePort),
  localPort: text(profile.localPort),
  username: text(profile.username),
  bootstrap: profile.bootstrap.enabled,
  lifetime: profile.bootstrap.lifetime,
  withoutConfig: profile.sshConfig === "none"
})

const rules: { readonly [F in Field]: readonly [(value: string) => boolean, string] } = {
  name: [(value) => Schema.is(ProfileName)(value), Strings.fields.name],
  host: [(value) => Schema.is(Host)(value), Strings.fields.host],
  user: [(value) => Schema.is(User)(value), Strings.fields.user],
  port: [(value) => isPort(value), Strings.fields.port],
  identityFile: [(value) => Schema.is(LocalPath)(value), Strings.fields.identityFile],
  proxyJump: [(value) => Schema.is(ProxyJump)(value), Strings.fields.proxyJump],
  remotePort: [(value) => isPort(value), Strings.fields.port],
  localPort: [(value) => isPort(value), Strings.fields.port],
  // The rule of `Profile.username`.
  username: [(value) => /^[^:\u0000-\u001f\u007f]{1,128}$/u.test(value), Strings.fields.username]
}

const isPort = (value: string): boolean => /^\d{1,5}$/.test(value) && Schema.is(Port)(Number(value))

const required: ReadonlySet<Field> = new Set(["name", "host"])

/** What is wrong with the form, field by field. */
export const errors = (form: Form): Errors => {
  const found: { [F in Field]?: string } = {}
  for (const field of Object.keys(rules) as Array<Field>) {
    const value = form[field].trim()
    const [holds, message] = rules[field]
    if (value === "") {
      if (required.has(field)) found[field] = Strings.fields.required
    } else if (!holds(value)) found[field] = message
  }
  return found
}

type Optional = { readonly [K in string]?: string | number }

/** Only what was given: an absent field is left to the ssh config. */
const given = (form: Form): Optional => {
  const values: { [key: string]: string | number } = {}
  for (const field of ["user", "identityFile", "proxyJump", "username"] as const) {
    if (form[field].trim() !== "") values[field] = form[field].trim()
  }
  for (const field of ["port", "remotePort", "localPort"] as const) {
    if (form[field].trim() !== "") values[field] = Number(form[field].trim())
  }
  return values
}

/**
 * The draft of a form that has no errors, else `undefined`. What the form does
 * not show (strategy, version range, another ssh config, the port of bootstrap)
 * is kept from `base`.
 */
export const draft = (form: Form, base?: ProfileDraft): ProfileDraft | undefined => {
  if (Object.keys(errors(form)).length > 0) return undefined
  const { sshConfig, strategy, versionRange } = base ?? {}
  const config = form.withoutConfig ? "none" : sshConfig === "none" ? undefined : sshConfig
  return {
    name: form.name.trim(),
    host: form.host.trim(),
    ...given(form),
    ...(config === undefined ? undefined : { sshConfig: config }),
    ...(strategy === undefined ? undefined : { strategy }),
    ...(versionRange === undefined ? undefined : { versionRange }),
    bootstrap: {
      ...(base?.bootstrap.port === undefined ? undefined : { port: base.bootstrap.port }),
      enabled: form.bootstrap,
      lifetime: form.lifetime
    }
  }
}

/** What `ssh -G` may be asked about this form, or `undefined` while a field that it needs is wrong. */
export const target = (
  form: Form
): Pick<ProfileDraft, "host" | "user" | "port" | "identityFile" | "proxyJump"> | undefined => {
  const wrong = errors({ ...form, name: "name" })
  if ((["host", "user", "port", "identityFile", "proxyJump"] as const).some((field) => wrong[field] !== undefined)) {
    return undefined
  }
  const { identityFile, port, proxyJump, user } = given(form) as {
    readonly identityFile?: string
    readonly port?: number
    readonly proxyJump?: string
    readonly user?: string
  }
  return {
    host: form.host.trim(),
    ...(user === undefined ? undefined : { user }),
    ...(port === undefined ? undefined : { port }),
    ...(identityFile === undefined ? undefined : { identityFile }),
    ...(proxyJump === undefined ? undefined : { proxyJump })
  }
}

/** What was typed, understood or refused. */
export type Understood =
  | { readonly _tag: "Nothing" }
  | { readonly _tag: "Refused"; readonly refusals: ReadonlyArray<SshCommandLine.Explanation> }
  | {
    readonly _tag: "Destination"
    readonly destination: Destination
    readonly notes: ReadonlyArray<SshCommandLine.Explanation>
  }

/** Reads a destination, an `ssh …` line or an `ssh://` address. */
export const understand = (typed: string): Understood => {
  if (typed.trim() === "") return { _tag: "Nothing" }
  const parsed = SshCommandLine.parse(typed)
  if (Result.isFailure(parsed)) return { _tag: "Refused", refusals: parsed.failure.refusals }
  const { destination, notes } = parsed.success
  // A window chooses no file that ssh would read as its configuration.
  if (destination.sshConfig !== undefined && destination.sshConfig !== "none") {
    const explanation = Strings.fields.configFile(destination.sshConfig)
    return { _tag: "Refused", refusals: [{ option: "-F", explanation }] }
  }
  return { _tag: "Destination", destination, notes }
}

/** The remote port that is tried when the form names none. */
export const remotePortPlaceholder = String(defaultRemotePort)
