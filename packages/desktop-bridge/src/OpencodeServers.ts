/**
 * Profiles and their states in the shape that OpenCode's app knows for servers behind ssh, so that wiring them into it
 * is a small file: `ServerConnection.Ssh` of its list of servers, and the list of ssh items with their stages.
 *
 * **Details**
 *
 * Everything is derived from the profiles and states, nothing is kept beside them. The app's stages `downloading`,
 * `uploading` and `authentication` do not occur: nothing is installed over there, and nothing is asked in a window.
 *
 * **Gotchas**
 *
 * `http` has a URL and never a password: the main process puts it on the requests (see `Authorization`). The URL stays
 * the same over reconnects, so there is nothing to resolve again.
 */
import { ConfigurationError, InvalidProfile } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import type { ConnectionError } from "@opencode-ai/ssh-tunnel/ConnectionError"
import { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { joinAddress } from "@opencode-ai/ssh-tunnel/Destination"
import { noBootstrap, type Profile, ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import type { ProfileDraft } from "@opencode-ai/ssh-tunnel/ProfileDraft"
import * as SshCommandLine from "@opencode-ai/ssh-tunnel/SshCommandLine"
import { Effect, HashMap, Option, Result, Schema, type Scope, Stream, SubscriptionRef } from "effect"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import type { BridgeClient, StatesUpdate } from "./BridgeApi.ts"
import type { BridgeError } from "./BridgeError.ts"
import { isLinkError, type Link, resuming } from "./Link.ts"

/** How far a connection is, in the app's words. */
export type Stage = "disconnected" | "connecting" | "checking" | "starting" | "ready" | "incompatible" | "failed"

/** What kind of failure it is, in the app's words. */
export type Failure =
  | "connection"
  | "input"
  | "platform"
  | "version"
  | "install"
  | "service"
  | "host-key"
  | "ssh-missing"

/** The app's `ServerConnection.Ssh`, and the stage beside it. */
export interface SshConnection {
  readonly type: "ssh"
  readonly id: string
  /** `[user@]host[:port]` */
  readonly host: string
  readonly displayName: string
  /** Empty as long as nobody knows it. */
  readonly http: { readonly url: string }
  readonly stage: Stage
}

/** The app's item of its list of ssh servers. */
export interface SshItem {
  readonly config: { readonly id: string; readonly target: string; readonly name: string }
  readonly saved: true
  readonly destination: string
  readonly stage: Stage
  /** There exactly while the stage is `ready`. */
  readonly http?: { readonly url: string }
  /** What happened and what to do, in a sentence each; empty when there is nothing to tell. */
  readonly detail: string
  readonly error?: Failure
  /** When the next attempt is made (ISO 8601), while one is waited for. */
  readonly nextAt?: string
}

/** What the app's list of servers is made of. */
export interface State {
  readonly servers: ReadonlyArray<SshItem>
  readonly connections: ReadonlyArray<SshConnection>
  /** Why the profiles could not be read, and what to do; the list is then as far as it is known. */
  readonly problem?: string
}

const failureOfTag = (tag: string): Failure | undefined => {
  switch (tag) {
    case "HostKeyUnknown":
    case "HostKeyChanged":
    case "HostKeyRevoked":
      return "host-key"
    case "SshNotFound":
    case "SshTooOld":
      return "ssh-missing"
    case "OpencodeNotFound":
    case "OpencodeUnusable":
      return "install"
    case "UnsupportedRemote":
      return "platform"
    default:
      return undefined
  }
}

/** The app's kind of an error. */
export const failureOf = (error: ConnectionError): Failure => {
  const known = failureOfTag(error.reason._tag)
  if (known !== undefined) return known
  switch (error._tag) {
    case "ConfigurationError":
      return "input"
    case "TransportError":
      return "connection"
    case "DiscoveryError":
    case "BootstrapError":
      return "service"
    case "CompatibilityError":
      return "version"
  }
}

/** The app's stage of a state. */
export const stageOf = (state: ConnectionState): Stage => {
  switch (state._tag) {
    case "Disconnected":
    case "Disconnecting":
      return "disconnected"
    case "Connecting":
    case "Reconnecting":
      return "connecting"
    case "Discovering":
      return "checking"
    case "Bootstrapping":
      return state.step === "looking" ? "checking" : "starting"
    case "Connected":
      return "ready"
    case "Failed":
      return state.error._tag === "CompatibilityError" ? "incompatible" : "failed"
  }
}

const told = (error: Pick<BridgeError, "message" | "remedy">): string =>
  `${error.message}. ${error.remedy.text}${error.remedy.command === undefined ? "" : `\n${error.remedy.command}`}`

const detailOf = (state: ConnectionState): string => {
  if (state._tag === "Failed" || state._tag === "Reconnecting") return told(state.error)
  if (state._tag === "Connecting" && state.waitingFor !== undefined) return "Touch your security key."
  if (state._tag === "Connected" && !state.secured) return "This server has no password: every user there can use it."
  return ""
}

/** The app's item of a profile. */
export const itemOf = (profile: Profile, state: ConnectionState): SshItem => {
  const destination = joinAddress(profile)
  return {
    config: { id: profile.id, target: `ssh ${destination}`, name: profile.name },
    saved: true,
    destination,
    stage: stageOf(state),
    detail: detailOf(state),
    ...(state._tag === "Connected" ? { http: { url: state.url } } : undefined),
    ...(state._tag === "Failed" || state._tag === "Reconnecting" ? { error: failureOf(state.error) } : undefined),
    ...(state._tag === "Reconnecting" ? { nextAt: state.nextAt } : undefined)
  }
}

/** The app's server connection of a profile. */
export const connectionOf = (profile: Profile, state: ConnectionState): SshConnection => ({
  type: "ssh",
  id: profile.id,
  host: joinAddress(profile),
  displayName: profile.name,
  http: { url: state._tag === "Connected" || state._tag === "Reconnecting" ? state.url ?? "" : "" },
  stage: stageOf(state)
})

type States = HashMap.HashMap<ProfileId, ConnectionState>

const disconnected = ConnectionState.cases.Disconnected.make({})

/** The picture after an update. */
export const applied = (states: States, update: StatesUpdate): States =>
  update._tag === "All"
    ? HashMap.fromIterable(update.states.map(({ id, state }) => [id, state] as const))
    : HashMap.set(states, update.id, update.state)

/** The whole list, in the order of the profiles. */
export const stateOf = (profiles: ReadonlyArray<Profile>, states: States): State => {
  const each = profiles.map((profile) =>
    [profile, Option.getOrElse(HashMap.get(states, profile.id), () => disconnected)] as const
  )
  return {
    servers: each.map(([profile, state]) => itemOf(profile, state)),
    connections: each.map(([profile, state]) => connectionOf(profile, state))
  }
}

/** What a person has typed (`ssh -p 2222 me@box`, `me@box`), as a profile to save; bootstrap is allowed, as the app expects. */
export const draftOf = (target: string, name: string): Result.Result<ProfileDraft, ConfigurationError> =>
  Result.match(SshCommandLine.parse(target), {
    onFailure: ({ message }) =>
      Result.fail(new ConfigurationError({ reason: new InvalidProfile({ path: "target", detail: message }) })),
    onSuccess: ({ destination }) => {
      const shown = name.trim() === "" ? destination.toString() : name.trim()
      return Result.succeed({
        ...destination,
        name: shown.slice(0, 200),
        bootstrap: { ...noBootstrap, enabled: true }
      })
    }
  })

/** What the app calls, with promises. They reject with the errors of the bridge. */
export interface OpencodeServers {
  /** The present list; waits for the first. */
  readonly getState: () => Promise<State>
  /** Calls back with the present list, as soon as it is known, and with each later one; returns the end of it. */
  readonly subscribe: (callback: (state: State) => void) => () => void
  /** The names of the ssh config. */
  readonly hosts: () => Promise<ReadonlyArray<string>>
  /**
   * Connects the profile with this id; when there is none, that of the same name and destination as `target`, and when
   * there is none of these either, saves one. Resolves with its id as soon as the attempt has begun.
   */
  readonly start: (input: {
    readonly id: string
    readonly target: string
    readonly name: string
  }) => Promise<string>
  /** Where the server is, while it is connected. */
  readonly resolve: (id: string) => Promise<{ readonly url: string } | null>
  readonly disconnect: (id: string) => Promise<void>
  /** Ends an attempt: the same as `disconnect`. */
  readonly cancel: (id: string) => Promise<void>
  /** Removes the profile. */
  readonly forget: (id: string) => Promise<void>
}

const isProfileId = Schema.is(ProfileId)

/** Over a window's client, for as long as the scope lives. Streams are made anew when the link was lost and is back. */
export const make = (
  client: BridgeClient
): Effect.Effect<OpencodeServers, never, Link | Scope.Scope> =>
  Effect.gen(function*() {
    const profiles = yield* SubscriptionRef.make<Option.Option<ReadonlyArray<Profile>>>(Option.none())
    const states = yield* SubscriptionRef.make<Option.Option<States>>(Option.none())
    const problem = yield* SubscriptionRef.make(Option.none<string>())
    yield* resuming(client.watchProfiles()).pipe(
      Stream.runForEach((update) => SubscriptionRef.set(profiles, Option.some(update.profiles))),
      Effect.tapError((error) =>
        isLinkError(error)
          ? Effect.void
          : Effect.andThen(
            SubscriptionRef.update(profiles, (known) => Option.orElseSome(known, () => [])),
            SubscriptionRef.set(problem, Option.some(told(error)))
          )
      ),
      // A file that was corrupt was set aside, and is told of once.
      Effect.retry({ times: 1 }),
      Effect.ignore,
      Effect.forkScoped
    )
    yield* resuming(client.watchStates()).pipe(
      Stream.runForEach((update) =>
        SubscriptionRef.update(
          states,
          (before) => Option.some(applied(Option.getOrElse(before, () => HashMap.empty()), update))
        )
      ),
      Effect.ignore,
      Effect.forkScoped
    )
    const changes = Stream.zipLatestWith(
      SubscriptionRef.changes(profiles),
      SubscriptionRef.changes(states),
      (profiles, states) => Option.zipWith(profiles, states, stateOf)
    ).pipe(
      Stream.filter(Option.isSome),
      Stream.zipLatestWith(
        SubscriptionRef.changes(problem),
        ({ value }, problem): State => Option.isSome(problem) ? { ...value, problem: problem.value } : value
      )
    )

    const context = yield* Effect.context<Scope.Scope>()
    const run = Effect.runPromiseWith(context)
    const withId = <A>(
      id: string,
      use: (id: ProfileId) => Effect.Effect<A, RpcClientError | BridgeError>,
      otherwise: A
    ) => isProfileId(id) ? run(use(id)) : Promise.resolve(otherwise)

    /** The app tries again with an id of its own: what it has made before must be found, not be made twice. */
    const savedOrNew = (all: ReadonlyArray<Profile>, draft: ProfileDraft) => {
      const same = all.find((profile) =>
        (["name", "host", "user", "port", "identityFile", "proxyJump"] as const).every((key) =>
          profile[key] === draft[key]
        )
      )
      return same === undefined
        ? Effect.map(client.addProfile({ draft }), ({ id }) => id)
        : Effect.succeed(same.id)
    }

    const start = Effect.fnUntraced(function*({ id, name, target }: Parameters<OpencodeServers["start"]>[0]) {
      yield* Stream.runHead(changes)
      const all = Option.getOrElse(yield* SubscriptionRef.get(profiles), () => [])
      const chosen = all.find((profile) => profile.id === id)
      const profile = chosen?.id ?? (yield* savedOrNew(all, yield* Effect.fromResult(draftOf(target, name))))
      yield* client.connect({ id: profile })
      return profile as string
    })

    const disconnect = (id: string) => withId(id, (id) => client.disconnect({ id }), undefined)

    return {
      getState: () => run(Effect.map(Stream.runHead(changes), Option.getOrThrow)),
      subscribe: (callback) =>
        Effect.runCallbackWith(context)(Stream.runForEach(changes, (state) => Effect.sync(() => callback(state)))),
      hosts: () => run(Effect.map(client.hosts(), (hosts) => hosts.map(({ name }) => name))),
      start: (input) => run(start(input)),
      resolve: (id) =>
        withId(
          id,
          (id) => Effect.map(client.endpoint({ id }), ({ url }) => url === undefined ? null : { url }),
          null
        ),
      disconnect,
      cancel: disconnect,
      forget: (id) => run(client.removeProfile({ id }))
    }
  })
