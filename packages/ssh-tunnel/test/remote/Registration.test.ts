import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Process from "@opencode-ai/ssh-lab/Process"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import { vi } from "vitest"
import * as Machine from "./Machine.ts"

// Each test waits for dozens of processes, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

type Registration = Record<string, unknown>

const read = (path: string): Registration => JSON.parse(Fs.readFileSync(path, "utf8"))

/** Writes members one a line, as the script does, or in another form. */
const write = (path: string, registration: Registration, indent = 2) =>
  Fs.writeFileSync(path, JSON.stringify(registration, null, indent) + "\n", { mode: 0o600 })

/** A process that is not ours, and must never be harmed. */
const stranger = Process.spawn("sleep", ["1010"])

/** A machine with a running server and its registration. */
const withServer = (shell: Machine.Shell, options: Machine.Options = {}) =>
  Effect.gen(function*() {
    const machine = yield* Machine.make(options)
    const outcome = yield* machine.run(shell)
    const server = outcome.result?.server
    assert.isOk(server, outcome.stdout + outcome.stderr)
    return { machine, server, registration: read(machine.registration) }
  })

/** A port on which another user listens: what counts is who owns the socket. Root only. */
const anotherUsersPort = Effect.map(
  Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer()
      server.listen({ host: "127.0.0.1", port: 0 }, () => {
        // Node has no public name for a listener's descriptor.
        const { _handle: { fd } } = server as Net.Server & { readonly _handle: { readonly fd: number } }
        Fs.fchownSync(fd, 65534, 65534)
        resume(Effect.succeed(server))
      })
    }),
    (server) => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  ),
  (server) => {
    const address = server.address()
    return address === null || typeof address === "string" ? 0 : address.port
  }
)

describe.concurrent.each(Machine.shells)("a registration, in %s", (_, shell) => {
  it.live("of a dead process is replaced", () =>
    Effect.gen(function*() {
      const { machine, server } = yield* withServer(shell)
      process.kill(server.pid, "SIGKILL")
      yield* Machine.eventually(() => !Machine.lives(server.pid), "the server is dead")
      const look = yield* machine.run(shell, { action: "look" })
      assert.isNull(look.result?.server)
      const next = (yield* machine.run(shell)).result?.server
      assert.strictEqual(next?.origin, "started")
      assert.notStrictEqual(next?.pid, server.pid)
      assert.strictEqual(read(machine.registration)["pid"], next?.pid)
    }))

  it.live("whose process number belongs to somebody else by now is stale, and nobody is ended", () =>
    Effect.gen(function*() {
      const { machine, registration, server } = yield* withServer(shell)
      const other = yield* stranger
      process.kill(server.pid, "SIGKILL")
      yield* Machine.eventually(() => !Machine.lives(server.pid), "the server is dead")
      write(machine.registration, { ...registration, pid: other.pid })
      assert.isNull((yield* machine.run(shell, { action: "look" })).result?.server)
      const stop = yield* machine.run(shell, { action: "stop" })
      assert.strictEqual(stop.result?.error?._tag, "NotOurs")
      const next = yield* machine.run(shell)
      assert.strictEqual(next.result?.server?.origin, "started")
      yield* machine.run(shell, { action: "stop" })
      assert.isTrue(Machine.lives(other.pid))
    }))

  it.live("of an earlier boot is stale", () =>
    Effect.gen(function*() {
      const { machine, registration } = yield* withServer(shell)
      write(machine.registration, { ...registration, bootId: "0-0" })
      assert.isNull((yield* machine.run(shell, { action: "look" })).result?.server)
      assert.strictEqual((yield* machine.run(shell)).result?.server?.origin, "started")
    }))

  it.live("of another host is neither used nor touched", () =>
    Effect.gen(function*() {
      const { machine, registration, server } = yield* withServer(shell)
      const foreign = { ...registration, host: "elsewhere-1", hostname: "elsewhere" }
      write(machine.registration, foreign)
      const look = yield* machine.run(shell, { action: "look" })
      assert.isNull(look.result?.server)
      assert.deepStrictEqual(look.result?.ignored, [{ path: machine.registration, why: "of another host" }])
      assert.strictEqual((yield* machine.run(shell, { action: "stop" })).result?.error?._tag, "NotOurs")
      const own = (yield* machine.run(shell)).result?.server
      assert.strictEqual(own?.origin, "started")
      assert.strictEqual(own?.registration, Path.join(machine.state, `server-${String(registration["host"])}.json`))
      assert.strictEqual((yield* machine.run(shell)).result?.server?.pid, own?.pid)
      assert.strictEqual((yield* machine.run(shell, { action: "stop" })).result?.stopped?.pid, own?.pid)
      assert.deepStrictEqual(read(machine.registration), foreign)
      assert.isTrue(Machine.lives(server.pid))
    }))

  it.live("is read whatever its form", () =>
    Effect.gen(function*() {
      const { machine, registration, server } = yield* withServer(shell)
      write(
        machine.registration,
        { other: { nested: ["\"pid\":1"] }, ...registration, "more\"pid\": 2": "\"pid\": 3" },
        0
      )
      assert.strictEqual((yield* machine.run(shell, { action: "look" })).result?.server?.pid, server.pid)
      write(machine.registration, registration, 8)
      assert.strictEqual((yield* machine.run(shell, { action: "look" })).result?.server?.pid, server.pid)
    }))

  it.live("that is no registration is ignored and replaced", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      Fs.mkdirSync(machine.state, { recursive: true, mode: 0o700 })
      for (
        const text of [
          "",
          "{",
          "[]",
          "{\"pid\":\"$(touch x)\"}",
          "\0\0",
          "{\"pid\":12,\"port\":999999}",
          "a".repeat(200_000)
        ]
      ) {
        Fs.writeFileSync(machine.registration, text, { mode: 0o600 })
        const outcome = yield* machine.run(shell, { action: "look" })
        assert.isNull(outcome.result?.server, text.slice(0, 20))
      }
      const outcome = yield* machine.run(shell)
      assert.strictEqual(outcome.result?.server?.registration, machine.registration)
      assert.strictEqual(read(machine.registration)["pid"], outcome.result?.server?.pid)
    }))

  it.live("that others may have written is ignored and replaced", () =>
    Effect.gen(function*() {
      const { machine, registration, server } = yield* withServer(shell)
      const ignored = (outcome: Machine.Outcome) => outcome.result?.ignored?.map(({ why }) => why)
      Fs.chmodSync(machine.registration, 0o666)
      assert.deepStrictEqual(ignored(yield* machine.run(shell, { action: "look" })), ["writable by others"])
      Fs.chmodSync(machine.registration, 0o620)
      assert.deepStrictEqual(ignored(yield* machine.run(shell, { action: "look" })), ["writable by others"])
      const elsewhere = Path.join(machine.home, "elsewhere.json")
      write(elsewhere, registration)
      Fs.rmSync(machine.registration)
      Fs.symlinkSync(elsewhere, machine.registration)
      const look = yield* machine.run(shell, { action: "look" })
      assert.isNull(look.result?.server)
      assert.deepStrictEqual(ignored(look), ["a symbolic link"])
      const next = (yield* machine.run(shell)).result?.server
      assert.strictEqual(next?.origin, "started")
      assert.isFalse(Fs.lstatSync(machine.registration).isSymbolicLink())
      assert.deepStrictEqual(read(elsewhere), registration)
      assert.isTrue(Machine.lives(server.pid))
    }))

  it.live.skipIf(process.getuid?.() !== 0)("that belongs to somebody else is ignored", () =>
    Effect.gen(function*() {
      const { machine } = yield* withServer(shell)
      Fs.chownSync(machine.registration, 65534, 65534)
      const look = yield* machine.run(shell, { action: "look" })
      assert.isNull(look.result?.server)
      assert.deepStrictEqual(look.result?.ignored?.map(({ why }) => why), ["owned by somebody else"])
    }))

  it.live("of a server whose port a stranger took is not handed out", () =>
    Effect.gen(function*() {
      const { machine, registration, server } = yield* withServer(shell)
      const other = yield* FakeServer.tcp(() => {})
      yield* other.stop
      // The process is alive and ours, and does not listen there.
      write(machine.registration, { ...registration, port: other.port })
      const look = yield* machine.run(shell, { action: "look" })
      assert.deepInclude(look.result, { server: null, state: "deaf" })
      // Nobody can reach it, so it is replaced, and not left behind.
      const next = (yield* machine.run(shell)).result?.server
      assert.strictEqual(next?.origin, "started")
      assert.isFalse(Machine.lives(server.pid))
    }))

  it.live.skipIf(process.getuid?.() !== 0)(
    "of a server whose port another user has taken is not handed out",
    () =>
      Effect.gen(function*() {
        const { machine, registration, server } = yield* withServer(shell)
        const port = yield* anotherUsersPort
        write(machine.registration, { ...registration, port })
        const look = yield* machine.run(shell, { action: "look" })
        assert.deepInclude(look.result, { server: null, state: "deaf" })
        assert.notInclude(look.stdout, String(server.password))
      })
  )

  it.live.skipIf(process.getuid?.() !== 0)(
    "says whose port it is, to a client that would send it a password",
    () =>
      Effect.gen(function*() {
        const machine = yield* Machine.make()
        const port = yield* anotherUsersPort
        const look = yield* machine.run(shell, { action: "look", port })
        assert.strictEqual(look.result?.error?._tag, "NotOurs")
        assert.include(look.result?.error?.detail, `another user (id 65534) listens on port ${port}`)
        // Ours, nobody's, or not asked for.
        const mine = yield* FakeServer.tcp(() => {})
        assert.isNull((yield* machine.run(shell, { action: "look", port: mine.port })).result?.server)
        yield* mine.stop
        assert.isNull((yield* machine.run(shell, { action: "look", port: mine.port })).result?.server)
        assert.isNull((yield* machine.run(shell, { action: "look" })).result?.server)
      })
  )

  it.live("whose directory is unsafe is refused", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const elsewhere = Path.join(machine.home, "elsewhere")
      Fs.mkdirSync(elsewhere)
      Fs.mkdirSync(Path.dirname(machine.state), { recursive: true })
      Fs.symlinkSync(elsewhere, machine.state)
      const { error } = (yield* machine.run(shell)).result ?? {}
      assert.deepStrictEqual(error, { _tag: "RemoteNotWritable", path: machine.state, problem: "unsafe" })
      assert.deepStrictEqual(Fs.readdirSync(elsewhere), [])
      Fs.rmSync(machine.state)
      Fs.mkdirSync(machine.state)
      Fs.chmodSync(machine.state, 0o777)
      assert.strictEqual((yield* machine.run(shell)).result?.server?.origin, "started")
      assert.strictEqual(Fs.statSync(machine.state).mode & 0o777, 0o700)
    }))
})

describe.concurrent("a state directory that cannot be written", () => {
  const root = process.getuid?.() === 0
  const mount = (machine: Machine.Machine, options: string) =>
    Effect.acquireRelease(
      Effect.gen(function*() {
        const directory = Path.dirname(machine.state)
        Fs.mkdirSync(directory, { recursive: true })
        const { code, stderr } = yield* Effect.orDie(
          Process.run("mount", ["-t", "tmpfs", "-o", options, "tmpfs", directory])
        )
        assert.strictEqual(code, 0, stderr)
        return directory
      }),
      (directory) => Effect.ignore(Process.run("umount", ["-l", directory]))
    )

  for (const options of ["size=4k", "size=12k", "size=20k,nr_inodes=3"]) {
    it.live.skipIf(!root)(`because it is full (${options}) is told`, () =>
      Effect.gen(function*() {
        const machine = yield* Machine.make()
        yield* mount(machine, options)
        const outcome = yield* machine.run(["dash"])
        assert.deepInclude(
          outcome.result?.error,
          { _tag: "RemoteNotWritable", problem: "full" },
          outcome.stdout + outcome.stderr
        )
        assert.deepStrictEqual(machine.calls().filter((call) => call.startsWith("serve")), [])
      }))
  }

  it.live.skipIf(!root)("because it is mounted read-only is told", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      yield* mount(machine, "ro")
      const { error } = (yield* machine.run(["dash"])).result ?? {}
      assert.deepStrictEqual(error, { _tag: "RemoteNotWritable", path: machine.state, problem: "read-only" })
    }))

  it.live("because something else has its name is told", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      Fs.mkdirSync(Path.dirname(Path.dirname(machine.state)), { recursive: true })
      Fs.writeFileSync(Path.dirname(machine.state), "")
      const { error } = (yield* machine.run(["dash"])).result ?? {}
      assert.deepStrictEqual(error, { _tag: "RemoteNotWritable", path: machine.state, problem: "denied" })
    }))
})
