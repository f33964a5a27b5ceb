/**
 * The only module that spawns ssh: how its processes are started, listened to
 * and ended. What they mean is decided elsewhere.
 *
 * On POSIX a process that holds a connection starts as
 * `sh -c 'read … && exec ssh …'` and gets its line only when the reaper has it:
 * there is no moment at which our death would leave it behind.
 */
import {
  type Cause,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  FileSystem,
  HashMap,
  Layer,
  Option,
  Path,
  type PlatformError,
  PubSub,
  Queue,
  Redacted,
  Scope,
  Semaphore,
  Stream,
  SubscriptionRef,
  SynchronizedRef
} from "effect"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import { ConfigurationError, SshConfigInvalid, SshNotFound, SshTooOld } from "./ConfigurationError.ts"
import type { Destination, SshConfigFile } from "./Destination.ts"
import { Recording } from "./FlightRecorder.ts"
import * as Argv from "./internal/argv.ts"
import { configurationError } from "./internal/classify.ts"
import { lastWords } from "./internal/lastWords.ts"
import { expandHome, overlay } from "./internal/overlay.ts"
import { problemOf } from "./internal/platformProblem.ts"
import * as SshLog from "./internal/sshLog.ts"
import { LocalHost } from "./LocalHost.ts"
import { Reaper } from "./Reaper.ts"
import { RuntimeDirectory } from "./RuntimeDirectory.ts"
import { Timing } from "./Schedules.ts"

/** The version of an OpenSSH client; `text` is its whole first line, e.g. `OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.19`. */
export interface SshVersion {
  readonly text: string
  readonly major: number
  readonly minor: number
}

/** How a process of ssh ended: one of the two is there, both are absent when nobody knows. */
export interface SshExit {
  readonly code?: number
  readonly signal?: string
}

/** An ssh that holds a connection. It ends with the scope it was started in: SIGTERM to its group, later SIGKILL. */
export interface SshProcess {
  readonly pid: number
  /** What its stderr told so far, with every change. */
  readonly log: SubscriptionRef.SubscriptionRef<SshLog.SshLog>
  /** What happens on its forwards. */
  readonly events: PubSub.PubSub<SshLog.SshEvent>
  /** What the remote command printed; empty when there is none. */
  readonly stdout: Stream.Stream<string>
  /** Completes when it has ended and its last words are in the log. */
  readonly exit: Effect.Effect<SshExit>
}

/** A short-lived ssh that ended. */
export interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** An ssh that runs a remote command; see `RemoteCommand`. */
export interface SshCommand {
  readonly stdout: Stream.Stream<string>
  readonly stderr: Stream.Stream<string>
  readonly exit: Effect.Effect<SshExit>
}

/** OpenSSH 7.3 brought `Include` and `ProxyJump`. */
const oldest = { major: 7, minor: 3 }

/** Asks nothing, shows nothing, and knows no secret that isn't ssh's business. */
const removedFromEnvironment = [
  "SSH_ASKPASS",
  "DISPLAY",
  "WAYLAND_DISPLAY",
  "OPENCODE_SERVER_PASSWORD",
  "OPENCODE_PASSWORD"
]

const exitOf = (exit: Exit.Exit<number, PlatformError.PlatformError>): SshExit => {
  if (Exit.isSuccess(exit)) return { code: exit.value }
  // Effect reports a death by signal as an error whose text names the signal.
  const signal = /'(SIG[A-Z0-9]+)'/.exec(String(exit.cause))?.[1]
  return signal === undefined ? {} : { signal }
}

/** See the module. */
export class OpenSsh extends Context.Service<OpenSsh, {
  /** Asked once in the life of the layer. */
  readonly version: Effect.Effect<SshVersion, ConfigurationError>
  /** Writes the overlay for this config and gives its name in the working directory. */
  readonly config: (sshConfig: SshConfigFile | undefined) => Effect.Effect<string, ConfigurationError>
  /** The output of `ssh -G`: the effective parameters. Runs the user's `Match exec` and may ask DNS. */
  readonly resolve: (destination: Destination) => Effect.Effect<string, ConfigurationError>
  /** The answer of `ssh-keygen -l -F name -f file`: the known_hosts entries of that name; empty when there are none. */
  readonly knownHosts: (name: string, file: string) => Effect.Effect<string>
  /**
   * Starts an ssh that makes a connection of its own; it is registered with the
   * reaper. With a `script` its stdin is that text and stays open until the scope closes.
   */
  readonly hold: (
    args: ReadonlyArray<string>,
    script?: Redacted.Redacted<string>
  ) => Effect.Effect<SshProcess, ConfigurationError, Scope.Scope>
  /** Runs an ssh that ends by itself (control commands). `None`: it did not end in time and was killed. */
  readonly run: (args: ReadonlyArray<string>) => Effect.Effect<Option.Option<Finished>, ConfigurationError>
  /**
   * Starts a client of our own master that runs a remote command, with `script`
   * as its stdin as above. It needs no reaper: it ends with its master.
   */
  readonly command: (
    args: ReadonlyArray<string>,
    script: Redacted.Redacted<string>
  ) => Effect.Effect<SshCommand, ConfigurationError, Scope.Scope>
  /** Has everything ready that the first connection would have to wait for. */
  readonly warmUp: Effect.Effect<void>
}>()("@opencode-ai/ssh-tunnel/OpenSsh") {
  /** An ssh that answers what the test says; members that are not given die when they are used. */
  static readonly layerMock = (service: Partial<OpenSsh["Service"]>): Layer.Layer<OpenSsh> =>
    Layer.mock(OpenSsh, {
      version: Effect.succeed({ text: "OpenSSH_9.2p1", major: 9, minor: 2 }),
      warmUp: Effect.void,
      ...service
    })

  /** Needs the child process spawner, FileSystem, Path, LocalHost, RuntimeDirectory and Reaper. */
  static readonly layerNoDeps = Layer.effect(
    OpenSsh,
    Effect.gen(function*() {
      const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const host = yield* LocalHost
      const directory = yield* RuntimeDirectory
      const reaper = yield* Reaper
      const timing = yield* Timing
      const lifetime = yield* Effect.scope
      const encoder = new TextEncoder()

      const binary = host.environment["OPENCODE_SSH_BINARY"] ?? "ssh"
      const env = {
        ...host.environment,
        ...Object.fromEntries(removedFromEnvironment.map((name) => [name, undefined])),
        SSH_ASKPASS_REQUIRE: "never"
      }
      const kill = { killSignal: "SIGTERM", forceKillAfter: timing.killAfter } as const

      const notFound = (detail: string) => new ConfigurationError({ reason: new SshNotFound({ binary, detail }) })
      const spawnFailed = (error: PlatformError.PlatformError) =>
        notFound(
          error.reason._tag === "NotFound"
            ? "there is no such program"
            : error.reason._tag === "PermissionDenied"
            ? "it may not be executed"
            : problemOf(error)
        )

      const textOf = <E>(stream: Stream.Stream<Uint8Array, E>): Stream.Stream<string> =>
        stream.pipe(Stream.decodeText(), Stream.catchCause(() => Stream.empty))
      const collect = <E>(stream: Stream.Stream<Uint8Array, E>) => Stream.mkString(textOf(stream))

      const finish = Effect.fnUntraced(
        function*(program: string, args: ReadonlyArray<string>, cwd: string | undefined) {
          const handle = yield* spawner.spawn(
            ChildProcess.make(program, args, { ...(cwd === undefined ? {} : { cwd }), env, stdin: "ignore", ...kill })
          ).pipe(Effect.mapError(spawnFailed))
          const [exit, stdout, stderr] = yield* Effect.all(
            [Effect.exit(handle.exitCode), collect(handle.stdout), collect(handle.stderr)],
            { concurrency: "unbounded" }
          )
          return { code: exitOf(exit).code ?? 255, stdout, stderr } satisfies Finished
        },
        Effect.scoped
      )

      const version = yield* Effect.cached(Effect.gen(function*() {
        const answer = yield* finish(binary, Argv.version, undefined).pipe(
          Effect.timeoutOrElse({
            duration: timing.query,
            orElse: () => Effect.fail(notFound("it did not answer -V"))
          })
        )
        const text = answer.stderr.split("\n")[0]?.trim() ?? ""
        const match = /OpenSSH_(?:for_Windows_)?(\d+)\.(\d+)/.exec(text)
        if (match === null) return yield* notFound(`it is not OpenSSH; it answers ${JSON.stringify(text.slice(0, 80))}`)
        const found: SshVersion = { text, major: Number(match[1]), minor: Number(match[2]) }
        if (found.major < oldest.major || (found.major === oldest.major && found.minor < oldest.minor)) {
          return yield* new ConfigurationError({
            reason: new SshTooOld({ found: text, needed: `OpenSSH ${oldest.major}.${oldest.minor}` })
          })
        }
        return found
      }))

      /**
       * ssh reads its system-wide file whoever may write it, and ignores one that it cannot read; the same file as an
       * `Include` of ours would end the connection. Such a file is left out.
       */
      const systemConfig = yield* Effect.cached(Effect.gen(function*() {
        if (host.platform === "windows") return undefined
        const file = "/etc/ssh/ssh_config"
        const readable = yield* Effect.isSuccess(fs.access(file, { readable: true }))
        const stat = yield* Effect.option(Effect.flatMap(fs.realPath(file), host.inspect))
        const trusted = Option.isSome(stat) && (stat.value.mode & 0o022) === 0 &&
          (stat.value.uid === 0 || stat.value.uid === host.uid)
        return readable && trusted ? undefined : "none"
      }))

      const configs = yield* SynchronizedRef.make(HashMap.empty<string, string>())
      const config = Effect.fn("OpenSsh.config")(function*(sshConfig: SshConfigFile | undefined) {
        if (sshConfig !== undefined && sshConfig !== "none") {
          const file = expandHome(sshConfig, host.home)
          const invalid = (detail: string) => new ConfigurationError({ reason: new SshConfigInvalid({ file, detail }) })
          // ssh says nothing of an Include that is missing or a directory; its own -F would.
          yield* fs.access(file, { readable: true }).pipe(
            Effect.mapError((error) =>
              invalid(error.reason._tag === "NotFound" ? "No such file or directory" : "it cannot be read")
            )
          )
          const { type } = yield* Effect.mapError(fs.stat(file), (error) => invalid(error.message))
          if (type === "Directory") return yield* invalid("it is a directory")
        }
        return yield* SynchronizedRef.modifyEffect(
          configs,
          Effect.fnUntraced(function*(known) {
            const key = sshConfig ?? ""
            const before = HashMap.get(known, key)
            // A cleaner of the directory above may have taken it, or the whole runtime directory.
            if (Option.isSome(before) && (yield* directory.has(before.value))) return [before.value, known] as const
            const text = yield* Effect.mapError(
              Effect.fromResult(
                overlay({
                  userConfig: sshConfig,
                  systemConfig: yield* systemConfig,
                  home: host.home,
                  sshVersion: yield* version,
                  platform: host.platform
                })
              ),
              (reason) => new ConfigurationError({ reason })
            )
            const name = yield* directory.fresh("config-")
            yield* directory.write(name, text)
            return [name, HashMap.set(known, key, name)] as const
          })
        )
      })

      /**
       * The word that becomes argv[0]: ssh hands it to a shell for the hops of
       * ProxyJump, unquoted. Another binary gets a link in the working directory.
       */
      const oneLink = yield* Semaphore.make(1)
      const word = Effect.gen(function*() {
        if (!binary.includes("/") || host.platform === "windows") return binary
        if (!(yield* directory.has("ssh"))) yield* directory.link("ssh", path.resolve(binary))
        return "./ssh"
      }).pipe(oneLink.withPermits(1))

      const run = Effect.fn("OpenSsh.run")(function*(args: ReadonlyArray<string>) {
        return yield* finish(binary, args, yield* directory.path).pipe(Effect.timeoutOption(timing.control))
      })

      const resolve = Effect.fn("OpenSsh.resolve")(function*(destination: Destination) {
        const name = yield* config(destination.sshConfig)
        // As a path that a quoted word of a shell can hold: nothing expands its `~`.
        const file = expandHome(destination.sshConfig ?? "~/.ssh/config", host.home)
        const answer = yield* finish(
          binary,
          Argv.resolve({ config: name, destination, home: host.home }),
          yield* directory.path
        ).pipe(
          Effect.timeoutOption(timing.query)
        )
        if (Option.isNone(answer)) {
          return yield* new ConfigurationError({
            reason: new SshConfigInvalid({
              file,
              detail: "ssh -G did not end in time; a `Match exec` command may hang"
            })
          })
        }
        if (answer.value.code === 0) return answer.value.stdout
        return yield* configurationError(answer.value.stderr, file)
      })

      const knownHosts = Effect.fn("OpenSsh.knownHosts")(function*(name: string, file: string) {
        const answer = yield* Effect.option(
          finish("ssh-keygen", ["-l", "-F", name, "-f", file], undefined).pipe(Effect.timeout(timing.control))
        )
        return Option.isSome(answer) ? answer.value.stdout : ""
      })

      const start = Effect.fnUntraced(function*(
        args: ReadonlyArray<string>,
        script: Redacted.Redacted<string> | undefined
      ) {
        const cwd = yield* directory.path
        const input = yield* Queue.unbounded<Uint8Array, Cause.Done>()
        const gated = host.platform === "posix"
        const [command, argv] = gated
          ? ["/bin/sh", ["-c", "read -r go && exec \"$@\"", "sh", yield* word, ...args]] as const
          : [yield* word, args] as const
        const handle = yield* spawner.spawn(
          ChildProcess.make(command, argv, {
            cwd,
            env,
            stdin: gated || script !== undefined ? { stream: Stream.fromQueue(input) } : "ignore",
            stdout: script === undefined ? "ignore" : "pipe",
            stderr: "pipe",
            ...kill
          })
        ).pipe(Effect.mapError(spawnFailed))
        return { handle, input }
      })

      /**
       * Ends a process group. `close` returns when the group has no member, but
       * the ssh of a jump host that outlived its parent stays one until init
       * reads its exit code, which may take seconds or, in a container, for
       * ever. Nobody needs to wait for what is dead.
       */
      const end = Effect.fnUntraced(function*(pgid: number, close: Effect.Effect<void>) {
        const closing = yield* Effect.forkDetach(close, { startImmediately: true })
        if (host.platform === "windows") return yield* Effect.asVoid(Fiber.await(closing))
        const dead = Effect.sleep(timing.groupCheck).pipe(
          Effect.andThen(host.isGroupAlive(pgid)),
          Effect.repeat({ while: (alive) => alive })
        )
        yield* Effect.raceFirst(Fiber.await(closing), dead)
      })

      const hold = Effect.fn("OpenSsh.hold")(function*(
        args: ReadonlyArray<string>,
        script?: Redacted.Redacted<string>
      ) {
        const scope = yield* Scope.make()
        const pid = yield* Deferred.make<number>()
        // The process first, the records of it last: it must be gone before it is forgotten.
        yield* Effect.addFinalizer(Effect.fnUntraced(function*(exit) {
          const known = yield* Deferred.poll(pid)
          if (Option.isNone(known)) return yield* Scope.close(scope, exit)
          const pgid = yield* known.value
          yield* end(pgid, Scope.close(scope, exit))
          // Nobody but the layer's end has to wait for that: reaper and sweep know another process with this number when
          // they see one.
          yield* Effect.all([reaper.unregister(pgid), directory.forget(pgid)], { concurrency: 2, discard: true }).pipe(
            Effect.forkIn(lifetime, { uninterruptible: true })
          )
        }))
        const { handle, input } = yield* Scope.provide(start(args, script), scope)
        yield* Deferred.succeed(pid, handle.pid)
        const log = yield* SubscriptionRef.make(SshLog.empty)
        const events = yield* PubSub.unbounded<SshLog.SshEvent>()
        const recording = yield* Recording
        const recordStderr = yield* recording.output("ssh")
        const recordStdout = script === undefined ? undefined : yield* recording.output("remote stdout")
        const listening = yield* handle.stderr.pipe(
          Stream.decodeText(),
          Stream.runForEach((text) =>
            Effect.flatMap(
              SubscriptionRef.modify(log, (before) => SshLog.append(before, text)),
              (news) => PubSub.publishAll(events, news)
            ).pipe(Effect.andThen(recordStderr(text)))
          ),
          Effect.ignore,
          Effect.forkIn(scope)
        )
        const ended = yield* Deferred.make<SshExit>()
        yield* Effect.exit(handle.exitCode).pipe(
          Effect.tap(() => lastWords([listening], timing.lastWords)),
          Effect.flatMap((exit) => Deferred.succeed(ended, exitOf(exit))),
          Effect.forkIn(scope)
        )
        if (host.platform === "posix") {
          const leader = yield* host.identify(handle.pid)
          yield* Effect.all([
            reaper.register(handle.pid),
            Option.isSome(leader) ? directory.record(leader.value) : Effect.void
          ], { concurrency: "unbounded", discard: true })
          yield* Queue.offer(input, encoder.encode("go\n"))
        }
        if (script === undefined) yield* Queue.end(input)
        else yield* Queue.offer(input, encoder.encode(Redacted.value(script)))
        return {
          pid: handle.pid,
          log,
          events,
          stdout: recordStdout === undefined
            ? textOf(handle.stdout)
            : Stream.tap(textOf(handle.stdout), recordStdout),
          exit: Deferred.await(ended)
        } satisfies SshProcess
      })

      const command = Effect.fn("OpenSsh.command")(function*(
        args: ReadonlyArray<string>,
        script: Redacted.Redacted<string>
      ) {
        const handle = yield* spawner.spawn(
          ChildProcess.make(binary, args, {
            cwd: yield* directory.path,
            env,
            stdin: {
              stream: Stream.concat(Stream.sync(() => encoder.encode(Redacted.value(script))), Stream.never)
            },
            ...kill
          })
        ).pipe(Effect.mapError(spawnFailed))
        const recording = yield* Recording
        return {
          stdout: Stream.tap(textOf(handle.stdout), yield* recording.output("remote stdout")),
          stderr: Stream.tap(textOf(handle.stderr), yield* recording.output("remote stderr")),
          exit: Effect.map(Effect.exit(handle.exitCode), exitOf)
        } satisfies SshCommand
      })

      return OpenSsh.of({
        version,
        config,
        resolve,
        knownHosts,
        hold,
        run,
        command,
        warmUp: Effect.all([version, reaper.start, config(undefined)], { concurrency: "unbounded", discard: true })
          .pipe(Effect.ignore)
      })
    })
  )
}
