/** What discovery learns about an OpenCode server. */
import { Schema } from "effect"

/**
 * Which family of health answers the server gave: `v1` is OpenCode 1.x, `v2`
 * is OpenCode 2.x, `generic` is any server that keeps the minimum contract
 * `GET /health` → `{ status, version }`.
 */
export const Generation = Schema.Literals(["v1", "v2", "generic"])
export type Generation = typeof Generation.Type

/** A valid answer of a health endpoint. */
export class ServerInfo extends Schema.Class<ServerInfo>("@opencode-ai/ssh-tunnel/ServerInfo")({
  generation: Generation,
  version: Schema.String,
  /** The health endpoint that answered, e.g. `/global/health`. */
  path: Schema.String,
  pid: Schema.optionalKey(Schema.Int),
  /** `false`: it answered without a password, or did not show in time that it wants one; every local user over there may use it. */
  secured: Schema.Boolean
}) {}
