/** Finds or starts an OpenCode server on the remote machine with one remote command. */
import { Context, type Effect, Layer, type Option, Schema, type Scope, type Stream } from "effect"
import type { BootstrapError } from "./BootstrapError.ts"
import type { CompatibilityError } from "./CompatibilityError.ts"
import type { ConfigurationError } from "./ConfigurationError.ts"
import type { BootstrappingStep } from "./ConnectionState.ts"
import { Credentials } from "./Credentials.ts"
import { Port } from "./Destination.ts"
import { Lifetime } from "./Profile.ts"
import type { TransportError } from "./TransportError.ts"
import type { OpenTunnel } from "./Tunnel.ts"

/** A server that runs on the remote machine and that we (or OpenCode's own service) registered there. */
export class RemoteServer extends Schema.Class<RemoteServer>("@opencode-ai/ssh-tunnel/RemoteServer")({
  /** Where it listens on the remote machine's 127.0.0.1. */
  port: Port,
  pid: Schema.Int,
  version: Schema.String,
  /** Absent when the registration holds none. */
  credentials: Schema.optionalKey(Credentials),
  /** `started` by this very command, or found alive. */
  origin: Schema.Literals(["started", "reused"]),
  /** `ours`: registered by bootstrap, so that it may be stopped; `opencode`: by OpenCode 2's own service. */
  owner: Schema.Literals(["ours", "opencode"]),
  lifetime: Lifetime,
  /** ISO 8601, as the remote clock says. */
  startedAt: Schema.optionalKey(Schema.String),
  logFile: Schema.optionalKey(Schema.String)
}) {}

/** Options of {@link Bootstrap}`.ensure`. */
export interface EnsureOptions {
  /** `ensure` starts a server when none is registered; `look` only reads registrations. */
  readonly mode: "ensure" | "look"
  /** Where a new server must listen; absent: OpenCode's own choice. */
  readonly port?: number | undefined
  readonly lifetime: Lifetime
  /** Supported versions: the remote binary is checked before it is started. */
  readonly range: string
  readonly onStep?: (step: BootstrappingStep) => Effect.Effect<void>
}

type Failure = BootstrapError | CompatibilityError | TransportError | ConfigurationError

/**
 * See the module.
 *
 * **Gotchas**
 *
 * With lifetime `session` the scope of `ensure` holds the remote command open;
 * closing it ends the server.
 */
export class Bootstrap extends Context.Service<Bootstrap, {
  /** `None` only with mode `look`: nothing registered is alive. */
  readonly ensure: (
    tunnel: OpenTunnel,
    options: EnsureOptions
  ) => Effect.Effect<Option.Option<RemoteServer>, Failure, Scope.Scope>
  /** The server that bootstrap registered there, if it lives. */
  readonly status: (tunnel: OpenTunnel) => Effect.Effect<Option.Option<RemoteServer>, Failure>
  /** Ends the server that bootstrap registered there; `NotOurs` when there is none. */
  readonly stop: (tunnel: OpenTunnel) => Effect.Effect<RemoteServer, Failure>
  /** The log of that server: its last lines, then with `follow` what comes, until the consumer stops. */
  readonly log: (tunnel: OpenTunnel, options?: { readonly follow?: boolean }) => Stream.Stream<string, Failure>
}>()("@opencode-ai/ssh-tunnel/Bootstrap") {
  static readonly layerMock = (service: Partial<Bootstrap["Service"]>): Layer.Layer<Bootstrap> =>
    Layer.mock(Bootstrap, service)
}
