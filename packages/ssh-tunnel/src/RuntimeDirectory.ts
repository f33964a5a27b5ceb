/**
 * The private directory of this process: control sockets, generated configs,
 * and records of the process groups that we started, so that the next start
 * can end what a crash left.
 *
 * ssh runs with this directory as its working directory and gets relative
 * paths: ProxyJump hands the `-F` path to a shell unquoted, and a socket path
 * may not exceed some 90 bytes.
 */
import { Context, Effect, FileSystem, Layer, Option, Path, PlatformError, Ref, Schema, Scope } from "effect"
import { ConfigurationError, RuntimeDirectoryUnusable } from "./ConfigurationError.ts"
import { problemOf } from "./internal/platformProblem.ts"
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
  /** The directory's path; made (0700) at the first use, removed when the layer's scope closes. */
  readonly path: Effect.Effect<string, ConfigurationError>
  /** A name that was not given before in this process, for use inside the directory. */
  readonly fresh: (stem: string) => Effect.Effect<string>
  /** Writes a file (0600) of that name into the directory. */
  readonly write: (name: string, content: string) => Effect.Effect<void, ConfigurationError>
  /** Makes a symbolic link of that name in the directory. */
  readonly link: (name: string, target: string) => Effect.Effect<void, ConfigurationError>
  /** Remembers a process group for the sweep after a crash. */
  readonly record: (leader: ProcessIdentity) => Effect.Effect<void, ConfigurationError>
  /** Forgets a group that ended. */
  readonly forget: (pid: number) => Effect.Effect<void>
  /**
   * Ends the groups and removes the directories of processes that are gone.
   * A group is only signalled when its leader's pid *and* start time are those
   * that were recorded; nothing of another user is touched.
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
      const { join } = yield* Path.Path
      const host = yield* LocalHost
      const timing = yield* Timing
      const scope = yield* Effect.scope
      const counter = yield* Ref.make(1)

      const usable = Effect.fnUntraced(function*(base: string | undefined) {
        if (base === undefined || base === "") return false
        const found = yield* Effect.option(fs.stat(base))
        return Option.isSome(found) && found.value.type === "Directory"
      })

      const candidates = [host.environment["XDG_RUNTIME_DIR"], host.temporaryDirectory, "/tmp"]
        .filter((base): base is string => base !== undefined && base !== "")

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

      const make = Effect.gen(function*() {
        for (const base of candidates) {
          if (!(yield* usable(base))) continue
          const made = yield* Effect.option(fs.makeTempDirectory({ directory: base, prefix }))
          if (Option.isNone(made)) continue
          const path = made.value
          yield* fs.chmod(path, 0o700)
          yield* fs.writeFileString(join(path, ownerFile), yield* encodeIdentity(host.self), { mode: 0o600 })
          return path
        }
        return yield* unusable(candidates.join(", "), "none of these directories can be written")
      }).pipe(
        Effect.mapError((cause) =>
          cause instanceof ConfigurationError ? cause : unusable(candidates.join(", "), cause)
        ),
        // The directory must not be lost between its making and the registration of its removal.
        Effect.tap((path) =>
          Effect.addFinalizer(() => Effect.ignore(fs.remove(path, { recursive: true, force: true })))
        ),
        Effect.uninterruptible,
        Effect.provideService(Scope.Scope, scope)
      )
      const path = yield* Effect.cached(make)

      const inside = (name: string) => Effect.map(path, (directory) => join(directory, name))
      const write = Effect.fn("RuntimeDirectory.write")(function*(name: string, content: string) {
        const file = yield* inside(name)
        yield* fs.writeFileString(file, content, { mode: 0o600 }).pipe(
          Effect.mapError((cause) => unusable(file, cause))
        )
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

      const sweepOne = Effect.fnUntraced(function*(directory: string) {
        const { kind, mode, uid } = yield* host.inspect(directory)
        if (kind !== "directory" || (mode & 0o077) !== 0 || (host.uid !== undefined && uid !== host.uid)) return
        // Without a readable owner nobody knows whose it is: being made just now, or not ours at all.
        const owner = yield* Effect.flatMap(fs.readFileString(join(directory, ownerFile)), decodeIdentity)
        if (!(yield* isGone(owner))) return
        const files = yield* fs.readDirectory(directory)
        yield* Effect.forEach(
          files.filter((file) => groupFile.test(file)),
          (file) => Effect.ignore(endGroup(join(directory, file))),
          { concurrency: "unbounded", discard: true }
        )
        yield* fs.remove(directory, { recursive: true, force: true })
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
        link: Effect.fn("RuntimeDirectory.link")(function*(name: string, target: string) {
          const file = yield* inside(name)
          yield* fs.symlink(target, file).pipe(Effect.mapError((cause) => unusable(file, cause)))
        }),
        record: Effect.fn("RuntimeDirectory.record")(function*(leader: ProcessIdentity) {
          yield* write(`group-${leader.pid}.json`, yield* Effect.orDie(encodeIdentity(leader)))
        }),
        forget: (pid) =>
          inside(`group-${pid}.json`).pipe(Effect.flatMap((file) => fs.remove(file, { force: true })), Effect.ignore),
        sweep: Effect.forEach([...new Set(candidates)], (base) => Effect.ignore(sweepBase(base)), { discard: true })
          .pipe(Effect.withSpan("RuntimeDirectory.sweep"))
      })
    })
  )
}
