/** Where the passwords of servers come from that bootstrap did not start. Never written by us to a file. */
import { Context, Effect, HashMap, Layer, Option, Redacted, Ref } from "effect"
import { Credentials, defaultUsername } from "./Credentials.ts"
import { LocalHost } from "./LocalHost.ts"
import type { ProfileId } from "./Profile.ts"

/** The credentials in OpenCode's own environment variables; an empty or missing password is none. */
const fromEnvironment = (environment: LocalHost["Service"]["environment"]): Option.Option<Credentials> => {
  const password = environment["OPENCODE_SERVER_PASSWORD"]
  if (password === undefined || password === "") return Option.none()
  const username = environment["OPENCODE_SERVER_USERNAME"]
  return Option.some(
    new Credentials({
      username: username === undefined || username === "" ? defaultUsername : username,
      password: Redacted.make(password)
    })
  )
}

/** Remembers what is set; asks `otherwise` for everybody else. */
const inMemory = (
  initial: Iterable<readonly [ProfileId, Credentials]>,
  otherwise: Option.Option<Credentials>
): Effect.Effect<CredentialStore["Service"]> =>
  Effect.map(Ref.make(HashMap.fromIterable(initial)), (store) => ({
    get: (id) => Effect.map(Ref.get(store), (all) => Option.orElse(HashMap.get(all, id), () => otherwise)),
    set: (id, credentials) => Ref.update(store, HashMap.set(id, credentials)),
    remove: (id) => Ref.update(store, HashMap.remove(id))
  }))

/** See the module. The desktop plugs in its safe storage; the command line reads its environment. */
export class CredentialStore extends Context.Service<CredentialStore, {
  readonly get: (id: ProfileId) => Effect.Effect<Option.Option<Credentials>>
  readonly set: (id: ProfileId, credentials: Credentials) => Effect.Effect<void>
  readonly remove: (id: ProfileId) => Effect.Effect<void>
}>()("@opencode-ai/ssh-tunnel/CredentialStore") {
  /** Forgets everything when the layer is released. */
  static readonly layerMemory = (
    initial: Iterable<readonly [ProfileId, Credentials]> = []
  ): Layer.Layer<CredentialStore> => Layer.effect(CredentialStore, inMemory(initial, Option.none()))

  /**
   * `OPENCODE_SERVER_USERNAME` (default `opencode`) and
   * `OPENCODE_SERVER_PASSWORD`, for every profile that got nothing by `set`.
   */
  static readonly layerEnvironment: Layer.Layer<CredentialStore, never, LocalHost> = Layer.effect(
    CredentialStore,
    Effect.flatMap(LocalHost, ({ environment }) => inMemory([], fromEnvironment(environment)))
  )
}
