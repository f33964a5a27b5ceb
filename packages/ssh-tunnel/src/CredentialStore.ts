/** Where the passwords of servers come from that bootstrap did not start. Never written by us to a file. */
import { Context, type Effect, type Option } from "effect"
import type { Credentials } from "./Credentials.ts"
import type { ProfileId } from "./Profile.ts"

/** See the module. The desktop plugs in its safe storage; the command line reads its environment. */
export class CredentialStore extends Context.Service<CredentialStore, {
  readonly get: (id: ProfileId) => Effect.Effect<Option.Option<Credentials>>
  readonly set: (id: ProfileId, credentials: Credentials) => Effect.Effect<void>
  readonly remove: (id: ProfileId) => Effect.Effect<void>
}>()("@opencode-ai/ssh-tunnel/CredentialStore") {}
