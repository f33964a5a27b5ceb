import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import { vi } from "vitest"
import * as Machine from "./Machine.ts"

// Each test waits for dozens of processes, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

const server = (line: string): Machine.Server => {
  const { result } = Machine.parse(line, line.split(" ")[0])
  assert.isOk(result?.server, line)
  return result.server
}

const onlyLog = (machine: Machine.Machine) =>
  assert.deepStrictEqual(Fs.readdirSync(machine.state).filter((name) => !name.includes(".log")), [])

describe.concurrent.each(Machine.shells)("lifetime session, in %s", (_, shell) => {
  const session = { lifetime: "session" } as const

  it.live("ends the server when the client is gone", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const client = yield* machine.start(shell, session)
      const { lifetime, origin, pid } = server(yield* client.line("result"))
      assert.strictEqual(lifetime, "session")
      assert.strictEqual(origin, "started")
      assert.isTrue(Machine.lives(pid))
      yield* client.endInput
      assert.strictEqual((yield* client.outcome).code, 0)
      assert.isFalse(Machine.lives(pid))
      onlyLog(machine)
    }))

  it.live.each(["SIGTERM", "SIGHUP"] as const)(
    "ends the server when the session is ended by %s",
    (signal) =>
      Effect.gen(function*() {
        const machine = yield* Machine.make()
        const client = yield* machine.start(shell, session)
        const { pid } = server(yield* client.line("result"))
        yield* client.process.kill(signal)
        assert.strictEqual((yield* client.outcome).code, 143)
        assert.isFalse(Machine.lives(pid))
        onlyLog(machine)
      })
  )

  it.live("ends the server with the last of several sessions", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const first = yield* machine.start(shell, session)
      const { pid } = server(yield* first.line("result"))
      const second = yield* machine.start(shell, { ...session, nonce: "feedface00" })
      const again = server(yield* second.line("result"))
      assert.deepInclude(again, { pid, origin: "reused" })
      yield* first.endInput
      yield* first.outcome
      assert.isTrue(Machine.lives(pid))
      yield* second.endInput
      yield* second.outcome
      assert.isFalse(Machine.lives(pid))
      onlyLog(machine)
    }))

  it.live("leaves a server that somebody made persistent", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const client = yield* machine.start(shell, session)
      const { pid } = server(yield* client.line("result"))
      const persistent = yield* machine.run(shell, { nonce: "feedface00" })
      assert.deepInclude(persistent.result?.server, { pid, origin: "reused", lifetime: "persistent" })
      yield* client.endInput
      yield* client.outcome
      assert.isTrue(Machine.lives(pid))
      assert.strictEqual((yield* machine.run(shell, { action: "look" })).result?.server?.pid, pid)
    }))

  it.live("uses a persistent server and leaves it", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const pid = (yield* machine.run(shell)).result?.server?.pid ?? 0
      // It has nothing to wait for.
      const outcome = yield* machine.run(shell, { ...session, nonce: "feedface00" })
      assert.deepInclude(outcome.result?.server, { pid, origin: "reused", lifetime: "persistent" })
      assert.isTrue(Machine.lives(pid))
    }))

  it.live("ends a server that starts too slowly", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: { serve: "slow" } })
      yield* machine.runUntilServed(shell, session)
      assert.isFalse(Machine.lives(machine.served().pid))
      onlyLog(machine)
    }))
})

describe.concurrent.each(Machine.shells)("the log, in %s", (_, shell) => {
  it.live("shows its last lines", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      assert.strictEqual((yield* machine.run(shell, { action: "log" })).result?.error?._tag, "NotOurs")
      const { logFile = "" } = (yield* machine.run(shell)).result?.server ?? {}
      Fs.appendFileSync(logFile, "one\ntw\\o \"quoted\"\n\u001b[31mthree\u001b[0m\nunfinished")
      const outcome = yield* machine.run(shell, { action: "log", lines: 3 })
      assert.deepStrictEqual(outcome.log, ["tw\\o \"quoted\"", "\u001b[31mthree\u001b[0m", "unfinished"])
      assert.strictEqual(outcome.result?.log?.path, logFile)
    }))

  it.live("goes on with what is added, also by the next server, until the client is gone", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const { logFile = "" } = (yield* machine.run(shell)).result?.server ?? {}
      const client = yield* machine.start(shell, { action: "log", follow: true })
      yield* client.line("log opencode server listening")
      Fs.appendFileSync(logFile, "half ")
      Fs.appendFileSync(logFile, "and half\n")
      yield* client.line("log half and half")
      yield* machine.run(shell, { action: "stop" })
      yield* machine.run(shell, { nonce: "feedface00" })
      yield* client.process.stdout.waitFor("log opencode server listening", 2)
      yield* client.endInput
      const { code, kinds } = yield* client.outcome
      assert.strictEqual(code, 0)
      assert.notInclude(kinds, "result")
    }))
})
