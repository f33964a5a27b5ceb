import { assert, describe, it } from "@effect/vitest"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { ConfigurationError, ProfileNotFound } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import { Connections, type States } from "@opencode-ai/ssh-tunnel/Connections"
import { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { DataDirectory } from "@opencode-ai/ssh-tunnel/DataDirectory"
import { MemoryTunnels } from "@opencode-ai/ssh-tunnel/MemoryTunnels"
import { layerPlatform } from "@opencode-ai/ssh-tunnel/node"
import { ConnectionLost, TransportError } from "@opencode-ai/ssh-tunnel/TransportError"
import { Context, Effect, Equal, Exit, HashMap, HashSet, Layer, Scope, Stream, SubscriptionRef } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { after, LastConnected, lastConnectedFileName, layerRestore } from "../src/LastConnected.ts"
import { Unheard } from "../src/Unheard.ts"
import * as World from "./support/World.ts"

const { id, profile } = World
const { Connected, Connecting, Disconnected, Disconnecting, Discovering, Failed, Reconnecting } = ConnectionState.cases
const lost = new TransportError({
  reason: new ConnectionLost({ target: { host: "box", options: [] }, detail: "test" })
})
const connected = Connected.make({
  url: "http://127.0.0.1:50000",
  localPort: 50000,
  remotePort: 4096,
  serverVersion: "1.18.33",
  generation: "v1",
  secured: true,
  bootstrapped: false,
  strategy: "master",
  since: "t"
})

describe("who is connected again", () => {
  const box = id("box")
  const now = (state: ConnectionState): States => HashMap.make([box, state])
  const nobody = HashSet.empty<typeof box>()
  const only = HashSet.make(box)

  it("whoever was connected, until a person or an error that stays ends it", () => {
    assert.deepStrictEqual(after(nobody, now(connected)), only)
    for (
      const passing of [
        Connecting.make({ step: "starting", since: "t" }),
        Discovering.make({ since: "t" }),
        Reconnecting.make({ attempt: 1, nextAt: "t", error: lost }),
        Disconnecting.make({})
      ]
    ) {
      assert.deepStrictEqual(after(only, now(passing)), only, passing._tag)
      assert.deepStrictEqual(after(nobody, now(passing)), nobody, passing._tag)
    }
    assert.deepStrictEqual(after(only, now(Disconnected.make({}))), nobody)
    assert.deepStrictEqual(
      after(
        only,
        now(Failed.make({ error: new ConfigurationError({ reason: new ProfileNotFound({ profile: "x" }) }) }))
      ),
      nobody
    )
    assert.deepStrictEqual(after(only, HashMap.empty()), only, "nobody has said anything yet")
  })
})

describe("a run of the application", () => {
  /** From start to end over connections in memory; returns what is remembered then. */
  const runOf = Effect.fnUntraced(function*(
    remembered: ReadonlyArray<string>,
    work: Effect.Effect<void, unknown, Connections | MemoryTunnels>,
    restore = true
  ) {
    const last = yield* Layer.build(LastConnected.layerMemory(remembered.map(id)))
    const scope = yield* Scope.make()
    const services = yield* Layer.build(
      layerRestore({ restore }).pipe(
        Layer.provideMerge(Connections.layerMemory({ profiles: [profile(), profile({ id: id("b"), name: "B" })] })),
        Layer.provide([Layer.succeedContext(last), Unheard.layer])
      )
    ).pipe(Scope.provide(scope))
    yield* Effect.orDie(work).pipe(Effect.provide(services))
    yield* Scope.close(scope, Exit.void)
    return [...yield* Context.get(last, LastConnected).recall].sort()
  })

  it.effect("remembers who was connected at its end, and the next one connects them", () =>
    Effect.gen(function*() {
      const first = yield* runOf(
        [],
        Effect.gen(function*() {
          const connections = yield* Connections
          yield* connections.connect(id("box"))
          yield* connections.connect(id("b"))
          yield* connections.settled(id("box"))
          yield* connections.settled(id("b"))
          // In the very last moment.
          yield* connections.disconnect(id("b"))
        })
      )
      assert.deepStrictEqual(first, ["box"])
      const second = yield* runOf(
        [...first, "removed"],
        Effect.gen(function*() {
          const connections = yield* Connections
          yield* connections.settled(id("box"))
          assert.strictEqual(yield* (yield* MemoryTunnels).opened, 1)
        })
      )
      assert.deepStrictEqual(second, ["box"], "a profile that is gone is forgotten")
    }).pipe(Effect.scoped))

  it.effect("whoever was still on the way stays remembered", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* runOf(["box"], Effect.void), ["box"])
      const end = yield* runOf(
        ["box"],
        Effect.gen(function*() {
          const connections = yield* Connections
          yield* connections.settled(id("box"))
          yield* (yield* MemoryTunnels).cut
          yield* Stream.runHead(
            Stream.filter(connections.states, (all) => HashMap.some(all, ({ _tag }) => _tag === "Reconnecting"))
          )
        })
      )
      assert.deepStrictEqual(end, ["box"])
    }).pipe(Effect.scoped))

  it.effect("restores nothing when it is told not to", () =>
    Effect.gen(function*() {
      const end = yield* runOf(
        ["box"],
        Effect.gen(function*() {
          assert.strictEqual(yield* (yield* MemoryTunnels).opened, 0)
        }),
        false
      )
      assert.deepStrictEqual(end, [])
    }).pipe(Effect.scoped))

  it.effect("a restored connection waits for the network, where a person's would fail", () =>
    Effect.gen(function*() {
      const asked = yield* SubscriptionRef.make<ReadonlyArray<unknown>>([])
      yield* Layer.build(
        layerRestore({ restore: true }).pipe(Layer.provide([
          LastConnected.layerMemory([id("box")]),
          World.layer({
            connections: {
              states: Stream.succeed(HashMap.empty()),
              connect: (id, options) => SubscriptionRef.update(asked, (all) => [...all, [id, options?.origin]])
            }
          })
        ]))
      )
      assert.deepStrictEqual(yield* SubscriptionRef.get(asked), [["box", "restore"]])
    }).pipe(Effect.scoped))
})

describe("the file", () => {
  const inDirectory = (directory: string) =>
    LastConnected.layer.pipe(Layer.provide(DataDirectory.layerAt(directory)), Layer.provide(layerPlatform))

  it.live("is for the user alone, whole, and holds ids", () =>
    Effect.gen(function*() {
      const directory = Path.join(yield* TempDirectory.make(), "not", "there", "yet")
      const file = Path.join(directory, lastConnectedFileName)
      yield* LastConnected.use(({ remember }) => remember(HashSet.make(id("b"), id("a")))).pipe(
        Effect.provide(inDirectory(directory))
      )
      assert.strictEqual(Fs.readFileSync(file, "utf8"), "{\"version\":1,\"connected\":[\"a\",\"b\"]}\n")
      assert.strictEqual(Fs.statSync(file).mode & 0o777, 0o600)
      assert.deepStrictEqual(Fs.readdirSync(directory), [lastConnectedFileName])
      const recalled = LastConnected.use(({ recall }) => recall).pipe(Effect.provide(inDirectory(directory)))
      assert.deepStrictEqual([...yield* recalled].sort(), ["a", "b"])
      for (
        const other of ["", "{", "{\"version\":2,\"connected\":[\"a\"]}", "{\"version\":1,\"connected\":[\"-x\"]}"]
      ) {
        Fs.writeFileSync(file, other)
        assert.deepStrictEqual([...yield* recalled], [], other)
      }
      const many = HashSet.fromIterable(Array.from({ length: 2_000 }, (_, index) => id(`profile-${index}`)))
      yield* LastConnected.use(({ remember }) => remember(many)).pipe(Effect.provide(inDirectory(directory)))
      assert.isTrue(Equal.equals(yield* recalled, many), "there is no number of profiles that is too large")
    }).pipe(Effect.scoped))
})
