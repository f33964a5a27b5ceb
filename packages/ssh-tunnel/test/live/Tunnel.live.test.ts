import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Duration, Effect, Exit, Fiber, Redacted, Scope, Stream } from "effect"
import * as Net from "node:net"
import type { Strategy } from "../../src/ConnectionState.ts"
import { Destination } from "../../src/Destination.ts"
import { layerRemote as layer } from "../../src/node/index.ts"
import { Timing } from "../../src/Schedules.ts"
import { Tunnel } from "../../src/Tunnel.ts"

const get = (port: number) =>
  Effect.tryPromise(async () =>
    (await fetch(`http://127.0.0.1:${port}/health`, { headers: { connection: "close" } })).text()
  )

const accepts = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = Net.connect(port, "127.0.0.1")
    socket.on("connect", () => resume(Effect.succeed(true)))
    socket.on("error", () => resume(Effect.succeed(false)))
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.scoped)

const remote = Effect.gen(function*() {
  const sshd = yield* Sshd.make()
  const client = yield* SshClient.make({ hosts: { box: sshd } })
  const server = yield* FakeServer.http({ "*": { body: "hello" } })
  return { sshd, client, server, destination: new Destination({ host: "box", sshConfig: client.configFile }) }
})

const live = <A, E>(effect: Effect.Effect<A, E, Tunnel | Scope.Scope>) =>
  // Tunnels close before the services that they use.
  Effect.scoped(effect).pipe(Effect.provide(layer))

describe.skipIf(!Sshd.available).each<{ strategy: Strategy }>([{ strategy: "master" }, { strategy: "plain" }])(
  "Tunnel, $strategy",
  ({ strategy }) => {
    it.live("forwards HTTP, and its end frees the port and ends ssh", () =>
      live(Effect.gen(function*() {
        const { destination, server, sshd } = yield* remote
        const tunnels = yield* Tunnel
        const port = yield* Effect.scoped(Effect.gen(function*() {
          const tunnel = yield* tunnels.open(destination, { strategy })
          assert.strictEqual(tunnel.strategy, strategy)
          const forward = yield* tunnel.forward(server.port)
          assert.strictEqual(forward.remotePort, server.port)
          assert.strictEqual(yield* get(forward.localPort), "hello")
          return forward.localPort
        }))
        assert.isFalse(yield* accepts(port))
        assert.strictEqual(yield* sshd.authentications, 1)
      })))

    it.live("runs a script from stdin, whose code and output come back", () =>
      live(Effect.gen(function*() {
        const { destination } = yield* remote
        const tunnels = yield* Tunnel
        const tunnel = yield* tunnels.open(destination, { strategy })
        const command = yield* tunnel.exec(Redacted.make("echo out; echo err >&2; exit 7\n"))
        const [stdout, stderr, code] = yield* Effect.all([
          Stream.mkString(command.stdout),
          Stream.mkString(command.stderr),
          command.exitCode
        ], { concurrency: "unbounded" })
        assert.strictEqual(stdout, "out\n")
        assert.include(stderr, "err\n")
        assert.strictEqual(code, 7)
      })))

    it.live("a command may last longer than a login", () =>
      live(Effect.gen(function*() {
        const { destination } = yield* remote
        const tunnels = yield* Tunnel
        const tunnel = yield* tunnels.open(destination, { strategy })
        const command = yield* tunnel.exec(Redacted.make("sleep 4; exit 7\n"))
        assert.strictEqual(yield* command.exitCode, 7)
      })).pipe(Effect.provideService(Timing, { ...Timing.defaults, deadline: Duration.seconds(3) })))

    it.live("the script's stdin ends with the scope", () =>
      live(Effect.gen(function*() {
        const { destination, sshd } = yield* remote
        const tunnels = yield* Tunnel
        const tunnel = yield* tunnels.open(destination, { strategy })
        yield* Effect.scoped(Effect.gen(function*() {
          const command = yield* tunnel.exec(
            Redacted.make(`echo started; cat >/dev/null; echo over >"${sshd.home}/over"; exit\n`)
          )
          yield* command.stdout.pipe(Stream.takeUntil((text) => text.includes("started")), Stream.runDrain)
        }))
        const again = yield* tunnel.exec(
          Redacted.make(`until test -e "${sshd.home}/over"; do sleep 0.05; done; exit 0\n`)
        )
        assert.strictEqual(yield* again.exitCode, 0)
      })))

    it.live("tells a closed remote port by ssh's own word", () =>
      live(Effect.gen(function*() {
        const { destination } = yield* remote
        const tunnels = yield* Tunnel
        const tunnel = yield* tunnels.open(destination, { strategy })
        const forward = yield* tunnel.forward(yield* Port.free)
        const first = yield* Effect.forkChild(Stream.runHead(forward.rejections), { startImmediately: true })
        yield* Effect.exit(get(forward.localPort))
        const rejection = yield* Fiber.join(first)
        assert.deepStrictEqual(rejection._tag === "Some" && rejection.value, "connect-failed")
      })))

    it.live("a pinned port that is taken is an error, a preferred one is not", () =>
      live(Effect.gen(function*() {
        const { destination, server } = yield* remote
        const tunnels = yield* Tunnel
        const tunnel = yield* tunnels.open(destination, { strategy })
        const error = yield* Effect.flip(tunnel.forward(server.port, { _tag: "Pinned", port: server.port }))
        assert.deepStrictEqual(error.reason._tag, "LocalPortInUse")
        const forward = yield* tunnel.forward(server.port, { _tag: "Preferred", port: server.port })
        assert.notStrictEqual(forward.localPort, server.port)
        assert.strictEqual(yield* get(forward.localPort), "hello")
      })))

    it.live("cancels one forward and keeps the other", () =>
      live(Effect.gen(function*() {
        const { destination, server } = yield* remote
        const tunnels = yield* Tunnel
        const tunnel = yield* tunnels.open(destination, { strategy })
        const first = yield* tunnel.forward(server.port)
        const second = yield* tunnel.forward(server.port)
        yield* first.cancel
        yield* first.cancel
        assert.isFalse(yield* accepts(first.localPort))
        assert.strictEqual(yield* get(second.localPort), "hello")
      })))

    it.live("`closed` fails when the server drops the connection", () =>
      live(Effect.gen(function*() {
        const { destination, server, sshd } = yield* remote
        const tunnels = yield* Tunnel
        const tunnel = yield* tunnels.open(destination, { strategy })
        yield* tunnel.forward(server.port)
        const closed = yield* Effect.forkChild(Effect.flip(tunnel.closed), { startImmediately: true })
        yield* sshd.dropSessions
        const error = yield* Fiber.join(closed)
        assert.strictEqual(error._tag, "TransportError")
        assert.strictEqual(error.reason._tag, "ConnectionLost")
        assert.isTrue(error.retryable)
      })))

    it.live("an unknown host key is refused, with its fingerprint", () =>
      live(Effect.gen(function*() {
        const sshd = yield* Sshd.make()
        const client = yield* SshClient.make({ hosts: { box: { sshd, known: false } } })
        const tunnels = yield* Tunnel
        const destination = new Destination({ host: "box", sshConfig: client.configFile })
        const error = yield* Effect.flip(
          tunnels.open(destination, { strategy }).pipe(Effect.flatMap((tunnel) => tunnel.forward(1)))
        )
        if (error.reason._tag !== "HostKeyUnknown") return assert.fail(String(error))
        assert.match(error.reason.fingerprint ?? "", /^SHA256:/)
        assert.isTrue(error.reason.rememberable)
        assert.include(error.remedy.command ?? "", "StrictHostKeyChecking=ask")
        assert.strictEqual(yield* sshd.authentications, 0)
      })))

    it.live("interrupting the opening leaves nothing", () =>
      live(Effect.gen(function*() {
        const { destination } = yield* remote
        const tunnels = yield* Tunnel
        const scope = yield* Scope.make()
        const opening = yield* Effect.forkChild(
          tunnels.open(destination, { strategy }).pipe(
            Effect.flatMap((tunnel) => tunnel.forward(1)),
            Scope.provide(scope)
          ),
          { startImmediately: true }
        )
        yield* Fiber.interrupt(opening)
        yield* Scope.close(scope, Exit.void)
      })))
  }
)
