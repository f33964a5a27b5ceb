import { assert, describe, it } from "@effect/vitest"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"

const root = Path.dirname(Path.dirname(Path.dirname(import.meta.dirname)))

/** A checkout that is set up, whose demo is this program. */
const checkout = Effect.fnUntraced(function*(demo: string) {
  const directory = yield* TempDirectory.make()
  Fs.mkdirSync(Path.join(directory, "scripts"))
  Fs.mkdirSync(Path.join(directory, "node_modules"))
  Fs.symlinkSync(Path.join(root, "node_modules", ".bin"), Path.join(directory, "node_modules", ".bin"))
  for (const name of ["package.json", "bun.lock", "scripts/run.mjs", "scripts/setup"]) {
    Fs.cpSync(Path.join(root, name), Path.join(directory, name), { recursive: true })
  }
  Fs.cpSync(
    Path.join(root, "node_modules", ".opencode-ssh-setup.json"),
    Path.join(directory, "node_modules", ".opencode-ssh-setup.json")
  )
  Fs.writeFileSync(Path.join(directory, "scripts", "demo.ts"), demo)
  return { directory, command: [Path.join(directory, "scripts", "run.mjs"), "demo"] }
})

/** Tells each signal it gets, and ends 300 ms after the first: a second one would be told as well. */
const tellSignals = `
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    console.log("got", signal)
    setTimeout(() => process.exit(42), 300)
  })
}
setInterval(() => {}, 1000)
console.log("ready")
`

const isSetUp = Fs.existsSync(Path.join(root, "node_modules", ".opencode-ssh-setup.json"))

describe.skipIf(!Sshd.available || !isSetUp)("scripts/run.mjs", () => {
  it.live("runs a task on the exact Node, from the root, with its arguments and exit code", () =>
    Effect.gen(function*() {
      const { command, directory } = yield* checkout(
        "console.log(JSON.stringify([process.version, process.cwd(), process.argv.slice(2)]))\nprocess.exitCode = 5"
      )
      const result = yield* Process.run("node", [...command, "--once", "a b"], { cwd: "/" })
      assert.strictEqual(result.stderr, "")
      assert.strictEqual(result.code, 5)
      const [version, cwd, args] = JSON.parse(result.stdout)
      assert.match(version, /^v24\./)
      assert.strictEqual(cwd, Fs.realpathSync(directory))
      assert.deepStrictEqual(args, ["--once", "a b"])
    }))

  it.live("runs under Bun alone", () =>
    Effect.gen(function*() {
      const { command } = yield* checkout("console.log(process.version)")
      const bun = Path.join(root, "node_modules", ".bin", "bun")
      const result = yield* Process.run(bun, command, { env: { PATH: "/nowhere:/usr/bin:/bin" } })
      assert.match(result.stdout, /^v24\./, result.stderr)
    }))

  it.live("is ready in well under 2 s once everything is there", () =>
    Effect.gen(function*() {
      const { command } = yield* checkout("console.log(\"here\")")
      const begun = performance.now()
      yield* Process.output("node", command)
      assert.isBelow(performance.now() - begun, 2_000)
    }))

  it.live.each(["SIGINT", "SIGTERM"] as const)(
    "without a terminal passes %s on once, and waits",
    (signal) =>
      Effect.gen(function*() {
        const { command } = yield* checkout(tellSignals)
        const runner = yield* Process.spawn("node", command)
        yield* runner.stdout.waitFor("ready")
        // As npm does after a signal to the whole group.
        yield* runner.kill(signal)
        yield* runner.kill(signal)
        assert.strictEqual((yield* runner.exit).code, 42)
        yield* runner.stdout.ended
        assert.deepStrictEqual(yield* runner.stdout.lines, ["ready", `got ${signal}`])
      })
  )

  it.live.skipIf(!Fs.existsSync("/usr/bin/script"))(
    "on a terminal Ctrl-C reaches the task exactly once",
    () =>
      Effect.gen(function*() {
        const { command } = yield* checkout(tellSignals)
        const line = ["node", ...command].map((word) => `'${word}'`).join(" ")
        const terminal = yield* Process.spawn("/usr/bin/script", ["-qec", `exec ${line}`, "/dev/null"])
        yield* terminal.stdout.waitFor("ready")
        yield* terminal.write("\u0003")
        assert.strictEqual((yield* terminal.exit).code, 42)
        yield* terminal.stdout.ended
        assert.strictEqual(yield* terminal.stdout.count("got SIGINT"), 1)
      })
  )

  it.live("reports a task that died by a signal", () =>
    Effect.gen(function*() {
      const { command } = yield* checkout("process.kill(process.pid, \"SIGKILL\")\nsetInterval(() => {}, 1000)")
      assert.strictEqual((yield* Process.run("node", command)).code, 137)
    }))

  it.live("knows its tasks", () =>
    Effect.gen(function*() {
      const result = yield* Process.run("node", [Path.join(root, "scripts", "run.mjs"), "nonsense"])
      assert.strictEqual(result.code, 2)
      assert.include(result.stderr, "usage: ")
    }))
})
