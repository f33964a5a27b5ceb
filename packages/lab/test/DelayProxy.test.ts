import { assert, describe, it } from "@effect/vitest"
import * as DelayProxy from "@opencode-ai/ssh-lab/DelayProxy"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import { Effect } from "effect"
import * as Net from "node:net"

/** Sends the pieces, one write each, and reads until the other side ends. */
const exchange = (port: number, pieces: ReadonlyArray<string>) =>
  Effect.callback<{ readonly text: string; readonly firstByte: number; readonly end: number }, Error>((resume) => {
    const begun = performance.now()
    let firstByte = 0
    let text = ""
    const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true, allowHalfOpen: true }, () => {
      for (const piece of pieces) socket.write(piece)
      socket.end()
    })
    socket.setEncoding("latin1")
    socket.on("data", (chunk) => {
      if (text === "") firstByte = performance.now() - begun
      text += chunk
    })
    socket.on("end", () => resume(Effect.succeed({ text, firstByte, end: performance.now() - begun })))
    socket.on("error", (error) => resume(Effect.fail(error)))
    return Effect.sync(() => socket.destroy())
  })

describe("DelayProxy", () => {
  it.live("delays each way, keeps every byte and its place, and passes the end on", () =>
    Effect.gen(function*() {
      const echo = yield* FakeServer.tcp((socket) => socket.pipe(socket))
      const proxy = yield* DelayProxy.make({ to: echo.port, delay: 40 })
      const pieces = Array.from({ length: 500 }, (_, index) => `${index}:${"x".repeat(index % 700)};`)
      const direct = yield* exchange(echo.port, pieces)
      assert.strictEqual(direct.text, pieces.join(""))
      const delayed = yield* exchange(proxy.port, pieces)
      assert.strictEqual(delayed.text, pieces.join(""))
      // The handshake's 1.5 round trips, and the way back.
      assert.isAtLeast(delayed.firstByte, 160)
      assert.strictEqual(yield* proxy.connections, 1)
    }))

  it.live("passes on that nobody listens", () =>
    Effect.gen(function*() {
      const silent = yield* FakeServer.tcp(() => {})
      yield* silent.stop
      const proxy = yield* DelayProxy.make({ to: silent.port, delay: 1 })
      const result = yield* exchange(proxy.port, ["hello"]).pipe(Effect.result)
      if (result._tag === "Success") assert.strictEqual(result.success.text, "")
    }))
})
