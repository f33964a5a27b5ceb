import { assert, describe, it } from "@effect/vitest"
import * as Link from "@opencode-ai/ssh-lab/Link"
import * as Namespace from "@opencode-ai/ssh-lab/Namespace"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Context, Duration, Effect, Schedule } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Bootstrap } from "../../src/Bootstrap.ts"
import { ProfileId } from "../../src/Profile.ts"
import { Tunnel } from "../../src/Tunnel.ts"
import * as Machine from "../remote/Machine.ts"
import * as Crash from "./support/Crash.ts"
import * as HostProcess from "./support/HostProcess.ts"
import {
  installStandIn,
  noServer,
  persistent,
  reconnects,
  servers,
  session,
  simultaneous,
  starts,
  workFiles
} from "./support/servers.ts"
import * as Workstation from "./support/Workstation.ts"

const pids = (found: ReadonlyArray<ProcessTable.ProcessInfo>) => found.map(({ pid }) => pid)

describe.skipIf(!Sshd.available)("a server, when the host process is killed", () => {
  const killed = (
    bootstrap: typeof session,
    install: (sshd: Sshd.Sshd) => Effect.Effect<unknown, unknown>
  ) =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make()
      yield* install(sshd)
      const client = yield* SshClient.make({ hosts: { box: sshd } })
      const fields = { host: "box", sshConfig: client.configFile, remotePort: yield* Port.free, bootstrap }
      const place = yield* HostProcess.makePlace
      const host = yield* HostProcess.start(place, fields)
      assert.include(yield* host.awaitState("Connected"), "\"bootstrapped\":\"started\"")
      const running = pids(yield* servers(sshd))
      assert.strictEqual(running.length, 1)
      yield* host.process.kill("SIGKILL")
      return { fields, place, running, sshd }
    })

  it.live.skipIf(!Opencode.available)("ends with lifetime `session`: the real opencode", () =>
    Effect.gen(function*() {
      const { sshd } = yield* killed(session, ({ home }) => Opencode.install(home))
      yield* noServer(sshd)
    }), 60_000)

  it.live("runs on with lifetime `persistent`, and is used again", () =>
    Effect.gen(function*() {
      const { fields, place, running, sshd } = yield* killed(persistent, installStandIn)
      // The sessions have ended, so whatever would have ended it has had its turn.
      yield* Effect.repeat(sshd.processes, {
        schedule: Schedule.spaced("20 millis"),
        until: (found) => !found.some(({ command }) => /^sshd: .*@/.test(command))
      })
      const next = yield* HostProcess.start(place, fields)
      assert.include(yield* next.awaitState("Connected"), "\"bootstrapped\":\"reused\"")
      assert.deepStrictEqual(pids(yield* servers(sshd)), running)
    }))
})

describe.skipIf(!Sshd.available)("a server of lifetime `session`", () => {
  it.live(
    "ends when the link dies without a word, by sshd's ClientAlive; this side can still leave",
    () =>
      Effect.gen(function*() {
        const sshd = yield* Sshd.make({ config: ["ClientAliveInterval 1", "ClientAliveCountMax 2"] })
        yield* installStandIn(sshd)
        const link = yield* Link.make({ to: sshd.port })
        const client = yield* SshClient.make({
          hosts: { box: { sshd, lines: [`Port ${link.port}`] } },
          knownHosts: sshd.hostKeys.map((key) => `[127.0.0.1]:${link.port} ${key.publicKey}`)
        })
        const workstation = yield* Workstation.make()
        const box = yield* workstation.profile({
          host: "box",
          sshConfig: client.configFile,
          remotePort: yield* Port.free,
          bootstrap: session
        })
        yield* box.connected
        assert.strictEqual((yield* servers(sshd)).length, 1)
        yield* link.die
        const [took] = yield* Effect.timed(noServer(sshd))
        assert.isAtLeast(Duration.toMillis(took), 1_000)
        assert.isBelow(Duration.toMillis(took), 10_000)
        yield* Crash.gone(workFiles(sshd))
        const [left] = yield* Effect.timed(box.disconnect)
        assert.isBelow(Duration.toMillis(left), 2_000 + 1_500)
        assert.deepStrictEqual(yield* workstation.sshProcesses, [])
      }),
    60_000
  )
})

describe.skipIf(!Sshd.available)("a persistent server", () => {
  it.live("is one and the same over 20 reconnects, unless it is killed itself", () => reconnects(20, 7), 120_000)

  it.live("is one for 20 bootstraps at the same time, by five host processes", () => simultaneous(5, 4), 120_000)

  it.live(
    "is found although the client that started it was killed on both sides, with the lock in its hand",
    () =>
      Effect.gen(function*() {
        const sshd = yield* Sshd.make()
        yield* installStandIn(sshd, { serve: "slow" })
        const client = yield* SshClient.make({ hosts: { box: sshd } })
        const fields = {
          host: "box",
          sshConfig: client.configFile,
          remotePort: yield* Port.free,
          bootstrap: persistent
        }
        const place = yield* HostProcess.makePlace
        const first = yield* HostProcess.start(place, fields)
        yield* first.process.stdout.waitFor("\"step\":\"waiting\"")
        assert.isTrue((yield* workFiles(sshd)).some((name) => name.startsWith("lock-")))
        const scripts = (yield* sshd.processes).filter(({ command }) => /^(?:\S*\/)?sh -s$/.test(command))
        assert.isNotEmpty(scripts)
        yield* ProcessTable.signal(scripts, "SIGKILL")
        yield* first.process.kill("SIGKILL")
        yield* first.process.exit
        assert.isTrue((yield* workFiles(sshd)).some((name) => name.startsWith("lock-")), "nobody gives it back")

        const second = yield* HostProcess.start(place, fields)
        yield* second.process.stdout.waitFor("\"_tag\":\"Bootstrapping\"")
        yield* Effect.sync(() => Fs.writeFileSync(Path.join(sshd.home, ".opencode/bin/listen"), ""))
        assert.include(yield* second.awaitState("Connected"), "\"bootstrapped\":\"reused\"")
        const [running] = yield* servers(sshd)
        assert.strictEqual(yield* starts(sshd), 1)

        // To start another one takes the lock.
        process.kill(running?.pid ?? 0, "SIGKILL")
        yield* second.process.stdout.waitFor("\"bootstrapped\":\"started\"")
        assert.strictEqual((yield* servers(sshd)).length, 1)
        assert.strictEqual(yield* starts(sshd), 2)
        yield* Crash.gone(workFiles(sshd))
      }),
    60_000
  )
})

/** A machine with a name and a boot of its own, and the HOME of another one, as from a file server. */
const sharing = Effect.fnUntraced(function*(home: string, name: string) {
  const shell = Path.join(yield* TempDirectory.make(), "bash")
  Fs.writeFileSync(
    shell,
    `#!/bin/sh\nexec unshare -u /bin/sh -c 'echo ${name} >/proc/sys/kernel/hostname; exec /bin/bash "$@"' sh "$@"\n`,
    { mode: 0o755 }
  )
  const boot = "/proc/sys/kernel/random/boot_id"
  return yield* Sshd.make({
    loginShell: shell,
    mounts: ["echo 00000000-1111-2222-3333-444444444444 >\"$1/boot\"", Namespace.replaced(boot, "$1/boot")],
    env: { ...Sshd.isolation(home), SHELL: shell }
  })
})

describe.skipIf(!Sshd.available || !Namespace.isRoot())("two machines with one HOME", () => {
  it.live("have a server each, and neither ends, uses or waits for the other's", () =>
    Effect.gen(function*() {
      const here = yield* Sshd.make()
      yield* installStandIn(here)
      const there = yield* sharing(here.home, "there")
      const client = yield* SshClient.make({ hosts: { here, there } })
      const workstation = yield* Workstation.make()
      const profile = Effect.fnUntraced(function*(name: string) {
        return yield* workstation.profile({
          id: ProfileId.make(name),
          host: name,
          sshConfig: client.configFile,
          remotePort: yield* Port.free,
          bootstrap: persistent
        })
      })
      const [a, b] = [yield* profile("here"), yield* profile("there")]
      const state = Path.join(here.home, ".local/state/opencode-ssh")
      const registrations = () => Fs.readdirSync(state).filter((name) => name.endsWith(".json")).sort()

      assert.strictEqual((yield* a.connected).bootstrapped, "started")
      const ofA = pids(yield* servers(here))
      assert.strictEqual((yield* b.connected).bootstrapped, "started")
      // They share the directory in which both are looked for.
      const both = pids(yield* servers(here))
      assert.strictEqual(both.length, 2)
      const names = registrations()
      assert.strictEqual(names.length, 2)
      assert.isTrue(names.some((name) => name.startsWith("server-there-")), names.join())

      yield* Effect.all([a.disconnect, b.disconnect])
      assert.strictEqual((yield* a.connected).bootstrapped, "reused")
      assert.strictEqual((yield* b.connected).bootstrapped, "reused")
      assert.deepStrictEqual(pids(yield* servers(here)), both)

      // A lock of a machine that died is not for the other one to wait for, or to take.
      const [lockOfA] = names.includes("server.json")
        ? [JSON.parse(Fs.readFileSync(Path.join(state, "server.json"), "utf8")).host as string]
        : []
      const lock = Path.join(state, `lock-${lockOfA}`)
      Fs.symlinkSync("another-boot,1,1,aaaa", lock)
      const tunnel = yield* Context.get(workstation.services, Tunnel).open(b.profile.destination)
      const stopped = yield* Context.get(workstation.services, Bootstrap).stop(tunnel)
      assert.deepStrictEqual(both.filter((pid) => pid !== stopped.pid), ofA)
      assert.isTrue(Machine.lives(ofA[0] ?? 0))
      yield* b.awaitState("Connected", ({ bootstrapped }) => bootstrapped === "started")
      assert.strictEqual(Fs.readlinkSync(lock), "another-boot,1,1,aaaa")
      assert.strictEqual((yield* a.state)._tag, "Connected")
      Fs.rmSync(lock)
    }), 90_000)
})
