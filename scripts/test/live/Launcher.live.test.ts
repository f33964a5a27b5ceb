import { assert, describe, it } from "@effect/vitest"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"

const root = Path.dirname(Path.dirname(Path.dirname(import.meta.dirname)))

/** A checkout with the real launcher and another program in place of the command line. */
const checkout = Effect.gen(function*() {
  const directory = yield* TempDirectory.make({ name: "a checkout" })
  const path = (...names: ReadonlyArray<string>) => Path.join(directory, ...names)
  for (const name of ["bin", "packages/cli/src", "packages/ssh-tunnel/src"]) {
    Fs.mkdirSync(path(name), { recursive: true })
  }
  Fs.cpSync(Path.join(root, "bin", "opencode-ssh"), path("bin", "opencode-ssh"))
  Fs.cpSync(Path.join(root, "packages", "cli", "package.json"), path("packages", "cli", "package.json"))
  Fs.symlinkSync(Path.join(root, "node_modules"), path("node_modules"))
  Fs.writeFileSync(path("bun.lock"), "")
  // Sources are older than what is built from them.
  const past = new Date(Date.now() - 60_000)
  const write = (source: string, changed: Date = past) => {
    const file = path("packages", "cli", "src", "main.ts")
    Fs.writeFileSync(file, source)
    for (const name of [file, Path.dirname(file)]) Fs.utimesSync(name, changed, changed)
  }
  const launcher = path("bin", "opencode-ssh")
  for (const name of ["bun.lock", "packages/cli/package.json", "packages/ssh-tunnel/src"]) {
    Fs.utimesSync(path(name), past, past)
  }
  return { path, write, launcher, run: (...args: ReadonlyArray<string>) => Process.run(launcher, args) }
})

const bundleTime = (path: (...names: ReadonlyArray<string>) => string) =>
  Fs.statSync(path("packages", "cli", "dist", "opencode-ssh.mjs")).mtimeMs

describe("bin/opencode-ssh", () => {
  it.live("builds, passes arguments and the exit code on, and keeps stdout clean", () =>
    Effect.gen(function*() {
      const { run, write } = yield* checkout
      write("console.log(JSON.stringify(process.argv.slice(2)), process.version)\nprocess.exitCode = 7")
      const result = yield* run("connect", "a b", "--json", "")
      assert.strictEqual(result.code, 7)
      assert.match(result.stdout, /^\["connect","a b","--json",""\] v24\./)
      assert.strictEqual(result.stderr, "")
    }))

  it.live("builds again only when a source is newer", () =>
    Effect.gen(function*() {
      const { path, run, write } = yield* checkout
      write("console.log(1)")
      assert.strictEqual((yield* run()).stdout, "1\n")
      const first = bundleTime(path)
      assert.strictEqual((yield* run()).stdout, "1\n")
      assert.strictEqual(bundleTime(path), first)
      write("console.log(2)", new Date(first + 2_000))
      assert.strictEqual((yield* run()).stdout, "2\n")
    }))

  it.live("says why it cannot build, and does not run the old bundle", () =>
    Effect.gen(function*() {
      const { path, run, write } = yield* checkout
      write("console.log(1)")
      yield* run()
      write("console.log(", new Date(bundleTime(path) + 2_000))
      const result = yield* run()
      assert.strictEqual(result.code, 1)
      assert.strictEqual(result.stdout, "")
      assert.include(result.stderr, "main.ts")
      assert.deepStrictEqual(Fs.readdirSync(path("packages", "cli", "dist")).sort(), [
        "opencode-ssh.mjs",
        "opencode-ssh.mjs.map"
      ])
    }))

  it.live("may be started many times at once, and through a link", () =>
    Effect.gen(function*() {
      const { launcher, path, write } = yield* checkout
      write("console.log(1)")
      Fs.symlinkSync(launcher, path("linked"))
      const results = yield* Effect.forEach([1, 2, 3, 4], () => Process.run(path("linked"), []), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(results.map(({ stderr, stdout }) => stdout + stderr), Array(4).fill("1\n"))
    }))
})
