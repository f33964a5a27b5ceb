/** The OpenCode server's HTTP Basic credentials. The password is `Redacted` end to end. */
import { Redacted, Schema } from "effect"
import * as Base64 from "effect/encoding/Base64"
import type { Profile } from "./Profile.ts"

/** The user name that an OpenCode server expects unless it was told another. */
export const defaultUsername = "opencode"

/** A user name and a password that prints as `<redacted>` everywhere. */
export class Credentials extends Schema.Class<Credentials>("@opencode-ai/ssh-tunnel/Credentials")({
  username: Schema.String,
  password: Schema.Redacted(Schema.String),
  /** The server that they are for, as `Profile.server` names it; absent: for whatever a profile leads to. */
  server: Schema.optionalKey(Schema.String)
}) {
  /** Whether they may be sent where this profile leads: it may have been edited since they were stored. */
  isFor(profile: Profile): boolean {
    return this.server === undefined || this.server === profile.server
  }

  /** The value of an `Authorization` header (RFC 7617, UTF-8). Open it only to put it on a request to loopback. */
  get authorization(): Redacted.Redacted<string> {
    return Redacted.make(`Basic ${Base64.encode(`${this.username}:${Redacted.value(this.password)}`)}`)
  }
}
