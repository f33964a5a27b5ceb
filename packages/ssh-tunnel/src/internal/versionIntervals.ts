/** A version range in a form that a shell script can check. */
import { SemVer, SemVerRange } from "effect"
import type { VersionRange } from "./versionRange.ts"

/**
 * What the remote script compares a version with: `ranges` are half-open
 * intervals `min:max` of releases, comma separated, an empty `max` meaning no
 * upper end; `names` are versions allowed by their very name.
 */
export interface VersionIntervals {
  readonly ranges: string
  readonly names: string
}

/** The text of what a version may be called: the script takes nothing else. */
const namePattern = /^[0-9A-Za-z.+_-]+$/

const numbersPattern = /(\d+)(?:\.(\d+))?(?:\.(\d+))?/g

/**
 * Everywhere that a range can begin or end, among releases, is a version that
 * it mentions or the next patch, minor or major one after that. Between two
 * neighbours of this list it says the same of every release.
 */
const boundaries = (range: string): ReadonlyArray<SemVer.SemVer> => {
  const points = [...range.matchAll(numbersPattern)].flatMap(([, first, second, third]) => {
    const [major, minor, patch] = [Number(first), Number(second ?? 0), Number(third ?? 0)]
    return [
      `${major}.${minor}.${patch}`,
      `${major}.${minor}.${patch + 1}`,
      `${major}.${minor + 1}.0`,
      `${major + 1}.0.0`
    ]
  })
  return [...new Set(["0.0.0", ...points])].map(SemVer.parseUnsafe).sort(SemVer.Order)
}

/** `SemVerRange.matches`, asked at each point where its answer can change, as intervals. */
const intervals = (range: SemVerRange.SemVerRange): ReadonlyArray<string> => {
  const points = boundaries(SemVerRange.format(range))
  const fits = points.map((point) => SemVerRange.matches(range, point))
  return points.flatMap((point, index) => {
    if (fits[index] !== true || fits[index - 1] === true) return []
    const end = points.find((_, later) => later > index && fits[later] === false)
    return [`${SemVer.format(point)}:${end === undefined ? "" : SemVer.format(end)}`]
  })
}

/** The rules of `incompatibility` for a shell: pre-releases by name only, releases by name or interval. */
export const versionIntervals = (range: VersionRange): VersionIntervals => ({
  ranges: range.ranges.flatMap(intervals).join(","),
  names: range.names.filter((name) => namePattern.test(name)).join(",")
})
