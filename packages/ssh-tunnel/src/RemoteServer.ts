/** The OpenCode server that bootstrap finds or starts. */
import { Schema } from "effect"
import { Credentials } from "./Credentials.ts"
import { Port } from "./Destination.ts"
import { Lifetime } from "./Profile.ts"

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
