import { Effect, Exit, Scope } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { LabError } from "./LabError.ts"
import * as Log from "./Log.ts"
import * as Mark from "./Mark.ts"
import * as Port from "./Port.ts"
import * as Process from "./Process.ts"
import * as ProcessTable from "./ProcessTable.ts"
import * as SshKey from "./SshKey.ts"
import * as TempDirectory from "./TempDirectory.ts"

/** Where sshd may be: it is rarely on an ordinary user's PATH, and must be started by its absolute path. */
const candidates = (): ReadonlyArray<string> => [
  ...[process.env["OPENCODE_SSH_LAB_SSHD"] ?? ""].filter((path) => path !== ""),
  ...["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/sbin"].map((directory) => `${directory}/sshd`),
  ...(process.env["PATH"] ?? "").split(":").filter((directory) => directory.startsWith("/")).map((directory) =>
    Path.join(directory, "sshd")
  )
]

/** The machine's sshd, if it has one. Live suites that need it are skipped without it (and CI refuses skips). */
export const binary: string | undefined = candidates().find((path) => Fs.existsSync(path))

/** Whether live suites that need sshd can run. */
export const available: boolean = binary !== undefined

export interface Options {
  /**
   * More lines for sshd_config; they stand first, and sshd takes the first value of an option. Not `SetEnv` (see
   * `env`), of which only one line counts.
   */
  readonly config?: ReadonlyArray<string>
  /** `isolated` (default): sessions get a HOME, XDG directories and TMPDIR of their own. `real`: the login's. */
  readonly home?: "isolated" | "real"
  /** More environment variables of the sessions. */
  readonly env?: Readonly<Record<string, string>>
  /**
   * Another login shell (absolute path): commands run as `<shell> -c <command>` with SHELL set, as if passwd said so.
   */
  readonly loginShell?: string
  /** Types of its host keys; default one ed25519. */
  readonly hostKeys?: ReadonlyArray<SshKey.KeyType>
  /** Lines of authorized_keys beside the fixture's own key. */
  readonly authorizedKeys?: ReadonlyArray<string>
  /** Default VERBOSE: accepted keys, forwards that were refused. */
  readonly logLevel?: "INFO" | "VERBOSE" | "DEBUG1" | "DEBUG2" | "DEBUG3"
  /**
   * Shell lines that give it, and its sessions, mounts of their own before it starts (see `Namespace`); they know its
   * directory as `$1`. Root only.
   */
  readonly mounts?: ReadonlyArray<string>
  /** Default: a free one. */
  readonly port?: number
  /** The name of its directory, e.g. with spaces; the remote HOME is below it. */
  readonly directoryName?: string
}

/** A real sshd on 127.0.0.1 with throw-away keys: "the remote machine". */
export interface Sshd {
  readonly port: number
  /** The only account there is: whoever runs the tests. */
  readonly user: string
  /** Its directory: keys, configuration, the remote HOME. */
  readonly directory: string
  /** HOME of its sessions (0700). */
  readonly home: string
  /** A key that it accepts. */
  readonly key: SshKey.SshKey
  readonly hostKeys: ReadonlyArray<SshKey.SshKey>
  /** Its log: everything since the fixture was made, restarts included. */
  readonly log: Log.Log
  /** How many logins it has accepted ("Accepted publickey", …). */
  readonly authentications: Effect.Effect<number>
  /** Waits until it has accepted that many logins. */
  readonly awaitAuthentications: (count: number) => Effect.Effect<void, LabError>
  /** Accepts one more public key from now on. */
  readonly authorize: (publicKey: string) => Effect.Effect<void>
  /** sshd itself, its sessions, and what they have started, daemons included. */
  readonly processes: Effect.Effect<ReadonlyArray<ProcessTable.ProcessInfo>>
  /** The process id of the listener while it runs. */
  readonly pid: Effect.Effect<number | undefined>
  /** Cuts every session at once (SIGKILL, no goodbye); the listener and daemons go on. */
  readonly dropSessions: Effect.Effect<void>
  /** Ends listener and sessions at once; daemons that a session has left go on. */
  readonly stop: Effect.Effect<void>
  /** Stops listener and sessions in their tracks (SIGSTOP): connections stay open, and nobody answers. */
  readonly freeze: Effect.Effect<void>
  /** Lets them go on after {@link Sshd.freeze}. */
  readonly thaw: Effect.Effect<void>
  /** Starts it again after {@link Sshd.stop}, or after its end: same port, keys and HOME. */
  readonly start: Effect.Effect<void, LabError>
  /** Ends everything that runs "on this machine", daemons included, as pulling the plug would. */
  readonly powerOff: Effect.Effect<void>
  /** Lines of known_hosts for it. */
  readonly knownHosts: ReadonlyArray<string>
}

/** The variables that keep a session, and an opencode started from it, inside `home` and off the network. */
export const isolation = (home: string): Record<string, string> => ({
  HOME: home,
  XDG_CACHE_HOME: `${home}/.cache`,
  XDG_CONFIG_HOME: `${home}/.config`,
  XDG_DATA_HOME: `${home}/.local/share`,
  XDG_STATE_HOME: `${home}/.local/state`,
  TMPDIR: `${home}/tmp`,
  OPENCODE_DISABLE_AUTOUPDATE: "1",
  OPENCODE_DISABLE_DEFAULT_PLUGINS: "1",
  OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
  OPENCODE_DISABLE_MODELS_FETCH: "1",
  // It installs a package for plugins into its configuration when it first opens a directory.
  npm_config_registry: "http://127.0.0.1:9/",
  npm_config_fetch_retries: "0"
})

/** Quotes a word of sshd_config. */
const quote = (text: string): string => `"${text.replaceAll("\\", "\\\\").replaceAll("\"", "\\\"")}"`

/** What sshd itself does with the shell of the passwd entry. */
const asLoginShell = (shell: string): string =>
  `exec /bin/sh -c 'if test -n "$SSH_ORIGINAL_COMMAND"; then exec ${shell} -c "$SSH_ORIGINAL_COMMAND"; fi; exec ${shell} -l'`

const isRoot = (): boolean => process.getuid?.() === 0

/** sshd refuses an account whose password is locked with `!`, unless PAM has the say. */
const isLockedRoot = (): boolean => {
  try {
    return isRoot() && /^root:!/m.test(Fs.readFileSync("/etc/shadow", "utf8"))
  } catch {
    return false
  }
}

/** Started as root, sshd wants this directory, which distributions create only when they start the service. */
const preparePrivilegeSeparation = Effect.sync(() => {
  if (isRoot() && process.platform === "linux") Fs.mkdirSync("/run/sshd", { recursive: true, mode: 0o755 })
})

const version = Effect.fn("Sshd.version")(function*(path: string) {
  // Old ones do not know -V, and tell their version together with the usage.
  const { stderr, stdout } = yield* Process.run(path, ["-V"])
  const [, major, minor] = /OpenSSH_(?:for_Windows_)?(\d+)\.(\d+)/.exec(stderr + stdout) ?? []
  return Number(major ?? 0) * 100 + Number(minor ?? 0)
})

const goneWithin = 5_000
const lookAgainAfter = 10

/** SIGKILLs what `find` finds until it finds nothing: a process may fork while it is being looked for. */
const killAll = (find: Effect.Effect<ReadonlyArray<ProcessTable.ProcessInfo>>): Effect.Effect<void> =>
  Effect.gen(function*() {
    while (true) {
      const found = yield* find
      if (found.length === 0) return
      yield* ProcessTable.signal(found, "SIGKILL")
      yield* Effect.sleep(lookAgainAfter)
    }
  }).pipe(
    Effect.timeoutOrElse({
      duration: goneWithin,
      orElse: () =>
        find.pipe(Effect.flatMap((left) =>
          Effect.die(
            new LabError({
              message: `processes of the remote machine survive SIGKILL: ${left.map((info) => info.command).join("; ")}`
            })
          )
        ))
    })
  )

interface Running {
  readonly process: Process.Process
  readonly scope: Scope.Closeable
  readonly stderr: string
}

/**
 * Starts a real sshd on 127.0.0.1; done when it listens. It ends with the scope, and everything that runs on this
 * "machine" with it. Works as root and as an ordinary user.
 */
export const make: (options?: Options) => Effect.Effect<Sshd, LabError, Scope.Scope> = Effect.fn("Sshd.make")(
  function*(options: Options = {}) {
    if (binary === undefined) return yield* new LabError({ message: "sshd is not installed" })
    const path = binary
    const directory = yield* TempDirectory.make(
      options.directoryName === undefined ? {} : { name: options.directoryName }
    )
    const home = Path.join(directory, "home")
    Fs.mkdirSync(Path.join(home, "tmp"), { recursive: true, mode: 0o700 })
    yield* preparePrivilegeSeparation

    const key = yield* SshKey.make(Path.join(directory, "client"))
    const hostKeys = yield* Effect.forEach(
      options.hostKeys ?? ["ed25519" as const],
      (type) => SshKey.make(Path.join(directory, `host_${type}`), { type })
    )
    const authorizedKeys = Path.join(directory, "authorized_keys")
    Fs.writeFileSync(authorizedKeys, [key.publicKey, ...options.authorizedKeys ?? [], ""].join("\n"), { mode: 0o600 })

    // On Bun, `os.userInfo().username` is $USER, and "unknown" without it.
    const user = (yield* Process.output("id", ["-un"])).trim()
    const machine = Mark.random()
    const env = {
      ...(options.home === "real" ? {} : isolation(home)),
      ...(options.loginShell === undefined ? {} : { SHELL: options.loginShell }),
      ...options.env,
      [Mark.variable]: Mark.current(),
      [Mark.machineVariable]: machine
    }
    const known = yield* version(path)
    const configFile = Path.join(directory, "sshd_config")
    const writeConfig = (port: number) =>
      Fs.writeFileSync(
        configFile,
        [
          ...options.config ?? [],
          `Port ${port}`,
          "ListenAddress 127.0.0.1",
          ...hostKeys.map(({ file }) => `HostKey ${quote(file)}`),
          `AuthorizedKeysFile ${quote(authorizedKeys)}`,
          "PidFile none",
          // Its directory lies below a world-writable one.
          "StrictModes no",
          `UsePAM ${isLockedRoot() ? "yes" : "no"}`,
          "PasswordAuthentication no",
          "KbdInteractiveAuthentication no",
          "PermitRootLogin yes",
          "PermitUserRC no",
          "PrintMotd no",
          "PrintLastLog no",
          "UseDNS no",
          // A test that fails to log in on purpose must not lock the next one out.
          ...(known >= 908 ? ["PerSourcePenalties no"] : []),
          ...(options.loginShell === undefined ? [] : [`ForceCommand ${asLoginShell(options.loginShell)}`]),
          `LogLevel ${options.logLevel ?? "VERBOSE"}`,
          `SetEnv ${Object.entries(env).map(([name, value]) => quote(`${name}=${value}`)).join(" ")}`,
          ""
        ].join("\n"),
        { mode: 0o600 }
      )

    const log = Log.make("sshd")
    yield* Effect.addFinalizer(() => Effect.sync(log.end))
    // The fixture is one machine with one switch: what runs now, if anything, and the scope that ends it.
    let running: Running | undefined
    let port = options.port

    const spawn = (words: ReadonlyArray<string>) => {
      const { mounts } = options
      if (mounts === undefined) return Process.spawn(path, words, { onStderr: log.write })
      const setUp = [...mounts, "shift", "exec \"$@\""].join(" && ")
      return Process.spawn("unshare", ["-m", "sh", "-c", setUp, "sh", directory, path, ...words], {
        onStderr: log.write
      })
    }

    const startOn = Effect.fnUntraced(function*(candidate: number) {
      const scope = yield* Scope.make()
      writeConfig(candidate)
      yield* Effect.gen(function*() {
        const child = yield* spawn(["-D", "-e", "-f", configFile])
        yield* child.stderr.waitFor("Server listening on")
        port = candidate
        running = { process: child, scope, stderr: yield* ProcessTable.stderrOf(child.pid) }
      }).pipe(Scope.provide(scope), Effect.onError(() => Scope.close(scope, Exit.void)))
    })

    const start = Effect.gen(function*() {
      if (running !== undefined) {
        // The port tells at once what the event of its end tells a moment later.
        if (port !== undefined && (yield* Port.isListening(port))) return
        yield* stop
      }
      if (port !== undefined) return yield* startOn(port)
      return yield* Port.free.pipe(
        Effect.flatMap(startOn),
        Effect.retry({ times: 5, while: (error) => error.message.includes("Address already in use") })
      )
    })

    const daemons = { environment: `${Mark.machineVariable}=${machine}`, directory: home }
    const sessionsOf = ({ process, stderr }: Running) =>
      ProcessTable.find({ ancestor: process.pid, stderr }).pipe(
        Effect.map((found) => found.filter(({ command, pid }) => /\bsshd\b/.test(command) && pid !== process.pid))
      )

    const dropSessions = Effect.suspend(() => {
      if (running === undefined) return Effect.void
      const { process } = running
      // Stopped, it accepts no new session while the old ones go.
      return process.kill("SIGSTOP").pipe(
        Effect.andThen(killAll(sessionsOf(running))),
        Effect.ensuring(process.kill("SIGCONT"))
      )
    })

    const stop = Effect.suspend(() => {
      if (running === undefined) return Effect.void
      const { process, scope } = running
      const sessions = sessionsOf(running)
      running = undefined
      return process.kill("SIGSTOP").pipe(
        Effect.andThen(killAll(sessions)),
        Effect.andThen(process.kill("SIGKILL")),
        Effect.andThen(process.exit),
        Effect.andThen(Scope.close(scope, Exit.void)),
        Effect.uninterruptible
      )
    })

    /** To the listener and every session, but not to what runs in them. */
    const signalAll = (name: NodeJS.Signals) =>
      Effect.suspend(() => {
        if (running === undefined) return Effect.void
        const { process } = running
        return process.kill(name).pipe(
          Effect.andThen(sessionsOf(running)),
          Effect.flatMap((sessions) => ProcessTable.signal(sessions, name))
        )
      })

    const powerOff = stop.pipe(Effect.andThen(killAll(ProcessTable.find(daemons))))

    yield* Effect.addFinalizer(() => powerOff)
    yield* start
    // Not "Accepted key …", which only says that authorized_keys lists it.
    const accepted = /^Accepted \S+ for /
    const sshd: Sshd = {
      port: port ?? 0,
      user,
      directory,
      home,
      key,
      hostKeys,
      log,
      authentications: log.count(accepted),
      awaitAuthentications: (count) => log.waitFor(accepted, count).pipe(Effect.asVoid),
      authorize: (publicKey) => Effect.sync(() => Fs.appendFileSync(authorizedKeys, `${publicKey}\n`)),
      processes: Effect.suspend(() =>
        ProcessTable.find({
          ...daemons,
          ...(running === undefined ? {} : { ancestor: running.process.pid, stderr: running.stderr })
        })
      ),
      pid: Effect.sync(() => running?.process.pid),
      dropSessions,
      freeze: signalAll("SIGSTOP"),
      thaw: signalAll("SIGCONT"),
      stop,
      start,
      powerOff,
      knownHosts: hostKeys.map(({ publicKey }) => `[127.0.0.1]:${port} ${publicKey.split(" ").slice(0, 2).join(" ")}`)
    }
    return sshd
  }
)
