/** A home directory with a stand-in for opencode, and the remote script run against it as sshd would. */
import * as Mark from "@opencode-ai/ssh-lab/Mark"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import { isolation } from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, type Scope } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { assemble, type Assignments } from "../../src/internal/remoteScript.ts"

/** What runs the script: the words of a POSIX shell, `-s` follows. */
export type Shell = ReadonlyArray<string>

/** Whether a program is here. */
export const has = (command: string): boolean =>
  (process.env["PATH"] ?? "").split(":").some((directory) => Fs.existsSync(Path.join(directory, command)))

/** The same for what tests rely on. CI has all of them: there, a missing one fails the test that needs it. */
export const available = (command: string): boolean => process.env["CI"] === "true" || has(command)

/** The shells that every test of the script runs under. */
export const shells: ReadonlyArray<readonly [name: string, shell: Shell]> = [
  ["dash", ["dash"]],
  ["bash", ["bash", "--posix"]]
]

/** More shells that may be a system's `sh`. */
export const moreShells: ReadonlyArray<readonly [name: string, shell: Shell]> = [
  ["bash", ["bash"]],
  ["busybox", ["busybox", "sh"]],
  ["mksh", ["mksh"]],
  ["zsh", ["zsh"]],
  ["ksh", ["ksh"]]
]

/** One line of our protocol; the rest is noise. */
export interface Outcome {
  readonly steps: ReadonlyArray<string>
  readonly found: Record<string, unknown> | undefined
  readonly log: ReadonlyArray<string>
  readonly result: Result | undefined
  /** The kinds of the lines in their order. */
  readonly kinds: ReadonlyArray<string>
  readonly stdout: string
  readonly stderr: string
  readonly code: number | undefined
}

export interface Server {
  readonly origin: string
  readonly owner: string
  readonly generation: string
  readonly pid: number
  readonly port: number
  readonly version: string
  readonly lifetime: string
  readonly startedAt: string
  readonly username: string
  readonly password?: string
  readonly id?: string
  readonly logFile?: string
  readonly registration?: string
}

export interface Result {
  readonly server?: Server | null
  readonly state?: string
  readonly ignored?: ReadonlyArray<{ readonly path: string; readonly why: string }>
  readonly stopped?: Server
  readonly log?: { readonly path: string }
  readonly error?: {
    readonly _tag: string
    readonly searched?: ReadonlyArray<string>
    readonly path?: string
    readonly problem?: string
    readonly detail?: string
    readonly log?: string
    readonly port?: number
    readonly exitCode?: number
    readonly found?: string
    readonly waited?: number
  }
}

export interface Options {
  /** The last component of HOME. */
  readonly name?: string
  /** `false`: no opencode there. Members as in fixtures/opencode-v1.mjs or -v2.mjs. */
  readonly fake?: false | Readonly<Record<string, unknown>>
  readonly generation?: "v1" | "v2"
  /** Where the stand-in lies, below HOME; default `.opencode/bin`. */
  readonly bin?: string
  /** Absolute path of the login shell; default bash. */
  readonly login?: string
  /** More environment of the session. */
  readonly env?: Readonly<Record<string, string>>
}

/** A command in progress. */
export interface Running {
  readonly process: Process.Process
  /** The first line of this kind, as an event. */
  readonly line: (kind: string) => Effect.Effect<string>
  readonly outcome: Effect.Effect<Outcome>
  readonly endInput: Effect.Effect<void>
}

export interface Machine {
  readonly home: string
  /** Our state directory there. */
  readonly state: string
  readonly registration: string
  readonly env: Record<string, string>
  /** Changes what the stand-in does from now on. */
  readonly behave: (fake: Readonly<Record<string, unknown>>) => void
  /** How the stand-in was called, one line each. */
  readonly calls: () => ReadonlyArray<string>
  /** What the stand-in's `serve` saw. */
  readonly served: () => {
    readonly env: Record<string, string>
    readonly cwd: string
    readonly umask: number
    readonly argv: ReadonlyArray<string>
    readonly pid: number
  }
  readonly start: (
    shell: Shell,
    options?: Partial<Assignments> & { readonly env?: Readonly<Record<string, string>> }
  ) => Effect.Effect<Running, never, Scope.Scope>
  /** Runs the script to its end, with stdin open as ssh keeps it. */
  readonly run: (
    shell: Shell,
    options?: Partial<Assignments> & { readonly env?: Readonly<Record<string, string>> }
  ) => Effect.Effect<Outcome>
  /** Runs `ensure` with a short limit until the stand-in's `serve` (which is "slow") has begun. */
  readonly runUntilServed: (shell: Shell, options?: Partial<Assignments>) => Effect.Effect<void>
  /** Lets a "slow" stand-in listen. */
  readonly listen: () => void
  readonly processes: Effect.Effect<ReadonlyArray<ProcessTable.ProcessInfo>>
}

const fixture = (name: string): string => Path.join(import.meta.dirname, "fixtures", name)

const single = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

/** Puts a stand-in for opencode into a directory. */
export const install = (
  directory: string,
  fake: Readonly<Record<string, unknown>>,
  generation: "v1" | "v2" = "v1"
): string => {
  Fs.mkdirSync(directory, { recursive: true })
  const path = Path.join(directory, "opencode")
  Fs.writeFileSync(
    path,
    `#!/bin/sh\nexec ${
      [process.execPath, fixture(`opencode-${generation}.mjs`), directory].map(single).join(" ")
    } "$@"\n`,
    { mode: 0o755 }
  )
  Fs.writeFileSync(Path.join(directory, "fake.json"), JSON.stringify(fake))
  return path
}

export const nonce = "0123456789abcdef"

/** What the fixture passes unless a test says otherwise; a login shell's start-up files get 3 s. */
export const defaults: Assignments = {
  nonce,
  action: "ensure",
  password: "pass_word-123",
  username: "opencode",
  ranges: "1.0.0:3.0.0",
  seconds: 20,
  shellSeconds: 3,
  killSeconds: 2
}

/** Reads the protocol, the simple way. */
export const parse = (stdout: string, word: string = nonce): Omit<Outcome, "stderr" | "code"> => {
  const lines = stdout.split("\n").filter((line) => line.startsWith(`${word} `)).map((line) => {
    const [, kind = "", rest = ""] = /^\S+ (\S+) ?(.*)$/s.exec(line) ?? []
    return { kind, rest }
  })
  const of = (kind: string) => lines.filter((line) => line.kind === kind).map(({ rest }) => rest)
  const json = (text: string | undefined) => text === undefined ? undefined : JSON.parse(text)
  return {
    steps: of("step"),
    found: json(of("found")[0]),
    log: of("log"),
    result: json(of("result")[0]),
    kinds: lines.map(({ kind }) => kind),
    stdout
  }
}

/** What may still run when a test ends: servers, and what the tests themselves start with a number from 1000 on. */
const isExpected = ({ command }: ProcessTable.ProcessInfo): boolean =>
  /opencode-v[12]\.mjs .* serve\b|\bsleep 10\d\d$/.test(command)

const processesOf = (home: string) => ProcessTable.find({ directory: home, environment: `HOME=${home}` })

/** Ends what runs there; dies of what a script has left behind that is no server. */
const end = (home: string): Effect.Effect<void> =>
  Effect.gen(function*() {
    let strays: ReadonlyArray<ProcessTable.ProcessInfo> = []
    // A launcher looks ten times a second whether it may go.
    for (let turn = 0; turn < 500; turn++) {
      strays = (yield* processesOf(home)).filter((info) => !isExpected(info))
      if (strays.length === 0) break
      yield* Effect.sleep(10)
    }
    while (true) {
      const processes = yield* processesOf(home)
      if (processes.length === 0) break
      yield* ProcessTable.signal(processes, "SIGKILL")
      yield* Effect.sleep(10)
    }
    if (strays.length > 0) {
      return yield* Effect.die(new Error(`left behind: ${strays.map(({ command }) => command).join("; ")}`))
    }
  })

/** A machine whose processes and files are gone when the scope ends. */
export const make = Effect.fn("Machine.make")(function*(options: Options = {}) {
  const home = yield* TempDirectory.make(options.name === undefined ? {} : { name: options.name })
  yield* Effect.addFinalizer(() => end(home))
  Fs.mkdirSync(Path.join(home, "tmp"), { recursive: true })
  const directory = Path.join(home, options.bin ?? ".opencode/bin")
  if (options.fake !== false) install(directory, { version: "1.18.33", ...options.fake }, options.generation)
  const env: Record<string, string> = {
    ...isolation(home),
    SHELL: options.login ?? "/bin/bash",
    PATH: "/usr/local/bin:/usr/bin:/bin",
    LOGNAME: "tester",
    [Mark.variable]: Mark.current(),
    ...options.env
  }
  const state = Path.join(env["XDG_STATE_HOME"] ?? "", "opencode-ssh")

  const start: Machine["start"] = (shell, { env: more, ...assignments } = {}) =>
    Effect.gen(function*() {
      const words = Object.entries({ ...env, ...more }).map(([name, value]) => `${name}=${value}`)
      const process = yield* Effect.orDie(Process.spawn("env", ["-i", ...words, ...shell, "-s"], { cwd: home }))
      const all = { ...defaults, ...assignments }
      yield* process.write(assemble(all))
      return {
        process,
        line: (kind: string) => Effect.orDie(process.stdout.waitFor((line) => line.startsWith(`${all.nonce} ${kind}`))),
        outcome: Effect.gen(function*() {
          const { code } = yield* process.exit
          yield* process.stdout.ended
          return {
            ...parse(yield* process.stdout.text, all.nonce),
            stderr: yield* process.stderr.text,
            code
          }
        }),
        endInput: process.endInput
      }
    })

  const machine: Machine = {
    home,
    state,
    registration: Path.join(state, "server.json"),
    env,
    behave: (fake) =>
      Fs.writeFileSync(Path.join(directory, "fake.json"), JSON.stringify({ version: "1.18.33", ...fake })),
    calls: () => {
      const file = Path.join(directory, "calls")
      return Fs.existsSync(file) ? Fs.readFileSync(file, "utf8").trimEnd().split("\n") : []
    },
    served: () => JSON.parse(Fs.readFileSync(Path.join(directory, "serve.json"), "utf8")),
    start,
    run: (shell, options) => Effect.scoped(Effect.flatMap(start(shell, options), (running) => running.outcome)),
    runUntilServed: (shell, options) =>
      Effect.gen(function*() {
        // On a busy machine the limit may be over before the server has begun.
        for (const seconds of [1, 2, 4, 8, 16]) {
          const { result, stdout } = yield* machine.run(shell, { ...options, seconds })
          if (result?.error?._tag !== "StartTimedOut") return yield* Effect.die(new Error(stdout))
          if (Fs.existsSync(Path.join(directory, "serve.json"))) return
        }
        return yield* Effect.die(new Error("it never began to serve"))
      }),
    listen: () => Fs.writeFileSync(Path.join(directory, "listen"), ""),
    processes: processesOf(home)
  }
  return machine
})

/** Whether a process lives (a zombie does not). */
export const lives = (pid: number): boolean => {
  const { stdout } = ChildProcess.spawnSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" })
  return stdout.trim() !== "" && !stdout.trim().startsWith("Z")
}

/** Waits for something that no event tells. */
export const eventually = (condition: () => boolean, what: string): Effect.Effect<void> =>
  Effect.gen(function*() {
    for (let turn = 0; turn < 500; turn++) {
      if (condition()) return
      yield* Effect.sleep(10)
    }
    return yield* Effect.die(new Error(`not within 5 s: ${what}`))
  })
