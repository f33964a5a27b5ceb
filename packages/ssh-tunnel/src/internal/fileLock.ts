/**
 * A lock between processes that share a file.
 *
 * The lock is a directory that holds one entry, named by a random number that
 * is never used twice. It is taken by renaming a prepared directory, entry
 * included, to the lock's name: rename(2) does that only while there is no
 * such directory or an empty one, so exactly one process succeeds and the lock
 * never exists without its owner's name in it.
 *
 * A dead owner's lock is recovered by removing *its* entry, by name. Whoever
 * does so late, when another process has the lock already, removes nothing.
 * An owner is dead when no process here has its pid and start time. A process
 * of another machine or container with the same directory looks dead too, so
 * the entry must also have stayed for a while: an owner that lives keeps the
 * lock for milliseconds.
 *
 * On Windows rename never replaces a directory, so an empty one (seen only
 * after a crash) is removed first.
 */
import { Clock, Duration, Effect, FileSystem, Option, Path, type PlatformError, Schema, Stream } from "effect"
import * as Hex from "effect/encoding/Hex"
import { LocalHost } from "../LocalHost.ts"
import { Timing } from "../Schedules.ts"
import { errorCode, isNotFound, problemOf } from "./platformProblem.ts"

/** Others kept the lock for all of `Timing.fileLock`. */
export class FileLocked extends Schema.TaggedError<FileLocked>()("FileLocked", {
  lock: Schema.String,
  owner: Schema.optionalKey(Schema.Int)
}) {
  override get message() {
    return `${this.owner === undefined ? "another process" : `process ${this.owner}`} holds the lock ${this.lock}`
  }
}

const Owner = Schema.fromJsonString(Schema.Struct({ pid: Schema.Int, startTime: Schema.String }))
const encodeOwner = Schema.encodeSync(Owner)
const decodeOwner = Schema.decodeOption(Owner)

/** Who has the lock, as seen at one moment. */
interface Holder {
  readonly entry: string
  readonly pid: number | undefined
  readonly alive: boolean
}

/** A dead owner's entry, and when it was first seen. */
interface Suspect {
  readonly entry: string
  readonly since: number
}

/** See the module. Build it once; it has no state of its own. */
export const make = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const host = yield* LocalHost
  const timing = yield* Timing
  const check = Duration.toMillis(timing.fileLockCheck)

  const discard = (directory: string) => fs.remove(directory, { recursive: true, force: true })

  /** `false`: somebody has it. */
  const take = (candidate: string, lock: string): Effect.Effect<boolean, PlatformError.PlatformError> =>
    fs.rename(candidate, lock).pipe(
      Effect.as(true),
      Effect.catch((error) => {
        const code = errorCode(error)
        const taken = code === "ENOTEMPTY" || code === "EEXIST" ||
          (host.platform === "windows" && (code === "EPERM" || code === "EACCES"))
        return taken ? Effect.succeed(false) : Effect.fail(error)
      }),
      // An abandoned rename would still happen, and nobody would give the lock back.
      Effect.uninterruptible
    )

  /** `None`: free, or given back while we looked. */
  const look = Effect.fnUntraced(function*(lock: string) {
    const entry = (yield* fs.readDirectory(lock)).at(0)
    if (entry === undefined) {
      if (host.platform === "windows") yield* discard(lock)
      return Option.none<Holder>()
    }
    const owner = decodeOwner(yield* fs.readFileString(path.join(lock, entry)))
    if (Option.isNone(owner)) return Option.some<Holder>({ entry, pid: undefined, alive: false })
    const { pid, startTime } = owner.value
    const process = yield* host.identify(pid)
    const alive = Option.isSome(process) && process.value.startTime === startTime
    return Option.some<Holder>({ entry, pid, alive })
  }, Effect.catchIf(isNotFound, () => Effect.succeedNone))

  /** Tries, and clears a dead owner out of the way, until the lock is taken or a living process has it. */
  const attempt = Effect.fnUntraced(function*(
    candidate: string,
    lock: string,
    suspect: Suspect | undefined
  ): Effect.fn.Return<"taken" | Suspect | undefined, PlatformError.PlatformError> {
    while (!(yield* take(candidate, lock))) {
      const holder = yield* look(lock)
      if (Option.isNone(holder)) continue
      if (holder.value.alive) return undefined
      const now = yield* Clock.currentTimeMillis
      const { entry } = holder.value
      if (suspect?.entry !== entry) return { entry, since: now }
      if (now - suspect.since < check) return suspect
      yield* fs.remove(path.join(lock, entry)).pipe(Effect.catchIf(isNotFound, () => Effect.void))
    }
    return "taken"
  })

  /** Waits for changes of the lock, and looks now and then by itself: a process that dies changes nothing. */
  const wait = (candidate: string, lock: string): Effect.Effect<void, PlatformError.PlatformError | FileLocked> =>
    Stream.merge(host.changesOf(lock), Stream.tick(timing.fileLockCheck)).pipe(
      Stream.buffer({ capacity: 1, strategy: "sliding" }),
      Stream.mapAccumEffect((): Suspect | undefined => undefined, (suspect) =>
        Effect.map(
          attempt(candidate, lock, suspect),
          (outcome) => outcome === "taken" ? [undefined, [true]] as const : [outcome, []] as const
        )),
      Stream.runHead,
      Effect.timeoutOrElse({
        duration: timing.fileLock,
        orElse: () =>
          Effect.flatMap(look(lock), (holder) => {
            const owner = Option.flatMapNullishOr(holder, ({ pid }) => pid)
            return Effect.fail(
              new FileLocked({ lock, ...(Option.isSome(owner) ? { owner: owner.value } : undefined) })
            )
          })
      }),
      Effect.asVoid
    )

  const release = Effect.fnUntraced(function*(candidate: string, lock: string, entry: string) {
    const mine = path.join(lock, entry)
    if (yield* Effect.isSuccess(fs.access(mine))) {
      // Moving it away frees it at once, and is seen by those who wait for the name.
      yield* fs.rename(lock, candidate).pipe(Effect.catch(() => fs.remove(mine)))
    }
    // What cannot be removed now is swept when this process has ended.
    yield* Effect.ignore(discard(candidate))
  })

  /** Candidates of processes that died before they could use or discard them. */
  const sweep = Effect.fnUntraced(function*(lock: string) {
    const prefix = `${path.basename(lock)}-`
    const directory = path.dirname(lock)
    for (const name of yield* fs.readDirectory(directory)) {
      const pid = /^(\d+)-[0-9a-f]+$/.exec(name.startsWith(prefix) ? name.slice(prefix.length) : "")?.[1]
      if (pid === undefined || Option.isSome(yield* host.identify(Number(pid)))) continue
      yield* discard(path.join(directory, name))
    }
  })

  /**
   * Runs `use` while this process has the lock. Waits at most
   * `Timing.fileLock`; the wait can be interrupted, `use` cannot.
   */
  const withLock = <A, E>(
    lock: string,
    use: Effect.Effect<A, E>
  ): Effect.Effect<A, E | PlatformError.PlatformError | FileLocked> =>
    Effect.scoped(Effect.gen(function*() {
      const entry = `${host.self.pid}-${Hex.encode(yield* host.randomBytes(8))}`
      const candidate = `${lock}-${entry}`
      // Registered first, because an interrupt may come at any point of what follows.
      yield* Effect.addFinalizer(() =>
        release(candidate, lock, entry).pipe(
          Effect.catch((error) => Effect.logWarning(`The lock ${lock} could not be given back: ${problemOf(error)}`))
        )
      )
      yield* fs.makeDirectory(candidate, { mode: 0o700 }).pipe(
        Effect.andThen(
          fs.writeFileString(path.join(candidate, entry), encodeOwner(host.self), { flag: "wx", mode: 0o600 })
        ),
        Effect.uninterruptible
      )
      if (!(yield* take(candidate, lock))) yield* wait(candidate, lock)
      return yield* Effect.uninterruptible(Effect.andThen(Effect.ignore(sweep(lock)), use))
    }))

  return { withLock }
})
