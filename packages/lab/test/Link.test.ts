import { assert, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import * as Net from "node:net"
import * as FakeServer from "../src/FakeServer.ts"
import * as Link from "../src/Link.ts"

/** A client that collects what it gets, and tells when it has as much as it should. */
const connect = (port: number) =>
  Effect.acquireRelease(
    Effect.sync(() => Net.connect({ host: "127.0.0.1", port })),
    (socket) => Effect.sync(() => socket.destroy())
  )

const next = (socket: Net.Socket) =>
  Effect.callback<string>((resume) => {
    const take = (chunk: Buffer) => resume(Effect.succeed(chunk.toString()))
    socket.once("data", take)
    return Effect.sync(() => socket.off("data", take))
  })

it.live("a link that died keeps every byte and every end to itself, until it recovers", () =>
  Effect.gen(function*() {
    const echo = yield* FakeServer.tcp((socket) => socket.pipe(socket))
    const link = yield* Link.make({ to: echo.port })
    const socket = yield* connect(link.port)
    socket.write("one")
    assert.strictEqual(yield* next(socket), "one")

    yield* link.die
    socket.write("two")
    const late = yield* connect(link.port)
    late.write("three")
    const silence = yield* Effect.raceFirst(next(socket), next(late)).pipe(Effect.timeout("100 millis"), Effect.exit)
    assert.isTrue(Exit.isFailure(silence))
    assert.isFalse(socket.destroyed)
    assert.strictEqual(yield* echo.connections, 1)

    yield* link.recover
    assert.deepStrictEqual(yield* Effect.all([next(socket), next(late)], { concurrency: "unbounded" }), [
      "two",
      "three"
    ])
    const ended = Effect.callback<void>((resume) => void socket.once("close", () => resume(Effect.void)))
    socket.end()
    yield* ended
  }))
