/** Remembers the local port of each profile, so that its URL, origin and browser storage stay over restarts. */
import { Context, Effect, type FileSystem, HashMap, Layer, Option, Path, Predicate, Ref, Result, Schema } from "effect"
import { DataDirectory } from "./DataDirectory.ts"
import { Port } from "./Destination.ts"
import * as SharedFile from "./internal/sharedFile.ts"
import type { LocalHost } from "./LocalHost.ts"
import type { ProfileId } from "./Profile.ts"

/** The name of the state file in the {@link DataDirectory}: `{ "version": 1, "localPorts": { "<profile id>": 41234 } }`. */
export const stateFileName = "ssh-state.json"

/**
 * See the module. A convenience, not a promise: losing or failing to write the
 * file only costs a new port, so nothing here fails. Problems are logged at
 * debug level, and what could not be written is remembered until the process
 * ends.
 */
export class LocalPorts extends Context.Service<LocalPorts, {
  readonly recall: (id: ProfileId) => Effect.Effect<Option.Option<number>>
  /** Touches the file only when it says something else. */
  readonly remember: (id: ProfileId, port: number) => Effect.Effect<void>
  readonly forget: (id: ProfileId) => Effect.Effect<void>
}>()("@opencode-ai/ssh-tunnel/LocalPorts") {
  /** Needs a {@link DataDirectory}. */
  static readonly layerNoDeps: Layer.Layer<
    LocalPorts,
    never,
    DataDirectory | FileSystem.FileSystem | LocalHost | Path.Path
  > = Layer.effect(
    LocalPorts,
    Effect.gen(function*() {
      const directory = yield* DataDirectory
      const path = yield* Path.Path
      return yield* fromFile(path.join(directory.path, stateFileName))
    })
  )

  /** In the file beside the user's profiles. */
  static readonly layer: Layer.Layer<LocalPorts, never, FileSystem.FileSystem | LocalHost | Path.Path> = LocalPorts
    .layerNoDeps.pipe(Layer.provide(DataDirectory.layer))

  /** Remembered as long as the layer lives. */
  static readonly layerMemory = (initial: Iterable<readonly [ProfileId, number]> = []): Layer.Layer<LocalPorts> =>
    Layer.effect(
      LocalPorts,
      Effect.map(Ref.make(HashMap.fromIterable(initial)), (ports) => ({
        recall: (id) => Effect.map(Ref.get(ports), HashMap.get(id)),
        remember: (id, port) => Ref.update(ports, HashMap.set(id, port)),
        forget: (id) => Ref.update(ports, HashMap.remove(id))
      }))
    )
}

const formatVersion = 1

type JsonObject = { readonly [key: string]: unknown }

/** The state in a file's content; `None` when it is of a later format and must be left alone. Anything unreadable is no state. */
const decode = (content: Option.Option<Uint8Array>): Option.Option<JsonObject> => {
  const root = Option.match(content, {
    onNone: (): unknown => ({}),
    onSome: (bytes) =>
      Result.getOrElse(Result.try((): unknown => JSON.parse(new TextDecoder().decode(bytes))), () => ({}))
  })
  if (!Predicate.isObject(root)) return Option.some({})
  const version = root["version"]
  return Predicate.isNumber(version) && version > formatVersion ? Option.none() : Option.some(root)
}

const portsOf = (state: JsonObject): JsonObject => Predicate.isObject(state["localPorts"]) ? state["localPorts"] : {}

const portOf = (state: JsonObject, id: ProfileId): Option.Option<number> =>
  Option.filter(
    Option.fromUndefinedOr(Object.hasOwn(portsOf(state), id) ? portsOf(state)[id] : undefined),
    Schema.is(Port)
  )

const encode = (state: JsonObject, ports: JsonObject): Uint8Array =>
  new TextEncoder().encode(
    `${JSON.stringify({ ...state, version: formatVersion, localPorts: ports }, undefined, 2)}\n`
  )

const fromFile = Effect.fnUntraced(function*(path: string): Effect.fn.Return<
  LocalPorts["Service"],
  never,
  FileSystem.FileSystem | LocalHost | Path.Path
> {
  const file = yield* SharedFile.make(path)
  /** What this process did, which counts for it whatever others write. */
  const here = yield* Ref.make(HashMap.empty<ProfileId, Option.Option<number>>())

  const forgive = <A>(effect: Effect.Effect<A, SharedFile.SharedFileError>, otherwise: A): Effect.Effect<A> =>
    effect.pipe(
      Effect.catch((error) =>
        Effect.as(Effect.logDebug("The remembered local ports are not available", error), otherwise)
      )
    )

  const portInFile = Effect.fnUntraced(function*(id: ProfileId) {
    const state = decode(yield* forgive(file.read, Option.none()))
    return Option.flatMap(state, (state) => portOf(state, id))
  })

  const write = Effect.fnUntraced(function*(id: ProfileId, port: Option.Option<number>) {
    yield* Ref.update(here, HashMap.set(id, port))
    // Reading needs no lock, and nearly always there is nothing to write.
    if (Option.getOrUndefined(yield* portInFile(id)) === Option.getOrUndefined(port)) return
    const changed = file.modify((content) => {
      const state = Option.getOrUndefined(decode(content))
      if (state === undefined) return Effect.succeed([undefined, undefined] as const)
      if (Option.getOrUndefined(portOf(state, id)) === Option.getOrUndefined(port)) {
        return Effect.succeed([undefined, undefined] as const)
      }
      const others = Object.entries(portsOf(state)).filter(([key]) => key !== id)
      const ports = Object.fromEntries(Option.isSome(port) ? [...others, [id, port.value]] : others)
      return Effect.succeed([undefined, encode(state, ports)] as const)
    })
    yield* forgive(changed, undefined)
  })

  return {
    recall: Effect.fn("LocalPorts.recall")(function*(id: ProfileId) {
      const own = HashMap.get(yield* Ref.get(here), id)
      if (Option.isSome(own)) return own.value
      return yield* portInFile(id)
    }),
    remember: Effect.fn("LocalPorts.remember")((id: ProfileId, port: number) => write(id, Option.some(port))),
    forget: Effect.fn("LocalPorts.forget")((id: ProfileId) => write(id, Option.none()))
  }
})
