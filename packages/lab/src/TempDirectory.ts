import { Effect, type Scope } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Mark from "./Mark.ts"

/** The directory that holds every temp directory of this mark; it is gone when the last of them is. */
export const root = (mark: string = Mark.current()): string => Path.join(Os.tmpdir(), `opencode-ssh-lab-${mark}`)

/**
 * A new empty directory (0700) that is removed, with all its content, when the scope ends.
 *
 * `name` is its last component, for paths with spaces, quotes or `$()`; it must be unique within the scope.
 */
export const make = (options?: {
  readonly name?: string
}): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const parent = root()
      Fs.mkdirSync(parent, { recursive: true, mode: 0o700 })
      const unique = Fs.mkdtempSync(Path.join(parent, "d-"))
      const directory = options?.name === undefined ? unique : Path.join(unique, options.name)
      Fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
      return { parent, unique, directory }
    }),
    ({ parent, unique }) =>
      Effect.sync(() => {
        // A process that is just going away may still write into it: rm tries again on ENOTEMPTY.
        Fs.rmSync(unique, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
        try {
          Fs.rmdirSync(parent)
        } catch {
          // Not empty: another fixture's directory is still in it.
        }
      })
  ).pipe(Effect.map(({ directory }) => directory))
