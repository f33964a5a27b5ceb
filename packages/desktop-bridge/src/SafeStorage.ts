/** Passwords of servers in the operating system's safe storage (Electron's `safeStorage`), one encrypted file each. */
import * as AtomicFile from "@opencode-ai/ssh-tunnel/AtomicFile"
import { Credentials } from "@opencode-ai/ssh-tunnel/Credentials"
import { CredentialStore } from "@opencode-ai/ssh-tunnel/CredentialStore"
import { DataDirectory } from "@opencode-ai/ssh-tunnel/DataDirectory"
import type { LocalHost } from "@opencode-ai/ssh-tunnel/LocalHost"
import { ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import { Effect, FileSystem, HashMap, Layer, Option, Path, Redacted, Ref, Schema, Semaphore } from "effect"

/** The part of Electron's `safeStorage` that is used. Its methods may throw. */
export interface SafeStorage {
  isEncryptionAvailable(): boolean
  encryptString(plainText: string): Uint8Array
  decryptString(encrypted: Uint8Array): string
  /** Linux only. `basic_text` is no encryption: nothing is written then. */
  getSelectedStorageBackend?(): string
}

/** The directory in the `DataDirectory` that holds the encrypted files, each named by its profile's id. */
export const credentialsDirectoryName = "ssh-credentials"

const Content = Schema.fromJsonString(
  Schema.Struct({
    id: ProfileId,
    username: Schema.String,
    password: Schema.String,
    server: Schema.optionalKey(Schema.String)
  })
)
const decode = Schema.decodeUnknownOption(Content)
const encode = Schema.encodeSync(Content)

/**
 * A `CredentialStore` that outlives the application. Nothing fails: what cannot be encrypted or written is remembered
 * until the application ends, and what cannot be read is not there.
 *
 * **Details**
 *
 * The id is part of what is encrypted, so that a file under another profile's name is not that profile's password; and
 * so is the server that it is for, so that it is not sent elsewhere when the profile was edited meanwhile.
 *
 * **Gotchas**
 *
 * Electron's `safeStorage` works from `app.whenReady()` on.
 */
export const layer = (
  storage: SafeStorage
): Layer.Layer<CredentialStore, never, DataDirectory | FileSystem.FileSystem | LocalHost | Path.Path> =>
  Layer.effect(
    CredentialStore,
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const directory = yield* DataDirectory
      const { write } = yield* AtomicFile.make
      const known = yield* Ref.make(HashMap.empty<ProfileId, Option.Option<Credentials>>())
      // One at a time: what was read or written for an earlier call must not outlive a later `remove`.
      const turn = yield* Semaphore.make(1)
      // Names that differ only in case are one file on some systems; ids are not.
      const fileOf = (id: ProfileId) =>
        path.join(directory.path, credentialsDirectoryName, id.replaceAll(/[A-Z]/g, (letter) => `+${letter}`))

      const safe = Effect.sync(() =>
        storage.isEncryptionAvailable() && storage.getSelectedStorageBackend?.() !== "basic_text"
      )

      /** Never the error itself: nobody knows what a platform puts into it. */
      const quietly = (what: string) => <A>(effect: Effect.Effect<A, unknown>, otherwise: A) =>
        Effect.catchCause(effect, () => Effect.as(Effect.logWarning(`A password could not be ${what}`), otherwise))

      const read = Effect.fnUntraced(function*(id: ProfileId) {
        const file = fileOf(id)
        if (!(yield* fs.exists(file)) || !(yield* safe)) return Option.none<Credentials>()
        const encrypted = yield* fs.readFile(file)
        const plain = decode(yield* Effect.sync(() => storage.decryptString(encrypted)))
        return Option.map(
          Option.filter(plain, (content) => content.id === id),
          ({ id: _, password, ...rest }) => new Credentials({ ...rest, password: Redacted.make(password) })
        )
      })

      /** A file that cannot be removed is emptied: an old password must not come back at the next start. */
      const erase = (id: ProfileId) => {
        const file = fileOf(id)
        return Effect.matchEffect(fs.remove(file, { force: true }), {
          onFailure: () => fs.truncate(file),
          onSuccess: () => Effect.void
        })
      }

      const save = Effect.fnUntraced(function*(id: ProfileId, { password, server, username }: Credentials) {
        if (!(yield* safe)) return yield* erase(id)
        const plain = encode({
          id,
          username,
          password: Redacted.value(password),
          ...(server === undefined ? undefined : { server })
        })
        yield* Effect.sync(() => Uint8Array.from(storage.encryptString(plain))).pipe(
          Effect.flatMap((bytes) => write(fileOf(id), bytes)),
          Effect.tapCause(() => erase(id))
        )
      })

      return CredentialStore.of({
        get: Effect.fn("SafeStorage.get")(function*(id) {
          const before = HashMap.get(yield* Ref.get(known), id)
          if (Option.isSome(before)) return before.value
          const found = yield* quietly("read")(read(id), Option.none<Credentials>())
          yield* Ref.update(known, HashMap.set(id, found))
          return found
        }, turn.withPermits(1)),
        set: Effect.fn("SafeStorage.set")(function*(id, credentials) {
          yield* Ref.update(known, HashMap.set(id, Option.some(credentials)))
          yield* quietly("stored")(save(id, credentials), undefined)
        }, turn.withPermits(1)),
        remove: Effect.fn("SafeStorage.remove")(function*(id) {
          yield* Ref.update(known, HashMap.set(id, Option.none<Credentials>()))
          yield* quietly("removed")(erase(id), undefined)
        }, turn.withPermits(1))
      })
    })
  )
