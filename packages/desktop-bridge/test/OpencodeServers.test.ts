import { assert, describe, it } from "@effect/vitest"
import { BootstrapError } from "@opencode-ai/ssh-tunnel/BootstrapError"
import { ConnectionError } from "@opencode-ai/ssh-tunnel/ConnectionError"
import { Connections } from "@opencode-ai/ssh-tunnel/Connections"
import { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { MemoryTunnels } from "@opencode-ai/ssh-tunnel/MemoryTunnels"
import { Effect, Equal, HashMap, Result, Schema } from "effect"
import { Link } from "../src/Link.ts"
import * as OpencodeServers from "../src/OpencodeServers.ts"
import * as World from "./support/World.ts"

const { id, profile } = World

/** Every tag of a union of reasons. */
const stages: ReadonlyArray<readonly [unknown, OpencodeServers.Stage]> = [
  [{ _tag: "Disconnected" }, "disconnected"],
  [{ _tag: "Connecting", step: "starting", since: "t" }, "connecting"],
  [{ _tag: "Connecting", step: "authenticating", waitingFor: "security-key", since: "t" }, "connecting"],
  [{ _tag: "Discovering", since: "t" }, "checking"],
  [{ _tag: "Bootstrapping", step: "looking", since: "t" }, "checking"],
  [{ _tag: "Bootstrapping", step: "starting", since: "t" }, "starting"],
  [{ _tag: "Bootstrapping", step: "waiting", since: "t" }, "starting"],
  [{ _tag: "Disconnecting" }, "disconnected"]
]

describe("a state as the app knows it", () => {
  it("each state has its stage", () => {
    for (const [state, stage] of stages) {
      assert.strictEqual(OpencodeServers.stageOf(Schema.decodeUnknownSync(ConnectionState)(state)), stage)
    }
  })

  it.effect.prop(
    "ready means a URL, failures say why, and nothing else does",
    [ConnectionState],
    ([state]) =>
      Effect.sync(() => {
        const item = OpencodeServers.itemOf(profile(), state)
        const connection = OpencodeServers.connectionOf(profile(), state)
        assert.strictEqual(item.stage === "ready", state._tag === "Connected")
        assert.strictEqual(item.http !== undefined, state._tag === "Connected")
        assert.strictEqual(item.error !== undefined, state._tag === "Failed" || state._tag === "Reconnecting")
        assert.strictEqual(item.stage === "failed" || item.stage === "incompatible", state._tag === "Failed")
        if (state._tag === "Failed") {
          assert.strictEqual(item.stage === "incompatible", state.error._tag === "CompatibilityError")
          assert.include(item.detail, state.error.remedy.text)
        }
        assert.strictEqual(connection.stage, item.stage)
        assert.isString(connection.http.url)
        assert.deepStrictEqual(OpencodeServers.itemOf(profile(), state), item, "nothing but its arguments counts")
      })
  )

  it.effect.prop("every error has a kind, and host keys, versions and a missing ssh have their own", [
    ConnectionError
  ], ([error]) =>
    Effect.sync(() => {
      const kind = OpencodeServers.failureOf(error)
      assert.strictEqual(kind === "host-key", error.reason._tag.startsWith("HostKey"))
      assert.strictEqual(kind === "version", error._tag === "CompatibilityError")
      assert.strictEqual(
        kind === "ssh-missing",
        error.reason._tag === "SshNotFound" || error.reason._tag === "SshTooOld"
      )
      if (kind === "install" || kind === "platform") assert.instanceOf(error, BootstrapError)
    }))

  it.effect.prop(
    "updates give the picture that they tell of",
    [Schema.Array(ConnectionState)],
    ([list]) =>
      Effect.sync(() => {
        const entries = list.map((state, index) => ({ id: id(`p${index % 3}`), state }))
        const changed = entries.reduce(
          (states, entry) => OpencodeServers.applied(states, { _tag: "Changed", ...entry }),
          HashMap.empty<ReturnType<typeof id>, ConnectionState>()
        )
        const all = OpencodeServers.applied(changed, {
          _tag: "All",
          states: HashMap.toEntries(changed).map(([id, state]) => ({ id, state }))
        })
        assert.isTrue(Equal.equals(all, changed))
      })
  )
})

describe("what a person types", () => {
  it("becomes a draft whose server may be started, named as given or as its destination", () => {
    const draft = Result.getOrThrow(OpencodeServers.draftOf("ssh -p 2222 -J jump me@box", " "))
    assert.deepStrictEqual(draft, {
      name: "me@box:2222",
      host: "box",
      user: "me",
      port: 2222,
      proxyJump: "jump",
      bootstrap: { enabled: true, lifetime: "persistent" }
    })
    assert.strictEqual(Result.getOrThrow(OpencodeServers.draftOf("box", "Work")).name, "Work")
    assert.isTrue(Result.isFailure(OpencodeServers.draftOf("ssh -o ProxyCommand=evil box", "")))
  })
})

describe("the app's calls", () => {
  it.effect("start saves what is new, and connects what is known; everybody who listens sees it", () =>
    Effect.gen(function*() {
      const window = yield* World.client
      const servers = yield* OpencodeServers.make(window)
      const before = yield* Effect.promise(() => servers.getState())
      assert.deepStrictEqual(before.servers.map(({ stage }) => stage), ["disconnected"])
      const ready = Promise.withResolvers<OpencodeServers.State>()
      const end = servers.subscribe((state) => {
        if (state.servers.length === 2 && state.servers.every(({ stage }) => stage === "ready")) ready.resolve(state)
      })
      const added = yield* Effect.promise(() => servers.start({ id: "draft", target: "ssh me@lab", name: "" }))
      // The app tries again with the id that it has made up itself.
      const again = yield* Effect.promise(() => servers.start({ id: "draft", target: "ssh me@lab", name: "" }))
      assert.strictEqual(again, added)
      assert.strictEqual(yield* Effect.promise(() => servers.start({ id: "box", target: "", name: "" })), "box")
      const state = yield* Effect.promise(() => ready.promise)
      end()
      const url = "http://127.0.0.1:50000"
      assert.deepStrictEqual(state.connections.map(({ host, http }) => [host, http.url]), [["box", url], [
        "me@lab",
        url
      ]])
      assert.deepStrictEqual(yield* Effect.promise(() => servers.resolve(added)), { url })
      yield* Effect.promise(() => servers.disconnect(added))
      assert.strictEqual(yield* Effect.promise(() => servers.resolve(added)), null)
      assert.strictEqual(yield* Effect.promise(() => servers.resolve("--not an id")), null)
      yield* Effect.promise(() => servers.forget(added))
      const rest = yield* Effect.promise(() => servers.getState())
      assert.deepStrictEqual(rest.servers.map(({ config }) => config.id), ["box"])
      const refused = yield* Effect.promise(() =>
        servers.start({ id: "x", target: "ssh -A -L 1:2:3 box", name: "" }).catch((e) => e)
      )
      assert.match(refused.message, /target is not valid/)
      assert.strictEqual(yield* (yield* MemoryTunnels).open, 1)
      assert.strictEqual((yield* (yield* Connections).state(id("box")))._tag, "Connected")
    }).pipe(Effect.provide([World.layer(), Link.layerMemory])))
})

describe("a picture", () => {
  it("lists the profiles in their order, also those that were never connected", () => {
    const profiles = [profile(), profile({ id: id("b"), name: "B", user: "me", port: 2222 })]
    const { connections } = OpencodeServers.stateOf(profiles, HashMap.empty())
    assert.deepStrictEqual(connections.map(({ displayName, host }) => [displayName, host]), [["Box", "box"], [
      "B",
      "me@box:2222"
    ]])
  })
})
