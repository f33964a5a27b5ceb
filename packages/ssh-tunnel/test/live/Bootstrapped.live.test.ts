import { assert, describe, it } from "@effect/vitest"
import { createOpencodeClient } from "@opencode-ai/sdk"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import type * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Context, Effect, Fiber, HashMap, Option, Redacted, Schedule, Stream } from "effect"
import * as Path from "node:path"
import { Bootstrap } from "../../src/Bootstrap.ts"
import { Connections } from "../../src/Connections.ts"
import { type BootstrapSettings, ProfileId } from "../../src/Profile.ts"
import { Tunnel } from "../../src/Tunnel.ts"
import * as Machine from "../remote/Machine.ts"
import * as Workstation from "./support/Workstation.ts"

const persistent: BootstrapSettings = { enabled: true, lifetime: "persistent" }
const session: BootstrapSettings = { enabled: true, lifetime: "session" }

/** A remote machine on which no server runs, and a connection that may start one there, on a port of its own. */
const machine = Effect.fnUntraced(function*(bootstrap: BootstrapSettings, fields: Partial<Workstation.Fields> = {}) {
  const sshd = yield* Sshd.make()
  const client = yield* SshClient.make({ hosts: { box: sshd } })
  const workstation = yield* Workstation.make()
  const remotePort = yield* Port.free
  const box = yield* workstation.profile({
    host: "box",
    sshConfig: client.configFile,
    remotePort,
    bootstrap,
    ...fields
  })
  return { sshd, client, workstation, box, remotePort }
})

/** Installs a program that behaves as opencode does and starts faster, where opencode's own installer puts it. */
const installStandIn = (sshd: Sshd.Sshd) =>
  Effect.sync(() => Machine.install(Path.join(sshd.home, ".opencode/bin"), { version: "1.18.33" }))

/** The opencode servers on a machine. */
const servers = (sshd: Sshd.Sshd) =>
  Effect.map(sshd.processes, (found) => found.filter(({ command }) => / serve(?: |$)/.test(command)))

const pids = (found: ReadonlyArray<ProcessTable.ProcessInfo>) => found.map(({ pid }) => pid)

/** Waits until no server is left; nobody tells of the end of a process that is not one's own. */
const noServer = (sshd: Sshd.Sshd) =>
  servers(sshd).pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), while: (found) => found.length > 0 }),
    Effect.asVoid
  )

/** The scripts that hold a session there, and do what is to be done at its end. */
const scripts = (sshd: Sshd.Sshd) =>
  Effect.map(sshd.processes, (found) => pids(found.filter(({ command }) => command === "sh -s")))

const kill = (found: ReadonlyArray<ProcessTable.ProcessInfo>) =>
  Effect.sync(() => {
    for (const { pid } of found) process.kill(pid, "SIGKILL")
  })

/** The states of a connection from now on, as words. */
const watch = (workstation: Workstation.Workstation, { id }: Workstation.Connection) =>
  Context.get(workstation.services, Connections).states.pipe(
    Stream.map((states) => Option.getOrUndefined(HashMap.get(states, id))),
    Stream.map((state) => state === undefined ? "" : "step" in state ? `${state._tag} ${state.step}` : state._tag),
    Stream.takeUntil((word) => word === "Connected" || word === "Failed"),
    Stream.runCollect,
    Effect.forkChild({ startImmediately: true })
  )

describe.skipIf(!Sshd.available || !Opencode.available)("no server, and leave to start the real one", () => {
  it.live("it is started once, used again, left running, and ended when that is asked for", () =>
    Effect.gen(function*() {
      const { box, remotePort, sshd, workstation } = yield* machine(persistent)
      yield* Opencode.install(sshd.home)
      const states = yield* watch(workstation, box)

      const first = yield* box.connected
      const { bootstrapped, remotePort: port, secured, serverVersion } = first
      assert.deepStrictEqual(
        { bootstrapped, port, secured, serverVersion },
        { bootstrapped: "started", port: remotePort, secured: true, serverVersion: "1.18.33" }
      )
      assert.strictEqual(yield* sshd.authentications, 1)
      const started = pids(yield* servers(sshd))
      assert.strictEqual(started.length, 1)
      const seen = (yield* Fiber.join(states)).filter((word, index, all) => word !== all[index - 1])
      assert.deepStrictEqual(seen.slice(seen.indexOf("Discovering")), [
        "Discovering",
        "Bootstrapping looking",
        "Bootstrapping starting",
        "Bootstrapping waiting",
        "Discovering",
        "Connected"
      ])

      // Whoever asks the connection gets in, and nobody else.
      const endpoint = Option.getOrThrow(yield* Context.get(workstation.services, Connections).endpoint(box.id))
      const authorization = Redacted.value(Option.getOrThrow(endpoint.credentials).authorization)
      const sdk = createOpencodeClient({ baseUrl: first.url, headers: { authorization }, throwOnError: true })
      assert.strictEqual((yield* Effect.promise(() => sdk.path.get())).data?.directory, sshd.home)
      const stranger = createOpencodeClient({ baseUrl: first.url })
      assert.strictEqual((yield* Effect.promise(() => stranger.path.get())).response?.status, 401)

      yield* box.disconnect
      assert.deepStrictEqual(pids(yield* servers(sshd)), started)
      const second = yield* box.connected
      assert.deepStrictEqual([second.bootstrapped, second.url], ["reused", first.url])
      assert.deepStrictEqual(pids(yield* servers(sshd)), started)
      assert.strictEqual(yield* sshd.authentications, 2)
      yield* box.disconnect

      const stopped = yield* Effect.scoped(Effect.gen(function*() {
        const tunnel = yield* Context.get(workstation.services, Tunnel).open(box.profile.destination)
        return yield* Context.get(workstation.services, Bootstrap).stop(tunnel)
      }))
      assert.deepStrictEqual([stopped.pid], started)
      assert.deepStrictEqual(yield* servers(sshd), [])
    }))

  it.live("with lifetime `session` it ends with the connection", () =>
    Effect.gen(function*() {
      const { box, sshd } = yield* machine(session)
      yield* Opencode.install(sshd.home)
      const { bootstrapped, secured } = yield* box.connected
      assert.deepStrictEqual([bootstrapped, secured], ["started", true])
      assert.strictEqual((yield* servers(sshd)).length, 1)
      assert.strictEqual(yield* sshd.authentications, 1)
      yield* box.disconnect
      yield* noServer(sshd)
    }))
})

describe.skipIf(!Sshd.available)("no server, and leave to start one", () => {
  it.live("on another port than the one that was tried, over the same connection", () =>
    Effect.gen(function*() {
      const port = yield* Port.free
      const { box, sshd, workstation } = yield* machine({ ...persistent, port })
      yield* installStandIn(sshd)
      const connected = yield* box.connected
      assert.deepStrictEqual([connected.remotePort, connected.bootstrapped], [port, "started"])
      assert.strictEqual(yield* sshd.authentications, 1)
      assert.strictEqual((yield* workstation.masters).length, 1)
    }))

  it.live("two sessions share a server, and it ends with the second", () =>
    Effect.gen(function*() {
      const { box, client, remotePort, sshd, workstation } = yield* machine(session)
      yield* installStandIn(sshd)
      yield* box.connected
      const started = pids(yield* servers(sshd))
      const first = yield* scripts(sshd)
      assert.isAbove(first.length, 0)
      const other = yield* workstation.profile({
        id: ProfileId.make("other"),
        host: "box",
        sshConfig: client.configFile,
        remotePort,
        bootstrap: session
      })
      const { bootstrapped, since } = yield* other.connected
      assert.strictEqual(bootstrapped, "reused")
      yield* box.disconnect
      yield* scripts(sshd).pipe(
        Effect.repeat({
          schedule: Schedule.spaced("20 millis"),
          while: (found) => found.some((pid) => first.includes(pid))
        })
      )
      assert.deepStrictEqual(pids(yield* servers(sshd)), started)
      assert.strictEqual((yield* other.awaitState("Connected")).since, since)
      yield* other.disconnect
      yield* noServer(sshd)
    }))

  it.live("a session that is cut takes its server along; the next one has another", () =>
    Effect.gen(function*() {
      const { box, sshd } = yield* machine(session)
      yield* installStandIn(sshd)
      const before = yield* box.connected
      const [first] = pids(yield* servers(sshd))
      // It may be back before the last of the old sessions is gone.
      const losing = yield* Effect.forkChild(box.awaitState("Reconnecting"), { startImmediately: true })
      yield* sshd.dropSessions
      const lost = yield* Fiber.join(losing)
      assert.strictEqual(lost.error.reason._tag, "ConnectionLost")
      const after = yield* box.awaitState("Connected")
      assert.deepStrictEqual([after.url, after.bootstrapped], [before.url, "started"])
      const left = pids(yield* servers(sshd))
      assert.strictEqual(left.length, 1)
      assert.notStrictEqual(left[0], first)
    }))

  it.live("a server that was killed is started again, behind the same URL and without a new login", () =>
    Effect.gen(function*() {
      const { box, sshd } = yield* machine(persistent)
      yield* installStandIn(sshd)
      const before = yield* box.connected
      const killed = yield* servers(sshd)
      yield* kill(killed)
      yield* box.awaitState("Reconnecting")
      const after = yield* box.awaitState("Connected")
      assert.deepStrictEqual([after.url, after.bootstrapped], [before.url, "started"])
      assert.notDeepEqual(pids(yield* servers(sshd)), pids(killed))
      assert.strictEqual(yield* sshd.authentications, 1)
    }))

  it.live("but never beside a stranger's: one without a password is used, one with a password stands", () =>
    Effect.gen(function*() {
      const { box, remotePort, sshd } = yield* machine(persistent)
      yield* installStandIn(sshd)
      const stranger = yield* FakeServer.http(FakeServer.v1("1.17.0"), { port: remotePort })
      const connected = yield* box.connected
      assert.deepStrictEqual([connected.bootstrapped, connected.serverVersion], [false, "1.17.0"])
      yield* box.disconnect
      yield* stranger.setRoutes(FakeServer.guarded("opencode", "unknown to us", FakeServer.v1("1.17.0")))
      const error = yield* Effect.flip(box.connected)
      assert.strictEqual(error.reason._tag, "Unauthorized")
      assert.deepStrictEqual(yield* servers(sshd), [])
    }))

  it.live("but no opencode: says where it was looked for", () =>
    Effect.gen(function*() {
      const { box, sshd } = yield* machine(persistent)
      const error = yield* Effect.flip(box.connected)
      if (error.reason._tag !== "OpencodeNotFound") return assert.fail(String(error))
      assert.isTrue(error.reason.searched.some((path) => path.startsWith(`${sshd.home}/.opencode/bin`)))
      assert.isFalse(error.retryable)
    }))
})
