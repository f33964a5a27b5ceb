/** Which profiles were connected when the application ended, so that the next start connects them again. */
import * as AtomicFile from "@opencode-ai/ssh-tunnel/AtomicFile"
import { Connections, type States } from "@opencode-ai/ssh-tunnel/Connections"
import { DataDirectory } from "@opencode-ai/ssh-tunnel/DataDirectory"
import type { LocalHost } from "@opencode-ai/ssh-tunnel/LocalHost"
import { ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { Context, Effect, Equal, FileSystem, HashMap, HashSet, Layer, Option, Path, Ref, Schema, Stream } from "effect"
import * as Latest from "./internal/latest.ts"
import { Unheard } from "./Unheard.ts"

/** The name of the file in the `DataDirectory`: `{ "version": 1, "connected": ["<profile id>", …] }`. It holds no secret. */
export const lastConnectedFileName = "ssh-connected.json"

const Content = Schema.fromJsonString(
  Schema.Struct({ version: Schema.Literal(1), connected: Schema.Array(ProfileId) })
)
const decode = Schema.decodeUnknownOption(Content)
const encode = Schema.encodeSync(Content)

type Ids = HashSet.HashSet<ProfileId>

/**
 * Who is to be connected again, from who was so far and how things are now: whoever is `Connected`, and whoever was and
 * is on the way to be again. A person's disconnect, and an error that stays, end it.
 */
export const after = (before: Ids, states: States): Ids =>
  HashMap.reduce(states, before, (ids, state, id) => {
    switch (state._tag) {
      case "Connected":
        return HashSet.add(ids, id)
      case "Disconnected":
      case "Failed":
        return HashSet.remove(ids, id)
      default:
        return ids
    }
  })

/** Where it is kept. A convenience: nothing here fails, and what cannot be read is nothing. */
export class LastConnected extends Context.Service<LastConnected, {
  readonly recall: Effect.Effect<Ids>
  readonly remember: (ids: Ids) => Effect.Effect<void>
}>()("@opencode-ai/desktop-bridge/LastConnected") {
  /** A file in the data directory, which is replaced as a whole. */
  static readonly layer: Layer.Layer<
    LastConnected,
    never,
    DataDirectory | FileSystem.FileSystem | LocalHost | Path.Path
  > = Layer.effect(
    LastConnected,
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const directory = yield* DataDirectory
      const { write } = yield* AtomicFile.make
      const file = path.join(directory.path, lastConnectedFileName)
      return LastConnected.of({
        recall: Effect.orElseSucceed(fs.readFileString(file), () => "").pipe(
          Effect.map((text) => Option.match(decode(text), { onNone: () => [], onSome: ({ connected }) => connected })),
          Effect.map(HashSet.fromIterable)
        ),
        remember: (ids) =>
          write(file, new TextEncoder().encode(`${encode({ version: 1, connected: [...ids].sort() })}\n`)).pipe(
            Effect.catch((error) => Effect.logWarning("What is connected could not be written down", error))
          )
      })
    })
  )

  /** Remembered as long as the layer lives. */
  static readonly layerMemory = (initial: Iterable<ProfileId> = []): Layer.Layer<LastConnected> =>
    Layer.effect(
      LastConnected,
      Effect.map(Ref.make(HashSet.fromIterable(initial)), (ref) => ({
        recall: Ref.get(ref),
        remember: (ids) => Ref.set(ref, ids)
      }))
    )
}

/**
 * Connects again who was connected (origin `restore`: the network may still be on its way), and keeps the list true
 * from then on, to the end: it must be released before the connections are, and built before windows are served.
 */
export const layerRestore = (
  options: { readonly restore: boolean }
): Layer.Layer<never, never, Connections | LastConnected | ProfileRepo | Unheard> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const connections = yield* Connections
    const last = yield* LastConnected
    const profiles = yield* ProfileRepo
    const unheard = yield* Unheard
    const recalled = yield* last.recall
    // Read only for somebody: the first reader of a corrupt file is the one who is told.
    const existing = HashSet.isEmpty(recalled)
      ? []
      : yield* profiles.list.pipe(Effect.catch((error) => Effect.as(unheard.keep(error), [])))
    const wanted = yield* Ref.make(
      options.restore
        ? HashSet.filter(recalled, (id) => existing.some((profile) => profile.id === id))
        : HashSet.empty()
    )
    const written = yield* Ref.make(recalled)

    const note = Effect.fnUntraced(function*(states: States) {
      const ids = yield* Ref.updateAndGet(wanted, (before) => after(before, states))
      if (!Equal.equals(yield* Ref.getAndSet(written, ids), ids)) yield* last.remember(ids)
    })
    // What happened in the last moment counts as well.
    yield* Effect.addFinalizer(() =>
      Effect.flatMap(
        Stream.runHead(connections.states),
        (states) => Option.isSome(states) ? note(states.value) : Effect.void
      )
    )
    yield* Effect.forEach(yield* Ref.get(wanted), (id) => connections.connect(id, { origin: "restore" }), {
      discard: true
    })
    yield* Effect.forkScoped(Stream.runForEach(Latest.latest(connections.states), note), { startImmediately: true })
  }))
