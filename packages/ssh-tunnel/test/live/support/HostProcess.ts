import type { LabError } from "@opencode-ai/ssh-lab/LabError"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, Schema, type Scope } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { noBootstrap, Profile, ProfileId } from "../../../src/Profile.ts"
import type { Timings } from "../../../src/Schedules.ts"
import type { Fields } from "./Workstation.ts"

/** A host application in a process of its own, which a test may kill; see `connect.ts`. */
export interface HostProcess {
  readonly process: Process.Process
  /** The state of this tag (of profile `id`, default `box`), once it is printed. */
  readonly awaitState: (tag: string, id?: string, occurrence?: number) => Effect.Effect<string, LabError>
  /** A line for its stdin. */
  readonly command: (line: string) => Effect.Effect<void>
  /** Its ssh processes that hold a connection, without those of jump hosts. */
  readonly masters: Effect.Effect<ReadonlyArray<ProcessTable.ProcessInfo>>
  readonly reaper: Effect.Effect<ProcessTable.ProcessInfo | undefined>
}

/** Where hosts keep what they make; it outlives them. */
export interface Place {
  readonly runtimeBase: string
  readonly dataDirectory: string
  /** What runs in a runtime directory of this place: ssh, and what it has started; a reaper until it is done. */
  readonly processes: Effect.Effect<ReadonlyArray<ProcessTable.ProcessInfo>>
  /** Those of them that are ssh, or were about to become one. */
  readonly sshProcesses: Effect.Effect<ReadonlyArray<ProcessTable.ProcessInfo>>
  readonly runtimeDirectories: Effect.Effect<ReadonlyArray<string>>
  /** `connect.ts` as one file: a process that has to compile all modules takes four times as long to start. */
  readonly script: string
}

export interface Options {
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** How it deals with its own end; default `unprepared`. */
  readonly ending?: "unprepared" | "signals" | "runner"
  /** Durations in milliseconds. */
  readonly timing?: Partial<Record<keyof Timings, number>>
  /** Default: the one that runs the test. */
  readonly runtime?: "node" | "bun"
}

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const executable = {
  node: process.versions["bun"] === undefined ? process.execPath : at("../../../../../node_modules/.bin/node"),
  bun: at("../../../../../node_modules/.bin/bun")
}
const encodeProfiles = Schema.encodeEffect(Schema.fromJsonString(Schema.toCodecJson(Schema.Array(Profile))))

const isReaper = ({ command }: ProcessTable.ProcessInfo): boolean => command.includes("opencode-ssh-reaper")
/** Between fork and exec of the shell that waits for its go it is a shell. */
const isSsh = ({ command }: ProcessTable.ProcessInfo): boolean =>
  /^(?:\S*\/)?ssh /.test(command) || /exec "\$@"/.test(command)

const placeIn = (directory: string, script: string): Place => {
  const runtimeBase = Path.join(directory, "run")
  Fs.mkdirSync(runtimeBase, { mode: 0o700 })
  // ssh works there; the reaper works elsewhere and has the directory among its arguments.
  const processes = ProcessTable.find({ directory: runtimeBase })
  return {
    runtimeBase,
    dataDirectory: Path.join(directory, "data"),
    processes,
    sshProcesses: Effect.map(processes, (found) => found.filter((info) => isSsh(info) && !isReaper(info))),
    runtimeDirectories: Effect.sync(() => Fs.readdirSync(runtimeBase)),
    script
  }
}

/** An empty place. */
export const makePlace: Effect.Effect<Place, LabError, Scope.Scope> = Effect.gen(function*() {
  const directory = yield* TempDirectory.make()
  const script = Path.join(directory, "connect.mjs")
  yield* Process.output(executable.bun, ["build", at("connect.ts"), "--target=node", "--outfile", script])
  return placeIn(directory, script)
})

/** One more empty place. */
export const another = ({ script }: Place): Effect.Effect<Place, never, Scope.Scope> =>
  Effect.map(TempDirectory.make(), (directory) => placeIn(directory, script))

/** Starts a host that connects its profiles. It ends with the scope. */
export const start = Effect.fnUntraced(function*(
  place: Place,
  fields: Fields | ReadonlyArray<Fields>,
  environment: Readonly<Record<string, string | undefined>> = {},
  { ending = "unprepared", runtime, timing = {} }: Omit<Options, "environment"> = {}
) {
  const all = Array.isArray(fields) ? fields as ReadonlyArray<Fields> : [fields as Fields]
  const profiles = yield* Effect.orDie(encodeProfiles(
    all.map((fields) => new Profile({ id: ProfileId.make("box"), name: "Box", bootstrap: noBootstrap, ...fields }))
  ))
  const program = runtime === undefined ? process.execPath : executable[runtime]
  const child = yield* Process.spawn(program, [place.script, profiles, ending, JSON.stringify(timing)], {
    env: {
      SSH_AUTH_SOCK: undefined,
      OPENCODE_SERVER_PASSWORD: undefined,
      OPENCODE_SSH_BINARY: undefined,
      OPENCODE_SSH_DATA_DIR: place.dataDirectory,
      XDG_RUNTIME_DIR: place.runtimeBase,
      // Options of the test runner are not meant for it.
      NODE_OPTIONS: undefined,
      ...environment
    }
  })
  const children = ProcessTable.find({ ancestor: child.pid })
  const host: HostProcess = {
    process: child,
    awaitState: (tag, id = "box", occurrence = 1) =>
      child.stdout.waitFor(`{"id":"${id}","state":{"_tag":"${tag}"`, occurrence),
    command: (line) => child.write(`${line}\n`),
    masters: Effect.map(children, (found) => found.filter(({ command }) => /^\S*ssh .*-M /.test(command))),
    reaper: Effect.map(children, (found) => found.find(isReaper))
  }
  return host
})

/** The local port in a line that says `Connected`. */
export const localPortOf = (line: string): number => Number(/"localPort":(\d+)/.exec(line)?.[1])

/** Whether one of these local ports still accepts connections. */
export const listening = (ports: ReadonlyArray<number>): Effect.Effect<ReadonlyArray<number>> =>
  Effect.filter(ports, Port.isListening)
