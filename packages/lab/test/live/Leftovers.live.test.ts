import { assert, describe, it } from "@effect/vitest"
import * as Leftovers from "@opencode-ai/ssh-lab/Leftovers"
import * as Mark from "@opencode-ai/ssh-lab/Mark"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, Scope } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"

/** The grace of the tests that do leave something, in milliseconds. */
const short = 200

/** A shell line that leaves a sleep in a session of its own, and prints its pid once it is in that. */
const daemon = (shell: string, seconds: number): string =>
  `{ setsid ${shell} -c 'echo $$; exec sleep ${seconds} >/dev/null 2>&1' & } | head -n 1`

/** Restores the mark of this file, so that the check after the file sees what this test does not clean up. */
const begin = Effect.gen(function*() {
  const outer = Mark.current()
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      process.env[Mark.variable] = outer
    })
  )
  return yield* Leftovers.begin
})

describe("Leftovers", () => {
  it.live("finds nothing after a fixture has ended", () =>
    Effect.gen(function*() {
      const baseline = yield* begin
      yield* Effect.scoped(Effect.gen(function*() {
        yield* TempDirectory.make()
        yield* Process.spawn("sleep", ["1000"])
        const { directories, processes } = yield* Leftovers.find(baseline)
        assert.deepStrictEqual(processes.map((info) => info.command), ["sleep 1000"])
        assert.strictEqual(directories.length, 1)
      }))
      yield* Leftovers.check(baseline)
      assert.isFalse(Fs.existsSync(TempDirectory.root(baseline.mark)))
    }))

  it.live("names and ends a process that was left, even one whose parent is gone", () =>
    Effect.gen(function*() {
      const baseline = yield* begin
      const planted = yield* Process.output("sh", ["-c", daemon("sh", 1001)])
      const error = yield* Leftovers.check(baseline, short).pipe(Effect.flip)
      assert.include(error.message, "sleep 1001")
      assert.include(error.message, `process ${planted.trim()}`)
      yield* Leftovers.check(baseline)
    }))

  it.live("finds a child without the mark", () =>
    Effect.gen(function*() {
      const baseline = yield* begin
      ChildProcess.spawn("/bin/sleep", ["1002"], { env: {}, stdio: "ignore" })
      const error = yield* Leftovers.check(baseline, short).pipe(Effect.flip)
      assert.include(error.message, "sleep 1002")
    }))

  it.live("finds a process by its working directory", () =>
    Effect.gen(function*() {
      const baseline = yield* begin
      const directory = yield* TempDirectory.make()
      yield* Process.output("sh", ["-c", daemon("env -i /bin/sh", 1003)], { cwd: directory })
      const error = yield* Leftovers.check(baseline, short).pipe(Effect.flip)
      assert.include(error.message, "sleep 1003")
    }))

  it.live("finds a temp directory whose scope was never closed", () =>
    Effect.gen(function*() {
      const baseline = yield* begin
      const scope = yield* Scope.make()
      const directory = yield* TempDirectory.make().pipe(Scope.provide(scope))
      const error = yield* Leftovers.check(baseline, short).pipe(Effect.flip)
      assert.include(error.message, directory)
      assert.isFalse(Fs.existsSync(directory))
    }))

  it.live.skipIf(process.platform !== "linux")("finds a listener of this process", () =>
    Effect.gen(function*() {
      const baseline = yield* begin
      const server = Net.createServer()
      const port = yield* Effect.callback<number>((resume) => {
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          resume(Effect.succeed(address === null || typeof address === "string" ? 0 : address.port))
        })
      })
      const error = yield* Leftovers.check(baseline, short).pipe(Effect.flip)
      assert.include(error.message, `listener on port ${port}`)
      server.close()
      yield* Leftovers.check(baseline)
    }))
})
