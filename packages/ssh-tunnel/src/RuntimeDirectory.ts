/**
 * The private directory of this process: control sockets, generated configs,
 * and records of the process groups that we started, so that the next start
 * can end what a crash left.
 *
 * ssh runs with this directory as its working directory and gets relative
 * paths: ProxyJump hands the `-F` path to a shell unquoted, and a socket path
 * may not exceed some 90 bytes.
 */
import {
  Clock,
  Context,
  Duration,
  Effect,
  FileSystem,
  HashMap,
  Layer,
  Option,
  Path,
  PlatformError,
  Ref,
  Schedule,
  Schema,
  Scope,
  SynchronizedRef
} from "effect"
import { ConfigurationError, RuntimeDirectoryUnusable } from "./ConfigurationError.ts"
import { isNotFound, problemOf } from "./internal/platformProblem.ts"
import { LocalHost, type ProcessIdentity } from "./LocalHost.ts"
import { Timing } from "./Schedules.ts"

const prefix = "opencode-ssh-run-"
/** mkdtemp(3) adds six letters or digits; nothing else is ever taken for ours. */
const ours = /^opencode-ssh-run-[A-Za-z0-9]{6}$/
const ownerFile = "owner.json"
const groupFile = /^group-(\d+)\.json$/

const Identity = Schema.fromJsonString(Schema.Struct({ pid: Schema.Int, startTime: Schema.String }))
const decodeIdentity = Schema.decodeEffect(Identity)
const encodeIdentity = Schema.encodeEffect(Identity)

/** See the module. */
export class RuntimeDirectory extends Context.Service<RuntimeDirectory, {
  /**
   * The directory's path; made (0700) at the first use, removed when the layer's scope closes.
   *
   * **Gotchas**
   *
   * Ask for it each time: cleaners of `/tmp` remove old directories, also of a process that runs. Then the next use
   * makes another one; what was written to the old one is gone, but for the records.
   */
  readonly path: Effect.Effect<string, ConfigurationError>
  /** A name that was not given before in this process, for use inside the directory. */
  readonly fresh: (stem: string) => Effect.Effect<string>
  /** Writes a file (0600) of that name into the directory. */
  readonly write: (name: string, content: string) => Effect.Effect<void, ConfigurationError>
  /** Whether a file or link of that name is in the directory. */
  readonly has: (name: string) => Effect.Effect<boolean, ConfigurationError>
  /** Makes a symbolic link of that name in the directory. */
  readonly link: (name: string, target: string) => Effect.Effect<void, ConfigurationError>
  /** Remembers a process group for the sweep after a crash. */
  readonly record: (leader: ProcessIdentity) => Effect.Effect<void, ConfigurationError>
  /** Forgets a group that ended. */
  readonly forget: (pid: number) => Effect.Effect<void>
  /**
   * Ends the groups and removes the directories of processes that are gone.
   * A group is only signalled when its leader's pid *and* start time are those
   * that were recorded; nothing of another user is touched. A directory that
   * nobody has signed is removed when it is empty and old: its maker died
   * before it could.
   */
  readonly sweep: Effect.Effect<void>
}>()("@opencode-ai/ssh-tunnel/RuntimeDirectory") {
  /** A directory that exists only as its path; what is written to it is lost. */
  static readonly layerMock = (path: string = "/run/opencode-ssh-test"): Layer.Layer<RuntimeDirectory> =>
    Layer.effect(
      RuntimeDirectory,
      Effect.map(Ref.make(1), (counter) => ({
        path: Effect.succeed(path),
        fresh: (stem) => Effect.map(Ref.getAndUpdate(counter, (n) => n + 1), (n) => `${stem}${n}`),
        write: () => Effect.void,
        has: () => Effect.succeed(true),
        link: () => Effect.void,
        record: () => Effect.void,
        forget: () => Effect.void,
        sweep: Effect.void
      }))
    )

  static readonly layer = Layer.effect(
    RuntimeDirectory,
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const { isAbsolute, join } = yield* Path.Path
      const host = yield* LocalHost
      const timing = yield* Timing
      const scope = yield* Effect.scope
      const counter = yield* Ref.make(1)
      const current = yield* SynchronizedRef.make(Option.none<string>())
      /** The records of the groups that live, by pid. */
      const records = yield* Ref.make(HashMap.empty<number, ProcessIdentity>())

      /** Nobody else may take our directory away there and put another one in its place: ssh obeys what is in it. */
      const usable = Effect.fnUntraced(function*(base: string) {
        const found = yield* Effect.option(Effect.flatMap(fs.realPath(base), host.inspect))
        if (Option.isNone(found) || found.value.kind !== "directory") return false
        if (host.platform === "windows") return true
        const { mode, uid } = found.value
        // In a sticky directory everybody keeps what is theirs, but for its owner.
        const isSticky = (mode & 0o1000) !== 0
        return (isSticky || (mode & 0o022) === 0) && (uid === host.uid || uid === 0)
      })

      const candidates = [host.environment["XDG_RUNTIME_DIR"], host.temporaryDirectory, "/tmp"]
        .filter((base): base is string => base !== undefined && isAbsolute(base))

      const unusable = (path: string, cause: unknown) =>
        new ConfigurationError({
          reason: new RuntimeDirectoryUnusable({
            path,
            detail: cause instanceof PlatformError.PlatformError
              ? problemOf(cause)
              : cause instanceof Error
              ? cause.message
              : String(cause)
          })
        })

      const groupFileOf = (pid: number) => `group-${pid}.json`

      /**
       * Bun leaves a directory, and calls that a success, when somebody removes a file in it at the same time: another
       * host that sweeps, say. What was left would have no owner any more, and stay for ever.
       */
      const removeDirectory = (directory: string) =>
        fs.remove(directory, { recursive: true, force: true }).pipe(
          Effect.andThen(Effect.isSuccess(host.inspect(directory))),
          Effect.repeat({ while: (isThere) => isThere, times: 2 })
        )

      /** Who is interrupted waits for the change it has begun, so that none goes on beside the directory's removal. */
      const writeFile = (file: string, content: string) =>
        Effect.uninterruptible(fs.writeFileString(file, content, { mode: 0o600 }))
      const removeFile = (file: string) => Effect.uninterruptible(fs.remove(file, { force: true }))

      /** Says whose the directory is, and what this process has running. */
      const sign = Effect.fnUntraced(function*(directory: string) {
        const put = (name: string, identity: ProcessIdentity) =>
          Effect.flatMap(
            Effect.orDie(encodeIdentity(identity)),
            (text) => writeFile(join(directory, name), text)
          )
        yield* put(ownerFile, host.self)
        yield* Effect.forEach(
          HashMap.values(yield* Ref.get(records)),
          (leader) => put(groupFileOf(leader.pid), leader),
          { discard: true }
        )
        return directory
      })

      const make = Effect.gen(function*() {
        for (const base of candidates) {
          if (!(yield* usable(base))) continue
          const made = yield* Effect.option(fs.makeTempDirectory({ directory: base, prefix }))
          if (Option.isNone(made)) continue
          const path = made.value
          // The directory must not be lost between its making and the registration of its removal.
          yield* Effect.addFinalizer(() => Effect.ignore(removeDirectory(path)))
          yield* fs.chmod(path, 0o700)
          return yield* sign(path)
        }
        return yield* unusable(candidates.join(", "), "none of these directories can be written")
      }).pipe(
        // Its maker may have slept long enough for a sweep to take it unsigned.
        Effect.retry({
          schedule: Schedule.recurs(2),
          while: (error) => error._tag === "PlatformError" && isNotFound(error)
        }),
        Effect.mapError((cause) =>
          cause instanceof ConfigurationError ? cause : unusable(candidates.join(", "), cause)
        ),
        Effect.uninterruptible,
        Effect.provideService(Scope.Scope, scope)
      )

      /** Ours, private, and no link that somebody else has put there since. */
      const isOurs = (directory: string) =>
        Effect.match(host.inspect(directory), {
          onFailure: () => false,
          onSuccess: ({ kind, mode, uid }) =>
            kind === "directory" &&
            (host.platform === "windows" || ((mode & 0o077) === 0 && uid === host.uid))
        })

      /** The directory, if it is still there; a cleaner that has only taken files from it costs a new signature. */
      const keep = Effect.fnUntraced(function*(directory: string) {
        if (!(yield* isOurs(directory))) return Option.none<string>()
        const signed = yield* Effect.isSuccess(host.inspect(join(directory, ownerFile)))
        return signed ? Option.some(directory) : yield* Effect.option(sign(directory))
      })

      const path = SynchronizedRef.modifyEffect(
        current,
        Effect.fnUntraced(function*(known) {
          const kept = Option.isSome(known) ? yield* keep(known.value) : Option.none<string>()
          if (Option.isSome(kept)) return [kept.value, known] as const
          const made = yield* make
          return [made, Option.some(made)] as const
        })
      )

      const inside = (name: string) => Effect.map(path, (directory) => join(directory, name))
      const write = Effect.fn("RuntimeDirectory.write")(function*(name: string, content: string) {
        const file = yield* inside(name)
        yield* Effect.mapError(writeFile(file, content), (cause) => unusable(file, cause))
      })

      const endGroup = Effect.fnUntraced(function*(file: string) {
        const recorded = yield* decodeIdentity(yield* fs.readFileString(file))
        const live = yield* host.identify(recorded.pid)
        if (Option.isSome(live) && live.value.startTime === recorded.startTime) {
          yield* host.signalGroup(recorded.pid, "SIGTERM")
          yield* Effect.sleep(timing.killAfter)
          yield* host.signalGroup(recorded.pid, "SIGKILL")
        }
      })

      const isGone = Effect.fnUntraced(function*(owner: ProcessIdentity) {
        const live = yield* host.identify(owner.pid)
        return Option.isNone(live) || live.value.startTime !== owner.startTime
      })

      /** Nothing was written to it, in all the time that its maker needs for that. */
      const isUnsigned = Effect.fnUntraced(function*(directory: string, files: ReadonlyArray<string>) {
        if (files.some((file) => file !== ownerFile)) return false
        for (const file of files) {
          if ((yield* fs.stat(join(directory, file))).size > 0n) return false
        }
        const { mtime } = yield* fs.stat(directory)
        const now = yield* Clock.currentTimeMillis
        return Option.isSome(mtime) && now - mtime.value.getTime() > Duration.toMillis(timing.unsignedDirectory)
      })

      /** By rmdir(2), which takes only what is empty at that moment. */
      const removeUnsigned = Effect.fnUntraced(function*(directory: string, files: ReadonlyArray<string>) {
        yield* Effect.forEach(files, (file) => fs.remove(join(directory, file)), { discard: true })
        yield* host.removeEmptyDirectory(directory)
      })

      const sweepOne = Effect.fnUntraced(function*(directory: string) {
        const { kind, mode, uid } = yield* host.inspect(directory)
        if (kind !== "directory" || (mode & 0o077) !== 0 || (host.uid !== undefined && uid !== host.uid)) return
        const files = yield* fs.readDirectory(directory)
        if (yield* isUnsigned(directory, files)) return yield* removeUnsigned(directory, files)
        // Without a readable owner nobody knows whose it is.
        const owner = yield* Effect.flatMap(fs.readFileString(join(directory, ownerFile)), decodeIdentity)
        if (!(yield* isGone(owner))) return
        yield* Effect.forEach(
          files.filter((file) => groupFile.test(file)),
          (file) => Effect.ignore(endGroup(join(directory, file))),
          { concurrency: "unbounded", discard: true }
        )
        yield* removeDirectory(directory)
      })

      const sweepBase = Effect.fnUntraced(function*(base: string) {
        const names = yield* fs.readDirectory(base)
        yield* Effect.forEach(
          names.filter((name) => ours.test(name)),
          (name) => Effect.ignore(sweepOne(join(base, name))),
          { concurrency: 4, discard: true }
        )
      })

      return RuntimeDirectory.of({
        path,
        fresh: (stem) => Effect.map(Ref.getAndUpdate(counter, (n) => n + 1), (n) => `${stem}${n}`),
        write,
        has: (name) => Effect.flatMap(inside(name), (file) => Effect.isSuccess(host.inspect(file))),
        link: Effect.fn("RuntimeDirectory.link")(function*(name: string, target: string) {
          const file = yield* inside(name)
          yield* Effect.mapError(
            Effect.uninterruptible(fs.symlink(target, file)),
            (cause) => unusable(file, cause)
          )
        }),
        record: Effect.fn("RuntimeDirectory.record")(function*(leader: ProcessIdentity) {
          yield* Ref.update(records, HashMap.set(leader.pid, leader))
          yield* write(groupFileOf(leader.pid), yield* Effect.orDie(encodeIdentity(leader)))
        }),
        forget: Effect.fn("RuntimeDirectory.forget")(function*(pid: number) {
          yield* Ref.update(records, HashMap.remove(pid))
          // Nobody makes a directory in order to remove a file from it.
          const directory = yield* SynchronizedRef.get(current)
          if (Option.isNone(directory)) return
          yield* Effect.ignore(removeFile(join(directory.value, groupFileOf(pid))))
        }),
        sweep: Effect.forEach([...new Set(candidates)], (base) => Effect.ignore(sweepBase(base)), { discard: true })
          .pipe(Effect.withSpan("RuntimeDirectory.sweep"))
      })
    })
  )
}
