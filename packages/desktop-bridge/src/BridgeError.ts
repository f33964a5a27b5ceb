/** What a call of a window can fail with: the five error classes of connections, and what only the bridge can meet. */
import { BootstrapError } from "@opencode-ai/ssh-tunnel/BootstrapError"
import { CompatibilityError } from "@opencode-ai/ssh-tunnel/CompatibilityError"
import { ConfigurationError } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import { DiscoveryError } from "@opencode-ai/ssh-tunnel/DiscoveryError"
import { type Explained, remedy } from "@opencode-ai/ssh-tunnel/Remedy"
import { TransportError } from "@opencode-ai/ssh-tunnel/TransportError"
import { Schema } from "effect"

/** What was asked for needs a profile that is `Connected`, and this one is not. */
export class BridgeNotConnected extends Schema.TaggedError<BridgeNotConnected>()("BridgeNotConnected", {
  /** The profile's id. */
  profile: Schema.String
}) implements Explained {
  override get message() {
    return "This profile is not connected"
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Connect first.")
  }
}

/** The server could not be opened: no sign-in page could be served here, or the program that shows it did not start. */
export class BridgeOpenFailed extends Schema.TaggedError<BridgeOpenFailed>()("BridgeOpenFailed", {
  detail: Schema.String
}) implements Explained {
  override get message() {
    return `The server could not be opened: ${this.detail}`
  }
  get retryable() {
    return true
  }
  get remedy() {
    return remedy("Try again.")
  }
}

/**
 * A bug of the main process. What happened is in its log and not here: a
 * window is told no stack and no text that nobody looked at.
 */
export class BridgeDefect extends Schema.TaggedError<BridgeDefect>()("BridgeDefect", {
  /** The name of the call. */
  call: Schema.String
}) implements Explained {
  override get message() {
    return `Something went wrong in OpenCode (${this.call}); its log says what`
  }
  get retryable() {
    return true
  }
  get remedy() {
    return remedy("Try again; if it stays so, send the application's log to its makers.")
  }
}

/**
 * Any error of a call. All of them have `message`, `retryable` and `remedy`, on
 * both sides of the wire: they arrive as instances of their classes.
 */
export const BridgeError = Schema.Union([
  ConfigurationError,
  TransportError,
  DiscoveryError,
  BootstrapError,
  CompatibilityError,
  BridgeNotConnected,
  BridgeOpenFailed,
  BridgeDefect
])
export type BridgeError = typeof BridgeError.Type
