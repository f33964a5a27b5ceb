import { assert, describe, it } from "@effect/vitest"
import { publishedDeclaration, publishedManifest, publishedMap } from "../lib/publish.ts"

const versions = { catalog: { effect: "4.1.0" }, workspace: { "@x/a": "0.2.0" } }

describe("what is published", () => {
  it("exports lib instead of src, with exact versions, and nothing of development", () => {
    const manifest = publishedManifest({
      name: "@x/b",
      version: "0.1.0",
      exports: { ".": "./src/index.ts", "./internal/*": null, "./*": "./src/*.ts", "./schema": "./schema/a.json" },
      dependencies: { effect: "catalog:", "@x/a": "workspace:*", other: "1.2.3" },
      devDependencies: { vitest: "catalog:" },
      scripts: { test: "x" }
    }, versions)
    assert.deepStrictEqual(manifest, {
      name: "@x/b",
      version: "0.1.0",
      exports: {
        ".": { types: "./lib/index.d.ts", default: "./lib/index.js" },
        "./internal/*": null,
        "./*": { types: "./lib/*.d.ts", default: "./lib/*.js" },
        "./schema": "./schema/a.json"
      },
      dependencies: { effect: "4.1.0", "@x/a": "0.2.0", other: "1.2.3" }
    })
    assert.throws(
      () => publishedManifest({ name: "x", version: "1", dependencies: { unknown: "catalog:" } }, versions),
      /no version/
    )
  })

  it("declarations name what exists", () => {
    assert.strictEqual(
      publishedDeclaration(
        "import { A } from \"./A.ts\";\nexport * from '../b/B.ts';\ntype C = import(\"./C.ts\").C;\nimport \"./D.ts\";"
      ),
      "import { A } from \"./A.js\";\nexport * from '../b/B.js';\ntype C = import(\"./C.js\").C;\nimport \"./D.js\";"
    )
    const untouched = "import { A } from \"a.ts\"; /** see ./B.ts */"
    assert.strictEqual(publishedDeclaration(untouched), untouched)
  })

  it("maps find the sources that are shipped", () => {
    const map = (source: string) => JSON.stringify({ version: 3, sources: [source] })
    const sourcesOf = (text: string) => JSON.parse(text).sources
    assert.deepStrictEqual(sourcesOf(publishedMap(map("../../src/A.ts"), "A.js.map", "/p/dist/lib", "/p/src")), [
      "../src/A.ts"
    ])
    assert.deepStrictEqual(
      sourcesOf(publishedMap(map("../../../src/node/A.ts"), "node/A.js.map", "/p/dist/lib", "/p/src")),
      ["../../src/node/A.ts"]
    )
  })
})
