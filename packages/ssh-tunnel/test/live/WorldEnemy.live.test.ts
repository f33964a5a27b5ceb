/** A server over there that is an enemy's: its ssh server (test/world/EnemySshd.ts), or what listens behind the forward. */
import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Context, Duration, Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Connections } from "../../src/Connections.ts"
import type { SshLog } from "../../src/internal/sshLog.ts"
import { noBootstrap, Profile, ProfileId } from "../../src/Profile.ts"
import { ProfileRepo } from "../../src/ProfileRepo.ts"
import { Tunnel } from "../../src/Tunnel.ts"
import * as Product from "../lab/Product.ts"
import * as EnemySshd from "../world/EnemySshd.ts"

/** A profile that leads to the enemy; files of the user are compared in the end. */
const towards = Effect.fnUntraced(function*(
  enemy: EnemySshd.EnemySshd,
  remotePort: number,
  lines: ReadonlyArray<string> = []
) {
  const directory = yield* TempDirectory.make()
  const config = Path.join(directory, "config")
  const knownHosts = Path.join(directory, "known_hosts")
  const texts = {
    [config]: [
      "Host box",
      ...lines,
      "HostName 127.0.0.1",
      `Port ${enemy.port}`,
      `UserKnownHostsFile ${knownHosts}`,
      "GlobalKnownHostsFile /dev/null",
      "IdentityFile none",
      ""
    ].join("\n  "),
    [knownHosts]: `${enemy.knownHosts}\n`
  }
  for (const [file, text] of Object.entries(texts)) Fs.writeFileSync(file, text, { mode: 0o600 })
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      for (const [file, text] of Object.entries(texts)) assert.strictEqual(Fs.readFileSync(file, "utf8"), text)
      assert.deepStrictEqual(Fs.readdirSync(directory).sort(), ["config", "known_hosts"])
    })
  )
  return new Profile({
    id: ProfileId.make("box"),
    name: "Box",
    host: "box",
    sshConfig: config,
    remotePort,
    bootstrap: noBootstrap
  })
})

const settle = Effect.fnUntraced(function*(profile: Profile, options: Product.Options = {}) {
  const { services } = yield* Product.make(options)
  const connections = Context.get(services, Connections)
  yield* Context.get(services, ProfileRepo).save(profile)
  yield* connections.connect(profile.id)
  return yield* Effect.result(connections.settled(profile.id))
})

/** Something of this machine that nobody over there may reach. */
const victim = FakeServer.tcp((socket) => socket.destroy())

describe.concurrent("an ssh server of an enemy", () => {
  it.live("gets no channel of its own: no forward back, no agent, no display, no session", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
      const { connections, port } = yield* victim
      const back = EnemySshd.addresses(port)
      const path = Buffer.concat([EnemySshd.field("/etc/passwd"), EnemySshd.field("")])
      const types = [
        ["forwarded-tcpip", back],
        ["direct-tcpip", back],
        ["forwarded-streamlocal@openssh.com", path],
        ["direct-streamlocal@openssh.com", path],
        ["x11", EnemySshd.addresses(port).subarray(0, 17)],
        ["auth-agent@openssh.com", Buffer.alloc(0)],
        ["auth-agent", Buffer.alloc(0)],
        ["tun@openssh.com", Buffer.alloc(8)],
        ["session", Buffer.alloc(0)],
        ["mux-control", Buffer.alloc(0)],
        ["\u001b[2J", Buffer.alloc(0)]
      ] as const
      const enemy = yield* EnemySshd.make({
        channels: types,
        requests: [
          ["tcpip-forward", EnemySshd.addresses(port)],
          ["streamlocal-forward@openssh.com", path],
          ["hostkeys-00@openssh.com", EnemySshd.field("a key of the enemy")],
          ["hostkeys-prove-00@openssh.com", EnemySshd.field("a key of the enemy")]
        ]
      })
      const profile = yield* towards(enemy, server.port, [
        "ForwardAgent yes",
        "ForwardX11 yes",
        "ForwardX11Trusted yes",
        "UpdateHostKeys yes",
        "Tunnel yes"
      ])
      const state = yield* settle(profile, { environment: { DISPLAY: ":0", SSH_AUTH_SOCK: "/nonexistent/agent" } })
      assert.strictEqual(state._tag, "Success", String(state))
      yield* enemy.answered
      const seen = yield* enemy.seen
      assert.deepStrictEqual(seen.granted, [])
      assert.sameMembers([...seen.denied], types.map(([type]) => type))
      assert.strictEqual(yield* connections, 0)
      // And what it is asked for is one port of its own, and at most a session.
      assert.deepStrictEqual([...new Set(seen.forwards)], [`127.0.0.1:${server.port}`])
      assert.deepStrictEqual(new Set(seen.asked), new Set(["session", "direct-tcpip"]))
    }))

  it.live("that talks without end before the login does not fill our memory", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
      const long = "x".repeat(100_000)
      const lines = "debug1: channel 9: new direct-tcpip [direct-tcpip] (inactive timeout: 0)\r\n".repeat(1_500)
      const banners = Array.from({ length: 40 }, (_, index) => index % 2 === 0 ? long : lines)
      const enemy = yield* EnemySshd.make({ banners })
      const { destination } = yield* towards(enemy, server.port)
      const { services } = yield* Product.make()
      let said = 0
      let last: SshLog | undefined
      const tunnel = yield* Context.get(services, Tunnel).open(destination, {
        onLog: (log) =>
          Effect.sync(() => {
            said += 1
            last = log
          })
      })
      assert.isAbove(said, 10)
      assert.isAtMost((yield* tunnel.stderr).length, 16_384)
      assert.isAtMost(JSON.stringify(last).length, 100_000)
      const { localPort } = yield* tunnel.forward(server.port)
      assert.isAbove(localPort, 0)
    }))

  it.live("that lets one in and forwards nothing is told", () =>
    Effect.gen(function*() {
      const stranger = yield* victim
      yield* stranger.stop
      const enemy = yield* EnemySshd.make({})
      const state = yield* settle(yield* towards(enemy, stranger.port))
      assert.isTrue(state._tag === "Failure" && state.failure.reason._tag === "NothingListening", String(state))
    }))
})

describe.concurrent("a web server of an enemy behind the forward", () => {
  const behind = Effect.fnUntraced(function*(routes: FakeServer.Routes) {
    const server = yield* FakeServer.http(routes)
    const enemy = yield* EnemySshd.make({})
    const state = yield* settle(yield* towards(enemy, server.port), {
      timing: { discovery: Duration.seconds(2) }
    })
    return state._tag === "Failure" ? state.failure.reason._tag : state.success._tag
  })

  it.live("leads nobody off the tunnel", () =>
    Effect.gen(function*() {
      const { connections, port } = yield* victim
      const away = { status: 302, headers: { location: `http://127.0.0.1:${port}/global/health` } }
      assert.strictEqual(yield* behind({ "*": away }), "NotAnOpencodeServer")
      assert.strictEqual(yield* connections, 0)
    }))

  it.live("that answers without end is given up", () =>
    Effect.gen(function*() {
      const before = process.memoryUsage().rss
      assert.strictEqual(
        yield* behind({
          "*": { endless: true, headers: { "content-type": "application/json" }, body: "{\"version\":\"" }
        }),
        "NotAnOpencodeServer"
      )
      assert.isBelow(process.memoryUsage().rss - before, 200_000_000)
    }))
})
