/**
 * The corpus as data; `live/World.live.test.ts` runs it.
 *
 *     UPDATE=1 vitest run --project unit packages/ssh-tunnel/test/world      writes docs/corpus.md
 */
import { assert, describe, it } from "@effect/vitest"
import { entries } from "./corpus.ts"
import * as Page from "./Page.ts"

describe("the corpus", () => {
  it("has a hundred entries or more, each of its own name", () => {
    assert.isAtLeast(entries.length, 100)
    assert.strictEqual(new Set(entries.map(({ name }) => name)).size, entries.length)
    for (const { about, name } of entries) {
      assert.match(name, /^[a-z0-9]+(?:-[a-z0-9]+)*$/)
      assert.match(about, /^[A-Zks].*\.$/s, name)
    }
  })

  it("is what docs/corpus.md shows", () => {
    if (process.env["UPDATE"] === "1") Page.write()
    else assert.strictEqual(Page.read(), Page.text(), "stale: run with UPDATE=1")
  })
})
