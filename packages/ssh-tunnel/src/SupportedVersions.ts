/** Which OpenCode server versions a host application works with. */
import { Context } from "effect"
import { defaultVersionRange } from "./Profile.ts"

/**
 * Supported server versions in npm's range syntax, for profiles that name none.
 * The library's default is every OpenCode 1 and 2; a desktop provides its own
 * (same major version).
 */
export class SupportedVersions extends Context.Reference<string>("@opencode-ai/ssh-tunnel/SupportedVersions", {
  defaultValue: () => defaultVersionRange
}) {}
