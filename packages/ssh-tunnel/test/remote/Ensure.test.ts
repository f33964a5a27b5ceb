import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Port from "@opencode-ai/ssh-lab/Port"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Path from "node:path"
import { vi } from "vitest"
import * as Machine from "./Machine.ts"

// Each test waits for dozens of processes, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

const mode = (path: string): string => (Fs.statSync(path).mode & 0o777).toString(8)

const health = (port: number, password?: string) =>
  Effect.callback<number, Error>((resume) => {
    const auth = password === undefined ? {} : { auth: `opencode:${password}` }
    const request = Http.get({ host: "127.0.0.1", port, path: "/global/health", agent: false, ...auth }, (response) => {
      response.resume()
      resume(Effect.succeed(response.statusCode ?? 0))
    })
    request.on("error", (error) => resume(Effect.fail(error)))
  })

describe.concurrent.each(Machine.shells)("ensure in %s", (_, shell) => {
  it.live("starts a server with the given password, registers it, and finds it again", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const first = yield* machine.run(shell)
      assert.deepStrictEqual(first.kinds, ["step", "found", "step", "step", "result"])
      assert.deepStrictEqual(first.steps, ["looking", "starting", "waiting"])
      assert.strictEqual(first.found?.["version"], "1.18.33")
      assert.strictEqual(first.found?.["path"], Path.join(machine.home, ".opencode/bin/opencode"))
      const server = first.result?.server
      assert.isOk(server, first.stdout + first.stderr)
      assert.strictEqual(server.origin, "started")
      assert.strictEqual(server.owner, "ours")
      assert.strictEqual(server.password, "pass_word-123")
      assert.strictEqual(yield* health(server.port, "pass_word-123"), 200)
      assert.strictEqual(yield* health(server.port), 401)

      assert.strictEqual(mode(machine.state), "700")
      assert.strictEqual(mode(machine.registration), "600")
      const registration = JSON.parse(Fs.readFileSync(machine.registration, "utf8"))
      assert.strictEqual(registration.pid, server.pid)
      assert.strictEqual(registration.password, "pass_word-123")
      assert.strictEqual(registration.url, `http://127.0.0.1:${server.port}`)
      assert.strictEqual(mode(server.logFile ?? ""), "600")
      // Nothing but the registration and the log stays, and no file but the registration holds the password.
      const files = Fs.readdirSync(machine.state).map((name) => Path.join(machine.state, name))
      assert.deepStrictEqual([...files].sort(), [server.logFile ?? "", machine.registration].sort())
      assert.notInclude(Fs.readFileSync(server.logFile ?? "", "utf8"), "pass_word-123")
      for (const { command } of yield* machine.processes) assert.notInclude(command, "pass_word-123")

      const again = yield* machine.run(shell, { nonce: "feedfacefeedface", password: "another" })
      assert.deepStrictEqual(again.kinds, ["step", "result"])
      assert.deepStrictEqual(again.result?.server, { ...server, origin: "reused" })
      const look = yield* machine.run(shell, { action: "look" })
      assert.deepStrictEqual(look.result?.server, { ...server, origin: "reused" })
      const status = yield* machine.run(shell, { action: "status" })
      assert.strictEqual(status.result?.server?.pid, server.pid)
      assert.notInclude(status.stdout, "pass_word-123")

      assert.deepStrictEqual(machine.calls(), ["--version", "serve --hostname 127.0.0.1 --port 0"])
      const stop = yield* machine.run(shell, { action: "stop" })
      assert.strictEqual(stop.result?.stopped?.pid, server.pid)
      assert.isFalse(Machine.lives(server.pid))
      assert.isFalse(Fs.existsSync(machine.registration))
      const nobody = yield* machine.run(shell, { action: "stop" })
      assert.strictEqual(nobody.result?.error?._tag, "NotOurs")
      const nothing = yield* machine.run(shell, { action: "look" })
      assert.isNull(nothing.result?.server)
    }))

  it.live("starts it on the port that was asked for", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const port = yield* Port.free
      const outcome = yield* machine.run(shell, { port })
      assert.strictEqual(outcome.result?.server?.port, port)
    }))

  it.live("looks without leaving a trace", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      for (const action of ["look", "status"] as const) {
        const outcome = yield* machine.run(shell, { action })
        assert.isNull(outcome.result?.server)
      }
      assert.isFalse(Fs.existsSync(Path.join(machine.home, ".local")))
      assert.deepStrictEqual(machine.calls(), [])
    }))

  it.live("says where it has looked for opencode", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: false })
      const outcome = yield* machine.run(shell)
      assert.strictEqual(outcome.result?.error?._tag, "OpencodeNotFound")
      const searched = outcome.result?.error?.searched ?? []
      assert.include(searched, "/usr/bin/opencode")
      assert.include(searched, Path.join(machine.home, ".opencode/bin/opencode"))
      assert.strictEqual(new Set(searched).size, searched.length)
      assert.isFalse(searched.includes("/opencode"))
    }))

  it.live.each([".bun/bin", ".nvm/versions/node/v22.1.0/bin"])(
    "finds opencode in ~/%s",
    (bin) =>
      Effect.gen(function*() {
        const machine = yield* Machine.make({ bin })
        const outcome = yield* machine.run(shell)
        assert.strictEqual(outcome.found?.["path"], Path.join(machine.home, bin, "opencode"))
        assert.strictEqual(outcome.result?.server?.origin, "started")
      })
  )

  it.live("tells a file that is not executable", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const path = Path.join(machine.home, ".opencode/bin/opencode")
      Fs.chmodSync(path, 0o644)
      const { error } = (yield* machine.run(shell)).result ?? {}
      assert.deepInclude(error, { _tag: "OpencodeUnusable", problem: "mode", path })
    }))

  it.live("tells a binary of another machine, and does not run its bytes as a script", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const path = Path.join(machine.home, ".opencode/bin/opencode")
      const header = Buffer.alloc(64)
      header.write("\x7fELF\x02\x01\x01", "latin1")
      header.writeUInt16LE(2, 16)
      header.writeUInt16LE(process.arch === "arm64" ? 62 : 183, 18)
      Fs.writeFileSync(path, Buffer.concat([header, Buffer.from(`\ntouch '${machine.home}/ran'\n`)]))
      const { error } = (yield* machine.run(shell)).result ?? {}
      assert.deepInclude(error, { _tag: "OpencodeUnusable", problem: "architecture", path })
      assert.isFalse(Fs.existsSync(Path.join(machine.home, "ran")))
    }))

  it.live("tells a program that fails when asked for its version", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: { versionCode: 3, versionError: "oh \"no\"\\\tÄ" } })
      const { error } = (yield* machine.run(shell)).result ?? {}
      assert.deepInclude(error, { _tag: "OpencodeUnusable", problem: "crash" })
      assert.include(error?.detail ?? "", "oh \"no\"\\\tÄ")
    }))

  it.live("tells an invalid configuration", () =>
    Effect.gen(function*() {
      const text = "\u001b[91m\u001b[1mError: \u001b[0mConfiguration is invalid at /x/opencode.json\n↳ Expected string"
      const machine = yield* Machine.make({ fake: { serve: "exit", serveCode: 1, serveError: text } })
      const { error } = (yield* machine.run(shell)).result ?? {}
      const path = Path.join(machine.home, ".opencode/bin/opencode")
      assert.deepInclude(error, { _tag: "OpencodeUnusable", problem: "configuration", path })
      assert.include(error?.detail ?? "", "Error: Configuration is invalid at /x/opencode.json\n↳ Expected string")
    }))

  it.live("tells how a server ended that died while starting, and forgets it", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: { serve: "exit", serveCode: 7, serveError: "boom\nbang" } })
      const { error } = (yield* machine.run(shell)).result ?? {}
      assert.deepInclude(error, { _tag: "ServerExited", exitCode: 7 })
      assert.include(error?.log ?? "", "boom\nbang")
      assert.isFalse(Fs.existsSync(machine.registration))
      machine.behave({})
      assert.strictEqual((yield* machine.run(shell)).result?.server?.origin, "started")
    }))

  it.live.each([
    { serveError: "ENOSPC: no space left on device, write", problem: "full" },
    { serveError: "EROFS: read-only file system, mkdir '/home/x'", problem: "read-only" },
    { serveError: "EACCES: permission denied, mkdir '/nonexistent'", problem: "denied" }
  ])("tells that opencode itself could not write: $problem", ({ problem, serveError }) =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: { serve: "exit", serveCode: 1, serveError } })
      const { error } = (yield* machine.run(shell)).result ?? {}
      assert.deepInclude(error, { _tag: "RemoteNotWritable", problem, path: machine.home })
    }))

  it.live("tells a busy port before it starts anything", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const stranger = yield* FakeServer.tcp(() => {})
      const { error } = (yield* machine.run(shell, { port: stranger.port })).result ?? {}
      assert.deepStrictEqual(error, { _tag: "PortInUse", port: stranger.port })
      assert.deepStrictEqual(machine.calls(), [])
      const stop = yield* machine.run(shell, { action: "stop", port: stranger.port })
      assert.strictEqual(stop.result?.error?._tag, "NotOurs")
      assert.include(stop.result?.error?.detail ?? "", String(stranger.port))
    }))

  it.live("tells a port that is only seen to be busy when binding fails", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: { serve: "port" } })
      // All IPv6 addresses: may or may not hold 127.0.0.1, so that it is tried.
      const server = Http.createServer()
      const port = yield* Effect.acquireRelease(
        Effect.callback<number>((resume) => {
          server.listen(0, "::", () => {
            const address = server.address()
            resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
          })
        }),
        () => Effect.sync(() => server.close())
      )
      const { error } = (yield* machine.run(shell, { port })).result ?? {}
      assert.deepStrictEqual(error, { _tag: "PortInUse", port })
      assert.include(machine.calls(), `serve --hostname 127.0.0.1 --port ${port}`)
    }))

  it.live("does not start a version that is not supported", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      for (const version of ["0.9.9", "3.0.0", "1.5.0-beta.1", "local", "2.10"]) {
        machine.behave({ version })
        const outcome = yield* machine.run(shell, { names: "nightly,2.0.0-beta.1" })
        assert.strictEqual(outcome.found?.["version"], version)
        assert.deepInclude(outcome.result?.error, { _tag: "UnsupportedVersion", found: version })
      }
      assert.deepStrictEqual(machine.calls(), Array.from({ length: 5 }, () => "--version"))
      machine.behave({ version: "nightly" })
      const named = yield* machine.run(shell, { names: "nightly,2.0.0-beta.1" })
      assert.strictEqual(named.result?.server?.version, "nightly")
    }))

  it.live("goes on waiting for a slow server when it is tried again", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: { serve: "slow" } })
      yield* machine.runUntilServed(shell)
      const { pid } = machine.served()
      assert.isTrue(Machine.lives(pid))
      const status = yield* machine.run(shell, { action: "status" })
      assert.deepInclude(status.result, { server: null, state: "starting" })
      assert.isNull((yield* machine.run(shell, { action: "look" })).result?.server)
      machine.listen()
      const second = yield* machine.run(shell, { nonce: "feedfacefeedface" })
      assert.strictEqual(second.result?.server?.pid, pid)
      assert.strictEqual(second.result?.server?.password, "pass_word-123")
      assert.strictEqual(machine.calls().filter((call) => call.startsWith("serve")).length, 1)
    }))

  it.live("a slow server that nobody waited for is found once it listens", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: { serve: "slow" } })
      yield* machine.runUntilServed(shell)
      const { pid } = machine.served()
      machine.listen()
      // Another client sees the open port first and only looks: the port wants a password.
      const look = yield* machine.run(shell, { action: "look" }).pipe(
        Effect.repeat({ until: ({ result }) => result?.server !== null })
      )
      assert.strictEqual(look.result?.server?.pid, pid)
      assert.strictEqual(look.result?.server?.password, "pass_word-123")
      assert.strictEqual((yield* machine.run(shell, { action: "status" })).result?.server?.pid, pid)
    }))

  it.live("stops a server that does not listen yet", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: { serve: "slow" } })
      yield* machine.runUntilServed(shell)
      const stop = yield* machine.run(shell, { action: "stop" })
      assert.strictEqual(stop.result?.error?._tag, "NotOurs")
      assert.include(stop.result?.error?.detail ?? "", "was ended")
      assert.isFalse(Machine.lives(machine.served().pid))
      assert.isFalse(Fs.existsSync(machine.registration))
    }))

  it.live("answers in time when opencode never tells its version", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: false })
      const path = Path.join(machine.home, ".opencode/bin/opencode")
      Fs.mkdirSync(Path.dirname(path), { recursive: true })
      Fs.writeFileSync(path, "#!/bin/sh\necho dreaming >&2\nexec sleep 1000\n", { mode: 0o755 })
      const { error } = (yield* machine.run(shell, { seconds: 4 })).result ?? {}
      assert.strictEqual(error?._tag, "StartTimedOut")
      assert.include(error?.log ?? "", "dreaming")
      assert.deepStrictEqual((yield* machine.processes).filter(({ command }) => command.includes("sleep")), [])
    }))

  it.live.each(["with space", "it's $(touch pwned) \"b\\c ü `id`;&|<>*?[x]~#!%", "new\nline"])(
    "works in a home called %s",
    (name) =>
      Effect.gen(function*() {
        const machine = yield* Machine.make({ name })
        const outcome = yield* machine.run(shell)
        assert.strictEqual(outcome.result?.server?.origin, "started", outcome.stdout + outcome.stderr)
        assert.strictEqual(outcome.result?.server?.registration, machine.registration)
        assert.strictEqual(
          JSON.parse(Fs.readFileSync(machine.registration, "utf8")).binary,
          `${machine.home}/.opencode/bin/opencode`
        )
        assert.deepStrictEqual(Fs.readdirSync(machine.home).filter((entry) => entry.includes("pwned")), [])
        assert.isOk((yield* machine.run(shell, { action: "stop" })).result?.stopped)
      })
  )
})

describe.concurrent.each(Machine.moreShells)("ensure and stop in %s", (command, shell) => {
  it.live.skipIf(!Machine.available(command))("work", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const started = yield* machine.run(shell)
      assert.strictEqual(started.result?.server?.origin, "started", started.stdout + started.stderr)
      assert.strictEqual((yield* machine.run(shell)).result?.server?.origin, "reused")
      assert.isOk((yield* machine.run(shell, { action: "stop" })).result?.stopped)
    }))
})
