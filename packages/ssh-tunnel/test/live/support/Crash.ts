/** Hosts that are killed at random moments of their connections' lives, and what must be true a second later. */
import { assert } from "@effect/vitest"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import { Effect, Fiber, Ref, Schedule } from "effect"
import * as Fs from "node:fs"
import * as HostProcess from "./HostProcess.ts"
import type { Fields } from "./Workstation.ts"

/** Numbers of [0, 1) that are the same each time for the same seed (mulberry32). */
export const random = (seed: number): () => number => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** The seed of a run: `OPENCODE_SSH_TEST_SEED` repeats one. */
export const seedOfRun = (): number =>
  Number(process.env["OPENCODE_SSH_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31))

const phases = ["start", "connect", "connected", "reconnect", "disconnect"] as const
export type Phase = (typeof phases)[number]

/** When and whom to kill; `fraction` is a point in the time that the phase usually takes, and a little more. */
export interface Moment {
  readonly seed: number
  readonly phase: Phase
  readonly fraction: number
  readonly runtime: "node" | "bun"
}

/** The n-th moment of a run: phases in turn, everything else by the seed; one host in five runs on Bun. */
export const draw = (seed: number, n: number): Moment => {
  const next = random(seed + n)
  return {
    seed: seed + n,
    phase: phases[n % phases.length] ?? "start",
    fraction: next() * 1.2,
    runtime: next() < 0.2 ? "bun" : "node"
  }
}

/** How long the phases take on this machine, in milliseconds. */
export type Typical = Readonly<Record<Phase, number>>

/**
 * How much later than asked for the timers of this process fire while an effect runs, in sum: on a machine with more to
 * do than it can, everybody's second is longer.
 */
const withLateness = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const late = yield* Ref.make(0)
    const step = 20
    const meter = yield* Effect.suspend(() => {
      const begun = performance.now()
      return Effect.andThen(
        Effect.sleep(step),
        Effect.suspend(() => Ref.update(late, (sum) => sum + Math.max(0, performance.now() - begun - step - 5)))
      )
    }).pipe(Effect.forever, Effect.forkChild({ startImmediately: true }))
    const value = yield* effect
    yield* Fiber.interrupt(meter)
    return [value, yield* Ref.get(late)] as const
  })

/** Waits until `find` finds nothing; milliseconds, without those that the machine was busy elsewhere. */
export const gone = <A, E>(find: Effect.Effect<ReadonlyArray<A>, E>) =>
  Effect.gen(function*() {
    const begun = performance.now()
    const [, late] = yield* withLateness(
      Effect.repeat(find, { schedule: Schedule.spaced("10 millis"), while: (found) => found.length > 0 })
    )
    return Math.max(0, performance.now() - begun - late)
  })

/** Nothing of ours may be there any more after so long (milliseconds). */
export const limit = 1_000

const words = ({ fraction, phase, runtime, seed }: Moment) =>
  `seed ${seed}: ${phase} at ${fraction.toFixed(2)}, ${runtime}`

/** The reaper, and the `sleep` with which it waits. */
const isReaper = (command: string): boolean => command.includes("opencode-ssh-reaper") || command === "sleep 0.5"

const variable = "OPENCODE_SSH_TEST_HOST"

const read = (file: string) => {
  try {
    return Fs.readFileSync(file, "latin1")
  } catch {
    return ""
  }
}

/** The processes that listen on a port, by their environment. */
const listenersOn = (port: number): ReadonlyArray<string> => {
  const hex = port.toString(16).toUpperCase().padStart(4, "0")
  const inode = read("/proc/net/tcp").split("\n").map((line) => line.trim().split(/\s+/)).find((fields) =>
    fields[1]?.endsWith(`:${hex}`) && fields[3] === "0A"
  )?.[9]
  return Fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const sockets = Fs.readdirSync(`/proc/${pid}/fd`).map((fd) => Fs.readlinkSync(`/proc/${pid}/fd/${fd}`))
      return sockets.includes(`socket:[${inode}]`) ? [`${port}: ${pid} ${read(`/proc/${pid}/environ`)}`] : []
    } catch {
      return []
    }
  })
}

/** Starts a host, brings it to the moment, and kills it; then looks. */
export const killAt = Effect.fnUntraced(
  function*(place: HostProcess.Place, fields: Fields, moment: Moment, typical: Typical) {
    const at = words(moment)
    // Hosts that share their data would share their local port as well.
    const environment = { [variable]: at, OPENCODE_SSH_DATA_DIR: `${place.dataDirectory}-${moment.seed}` }
    const host = yield* HostProcess.start(place, fields, environment, { runtime: moment.runtime })
    const { phase } = moment
    if (phase === "connect") yield* host.awaitState("Connecting")
    if (phase === "connected" || phase === "reconnect" || phase === "disconnect") yield* host.awaitState("Connected")
    if (phase === "reconnect") yield* ProcessTable.signal(yield* host.masters, "SIGKILL")
    if (phase === "disconnect") yield* host.command("disconnect box")
    yield* Effect.sleep(moment.fraction * typical[phase])
    yield* host.process.kill("SIGKILL")
    // What it has started has its environment, whoever its parent is by now.
    const left = Effect.map(
      ProcessTable.find({ environment: `${variable}=${at}` }),
      (found) => found.filter(({ command, pid }) => pid !== host.process.pid && !isReaper(command))
    )
    const took = yield* gone(left)
    assert.isBelow(took, limit, at)
    yield* host.process.exit
    yield* host.process.stdout.ended
    const ports = (yield* host.process.stdout.lines).map(HostProcess.localPortOf).filter((port) => port > 0)
    const held = yield* HostProcess.listening([...new Set(ports)])
    // Another host may have been given a port that was free again.
    assert.deepStrictEqual(held.flatMap(listenersOn).filter((owner) => !owner.includes(`${variable}=`)), [], at)
    return took
  },
  Effect.scoped
)

/** How long the phases take here, by a host that is left alone. */
export const measure = Effect.fnUntraced(function*(place: HostProcess.Place, fields: Fields) {
  const begun = performance.now()
  const host = yield* HostProcess.start(place, fields)
  yield* host.awaitState("Connecting")
  const started = performance.now()
  yield* host.awaitState("Connected")
  const connected = performance.now()
  yield* host.command("disconnect")
  yield* host.awaitState("Disconnected")
  const typical: Typical = {
    start: started - begun,
    connect: connected - started,
    connected: 200,
    reconnect: connected - started,
    disconnect: performance.now() - connected
  }
  return typical
}, Effect.scoped)
