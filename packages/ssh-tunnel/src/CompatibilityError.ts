/** An OpenCode server answered, with a version that this client does not support. Never retryable. */
import { Schema } from "effect"
import { type Explained, type Remedy, remedy } from "./Remedy.ts"

/** The version is outside the supported range (npm's range syntax, `effect/SemVerRange`). */
export class UnsupportedVersion extends Schema.TaggedError<UnsupportedVersion>()("UnsupportedVersion", {
  found: Schema.String,
  supported: Schema.String
}) implements Explained {
  override get message() {
    return `The remote OpenCode is version ${this.found}; this client supports ${this.supported}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Update OpenCode on the remote machine (or this client) so that both fit.", ["opencode", "upgrade"])
  }
}

/** The version is not semantic versioning (`local`, say) and the range does not name it. */
export class UnparsableVersion extends Schema.TaggedError<UnparsableVersion>()("UnparsableVersion", {
  found: Schema.String,
  supported: Schema.String
}) implements Explained {
  override get message() {
    return `The remote OpenCode calls its version ${
      JSON.stringify(this.found)
    }, which cannot be compared with ${this.supported}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Run a released version there, or name this version in the profile's version range.")
  }
}

/** Every reason of {@link CompatibilityError}. */
export const CompatibilityReason = Schema.Union([UnsupportedVersion, UnparsableVersion])
export type CompatibilityReason = typeof CompatibilityReason.Type

/** The server's version does not fit (see the module). */
export class CompatibilityError extends Schema.TaggedError<CompatibilityError>()("CompatibilityError", {
  reason: CompatibilityReason
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
