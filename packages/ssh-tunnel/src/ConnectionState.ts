/** The states of one connection, as every window, script and report sees them. */
import { Schema } from "effect"
import { ConnectionError } from "./ConnectionError.ts"
import { Port } from "./Destination.ts"
import { Generation } from "./ServerInfo.ts"

/** An instant as ISO 8601 text, e.g. `2026-01-31T09:26:53.589Z`. */
const Instant = Schema.String

/** How ssh is run: one private ControlMaster, or one ssh per forward. */
export const Strategy = Schema.Literals(["master", "plain"])
export type Strategy = typeof Strategy.Type

/** Steps of {@link ConnectionState} `Connecting`. */
export const ConnectingStep = Schema.Literals(["starting", "connecting", "authenticating"])
export type ConnectingStep = typeof ConnectingStep.Type

/** Steps of {@link ConnectionState} `Bootstrapping`. */
export const BootstrappingStep = Schema.Literals(["looking", "starting", "waiting"])
export type BootstrappingStep = typeof BootstrappingStep.Type

/**
 * Disconnected → Connecting → Discovering → (Bootstrapping → Discovering)? →
 * Connected; any of them → Failed; Connected → Reconnecting → Connecting …;
 * any → Disconnecting → Disconnected.
 */
export const ConnectionState = Schema.TaggedUnion({
  Disconnected: {},
  Connecting: {
    step: ConnectingStep,
    /** The jump host that ssh is busy with, if it is not the destination. */
    hop: Schema.optionalKey(Schema.String),
    /** A person must touch a security key now. */
    waitingFor: Schema.optionalKey(Schema.Literal("security-key")),
    since: Instant
  },
  Discovering: { since: Instant },
  Bootstrapping: { step: BootstrappingStep, since: Instant },
  Connected: {
    /** `http://127.0.0.1:<localPort>`, without credentials. */
    url: Schema.String,
    localPort: Port,
    /**
     * The local port that the profile had before, when a stranger holds it now: the origin has changed, so what the
     * browser stored under the old one is not seen.
     */
    movedFrom: Schema.optionalKey(Port),
    remotePort: Port,
    serverVersion: Schema.String,
    generation: Generation,
    secured: Schema.Boolean,
    bootstrapped: Schema.Union([Schema.Literal(false), Schema.Literals(["started", "reused"])]),
    strategy: Strategy,
    since: Instant
  },
  Reconnecting: {
    /** 1 for the first attempt after the loss. */
    attempt: Schema.Int,
    nextAt: Instant,
    error: ConnectionError,
    url: Schema.optionalKey(Schema.String)
  },
  Failed: { error: ConnectionError },
  Disconnecting: {}
})
export type ConnectionState = typeof ConnectionState.Type
export type Connected = (typeof ConnectionState.cases.Connected)["Type"]
