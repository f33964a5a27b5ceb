/** The kill-at-random run: 20 times in the live suite, hundreds of times in the soak. */
import { assert } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Effect, Option } from "effect"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import { LocalHost } from "../../../src/LocalHost.ts"
import { layerPlatform } from "../../../src/node/index.ts"
import * as Crash from "./Crash.ts"
import * as HostProcess from "./HostProcess.ts"

const identify = (pid: number) =>
  Effect.provide(
    Effect.flatMap(LocalHost, (host) => Effect.map(host.identify(pid), Option.getOrThrow)),
    layerPlatform
  )

/**
 * What looks like ours and is not: a process whose number stands in the records of a crashed host, with another start
 * time; and a socket where those of our masters are.
 */
const strangers = Effect.fnUntraced(function*(place: HostProcess.Place) {
  const sleeper = yield* Process.spawn("sleep", ["1000"])
  const dead = yield* Process.spawn("sleep", ["1000"])
  const owner = yield* identify(dead.pid)
  yield* dead.stop
  const crashed = Path.join(place.runtimeBase, "opencode-ssh-run-crash0")
  Fs.mkdirSync(crashed, { mode: 0o700 })
  Fs.writeFileSync(Path.join(crashed, "owner.json"), JSON.stringify(owner))
  const { pid, startTime } = yield* identify(sleeper.pid)
  Fs.writeFileSync(Path.join(crashed, `group-${pid}.json`), JSON.stringify({ pid, startTime: `${startTime}0` }))

  const socket = Path.join(place.runtimeBase, "s")
  yield* Effect.acquireRelease(
    Effect.callback<Net.Server>((resume) => {
      const server = Net.createServer().listen(socket, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.callback((resume) => void server.close(() => resume(Effect.void)))
  )
  return {
    crashed,
    areThere: Effect.gen(function*() {
      assert.deepStrictEqual(yield* identify(pid), { pid, startTime }, "a stranger's process")
      assert.isTrue(Fs.statSync(socket).isSocket(), "a stranger's socket")
    })
  }
})

/** Kills so many hosts, several at once, and then starts one more, which has to tidy up. */
export const killAtRandom = Effect.fnUntraced(function*(count: number) {
  const seed = Crash.seedOfRun()
  console.log(`kill at random: ${count} times, OPENCODE_SSH_TEST_SEED=${seed}`)
  const sshd = yield* Sshd.make({ config: ["MaxStartups 100"] })
  const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
  const client = yield* SshClient.make({ hosts: { box: sshd } })
  const fields = { host: "box", sshConfig: client.configFile, remotePort: server.port }
  const place = yield* HostProcess.makePlace
  const others = yield* strangers(place)
  const typical = yield* Crash.measure(place, fields)
  const moments = Array.from({ length: count }, (_, n) => Crash.draw(seed, n))
  const times = yield* Effect.forEach(
    moments,
    (moment) => Crash.killAt(place, fields, moment, typical),
    { concurrency: 4 }
  )
  yield* Crash.gone(place.processes)
  yield* others.areThere

  const next = yield* HostProcess.start(place, fields, {}, { timing: { unsignedDirectory: 0 } })
  yield* next.awaitState("Connected")
  const [own] = yield* next.masters
  const directory = own === undefined ? "" : Path.basename(Fs.readlinkSync(`/proc/${own.pid}/cwd`))
  yield* Crash.gone(
    Effect.map(place.runtimeDirectories, (names) => names.filter((name) => ![directory, "s"].includes(name)))
  )
  assert.isFalse(Fs.existsSync(others.crashed))
  yield* others.areThere
  console.log(`the last of them was gone after ${Math.round(Math.max(...times))} ms`)
  return Math.max(...times)
})
