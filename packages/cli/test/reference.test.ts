import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import { generate, target } from "../scripts/generate-cli-reference.ts"

it.effect("docs/cli.md is what the commands say", () =>
  Effect.gen(function*() {
    const text = yield* generate
    const page = Fs.readFileSync(target, "utf8")
    assert.strictEqual(page, text, "stale: run node packages/cli/scripts/generate-cli-reference.ts")
  }))
