/**
 * The built window, read into memory once. A request can only name an entry of
 * this table, never a path of the file system, so no encoding of `..` can lead
 * out of the directory; and a build that goes on meanwhile cannot be served
 * by half.
 */
import { Effect } from "effect"
import * as Mime from "effect/http/Mime"
import * as Option from "effect/Option"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"

/** A file as it is served. */
export interface StaticFile {
  readonly type: string
  readonly bytes: Uint8Array
  /** RFC 9110 §8.8.3, with its quotes. */
  readonly etag: string
}

/** By path from the directory on, with `/` at the front and between the names. */
export type StaticFiles = ReadonlyMap<string, StaticFile>

/** Why the directory cannot be served. */
export type StaticProblem = string

const typeOf = (path: string): string => {
  const type = Option.getOrElse(Mime.getType(path), () => "application/octet-stream")
  return /^text\/|^application\/(?:javascript|json|manifest\+json)$/.test(type) ? `${type}; charset=utf-8` : type
}

const read = async (directory: string, limit: number): Promise<StaticFiles> => {
  const files = new Map<string, StaticFile>()
  let room = limit
  const visit = async (relative: string): Promise<void> => {
    for (const entry of await Fs.readdir(Path.join(directory, relative), { withFileTypes: true })) {
      const name = `${relative}/${entry.name}`
      // Hidden files are a build tool's, not a window's. Links may lead anywhere.
      if (entry.name.startsWith(".")) continue
      if (entry.isDirectory()) await visit(name)
      if (!entry.isFile()) continue
      const bytes = await Fs.readFile(Path.join(directory, name))
      room -= bytes.length
      if (room < 0) throw new Error(`${directory} holds more than ${limit} bytes: that is no built window`)
      const etag = `"${Crypto.createHash("sha256").update(bytes).digest("base64url")}"`
      files.set(name, { type: typeOf(name), bytes, etag })
    }
  }
  await visit("")
  if (!files.has("/index.html")) throw new Error(`${directory} holds no index.html: build the window first`)
  return files
}

/** Reads the directory, except hidden files and links. */
export const readStaticFiles = (directory: string, limit: number): Effect.Effect<StaticFiles, StaticProblem> =>
  Effect.tryPromise({
    try: () => read(directory, limit),
    catch: (cause) => cause instanceof Error ? cause.message : String(cause)
  })
