import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Duration, Effect, Layer, Option, Schedule } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { LocalHost } from "../../src/LocalHost.ts"
import { layerPlatform, layerPlatformWith } from "../../src/node/index.ts"
import { RuntimeDirectory } from "../../src/RuntimeDirectory.ts"
import * as HostProcess from "./support/HostProcess.ts"
import * as Workstation from "./support/Workstation.ts"

/** How long a busy machine may take for what costs an idle one some milliseconds. */
const slack = 1_500

const machine = Effect.gen(function*() {
  const sshd = yield* Sshd.make()
  const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
  const client = yield* SshClient.make({ hosts: { box: sshd } })
  return { sshd, fields: { host: "box", sshConfig: client.configFile, remotePort: server.port } }
})

/** A program in the place of ssh that does this instead of connecting. */
const insteadOfSsh = Effect.fnUntraced(function*(script: string) {
  const binary = Path.join(yield* TempDirectory.make(), "ssh")
  Fs.writeFileSync(binary, `#!/bin/sh\ncase $1 in -V) exec ssh -V ;; esac\n${script}\n`, { mode: 0o755 })
  return binary
})

/** ssh leaves SIGTERM ignored where it was before. */
const deaf = insteadOfSsh("trap '' TERM\nexec ssh \"$@\"")

const isSsh = ({ command }: ProcessTable.ProcessInfo): boolean => /^(?:\S*\/)?ssh /.test(command)

const identify = (pid: number) =>
  Effect.gen(function*() {
    const host = yield* LocalHost
    return Option.getOrThrow(yield* host.identify(pid))
  }).pipe(Effect.provide(layerPlatform))

/** Waits until `find` finds nothing; returns how long that took, in milliseconds. */
const gone = <A>(find: Effect.Effect<ReadonlyArray<A>>) =>
  find.pipe(
    Effect.repeat({ schedule: Schedule.spaced("5 millis"), while: (found) => found.length > 0 }),
    Effect.timed,
    Effect.map(([took]) => Duration.toMillis(took))
  )

describe.skipIf(!Sshd.available)("an ssh that ignores SIGTERM", () => {
  const killAfter = Duration.millis(700)

  it.live("is gone soon after `killAfter`, with its port", () =>
    Effect.gen(function*() {
      const { fields } = yield* machine
      const workstation = yield* Workstation.make({
        environment: { OPENCODE_SSH_BINARY: yield* deaf },
        timing: { killAfter }
      })
      const box = yield* workstation.profile(fields)
      yield* box.connected
      const [took] = yield* Effect.timed(box.disconnect)
      assert.deepStrictEqual(yield* workstation.sshProcesses, [])
      assert.isAtLeast(Duration.toMillis(took), 700)
      assert.isBelow(Duration.toMillis(took), 700 + slack)
    }))

  it.live("is gone as well while it connects, with its children", () =>
    Effect.gen(function*() {
      const { fields } = yield* machine
      const binary = yield* insteadOfSsh("trap '' TERM\necho deaf >&2\nsleep 1000 & while :; do sleep 1000; done")
      const workstation = yield* Workstation.make({
        environment: { OPENCODE_SSH_BINARY: binary },
        timing: { killAfter }
      })
      const box = yield* workstation.profile(fields)
      yield* box.connect
      const children = Effect.map(
        ProcessTable.find({ ancestor: process.pid }),
        (found) => found.filter(({ command }) => command === "sleep 1000")
      )
      yield* Effect.repeat(children, { schedule: Schedule.spaced("5 millis"), until: (found) => found.length === 2 })
      const [took] = yield* Effect.timed(box.disconnect)
      assert.isBelow(Duration.toMillis(took), 700 + slack)
      assert.deepStrictEqual(yield* children, [])
      assert.strictEqual((yield* box.state)._tag, "Disconnected")
    }))
})

describe.skipIf(!Sshd.available)("an ssh that is ended", () => {
  const killAfter = Duration.millis(700)

  it.live("while it is stopped: is gone soon after `killAfter`, with its port", () =>
    Effect.gen(function*() {
      const { fields } = yield* machine
      const workstation = yield* Workstation.make({ timing: { killAfter } })
      const box = yield* workstation.profile(fields)
      const { localPort } = yield* box.connected
      yield* ProcessTable.signal(yield* workstation.masters, "SIGSTOP")
      const [took] = yield* Effect.timed(box.disconnect)
      assert.deepStrictEqual(yield* workstation.sshProcesses, [])
      assert.isAtLeast(Duration.toMillis(took), 700)
      assert.isBelow(Duration.toMillis(took), 700 + slack)
      assert.isFalse(yield* Port.isListening(localPort))
    }))

  it.live("while it waits for the banner of a jump host: the jump host's ssh is gone as well", () =>
    Effect.gen(function*() {
      const { sshd } = yield* machine
      const silent = yield* FakeServer.tcp(() => {})
      const client = yield* SshClient.make({
        hosts: { jump: { sshd, lines: [`Port ${silent.port}`] }, box: { sshd, lines: ["ProxyJump jump"] } }
      })
      const workstation = yield* Workstation.make({ timing: { killAfter } })
      const box = yield* workstation.profile({ host: "box", sshConfig: client.configFile })
      yield* box.connect
      yield* silent.awaitOpenConnections(1)
      assert.isAtLeast((yield* workstation.sshProcesses).length, 2)
      const [took] = yield* Effect.timed(box.disconnect)
      assert.deepStrictEqual(yield* workstation.sshProcesses, [])
      assert.isBelow(Duration.toMillis(took), 700 + slack)
      yield* silent.awaitOpenConnections(0)
    }))
})

describe.skipIf(!Sshd.available)("a host process that is killed", () => {
  it.live("leaves no ssh and no directory", () =>
    Effect.gen(function*() {
      const { fields } = yield* machine
      const place = yield* HostProcess.makePlace
      const host = yield* HostProcess.start(place, fields)
      yield* host.awaitState("Connected")
      assert.strictEqual((yield* place.processes).filter(isSsh).length >= 1, true)
      yield* host.process.kill("SIGKILL")
      assert.isBelow(yield* gone(Effect.map(place.processes, (found) => found.filter(isSsh))), 1_000)
      yield* gone(place.runtimeDirectories)
      yield* gone(place.processes)
    }))

  it.live("leaves no ssh that ignores SIGTERM, and no jump host's", () =>
    Effect.gen(function*() {
      const { sshd: target } = yield* machine
      const jump = yield* Sshd.make()
      const client = yield* SshClient.make({ hosts: { jump, box: { sshd: target, lines: ["ProxyJump jump"] } } })
      const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
      const place = yield* HostProcess.makePlace
      const fields = { host: "box", sshConfig: client.configFile, remotePort: server.port }
      const host = yield* HostProcess.start(place, fields, { OPENCODE_SSH_BINARY: yield* deaf })
      yield* host.awaitState("Connected")
      assert.isAtLeast((yield* place.processes).filter(isSsh).length, 2)
      yield* host.process.kill("SIGKILL")
      // The reaper waits half a second between asking and killing.
      assert.isBelow(yield* gone(Effect.map(place.processes, (found) => found.filter(isSsh))), 500 + slack)
      yield* gone(place.runtimeDirectories)
    }))
})

it.live.skipIf(process.platform !== "linux")(
  "a process that is dead, but not yet for its parent, counts as ended",
  () =>
    Effect.gen(function*() {
      const host = yield* LocalHost
      // sleep never asks for the end of the child that it inherits from sh.
      const parent = yield* Process.spawn("sh", ["-c", "setsid sh -c 'echo $$' & exec sleep 1000"])
      const child = Number(yield* parent.stdout.waitFor(/^\d+$/))
      yield* Effect.repeat(host.isGroupAlive(child), {
        schedule: Schedule.spaced("5 millis"),
        while: (isAlive) => isAlive
      })
      assert.isTrue(process.kill(-child, 0), "the system still has it")
      assert.isTrue(Option.isNone(yield* host.identify(child)))
      assert.isTrue(yield* host.isGroupAlive(parent.pid))
      yield* parent.stop
      assert.isFalse(yield* host.isGroupAlive(parent.pid))
    }).pipe(Effect.provide(layerPlatform))
)

describe.skipIf(!Sshd.available)("what a crash has left", () => {
  /** A process group that lives for as long as the test. */
  const group = Process.spawn("sleep", ["1000"])

  /** A process that has ended. */
  const dead = Effect.gen(function*() {
    const process = yield* Process.spawn("sleep", ["1000"])
    const identity = yield* identify(process.pid)
    yield* process.stop
    return identity
  })

  type Identity = Effect.Success<ReturnType<typeof identify>>

  /** A runtime directory with its owner and the process groups that it had started. */
  const plant = (base: string, name: string, owner: Identity, groups: ReadonlyArray<Identity>) =>
    Effect.sync(() => {
      const directory = Path.join(base, `opencode-ssh-run-${name}`)
      Fs.mkdirSync(directory, { mode: 0o700 })
      Fs.writeFileSync(Path.join(directory, "owner.json"), JSON.stringify(owner))
      for (const leader of groups) {
        Fs.writeFileSync(Path.join(directory, `group-${leader.pid}.json`), JSON.stringify(leader))
      }
      return directory
    })

  /** Sweeps as a host does that starts. */
  const sweep = (base: string) =>
    Effect.flatMap(RuntimeDirectory, ({ sweep }) => sweep).pipe(
      Effect.provide(RuntimeDirectory.layer.pipe(
        Layer.provide(layerPlatformWith({ environment: { XDG_RUNTIME_DIR: base }, temporaryDirectory: base }))
      ))
    )

  const isAlive = (process: Process.Process) =>
    Effect.map(
      ProcessTable.find({ ancestor: globalThis.process.pid }),
      (found) => found.some(({ pid }) => pid === process.pid)
    )

  it.live("is ended and removed by the next host that starts", () =>
    Effect.gen(function*() {
      const { fields } = yield* machine
      const left = yield* group
      const place = yield* HostProcess.makePlace
      const directory = yield* plant(place.runtimeBase, "crash1", yield* dead, [yield* identify(left.pid)])
      yield* HostProcess.start(place, fields)
      const exit = yield* left.exit
      assert.strictEqual(exit.signal, "SIGTERM")
      yield* gone(Effect.sync(() => Fs.existsSync(directory) ? [directory] : []))
    }))

  it.live("but only what the crashed process has started, and nothing of one that lives", () =>
    Effect.gen(function*() {
      const base = yield* TempDirectory.make()
      const [ours, reusedPid, ofLiving] = yield* Effect.all([group, group, group])
      const identities = yield* Effect.forEach([ours, reusedPid, ofLiving], ({ pid }) => identify(pid))
      const [first, second, third] = identities as [Identity, Identity, Identity]
      const stranger = { ...second, startTime: `${second.startTime}0` }
      const crashed = yield* plant(base, "crash1", yield* dead, [first, stranger])
      // The pid lives, but it is somebody else's by now.
      const reused = yield* plant(base, "reused", stranger, [])
      const living = yield* plant(base, "living", yield* identify(process.pid), [third])
      const elsewhere = yield* TempDirectory.make()
      const target = yield* plant(elsewhere, "target", yield* dead, [second])
      Fs.symlinkSync(target, Path.join(base, "opencode-ssh-run-linked"))
      Fs.mkdirSync(Path.join(base, "opencode-ssh-run-making"), { mode: 0o700 })
      Fs.writeFileSync(Path.join(base, "opencode-ssh-run-a-file"), "")
      yield* plant(base, "other-name", yield* dead, [second])
      Fs.chmodSync(yield* plant(base, "shared", yield* dead, [second]), 0o755)

      yield* sweep(base)

      assert.strictEqual((yield* ours.exit).signal, "SIGTERM")
      assert.isTrue(yield* isAlive(reusedPid))
      assert.isTrue(yield* isAlive(ofLiving))
      assert.isFalse(Fs.existsSync(crashed))
      assert.isFalse(Fs.existsSync(reused))
      assert.isTrue(Fs.existsSync(Path.join(living, "owner.json")))
      assert.isTrue(Fs.existsSync(Path.join(target, "owner.json")))
      assert.deepStrictEqual(
        Fs.readdirSync(base).map((name) => name.replace("opencode-ssh-run-", "")).sort(),
        ["a-file", "linked", "living", "making", "other-name", "shared"]
      )
    }))
})
