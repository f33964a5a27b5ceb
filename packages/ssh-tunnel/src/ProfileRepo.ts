/** The user's profiles: a versioned JSON file that several processes may read and write at once. */
import { Context, type Effect, type Stream } from "effect"
import type { ConfigurationError } from "./ConfigurationError.ts"
import type { Profile, ProfileId } from "./Profile.ts"

/** See the module. Order is the order of saving. */
export class ProfileRepo extends Context.Service<ProfileRepo, {
  readonly list: Effect.Effect<ReadonlyArray<Profile>, ConfigurationError>
  /** Fails with `ProfileNotFound`. */
  readonly get: (id: ProfileId) => Effect.Effect<Profile, ConfigurationError>
  /** Adds the profile, or replaces the one with its id; fields of the file that we don't know are kept. */
  readonly save: (profile: Profile) => Effect.Effect<void, ConfigurationError>
  /** Fails with `ProfileNotFound`. */
  readonly remove: (id: ProfileId) => Effect.Effect<void, ConfigurationError>
  /** First the current list, then the list after each change, also a change by another process. */
  readonly changes: Stream.Stream<ReadonlyArray<Profile>, ConfigurationError>
}>()("@opencode-ai/ssh-tunnel/ProfileRepo") {}
