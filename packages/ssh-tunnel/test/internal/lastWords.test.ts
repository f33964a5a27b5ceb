import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as ChildProcess from "node:child_process"
import { lastWords } from "../../src/internal/lastWords.ts"

const limit = Duration.millis(100)

/** Does nothing but hold up the event loop. */
const block = (milliseconds: number): void =>
  void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)

describe("lastWords", () => {
  it.effect("waits for the reader, and no longer than the limit", () =>
    Effect.gen(function*() {
      yield* lastWords([yield* Effect.forkChild(Effect.void)], limit)
      const never = yield* Effect.forkChild(Effect.never)
      const late = yield* Effect.forkChild(lastWords([yield* Effect.forkChild(Effect.void), never], limit), {
        startImmediately: true
      })
      yield* TestClock.adjust("99 millis")
      assert.isUndefined(late.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isDefined(late.pollUnsafe())
      assert.isUndefined(never.pollUnsafe())
      yield* Fiber.interrupt(never)
    }))

  it.live("hears what came while the event loop was busy for longer than the limit", () =>
    Effect.gen(function*() {
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          ChildProcess.spawn("sh", ["-c", "read go; echo last"], { stdio: ["pipe", "pipe", "ignore"] })
        ),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const reader = yield* Effect.forkChild(
        Effect.callback<string>((resume) => {
          let text = ""
          child.stdout.setEncoding("utf8").on("data", (piece: string) => void (text += piece))
          child.stdout.on("end", () => resume(Effect.succeed(text)))
        }),
        { startImmediately: true }
      )
      const waiting = yield* Effect.forkChild(lastWords([reader], limit), { startImmediately: true })
      child.stdin.write("go\n")
      // The write is done by the time that the loop comes here; the answer comes while it stands still.
      yield* Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
      block(3 * Duration.toMillis(limit))
      yield* Fiber.join(waiting)
      assert.isDefined(reader.pollUnsafe())
      assert.strictEqual(yield* Fiber.join(reader), "last\n")
    }))
})
