import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import * as ChildProcess from "node:child_process"
import { launcher } from "../../src/internal/remoteScript.generated.ts"
import { quote } from "../../src/internal/remoteScript.ts"
import { versionIntervals } from "../../src/internal/versionIntervals.ts"
import { incompatibility, parseRange } from "../../src/internal/versionRange.ts"

const functions = launcher.slice(0, launcher.lastIndexOf("\n"))

/** What the remote script says of these versions. */
const remote = (
  shell: ReadonlyArray<string>,
  range: string,
  versions: ReadonlyArray<string>
): ReadonlyArray<boolean> => {
  const { names, ranges } = versionIntervals(Result.getOrThrow(parseRange(range)))
  const text = `${functions}\nocl_ranges=${quote(ranges)}\nocl_names=${quote(names)}\nfor version in ${
    versions.map(quote).join(" ")
  }; do if ocl_supported "$version"; then echo true; else echo false; fi; done\nexit\n`
  const { stdout } = ChildProcess.spawnSync(shell[0] ?? "", [...shell.slice(1), "-s"], {
    input: text,
    encoding: "utf8"
  })
  return stdout.trim().split("\n").map((line) => line === "true")
}

const here = (range: string, versions: ReadonlyArray<string>): ReadonlyArray<boolean> => {
  const parsed = Result.getOrThrow(parseRange(range))
  return versions.map((version) => incompatibility(version, parsed) === undefined)
}

const SmallNumber = Schema.Literals([0, 1, 2, 3, 9, 10, 18, 33])
const Core = Schema.Tuple([SmallNumber, SmallNumber, SmallNumber])
const Suffix = Schema.Literals(["", "", "", "-beta.1", "-0", "-rc-2.x", "+build.5", "-a+b"])

const Partial = Schema.Struct({
  operator: Schema.Literals(["", "=", "<", "<=", ">", ">=", "~", "^"]),
  core: Core,
  parts: Schema.Literals([1, 2, 3]),
  suffix: Schema.Literals(["", "", "-beta.1", "-0"])
})

const comparator = ({ core, operator, parts, suffix }: typeof Partial.Type): string =>
  `${operator}${core.slice(0, parts).join(".")}${parts === 3 ? suffix : ""}`

const Range = Schema.Array(Schema.Array(Partial).check(Schema.isMinLength(1), Schema.isMaxLength(3))).check(
  Schema.isMinLength(1),
  Schema.isMaxLength(3)
)

describe("versionIntervals", () => {
  const of = (range: string) => versionIntervals(Result.getOrThrow(parseRange(range)))

  it("are the ends of a range", () => {
    assert.strictEqual(of(">=1.0.0 <3.0.0").ranges, "1.0.0:3.0.0")
    assert.strictEqual(of("^1.2 || ~2.5.1 || >=7").ranges, "1.2.0:2.0.0,2.5.1:2.6.0,7.0.0:")
    assert.strictEqual(of("*").ranges, "0.0.0:")
    assert.strictEqual(of("1.2.3 - 2.3").ranges, "1.2.3:2.4.0")
    assert.strictEqual(of(">2 <1").ranges, "")
    assert.deepStrictEqual(of("1.x || local || 2.0.0-beta.1").names.split(","), ["1.x", "local", "2.0.0-beta.1"])
  })

  it.live.prop(
    "let the remote script judge as discovery does",
    [
      Range,
      Schema.Array(Schema.Tuple([Core, Suffix])).check(Schema.isMinLength(12), Schema.isMaxLength(24)),
      Schema.Literals(["dash", "bash"])
    ],
    ([alternatives, versions, shell]) =>
      Effect.sync(() => {
        const range = [...alternatives.map((set) => set.map(comparator).join(" ")), "nightly"].join(" || ")
        // Beside random ones, those that the range mentions and their neighbours.
        const near = alternatives.flat().flatMap(({ core: [major, minor, patch] }) => [
          `${major}.${minor}.${patch}`,
          `${major}.${minor}.${patch + 1}`,
          `${major}.${minor + 1}.0`,
          `${major + 1}.0.0`,
          `${major}.${minor}.${patch}-beta.1`
        ])
        const all = [
          ...versions.map(([core, suffix]) => core.join(".") + suffix),
          ...near,
          "99999999999999999999.0.0",
          "999999999999999.0.0",
          "nightly",
          "local",
          "1.2"
        ]
        assert.deepStrictEqual(
          Object.fromEntries(remote([shell], range, all).map((fits, index) => [all[index], fits])),
          Object.fromEntries(here(range, all).map((fits, index) => [all[index], fits])),
          range
        )
      }),
    { arbitrary: { runs: 40 } }
  )
})
