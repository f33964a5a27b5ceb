/**
 * Which server versions a client supports. A range is npm's syntax
 * (`effect/SemVerRange`), and it may also name versions: a pre-release or a
 * version that is no semantic version (`local`) fits only if it is literally
 * one of the alternatives between `||`.
 */
import { Result, SemVer, SemVerRange } from "effect"
import { type CompatibilityReason, UnparsableVersion, UnsupportedVersion } from "../CompatibilityError.ts"
import { InvalidProfile } from "../ConfigurationError.ts"

/** A range that was read: `text` as it was written, `names` its alternatives literally, `ranges` those that are ranges. */
export interface VersionRange {
  readonly text: string
  readonly names: ReadonlyArray<string>
  readonly ranges: ReadonlyArray<SemVerRange.SemVerRange>
}

/**
 * A version that only a name can mean: a channel such as `local` or
 * `nightly-2`. What looks like a number or a wildcard is not a name: then `v1.2`
 * or `1.2.3.4` would be taken and never fit anything.
 */
const namePattern = /^(?![vV]?\d|[xX](?:\.|$))[A-Za-z][A-Za-z0-9._+-]*$/

const isName = (text: string): boolean => namePattern.test(text) || Result.isSuccess(SemVer.parse(text))

const invalid = (detail: string) => Result.fail(new InvalidProfile({ path: "versionRange", detail }))

/**
 * Reads a range. Each alternative is a range of npm's syntax, or the name of a
 * version; an empty text is every release, as npm has it. The failure is ready
 * to be the reason of a `ConfigurationError`.
 *
 * **Gotchas**
 *
 * An operator makes no name: `>=2.0.0-beta.1` does not admit `2.0.0-beta.1`,
 * while `2.0.0-beta.1` and `=2.0.0-beta.1` do.
 */
export const parseRange = (text: string): Result.Result<VersionRange, InvalidProfile> => {
  const alternatives = text.split("||").map((alternative) => alternative.trim())
  const ranges: Array<SemVerRange.SemVerRange> = []
  const names: Array<string> = []
  for (const alternative of alternatives) {
    if (alternative === "" && alternatives.length > 1) return invalid("there is nothing on one side of ||")
    const range = SemVerRange.parse(alternative)
    const name = alternative.replace(/^=\s*/, "")
    if (Result.isSuccess(range)) ranges.push(range.success)
    else if (!isName(name)) return invalid(range.failure.message)
    if (name !== "") names.push(name)
  }
  return Result.succeed({ text, names, ranges })
}

/** Why a version does not fit a range; `undefined` when it does. */
export const incompatibility = (version: string, range: VersionRange): CompatibilityReason | undefined => {
  if (range.names.includes(version)) return undefined
  const parsed = SemVer.parse(version)
  const sides = { found: version, supported: range.text }
  if (Result.isFailure(parsed)) return new UnparsableVersion(sides)
  const fits = !SemVer.isPrerelease(parsed.success) &&
    range.ranges.some((range) => SemVerRange.matches(range, parsed.success))
  return fits ? undefined : new UnsupportedVersion(sides)
}

/**
 * The same for a range that is still text. One that cannot be read admits
 * nothing; whoever takes a range from a person says so earlier, with
 * {@link parseRange}.
 */
export const judgeVersion = (version: string, range: string): CompatibilityReason | undefined =>
  Result.match(parseRange(range), {
    onFailure: () => new UnparsableVersion({ found: version, supported: range }),
    onSuccess: (range) => incompatibility(version, range)
  })
