import { assert, describe, it } from "@effect/vitest"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Duration, Effect, Layer } from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { reaperScript } from "../../src/internal/reaperScript.ts"
import { layerPlatform } from "../../src/node/index.ts"
import { Reaper } from "../../src/Reaper.ts"
import { RuntimeDirectory } from "../../src/RuntimeDirectory.ts"
import { Timing } from "../../src/Schedules.ts"

/** A reaper whose shell is another program. */
const reaperIs = (program: string, ...args: ReadonlyArray<string>) =>
  Reaper.layerPosix.pipe(
    Layer.provide(Layer.effect(
      ChildProcessSpawner.ChildProcessSpawner,
      Effect.map(ChildProcessSpawner.ChildProcessSpawner, (spawner) => ({
        ...spawner,
        spawn: (command: ChildProcess.Command) =>
          spawner.spawn(
            command._tag === "StandardCommand" ? ChildProcess.make(program, args, command.options) : command
          )
      }))
    )),
    Layer.provide(RuntimeDirectory.layerMock()),
    Layer.provide(layerPlatform),
    Layer.provide(Layer.succeed(Timing, {
      ...Timing.defaults,
      control: Duration.millis(150),
      killAfter: Duration.millis(150)
    }))
  )

describe("a reaper that cannot be used", () => {
  for (
    const [what, layer, words] of [
      ["does not answer", reaperIs("sleep", "1000"), /it does not answer/],
      ["dies at once", reaperIs("true"), /it has died/],
      ["answers something else", reaperIs("sh", "-c", "while read -r line; do echo no; done"), /it does not answer/],
      ["cannot be started", reaperIs("/nowhere/sh"), /\/nowhere\/sh|ENOENT|NotFound/]
    ] as const
  ) {
    it.live(`because it ${what}: a typed error, in time`, () =>
      Effect.gen(function*() {
        const reaper = yield* Reaper
        const [took, error] = yield* Effect.timed(Effect.flip(reaper.register(2 ** 22)))
        assert.strictEqual(error.reason._tag, "RuntimeDirectoryUnusable")
        assert.match(error.message, words)
        assert.isBelow(Duration.toMillis(took), 5_000)
        // Forgetting what it never had is no failure.
        yield* reaper.unregister(2 ** 22)
      }).pipe(Effect.provide(layer)))
  }
})

describe.skipIf(process.platform !== "linux")("the reaper's program", () => {
  /** The program over a `/proc` of the test's making; its groups are real. */
  const start = Effect.gen(function*() {
    const base = yield* TempDirectory.make()
    const directory = Path.join(base, "opencode-ssh-run-aaaaaa")
    const proc = Path.join(base, "proc")
    Fs.mkdirSync(directory)
    Fs.mkdirSync(Path.join(proc, "self"), { recursive: true })
    Fs.writeFileSync(Path.join(proc, "self/stat"), "")
    const shell = yield* Process.spawn("/bin/sh", ["-c", reaperScript, "reaper", directory, "0.1", proc])
    return {
      base,
      directory,
      shell,
      tell: (line: string, id: number) =>
        Effect.andThen(shell.write(`${line}\n`), shell.stdout.waitFor(new RegExp(`^${id}$`))),
      starts: (pid: number, time: number | undefined) => {
        const place = Path.join(proc, String(pid))
        if (time === undefined) return Fs.rmSync(place, { recursive: true })
        Fs.mkdirSync(place, { recursive: true })
        const before = Array.from({ length: 18 }, (_, n) => n + 4).join(" ")
        Fs.writeFileSync(Path.join(place, "stat"), `${pid} (a b) c) S ${before} ${time} 0 0\n`)
      }
    }
  })

  it.live("ends the groups it has, and no stranger that got one of their numbers", () =>
    Effect.gen(function*() {
      const { directory, shell, starts, tell } = yield* start
      const [ours, reused, gone, ended] = yield* Effect.all([
        Process.spawn("sleep", ["1000"]),
        Process.spawn("sleep", ["1000"]),
        Process.spawn("sleep", ["1000"]),
        Process.spawn("sleep", ["1000"])
      ])
      for (const { pid } of [ours, reused, gone, ended]) starts(pid, 100)
      yield* tell(`+ 1 ${ours.pid}`, 1)
      yield* tell(`+ 2 ${reused.pid}`, 2)
      yield* tell(`+ 3 ${gone.pid}`, 3)
      yield* tell(`+ 4 ${ended.pid}`, 4)
      yield* tell(`- 5 ${ended.pid}`, 5)
      // What is no question is neither answered nor obeyed.
      yield* shell.write(`+ 6\n+ 6 1 2\n? 6 ${ended.pid}\n+ 6 $(touch x)\n\n`)
      starts(reused.pid, 200)
      // Its leader is gone, but not all of the group.
      starts(gone.pid, undefined)
      yield* shell.endInput
      assert.deepStrictEqual(yield* shell.exit, { code: 0, signal: undefined })
      assert.strictEqual((yield* ours.exit).signal, "SIGTERM")
      assert.strictEqual((yield* gone.exit).signal, "SIGTERM")
      yield* Effect.forEach([reused, ended], ({ pid }) => Effect.sync(() => assert.isTrue(process.kill(pid, 0))))
      assert.deepStrictEqual(yield* shell.stdout.lines, ["1", "2", "3", "4", "5"])
      assert.isFalse(Fs.existsSync(directory))
    }))

  it.live("kills what ignores SIGTERM, unless its number changed hands meanwhile", () =>
    Effect.gen(function*() {
      const { shell, starts, tell } = yield* start
      const deaf = Process.spawn("sh", ["-c", "trap '' TERM; echo ready; while :; do sleep 1000; done"])
      const [ours, reused] = yield* Effect.all([deaf, deaf])
      for (const [index, child] of [ours, reused].entries()) {
        yield* child.stdout.waitFor("ready")
        starts(child.pid, 100)
        yield* tell(`+ ${index} ${child.pid}`, index)
      }
      starts(reused.pid, 101)
      yield* shell.endInput
      yield* shell.exit
      assert.strictEqual((yield* ours.exit).signal, "SIGKILL")
      assert.isTrue(process.kill(reused.pid, 0))
    }))

  it.live("removes the runtime directory that it was told last, and nothing else", () =>
    Effect.gen(function*() {
      const { base, directory, shell, tell } = yield* start
      const next = Path.join(base, "with a space", "opencode-ssh-run-bbbbbb")
      Fs.mkdirSync(next, { recursive: true })
      yield* tell(`@ 1 ${next}`, 1)
      yield* shell.endInput
      yield* shell.exit
      assert.isFalse(Fs.existsSync(next))
      assert.isTrue(Fs.existsSync(directory))

      const other = yield* start
      yield* other.tell(`@ 1 ${base}`, 1)
      yield* other.shell.endInput
      yield* other.shell.exit
      assert.isTrue(Fs.existsSync(base))
    }))
})
