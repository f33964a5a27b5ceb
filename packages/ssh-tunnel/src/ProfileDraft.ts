/** What people do with lists of profiles: find one by name, give a new one an id, make profiles of ssh config hosts. */
import { Array as Arr, type Option, Result, Schema } from "effect"
import * as Hex from "effect/encoding/Hex"
import { ConfigurationError, InvalidProfile, ProfileNotFound } from "./ConfigurationError.ts"
import { LocalPath, Port, ProxyJump, User } from "./Destination.ts"
import { noBootstrap, Profile, ProfileId } from "./Profile.ts"
import type { ProfileProblem } from "./ProfileFile.ts"

/**
 * The profile that a person means: the one with this id, else the one with
 * this name. Fails with `ProfileNotFound`; with `InvalidProfile` when several
 * have the name, because a guess could connect to the wrong machine, or when
 * it is one of `problems` (`ProfileRepo.problems`).
 */
export const resolveProfile = (
  profiles: ReadonlyArray<Profile>,
  nameOrId: string,
  problems: ReadonlyArray<ProfileProblem> = []
): Result.Result<Profile, ConfigurationError> => {
  const byId = profiles.find(({ id }) => id === nameOrId)
  if (byId !== undefined) return Result.succeed(byId)
  const [byName, ...others] = profiles.filter(({ name }) => name === nameOrId)
  if (byName === undefined) {
    const problem = problems.find(({ id, name }) => id === nameOrId || name === nameOrId)
    const reason = problem?.reason ?? new ProfileNotFound({ profile: nameOrId })
    return Result.fail(new ConfigurationError({ reason }))
  }
  if (others.length === 0) return Result.succeed(byName)
  const ids = [byName, ...others].map(({ id }) => id).join(", ")
  const detail = `${others.length + 1} profiles are called ${JSON.stringify(nameOrId)}; use an id instead: ${ids}`
  return Result.fail(new ConfigurationError({ reason: new InvalidProfile({ path: "name", detail }) }))
}

/**
 * An id for a new profile: readable from its name, and unique by `random` (6
 * bytes of `LocalHost.randomBytes` are plenty).
 *
 * A name alone would do, but an id that comes back after its profile was
 * removed would inherit what others keep under it: its password, its port.
 */
export const newProfileId = (name: string, random: Uint8Array): ProfileId => {
  const words = name.normalize("NFKD").toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-+|-+$/g, "")
  const slug = words.slice(0, 40).replace(/-$/, "")
  return ProfileId.make(`${slug === "" ? "profile" : slug}-${Hex.encode(random.slice(0, 10))}`)
}

/** A profile that has no id yet. */
export const ProfileDraft = Schema.Struct((({ id: _, ...fields }) => fields)(Profile.fields))
export type ProfileDraft = typeof ProfileDraft.Type

/**
 * A `Host` of the ssh config. The values are optional: what is left out is
 * looked up in the ssh config at each connection, so the profile follows the
 * config when it changes. Give them to make a profile that needs no config.
 */
export interface ConfiguredHost {
  readonly name: string
  readonly user?: string | undefined
  readonly port?: number | undefined
  readonly identityFile?: string | undefined
  readonly proxyJump?: string | undefined
}

/** The outcome of {@link draftProfiles}. */
export interface Drafts {
  readonly drafts: ReadonlyArray<ProfileDraft>
  /** Hosts that became no draft, and why. */
  readonly skipped: ReadonlyArray<{ readonly name: string; readonly detail: string }>
}

/** Sets `key` unless the value is missing or breaks its rule: ssh then takes what its config says. */
const kept = <K extends string, A>(key: K, schema: Schema.Schema<A>, value: unknown): { readonly [P in K]?: A } =>
  Schema.is(schema)(value) ? { [key]: value } as { readonly [P in K]?: A } : {}

/**
 * Makes profile drafts of ssh config hosts: the name is the host, bootstrap is
 * off. Skipped are hosts that a profile has already, and names that are none
 * (see `Host`).
 */
export const draftProfiles = (hosts: ReadonlyArray<ConfiguredHost>, existing: ReadonlyArray<Profile>): Drafts => {
  const [drafts, skipped] = Arr.partition(hosts, (host, index) => {
    const { name } = host
    if (existing.some((profile) => profile.host === name)) {
      return Result.fail({ name, detail: "there is a profile for this host" })
    }
    if (hosts.findIndex((other) => other.name === name) < index) {
      return Result.fail({ name, detail: "the host is listed twice" })
    }
    const draft = {
      name,
      host: name,
      ...kept("user", User, host.user),
      ...kept("port", Port, host.port),
      ...kept("identityFile", LocalPath, host.identityFile),
      ...kept("proxyJump", ProxyJump, host.proxyJump),
      bootstrap: noBootstrap
    }
    return Schema.is(ProfileDraft)(draft)
      ? Result.succeed(draft)
      : Result.fail({ name, detail: "not a plain host name" })
  })
  return { drafts, skipped }
}

/** The profile of a draft. */
export const fromDraft = (draft: ProfileDraft, id: ProfileId): Profile => new Profile({ ...draft, id })

/** Whether two lists hold equal profiles in the same order. */
export const sameProfiles: (a: ReadonlyArray<Profile>, b: ReadonlyArray<Profile>) => boolean = Schema.toEquivalence(
  Schema.Array(Profile)
)

/** The first profile with this id. */
export const findById = (profiles: ReadonlyArray<Profile>, id: ProfileId): Option.Option<Profile> =>
  Arr.findFirst(profiles, (profile) => profile.id === id)
