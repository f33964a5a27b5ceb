import { assert, it } from "@effect/vitest"
import { MemoryTunnels } from "@opencode-ai/ssh-tunnel/MemoryTunnels"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { Effect, Layer, Queue, Stream } from "effect"
import { BridgeApi } from "../src/BridgeApi.ts"
import * as MemoryPort from "../src/MemoryPort.ts"
import * as MessagePortRpc from "../src/MessagePortRpc.ts"
import type { Port } from "../src/Port.ts"
import * as World from "./support/World.ts"

const draft = { name: "New", host: "box", bootstrap: { enabled: false, lifetime: "persistent" } }

/** What no form of ours would send. Everything that these would reach dies when it is reached. */
const hostile: ReadonlyArray<readonly [call: string, payload: unknown]> = [
  ...[
    { host: "-oProxyCommand=touch /tmp/x" },
    { host: "$(id)" },
    { host: "box;id" },
    { host: "%h" },
    { host: "box\n" },
    { host: "" },
    { user: "-l" },
    { user: "me`id`" },
    { port: 0 },
    { port: "22" },
    { port: 65536 },
    { identityFile: "-F/tmp/config" },
    { identityFile: "relative" },
    { identityFile: "/home/${HOME}" },
    { identityFile: "/a\u0000b" },
    { proxyJump: "-oX=y" },
    { proxyJump: "a,b c" },
    { sshConfig: "/tmp/config" },
    { sshConfig: "../config" },
    { name: "two\nlines" },
    { strategy: "shell" },
    { bootstrap: { enabled: true, lifetime: "persistent", port: -1 } },
    { bootstrap: { enabled: true, lifetime: "for ever" } },
    { username: "a:b" },
    { versionRange: "x".repeat(300) }
  ].flatMap((fields) => [
    ["addProfile", { draft: { ...draft, ...fields } }] as const,
    ["examineDraft", { draft: { ...draft, ...fields } }] as const,
    ["editProfile", { profile: { ...draft, id: "box", ...fields } }] as const
  ]),
  ...["-x", "../box", "", "a".repeat(65), "box\u0000", 7, null].flatMap((id) =>
    ["connect", "endpoint", "open", "diagnostics", "examine", "serverStop", "duplicateProfile", "sshCommand"].map(
      (call) => [call, { id, format: "json", pseudonyms: true }] as const
    )
  ),
  ["effective", { host: "-G" }],
  ["effective", { host: "box", identityFile: "-i" }],
  ["importHosts", { names: ["*"] }],
  ["importHosts", { names: Array.from({ length: 1001 }, () => "a") }],
  ["diagnostics", { id: "box", format: "html", pseudonyms: true }],
  ["serverLog", { id: "box", follow: "yes" }],
  ["setPassword", { id: "box", password: "x" }],
  ["credentials", { id: "box" }]
]

it.live("nothing that breaks a rule of the contract gets further than the contract", () =>
  Effect.gen(function*() {
    const ports = yield* Queue.unbounded<Port>()
    const services = yield* Layer.build(
      MessagePortRpc.layerServer(BridgeApi, Stream.fromQueue(ports)).pipe(Layer.provideMerge(World.layer()))
    )
    const [main, page] = MemoryPort.makePair()
    const answers = yield* Queue.unbounded<{ readonly requestId: number; readonly exit?: { readonly _tag: string } }>()
    page.listen((message) => Queue.offerUnsafe(answers, message as never))
    yield* Queue.offer(ports, main)
    for (const [id, [tag, payload]] of hostile.entries()) {
      page.post({ _tag: "Request", id, tag, payload, headers: [] })
      const { exit, requestId } = yield* Queue.take(answers)
      assert.strictEqual(requestId, id)
      const said = `${tag} ${JSON.stringify(payload)}: ${JSON.stringify(exit)}`
      assert.strictEqual(exit?._tag, "Failure", said)
      // By the schema, or by the handler that knows better; never by a service that was reached.
      assert.match(said, /Expected |Unknown request tag|InvalidProfile/)
      assert.notMatch(said, /BridgeDefect/)
    }
    yield* Effect.gen(function*() {
      assert.deepStrictEqual(yield* (yield* ProfileRepo).list, [World.profile()])
      assert.strictEqual(yield* (yield* MemoryTunnels).opened, 0)
    }).pipe(Effect.provideContext(services))

    // The same port is good for honest calls.
    page.post({ _tag: "Request", id: hostile.length, tag: "endpoint", payload: { id: "box" }, headers: [] })
    assert.deepStrictEqual((yield* Queue.take(answers)).exit?._tag, "Success")
  }))
