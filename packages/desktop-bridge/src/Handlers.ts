/**
 * The main process's side of {@link BridgeApi}: thin handlers over the services. Everything that a window says is
 * checked here again, whatever its own forms have checked; everything that it is told is cleaned.
 */
import { Bootstrap } from "@opencode-ai/ssh-tunnel/Bootstrap"
import { ConfigurationError, InvalidProfile } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import type { ConnectionError } from "@opencode-ai/ssh-tunnel/ConnectionError"
import { Connections } from "@opencode-ai/ssh-tunnel/Connections"
import { CredentialStore } from "@opencode-ai/ssh-tunnel/CredentialStore"
import { Destination } from "@opencode-ai/ssh-tunnel/Destination"
import { toJson, toMarkdown } from "@opencode-ai/ssh-tunnel/DiagnosticReport"
import { Diagnostics } from "@opencode-ai/ssh-tunnel/Diagnostics"
import { Doctor } from "@opencode-ai/ssh-tunnel/Doctor"
import { Door } from "@opencode-ai/ssh-tunnel/Door"
import { LocalHost } from "@opencode-ai/ssh-tunnel/LocalHost"
import { LocalPorts } from "@opencode-ai/ssh-tunnel/LocalPorts"
import { type Profile, ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import { draftProfiles, fromDraft, newProfileId, type ProfileDraft } from "@opencode-ai/ssh-tunnel/ProfileDraft"
import { exportProfiles } from "@opencode-ai/ssh-tunnel/ProfileFile"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import type { RemoteServer } from "@opencode-ai/ssh-tunnel/RemoteServer"
import { SshConfig } from "@opencode-ai/ssh-tunnel/SshConfig"
import { type OpenTunnel, Tunnel } from "@opencode-ai/ssh-tunnel/Tunnel"
import { Array as Arr, Effect, Exit, Option, Redacted, Ref, Result, Schema, Scope, Stream } from "effect"
import {
  BridgeApi,
  type ProfileState,
  type ProfilesUpdate,
  type RemoteServerInfo,
  type StatesUpdate
} from "./BridgeApi.ts"
import { type BridgeError, BridgeNotConnected, BridgeOpenFailed } from "./BridgeError.ts"
import { BridgeHost } from "./BridgeHost.ts"
import * as Guard from "./internal/guard.ts"
import * as Latest from "./internal/latest.ts"
import * as Outgoing from "./internal/outgoing.ts"
import * as ProfileEdits from "./internal/profileEdits.ts"
import { Unheard } from "./Unheard.ts"

const invalid = (path: string, detail: string) =>
  new ConfigurationError({ reason: new InvalidProfile({ path, detail }) })

const isProfileId = Schema.is(ProfileId)

/** What a window may know of a server: not its credentials. */
const publicPart = (
  { lifetime, logFile, owner, pid, port, startedAt, version }: RemoteServer
): RemoteServerInfo => ({
  port,
  pid,
  version,
  owner,
  lifetime,
  ...(startedAt === undefined ? undefined : { startedAt }),
  ...(logFile === undefined ? undefined : { logFile })
})

const isNotOurs = (error: ConnectionError): boolean =>
  error._tag === "BootstrapError" && error.reason._tag === "NotOurs"

/** Pages of the door at a time: each holds a port for a minute, and a person looks at one. */
const mostPages = 8

const make = Effect.gen(function*() {
  const connections = yield* Connections
  const profiles = yield* ProfileRepo
  const credentials = yield* CredentialStore
  const localPorts = yield* LocalPorts
  const config = yield* SshConfig
  const diagnostics = yield* Diagnostics
  const doctor = yield* Doctor
  const door = yield* Door
  const tunnels = yield* Tunnel
  const bootstrap = yield* Bootstrap
  const machine = yield* LocalHost
  const host = yield* BridgeHost
  const unheard = yield* Unheard
  const outgoing = yield* Outgoing.make
  const scope = yield* Effect.scope

  const cleanError = (id?: ProfileId): Guard.CleanError => (error) =>
    Effect.map(outgoing.cleaner(id), (clean) => Outgoing.error(error, clean))

  const call = <A>(name: string, handler: () => Effect.Effect<A, BridgeError>, id?: ProfileId) =>
    Guard.effect(name, cleanError(id), handler)
  const streaming = <A>(name: string, handler: () => Stream.Stream<A, BridgeError>, id?: ProfileId) =>
    Guard.stream(name, cleanError(id), handler)

  /** Two profiles of one name could not be told apart by it. */
  const requireFreeName = Effect.fnUntraced(function*(name: string, besides?: ProfileId) {
    const taken = (yield* profiles.list).some((profile) =>
      (profile.name === name || profile.id === name) && profile.id !== besides
    )
    if (taken) return yield* invalid("name", `there is a profile ${JSON.stringify(name)} already`)
  })

  const requireOwnConfig = (draft: Pick<ProfileDraft, "sshConfig">, before?: Profile) => {
    const refused = ProfileEdits.refusedConfig(draft, before)
    return refused === undefined ? Effect.void : Effect.fail(invalid("sshConfig", refused))
  }

  const newProfile = (draft: ProfileDraft) =>
    Effect.map(machine.randomBytes(6), (random) => fromDraft(draft, newProfileId(draft.name, random)))

  const save = Effect.fnUntraced(function*(draft: ProfileDraft) {
    const profile = yield* newProfile(draft)
    yield* profiles.save(profile)
    return profile
  })

  const edit = Effect.fnUntraced(function*(after: Profile) {
    const before = yield* profiles.get(after.id)
    yield* requireOwnConfig(after, before)
    yield* requireFreeName(after.name, after.id)
    // First: a password must never be there for a profile that leads elsewhere.
    if (before.server !== after.server) yield* credentials.remove(after.id)
    yield* profiles.save(after)
    return after
  })

  const remove = Effect.fnUntraced(function*(id: string) {
    if (isProfileId(id)) {
      yield* connections.disconnect(id)
      yield* credentials.remove(id)
      yield* localPorts.forget(id)
    }
    // Entries that are no valid profiles may have any id.
    yield* profiles.remove(id as ProfileId)
  })

  const importHosts = Effect.fnUntraced(function*(names: ReadonlyArray<string>) {
    const known = yield* config.hosts()
    const [found, missing] = Arr.partition(Arr.dedupe(names), (name) =>
      known.some((host) => host.name === name)
        ? Result.succeed({ name })
        : Result.fail({ name, detail: "the ssh config names no such host" }))
    const { drafts, skipped } = draftProfiles(found, yield* profiles.list)
    return { added: yield* Effect.forEach(drafts, save), skipped: [...missing, ...skipped] }
  })

  const update = Effect.fnUntraced(function*(list: ReadonlyArray<Profile>) {
    const problems = yield* Effect.orElseSucceed(profiles.problems, () => [])
    const clean = yield* outgoing.cleaner()
    const answer: ProfilesUpdate = {
      profiles: list,
      problems: problems.map(({ id, name, reason }) => ({
        // Its id must stay what it is: it names the entry to `removeProfile`.
        ...(id === undefined ? undefined : { id }),
        ...(name === undefined ? undefined : { name: clean(name) }),
        message: clean(reason.message)
      }))
    }
    return answer
  })

  const watchProfiles = Stream.unwrap(
    Effect.map(unheard.take, (error): Stream.Stream<ProfilesUpdate, ConfigurationError> =>
      Option.isSome(error)
        ? Stream.fail(error.value)
        : Stream.mapEffect(Latest.latest(profiles.changes), update))
  )

  const cleanEntry = ({ id, state }: ProfileState): Effect.Effect<ProfileState> =>
    Effect.map(outgoing.cleaner(id), (clean) => ({ id, state: Outgoing.state(state, clean) }))

  const cleanNews = (news: StatesUpdate): Effect.Effect<StatesUpdate> =>
    news._tag === "All"
      ? Effect.map(Effect.forEach(news.states, cleanEntry), (states) => ({ _tag: "All", states }))
      : Effect.map(cleanEntry(news), (entry) => ({ _tag: "Changed", ...entry }))

  const watchStates = Stream.mapEffect(Latest.newsOf(connections.states), cleanNews)

  const pages = yield* Ref.make<ReadonlyArray<Scope.Closeable>>([])

  /** The page of the door outlives the call that asked for it, and nothing else. */
  const open = Effect.fnUntraced(function*(id: ProfileId) {
    const endpoint = yield* connections.endpoint(id)
    if (Option.isNone(endpoint)) return yield* new BridgeNotConnected({ profile: id })
    const page = yield* Scope.fork(scope)
    const oldest = yield* Ref.modify(pages, (all) => [all.slice(0, -mostPages + 1), [...all, page].slice(-mostPages)])
    yield* Effect.forEach(oldest, (before) => Scope.close(before, Exit.void), { discard: true })
    const opened = yield* door.open(endpoint.value).pipe(
      Scope.provide(page),
      Effect.mapError(({ detail }) => new BridgeOpenFailed({ detail })),
      Effect.onError(() => Scope.close(page, Exit.void))
    )
    yield* Effect.forkIn(Effect.andThen(opened.closed, Scope.close(page, Exit.void)), scope)
    if (host.open === undefined) return { url: opened.url }
    yield* host.open(Redacted.make(opened.url)).pipe(
      Effect.mapError(({ detail }) => new BridgeOpenFailed({ detail })),
      Effect.onError(() => Scope.close(page, Exit.void))
    )
    return {}
  })

  /** A connection for one piece of work, which a person asked for now. */
  const ownTunnel = Effect.fnUntraced(function*(id: ProfileId) {
    const profile = yield* profiles.get(id)
    return yield* tunnels.open(
      profile.destination,
      profile.strategy === undefined ? {} : { strategy: profile.strategy }
    )
  })

  /** The profile's connection, or one that lives as long as the scope. */
  const tunnelOf = Effect.fnUntraced(function*(id: ProfileId) {
    const live = yield* connections.tunnel(id)
    return Option.isSome(live) ? live.value : yield* ownTunnel(id)
  })

  /** A connection that is lost ends the work with the reason, whatever it waits for. */
  const over = <A>(
    tunnel: Effect.Effect<OpenTunnel, ConnectionError, Scope.Scope>,
    work: (tunnel: OpenTunnel) => Effect.Effect<A, ConnectionError>
  ) => Effect.scoped(Effect.flatMap(tunnel, (tunnel) => Effect.raceFirst(work(tunnel), tunnel.closed)))

  /**
   * The connection is ended first: it would start the server again as soon as it sees it gone, and an answer could not
   * tell which of the two. So it costs a login, unless nothing of ours runs there.
   */
  const stop = Effect.fnUntraced(function*(id: ProfileId) {
    const seen = yield* over(tunnelOf(id), bootstrap.status)
    if (Option.isSome(seen) && seen.value.owner === "ours") yield* connections.disconnect(id)
    // One with lifetime `session` goes with its connection.
    const ended = Option.filter(seen, ({ lifetime }) => lifetime === "session")
    return yield* over(ownTunnel(id), bootstrap.stop).pipe(
      Effect.catchIf(isNotOurs, (error) => Effect.mapError(Effect.fromOption(ended), () => error))
    )
  })

  const log = (id: ProfileId, follow: boolean) =>
    Stream.unwrap(Effect.gen(function*() {
      const tunnel = yield* tunnelOf(id)
      const clean = yield* outgoing.cleaner(id)
      return bootstrap.log(tunnel, { follow }).pipe(
        Stream.splitLines,
        Stream.map((line) => Outgoing.logLine(line, clean)),
        Stream.interruptWhen(tunnel.closed)
      )
    }))

  const examined = (profile: Profile, id?: ProfileId) =>
    Stream.unwrap(Effect.gen(function*() {
      // What another server was told does not count here: only what is stored for this profile.
      const stored = id === undefined
        ? Option.none()
        : Option.filter(yield* credentials.get(id), (credentials) => credentials.isFor(profile))
      const clean = yield* outgoing.cleaner(id)
      return Stream.map(
        doctor.examine(profile, Option.getOrUndefined(stored)),
        (step) => Outgoing.step(step, clean)
      )
    }))

  const cleaned = <A>(id: ProfileId | undefined, value: A) =>
    Effect.map(outgoing.cleaner(id), (clean) => Outgoing.plain(value, clean))

  const report = (id: ProfileId, pseudonyms: boolean) => diagnostics.report(id, { pseudonyms })

  return BridgeApi.of({
    watchProfiles: () => streaming("watchProfiles", () => watchProfiles),
    addProfile: ({ draft }) =>
      call(
        "addProfile",
        () => requireOwnConfig(draft).pipe(Effect.andThen(requireFreeName(draft.name)), Effect.andThen(save(draft)))
      ),
    editProfile: ({ profile }) => call("editProfile", () => edit(profile), profile.id),
    removeProfile: ({ id }) => call("removeProfile", () => remove(id)),
    duplicateProfile: ({ id }) =>
      call("duplicateProfile", () =>
        Effect.gen(function*() {
          const { id: _, ...draft } = yield* profiles.get(id)
          const names = (yield* profiles.list).flatMap(({ id, name }) => [id, name])
          // A pinned port can be of use to one of them only.
          const { localPort: _pinned, ...rest } = draft
          return yield* save({ ...rest, name: ProfileEdits.copyName(draft.name, names) })
        }), id),
    hosts: () => call("hosts", () => Effect.flatMap(config.hosts(), (hosts) => cleaned(undefined, hosts))),
    importHosts: ({ names }) => call("importHosts", () => importHosts(names)),
    exportProfiles: ({ ids }) =>
      call(
        "exportProfiles",
        () =>
          Effect.map(profiles.list, (list) =>
            exportProfiles(ids === undefined ? list : list.filter(({ id }) => ids.includes(id))))
      ),
    effective: (fields) =>
      call("effective", () =>
        Effect.gen(function*() {
          const { hostname, identitiesOnly, identityFiles, parameters, port, proxyJump, user } = yield* config
            .effective(
              new Destination(fields)
            )
          return yield* cleaned(undefined, {
            hostname,
            user,
            port,
            identityFiles,
            identitiesOnly,
            ...(proxyJump === undefined ? undefined : { proxyJump }),
            parameters
          })
        })),
    // Only profiles that exist: states of others would pile up.
    connect: ({ id }) =>
      call("connect", () => Effect.andThen(profiles.get(id), connections.connect(id, { origin: "user" })), id),
    disconnect: ({ id }) => call("disconnect", () => connections.disconnect(id), id),
    retryNow: ({ id }) => call("retryNow", () => connections.retryNow(id), id),
    watchStates: () => streaming("watchStates", () => watchStates),
    endpoint: ({ id }) =>
      call(
        "endpoint",
        () =>
          Effect.map(
            connections.endpoint(id),
            (endpoint) => Option.isSome(endpoint) ? { url: endpoint.value.url } : {}
          ),
        id
      ),
    open: ({ id }) => call("open", () => open(id), id),
    sshCommand: ({ id }) => call("sshCommand", () => Effect.map(report(id, false), ({ command }) => command), id),
    diagnostics: ({ format, id, pseudonyms }) =>
      call("diagnostics", () => Effect.map(report(id, pseudonyms), format === "json" ? toJson : toMarkdown), id),
    examine: ({ id }) =>
      streaming(
        "examine",
        () => Stream.unwrap(Effect.map(profiles.get(id), (profile) => examined(profile, id))),
        id
      ),
    examineDraft: ({ draft }) =>
      streaming("examineDraft", () =>
        Stream.unwrap(
          Effect.andThen(requireOwnConfig(draft), Effect.map(newProfile(draft), (profile) => examined(profile)))
        )),
    serverStatus: ({ id }) =>
      call(
        "serverStatus",
        () =>
          Effect.flatMap(over(tunnelOf(id), bootstrap.status), (server) =>
            Option.isSome(server) ? cleaned(id, { server: publicPart(server.value) }) : Effect.succeed({})),
        id
      ),
    serverStop: ({ id }) =>
      call("serverStop", () => Effect.flatMap(stop(id), (server) => cleaned(id, { server: publicPart(server) })), id),
    serverLog: ({ follow, id }) => streaming("serverLog", () => log(id, follow), id),
    about: () => call("about", () => Effect.succeed(host.about))
  })
})

/**
 * See the module. Needs Connections, ProfileRepo, CredentialStore, LocalPorts, SshConfig, Diagnostics, Doctor, Door,
 * Tunnel, Bootstrap, FlightRecorder, LocalHost, BridgeHost and Unheard.
 */
export const layer = BridgeApi.toLayer(make)
