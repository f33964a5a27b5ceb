/**
 * The processes of this machine, from `/proc` on Linux and from `ps` elsewhere. Only fixtures that must find
 * processes which nobody owns any more (remote sessions, leftovers) look here; all else waits for events.
 */
import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"

/** One living process (zombies are not: they hold nothing any more). */
export interface ProcessInfo {
  readonly pid: number
  readonly parent: number
  /** Its arguments, or its title if it has changed that. */
  readonly command: string
}

interface Details extends ProcessInfo {
  readonly environment: () => string
  readonly workingDirectory: () => string
  readonly stderr: () => string
}

const attempt = (read: () => string): string => {
  try {
    return read()
  } catch {
    // Gone meanwhile, or somebody else's.
    return ""
  }
}

const kernelThreads = 2

/** How often, 1 ms apart, to look again at a process that is between two programs. */
const execTurns = 20

const pause = (milliseconds: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

/** Its arguments. While `execve` swaps programs there are none, and no environment: that passes. */
const commandLine = (pid: number, parent: number): string => {
  for (let turn = 0;; turn++) {
    const text = attempt(() => Fs.readFileSync(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ").trim()
    const isDone = text !== "" || turn === execTurns || pid === kernelThreads || parent === kernelThreads
    if (isDone || !Fs.existsSync(`/proc/${pid}`)) return text
    pause(1)
  }
}

const fromProc = (): ReadonlyArray<Details> =>
  Fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    const stat = attempt(() => Fs.readFileSync(`/proc/${name}/stat`, "utf8"))
    const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    if (state === undefined || parent === undefined || state === "Z" || state === "X") return []
    const command = commandLine(Number(name), Number(parent))
    if (command === "") return []
    return [{
      pid: Number(name),
      parent: Number(parent),
      command,
      environment: () => `\0${attempt(() => Fs.readFileSync(`/proc/${name}/environ`, "utf8"))}\0`,
      workingDirectory: () => attempt(() => Fs.readlinkSync(`/proc/${name}/cwd`)),
      stderr: () => attempt(() => Fs.readlinkSync(`/proc/${name}/fd/2`))
    }]
  })

const fromPs = (): ReadonlyArray<Details> => {
  const read = (options: ReadonlyArray<string>) =>
    attempt(() => ChildProcess.execFileSync("ps", options, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 }))
  const environments = new Map(
    read(["-axEww", "-o", "pid=,command="]).split("\n").map((line) => {
      const [pid = "", ...words] = line.trim().split(/\s+/)
      return [Number(pid), `\0${words.join("\0")}\0`] as const
    })
  )
  return read(["-axww", "-o", "pid=,ppid=,stat=,command="]).split("\n").flatMap((line) => {
    const [pid, parent, state, ...command] = line.trim().split(/\s+/)
    if (pid === undefined || parent === undefined || state === undefined || state.startsWith("Z")) return []
    return [{
      pid: Number(pid),
      parent: Number(parent),
      command: command.join(" "),
      environment: () => environments.get(Number(pid)) ?? "",
      workingDirectory: () => "",
      stderr: () => ""
    }]
  })
}

const read = (): ReadonlyArray<Details> => Fs.existsSync("/proc/self/stat") ? fromProc() : fromPs()

/** What to look for; a process is found when any of the given marks fits, or when it descends from such a one. */
export interface Query {
  /** `NAME=value` in the environment that it was started with. */
  readonly environment?: string
  /** A directory that is, or holds, its working directory, or that stands in its arguments. */
  readonly directory?: string
  /** What its stderr is (Linux: the target of `/proc/<pid>/fd/2`). */
  readonly stderr?: string
  /** A process whose descendants are looked for (not itself). */
  readonly ancestor?: number
}

const plain = ({ command, parent, pid }: Details): ProcessInfo => ({ pid, parent, command })

/** The processes that fit, this one and those above it excepted. */
export const find = (query: Query): Effect.Effect<ReadonlyArray<ProcessInfo>> =>
  Effect.sync(() => {
    const table = read()
    const parents = new Map(table.map((info) => [info.pid, info.parent]))
    const above = new Set<number>()
    for (let pid: number | undefined = process.pid; pid !== undefined && pid > 0; pid = parents.get(pid)) {
      above.add(pid)
    }
    const found = new Set<number>()
    for (const info of table) {
      if (above.has(info.pid)) continue
      const { directory, environment, stderr } = query
      if (
        (environment !== undefined && info.environment().includes(`\0${environment}\0`)) ||
        (directory !== undefined &&
          (info.command.includes(directory) || `${info.workingDirectory()}/`.startsWith(`${directory}/`))) ||
        (stderr !== undefined && stderr !== "" && info.stderr() === stderr)
      ) found.add(info.pid)
    }
    const isFound = (pid: number): boolean => {
      const parent = parents.get(pid)
      if (parent === undefined || parent <= 1) return false
      return parent === query.ancestor || found.has(parent) || isFound(parent)
    }
    return table.filter((info) => !above.has(info.pid) && (found.has(info.pid) || isFound(info.pid))).map(plain)
  })

/** What a process's stderr is, to find those that share it; empty where `/proc` is missing. */
export const stderrOf = (pid: number): Effect.Effect<string> =>
  Effect.sync(() => attempt(() => Fs.readlinkSync(`/proc/${pid}/fd/2`)))

/** Sends a signal to each; who is gone already is no error. */
export const signal = (processes: ReadonlyArray<ProcessInfo>, name: NodeJS.Signals): Effect.Effect<void> =>
  Effect.sync(() => {
    for (const { pid } of processes) {
      try {
        process.kill(pid, name)
      } catch {
        // Gone.
      }
    }
  })
