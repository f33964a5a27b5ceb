import { assert, describe, it } from "@effect/vitest"
import { Tunnel } from "@opencode-ai/ssh-tunnel/Tunnel"
import { Effect } from "effect"
import type * as Command from "effect/cli/Command"
import { spawnSync } from "node:child_process"
import { root, wantsJson } from "../src/Cli.ts"
import { version } from "../src/Version.ts"
import { connected, jsonLines, makeWorld } from "./harness.ts"

const paths = (command: Command.Command.Any, above: ReadonlyArray<string> = []): ReadonlyArray<ReadonlyArray<string>> =>
  command.subcommands.flatMap(({ commands }) => commands).flatMap((below) => {
    const path = [...above, below.name]
    return [path, ...paths(below, path)]
  })

describe("help", () => {
  it.effect("every command has one, on stdout, the same by option and by command", () =>
    Effect.gen(function*() {
      const { asked, cli } = yield* makeWorld({ script: { states: [connected()] } })
      for (const path of [[], ...paths(root)]) {
        const option = yield* cli(...path, "--help")
        assert.deepStrictEqual([option.code, option.stderr], [0, []], path.join(" "))
        const text = option.stdout.join("\n")
        assert.include(text, ["opencode-ssh", ...path].join(" "))
        assert.include(text, "DESCRIPTION")
        assert.notInclude(text, "\u001b")
        assert.deepStrictEqual(yield* cli("help", ...path), option)
      }
      assert.deepStrictEqual(yield* asked, [])
    }))

  it("no command is without a description", () => {
    const describe = (command: Command.Command.Any): void => {
      assert.isAbove((command.description ?? "").length, 10, command.name)
      command.subcommands.flatMap(({ commands }) => commands).forEach(describe)
    }
    describe(root)
  })

  it.effect("names of commands that do not exist are wrong usage", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeWorld()
      for (const args of [["help", "nothing"], ["nothing"], ["profiles", "nothing"], [], ["profiles"], ["server"]]) {
        const { code, stderr, stdout } = yield* cli(...args)
        assert.deepStrictEqual([code, stdout], [2, []], args.join(" "))
        assert.isAbove(stderr.length, 0)
      }
    }))

  it.effect("a typing error gets a suggestion", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeWorld()
      const { stderr } = yield* cli("conect", "box")
      assert.include(stderr.join("\n"), "connect")
    }))
})

it.effect("--version is one line with the version of package.json", () =>
  Effect.gen(function*() {
    const { cli } = yield* makeWorld()
    assert.deepStrictEqual(yield* cli("--version"), { code: 0, stdout: [`opencode-ssh ${version}`], stderr: [] })
    assert.match(version, /^\d+\.\d+\.\d+$/)
  }))

it.effect("completions know commands and options", () =>
  Effect.gen(function*() {
    const { cli } = yield* makeWorld()
    for (const shell of ["bash", "zsh", "fish", "powershell"]) {
      const { code, stdout } = yield* cli("completions", shell)
      assert.strictEqual(code, 0)
      for (const word of ["connect", "credentials-file", "profiles", "export", "follow", "completions"]) {
        assert.include(stdout.join("\n"), word, shell)
      }
    }
    assert.strictEqual((yield* cli("completions", "tcsh")).code, 2)
  }))

it("--json counts only before --", () => {
  assert.isTrue(wantsJson(["connect", "box", "--json"]))
  assert.isTrue(wantsJson(["--json=true"]))
  assert.isFalse(wantsJson(["connect", "box", "--", "x", "--json"]))
  assert.isFalse(wantsJson([]))
})

it.effect("with --json, stdout stays NDJSON whatever is wrong", () =>
  Effect.gen(function*() {
    const { cli } = yield* makeWorld()
    for (const args of [["--json"], ["profiles", "--json"], ["hosts", "--json", "x"], ["nothing", "--json"]]) {
      const { code, stderr, stdout } = yield* cli(...args)
      assert.strictEqual(code, 2)
      assert.deepStrictEqual(stderr, [], args.join(" "))
      const [line, ...more] = jsonLines(stdout)
      assert.deepStrictEqual(more, [])
      assert.isTrue(line?.type === "error" && line.error._tag === "UsageError" && line.error.message !== "")
    }
  }))

it.effect("a defect of ours ends with 1 and a text on stderr", () =>
  Effect.gen(function*() {
    const { cli } = yield* makeWorld({ tunnel: Tunnel.layerMock({ open: () => Effect.die(new Error("boom")) }) })
    const { code, stderr, stdout } = yield* cli("server", "status", "box", "--json")
    assert.deepStrictEqual([code, stdout], [1, []])
    assert.include(stderr.join("\n"), "boom")
  }))

it.effect("bash completes commands, options, their values and files", () =>
  Effect.gen(function*() {
    const { cli } = yield* makeWorld()
    const { stdout } = yield* cli("completions", "bash")
    const complete = (...words: ReadonlyArray<string>) =>
      spawnSync("bash", ["-c", completeWith, "bash", "opencode-ssh", ...words], {
        input: stdout.join("\n"),
        encoding: "utf8"
      }).stdout.split(/\s+/).filter((word) => word !== "")
    assert.includeMembers(complete(""), ["connect", "hosts", "profiles", "server"])
    assert.includeMembers(complete("profiles", "e"), ["edit", "export"])
    assert.deepStrictEqual(complete("connect", "--strategy", ""), ["auto", "master", "plain"])
    assert.includeMembers(complete("connect", "box", "--cred"), ["--credentials-file"])
    assert.include(complete("connect", "--identity-file", "/etc/passw"), "/etc/passwd")
  }))

/** Reads the script from stdin and prints what it offers for the last of the words. */
const completeWith = `
eval "$(cat)"
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=\${#COMP_LINE}
_opencode_ssh opencode-ssh "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "\${COMPREPLY[@]}"`
