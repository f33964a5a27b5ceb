import { assert, it } from "@effect/vitest"
import { Effect, Ref } from "effect"
import { bindLocalPort, PortTaken } from "../../src/internal/localPort.ts"
import { LocalHost } from "../../src/LocalHost.ts"

/** A machine whose free ports are 1001, 1002, … and on which the given ports are taken when somebody binds. */
const machine = (taken: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    const next = yield* Ref.make(1000)
    const tried = yield* Ref.make<ReadonlyArray<number>>([])
    const host = yield* LocalHost.pipe(
      Effect.provide(LocalHost.layerMock({ freePort: Ref.updateAndGet(next, (n) => n + 1) }))
    )
    const bind = (port: number) =>
      Effect.andThen(
        Ref.update(tried, (all) => [...all, port]),
        taken.includes(port) ? Effect.fail(new PortTaken({ port })) : Effect.succeed(port)
      )
    return { host, bind, tried }
  })

it.effect("a preferred port is taken when it is free, another when it is not", () =>
  Effect.gen(function*() {
    const { bind, host } = yield* machine([80])
    assert.strictEqual(yield* bindLocalPort(host, { _tag: "Preferred", port: 81 }, bind), 81)
    assert.strictEqual(yield* bindLocalPort(host, { _tag: "Preferred", port: 80 }, bind), 1001)
  }))

it.effect("a lost race for a free port is run again", () =>
  Effect.gen(function*() {
    const { bind, host, tried } = yield* machine([1001, 1002])
    assert.strictEqual(yield* bindLocalPort(host, { _tag: "Any" }, bind), 1003)
    assert.deepStrictEqual(yield* Ref.get(tried), [1001, 1002, 1003])
  }))

it.effect("a pinned port that is taken is LocalPortInUse, and nothing else is tried", () =>
  Effect.gen(function*() {
    const { bind, host, tried } = yield* machine([80])
    const error = yield* Effect.flip(bindLocalPort(host, { _tag: "Pinned", port: 80 }, bind))
    assert.strictEqual(error.reason._tag, "LocalPortInUse")
    assert.deepStrictEqual(yield* Ref.get(tried), [80])
  }))

it.effect("a race that is always lost ends with a typed error", () =>
  Effect.gen(function*() {
    const { bind, host } = yield* machine(Array.from({ length: 100 }, (_, n) => 1000 + n))
    const error = yield* Effect.flip(bindLocalPort(host, { _tag: "Any" }, bind))
    assert.strictEqual(error.reason._tag, "LocalPortInUse")
  }))
