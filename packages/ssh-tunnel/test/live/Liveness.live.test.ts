import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import type * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Clock, Context, Duration, Effect, Option, Redacted, Ref, Schedule } from "effect"
import * as Http from "node:http"
import * as Path from "node:path"
import { Connections } from "../../src/Connections.ts"
import { Credentials } from "../../src/Credentials.ts"
import { CredentialStore } from "../../src/CredentialStore.ts"
import type { Timings } from "../../src/Schedules.ts"
import * as Machine from "../remote/Machine.ts"
import * as Workstation from "./support/Workstation.ts"

/** Nobody probes unless asked to, so that what is noticed is noticed by something else. */
const quiet: Partial<Timings> = { healthInterval: Duration.minutes(10) }

/** The probes of a minute in a second. */
const hasty: Partial<Timings> = {
  healthInterval: Duration.millis(300),
  healthTimeout: Duration.millis(500),
  discovery: Duration.seconds(1),
  retryAfter: Duration.millis(100)
}

const v1 = FakeServer.v1("1.18.33")
const session = { enabled: true, lifetime: "persistent" } as const

interface Options {
  readonly timing?: Partial<Timings>
  readonly fields?: Partial<Workstation.Fields>
  readonly environment?: Readonly<Record<string, string>>
}

/** An sshd with an account, and a workstation that knows it as `box`. */
const machines = Effect.fnUntraced(function*({ environment = {}, fields = {}, timing = quiet }: Options = {}) {
  const sshd = yield* Sshd.make()
  // A stopped process would not take the signal that ends it.
  yield* Effect.addFinalizer(() => sshd.thaw)
  const client = yield* SshClient.make({ hosts: { box: sshd } })
  const workstation = yield* Workstation.make({ timing, environment })
  const box = yield* workstation.profile({ host: "box", sshConfig: client.configFile, ...fields })
  return { sshd, client, workstation, box, connections: Context.get(workstation.services, Connections) }
})

/** The same, connected to a server that costs nothing. */
const connected = Effect.fnUntraced(function*(options: Options = {}) {
  const server = yield* FakeServer.http(v1)
  const all = yield* machines({ ...options, fields: { remotePort: server.port, ...options.fields } })
  const before = yield* all.box.connected
  return { ...all, server, before, master: yield* masterOf(all.workstation) }
})

const masterOf = (workstation: Workstation.Workstation) => Effect.map(workstation.masters, ([master]) => master?.pid)

/** What a request to the URL gets: a status, or the error's code. It may take a second. */
const request = (url: string) =>
  Effect.callback<number | string>((resume) => {
    const outgoing = Http.get(`${url}/global/health`, { agent: false }, (response) => {
      response.resume()
      resume(Effect.succeed(response.statusCode ?? 0))
    })
    outgoing.on("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? error.message)))
    return Effect.sync(() => outgoing.destroy())
  }).pipe(Effect.timeoutOrElse({ duration: "1 second", orElse: () => Effect.succeed("hangs") }))

/**
 * The health requests that a server has seen, as soon as there are so many: the first is discovery's, the second's
 * connection stays.
 */
const healthRequests = (server: FakeServer.FakeServer, count: number) =>
  Effect.map(server.requests, (all) => all.filter(({ url }) => url === "/global/health")).pipe(
    Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (found) => found.length >= count })
  )

/** A server like opencode, started by bootstrap: its process. */
const standIn = (sshd: Sshd.Sshd) =>
  Effect.sync(() => Machine.install(Path.join(sshd.home, ".opencode/bin"), { version: "1.18.33" }))

const serversOf = (sshd: Sshd.Sshd) =>
  Effect.map(sshd.processes, (found) => found.filter(({ command }) => / serve(?: |$)/.test(command)))

const signal = (found: ReadonlyArray<ProcessTable.ProcessInfo>, name: NodeJS.Signals) =>
  Effect.sync(() => {
    for (const { pid } of found) process.kill(pid, name)
  })

describe.skipIf(!Sshd.available)("four deaths", () => {
  it.live("ssh died: noticed by its end; requests are refused until it is back under the same URL", () =>
    Effect.gen(function*() {
      const { before, box, master, sshd, workstation } = yield* connected()
      yield* sshd.stop
      const lost = yield* box.awaitState("Reconnecting", ({ attempt }) => attempt > 1)
      assert.strictEqual(lost.url, before.url)
      assert.strictEqual(yield* request(before.url), "ECONNREFUSED")
      assert.deepStrictEqual(yield* workstation.sshProcesses, [])
      yield* sshd.start
      const after = yield* box.awaitState("Connected")
      assert.strictEqual(after.url, before.url)
      assert.strictEqual(yield* request(after.url), 200)
      assert.notStrictEqual(yield* masterOf(workstation), master)
    }))

  it.live("the server died: noticed by the end of an idle connection, and ssh stays", () =>
    Effect.gen(function*() {
      const { before, box, master, server, sshd, workstation } = yield* connected()
      yield* healthRequests(server, 2)
      yield* server.stop
      const lost = yield* box.awaitState("Reconnecting", ({ attempt }) => attempt > 2)
      assert.strictEqual(lost.error.reason._tag, "NothingListening")
      assert.include(["ECONNREFUSED", "ECONNRESET"], yield* request(before.url))
      yield* FakeServer.http(v1, { port: server.port })
      const after = yield* box.awaitState("Connected")
      assert.strictEqual(after.url, before.url)
      assert.strictEqual(yield* request(after.url), 200)
      assert.strictEqual(yield* masterOf(workstation), master)
      assert.strictEqual(yield* sshd.authentications, 1)
    }))

  it.live("a server of ours died: another is started, through the same ssh", () =>
    Effect.gen(function*() {
      const remotePort = yield* Port.free
      const { box, sshd, workstation } = yield* machines({ fields: { remotePort, bootstrap: session } })
      yield* standIn(sshd)
      const before = yield* box.connected
      const master = yield* masterOf(workstation)
      const first = yield* serversOf(sshd)
      yield* signal(first, "SIGKILL")
      const after = yield* box.awaitState("Connected", ({ since }) => since !== before.since)
      assert.deepStrictEqual([after.bootstrapped, after.url], ["started", before.url])
      assert.strictEqual(yield* masterOf(workstation), master)
      assert.notDeepEqual((yield* serversOf(sshd)).map(({ pid }) => pid), first.map(({ pid }) => pid))
      assert.strictEqual(yield* sshd.authentications, 1)
    }))

  it.live("the server hangs: noticed by probes; requests are refused until it answers again, and ssh stays", () =>
    Effect.gen(function*() {
      const remotePort = yield* Port.free
      const { box, sshd, workstation } = yield* machines({
        timing: hasty,
        fields: { remotePort, bootstrap: session }
      })
      yield* standIn(sshd)
      const before = yield* box.connected
      const master = yield* masterOf(workstation)
      const hung = yield* serversOf(sshd)
      yield* Effect.acquireRelease(signal(hung, "SIGSTOP"), () => Effect.ignore(signal(hung, "SIGCONT")))
      const lost = yield* box.awaitState("Reconnecting", ({ attempt }) => attempt > 2)
      assert.strictEqual(lost.error.reason._tag, "NoAnswer")
      assert.strictEqual(yield* request(before.url), "ECONNREFUSED")
      yield* signal(hung, "SIGCONT")
      const after = yield* box.awaitState("Connected")
      assert.deepStrictEqual([after.bootstrapped, after.url], ["reused", before.url])
      assert.strictEqual(yield* masterOf(workstation), master)
      assert.deepStrictEqual((yield* serversOf(sshd)).map(({ pid }) => pid), hung.map(({ pid }) => pid))
      assert.strictEqual(yield* sshd.authentications, 1)
    }))

  it.live("the link is dead without a word, and the host says that the network changed: dropped and made anew", () =>
    Effect.gen(function*() {
      const { before, box, connections, master, sshd, workstation } = yield* connected({
        timing: {
          ...quiet,
          healthTimeout: Duration.millis(300),
          control: Duration.seconds(2),
          retryAtMost: Duration.seconds(1)
        }
      })
      yield* sshd.freeze
      yield* connections.networkChanged
      const lost = yield* box.awaitState("Reconnecting")
      assert.strictEqual(lost.error.reason._tag, "ConnectionLost")
      yield* sshd.thaw
      const after = yield* box.awaitState("Connected")
      assert.strictEqual(after.url, before.url)
      assert.notStrictEqual(yield* masterOf(workstation), master)
    }))
})

describe.skipIf(!Sshd.available)("a connection that lives", () => {
  it.live("is probed after a wake-up and kept: one small request, without a password", () =>
    Effect.gen(function*() {
      const slept = yield* Ref.make(0)
      const clock = yield* Clock.Clock
      const wall = Effect.zipWith(clock.currentTimeMillis, Ref.get(slept), (now, offset) => now + offset)
      yield* Effect.gen(function*() {
        const { before, box, master, server, workstation } = yield* connected({
          timing: { ...quiet, wakeUpInterval: Duration.millis(100), wakeUpJump: Duration.minutes(1) }
        })
        yield* healthRequests(server, 2)
        yield* Ref.set(slept, Duration.toMillis("8 hours"))
        const [, , probe, ...more] = yield* healthRequests(server, 3)
        assert.deepInclude(probe, { method: "GET", url: "/global/health" })
        assert.isUndefined(probe?.headers.authorization)
        assert.isEmpty(more)
        assert.deepStrictEqual(yield* box.state, before)
        assert.strictEqual(yield* masterOf(workstation), master)
      }).pipe(Effect.provideService(Clock.Clock, Object.create(clock, { currentTimeMillis: { value: wall } })))
    }))

  it.live.skipIf(!Opencode.available)(
    "the real server keeps the idle connection also when it has asked for a password",
    () =>
      Effect.gen(function*() {
        const password = Redacted.make("not for probes")
        const server = yield* Opencode.serve({ port: yield* Port.free, password: Redacted.value(password) })
        const { box, connections, workstation } = yield* machines({ fields: { remotePort: server.port } })
        yield* Context.get(workstation.services, CredentialStore).set(
          box.id,
          new Credentials({ username: "opencode", password })
        )
        const before = yield* box.connected
        assert.isTrue(before.secured)
        for (let round = 0; round < 3; round++) yield* connections.networkChanged
        const master = yield* masterOf(workstation)
        yield* server.kill("SIGKILL")
        const lost = yield* box.awaitState("Reconnecting")
        assert.strictEqual(lost.error.reason._tag, "NothingListening")
        assert.strictEqual(yield* masterOf(workstation), master)
      })
  )
})

describe.skipIf(!Sshd.available)("the URL", () => {
  it.live("a stranger took the port while we were away: another one is published, and the state says so", () =>
    Effect.gen(function*() {
      const { before, box, sshd } = yield* connected({ timing: { ...quiet, retryAtMost: Duration.seconds(1) } })
      yield* sshd.stop
      yield* box.awaitState("Reconnecting", ({ attempt }) => attempt > 1)
      const stranger = yield* FakeServer.http({ "*": FakeServer.html }, { port: before.localPort })
      yield* sshd.start
      const after = yield* box.awaitState("Connected")
      assert.strictEqual(after.movedFrom, before.localPort)
      assert.notStrictEqual(after.localPort, before.localPort)
      assert.strictEqual(yield* request(after.url), 200)
      assert.deepStrictEqual(yield* stranger.requests, [])
    }))

  it.live("is the same after the application was started again, even when it ended a moment after it was connected", () =>
    Effect.gen(function*() {
      const data = yield* TempDirectory.make()
      const server = yield* FakeServer.http(v1)
      const url = Effect.scoped(Effect.gen(function*() {
        const { box } = yield* machines({
          fields: { remotePort: server.port },
          environment: { OPENCODE_SSH_DATA_DIR: data }
        })
        const { movedFrom, url } = yield* box.connected
        assert.isUndefined(movedFrom)
        return url
      }))
      assert.strictEqual(yield* url, yield* url)
    }))
})

describe.skipIf(!Sshd.available)("a stranger on the remote port", () => {
  it.live("gets no password after a reconnect: neither that of the server that was ours there, nor any", () =>
    Effect.gen(function*() {
      const remotePort = yield* Port.free
      const { box, connections, sshd } = yield* machines({ fields: { remotePort, bootstrap: session } })
      yield* standIn(sshd)
      yield* box.connected
      const { credentials } = Option.getOrThrow(yield* connections.endpoint(box.id))
      assert.isTrue(Option.isSome(credentials))
      yield* sshd.stop
      yield* box.awaitState("Reconnecting", ({ attempt }) => attempt > 1)
      yield* signal(yield* serversOf(sshd), "SIGKILL")
      // Nobody tells of the end of a process that is not one's own.
      yield* Effect.repeat(Port.isListening(remotePort), {
        schedule: Schedule.spaced("10 millis"),
        until: (isListening) => !isListening
      })
      const stranger = yield* FakeServer.http(FakeServer.guarded("opencode", "something else", v1), {
        port: remotePort
      })
      yield* sshd.start
      const { error } = yield* box.awaitState("Failed")
      assert.strictEqual(error.reason._tag, "Unauthorized")
      const seen = yield* stranger.requests
      assert.isNotEmpty(seen)
      assert.deepStrictEqual(seen.filter(({ headers }) => headers.authorization !== undefined), [])
    }))
})
