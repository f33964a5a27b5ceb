import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Duration, Effect, Schedule } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Crash from "./support/Crash.ts"
import * as HostProcess from "./support/HostProcess.ts"
import { killAtRandom } from "./support/killAtRandom.ts"

/** How long a busy machine may take for what costs an idle one some milliseconds. */
const slack = 1_500

const machine = Effect.gen(function*() {
  const sshd = yield* Sshd.make()
  const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
  const client = yield* SshClient.make({ hosts: { box: sshd } })
  return { sshd, fields: { host: "box", sshConfig: client.configFile, remotePort: server.port } }
})

/** ssh leaves SIGTERM ignored where it was before. */
const deaf = Effect.gen(function*() {
  const binary = Path.join(yield* TempDirectory.make(), "ssh")
  Fs.writeFileSync(binary, "#!/bin/sh\ncase $1 in -V) exec ssh -V ;; esac\ntrap '' TERM\nexec ssh \"$@\"\n", {
    mode: 0o755
  })
  return binary
})

describe.skipIf(!Sshd.available)("a host process that is killed", () => {
  it.live(
    "at any moment, on Node or Bun: nothing of it is left after a second, and nobody else is touched",
    () => killAtRandom(20),
    180_000
  )

  /** A connected host, whose reaper is told something first. */
  const withReaper = Effect.fnUntraced(function*(
    use: (
      host: HostProcess.HostProcess,
      reaper: ProcessTable.ProcessInfo,
      place: HostProcess.Place
    ) => Effect.Effect<void, unknown>
  ) {
    const { fields } = yield* machine
    const place = yield* HostProcess.makePlace
    const profiles = ["first", "second"].map((name) => ({ ...fields, id: name as never }))
    const host = yield* HostProcess.start(place, profiles.slice(0, 1), {}, {
      timing: { control: 2_000, killAfter: 500 }
    })
    yield* host.awaitState("Connected", "first")
    const reaper = yield* host.reaper
    if (reaper === undefined) return assert.fail("there is no reaper")
    yield* use(host, reaper, place)
    yield* host.process.kill("SIGKILL")
    assert.isBelow(yield* Crash.gone(place.sshProcesses), Crash.limit)
    yield* Crash.gone(place.processes)
    assert.deepStrictEqual(yield* place.runtimeDirectories, [])
  })

  const another = (host: HostProcess.HostProcess, than: ProcessTable.ProcessInfo) =>
    Effect.repeat(host.reaper, {
      schedule: Schedule.spaced("10 millis"),
      until: (found) => found !== undefined && found.pid !== than.pid
    })

  it.live("after its reaper was: another one has taken the connection over", () =>
    withReaper((host, reaper) =>
      Effect.andThen(ProcessTable.signal([reaper], "SIGKILL"), Effect.asVoid(another(host, reaper)))
    ))

  it.live("after its reaper was stopped: the next connection has found out", () =>
    withReaper((host, reaper, place) =>
      Effect.gen(function*() {
        yield* ProcessTable.signal([reaper], "SIGSTOP")
        yield* host.command("disconnect first")
        yield* host.awaitState("Disconnected", "first")
        yield* host.command("connect first")
        // No reaper, no ssh: what waits for its go is a shell.
        yield* Effect.repeat(place.sshProcesses, {
          schedule: Schedule.spaced("5 millis"),
          until: (found) => found.length > 0
        })
        while ((yield* host.reaper)?.pid === reaper.pid) {
          assert.deepStrictEqual((yield* place.sshProcesses).filter(({ command }) => command.startsWith("ssh ")), [])
        }
        yield* host.awaitState("Connected", "first", 2)
        yield* another(host, reaper)
      })
    ))

  it.live("with ssh at a jump host that says nothing: the jump host's ssh goes as well", () =>
    Effect.gen(function*() {
      const { sshd } = yield* machine
      const silent = yield* FakeServer.tcp(() => {})
      const client = yield* SshClient.make({
        hosts: {
          jump: { sshd, lines: [`Port ${silent.port}`] },
          box: { sshd, lines: ["ProxyJump jump"] }
        }
      })
      const place = yield* HostProcess.makePlace
      const host = yield* HostProcess.start(place, { host: "box", sshConfig: client.configFile })
      yield* Effect.repeat(place.sshProcesses, {
        schedule: Schedule.spaced("10 millis"),
        until: (found) => found.filter(({ command }) => command.startsWith("ssh ")).length >= 2
      })
      yield* host.process.kill("SIGKILL")
      assert.isBelow(yield* Crash.gone(place.sshProcesses), Crash.limit)
      yield* Crash.gone(place.processes)
    }))
})

describe.skipIf(!Sshd.available)("a host process that ends", () => {
  const connected = Effect.fnUntraced(function*(
    place: HostProcess.Place,
    fields: Parameters<typeof HostProcess.start>[1],
    options: HostProcess.Options = {}
  ) {
    const host = yield* HostProcess.start(place, fields, options.environment ?? {}, options)
    const port = HostProcess.localPortOf(yield* host.awaitState("Connected"))
    return { host, port }
  })

  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const

  it.live("by a signal that it handles: everything is gone before it is", () =>
    Effect.gen(function*() {
      const { fields } = yield* machine
      const cases = [
        ...signals.map((signal) => [signal, "signals"] as const),
        ["SIGINT", "runner"] as const,
        ["SIGTERM", "runner"] as const
      ]
      const script = yield* HostProcess.makePlace
      yield* Effect.forEach(cases, ([signal, ending]) =>
        Effect.scoped(Effect.gen(function*() {
          const place = yield* HostProcess.another(script)
          const { host, port } = yield* connected(place, fields, { ending })
          const [took, { code }] = yield* Effect.timed(
            Effect.andThen(host.process.kill(signal), host.process.exit)
          )
          const at = `${signal}, ${ending}: ${yield* host.process.stderr.text}`
          assert.deepStrictEqual(yield* place.sshProcesses, [], at)
          assert.deepStrictEqual(yield* place.runtimeDirectories, [], at)
          assert.deepStrictEqual(yield* HostProcess.listening([port]), [], at)
          assert.strictEqual(code, ending === "signals" ? 0 : 130, at)
          assert.isBelow(Duration.toMillis(took), 2_000 + slack, at)
        })), { concurrency: 3, discard: true })
    }), 90_000)

  it.live(
    "by what nobody handles (a signal, an exception, exit): nothing is left after a second",
    () =>
      Effect.gen(function*() {
        const { fields } = yield* machine
        const script = yield* HostProcess.makePlace
        yield* Effect.forEach([...signals, "throw", "exit"] as const, (how) =>
          Effect.scoped(Effect.gen(function*() {
            const place = yield* HostProcess.another(script)
            const { host, port } = yield* connected(place, fields)
            yield* how === "throw" || how === "exit" ? host.command(how) : host.process.kill(how)
            const exit = yield* host.process.exit
            assert.strictEqual(exit.code ?? exit.signal, how === "throw" ? 1 : how === "exit" ? 7 : how)
            assert.isBelow(yield* Crash.gone(place.sshProcesses), Crash.limit, how)
            assert.deepStrictEqual(yield* HostProcess.listening([port]), [], how)
            yield* Crash.gone(place.runtimeDirectories)
          })), { concurrency: 3, discard: true })
      }),
    90_000
  )

  it.live("by having nothing more to do, once its layers are released", () =>
    Effect.gen(function*() {
      const { fields } = yield* machine
      const script = yield* HostProcess.makePlace
      yield* Effect.forEach(["node", "bun"] as const, (runtime) =>
        Effect.scoped(Effect.gen(function*() {
          const place = yield* HostProcess.another(script)
          const { host, port } = yield* connected(place, fields, { runtime })
          yield* host.command("release")
          yield* host.process.stdout.waitFor("released")
          assert.deepStrictEqual(yield* place.sshProcesses, [], runtime)
          assert.deepStrictEqual(yield* place.runtimeDirectories, [], runtime)
          assert.deepStrictEqual(yield* HostProcess.listening([port]), [], runtime)
          yield* host.process.stdout.waitFor("the event loop is empty")
          assert.deepStrictEqual(yield* host.process.exit, { code: 0, signal: undefined }, runtime)
        })), { concurrency: 2, discard: true })
    }), 60_000)

  it.live("while its ssh is deaf to SIGTERM: `killAfter` later both are gone", () =>
    Effect.gen(function*() {
      const { fields } = yield* machine
      const place = yield* HostProcess.makePlace
      const { host } = yield* connected(place, fields, {
        ending: "signals",
        environment: { OPENCODE_SSH_BINARY: yield* deaf },
        timing: { killAfter: 500 }
      })
      yield* host.process.kill("SIGTERM")
      const took = yield* Crash.gone(place.processes)
      assert.isBelow(took, 500 + slack)
      assert.strictEqual((yield* host.process.exit).code, 0)
      assert.deepStrictEqual(yield* place.runtimeDirectories, [])
    }))
})

describe.skipIf(!Sshd.available)("a runtime directory that a cleaner of /tmp took away", () => {
  it.live(
    "costs nothing: the connection goes on, the next one has another directory, and a kill leaves nothing",
    () =>
      Effect.gen(function*() {
        const { fields, sshd } = yield* machine
        const place = yield* HostProcess.makePlace
        const binary = Path.join(yield* TempDirectory.make(), "ssh")
        const ssh = (yield* Process.output("sh", ["-c", "command -v ssh"])).trim()
        Fs.symlinkSync(ssh, binary)
        const host = yield* HostProcess.start(place, fields, { OPENCODE_SSH_BINARY: binary })
        yield* host.awaitState("Connected")
        const remove = Effect.sync(() => {
          for (const name of Fs.readdirSync(place.runtimeBase)) {
            Fs.rmSync(Path.join(place.runtimeBase, name), { recursive: true })
          }
        })
        yield* remove
        yield* host.command("ask box")
        yield* host.awaitState("Connected", "box", 2)

        // By a person.
        yield* host.command("disconnect box")
        yield* host.awaitState("Disconnected", "box", 1)
        assert.deepStrictEqual(yield* place.sshProcesses, [])
        assert.deepStrictEqual(yield* place.runtimeDirectories, [])
        yield* host.command("connect box")
        yield* host.awaitState("Connected", "box", 3)

        // By the loss of a connection.
        yield* remove
        yield* sshd.dropSessions
        yield* host.awaitState("Connected", "box", 4)

        // Files are taken one by one.
        const [directory = ""] = yield* place.runtimeDirectories
        for (const name of Fs.readdirSync(Path.join(place.runtimeBase, directory))) {
          if (!name.startsWith("c1")) Fs.rmSync(Path.join(place.runtimeBase, directory, name))
        }
        yield* sshd.dropSessions
        yield* host.awaitState("Connected", "box", 5)

        yield* host.process.kill("SIGKILL")
        assert.isBelow(yield* Crash.gone(place.sshProcesses), Crash.limit)
        yield* Crash.gone(place.runtimeDirectories)
      }),
    60_000
  )
})
