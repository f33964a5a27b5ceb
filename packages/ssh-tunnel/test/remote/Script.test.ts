import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { generate, target } from "../../../../scripts/generate-remote-script.ts"
import { assemble } from "../../src/internal/remoteScript.ts"
import * as Machine from "./Machine.ts"

const remote = Path.join(import.meta.dirname, "..", "..", "remote")

const files = Fs.readdirSync(remote)

describe("the remote script's text", () => {
  it("is what the generator makes of it", () => {
    assert.strictEqual(Fs.readFileSync(target, "utf8"), generate(), "run node scripts/generate-remote-script.ts")
  })

  it.skipIf(!Machine.available("shellcheck"))("is clean for shellcheck", () => {
    const { stdout, status } = ChildProcess.spawnSync(
      "shellcheck",
      ["-s", "sh", ...files],
      { cwd: remote, encoding: "utf8" }
    )
    assert.strictEqual(status, 0, stdout)
  })

  it("never reads its own stdin, evaluates nothing and holds no here-document", () => {
    for (const file of files) {
      const text = Fs.readFileSync(Path.join(remote, file), "utf8").replaceAll(/^\s*#.*$/gm, "")
      assert.notMatch(text, /\beval\b/)
      assert.notMatch(text, /<<[^<]/)
      for (const line of text.split("\n")) {
        if (/\bread -r\b/.test(line)) assert.match(line, /<"|while IFS= read|<&4/, line)
      }
    }
  })

  it("takes only words of the right shape", () => {
    const bad: ReadonlyArray<Partial<Parameters<typeof assemble>[0]>> = [
      { nonce: "$(id)" },
      { password: "a'b" },
      { password: "a\nb" },
      { username: "a b" },
      { ranges: "1.0.0:2.0.0;id" },
      { names: "`id`" },
      { port: 1.5 },
      { port: -1 }
    ]
    for (const options of bad) {
      assert.throws(() => assemble({ ...Machine.defaults, ...options }))
    }
  })
})

describe.concurrent.each(Machine.shells)("a transfer that is cut, in %s", (_, shell) => {
  it.live("runs nothing", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const text = assemble(Machine.defaults)
      const bytes = text.length
      const cuts = [
        ...Array.from({ length: 12 }, (_, index) => Math.floor((index * bytes) / 12)),
        // Around the last line, where it would begin to run.
        ...Array.from({ length: 12 }, (_, index) => bytes - 2 - 2 * index)
      ]
      for (const cut of cuts) {
        const { stdout } = ChildProcess.spawnSync(shell[0] ?? "", [...shell.slice(1), "-s"], {
          input: text.slice(0, cut),
          env: machine.env,
          encoding: "utf8"
        })
        assert.strictEqual(stdout, "", `cut at ${cut} of ${bytes}`)
      }
      assert.isFalse(Fs.existsSync(machine.state))
      assert.deepStrictEqual(machine.calls(), [])
    }))
})
