/** All connections of this process: one fiber per profile, and their states as one stream. */
import { Context, type Effect, type HashMap, Layer, type Option, type Stream } from "effect"
import type { ConnectionError } from "./ConnectionError.ts"
import type { Connected, ConnectionState } from "./ConnectionState.ts"
import type { Credentials } from "./Credentials.ts"
import type { ProfileId } from "./Profile.ts"

/** The states of all profiles that were ever connected in this process; others are `Disconnected`. */
export type States = HashMap.HashMap<ProfileId, ConnectionState>

/** What a consumer needs to talk to the server. Hand `credentials` to nobody but the server. */
export interface ServerEndpoint {
  readonly url: string
  readonly credentials: Option.Option<Credentials>
}

/**
 * See the module.
 *
 * **Gotchas**
 *
 * `connect` returns at once; watch `states` or use `settled`. Connecting twice
 * is one connection. Errors of a connection are states, never failures here.
 */
export class Connections extends Context.Service<Connections, {
  /**
   * Starts to connect. `user`: the first error is `Failed`. `restore` (app
   * start, maybe before the VPN is up): retryable errors go to `Reconnecting`.
   */
  readonly connect: (id: ProfileId, options?: { readonly origin?: "user" | "restore" }) => Effect.Effect<void>
  /** Ends the connection and returns when it is gone. Does nothing when there is none. */
  readonly disconnect: (id: ProfileId) => Effect.Effect<void>
  /** Skips the wait of `Reconnecting`; does nothing in other states. */
  readonly retryNow: (id: ProfileId) => Effect.Effect<void>
  /** First the current picture, then every change. */
  readonly states: Stream.Stream<States>
  readonly state: (id: ProfileId) => Effect.Effect<ConnectionState>
  /** Waits until the profile is `Connected`; fails when it becomes `Failed` or ends `Disconnected`. */
  readonly settled: (id: ProfileId) => Effect.Effect<Connected, ConnectionError>
  /** `None` unless the profile is `Connected` now. */
  readonly endpoint: (id: ProfileId) => Effect.Effect<Option.Option<ServerEndpoint>>
  /** The host says that the network changed or the machine woke up: probes at once, and skips waits. */
  readonly networkChanged: Effect.Effect<void>
}>()("@opencode-ai/ssh-tunnel/Connections") {
  static readonly layerMock = (service: Partial<Connections["Service"]>): Layer.Layer<Connections> =>
    Layer.mock(Connections, service)
}
