import { assert, describe, it } from "@effect/vitest"
import * as Process from "@opencode-ai/ssh-lab/Process"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { vi } from "vitest"
import * as Machine from "./Machine.ts"

// Each test waits for dozens of processes, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

const nonces = (count: number) => Array.from({ length: count }, (_, index) => (0xa0000000 + index).toString(16))

const serves = (machine: Machine.Machine) => machine.calls().filter((call) => call.startsWith("serve"))

const startTime = (pid: number): string => {
  const stat = Fs.readFileSync(`/proc/${pid}/stat`, "utf8")
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""
}

/** This host's name in file names, and its boot, as the script sees them. */
const identity = (shell: Machine.Shell) =>
  Effect.scoped(Effect.gen(function*() {
    const machine = yield* Machine.make()
    yield* machine.run(shell)
    const { bootId, host } = JSON.parse(Fs.readFileSync(machine.registration, "utf8"))
    return { boot: String(bootId), host: String(host) }
  }))

const files = (machine: Machine.Machine) =>
  Fs.readdirSync(machine.state).filter((name) => !/\.(json|log|log\.1)$/.test(name))

describe.concurrent.each(Machine.shells)("the lock, in %s", (_, shell) => {
  it.live("lets one of 20 simultaneous clients start a server", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const outcomes = yield* Effect.forEach(
        nonces(20),
        (nonce) => machine.run(shell, { nonce, seconds: 60, password: `secret-${nonce}` }),
        { concurrency: "unbounded" }
      )
      const servers = outcomes.map(({ result, stderr, stdout }) => {
        assert.isOk(result?.server, stdout + stderr)
        return result.server
      })
      assert.strictEqual(new Set(servers.map(({ pid }) => pid)).size, 1)
      assert.strictEqual(new Set(servers.map(({ password }) => password)).size, 1)
      assert.strictEqual(servers.filter(({ origin }) => origin === "started").length, 1)
      assert.strictEqual(serves(machine).length, 1)
      assert.deepStrictEqual(files(machine), [])
    }))

  it.live("of a client that died is taken over, by one of many", () =>
    Effect.gen(function*() {
      const { boot, host } = yield* identity(shell)
      const machine = yield* Machine.make()
      Fs.mkdirSync(machine.state, { recursive: true, mode: 0o700 })
      // Its process number is in use again; and whoever took it over died as well.
      const other = yield* Process.spawn("sleep", ["1011"])
      const lock = Path.join(machine.state, `lock-${host}`)
      Fs.symlinkSync(`${boot},${other.pid},${Number(startTime(other.pid)) - 1},aaaa`, lock)
      Fs.symlinkSync(`earlier-boot,${other.pid},${startTime(other.pid)},bbbb`, `${lock}+aaaa-${other.pid}`)
      const outcomes = yield* Effect.forEach(nonces(8), (nonce) => machine.run(shell, { nonce }), {
        concurrency: "unbounded"
      })
      assert.strictEqual(outcomes.filter(({ result }) => result?.server?.origin === "started").length, 1)
      assert.strictEqual(outcomes.filter(({ result }) => result?.server?.origin === "reused").length, 7)
      assert.strictEqual(serves(machine).length, 1)
      assert.deepStrictEqual(files(machine), [])
      assert.isTrue(Machine.lives(other.pid))
    }))

  it.live("of a live client is waited for, until the time is over", () =>
    Effect.gen(function*() {
      const { boot, host } = yield* identity(shell)
      const machine = yield* Machine.make()
      Fs.mkdirSync(machine.state, { recursive: true, mode: 0o700 })
      const other = yield* Process.spawn("sleep", ["1012"])
      const lock = Path.join(machine.state, `lock-${host}`)
      Fs.symlinkSync(`${boot},${other.pid},${startTime(other.pid)},aaaa`, lock)
      const { error } = (yield* machine.run(shell, { seconds: 1 })).result ?? {}
      assert.strictEqual(error?._tag, "StartTimedOut")
      assert.deepStrictEqual(machine.calls(), [])
      const waiting = yield* machine.start(shell)
      yield* waiting.line("step looking")
      yield* other.stop
      assert.strictEqual((yield* waiting.outcome).result?.server?.origin, "started")
    }))

  it.live("that nobody of us made is not touched", () =>
    Effect.gen(function*() {
      const { host } = yield* identity(shell)
      const machine = yield* Machine.make()
      Fs.mkdirSync(machine.state, { recursive: true, mode: 0o700 })
      const lock = Path.join(machine.state, `lock-${host}`)
      const refused = { _tag: "RemoteNotWritable", path: lock, problem: "unsafe" }
      Fs.mkdirSync(lock)
      assert.deepStrictEqual((yield* machine.run(shell)).result?.error, refused)
      Fs.rmdirSync(lock)
      Fs.symlinkSync("$(touch pwned)", lock)
      assert.deepStrictEqual((yield* machine.run(shell)).result?.error, refused)
      assert.deepStrictEqual(Fs.readdirSync(machine.home).filter((name) => name === "pwned"), [])
    }))

  it.live("is free after the client was killed at any moment, and no second server runs", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      // The moments: of its lines, and between them.
      const moments = ["step looking", "found", "step starting", "step waiting", "result"]
      for (const [index, moment] of moments.entries()) {
        const running = yield* machine.start(shell, { nonce: nonces(10)[index] ?? "" })
        yield* running.line(moment)
        yield* running.process.kill("SIGKILL")
        yield* running.process.exit
        const next = yield* machine.run(shell, { nonce: `${index}bcdef00` })
        assert.isOk(next.result?.server, moment + next.stdout + next.stderr)
        const alive = (yield* machine.processes).filter(({ command }) => command.includes(" serve "))
        assert.deepStrictEqual(alive.map(({ pid }) => pid), [next.result.server.pid], moment)
        yield* machine.run(shell, { action: "stop" })
        // Whoever needs the lock next gets it, and sweeps what the killed client was about.
        const last = yield* machine.run(shell, { nonce: `${index}bcdef01` })
        assert.isOk(last.result?.server, moment + last.stdout + last.stderr)
        assert.deepStrictEqual(files(machine), [], moment)
        yield* machine.run(shell, { action: "stop" })
      }
    }))
})
