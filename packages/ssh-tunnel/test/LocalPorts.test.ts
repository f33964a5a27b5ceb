import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Option, Path } from "effect"
import { DataDirectory } from "../src/DataDirectory.ts"
import { LocalPorts } from "../src/LocalPorts.ts"
import * as NodeLocalHost from "../src/node/LocalHost.ts"
import { profileId } from "./ProfileFixtures.ts"

const [a, b] = [profileId("a"), profileId("b")]

const fileLayer = Layer.unwrap(Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = path.join(yield* fs.makeTempDirectoryScoped({ prefix: "ports-" }), "data")
  return LocalPorts.layerNoDeps.pipe(Layer.provideMerge(DataDirectory.layerAt(directory)))
})).pipe(Layer.provideMerge(Layer.mergeAll(NodeServices.layer, NodeLocalHost.layer)))

const contract = (name: string, layer: Layer.Layer<LocalPorts, unknown>) =>
  it.effect(`${name}: remembers, replaces, forgets`, () =>
    Effect.gen(function*() {
      const ports = yield* LocalPorts
      assert.deepStrictEqual(yield* ports.recall(a), Option.none())
      yield* ports.remember(a, 40_001)
      yield* ports.remember(b, 40_002)
      yield* ports.remember(a, 40_003)
      assert.deepStrictEqual(yield* ports.recall(a), Option.some(40_003))
      assert.deepStrictEqual(yield* ports.recall(b), Option.some(40_002))
      yield* ports.forget(a)
      yield* ports.forget(a)
      assert.deepStrictEqual(yield* ports.recall(a), Option.none())
      assert.deepStrictEqual(yield* ports.recall(b), Option.some(40_002))
    }).pipe(Effect.provide(layer)))

describe("LocalPorts", () => {
  contract("in memory", LocalPorts.layerMemory())
  contract("in a file", fileLayer)

  it.effect("in memory: begins with what it is given", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* (yield* LocalPorts).recall(a), Option.some(1234))
    }).pipe(Effect.provide(LocalPorts.layerMemory([[a, 1234]]))))

  it.effect("the next process recalls, and what we do not know stays", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const { path: directory } = yield* DataDirectory
      const file = path.join(directory, "ssh-state.json")
      const nextProcess = Effect.map(
        Effect.flatMap(Layer.build(Layer.fresh(LocalPorts.layerNoDeps)), (context) =>
          Effect.provide(LocalPorts, context)),
        (ports) =>
          ports
      )
      yield* (yield* LocalPorts).remember(a, 40_001)
      const second = yield* nextProcess
      assert.deepStrictEqual(yield* second.recall(a), Option.some(40_001))
      assert.strictEqual((yield* fs.stat(file)).mode & 0o777, 0o600)
      assert.deepStrictEqual(yield* fs.readDirectory(directory), ["ssh-state.json"])

      yield* fs.writeFileString(file, JSON.stringify({ version: 1, other: [1], localPorts: { a: "x", __proto__x: 1 } }))
      const third = yield* nextProcess
      assert.deepStrictEqual(yield* third.recall(a), Option.none())
      assert.deepStrictEqual(yield* third.recall(profileId("constructor")), Option.none())
      yield* third.remember(b, 40_002)
      assert.deepStrictEqual(JSON.parse(yield* fs.readFileString(file)), {
        version: 1,
        other: [1],
        localPorts: { a: "x", __proto__x: 1, b: 40_002 }
      })
    }).pipe(Effect.provide(fileLayer)))

  it.effect("what the file says already is not written again, and not locked for", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const { path: directory } = yield* DataDirectory
      const file = path.join(directory, "ssh-state.json")
      const ports = yield* LocalPorts
      yield* ports.remember(a, 40_001)
      const inode = (yield* fs.stat(file)).ino
      // Whoever had this lock would wait for it.
      yield* fs.writeFileString(`${file}.lock`, "")
      yield* ports.remember(a, 40_001)
      yield* fs.remove(`${file}.lock`)
      assert.deepStrictEqual((yield* fs.stat(file)).ino, inode)
      yield* ports.remember(a, 40_002)
      assert.notDeepEqual((yield* fs.stat(file)).ino, inode)
    }).pipe(Effect.provide(fileLayer)))

  it.effect("never fails: not by a broken file, a later format, or a directory that cannot be written", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const { path: directory } = yield* DataDirectory
      const file = path.join(directory, "ssh-state.json")
      const fresh = Effect.flatMap(
        Layer.build(Layer.fresh(LocalPorts.layerNoDeps)),
        (context) => Effect.provide(LocalPorts, context)
      )
      yield* fs.makeDirectory(directory)
      for (const broken of ["{", "7", "{\"localPorts\":7}", "\0"]) {
        yield* fs.writeFileString(file, broken)
        const ports = yield* fresh
        assert.deepStrictEqual(yield* ports.recall(a), Option.none())
        yield* ports.remember(a, 40_001)
        assert.deepStrictEqual(yield* (yield* fresh).recall(a), Option.some(40_001))
      }
      const later = "{\"version\":2,\"localPorts\":{\"a\":1}}"
      yield* fs.writeFileString(file, later)
      const old = yield* fresh
      assert.deepStrictEqual(yield* old.recall(a), Option.none())
      yield* old.remember(a, 40_004)
      assert.deepStrictEqual(yield* old.recall(a), Option.some(40_004))
      assert.strictEqual(yield* fs.readFileString(file), later)

      yield* fs.remove(directory, { recursive: true })
      yield* fs.writeFileString(directory, "not a directory")
      const stuck = yield* fresh
      yield* stuck.remember(a, 40_005)
      assert.deepStrictEqual(yield* stuck.recall(a), Option.some(40_005))
      yield* stuck.forget(a)
      assert.deepStrictEqual(yield* stuck.recall(a), Option.none())
    }).pipe(Effect.provide(fileLayer)))
})
