/**
 * A small file that several processes read and write: reads see whole versions
 * and wait for nobody; writes come one after the other, by a lock, and replace
 * the file as a whole.
 *
 * A symbolic link is followed: its target is read, locked and replaced, the
 * link stays (people keep such files with their dotfiles).
 */
import {
  DateTime,
  Effect,
  FileSystem,
  Option,
  Path,
  type PlatformError,
  PubSub,
  Result,
  Schema,
  Semaphore,
  Stream
} from "effect"
import * as AtomicFile from "../AtomicFile.ts"
import { LocalHost } from "../LocalHost.ts"
import * as FileLock from "./fileLock.ts"
import { isNotFound, problemOf } from "./platformProblem.ts"

/** The file cannot be read or written; what was there is unchanged. */
export class SharedFileError extends Schema.TaggedError<SharedFileError>()("SharedFileError", {
  path: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.path}: ${this.detail}`
  }
}

/** See the module. */
export interface SharedFile {
  readonly path: string
  /** `None` when there is no such file. */
  readonly read: Effect.Effect<Option.Option<Uint8Array>, SharedFileError>
  /** Hands the content to `change` and writes what that returns, if anything, with all other writers kept out. */
  readonly modify: <A, E>(
    change: (current: Option.Option<Uint8Array>) => Effect.Effect<readonly [A, Uint8Array | undefined], E>
  ) => Effect.Effect<A, E | SharedFileError>
  /**
   * Makes sure that a copy of this content lies beside the file, as
   * `<file>.corrupt-<time>`. `isNew`: it was made now. Copied, not moved: an
   * editor may be writing the file at this moment.
   */
  readonly keepAside: (
    content: Uint8Array
  ) => Effect.Effect<{ readonly path: string; readonly isNew: boolean }, SharedFileError>
  /** Emits at the start, and when the content may have changed, by whoever. Works also before the file exists. */
  readonly changes: Stream.Stream<void>
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])

/** Opens nothing: the file need not exist, now or ever. */
export const make = Effect.fnUntraced(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const host = yield* LocalHost
  const { withLock } = yield* FileLock.make
  const atomic = yield* AtomicFile.make
  const oneFiber = yield* Semaphore.make(1)
  const written = yield* PubSub.sliding<void>(1)

  const failure = (detail: string) => new SharedFileError({ path: file, detail })
  const explain = (error: PlatformError.PlatformError | FileLock.FileLocked | SharedFileError) =>
    error._tag === "SharedFileError"
      ? error
      : failure(error._tag === "FileLocked" ? error.message : problemOf(error))

  const makeDirectory = fs.makeDirectory(path.dirname(file), { recursive: true, mode: 0o700 }).pipe(
    Effect.mapError(explain)
  )

  /** Where a link leads, also when there is nothing yet. `..` counts from the link's real directory. */
  const follow = (link: string, hops: number): Effect.Effect<string, SharedFileError> =>
    Effect.matchEffect(Effect.all([fs.readLink(link), fs.realPath(path.dirname(link))]), {
      onFailure: () => Effect.succeed(link),
      onSuccess: ([target, directory]) =>
        hops === 0
          ? Effect.fail(failure("too many levels of symbolic links"))
          : follow(path.resolve(directory, target), hops - 1)
    })
  const locate = follow(file, 32)

  const readAt = Effect.fnUntraced(
    function*(target: string) {
      // Asked first: reading a pipe would wait for ever, and a device is not to be replaced.
      const { type } = yield* fs.stat(target)
      if (type !== "File") {
        return yield* failure(type === "Directory" ? "it is a directory, not a file" : "it is not a plain file")
      }
      return Option.some(yield* fs.readFile(target))
    },
    Effect.catchIf((error) => error._tag === "PlatformError" && isNotFound(error), () => Effect.succeedNone),
    Effect.mapError(explain)
  )

  const modify: SharedFile["modify"] = (change) =>
    Effect.gen(function*() {
      yield* makeDirectory
      const target = yield* locate
      const exclusively = Effect.gen(function*() {
        const current = yield* readAt(target)
        const outcome = yield* Effect.result(change(current))
        const bytes = Result.isSuccess(outcome) ? outcome.success[1] : undefined
        if (bytes === undefined || (Option.isSome(current) && sameBytes(current.value, bytes))) return outcome
        yield* Effect.ignore(atomic.sweep(target))
        yield* atomic.write(target, bytes)
        yield* PubSub.publish(written, undefined)
        return outcome
      })
      return yield* Effect.mapError(withLock(`${target}.lock`, exclusively), explain)
    }).pipe(
      Semaphore.withPermit(oneFiber),
      Effect.flatMap(Effect.fromResult),
      Effect.map(([answer]) => answer)
    )

  const keepAside = Effect.fnUntraced(function*(content: Uint8Array) {
    const directory = path.dirname(file)
    const prefix = `${path.basename(file)}.corrupt-`
    // Another reader may be making its copy now: what is not finished has no name yet that could be told to anybody.
    const copies = (yield* fs.readDirectory(directory)).filter((name) =>
      name.startsWith(prefix) && !AtomicFile.isTemporary(name)
    )
    for (const name of copies) {
      const copy = path.join(directory, name)
      const same = yield* Effect.match(fs.readFile(copy), {
        onFailure: () => false,
        onSuccess: (bytes) => sameBytes(bytes, content)
      })
      if (same) return { path: copy, isNew: false }
    }
    // Without the characters that a Windows file name cannot have.
    const time = DateTime.formatIso(yield* DateTime.now).replaceAll(/[:.]/g, "-")
    const name = copies.includes(prefix + time) ? `${prefix}${time}-${copies.length}` : prefix + time
    yield* atomic.write(path.join(directory, name), content)
    return { path: path.join(directory, name), isNew: true }
  }, Effect.mapError(explain))

  /** A link may be changed to lead elsewhere, so each change of `file` itself looks again. */
  const changesOnDisk = host.changesOf(file).pipe(
    Stream.merge(Stream.succeed(undefined)),
    Stream.switchMap(() =>
      Stream.unwrap(Effect.match(locate, {
        onFailure: () => Stream.succeed(undefined),
        onSuccess: (target) =>
          target === file
            ? Stream.succeed(undefined)
            : Stream.merge(Stream.succeed(undefined), host.changesOf(target))
      }))
    )
  )

  return {
    path: file,
    read: Effect.flatMap(locate, readAt),
    modify,
    keepAside,
    // A directory that is not there cannot be watched.
    changes: Stream.unwrap(Effect.as(
      Effect.ignore(makeDirectory),
      Stream.merge(changesOnDisk, Stream.fromPubSub(written)).pipe(Stream.buffer({ capacity: 1, strategy: "sliding" }))
    ))
  } satisfies SharedFile
})
