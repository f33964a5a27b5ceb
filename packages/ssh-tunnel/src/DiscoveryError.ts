/** ssh works, but no OpenCode server answered through the forward. */
import { Schema } from "effect"
import { type Explained, type Remedy, remedy } from "./Remedy.ts"

const remotePort = Schema.Int

/** The remote port is closed: sshd's `connect failed` (RFC 4254 §5.1), known at once and not by a timeout. */
export class NothingListening extends Schema.TaggedError<NothingListening>()("NothingListening", {
  remotePort
}) implements Explained {
  override get message() {
    return `Nothing listens on port ${this.remotePort} of the remote machine`
  }
  get retryable() {
    return true
  }
  get remedy() {
    return remedy(
      "Start OpenCode there, or allow this profile to start it (bootstrap). If it runs on another port, set the remote port.",
      ["opencode", "serve", "--hostname", "127.0.0.1", "--port", String(this.remotePort)]
    )
  }
}

/** The port accepts connections, but no candidate answered within the budget. `waited` is in milliseconds. */
export class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", {
  remotePort,
  waited: Schema.Int,
  detail: Schema.optionalKey(Schema.String)
}) implements Explained {
  override get message() {
    const seconds = Math.round(this.waited / 1000)
    const within = seconds === 0 ? "" : ` within ${seconds} s`
    const detail = this.detail === undefined ? "" : ` (${this.detail})`
    return `Port ${this.remotePort} of the remote machine accepts connections but gave no HTTP answer${within}${detail}`
  }
  get retryable() {
    return true
  }
  get remedy() {
    return remedy("The server may hang or still be starting. Look at it on the remote machine, or restart it there.")
  }
}

/** A health endpoint answered with a status that is neither health nor a request for a password. */
export class UnexpectedStatus extends Schema.TaggedError<UnexpectedStatus>()("UnexpectedStatus", {
  remotePort,
  path: Schema.String,
  status: Schema.Int
}) implements Explained {
  override get message() {
    return `The server on remote port ${this.remotePort} answered ${this.path} with HTTP status ${this.status}`
  }
  get retryable() {
    return true
  }
  get remedy() {
    return remedy("The server may be starting or broken. Look at its log on the remote machine.")
  }
}

/** 401: a server is there, but it wants a user name and password that we do not have. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {
  remotePort,
  /** Whether credentials were sent and refused, or none were known. */
  credentials: Schema.Literals(["none", "refused"])
}) implements Explained {
  override get message() {
    return this.credentials === "none"
      ? `The server on remote port ${this.remotePort} asks for a password`
      : `The server on remote port ${this.remotePort} refused the user name or password`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy(
      "Give the password that the server was started with: OPENCODE_SERVER_PASSWORD (and OPENCODE_SERVER_USERNAME when it isn't \"opencode\")."
    )
  }
}

/** Something answers HTTP there, but nothing that OpenCode would say. A 200 HTML page is not an answer. */
export class NotAnOpencodeServer extends Schema.TaggedError<NotAnOpencodeServer>()("NotAnOpencodeServer", {
  remotePort,
  detail: Schema.String
}) implements Explained {
  override get message() {
    return `What answers on remote port ${this.remotePort} is not an OpenCode server: ${this.detail}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Set the profile's remote port to the one that OpenCode uses.")
  }
}

/** The server answered in the right shape and says that it is not healthy. */
export class Unhealthy extends Schema.TaggedError<Unhealthy>()("Unhealthy", {
  remotePort,
  detail: Schema.String
}) implements Explained {
  override get message() {
    return `The server on remote port ${this.remotePort} says that it is not healthy: ${this.detail}`
  }
  get retryable() {
    return true
  }
  get remedy() {
    return remedy("Look at the server's log on the remote machine, or restart it there.")
  }
}

/** Every reason of {@link DiscoveryError}. */
export const DiscoveryReason = Schema.Union([
  NothingListening,
  NoAnswer,
  UnexpectedStatus,
  Unauthorized,
  NotAnOpencodeServer,
  Unhealthy
])
export type DiscoveryReason = typeof DiscoveryReason.Type

/** No OpenCode server was found behind a working forward (see the module). */
export class DiscoveryError extends Schema.TaggedError<DiscoveryError>()("DiscoveryError", {
  reason: DiscoveryReason
}) implements Explained {
  override get message(): string {
    return this.reason.message
  }
  get retryable(): boolean {
    return this.reason.retryable
  }
  get remedy(): Remedy {
    return this.reason.remedy
  }
}
