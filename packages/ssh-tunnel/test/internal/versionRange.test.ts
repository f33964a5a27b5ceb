import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema, SemVer, SemVerRange } from "effect"
import { incompatibility, judgeVersion, parseRange } from "../../src/internal/versionRange.ts"
import { defaultVersionRange } from "../../src/Profile.ts"

const fits = (version: string, range: string) =>
  assert.isUndefined(judgeVersion(version, range), `${version} in ${range}`)

const refused = (tag: "UnsupportedVersion" | "UnparsableVersion", version: string, range: string) => {
  const reason = judgeVersion(version, range)
  assert.strictEqual(reason?._tag, tag, `${version} in ${range}`)
  assert.strictEqual(reason?.found, version)
  assert.strictEqual(reason?.supported, range)
}

describe("versionRange", () => {
  it("the default range takes the releases of 1.x and 2.x", () => {
    for (const version of ["1.0.0", "1.18.33", "2.0.0", "2.99.1", "1.18.33+build.5"]) fits(version, defaultVersionRange)
    for (const version of ["0.15.2", "3.0.0", "3.0.1", "2.0.0-beta.1", "3.0.0-0", "0.0.0-beta-202609011200"]) {
      refused("UnsupportedVersion", version, defaultVersionRange)
    }
    for (const version of ["local", "v1.18.33", "1.18", "1.18.33.1", "01.2.3", "", " 1.2.3", "latest"]) {
      refused("UnparsableVersion", version, defaultVersionRange)
    }
  })

  it("a pre-release or a non-semver version fits only when it is literally an alternative", () => {
    const range = ">=1.0.0 <3.0.0 || local || 0.0.0-beta-12345||=2.0.0-rc.1 || 1.2.3-x+build"
    for (const version of ["local", "0.0.0-beta-12345", "2.0.0-rc.1", "1.2.3-x+build", "1.5.0"]) fits(version, range)
    for (const version of ["0.0.0-beta-12346", "2.0.0-rc.2", "1.2.3-x", "0.0.0"]) {
      refused("UnsupportedVersion", version, range)
    }
    refused("UnparsableVersion", "Local", range)
    refused("UnsupportedVersion", "2.0.0-rc.1", ">=2.0.0-rc.1 <3.0.0")
    refused("UnsupportedVersion", "2.0.0-rc.1", "^2.0.0-rc.1")
    refused("UnsupportedVersion", "1.0.0-rc.1", "*")
    refused("UnparsableVersion", "local", "*")
    refused("UnparsableVersion", "local", "")
    refused("UnparsableVersion", "", "")
  })

  it("reads npm's range syntax and names", () => {
    for (
      const range of [
        "",
        "*",
        "1",
        "1.x || 2.x",
        "^1.2",
        "~1.2.3",
        "1.0.0 - 2.0.0",
        ">= 1.2.3",
        "local",
        "nightly-2",
        "1.2.3+a"
      ]
    ) {
      assert.isTrue(Result.isSuccess(parseRange(range)), range)
    }
    for (
      const range of [
        "1 ||",
        "|| 1",
        "1 || || 2",
        "v1.2.3",
        "V2",
        "1.2.3.4",
        "x.1",
        "01.2.3",
        ">=local",
        "~local",
        "a b",
        ">=1.0.0 local",
        "1,2",
        "-1",
        "lo cal",
        "local;id",
        "^v1",
        "|"
      ]
    ) {
      const result = parseRange(range)
      assert.isTrue(Result.isFailure(result), range)
      if (Result.isFailure(result)) {
        assert.strictEqual(result.failure.path, "versionRange")
        assert.isAbove(result.failure.detail.length, 0)
      }
    }
  })

  it("a range that cannot be read admits nothing", () => refused("UnparsableVersion", "1.2.3", ">=one"))

  const Part = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))

  it.effect.prop(
    "releases fit exactly as npm's ranges say",
    [Part, Part, Part, Part, Part, Part],
    (parts) =>
      Effect.sync(() => {
        const [a, b, c, d, e, f] = parts
        const version = `${a}.${b}.${c}`
        for (const range of [`>=${d}.${e}.${f}`, `^${d}.${e}.${f}`, `~${d}.${e}`, `${d}`, `<${d}.${e} || ${f}.x`]) {
          const expected = SemVerRange.matches(SemVerRange.parseUnsafe(range), SemVer.parseUnsafe(version))
          assert.strictEqual(judgeVersion(version, range) === undefined, expected, `${version} in ${range}`)
        }
      })
  )

  it.effect.prop("any text is read or refused, and a range that is read admits its own names", [
    Schema.String,
    Schema.String
  ], ([text, other]) =>
    Effect.sync(() => {
      const range = parseRange(text)
      if (Result.isFailure(range)) return
      for (const name of range.success.names) assert.isUndefined(incompatibility(name, range.success))
      judgeVersion(other, text)
    }))
})
