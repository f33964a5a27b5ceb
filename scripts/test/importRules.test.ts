import { assert, describe, it } from "@effect/vitest"
import { violations } from "../lib/importRules.ts"

const problems = (files: Readonly<Record<string, string>>): ReadonlyArray<string> =>
  violations(new Map(Object.entries(files))).map(({ file, line, problem }) => `${file}:${line} ${problem}`)

/** Exactly one violation, which says this. */
const refused = (file: string, source: string, expected: string) => {
  const found = problems({ [file]: source })
  assert.strictEqual(found.length, 1, found.join("\n"))
  assert.include(found[0], expected)
}

const allowed = (file: string, source: string) => assert.deepStrictEqual(problems({ [file]: source }), [])

describe("import directions", () => {
  it("services import effect only", () => {
    allowed("packages/ssh-tunnel/src/A.ts", "import { Effect } from \"effect\"\nimport * as X from \"effect/process\"")
    refused("packages/ssh-tunnel/src/A.ts", "\n\nimport * as Fs from \"node:fs\"", "A.ts:3 imports node:fs")
    refused("packages/ssh-tunnel/src/A.ts", "import { x } from \"effect-like\"", "may import only effect")
    refused(
      "packages/ssh-tunnel/src/A.ts",
      "export { x } from \"@effect/platform-node/NodeServices\"",
      "may import only"
    )
    refused("packages/ssh-tunnel/src/A.ts", "const x = await import(\"node:os\")", "imports node:os")
  })

  it("only the node part picks a platform, and services do not import it", () => {
    allowed(
      "packages/ssh-tunnel/src/node/A.ts",
      "import * as Fs from \"node:fs\"\nimport * as N from \"@effect/platform-node/NodeServices\"\nimport \"../A.ts\""
    )
    refused("packages/ssh-tunnel/src/node/A.ts", "import { N } from \"@effect/platform-node\"", "barrel")
    refused("packages/ssh-tunnel/src/A.ts", "import { layer } from \"./node/index.ts\"", "services pick no platform")
    const live = "import { layer } from \"@opencode-ai/ssh-tunnel/node\""
    allowed("packages/desktop-bridge/src/node/A.ts", live)
    refused("packages/desktop-bridge/src/A.ts", live, "services pick no platform")
    allowed("packages/cli/src/A.ts", live)
  })

  it("dependencies point down", () => {
    allowed("packages/cli/src/A.ts", "import { Profile } from \"@opencode-ai/ssh-tunnel/Profile\"")
    refused("packages/ssh-tunnel/src/A.ts", "import { x } from \"@opencode-ai/ssh-cli\"", "may import only")
    refused("packages/ssh-tunnel/src/A.ts", "import type { x } from \"@opencode-ai/ssh-lab/Sshd\"", "may import only")
    refused("packages/lab/src/A.ts", "import { x } from \"@opencode-ai/ssh-tunnel\"", "may import only")
    refused("packages/cli/src/A.ts", "import { x } from \"../../ssh-tunnel/src/Profile.ts\"", "by its name")
    refused("packages/new/src/A.ts", "import { x } from \"effect\"", "nothing")
  })

  it("the window's page gets the contract and the words, its host the platform", () => {
    const page = "packages/desktop/src/ui/A.tsx"
    allowed(
      page,
      "import { Profile } from \"@opencode-ai/ssh-tunnel/Profile\"\nimport { Dialog } from \"@kobalte/core/dialog\""
    )
    refused(page, "import { Connections } from \"@opencode-ai/ssh-tunnel/Connections\"", "may import only")
    refused(page, "import \"@opencode-ai/desktop-bridge/node\"", "services pick no platform")
    refused(page, "import \"node:fs\"", "may import only")
    refused(page, "import \"../host/Desktop.ts\"", "services pick no platform")
    allowed("packages/desktop/src/host/A.ts", "import \"node:fs\"\nimport \"@opencode-ai/desktop-bridge/node\"")
  })

  it("src knows nothing of tests; tests know their own src and the laboratory", () => {
    refused("packages/ssh-tunnel/src/A.ts", "import { x } from \"../test/fixtures.ts\"", "src imports nothing of test")
    allowed(
      "packages/ssh-tunnel/test/A.test.ts",
      "import { x } from \"../src/internal/a.ts\"\nimport \"@opencode-ai/ssh-lab/Sshd\"\nimport \"node:fs\""
    )
  })

  it("internals of another package are nobody's", () => {
    refused("packages/cli/src/A.ts", "import { x } from \"@opencode-ai/ssh-tunnel/internal/argv\"", "nobody's API")
    refused("packages/cli/test/A.test.ts", "import { x } from \"@opencode-ai/ssh-tunnel/internal/argv\"", "nobody's")
    refused("examples/a.ts", "import { x } from \"../packages/ssh-tunnel/src/internal/argv.ts\"", "by its name")
  })

  it("the workspace's tools may look inside, and be tested from inside", () => {
    allowed("scripts/record.ts", "import { x } from \"../packages/ssh-tunnel/src/internal/argv.ts\"")
    allowed("packages/ssh-tunnel/test/A.test.ts", "import { x } from \"../../../scripts/generate.ts\"")
    refused("packages/ssh-tunnel/src/A.ts", "import { x } from \"../../../scripts/generate.ts\"", "by its name")
  })

  it("finds cycles of values, not of types, and names the way", () => {
    const a = "packages/ssh-tunnel/src/A.ts"
    const b = "packages/ssh-tunnel/src/B.ts"
    const c = "packages/ssh-tunnel/src/internal/c.ts"
    const found = problems({
      [a]: "import { b } from \"./B.ts\"",
      [b]: "import { c } from \"./internal/c.ts\"",
      [c]: "export * from \"../A.ts\"",
      "packages/ssh-tunnel/src/D.ts": "import { a } from \"./A.ts\""
    })
    assert.deepStrictEqual(found, [`${a}:1 is part of a cycle: ${[a, b, c, a].join(" → ")}`])
    assert.deepStrictEqual(
      problems({ [a]: "import { b } from \"./B.ts\"", [b]: "import type { A } from \"./A.ts\"" }),
      []
    )
    assert.deepStrictEqual(
      problems({ [a]: "import { b } from \"./B.ts\"", [b]: "import { type A } from \"./A.ts\"" }),
      []
    )
  })

  it("comments and strings are no imports", () => {
    allowed(
      "packages/ssh-tunnel/src/A.ts",
      "/** import x from \"node:fs\" */\nexport const text = \"import x from 'node:fs'\"\n// import \"node:os\""
    )
  })
})
