/** Replaces a file so that every reader sees the old content or the new: a new file beside it, fsync, rename(2). */
import { LocalHost } from "@opencode-ai/ssh-tunnel/LocalHost"
import { Effect, FileSystem, Path, type PlatformError } from "effect"
import * as Hex from "effect/encoding/Hex"

/** Writes bytes to a file that only the user can read; makes its directory. On failure the old content is unchanged. */
export type Write = (file: string, bytes: Uint8Array) => Effect.Effect<void, PlatformError.PlatformError>

/** See the module. */
export const make = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const host = yield* LocalHost
  const write: Write = Effect.fnUntraced(function*(file, bytes) {
    yield* fs.makeDirectory(path.dirname(file), { recursive: true, mode: 0o700 })
    const temporary = `${file}.tmp-${Hex.encode(yield* host.randomBytes(8))}`
    yield* Effect.scoped(Effect.gen(function*() {
      const opened = yield* fs.open(temporary, { flag: "wx", mode: 0o600 })
      yield* opened.writeAll(bytes)
      yield* opened.sync
    })).pipe(
      Effect.andThen(fs.rename(temporary, file)),
      Effect.tapCause(() => Effect.ignore(fs.remove(temporary, { force: true })))
    )
  }, Effect.uninterruptible)
  return write
})
