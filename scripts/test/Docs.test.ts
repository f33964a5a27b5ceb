import { assert, describe, it } from "@effect/vitest"
import { anchorsOf, commandsOf, linkedFiles, problemsOf, refreshed, regionOf, type World } from "../lib/docs.ts"
import { docOf, sentenceOf } from "../lib/markdown.ts"
import { readWorld } from "../lib/repository.ts"
import { picture } from "../lib/terminal.ts"

const example = `import { Effect } from "effect"

// #region whole
const program = Effect.gen(function*() {
  // #region inner
  yield* Effect.log("a")

  if (true) {
    yield* Effect.log("b")
  }
  // #endregion
})
// #endregion whole

// #region twice
a()
// #endregion
b()
// #region twice
c()
// #endregion
// #region open
`

const inner = `yield* Effect.log("a")

if (true) {
  yield* Effect.log("b")
}`

const texts: Readonly<Record<string, string>> = {
  "examples/a.ts": example,
  "docs/b.md": "# A `code` heading, and more!\n\n## Twice\n\n## Twice\n",
  "packages/p/src/Thing.ts": "export class Thing { doIt() {} }",
  "README.md": ""
}

const world: World = {
  read: (path) => texts[path],
  exists: (path) => Object.keys(texts).some((file) => file === path || file.startsWith(`${path}/`)),
  files: Object.keys(texts),
  sources: "class Thing { doIt() {} } OPENCODE_SSH_BINARY ssh-keygen run-abc server.json ProxyJump remotePort",
  tasks: new Set(["demo"]),
  commands: commandsOf(
    "## Commands\n\n### connect\n\n| `--open` | x |\n| `-F, --ssh-config FILE` | x |\n" +
      "| `--bootstrap` | Start it (--no-bootstrap: never) |\n\n### server stop\n\n### Everywhere\n\n| `-h, --help` | x |\n"
  ),
  generated: new Map([["table", () => "| a |"]])
}

const problems = (text: string): ReadonlyArray<string> =>
  problemsOf("README.md", text, world).map(({ line, problem }) => `${line} ${problem}`)

const page = (code: string) => `<!-- source: examples/a.ts#inner -->\n\n\`\`\`ts\n${code}\n\`\`\`\n`

describe("copies of code", () => {
  it("are what stands in the region, without indentation and other regions", () => {
    assert.strictEqual(regionOf(example, "inner"), inner)
    assert.notInclude(regionOf(example, "whole"), "region")
    assert.include(regionOf(example, "whole"), `  yield* Effect.log("a")`)
    assert.strictEqual(regionOf(example, "twice"), "a()\n\nc()")
    assert.isUndefined(regionOf(example, "open"))
    assert.isUndefined(regionOf(example, "none"))
  })

  it("that differ are a problem, and are brought up to date", () => {
    assert.deepStrictEqual(problems(page(inner)), [])
    assert.deepStrictEqual(problems(`\n${page("old")}`), [
      "2 differs from examples/a.ts#inner: run node scripts/docs.ts"
    ])
    assert.strictEqual(refreshed(page("old"), world), page(inner))
  })

  it("of nothing are a problem, and stay as they are", () => {
    const missing = page("old").replace("#inner", "#none")
    assert.deepStrictEqual(problems(missing), ["1 examples/a.ts has no region none"])
    assert.strictEqual(refreshed(missing, world), missing)
    assert.deepStrictEqual(problems(page("old").replace("a.ts", "z.ts")), ["1 there is no examples/z.ts to copy from"])
    assert.deepStrictEqual(problems("<!-- source: examples/a.ts -->\n\nText.\n"), ["1 a code block must follow"])
  })

  it("and generated blocks alike", () => {
    const stale = "<!-- generated: table -->\n\nold\n\n<!-- end of table -->\n"
    assert.deepStrictEqual(problems(stale), ["1 table is stale: run node scripts/docs.ts"])
    assert.deepStrictEqual(problems(refreshed(stale, world)), [])
    assert.deepStrictEqual(problems("<!-- generated: other -->"), ["1 nothing generates other"])
    assert.deepStrictEqual(problems("<!-- generated: table -->"), ["1 <!-- end of table --> must follow"])
  })
})

describe("links", () => {
  it("lead to files and headings", () => {
    assert.deepStrictEqual(problems("[a](docs/b.md) [b](docs/b.md#a-code-heading-and-more) [c](docs/b.md#twice-1)"), [])
    assert.deepStrictEqual(problems("[web](https://example.com) `[no](link)`\n\n```\n[no](link)\n```\n"), [])
    assert.deepStrictEqual(problems("x\n[a](docs/c.md)"), ["2 the link leads nowhere: docs/c.md"])
    assert.deepStrictEqual(problems("<img src=\"docs/c.svg\">"), ["1 the link leads nowhere: docs/c.svg"])
    assert.deepStrictEqual(problems("[a](docs/b.md#other)"), ["1 docs/b.md has no heading for #other"])
    assert.deepStrictEqual(problems("# Own\n[a](#own) [b](#other)"), ["2 README.md has no heading for #other"])
  })

  it("have GitHub's anchors", () => {
    const anchors = anchorsOf("# Two  words\n## `a.b` – c_d [e](f)\n```\n# no\n```\n")
    assert.deepStrictEqual([...anchors], ["two--words", "ab--c_d-e"])
  })

  it("count from the page's directory", () => {
    assert.deepStrictEqual(linkedFiles("docs/b.md", "[a](../README.md#x) [b](c/d.md) [c](https://x.y) [d](#z)"), [
      "README.md",
      "docs/c/d.md"
    ])
  })
})

describe("names in code", () => {
  it("of files", () => {
    assert.deepStrictEqual(problems("`examples/a.ts`, `examples/`, `Thing.ts`, `server.json`, `packages/*/src`"), [])
    assert.deepStrictEqual(problems("```sh\nnode examples/z.ts\n```"), ["2 there is no examples/z.ts"])
    assert.deepStrictEqual(problems("`Other.ts`"), ["1 no file is called Other.ts"])
    assert.deepStrictEqual(problems("`other.json`"), ["1 no source knows other.json"])
  })

  it("of tasks, commands and their options", () => {
    assert.deepStrictEqual(problems("```sh\nnpm run demo -- --once\n```"), [])
    assert.deepStrictEqual(problems("`npm run dmo`"), ["1 package.json has no task dmo"])
    assert.deepStrictEqual(
      problems("`opencode-ssh connect box -F x --open --no-bootstrap -- ls --all`, `opencode-ssh server …`"),
      []
    )
    assert.deepStrictEqual(problems("`opencode-ssh conect box`"), ["1 opencode-ssh has no command conect box"])
    assert.deepStrictEqual(problems("`opencode-ssh connect box --opn`"), ["1 opencode-ssh connect has no option --opn"])
    assert.deepStrictEqual(problems("`opencode-ssh server stop --open`"), [
      "1 opencode-ssh server stop has no option --open"
    ])
    assert.deepStrictEqual(problems("`opencode-ssh server halt`"), ["1 opencode-ssh has no command server halt"])
  })

  it("of variables, classes, members and fields", () => {
    assert.deepStrictEqual(problems("`OPENCODE_SSH_BINARY`, `Thing`, `Thing.doIt`, `ProxyJump`, `remotePort`"), [])
    assert.deepStrictEqual(problems("`OPENCODE_SSH_BIN`"), ["1 no source knows OPENCODE_SSH_BIN"])
    assert.deepStrictEqual(problems("`ssh-keygen`, `run-`"), [])
    assert.deepStrictEqual(problems("`ssh-keygn`"), ["1 no source knows ssh-keygn"])
    assert.deepStrictEqual(problems("`Thong`"), ["1 no source knows Thong"])
    assert.deepStrictEqual(problems("`Thing.undo`"), ["1 there is no Thing.undo"])
    assert.deepStrictEqual(problems("`remotePorts`"), ["1 no source knows remotePorts"])
  })
})

describe("docstrings", () => {
  it("of modules, classes and fields", () => {
    const source =
      "/**\n * A {@link B}\n * module. Second.\n *\n * **Gotchas**\n *\n * None.\n */\nimport x from \"x\"\n\n" +
      "/** First. */\nexport class First {}\n\ninterface I {\n  /** Its `value`. */\n  readonly field: string\n}\n"
    assert.strictEqual(docOf(source), "A `B` module. Second.")
    assert.strictEqual(docOf(source, "First"), "First.")
    assert.strictEqual(docOf(source, "field"), "Its `value`.")
    assert.isUndefined(docOf(source, "I"))
    assert.isUndefined(docOf("import x from \"x\"\n/** Later. */\n"))
  })

  it("shorten to a sentence", () => {
    assert.strictEqual(sentenceOf("Reads `a.b` files. And more."), "Reads `a.b` files")
    assert.strictEqual(sentenceOf(`What it is: ${"long ".repeat(30)}.`), "What it is")
  })
})

describe("this repository's pages", () => {
  const here = readWorld()
  const text = (file: string) => here.read(file) ?? ""

  it.each(here.pages.map((file) => ({ file })))("$file is true", ({ file }) => {
    assert.deepStrictEqual(problemsOf(file, text(file), here), [])
  })

  it("can all be reached from README.md", () => {
    const reached = new Set<string>()
    const visit = (file: string): void => {
      if (reached.has(file)) return
      reached.add(file)
      if (file.endsWith(".md")) linkedFiles(file, text(file)).forEach(visit)
    }
    visit("README.md")
    assert.deepStrictEqual(here.pages.filter((file) => !reached.has(file)), [])
  })

  it.each(here.files.filter((file) => /^docs\/images\/.*\.(?:ansi|svg)$/.test(file)).map((file) => ({ file })))(
    "$file is a recording and its picture",
    ({ file }) => {
      const stem = file.replace(/\.\w+$/, "")
      assert.strictEqual(text(`${stem}.svg`), picture(text(`${stem}.ansi`)), "run node scripts/render-terminal.ts")
    }
  )
})
