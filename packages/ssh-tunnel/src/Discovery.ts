/** Finds the OpenCode server behind a forward and judges its version. */
import { Context, type Effect, Layer } from "effect"
import type { CompatibilityError } from "./CompatibilityError.ts"
import type { Credentials } from "./Credentials.ts"
import type { DiscoveryError } from "./DiscoveryError.ts"
import type { SshTarget } from "./Remedy.ts"
import type { ServerInfo } from "./ServerInfo.ts"
import type { TransportError } from "./TransportError.ts"
import type { Forward } from "./Tunnel.ts"

/** What one round of probes needs. */
export interface FindOptions {
  readonly forward: Forward
  /** Sent with the probes when given. */
  readonly credentials?: Credentials | undefined
  /** Supported versions, npm's range syntax. */
  readonly range: string
  /** Named by `ForwardingDenied`. */
  readonly target: SshTarget
}

/** See the module. One round: all candidates at once, the first valid answer wins, one budget for all. */
export class Discovery extends Context.Service<Discovery, {
  readonly find: (
    options: FindOptions
  ) => Effect.Effect<ServerInfo, DiscoveryError | CompatibilityError | TransportError>
}>()("@opencode-ai/ssh-tunnel/Discovery") {
  static readonly layerMock = (service: Partial<Discovery["Service"]>): Layer.Layer<Discovery> =>
    Layer.mock(Discovery, service)
}
