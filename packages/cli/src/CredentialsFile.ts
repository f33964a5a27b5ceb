/**
 * `--credentials-file`: URL, user name and password for a program that cannot
 * be started by us. Readable by its owner alone at every moment, written as a
 * whole or not at all, and gone when the connection is.
 */
import type { ServerEndpoint } from "@opencode-ai/ssh-tunnel/Connections"
import { Effect, FileSystem, Option, Path, type PlatformError, Random, Redacted, Ref, Result, Schema } from "effect"
import { UsageError } from "./CliFailure.ts"

/** What the file holds; user name and password are absent when the server asks for none. */
export const Content = Schema.Struct({
  url: Schema.String,
  username: Schema.optionalKey(Schema.String),
  password: Schema.optionalKey(Schema.String)
})

const ContentFromJson = Schema.fromJsonString(Content)
const decode = Schema.decodeUnknownResult(ContentFromJson)
const encode = Schema.encodeSync(ContentFromJson)

/** A file longer than this is not one of ours. */
const longestOfOurs = 64 * 1024

/** A credentials file of one run. */
export interface CredentialsFile {
  /** Replaces the content atomically. */
  readonly write: (endpoint: ServerEndpoint) => Effect.Effect<void, UsageError>
}

/**
 * Prepares the file for one run and removes it when the scope closes (unless
 * somebody else put another file there). Checks at once that it can be used:
 * a symbolic link, a directory and a file with other content are refused. An
 * empty file (`mktemp`) and what an earlier run left are replaced.
 */
export const make = Effect.fn("CredentialsFile.make")(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  const path = (yield* Path.Path).resolve(file)
  const ours = yield* Ref.make(Option.none<bigint>())

  const refuse = (problem: string) => new UsageError({ message: `--credentials-file ${file}: ${problem}` })
  const explain = (error: PlatformError.PlatformError) =>
    refuse(
      error.reason._tag === "NotFound"
        ? "its directory does not exist"
        : error.reason._tag === "PermissionDenied"
        ? "permission denied"
        : error.message
    )

  const check = Effect.gen(function*() {
    const found = yield* Effect.option(fs.lstat(path))
    if (Option.isNone(found)) return
    if (found.value.type === "SymbolicLink") return yield* refuse("is a symbolic link")
    if (found.value.type !== "File") return yield* refuse("exists and is not a file")
    if (Option.isSome(yield* Ref.get(ours))) return
    const size = Number(found.value.size)
    if (size === 0) return
    const content = size > longestOfOurs ? "" : yield* Effect.mapError(fs.readFileString(path), explain)
    if (Result.isFailure(decode(content))) return yield* refuse("exists and holds something else; remove it first")
  })

  const write = Effect.fn("CredentialsFile.write")(function*(endpoint: ServerEndpoint) {
    yield* check
    const suffix = yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)
    const temporary = `${path}.${suffix.toString(36)}.tmp`
    const content = encode({
      url: endpoint.url,
      ...Option.match(endpoint.credentials, {
        onNone: () => undefined,
        onSome: ({ password, username }) => ({ username, password: Redacted.value(password) })
      })
    })
    yield* Effect.gen(function*() {
      const inode = yield* Effect.scoped(Effect.gen(function*() {
        // `wx` creates the file or fails, so nobody else can have it open; a umask only takes rights away.
        const handle = yield* fs.open(temporary, { flag: "wx", mode: 0o600 })
        yield* handle.writeAll(new TextEncoder().encode(`${content}\n`))
        yield* handle.sync
        return (yield* handle.stat).ino
      }))
      yield* fs.rename(temporary, path)
      yield* Ref.set(ours, inode)
    }).pipe(
      Effect.onError(() => Effect.ignore(fs.remove(temporary))),
      Effect.mapError(explain),
      Effect.uninterruptible
    )
  })

  yield* check
  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      const inode = yield* Ref.get(ours)
      const found = yield* fs.lstat(path)
      if (Option.isSome(inode) && found.type === "File" && Option.contains(found.ino, inode.value)) {
        yield* fs.remove(path)
      }
    }).pipe(Effect.ignore)
  )
  return { write } satisfies CredentialsFile
})
