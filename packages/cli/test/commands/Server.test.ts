import { assert, it } from "@effect/vitest"
import { Bootstrap, RemoteServer } from "@opencode-ai/ssh-tunnel/Bootstrap"
import { BootstrapError, NotOurs } from "@opencode-ai/ssh-tunnel/BootstrapError"
import { Credentials } from "@opencode-ai/ssh-tunnel/Credentials"
import type { Destination } from "@opencode-ai/ssh-tunnel/Destination"
import { ConnectionLost, ConnectionRefused, TransportError } from "@opencode-ai/ssh-tunnel/TransportError"
import { type OpenTunnel, Tunnel } from "@opencode-ai/ssh-tunnel/Tunnel"
import { Effect, Fiber, Redacted, Ref, Stream } from "effect"
import { jsonLines, makeWorld, profile, signals } from "../harness.ts"

const registered = new RemoteServer({
  port: 4096,
  pid: 4711,
  version: "1.18.33\u001b[2J",
  credentials: new Credentials({ username: "opencode", password: Redacted.make("s3cret") }),
  origin: "reused",
  owner: "ours",
  lifetime: "persistent",
  startedAt: "2026-01-31T09:26:53Z",
  logFile: "/home/dev/.local/state/opencode-ssh/server.log"
})

const tunnel = (closed: OpenTunnel["closed"] = Effect.never): OpenTunnel => ({
  strategy: "master",
  forward: () => Effect.die("not used"),
  exec: () => Effect.die("not used"),
  capabilities: Effect.succeed({ sessions: "allowed" }),
  closed,
  stderr: Effect.succeed("")
})

const opening = (asked: Ref.Ref<ReadonlyArray<Destination>>, opened: OpenTunnel = tunnel()) =>
  Tunnel.layerMock({
    open: (destination) => Effect.as(Ref.update(asked, (before) => [...before, destination]), opened)
  })

const destinations = Ref.make<ReadonlyArray<Destination>>([])

it.effect("status tells what runs, without its password", () =>
  Effect.gen(function*() {
    const asked = yield* destinations
    const { cli } = yield* makeWorld({
      profiles: [profile({ name: "work", host: "far", proxyJump: "bastion" })],
      tunnel: opening(asked),
      bootstrap: Bootstrap.layerMock({ status: () => Effect.succeedSome(registered) })
    })
    const plain = yield* cli("server", "status", "work", "--user", "dev")
    assert.strictEqual(plain.code, 0)
    assert.deepStrictEqual(plain.stdout, [
      "running: OpenCode 1.18.33\\x1b[2J on remote port 4096, pid 4711, since 2026-01-31T09:26:53Z"
    ])
    const [line] = jsonLines((yield* cli("server", "status", "work", "--json")).stdout)
    assert.deepStrictEqual(line, {
      type: "server",
      at: "1970-01-01T00:00:00.000Z",
      profile: "work",
      status: "running",
      server: {
        port: 4096,
        pid: 4711,
        version: "1.18.33\u001b[2J",
        owner: "ours",
        lifetime: "persistent",
        startedAt: "2026-01-31T09:26:53Z",
        logFile: "/home/dev/.local/state/opencode-ssh/server.log"
      }
    })
    const [first] = yield* Ref.get(asked)
    assert.deepStrictEqual([first?.host, first?.user, first?.proxyJump], ["far", "dev", "bastion"])
  }))

it.effect("status without a server is an answer, not an error", () =>
  Effect.gen(function*() {
    const { cli } = yield* makeWorld({
      tunnel: opening(yield* destinations),
      bootstrap: Bootstrap.layerMock({ status: () => Effect.succeedNone })
    })
    const plain = yield* cli("server", "status", "box")
    assert.deepStrictEqual([plain.code, plain.stdout], [0, ["none: no server that we started runs there"]])
    const [line] = jsonLines((yield* cli("server", "status", "box", "--json")).stdout)
    assert.isTrue(line?.type === "server" && line.status === "none" && line.server === null)
  }))

it.effect("stop ends ours only", () =>
  Effect.gen(function*() {
    const stopping = yield* makeWorld({
      tunnel: opening(yield* destinations),
      bootstrap: Bootstrap.layerMock({ stop: () => Effect.succeed(registered) })
    })
    assert.match((yield* stopping.cli("server", "stop", "box")).stdout[0] ?? "", /^stopped: OpenCode .* pid 4711/)
    const refusing = yield* makeWorld({
      tunnel: opening(yield* destinations),
      bootstrap: Bootstrap.layerMock({
        stop: () => Effect.fail(new BootstrapError({ reason: new NotOurs({ detail: "nothing registered" }) }))
      })
    })
    const { code, stdout } = yield* refusing.cli("server", "stop", "box", "--json")
    assert.strictEqual(code, 13)
    const [line] = jsonLines(stdout)
    assert.isTrue(line?.type === "error" && line.error.reason._tag === "NotOurs")
  }))

it.effect("a connection that cannot be made, or is lost, is told as such", () =>
  Effect.gen(function*() {
    const target = { host: "box", options: [] }
    const refused = yield* makeWorld({
      tunnel: Tunnel.layerMock({
        open: () => Effect.fail(new TransportError({ reason: new ConnectionRefused({ target }) }))
      })
    })
    assert.strictEqual((yield* refused.cli("server", "status", "box")).code, 11)
    const lost = yield* makeWorld({
      tunnel: opening(
        yield* destinations,
        tunnel(Effect.fail(new TransportError({ reason: new ConnectionLost({ target, detail: "gone" }) })))
      ),
      bootstrap: Bootstrap.layerMock({ log: () => Stream.never })
    })
    assert.strictEqual((yield* lost.cli("server", "log", "box", "--follow")).code, 11)
  }))

const log = Bootstrap.layerMock({
  log: (_tunnel, options) =>
    Stream.concat(
      Stream.fromIterable(["first \u001b[31mred\u001b[0m\nsec", "ond\u001b[2J\n"]),
      options?.follow === true ? Stream.never : Stream.empty
    )
})

it.effect("log prints whole lines: harmless on a terminal, as they are elsewhere", () =>
  Effect.gen(function*() {
    const piped = yield* makeWorld({ tunnel: opening(yield* destinations), bootstrap: log })
    assert.deepStrictEqual((yield* piped.cli("server", "log", "box")).stdout, [
      "first \u001b[31mred\u001b[0m",
      "second\u001b[2J"
    ])
    assert.deepStrictEqual(jsonLines((yield* piped.cli("server", "log", "box", "--json")).stdout), [
      { type: "log", profile: "box", line: "first \u001b[31mred\u001b[0m" },
      { type: "log", profile: "box", line: "second\u001b[2J" }
    ])
    const shown = yield* makeWorld({ terminal: true, tunnel: opening(yield* destinations), bootstrap: log })
    assert.deepStrictEqual((yield* shown.cli("server", "log", "box")).stdout, ["first red", "second\\x1b[2J"])
  }))

it.effect("log --follow goes on until a signal, which is its proper end", () =>
  Effect.gen(function*() {
    const sent = yield* signals
    const { cli, stdoutIs } = yield* makeWorld({
      tunnel: opening(yield* destinations),
      bootstrap: log,
      signals: sent.layer
    })
    const running = yield* Effect.forkChild(cli("server", "log", "box", "--follow"))
    yield* stdoutIs((lines) => lines.length === 2)
    yield* sent.send("SIGINT")
    assert.strictEqual((yield* Fiber.join(running)).code, 0)
  }))

it.effect("a signal while it connects ends with 128 + n", () =>
  Effect.gen(function*() {
    const sent = yield* signals
    const { cli } = yield* makeWorld({
      tunnel: Tunnel.layerMock({ open: () => Effect.never }),
      signals: sent.layer
    })
    yield* sent.send("SIGINT")
    assert.strictEqual((yield* cli("server", "status", "box")).code, 130)
  }))
