import { assert, describe, it } from "@effect/vitest"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, Schema } from "effect"
import * as Fs from "node:fs"
import * as Syntax from "../../src/internal/sshConfigSyntax.ts"

const names = (text: string): ReadonlyArray<string> =>
  Syntax.entries(text).flatMap((entry) => entry._tag === "Name" ? [entry.name] : [])

const matches = (pattern: string, ...candidates: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [, component] = Syntax.components(`/${pattern}`)
  return candidates.filter((name) => typeof component === "string" ? component === name : component?.(name))
}

describe("lines and words", () => {
  it("separates keyword and arguments as ssh does", () => {
    const parts = (line: string) => Object.values(Syntax.keyword(line) ?? {})
    assert.deepStrictEqual(parts("Host a b"), ["host", "a b"])
    assert.deepStrictEqual(parts("\t HOST=a \r"), ["host", "a"])
    assert.deepStrictEqual(parts("Host = a\f"), ["host", "a"])
    assert.deepStrictEqual(parts("Host\t=\ta"), ["host", "a"])
    assert.deepStrictEqual(parts("Host == a"), ["host", "= a"])
    assert.deepStrictEqual(parts("\"Host\" a"), ["host", "a"])
    assert.deepStrictEqual(parts("Ho\"st\"a"), ["host", "a"])
    for (const line of ["", " ", "# Host a", "  #Host a", "Host", "Host =", "\"Host a"]) {
      assert.isUndefined(Syntax.keyword(line), line)
    }
  })

  it("splits words with quotes, escapes and comments", () => {
    assert.deepStrictEqual(Syntax.words("a  \"b c\" 'd \"e' f\\ g # h"), ["a", "b c", "d \"e", "f g"])
    assert.deepStrictEqual(Syntax.words("a#b \"\" x\"y\"z \\q \\\\"), ["a#b", "", "xyz", "\\q", "\\"])
    assert.isUndefined(Syntax.words("a \"b"))
    assert.isUndefined(Syntax.words("a 'b\""))
  })
})

describe("names", () => {
  it("are the concrete words of Host lines that the line matches", () =>
    assert.deepStrictEqual(
      names(`
Host a b *.example.com c? !d
host=e
HOST "f" 'g' # h
  Host i
Host dev-1 dev-2 prod !dev-*
Host j !j
Host !k *
#Host l
Hostname m
Host
Host "n
Host A a
`),
      ["a", "b", "e", "f", "g", "i", "prod", "A", "a"]
    ))

  it("are also in originalhost of Match, whatever else it asks; nothing is run", () =>
    assert.deepStrictEqual(
      names(`
Match originalhost a,*.b,!c exec "touch /tmp/hit"
Match host d
Match user e originalhost=f
Match !originalhost g
Match all
Match final originalhost h,!h
match ORIGINALHOST I
`),
      ["a", "f", "I"]
    ))

  it("know their line, with any line end", () =>
    assert.deepStrictEqual(Syntax.entries("\r\nHost a\r\n\r\n  User x\r\nHost b\r\n"), [
      { _tag: "Name", name: "a", line: 2 },
      { _tag: "Name", name: "b", line: 5 }
    ]))
})

describe("includes", () => {
  const when = (text: string) => Syntax.entries(text).flatMap((entry) => entry._tag === "Include" ? [entry.when] : [])

  it("carry the condition of the block they stand in", () => {
    const [top, host, negated, match, all, none] = when(`
Include a
Host work-*
  Include b
Host * !private
  Include c
Match originalhost x,y exec "false"
  Include d
Match all
  Include e
Match !all
  Include f
`)
    assert.isTrue(top?.("any"))
    assert.isTrue(host?.("work-1"))
    assert.isFalse(host?.("home"))
    assert.isTrue(negated?.("home"))
    assert.isFalse(negated?.("private"))
    assert.isTrue(match?.("Y"))
    assert.isFalse(match?.("z"))
    assert.isTrue(all?.("any"))
    assert.isFalse(none?.("any"))
  })

  it("may name several patterns", () =>
    assert.deepStrictEqual(
      Syntax.entries("Include a \"b c\" ''").map((entry) => entry._tag === "Include" ? entry.path : ""),
      ["a", "b c"]
    ))

  const around: Syntax.Surroundings = {
    environment: { HOME: "/env", CONF: "/conf", EMPTY: "" },
    home: "/passwd",
    username: "me",
    uid: 7,
    base: "/env/.ssh"
  }

  it("become absolute patterns", () => {
    const pattern = (path: string) => Syntax.includePattern(path, around)
    assert.strictEqual(pattern("conf.d/*"), "/env/.ssh/conf.d/*")
    assert.strictEqual(pattern("/a/b"), "/a/b")
    assert.strictEqual(pattern("~/b"), "/env/b")
    assert.strictEqual(pattern("~"), "/env")
    assert.strictEqual(pattern("${CONF}/x${EMPTY}"), "/conf/x")
    assert.strictEqual(pattern("%d/%u-%i-100%%"), "/passwd/me-7-100%")
    assert.strictEqual(pattern("C:/x"), "C:/x")
    assert.strictEqual(pattern("/100%/x"), "/100%/x")
    assert.strictEqual(Syntax.includePattern("~/b", { ...around, environment: {} }), "/passwd/b")
  })

  it("that depend on something else are not followed", () => {
    for (const path of ["~other/x", "/conf/%h", "%n", "${MISSING}/x"]) {
      assert.isUndefined(Syntax.includePattern(path, around), path)
    }
    assert.isUndefined(Syntax.includePattern("%i", { ...around, uid: undefined }))
  })
})

describe("file patterns", () => {
  it("are those of glob(3)", () => {
    assert.deepStrictEqual(matches("*.conf", "a.conf", ".conf", "aconf", ".a.conf"), ["a.conf"])
    assert.deepStrictEqual(matches(".*", ".a", "a"), [".a"])
    assert.deepStrictEqual(matches("a?c", "abc", "ac", "a.c"), ["abc", "a.c"])
    assert.deepStrictEqual(matches("[a-c]x", "ax", "cx", "dx", "-x"), ["ax", "cx"])
    assert.deepStrictEqual(matches("[!a-c]x", "ax", "dx"), ["dx"])
    assert.deepStrictEqual(matches("[]a]", "]", "a", "b"), ["]", "a"])
    assert.deepStrictEqual(matches("[!]a]", "]", "b"), ["b"])
    assert.deepStrictEqual(matches("[[:digit:]]x", "1x", "ax"), ["1x"])
    assert.deepStrictEqual(matches("[^a]", "^", "a", "b"), ["^", "a"])
    assert.deepStrictEqual(matches("[c-a]", "a", "b", "c"), [])
    assert.deepStrictEqual(matches("[ab", "[ab", "a"), ["[ab"])
    assert.deepStrictEqual(matches("\\*", "*", "a"), ["*"])
    assert.deepStrictEqual(matches("{a,b}", "a", "{a,b}"), ["{a,b}"])
    assert.deepStrictEqual(matches("a.b", "a.b", "axb"), ["a.b"])
    assert.deepStrictEqual(matches("a\\", "a\\"), ["a\\"])
  })

  it("fall into components", () =>
    assert.deepStrictEqual(
      Syntax.components("/a//b/*/c").map((part) => typeof part === "string" ? part : "?"),
      ["", "a", "b", "?", "c"]
    ))
})

/** The `sendenv` lines of `ssh -G`: a keyword that takes any words, and shows them. */
const sent = Effect.fnUntraced(function*(config: string, host = "box") {
  const directory = yield* TempDirectory.make()
  yield* Effect.sync(() => Fs.writeFileSync(`${directory}/config`, config, { mode: 0o600 }))
  const { code, stdout } = yield* Process.run("ssh", ["-F", `${directory}/config`, "-T", "-G", "--", host])
  return code === 0
    ? stdout.split("\n").filter((line) => line.startsWith("sendenv ")).map((line) => line.slice("sendenv ".length))
    : undefined
})

const text = (pattern: RegExp) => Schema.String.check(Schema.isPattern(pattern))

describe("the real ssh agrees", () => {
  it.live.prop(
    "on words",
    [text(/^[ab]([ab \t"'\\#]{0,12})$/)],
    ([line]) =>
      Effect.gen(function*() {
        const words = Syntax.words(Syntax.keyword(`SendEnv ${line}`)?.rest ?? "")
        // ssh's keyword refuses an empty word, which is still a word.
        const expected = words?.includes("") ? undefined : words
        assert.deepStrictEqual(yield* sent(`SendEnv ${line}\n`), expected)
      }),
    { arbitrary: { runs: 60 } }
  )

  it.live.prop(
    "on who is meant by a Host line",
    [
      Schema.Array(text(/^!?[ab*?-]{1,4}$/)).check(Schema.isMinLength(1), Schema.isMaxLength(4)),
      text(/^[ab][ab-]{0,3}$/)
    ],
    ([patterns, host]) =>
      Effect.gen(function*() {
        const include = Syntax.entries(`Host ${patterns.join(" ")}\nInclude x`).find(({ _tag }) => _tag === "Include")
        const mine = include?._tag === "Include" && include.when(host)
        const theirs = yield* sent(`Host ${patterns.join(" ")}\nSendEnv hit\n`, host)
        assert.deepStrictEqual(theirs, mine ? ["hit"] : [])
      }),
    { arbitrary: { runs: 60 } }
  )

  it.live.prop(
    "on who is meant by a Match line",
    [
      Schema.Array(text(/^!?[abAB*?]{1,3}$/)).check(Schema.isMinLength(1), Schema.isMaxLength(3)),
      Schema.Boolean,
      text(/^[abAB][ab]{0,2}$/)
    ],
    ([patterns, negated, host]) =>
      Effect.gen(function*() {
        const line = `Match ${negated ? "!" : ""}originalhost ${patterns.join(",")}`
        const include = Syntax.entries(`${line}\nInclude x`).find(({ _tag }) => _tag === "Include")
        const mine = include?._tag === "Include" && include.when(host)
        assert.deepStrictEqual(yield* sent(`${line}\nSendEnv hit\n`, host), mine ? ["hit"] : [])
      }),
    { arbitrary: { runs: 60 } }
  )

  const files = ["a", "b", "ab", "ba", "abc", "a-b", ".a", "[", "]", "a]", "*", "!", "a!", "-", "^", "1", "\\a"]

  it.live.prop(
    "on the files that a pattern means",
    [text(/^[ab*?[\]!^.\\-]{1,6}$/)],
    ([pattern]) =>
      Effect.gen(function*() {
        const directory = yield* TempDirectory.make()
        yield* Effect.sync(() =>
          files.forEach((name, index) =>
            Fs.writeFileSync(`${directory}/${name}`, `SendEnv f${index}\n`, { mode: 0o600 })
          )
        )
        const word = `${directory}/${pattern}`.replace(/[\\"]/g, "\\$&")
        const theirs = yield* sent(`Include "${word}"\n`)
        const mine = matches(pattern, ...files).map((name) => `f${files.indexOf(name)}`)
        assert.deepStrictEqual(theirs?.toSorted(), mine.toSorted())
      }),
    { arbitrary: { runs: 60 } }
  )
})
