/**
 * Values of a profile, as an enemy would write them: whatever is let in adds no option, no shell word, no line of a
 * config and no word of the remote script. `live/WorldInjection.live.test.ts` tries the same with real programs.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result, Schema } from "effect"
import * as Argv from "../src/internal/argv.ts"
import { overlay } from "../src/internal/overlay.ts"
import { assemble } from "../src/internal/remoteScript.ts"
import * as ShellWords from "../src/internal/shellWords.ts"
import { versionIntervals } from "../src/internal/versionIntervals.ts"
import { parseRange } from "../src/internal/versionRange.ts"
import { Profile } from "../src/Profile.ts"
import * as ProfileFile from "../src/ProfileFile.ts"
import { interactively, shellLine } from "../src/Remedy.ts"
import { fragments } from "./world/hostile.ts"

const home = "/home/me"
const decode = Schema.decodeUnknownOption(Profile)
const harmless = {
  id: "box",
  name: "Box",
  host: "box",
  bootstrap: { enabled: false, lifetime: "persistent" }
} as const

const fields = [
  "id",
  "name",
  "host",
  "user",
  "port",
  "identityFile",
  "proxyJump",
  "sshConfig",
  "strategy",
  "remotePort",
  "localPort",
  "versionRange",
  "username"
] as const

/** A few pieces in a row: hostile ones, and harmless ones that make them look like a value. */
const Text = Schema.Array(Schema.Literals(fragments)).check(Schema.isMinLength(1), Schema.isMaxLength(5))

/** How getopt(3) reads ssh's words: the letters of ssh.c, those before a colon with an argument. */
const withArgument = new Set("BbcDEeFIiJLlmOoPpQRSWw")

interface Read {
  readonly options: ReadonlyArray<readonly [letter: string, argument: string]>
  readonly operands: ReadonlyArray<string>
}

/** ssh takes options behind the destination as well, unless it is told that there are none: `--`. */
const getopt = (words: ReadonlyArray<string>): Read => {
  const options: Array<readonly [string, string]> = []
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? ""
    if (word === "--") return { options, operands: words.slice(index + 1) }
    if (!word.startsWith("-")) return assert.fail(`${word} stands where an option should: ${words.join(" ")}`)
    for (let at = 1; at < word.length; at++) {
      const letter = word.charAt(at)
      if (!withArgument.has(letter)) options.push([letter, ""])
      else {
        options.push([letter, at + 1 < word.length ? word.slice(at + 1) : words[++index] ?? ""])
        break
      }
    }
  }
  return { options, operands: [] }
}

/** What our own words are; `o` by keyword. */
const shape = ({ options }: Read): ReadonlyArray<string> =>
  options.map(([letter, argument]) => letter === "o" ? `o ${argument.split("=")[0]}` : letter)

/** Characters that mean something to a shell, to ssh's tokens or to its patterns; a backslash is for domains. */
const meaningful = /[\s'"`$;&|<>(){}*?!#%~=[\]^\p{C}\p{Z}]/u

/** One line of the program: `ocs_name='…'`, with nothing after the closing quotation mark. */
const assignment = /^ocs_[a-z_]+='(?:[^']|'\\'')*'$/

describe("a hostile value", () => {
  let accepted = 0
  let tried = 0

  it.effect.prop(
    "of any field is refused, or is one word and nothing else",
    [Schema.Literals(fields), Text],
    ([field, pieces]) =>
      Effect.sync(() => {
        const value = pieces.join("")
        tried += 1
        const decoded = decode({ ...harmless, [field]: value })
        if (Option.isNone(decoded)) return
        accepted += 1
        const profile = decoded.value
        const { destination } = profile
        const input = { config: "config-1", socket: "c1", destination, home, localPort: 4001, remotePort: 4096 }
        const plain = { ...input, destination: new Profile({ ...profile, ...harmless, id: profile.id }).destination }
        const own = destination.identityFile === undefined ? [] : ["o IdentityFile", "o IdentitiesOnly"]
        const given = [
          ...(destination.user === undefined ? [] : ["l"]),
          ...(destination.port === undefined ? [] : ["p"]),
          ...own,
          ...(destination.proxyJump === undefined ? [] : ["J"])
        ]
        for (const words of [Argv.master, Argv.plainForward, Argv.plainExec, Argv.resolve]) {
          const read = getopt(words(input))
          const expected = shape(getopt(words(plain))).filter((name) => !given.includes(name))
          assert.deepStrictEqual(shape(read).filter((name) => !given.includes(name)), expected)
          assert.sameMembers(shape(read).filter((name) => given.includes(name)), given)
          assert.deepStrictEqual(read.operands, [destination.host, ...words === Argv.plainExec ? ["exec sh -s"] : []])
          // eslint-disable-next-line no-control-regex -- control characters are what must not be there
          for (const word of words(input)) assert.notMatch(word, /[\u0000-\u001f\u007f]/)
        }
        // ssh hands these to shells (ProxyCommand, Match exec) and reads lists of hosts from the last one.
        for (const text of [destination.host, destination.user, destination.proxyJump]) {
          if (text === undefined) continue
          for (const part of text.replace(/^ssh:\/\//, "").replaceAll("ssh://", "").split(",")) {
            assert.notMatch(part.replaceAll(/[[\]]/g, ""), meaningful)
            assert.notMatch(part, /^-|@-/)
          }
        }
        // The overlay has one line for the file, whatever its name.
        for (const minor of [0, 9]) {
          const options = { home, sshVersion: { major: 9, minor } }
          const text = overlay({ ...options, userConfig: destination.sshConfig })
          if (Result.isFailure(text)) continue
          const lines = text.success.split("\n")
          const rest = (all: ReadonlyArray<string>) => all.filter((line) => !line.startsWith("Include "))
          assert.deepStrictEqual(rest(lines), rest(Result.getOrThrow(overlay({ ...options })).split("\n")))
          for (const line of lines.filter((line) => line.startsWith("Include "))) {
            assert.match(line, /^Include "(?:[^"\\]|\\.)*"$/u)
          }
        }
        // What a person is told to paste is the same words, and no command.
        const target = Argv.target(destination, home)
        const words = interactively(target, ["-o", "StrictHostKeyChecking=ask"])
        const split = ShellWords.split(shellLine(words))
        if (!words.some((word) => /\$/.test(word))) assert.deepStrictEqual(Result.getOrThrow(split), words)
        // The version range becomes words of the remote script.
        const range = parseRange(profile.versionRange ?? ">=1.0.0")
        if (Result.isFailure(range)) return
        const script = assemble({
          nonce: "0123456789abcdef",
          action: "ensure",
          port: profile.remotePort,
          lifetime: profile.bootstrap.lifetime,
          ...versionIntervals(range.success),
          seconds: 1,
          shellSeconds: 1,
          killSeconds: 1
        })
        const [head = ""] = script.split("ocs_launch=")
        for (const line of head.trimEnd().split("\n")) assert.match(line, assignment)
      }),
    { arbitrary: { runs: 4000 }, timeout: 60_000 }
  )

  it("was let in now and then, so that something was tried", () => {
    assert.isAtLeast(tried, 4000)
    assert.isAtLeast(accepted, 300)
    assert.isAtLeast(tried - accepted, 1500)
  })

  it.effect.prop(
    "in the profile file is a problem of that entry, or a profile, and never another entry",
    [Schema.Literals(fields), Text],
    ([field, pieces]) =>
      Effect.sync(() => {
        const entries = [{ ...harmless, id: "first" }, { ...harmless, id: "box", [field]: pieces.join("") }, {
          ...harmless,
          id: "last"
        }]
        const document = Result.getOrThrow(ProfileFile.parse(JSON.stringify({ version: 1, profiles: entries })))
        const { problems, profiles } = ProfileFile.contents(document)
        assert.strictEqual(profiles.length + problems.length, 3)
        assert.includeMembers(profiles.map(({ id }) => String(id)), ["first", "last"])
      }),
    { arbitrary: { runs: 1000 } }
  )

  it("of 64 KiB is let in nowhere", () => {
    for (const field of fields) {
      for (const piece of ["x", "/", "~/", "1", " ", "-", "a,", ">=1 || "]) {
        const value = piece.repeat(Math.ceil(65_536 / piece.length))
        assert.isTrue(Option.isNone(decode({ ...harmless, [field]: value })), `${field}: ${piece}…`)
      }
    }
  })
})
