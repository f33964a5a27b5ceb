import { assert, describe, it } from "@effect/vitest"
import * as Leftovers from "@opencode-ai/ssh-lab/Leftovers"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Effect, Exit, Option, Redacted, Scope, Stream } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Path from "node:path"
import { afterAll, beforeAll } from "vitest"
import { Bootstrap, type EnsureOptions, type RemoteServer } from "../../src/Bootstrap.ts"
import type { Strategy } from "../../src/ConnectionState.ts"
import type { Credentials } from "../../src/Credentials.ts"
import { Destination } from "../../src/Destination.ts"
import { layerRemote as layer } from "../../src/node/index.ts"
import { type OpenTunnel, Tunnel } from "../../src/Tunnel.ts"
import * as Machine from "../remote/Machine.ts"

let baseline: Leftovers.Baseline
beforeAll(async () => {
  baseline = await Effect.runPromise(Leftovers.begin)
})
afterAll(() => Effect.runPromise(Leftovers.check(baseline)))

const options: EnsureOptions = { mode: "ensure", lifetime: "persistent", range: ">=1.0.0 <3.0.0" }

const makeRemote = Effect.fnUntraced(function*(given?: Sshd.Options) {
  const sshd = yield* Sshd.make(given)
  const client = yield* SshClient.make({ hosts: { box: sshd } })
  return { sshd, destination: new Destination({ host: "box", sshConfig: client.configFile }) }
})

const open = (destination: Destination, strategy: Strategy = "master") =>
  Effect.flatMap(Tunnel, (tunnels) => tunnels.open(destination, { strategy }))

const ensure = (tunnel: OpenTunnel, more: Partial<EnsureOptions> = {}) =>
  Effect.flatMap(
    Bootstrap,
    (bootstrap) => Effect.map(bootstrap.ensure(tunnel, { ...options, ...more }), Option.getOrThrow)
  )

const reason = (tunnel: OpenTunnel, more: Partial<EnsureOptions> = {}) =>
  Effect.map(Effect.flip(ensure(tunnel, more)), (error) => "reason" in error ? error.reason : error)

const health = (port: number, credentials?: Credentials) =>
  Effect.callback<number, Error>((resume) => {
    const headers = credentials === undefined ? {} : { authorization: Redacted.value(credentials.authorization) }
    const request = Http.get({ host: "127.0.0.1", port, path: "/global/health", agent: false, headers }, (response) => {
      response.resume()
      resume(Effect.succeed(response.statusCode ?? 0))
    })
    request.on("error", (error) => resume(Effect.fail(error)))
  })

const live = <A, E>(effect: Effect.Effect<A, E, Tunnel | Bootstrap | Scope.Scope>) => effect.pipe(Effect.provide(layer))

const environmentOf = (pid: number): ReadonlyArray<string> =>
  Fs.readFileSync(`/proc/${pid}/environ`, "utf8").split("\0")

describe.skipIf(!Sshd.available || !Opencode.available)("bootstrap of the real opencode", () => {
  it.live("starts one server with a secret that nobody sees, and finds it again over a new connection", () =>
    live(Effect.gen(function*() {
      const { destination, sshd } = yield* makeRemote()
      yield* Opencode.install(sshd.home)
      Fs.writeFileSync(Path.join(sshd.home, ".profile"), "export FROM_PROFILE='a b'; PATH=\"$HOME/own:$PATH\"\n")
      const bootstrap = yield* Bootstrap
      const steps: Array<string> = []

      const started = yield* Effect.scoped(Effect.gen(function*() {
        const tunnel = yield* open(destination)
        const onStep = (step: string) => Effect.sync(() => void steps.push(step))
        const server = yield* ensure(tunnel, { onStep })
        assert.deepStrictEqual(steps, ["looking", "starting", "waiting"])
        assert.strictEqual(server.origin, "started")
        const forward = yield* tunnel.forward(server.port)
        assert.strictEqual(yield* health(forward.localPort, server.credentials), 200)
        assert.strictEqual(yield* health(forward.localPort), 401)
        const again = yield* ensure(tunnel)
        assert.deepInclude({ ...again }, { origin: "reused", pid: server.pid, port: server.port })
        assert.strictEqual(yield* sshd.authentications, 1)

        const secret = server.credentials === undefined ? "" : Redacted.value(server.credentials.password)
        assert.isAtLeast(secret.length, 40)
        const everything = yield* ProcessTable.find({ ancestor: 1 })
        for (const { command, pid } of everything) {
          assert.notInclude(command, secret)
          if (pid === server.pid) continue
          // It may be gone meanwhile.
          const environment = yield* Effect.orElseSucceed(Effect.try(() => environmentOf(pid)), () => [])
          assert.isFalse(environment.some((entry) => entry.includes(secret)), command)
        }
        assert.notInclude(yield* sshd.log.text, secret)
        assert.notInclude(yield* tunnel.stderr, secret)
        return server
      }))

      const environment = environmentOf(started.pid)
      assert.include(environment, "FROM_PROFILE=a b")
      assert.isTrue(environment.some((entry) => entry.startsWith(`PATH=${sshd.home}/own:`)))
      assert.strictEqual(Fs.readlinkSync(`/proc/${started.pid}/cwd`), sshd.home)

      const tunnel = yield* open(destination)
      const found = yield* ensure(tunnel, { mode: "look" })
      assert.strictEqual(found.pid, started.pid)
      const log = yield* Stream.mkString(bootstrap.log(tunnel))
      assert.include(log, `listening on http://127.0.0.1:${started.port}`)
      assert.strictEqual((yield* bootstrap.stop(tunnel)).pid, started.pid)
      assert.isFalse(Machine.lives(started.pid))
      assert.isTrue(Option.isNone(yield* bootstrap.status(tunnel)))
    })))

  it.live("ends a session's server with the connection, also when that is cut", () =>
    live(Effect.gen(function*() {
      const { destination, sshd } = yield* makeRemote()
      yield* Opencode.install(sshd.home)
      const session = { lifetime: "session" } as const
      const gone = (server: RemoteServer) =>
        Machine.eventually(() => !Machine.lives(server.pid), "the session's server is gone")

      const scope = yield* Scope.make()
      const tunnel = yield* open(destination).pipe(Scope.provide(scope))
      const first = yield* ensure(tunnel, session).pipe(Scope.provide(scope))
      assert.isTrue(Machine.lives(first.pid))
      yield* Scope.close(scope, Exit.void)
      yield* gone(first)

      const second = yield* ensure(yield* open(destination), session)
      assert.isTrue(Machine.lives(second.pid))
      yield* sshd.dropSessions
      yield* gone(second)
    })))

  it.live("tells a busy port and an invalid configuration by what the real one says", () =>
    live(Effect.gen(function*() {
      const { destination, sshd } = yield* makeRemote()
      yield* Opencode.install(sshd.home)
      const tunnel = yield* open(destination)
      const holder = Http.createServer()
      const port = yield* Effect.acquireRelease(
        Effect.callback<number>((resume) => {
          // May or may not hold 127.0.0.1 as well, so opencode tries.
          holder.listen(0, "::", () => {
            const address = holder.address()
            resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
          })
        }),
        () => Effect.sync(() => holder.close())
      )
      const busy = yield* reason(tunnel, { port })
      assert.deepInclude({ ...busy }, { _tag: "PortInUse", port })

      Fs.mkdirSync(Path.join(sshd.home, ".config/opencode"), { recursive: true })
      Fs.writeFileSync(Path.join(sshd.home, ".config/opencode/opencode.json"), "{ \"model\": 5 }")
      const invalid = yield* reason(tunnel)
      assert.deepInclude({ ...invalid }, { _tag: "OpencodeUnusable", problem: "configuration" })
      assert.include("detail" in invalid ? invalid.detail : "", "opencode.json")
    })))
})

const which = (command: string): string =>
  ChildProcess.spawnSync("sh", ["-c", `command -v ${command}`], { encoding: "utf8" }).stdout.trim()

const install = (sshd: Sshd.Sshd, fake: Readonly<Record<string, unknown>> = {}) =>
  Machine.install(Path.join(sshd.home, ".opencode/bin"), { version: "1.18.33", ...fake })

describe.skipIf(!Sshd.available)("bootstrap over a real sshd", () => {
  for (const shell of ["bash", "dash", "zsh", "fish", "tcsh", "mksh", "ksh"]) {
    it.live.skipIf(!Machine.available(shell))(`works from the login shell ${shell}`, () =>
      live(Effect.gen(function*() {
        const { destination, sshd } = yield* makeRemote({ loginShell: which(shell) })
        install(sshd)
        // What every shell prints on the way is noise.
        for (const file of [".bashrc", ".zshenv", ".tcshrc", ".config/fish/config.fish", ".profile"]) {
          Fs.mkdirSync(Path.dirname(Path.join(sshd.home, file)), { recursive: true })
          Fs.writeFileSync(Path.join(sshd.home, file), "echo welcome to the machine\n")
        }
        const bootstrap = yield* Bootstrap
        const tunnel = yield* open(destination)
        const server = yield* ensure(tunnel)
        assert.strictEqual(server.origin, "started")
        assert.strictEqual((yield* ensure(tunnel)).pid, server.pid)
        assert.strictEqual((yield* bootstrap.stop(tunnel)).pid, server.pid)
      })))
  }

  it.live("works with a separate ssh for each command", () =>
    live(Effect.gen(function*() {
      const { destination, sshd } = yield* makeRemote()
      install(sshd)
      const bootstrap = yield* Bootstrap
      const tunnel = yield* open(destination, "plain")
      const server = yield* ensure(tunnel, { port: yield* Port.free })
      assert.strictEqual(server.origin, "started")
      assert.strictEqual((yield* bootstrap.stop(tunnel)).pid, server.pid)
    })))

  for (
    const [what, given] of [
      ["ForceCommand", { config: ["ForceCommand echo backups only"] }],
      ["a silent ForceCommand", { config: ["ForceCommand /bin/false"] }],
      ["MaxSessions 0", { config: ["MaxSessions 0"] }],
      ["sftp only", { config: ["Subsystem sftp internal-sftp", "ForceCommand internal-sftp"] }],
      ["a nologin shell", { config: ["ForceCommand /usr/sbin/nologin"] }]
    ] as const
  ) {
    it.live(`says that ${what} refuses commands`, () =>
      live(Effect.gen(function*() {
        const { destination } = yield* makeRemote({ config: [...given.config] })
        const tunnel = yield* open(destination)
        assert.strictEqual((yield* reason(tunnel))._tag, "CommandRefused")
      })))
  }

  it.live("starts one server for simultaneous clients with connections of their own", () =>
    live(Effect.gen(function*() {
      const { destination, sshd } = yield* makeRemote()
      install(sshd)
      const servers = yield* Effect.forEach(
        Array.from({ length: 6 }),
        () => Effect.scoped(Effect.flatMap(open(destination), (tunnel) => ensure(tunnel))),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(new Set(servers.map(({ pid }) => pid)).size, 1)
      assert.strictEqual(servers.filter(({ origin }) => origin === "started").length, 1)
    })))

  it.live("leaves one server when the connection is cut while it starts", () =>
    live(Effect.gen(function*() {
      const { destination, sshd } = yield* makeRemote()
      install(sshd)
      for (const at of ["looking", "starting", "waiting"]) {
        const cut = yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
          const tunnel = yield* open(destination)
          yield* ensure(tunnel, { onStep: (step) => step === at ? sshd.dropSessions : Effect.void })
        })))
        assert.isTrue(Exit.isFailure(cut), at)
        const tunnel = yield* open(destination)
        const server = yield* ensure(tunnel)
        const serving = (yield* sshd.processes).filter(({ command }) => command.includes(" serve "))
        assert.deepStrictEqual(serving.map(({ pid }) => pid), [server.pid], at)
        yield* Effect.flatMap(Bootstrap, (bootstrap) => bootstrap.stop(tunnel))
      }
    })))
})
