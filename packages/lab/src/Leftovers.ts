/**
 * The shared check that a test leaves nothing behind: no process, no listener, no temp directory.
 */
import { Effect } from "effect"
import * as Fs from "node:fs"
import { LabError } from "./LabError.ts"
import * as Mark from "./Mark.ts"
import * as ProcessTable from "./ProcessTable.ts"
import * as TempDirectory from "./TempDirectory.ts"

/** What this process holds, or what is left of a mark. */
export interface Findings {
  readonly processes: ReadonlyArray<ProcessTable.ProcessInfo>
  /** `127.0.0.1:<port>` of listening sockets of this very process (Linux). */
  readonly listeners: ReadonlyArray<string>
  readonly directories: ReadonlyArray<string>
}

/** What there was before the test: it is nobody's leftover. */
export interface Baseline {
  readonly mark: string
  readonly processes: ReadonlySet<number>
  readonly listeners: ReadonlySet<string>
}

/** How long an end may take that was asked for just now, and how often to look (milliseconds). */
const defaultGrace = 2_000
const lookAgainAfter = 20

const read = (file: string): string => {
  try {
    return Fs.readFileSync(file, "utf8")
  } catch {
    return ""
  }
}

/** The listening TCP sockets of this process: address and port by the socket's inode. */
const ownListeners = (): ReadonlyArray<string> => {
  const listening = new Map<string, string>()
  for (const file of ["/proc/self/net/tcp", "/proc/self/net/tcp6"]) {
    for (const line of read(file).split("\n").slice(1)) {
      const [, local = "", , state = "", , , , , , inode = ""] = line.trim().split(/\s+/)
      if (state !== "0A") continue
      listening.set(`socket:[${inode}]`, `port ${Number.parseInt(local.split(":")[1] ?? "", 16)}`)
    }
  }
  if (listening.size === 0) return []
  return Fs.readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const listener = listening.get(Fs.readlinkSync(`/proc/self/fd/${fd}`))
      return listener === undefined ? [] : [listener]
    } catch {
      return []
    }
  })
}

const directories = (root: string): ReadonlyArray<string> => {
  try {
    return Fs.readdirSync(root).map((name) => `${root}/${name}`)
  } catch {
    return []
  }
}

/** Begins a test file (or a demo): a new mark is in force from here on. */
export const begin: Effect.Effect<Baseline> = Effect.gen(function*() {
  const children = yield* ProcessTable.find({ ancestor: process.pid })
  return {
    mark: Mark.renew(),
    processes: new Set(children.map((info) => info.pid)),
    listeners: new Set(ownListeners())
  }
})

/** What is left right now. */
export const find = (baseline: Baseline): Effect.Effect<Findings> =>
  Effect.gen(function*() {
    const root = TempDirectory.root(baseline.mark)
    const processes = yield* ProcessTable.find({
      environment: `${Mark.variable}=${baseline.mark}`,
      directory: root,
      ancestor: process.pid
    })
    return {
      processes: processes.filter((info) => !baseline.processes.has(info.pid)),
      listeners: ownListeners().filter((listener) => !baseline.listeners.has(listener)),
      directories: directories(root)
    }
  })

/** The findings in words, one per line; empty when there are none. */
export const describe = (findings: Findings): ReadonlyArray<string> => [
  ...findings.processes.map(({ command, pid }) => `process ${pid}: ${command}`),
  ...findings.listeners.map((listener) => `listener on ${listener} in this process`),
  ...findings.directories.map((directory) => `temp directory ${directory}`)
]

/**
 * Fails when the test has left anything. What is just going away gets `grace` milliseconds (default 2000). Leftovers are then ended and removed, so
 * that they are blamed on this test only.
 */
export const check = (baseline: Baseline, grace: number = defaultGrace): Effect.Effect<void, LabError> =>
  Effect.gen(function*() {
    const deadline = performance.now() + grace
    let findings = yield* find(baseline)
    while (describe(findings).length > 0 && performance.now() < deadline) {
      yield* Effect.sleep(lookAgainAfter)
      findings = yield* find(baseline)
    }
    const words = describe(findings)
    if (words.length === 0) return
    yield* ProcessTable.signal(findings.processes, "SIGKILL")
    yield* Effect.sync(() => Fs.rmSync(TempDirectory.root(baseline.mark), { recursive: true, force: true }))
    return yield* new LabError({ message: `left behind:\n  ${words.join("\n  ")}` })
  })
