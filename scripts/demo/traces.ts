/** What the demo has made on this computer, to see in the end whether all of it is gone. */
import * as Leftovers from "@opencode-ai/ssh-lab/Leftovers"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import { Effect, Schedule } from "effect"
import * as Fs from "node:fs"
import { browserVariable } from "./browser.ts"

/** A listening socket by its port; the inode tells it from a later one of somebody else. */
export interface Listener {
  readonly port: number
  readonly inode: string | undefined
}

const tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"]
const listening = "0A"

const inodes = (): ReadonlyMap<string, number> =>
  new Map(
    tables.filter((file) => Fs.existsSync(file)).flatMap((file) =>
      Fs.readFileSync(file, "utf8").trimEnd().split("\n").slice(1).flatMap((line) => {
        const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/)
        return state === listening ? [[inode, Number.parseInt(local.split(":")[1] ?? "", 16)] as const] : []
      })
    )
  )

/** Who listens on these ports now. Where there is no `/proc`, only that somebody does is known. */
export const listenersOn = (ports: ReadonlyArray<number>): Effect.Effect<ReadonlyArray<Listener>> =>
  Fs.existsSync("/proc/self/net/tcp")
    ? Effect.sync(() =>
      [...inodes()].filter(([, port]) => ports.includes(port)).map(([inode, port]) => ({ port, inode }))
    )
    : Effect.map(
      Effect.filter(ports, Port.isListening),
      (open) => open.map((port) => ({ port, inode: undefined }))
    )

/** Those that still listen. */
export const stillListening = (listeners: ReadonlyArray<Listener>): Effect.Effect<ReadonlyArray<Listener>> =>
  Effect.map(
    listenersOn(listeners.map(({ port }) => port)),
    (now) => listeners.filter(({ inode, port }) => now.some((each) => each.port === port && each.inode === inode))
  )

/** What is still there once they had time: the kernel closes the sockets of a process after it has ceased to be seen. */
const afterGrace = (listeners: ReadonlyArray<Listener>): Effect.Effect<ReadonlyArray<Listener>> =>
  stillListening(listeners).pipe(
    Effect.repeat({
      until: (open) => open.length === 0,
      schedule: Schedule.spaced("20 millis").pipe(Schedule.upTo({ duration: "2 seconds" }))
    }),
    Effect.andThen(stillListening(listeners))
  )

/** What was seen while the demo ran. */
export interface Traces {
  readonly baseline: Leftovers.Baseline
  readonly listeners: ReadonlyArray<Listener>
  /** Directories outside the demo's own that must be gone. */
  readonly directories: ReadonlyArray<string>
}

/**
 * Looks for everything that is left, and returns it in words; nothing when nothing is. Processes and directories that
 * are found are then ended and removed. A browser that the user has opened is not looked at.
 */
export const leftovers = Effect.fnUntraced(function*({ baseline, directories, listeners }: Traces) {
  const browser = yield* ProcessTable.find({ environment: `${browserVariable}=${baseline.mark}` })
  const processes = new Set([...baseline.processes, ...browser.map(({ pid }) => pid)])
  const lab = yield* Leftovers.check({ ...baseline, processes }).pipe(
    Effect.match({ onSuccess: () => [], onFailure: ({ message }) => message.split("\n").slice(1) })
  )
  const open = yield* afterGrace(listeners)
  const kept = directories.filter((directory) => Fs.existsSync(directory))
  for (const directory of kept) Fs.rmSync(directory, { recursive: true, force: true })
  return [
    ...lab.map((line) => line.trim()),
    ...open.map(({ port }) => `listener on port ${port}`),
    ...kept.map((directory) => `temp directory ${directory}`)
  ]
})

/** Begins to look: a new mark stands in the environment of everything that is started from here on. */
export const begin: Effect.Effect<Traces> = Effect.map(
  Leftovers.begin,
  (baseline) => ({ baseline, listeners: [], directories: [] })
)
