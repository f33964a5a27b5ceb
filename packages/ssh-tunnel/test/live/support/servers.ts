/** Servers that bootstrap starts, counted: a few times in the live suite, many times in the soak. */
import { assert } from "@effect/vitest"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Duration, Effect, Fiber, Ref, Schedule } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { BootstrapSettings } from "../../../src/Profile.ts"
import * as Machine from "../../remote/Machine.ts"
import * as Crash from "./Crash.ts"
import * as HostProcess from "./HostProcess.ts"
import * as Workstation from "./Workstation.ts"

export const persistent: BootstrapSettings = { enabled: true, lifetime: "persistent" }
export const session: BootstrapSettings = { enabled: true, lifetime: "session" }

const directoryOf = (sshd: Sshd.Sshd) => Path.join(sshd.home, ".opencode/bin")

/** Installs a program that behaves as opencode does and starts faster, where opencode's own installer puts it. */
export const installStandIn = (sshd: Sshd.Sshd, fake: Readonly<Record<string, unknown>> = {}) =>
  Effect.sync(() => Machine.install(directoryOf(sshd), { version: "1.18.33", ...fake }))

/** How often the stand-in was started as a server. */
export const starts = (sshd: Sshd.Sshd) =>
  Effect.sync(() => {
    const file = Path.join(directoryOf(sshd), "calls")
    const calls = Fs.existsSync(file) ? Fs.readFileSync(file, "utf8").split("\n") : []
    return calls.filter((call) => call.startsWith("serve")).length
  })

/** The opencode servers on a machine. */
export const servers = (sshd: Sshd.Sshd) =>
  Effect.map(sshd.processes, (found) => found.filter(({ command }) => / serve(?: |$)/.test(command)))

/** Waits until no server is left; nobody tells of the end of a process that is not one's own. */
export const noServer = (sshd: Sshd.Sshd) => Effect.asVoid(Crash.gone(servers(sshd)))

/** What is left of starts and locks in the state directory of a machine. */
export const workFiles = (sshd: Sshd.Sshd) =>
  Effect.sync(() =>
    Fs.readdirSync(Path.join(sshd.home, ".local/state/opencode-ssh")).filter((name) => /^(?:lock|start|\.)/.test(name))
  )

/**
 * Runs an effect and looks all the time how many servers there are; more than one in two looks in a row is a failure
 * (in one look it may be one that is just dying).
 */
export const neverTwo = <A, E, R>(sshd: Sshd.Sshd, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const before = yield* Ref.make<ReadonlySet<number>>(new Set())
    const most = yield* Ref.make<ReadonlyArray<ProcessTable.ProcessInfo>>([])
    const look = Effect.gen(function*() {
      const found = yield* servers(sshd)
      const seen = yield* Ref.getAndSet(before, new Set(found.map(({ pid }) => pid)))
      const lasting = found.filter(({ pid }) => seen.has(pid))
      yield* Ref.update(most, (others) => lasting.length > others.length ? lasting : others)
    })
    const looking = yield* Effect.forkChild(Effect.repeat(look, Schedule.spaced("100 millis")))
    const value = yield* effect
    yield* Fiber.interrupt(looking)
    const words = (yield* Ref.get(most)).map(({ command, parent, pid }) => `${pid} of ${parent}: ${command}`)
    assert.isAtMost(words.length, 1, `servers at the same time:\n${words.join("\n")}`)
    return value
  })

/**
 * Reconnects so many times, after the connection was cut, and after every `killServerEach`-th the server as well: there
 * is one server, the same as long as it lives, and behind the same URL.
 */
export const reconnects = Effect.fnUntraced(function*(count: number, killServerEach: number) {
  const sshd = yield* Sshd.make()
  yield* installStandIn(sshd)
  const client = yield* SshClient.make({ hosts: { box: sshd } })
  // Each connection counts as healthy, so that none of the losses has to wait.
  const workstation = yield* Workstation.make({ timing: { healthyAfter: Duration.zero } })
  const box = yield* workstation.profile({
    host: "box",
    sshConfig: client.configFile,
    remotePort: yield* Port.free,
    bootstrap: persistent
  })
  const first = yield* box.connected
  assert.strictEqual(first.bootstrapped, "started")
  let expected = yield* servers(sshd)
  let killed = 0
  yield* neverTwo(
    sshd,
    Effect.gen(function*() {
      for (let round = 1; round <= count; round++) {
        const withServer = round % killServerEach === 0
        const before = yield* box.awaitState("Connected")
        if (withServer) {
          killed += 1
          yield* ProcessTable.signal(expected, "SIGKILL")
        }
        yield* ProcessTable.signal(yield* workstation.masters, "SIGKILL")
        const after = yield* box.awaitState(
          "Connected",
          ({ bootstrapped, since }) => since !== before.since && (!withServer || bootstrapped === "started")
        )
        assert.deepStrictEqual(
          [after.url, after.bootstrapped],
          [first.url, withServer ? "started" : "reused"],
          `round ${round}`
        )
        const now = yield* servers(sshd)
        assert.strictEqual(now.length, 1, `round ${round}`)
        if (!withServer) assert.strictEqual(now[0]?.pid, expected[0]?.pid, `round ${round}`)
        expected = now
      }
    })
  )
  assert.strictEqual(yield* starts(sshd), 1 + killed)
  assert.deepStrictEqual(yield* workFiles(sshd), [])
  yield* box.disconnect
  assert.deepStrictEqual(yield* servers(sshd), expected)
})

/** So many host processes with so many profiles of the same machine each, all of which find no server at the same time. */
export const simultaneous = Effect.fnUntraced(function*(hosts: number, each: number) {
  const sshd = yield* Sshd.make({ config: ["MaxStartups 200"] })
  yield* installStandIn(sshd)
  const client = yield* SshClient.make({ hosts: { box: sshd } })
  const remotePort = yield* Port.free
  const place = yield* HostProcess.makePlace
  const ids = Array.from({ length: each }, (_, index) => `p${index}`)
  const profiles = ids.map((id) => ({
    id: id as Workstation.Fields["id"] & string,
    host: "box",
    sshConfig: client.configFile,
    remotePort,
    bootstrap: persistent
  }))
  yield* neverTwo(
    sshd,
    Effect.gen(function*() {
      const started = yield* Effect.forEach(
        Array.from({ length: hosts }, (_, index) => index),
        // Each with data of its own: a local port is not theirs to share.
        (index) => HostProcess.start(place, profiles, { OPENCODE_SSH_DATA_DIR: `${place.dataDirectory}-${index}` }),
        { concurrency: "unbounded" }
      )
      const lines = yield* Effect.forEach(
        started.flatMap((host) => ids.map((id) => [host, id] as const)),
        ([host, id]) => host.awaitState("Connected", id),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(lines.length, hosts * each)
      assert.strictEqual(lines.filter((line) => line.includes("\"bootstrapped\":\"started\"")).length, 1)
      assert.strictEqual((yield* servers(sshd)).length, 1)
    })
  )
  assert.strictEqual(yield* starts(sshd), 1)
  assert.deepStrictEqual(yield* workFiles(sshd), [])
})
