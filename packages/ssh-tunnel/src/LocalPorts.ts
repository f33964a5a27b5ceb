/** Remembers the local port of each profile, so that its URL, origin and browser storage stay over restarts. */
import { Context, type Effect, type Option } from "effect"
import type { ProfileId } from "./Profile.ts"

/**
 * See the module. A convenience, not a promise: losing or failing to write the
 * file only costs a new port, so nothing here fails.
 */
export class LocalPorts extends Context.Service<LocalPorts, {
  readonly recall: (id: ProfileId) => Effect.Effect<Option.Option<number>>
  readonly remember: (id: ProfileId, port: number) => Effect.Effect<void>
  readonly forget: (id: ProfileId) => Effect.Effect<void>
}>()("@opencode-ai/ssh-tunnel/LocalPorts") {}
