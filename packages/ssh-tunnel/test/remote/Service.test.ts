import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { vi } from "vitest"
import * as Machine from "./Machine.ts"

// Each test waits for dozens of processes, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

const service = (machine: Machine.Machine) => Path.join(Path.dirname(machine.state), "opencode", "service.json")

const read = (path: string) => JSON.parse(Fs.readFileSync(path, "utf8"))

const opencode = (machine: Machine.Machine, ...args: ReadonlyArray<string>): string =>
  ChildProcess.execFileSync(Path.join(machine.home, ".opencode/bin/opencode"), args, {
    env: { ...machine.env, PATH: process.env["PATH"] ?? "" },
    encoding: "utf8"
  }).trim()

const v2 = { generation: "v2", fake: { version: "2.0.3" } } as const

describe.concurrent.each(Machine.shells)("OpenCode 2, in %s", (_, shell) => {
  it.live("is started, found and stopped by its own service commands", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make(v2)
      const first = yield* machine.run(shell)
      const server = first.result?.server
      assert.isOk(server, first.stdout + first.stderr)
      const own = read(service(machine))
      assert.deepInclude(server, {
        origin: "started",
        owner: "ours",
        generation: "v2",
        version: "2.0.3",
        pid: own.pid,
        username: "opencode",
        password: own.password
      })
      assert.strictEqual(opencode(machine, "service", "status"), `http://127.0.0.1:${server.port}`)
      // The password stays where OpenCode keeps it.
      assert.notInclude(Fs.readFileSync(machine.registration, "utf8"), own.password)
      const calls = machine.calls().length
      const again = yield* machine.run(shell, { nonce: "feedface00" })
      assert.deepStrictEqual(again.result?.server, { ...server, origin: "reused" })
      assert.deepStrictEqual((yield* machine.run(shell, { action: "look" })).result?.server, {
        ...server,
        origin: "reused"
      })
      assert.strictEqual(machine.calls().length, calls)

      const stop = yield* machine.run(shell, { action: "stop" })
      assert.strictEqual(stop.result?.stopped?.pid, server.pid)
      assert.include(machine.calls(), "service stop")
      assert.isFalse(Machine.lives(server.pid))
      assert.isFalse(Fs.existsSync(service(machine)))
      assert.isFalse(Fs.existsSync(machine.registration))
      assert.strictEqual(opencode(machine, "service", "status"), "stopped")
    }))

  it.live("started by its user is used, never touched and never doubled", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make(v2)
      opencode(machine, "service", "start")
      const own = read(service(machine))
      for (const action of ["look", "ensure"] as const) {
        const { result } = yield* machine.run(shell, { action })
        assert.deepInclude(result?.server, {
          origin: "reused",
          owner: "opencode",
          pid: own.pid,
          password: own.password
        })
      }
      assert.isFalse(Fs.existsSync(machine.state))
      const stop = yield* machine.run(shell, { action: "stop" })
      assert.strictEqual(stop.result?.error?._tag, "NotOurs")
      assert.include(stop.result?.error?.detail ?? "", String(own.pid))
      assert.isTrue(Machine.lives(own.pid))
      assert.deepStrictEqual(read(service(machine)), own)
    }))

  it.live.each(["0.0.0.0", "::"])("that listens on %s is used through 127.0.0.1", (hostname) =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ ...v2, fake: { version: "2.0.3", hostname } })
      opencode(machine, "service", "start")
      const { result } = yield* machine.run(shell, { action: "look" })
      assert.strictEqual(result?.server?.pid, read(service(machine)).pid)
    }))

  it.live("with a registration that leads elsewhere is not used", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make(v2)
      opencode(machine, "service", "start")
      const own = read(service(machine))
      const stranger = yield* FakeServer.tcp(() => {})
      yield* stranger.stop
      const { port } = new URL(own.url)
      const bad = [
        `http://192.0.2.1:${port}`,
        `http://127.0.0.1.example.org:${port}`,
        `http://user@192.0.2.1:${port}@127.0.0.1:${port}x`,
        `https://127.0.0.1:${port}`,
        "http://127.0.0.1:0x50",
        "http://127.0.0.1:$(id)",
        "http://127.0.0.1:123456",
        `http://[::1]:${port}`,
        `http://127.0.0.1:${stranger.port}`,
        "",
        "a\\u0022b\n"
      ]
      const copy = Path.join(Path.dirname(service(machine)), "service-test.json")
      Fs.copyFileSync(service(machine), copy)
      for (const url of bad) {
        // A copy under a channel's name: the service itself minds what happens to its own.
        Fs.writeFileSync(copy, JSON.stringify({ ...own, url }), { mode: 0o600 })
        Fs.renameSync(service(machine), `${service(machine)}.away`)
        const { result, stdout } = yield* machine.run(shell, { action: "look" })
        Fs.renameSync(`${service(machine)}.away`, service(machine))
        assert.isNull(result?.server, url + stdout)
      }
      Fs.writeFileSync(copy, JSON.stringify(own), { mode: 0o666 })
      Fs.chmodSync(copy, 0o666)
    }))

  it.live("whose process is dead, or another's, is not used", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make(v2)
      Fs.mkdirSync(Path.dirname(service(machine)), { recursive: true })
      for (const pid of [0, 1, -1, 999_999_999]) {
        Fs.writeFileSync(service(machine), JSON.stringify({ url: "http://127.0.0.1:1", pid, version: "2.0.3" }))
        assert.isNull((yield* machine.run(shell, { action: "look" })).result?.server)
      }
      assert.strictEqual((yield* machine.run(shell)).result?.server?.origin, "started")
    }))

  it.live("whose port is taken says which", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ ...v2, fake: { version: "2.0.3", start: "busy" } })
      const outcome = yield* machine.run(shell)
      assert.deepStrictEqual(outcome.result?.error, { _tag: "PortInUse", port: 49_374 })
      assert.isFalse(Fs.existsSync(machine.registration))
    }))

  it.live("ends with lifetime session", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make(v2)
      const client = yield* machine.start(shell, { lifetime: "session" })
      const { result } = Machine.parse(yield* client.line("result"))
      const pid = result?.server?.pid ?? 0
      assert.isTrue(Machine.lives(pid))
      yield* client.endInput
      yield* client.outcome
      assert.isFalse(Machine.lives(pid))
      assert.strictEqual(opencode(machine, "service", "status"), "stopped")
    }))
})
