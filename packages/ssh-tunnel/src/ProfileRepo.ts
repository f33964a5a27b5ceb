/** The user's profiles: a versioned JSON file that several processes may read and write at once. */
import { Context, Effect, type FileSystem, Layer, Option, Path, Result, Schema, Stream, SubscriptionRef } from "effect"
import {
  ConfigurationError,
  type InvalidProfile,
  ProfileNotFound,
  ProfileStoreUnreadable,
  ProfileStoreUnwritable
} from "./ConfigurationError.ts"
import { DataDirectory } from "./DataDirectory.ts"
import * as SharedFile from "./internal/sharedFile.ts"
import type { LocalHost } from "./LocalHost.ts"
import type { Profile, ProfileId } from "./Profile.ts"
import { sameProfiles } from "./ProfileDraft.ts"
import {
  contents,
  emptyDocument,
  formatVersion,
  getProfile,
  parse,
  type ProfileDocument,
  ProfileProblem,
  removeProfile,
  setProfile,
  stringify
} from "./ProfileFile.ts"
import { Timing } from "./Schedules.ts"

/** The name of the profile file in the {@link DataDirectory}. */
export const profileFileName = "ssh-profiles.json"

/** What differs between a file and memory. */
interface DocumentStore {
  readonly read: Effect.Effect<ProfileDocument, ConfigurationError>
  readonly modify: (
    change: (document: ProfileDocument) => Effect.Effect<ProfileDocument, ConfigurationError>
  ) => Effect.Effect<void, ConfigurationError>
  readonly changes: Stream.Stream<ProfileDocument, ConfigurationError>
}

/**
 * See the module. Order is the order of saving.
 *
 * **Details**
 *
 * The file is `ssh-profiles.json` in the {@link DataDirectory}, readable by
 * the user alone. Reads wait for nobody and see whole versions. Writers, also
 * of other processes, come one after the other. A write that fails
 * (`ProfileStoreUnwritable`: full disk, read-only directory, a lock that
 * others keep) leaves the old content. What we do not know (fields, whole
 * entries that are no valid profiles) survives; a symbolic link is followed
 * and stays.
 *
 * - **A corrupt file** is copied beside as `.corrupt-<time>`, and the call
 *   fails with `ProfileStoreUnreadable` and that name, once for each content.
 *   Then it counts as a file without profiles (with a warning in the log) and
 *   stays as it is until it is corrected or the next save replaces it. So no
 *   data is lost, people are told before anything is replaced, and nothing
 *   fails for ever.
 * - **A file of a later format** is read as far as it holds profiles, and
 *   never written.
 */
export class ProfileRepo extends Context.Service<ProfileRepo, {
  /** The valid profiles. Show `problems` with them: those are the user's profiles as well. */
  readonly list: Effect.Effect<ReadonlyArray<Profile>, ConfigurationError>
  /** The entries of the file that are no valid profiles. They are kept, and `remove` takes their id. */
  readonly problems: Effect.Effect<ReadonlyArray<ProfileProblem>, ConfigurationError>
  /** Fails with `ProfileNotFound`, or `InvalidProfile` when the entry with this id is no valid profile. */
  readonly get: (id: ProfileId) => Effect.Effect<Profile, ConfigurationError>
  /** Adds the profile, or replaces the one with its id; fields of the file that we don't know are kept. */
  readonly save: (profile: Profile) => Effect.Effect<void, ConfigurationError>
  /** Fails with `ProfileNotFound`. */
  readonly remove: (id: ProfileId) => Effect.Effect<void, ConfigurationError>
  /**
   * First the current list, then the list after each change of it or of
   * `problems`, also a change by another process. Fails only at the start;
   * later, a file that cannot be read changes nothing.
   */
  readonly changes: Stream.Stream<ReadonlyArray<Profile>, ConfigurationError>
}>()("@opencode-ai/ssh-tunnel/ProfileRepo") {
  /** Needs a {@link DataDirectory}. */
  static readonly layerNoDeps: Layer.Layer<
    ProfileRepo,
    never,
    DataDirectory | FileSystem.FileSystem | LocalHost | Path.Path
  > = Layer.effect(
    ProfileRepo,
    Effect.gen(function*() {
      const directory = yield* DataDirectory
      const path = yield* Path.Path
      return fromStore(yield* fileStore(path.join(directory.path, profileFileName)))
    })
  )

  /** The user's own profiles. */
  static readonly layer: Layer.Layer<ProfileRepo, never, FileSystem.FileSystem | LocalHost | Path.Path> = ProfileRepo
    .layerNoDeps.pipe(Layer.provide(DataDirectory.layer))

  /** Profiles that live as long as the layer. */
  static readonly layerMemory = (initial: ReadonlyArray<Profile> = []): Layer.Layer<ProfileRepo> =>
    Layer.effect(ProfileRepo, Effect.map(memoryStore(initial), fromStore))
}

const failWith = (reason: ConfigurationError["reason"]) => Effect.fail(new ConfigurationError({ reason }))

const sameProblems = Schema.toEquivalence(Schema.Array(ProfileProblem))

const orInvalid = <A>(result: Result.Result<A, InvalidProfile>): Effect.Effect<A, ConfigurationError> =>
  Result.match(result, { onFailure: failWith, onSuccess: (value) => Effect.succeed(value) })

const fromStore = (store: DocumentStore): ProfileRepo["Service"] => {
  const get = Effect.fn("ProfileRepo.get")(function*(id: ProfileId) {
    const found = getProfile(yield* store.read, id)
    return yield* Option.isNone(found) ? failWith(new ProfileNotFound({ profile: id })) : orInvalid(found.value)
  })

  const save = Effect.fn("ProfileRepo.save")((profile: Profile) =>
    store.modify((document) => orInvalid(setProfile(document, profile)))
  )

  const remove = Effect.fn("ProfileRepo.remove")((id: ProfileId) =>
    store.modify((document) =>
      Option.match(removeProfile(document, id), {
        onNone: () => failWith(new ProfileNotFound({ profile: id })),
        onSome: (next) => Effect.succeed(next)
      })
    )
  )

  return {
    list: Effect.map(store.read, (document) => contents(document).profiles).pipe(Effect.withSpan("ProfileRepo.list")),
    problems: Effect.map(store.read, (document) => contents(document).problems),
    get,
    save,
    remove,
    changes: store.changes.pipe(
      Stream.map(contents),
      Stream.changesWith((a, b) => sameProfiles(a.profiles, b.profiles) && sameProblems(a.problems, b.problems)),
      Stream.map(({ profiles }) => profiles)
    )
  }
}

const memoryStore = Effect.fnUntraced(function*(initial: ReadonlyArray<Profile>) {
  const document = initial.reduce(
    (document, profile) => Result.getOrElse(setProfile(document, profile), () => document),
    emptyDocument
  )
  const ref = yield* SubscriptionRef.make(document)
  return {
    read: SubscriptionRef.get(ref),
    modify: (change) => SubscriptionRef.updateEffect(ref, change),
    changes: SubscriptionRef.changes(ref)
  } satisfies DocumentStore
})

const fileStore = Effect.fnUntraced(function*(path: string) {
  const file = yield* SharedFile.make(path)
  const { fileSettle } = yield* Timing

  const unreadable = ({ detail, path }: SharedFile.SharedFileError) =>
    failWith(new ProfileStoreUnreadable({ path, detail }))
  const unwritable = ({ detail, path }: SharedFile.SharedFileError) =>
    failWith(new ProfileStoreUnwritable({ path, detail }))

  const parseBytes = (bytes: Uint8Array) =>
    Result.flatMap(
      Result.try({
        try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes),
        catch: () => ({ problem: "corrupt" as const, detail: "it is not UTF-8 text" })
      }),
      parse
    )

  /** The document in `content`; a corrupt one as {@link ProfileRepo} says. */
  const decode = Effect.fnUntraced(function*(content: Option.Option<Uint8Array>) {
    if (Option.isNone(content)) return emptyDocument
    const parsed = parseBytes(content.value)
    if (Result.isSuccess(parsed)) return parsed.success
    const { detail, problem } = parsed.failure
    if (problem === "newer") return yield* failWith(new ProfileStoreUnreadable({ path, detail }))
    const kept = yield* Effect.option(file.keepAside(content.value))
    if (Option.isNone(kept)) return yield* failWith(new ProfileStoreUnreadable({ path, detail }))
    const keptAs = kept.value.path
    if (kept.value.isNew) return yield* failWith(new ProfileStoreUnreadable({ path, detail, keptAs }))
    yield* Effect.logWarning(`The profiles in ${path} cannot be read: ${detail}. They are kept as ${keptAs}`)
    return emptyDocument
  })

  const read = file.read.pipe(
    Effect.catchTag("SharedFileError", unreadable),
    Effect.flatMap(decode),
    Effect.tap((document) =>
      Effect.forEach(
        contents(document).problems,
        ({ id, index, reason }) =>
          Effect.logDebug(`Profile ${id ?? `number ${index + 1}`} of ${path} is not used: ${reason.message}`),
        { discard: true }
      )
    )
  )

  const modify: DocumentStore["modify"] = (change) =>
    file.modify(Effect.fnUntraced(function*(content) {
      const document = yield* decode(content)
      if (document.version > formatVersion) {
        const detail = `it is of format ${document.version}, which a later version wrote; use that version to change it`
        return yield* failWith(new ProfileStoreUnwritable({ path, detail }))
      }
      const next = stringify(yield* change(document))
      const bytes = next === stringify(document) ? undefined : new TextEncoder().encode(next)
      return [undefined, bytes] as const
    })).pipe(Effect.catchTag("SharedFileError", unwritable))

  /** What can be seen right now: `None` for a file that is missing, empty or not (yet) readable. */
  const glance = Effect.map(Effect.option(file.read), (content) =>
    content.pipe(
      Option.flatten,
      Option.filter((bytes) => bytes.length > 0),
      Option.flatMap((bytes) => Result.getSuccess(parseBytes(bytes)))
    ))

  /**
   * After the first: some programs save by removing or emptying the file
   * before they write it, so a file that seems gone is looked at twice.
   */
  const observe = Effect.gen(function*() {
    const seen = yield* glance
    if (Option.isSome(seen)) return seen
    yield* Effect.sleep(fileSettle)
    const content = yield* Effect.option(file.read)
    if (Option.isNone(content)) return Option.none<ProfileDocument>()
    if (Option.isNone(content.value)) return Option.some(emptyDocument)
    return Result.getSuccess(parseBytes(content.value.value))
  })

  const changes = file.changes.pipe(
    Stream.mapAccumEffect(() => true, (first) =>
      Effect.map(
        first ? Effect.asSome(read) : observe,
        (document) => [false, Option.toArray(document)] as const
      ))
  )

  return { read, modify, changes } satisfies DocumentStore
})
