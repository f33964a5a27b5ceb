/**
 * Every scenario of the failure laboratory (test/lab), and the page that is made from them.
 *
 *     UPDATE=1 vitest run --project live packages/ssh-tunnel/test/live/Failures.live.test.ts      writes docs/failures.md
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { BootstrapReason } from "../../src/BootstrapError.ts"
import { CompatibilityReason } from "../../src/CompatibilityError.ts"
import { ConfigurationReason } from "../../src/ConfigurationError.ts"
import { describe as describeError } from "../../src/ConnectionError.ts"
import { DiscoveryReason } from "../../src/DiscoveryError.ts"
import { TransportReason } from "../../src/TransportError.ts"
import * as Document from "../lab/Document.ts"
import { missing, type Outcome, run } from "../lab/Run.ts"
import type { Scenario } from "../lab/Scenario.ts"
import { scenarios } from "../lab/scenarios.ts"

const isCI = process.env["CI"] === "true"
const isUpdate = process.env["UPDATE"] === "1"

const lines = new Map<string, string>()
const known = Document.read()

/** What this machine does not offer; CI must offer everything. */
const absent = (scenario: Scenario): ReadonlyArray<string> => isCI ? [] : missing(scenario)

const check = (scenario: Scenario, { error }: Outcome): void => {
  const { expected } = scenario
  if (expected === "Connected") return assert.isUndefined(error, String(error))
  if (error === undefined) return assert.fail(`it is connected, instead of ${expected.error}.${expected.reason}`)
  const { message, reason, remedy, retryable } = describeError(error)
  const { _tag, ...fields } = reason
  assert.strictEqual(`${error._tag}.${_tag}`, `${expected.error}.${expected.reason}`, message)
  const hop = "hop" in fields ? fields.hop : undefined
  if (scenario.hopIsLuck !== true || hop !== undefined) assert.strictEqual(hop, expected.hop)
  assert.deepInclude(fields, expected.fields)
  assert.strictEqual(retryable, expected.retryable)
  for (const text of [message, remedy.text]) {
    assert.match(text, /^\S.{9,}\S$/su)
    assert.notMatch(text, /undefined|\[object|\(\)| {2}/)
  }
}

// The slow ones first: what they wait for costs nothing.
const ordered = [...scenarios].sort((a, b) => (b.seconds ?? 0) - (a.seconds ?? 0))
const offered = ordered.filter((scenario) => absent(scenario).length === 0)
const skipped = ordered.filter((scenario) => absent(scenario).length > 0)
for (const scenario of skipped) {
  console.warn(`SKIPPED: ${scenario.name} needs ${absent(scenario).join(" and ")}`)
}

describe.concurrent("the product says what is wrong", () => {
  it.live.each(offered.map((scenario) => [scenario.name, scenario] as const))(
    "%s",
    ([, scenario]) =>
      Effect.gen(function*() {
        const outcome = yield* run(scenario)
        check(scenario, outcome)
        const row = Document.rowOf(scenario, outcome)
        const line = Document.lineOf(row)
        lines.set(scenario.name, line)
        if (isUpdate) return
        const before = known.rows.get(scenario.name) ?? ""
        // Another version of ssh may use other words; what they mean must be the same.
        if ((yield* Document.sshVersion) === known.version) assert.strictEqual(line, before, "stale: run with UPDATE=1")
        else assert.isTrue(Document.isFirm(row, before), `stale: ${line}`)
      }),
    60_000
  )

  for (const { name } of skipped) it.skip(name)
})

describe("the laboratory", () => {
  it("has a scenario for each reason of each class", () => {
    const unions = [ConfigurationReason, TransportReason, DiscoveryReason, BootstrapReason, CompatibilityReason]
    const reasons = unions.flatMap(({ members }) => members.map((member) => member.fields._tag.schema.literal))
    const covered = new Set(scenarios.map(({ expected }) => expected === "Connected" ? "" : expected.reason))
    assert.deepStrictEqual(reasons.filter((reason) => !covered.has(reason)), [])
    assert.isAtLeast(reasons.length, 45)
  })

  it("has sixty scenarios or more with their real cause, each of its own name", () => {
    assert.isAtLeast(scenarios.filter(({ origin }) => origin !== "transcript").length, 60)
    assert.strictEqual(new Set(scenarios.map(({ name }) => name)).size, scenarios.length)
    for (const { about, name } of scenarios) {
      assert.match(name, /^[a-z0-9.]+(?:-[a-z0-9.]+)*$/)
      assert.match(about, /^[A-Zk-s].*\.$/, name)
    }
  })

  it.live("is what docs/failures.md shows", () =>
    Effect.gen(function*() {
      const version = yield* Document.sshVersion
      const rows = new Map([...known.rows, ...lines])
      if (isUpdate) Document.write(Document.page(version, rows))
      else if (version === known.version) {
        assert.strictEqual(known.text, Document.page(version, rows), "stale: run with UPDATE=1")
      }
    }))
})
