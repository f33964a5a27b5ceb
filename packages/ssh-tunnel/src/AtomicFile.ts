/**
 * Replaces a file so that every reader sees the old content or the new, also
 * after a crash or a power cut: a new file beside it, fsync, rename(2), fsync
 * of the directory.
 */
import { Effect, FileSystem, Path } from "effect"
import * as Hex from "effect/encoding/Hex"
import { LocalHost } from "./LocalHost.ts"

const mark = ".tmp-"

/** Whether a file of this name is being written, or was left by a writer that was killed. */
export const isTemporary = (name: string): boolean => /\.tmp-[0-9a-f]{16}$/.test(name)

/** See the module. Build it once. */
export const make = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const host = yield* LocalHost

  /** Where a directory cannot be opened or synced (Windows, some network file systems), the rename has to do. */
  const syncDirectory = (directory: string) =>
    Effect.scoped(Effect.flatMap(fs.open(directory, { flag: "r" }), (file) => file.sync)).pipe(
      Effect.catch((error) => Effect.logDebug(`The directory ${directory} could not be synced`, error))
    )

  /**
   * Writes `bytes` to `file`, readable by the user alone; makes its directory.
   * On failure the old content is unchanged and nothing is left beside it.
   */
  const write = Effect.fnUntraced(function*(file: string, bytes: Uint8Array) {
    yield* fs.makeDirectory(path.dirname(file), { recursive: true, mode: 0o700 })
    const temporary = `${file}${mark}${Hex.encode(yield* host.randomBytes(8))}`
    yield* Effect.scoped(Effect.gen(function*() {
      const opened = yield* fs.open(temporary, { flag: "wx", mode: 0o600 })
      yield* opened.writeAll(bytes)
      yield* opened.sync
    })).pipe(
      Effect.andThen(fs.rename(temporary, file)),
      Effect.tapCause(() => Effect.ignore(fs.remove(temporary, { force: true })))
    )
    yield* syncDirectory(path.dirname(file))
  }, Effect.uninterruptible)

  /** Removes what killed writers left beside `file`. Only for who keeps all other writers out. */
  const sweep = Effect.fnUntraced(function*(file: string) {
    const directory = path.dirname(file)
    const prefix = `${path.basename(file)}${mark}`
    const left = (yield* fs.readDirectory(directory)).filter((name) => name.startsWith(prefix))
    yield* Effect.forEach(left, (name) => fs.remove(path.join(directory, name), { force: true }), { discard: true })
  })

  return { write, sweep }
})
