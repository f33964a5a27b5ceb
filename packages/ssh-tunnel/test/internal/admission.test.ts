import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Ref } from "effect"
import * as Admission from "../../src/internal/admission.ts"

/** Logins that last until the gate opens; tells how many run, the most that ever did, and how often a machine was asked. */
const logins = Effect.gen(function*() {
  const admission = yield* Admission.make
  const gate = yield* Deferred.make<void>()
  const running = yield* Ref.make(0)
  const most = yield* Ref.make(0)
  const asked = yield* Ref.make(0)
  const login = (machine: string) =>
    Effect.acquireUseRelease(
      Ref.updateAndGet(running, (n) => n + 1),
      (n) => Effect.andThen(Ref.update(most, (before) => Math.max(before, n)), Deferred.await(gate)),
      () => Ref.update(running, (n) => n - 1)
    ).pipe(admission.through(Effect.as(Ref.update(asked, (n) => n + 1), machine)))
  return { login, gate, running, most, asked }
})

it.effect("at most eight at a time at one machine, and all of them in the end", () =>
  Effect.gen(function*() {
    const { gate, login, most, running } = yield* logins
    const all = yield* Effect.forkChild(
      Effect.forEach(Array.from({ length: 50 }), () => login("one"), { concurrency: "unbounded", discard: true }),
      { startImmediately: true }
    )
    yield* Effect.yieldNow.pipe(Effect.repeat({ times: 2000 }))
    assert.strictEqual(yield* Ref.get(running), Admission.maxLogins)
    yield* Deferred.succeed(gate, undefined)
    yield* Fiber.join(all)
    assert.strictEqual(yield* Ref.get(most), Admission.maxLogins)
  }))

it.effect("different machines never wait for each other", () =>
  Effect.gen(function*() {
    const { gate, login, running } = yield* logins
    const all = yield* Effect.forkChild(
      Effect.forEach(Array.from({ length: 40 }), (_, n) => login(`machine ${n % 8}`), {
        concurrency: "unbounded",
        discard: true
      }),
      { startImmediately: true }
    )
    yield* Effect.yieldNow.pipe(Effect.repeat({ times: 5000 }))
    assert.strictEqual(yield* Ref.get(running), 40)
    yield* Deferred.succeed(gate, undefined)
    yield* Fiber.join(all)
  }))

it.effect("few logins ask nobody which machine it is", () =>
  Effect.gen(function*() {
    const { asked, gate, login } = yield* logins
    yield* Deferred.succeed(gate, undefined)
    yield* Effect.forEach(Array.from({ length: Admission.maxLogins }), () => login("one"), {
      concurrency: "unbounded",
      discard: true
    })
    assert.strictEqual(yield* Ref.get(asked), 0)
  }))

it.effect("a login that is given up while it waits leaves its place", () =>
  Effect.gen(function*() {
    const { gate, login, running } = yield* logins
    const first = yield* Effect.forkChild(
      Effect.forEach(Array.from({ length: 8 }), () => login("one"), { concurrency: "unbounded", discard: true }),
      { startImmediately: true }
    )
    const waiting = yield* Effect.forkChild(login("one"), { startImmediately: true })
    yield* Fiber.interrupt(waiting)
    yield* Fiber.interrupt(first)
    assert.strictEqual(yield* Ref.get(running), 0)
    yield* Deferred.succeed(gate, undefined)
    yield* login("one")
  }))
