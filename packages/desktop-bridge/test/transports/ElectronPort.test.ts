/** What is Electron's own: a window that crashes, a main process that quits, ports that are handed on. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Queue, Stream } from "effect"
import * as RpcClient from "effect/rpc/RpcClient"
import { fromMessagePort } from "../../src/BrowserPort.ts"
import { isLinkError, Link } from "../../src/Link.ts"
import * as MessagePortRpc from "../../src/MessagePortRpc.ts"
import { fromMessagePortMain } from "../../src/node/ElectronPort.ts"
import type { Port } from "../../src/Port.ts"
import { makeFakeChannel } from "../support/fakeElectron.ts"
import { Probe, Suite, SuiteHandlers } from "../support/Suite.ts"

const handlers = SuiteHandlers.pipe(Layer.provideMerge(Probe.layer))

const main = Effect.gen(function*() {
  const ports = yield* Queue.unbounded<Port>()
  yield* Layer.build(MessagePortRpc.layerServer(Suite, Stream.fromQueue(ports)))
  return ports
})

const window = (port: Port) =>
  Effect.gen(function*() {
    const context = yield* Layer.build(MessagePortRpc.layerClient(port))
    const client = yield* RpcClient.make(Suite).pipe(Effect.provide(context))
    return { client, link: yield* Effect.provide(Link, context) }
  })

describe("Electron's ports", () => {
  it.live("keep the calls of a window that is faster than the main process", () =>
    Effect.gen(function*() {
      const ports = yield* main
      const channel = makeFakeChannel()
      const { client } = yield* window(fromMessagePort(channel.window))
      const early = yield* Effect.forkScoped(client.add({ a: 1, b: 2 }), { startImmediately: true })
      yield* Effect.sleep(0)
      yield* Queue.offer(ports, fromMessagePortMain(channel.main))
      assert.strictEqual(yield* Fiber.join(early), 3)
    }).pipe(Effect.provide(handlers)))

  it.live("end the calls of a window that crashes, and of no other", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const ports = yield* main
      const crashing = makeFakeChannel()
      const staying = makeFakeChannel()
      yield* Queue.offerAll(ports, [crashing, staying].map((channel) => fromMessagePortMain(channel.main)))
      const { client: lost } = yield* window(fromMessagePort(crashing.window))
      const { client } = yield* window(fromMessagePort(staying.window))
      const other = yield* Effect.forkScoped(client.hang({ name: "other" }))
      yield* probe.until("started other")
      yield* Effect.forkScoped(lost.hang({ name: "call" }))
      yield* Effect.forkScoped(Stream.runDrain(lost.watch({ name: "stream" })))
      yield* Queue.takeN(probe.events, 2)
      crashing.crash()
      assert.sameMembers(yield* Queue.takeN(probe.events, 2), ["interrupted call", "interrupted stream"])
      yield* probe.release
      assert.strictEqual(yield* Fiber.join(other), "other")
    }).pipe(Effect.provide(handlers)))

  it.live("tell a window that the main process is gone", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const ports = yield* main
      const channel = makeFakeChannel()
      yield* Queue.offer(ports, fromMessagePortMain(channel.main))
      const { client, link } = yield* window(fromMessagePort(channel.window))
      const call = yield* Effect.forkScoped(client.hang({ name: "call" }))
      yield* probe.until("started call")
      channel.quit()
      const exit = yield* Fiber.await(call)
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual((yield* link.state)._tag, "Closed")
      const error = yield* Effect.flip(client.add({ a: 1, b: 2 }))
      assert.isTrue(isLinkError(error))
      assert.match(error.message, /The main process is gone/)
    }).pipe(Effect.provide(handlers)))

  it.live("end with the window's layer, and the main process sees it", () =>
    Effect.gen(function*() {
      const probe = yield* Probe
      const ports = yield* main
      const channel = makeFakeChannel()
      yield* Queue.offer(ports, fromMessagePortMain(channel.main))
      yield* Effect.scoped(Effect.gen(function*() {
        const { client } = yield* window(fromMessagePort(channel.window))
        yield* Effect.forkScoped(client.hang({ name: "call" }))
        yield* probe.until("started call")
      }))
      yield* probe.until("interrupted call")
    }).pipe(Effect.provide(handlers)))
})
