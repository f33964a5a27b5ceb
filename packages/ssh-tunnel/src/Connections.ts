/** All connections of this process: one fiber per profile, and their states as one stream. */
import {
  Clock,
  Context,
  DateTime,
  Duration,
  Effect,
  Equal,
  Fiber,
  FiberMap,
  HashMap,
  Layer,
  Option,
  PubSub,
  Pull,
  Ref,
  Schedule,
  Stream,
  SubscriptionRef
} from "effect"
import { Bootstrap } from "./Bootstrap.ts"
import type { ConnectionError } from "./ConnectionError.ts"
import { type Connected, ConnectionState } from "./ConnectionState.ts"
import type { Credentials } from "./Credentials.ts"
import { CredentialStore } from "./CredentialStore.ts"
import { Discovery } from "./Discovery.ts"
import { FlightRecorder, Recording } from "./FlightRecorder.ts"
import * as Sessions from "./internal/session.ts"
import { LocalHost } from "./LocalHost.ts"
import { LocalPorts } from "./LocalPorts.ts"
import { LoopbackHttp } from "./LoopbackHttp.ts"
import { MemoryTunnels } from "./MemoryTunnels.ts"
import type { Profile, ProfileId } from "./Profile.ts"
import { ProfileRepo } from "./ProfileRepo.ts"
import { reconnect, Timing } from "./Schedules.ts"
import { ServerInfo } from "./ServerInfo.ts"
import { ConnectionClosed, TransportError, Unclassified } from "./TransportError.ts"
import type { OpenTunnel } from "./Tunnel.ts"

/** The states of all profiles that were ever connected in this process; others are `Disconnected`. */
export type States = HashMap.HashMap<ProfileId, ConnectionState>

/** What a consumer needs to talk to the server. Hand `credentials` to nobody but the server. */
export interface ServerEndpoint {
  readonly url: string
  readonly credentials: Option.Option<Credentials>
}

const defectError = (id: ProfileId, defect: unknown) =>
  new TransportError({
    reason: new Unclassified({
      target: { host: id, options: [] },
      signal: "a defect of this program",
      stderr: String(defect)
    })
  })

const disconnected = ConnectionState.cases.Disconnected.make({})

/** In these states a profile's fiber, if there is still one, does nothing more. */
const ending: ReadonlySet<ConnectionState["_tag"]> = new Set(["Disconnected", "Failed", "Disconnecting"])

/** What is there exactly while a profile is `Connected`. */
interface Live {
  readonly endpoint: ServerEndpoint
  readonly tunnel: OpenTunnel
}

/** One outage: how often it was tried, and the schedule that says when to try next. */
interface Outage {
  readonly attempt: number
  readonly next: (now: number, input: unknown) => Pull.Pull<[unknown, Duration.Duration], never, unknown>
}

/**
 * See the module.
 *
 * **Gotchas**
 *
 * `connect` returns at once; watch `states` or use `settled`. Connecting twice
 * is one connection. Errors of a connection are states, never failures here.
 */
export class Connections extends Context.Service<Connections, {
  /**
   * Starts to connect. `user`: the first error is `Failed`. `restore` (app
   * start, maybe before the VPN is up): retryable errors go to `Reconnecting`.
   */
  readonly connect: (id: ProfileId, options?: { readonly origin?: "user" | "restore" }) => Effect.Effect<void>
  /** Ends the connection and returns when it is gone. Does nothing when there is none. */
  readonly disconnect: (id: ProfileId) => Effect.Effect<void>
  /** Skips the wait of `Reconnecting`; does nothing in other states. */
  readonly retryNow: (id: ProfileId) => Effect.Effect<void>
  /** First the current picture, then every change. */
  readonly states: Stream.Stream<States>
  readonly state: (id: ProfileId) => Effect.Effect<ConnectionState>
  /** Waits until the profile is `Connected`; fails when it becomes `Failed` or is disconnected. */
  readonly settled: (id: ProfileId) => Effect.Effect<Connected, ConnectionError>
  /** `None` unless the profile is `Connected` now. */
  readonly endpoint: (id: ProfileId) => Effect.Effect<Option.Option<ServerEndpoint>>
  /**
   * The connection itself, for what may ride on it without another login (status, stop and log of the server, say).
   * `None` unless the profile is `Connected` now.
   *
   * **Gotchas**
   *
   * It belongs to the connection and not to who asks: it ends with the connection, whatever scope it is used in, and
   * then what runs over it fails. Ask again rather than keep it. Commands (`exec`) end with the caller's scope; a
   * `forward` of yours stays until it is cancelled or the connection ends.
   */
  readonly tunnel: (id: ProfileId) => Effect.Effect<Option.Option<OpenTunnel>>
  /** The host says that the network changed or the machine woke up: probes at once, and skips waits. */
  readonly networkChanged: Effect.Effect<void>
}>()("@opencode-ai/ssh-tunnel/Connections") {
  static readonly layerMock = (service: Partial<Connections["Service"]>): Layer.Layer<Connections> =>
    Layer.mock(Connections, service)

  /**
   * The real connections over nothing: tunnels, servers and profiles of the
   * test, no ssh, no network, no files. Time is the test's (`TestClock`);
   * {@link MemoryTunnels} cuts connections.
   */
  static readonly layerMemory = (world: {
    readonly profiles: ReadonlyArray<Profile>
    /** What discovery finds behind every forward. */
    readonly server?: ServerInfo
    readonly localPort?: number
  }): Layer.Layer<Connections | MemoryTunnels | ProfileRepo> => {
    const server = world.server ??
      new ServerInfo({ generation: "v1", version: "1.18.33", path: "/global/health", secured: true })
    return Connections.layerNoDeps.pipe(
      Layer.provide([
        Discovery.layerMock({ find: () => Effect.succeed(server) }),
        Bootstrap.layerMock({}),
        LoopbackHttp.layerMock({
          get: () => Effect.succeed({ status: 200, headers: {}, body: "", truncated: false }),
          hold: () => Effect.never
        }),
        CredentialStore.layerMemory(),
        LocalPorts.layerMemory(),
        LocalHost.layerMock()
      ]),
      Layer.provideMerge(MemoryTunnels.layer(world.localPort === undefined ? {} : { localPort: world.localPort })),
      Layer.provideMerge(ProfileRepo.layerMemory(world.profiles))
    )
  }

  /**
   * Needs Tunnel, Discovery, Bootstrap, ProfileRepo, CredentialStore, LocalPorts, LoopbackHttp and LocalHost. The
   * FlightRecorder that comes along knows what happened.
   */
  static readonly layerNoDeps = Layer.effect(
    Connections,
    Effect.gen(function*() {
      const profiles = yield* ProfileRepo
      const sessions = yield* Sessions.make
      const { recorder } = yield* FlightRecorder
      const timing = yield* Timing
      const states = yield* SubscriptionRef.make<States>(HashMap.empty())
      const live = yield* Ref.make(HashMap.empty<ProfileId, Live>())
      const fibers = yield* FiberMap.make<ProfileId>()
      /** `None` is meant for everybody. */
      const nudges = yield* PubSub.unbounded<Option.Option<ProfileId>>()

      const stateIn = (map: States, id: ProfileId) => Option.getOrElse(HashMap.get(map, id), () => disconnected)
      const state = (id: ProfileId) => Effect.map(SubscriptionRef.get(states), (map) => stateIn(map, id))

      /** An endpoint and its tunnel are there exactly while the state is `Connected`. */
      const set = Effect.fnUntraced(function*(
        id: ProfileId,
        next: ConnectionState,
        connection?: Live
      ) {
        yield* Ref.update(live, connection === undefined ? HashMap.remove(id) : HashMap.set(id, connection))
        if (!Equal.equals(yield* state(id), next)) yield* recorder(id).state(next)
        if (connection !== undefined && Option.isSome(connection.endpoint.credentials)) {
          yield* recorder(id).secret(connection.endpoint.credentials.value.password)
        }
        yield* SubscriptionRef.updateSome(
          states,
          (map) => Equal.equals(stateIn(map, id), next) ? Option.none() : Option.some(HashMap.set(map, id, next))
        )
      })

      const nudged = Effect.fnUntraced(
        function*(id: ProfileId) {
          const subscription = yield* PubSub.subscribe(nudges)
          yield* PubSub.take(subscription).pipe(
            Effect.repeat({ until: (who) => Option.isNone(who) || who.value === id })
          )
        },
        Effect.asVoid,
        Effect.scoped
      )

      /**
       * Opens what is missing, connects, and stays until the connection is
       * lost. A session that lives is used again: a server that dies behind a
       * living tunnel costs no new ssh.
       */
      const attempt = Effect.fnUntraced(function*(
        id: ProfileId,
        current: Ref.Ref<Option.Option<Sessions.Session>>,
        connected: Ref.Ref<Option.Option<Connected>>
      ) {
        /** One `Connecting` counts from where it began, whatever its steps. */
        const report: Sessions.Report = Effect.fnUntraced(function*(next) {
          const before = yield* state(id)
          const goesOn = next._tag === "Connecting" && before._tag === "Connecting"
          yield* set(id, goesOn ? ConnectionState.cases.Connecting.make({ ...next, since: before.since }) : next)
        })
        const kept = yield* Ref.get(current)
        const session = Option.isSome(kept) ? kept.value : yield* Effect.uninterruptibleMask((restore) =>
          Effect.tap(
            restore(Effect.flatMap(profiles.get(id), (profile) => sessions.open(profile, report))),
            (session) => Ref.set(current, Option.some(session))
          )
        )
        const found = yield* sessions.discover(session, report)
        const published = yield* sessions.publish(session, found)
        yield* Ref.set(connected, Option.some(published.state))
        yield* set(id, published.state, { endpoint: published.endpoint, tunnel: session.tunnel })
        return yield* sessions.watch(session, found, nudged(id))
      })

      const closeSession = (current: Ref.Ref<Option.Option<Sessions.Session>>) =>
        Effect.flatMap(
          Ref.getAndSet(current, Option.none()),
          (session) => Option.isSome(session) ? session.value.close : Effect.void
        )

      /** From connect to the final error; interruption is the disconnect. */
      const life = Effect.fn("Connections.life")(function*(id: ProfileId, origin: "user" | "restore") {
        const current = yield* Ref.make(Option.none<Sessions.Session>())
        const connected = yield* Ref.make(Option.none<Connected>())
        const outage = yield* Ref.make(Option.none<Outage>())

        const once = Effect.gen(function*() {
          const known = yield* Ref.get(connected)
          const error = yield* Effect.flip(attempt(id, current, connected))
          const now = yield* Clock.currentTimeMillis
          const last = yield* Ref.get(connected)
          const wasUp = last !== known && Option.isSome(last)
          const before = yield* Ref.get(outage)
          // What fails before anybody saw it work is for the person who asked to hear.
          const mayRetry = origin === "restore" || Option.isSome(last)
          if (!error.retryable || !mayRetry) return yield* error
          if (error._tag === "TransportError") yield* closeSession(current)
          const healthy = wasUp &&
            now - DateTime.toEpochMillis(DateTime.makeUnsafe(last.value.since)) >=
              Duration.toMillis(timing.healthyAfter)
          const { attempt: tried, next } = Option.isSome(before) && !healthy
            ? before.value
            : { attempt: 0, next: yield* Schedule.toStep(reconnect) }
          const step = yield* Effect.option(Pull.catchDone(next(now, error), () => Effect.fail("exhausted" as const)))
          if (Option.isNone(step)) return yield* error
          const [, delay] = step.value
          yield* Ref.set(outage, Option.some({ attempt: tried + 1, next }))
          const url = Option.map(yield* Ref.get(connected), ({ url }) => url)
          yield* set(
            id,
            ConnectionState.cases.Reconnecting.make({
              attempt: tried + 1,
              nextAt: DateTime.formatIso(DateTime.makeUnsafe(now + Duration.toMillis(delay))),
              error,
              ...(Option.isSome(url) ? { url: url.value } : undefined)
            })
          )
          yield* Effect.timeoutOption(nudged(id), delay)
        })

        return yield* Effect.forever(once).pipe(Effect.ensuring(closeSession(current)))
      }, (effect, id) =>
        effect.pipe(
          Effect.catch((error) => set(id, ConnectionState.cases.Failed.make({ error }))),
          // A bug of ours must not leave the profile "Connecting" for ever.
          Effect.catchDefect((defect) =>
            Effect.andThen(
              Effect.logError("A connection died of a defect", defect),
              set(id, ConnectionState.cases.Failed.make({ error: defectError(id, defect) }))
            )
          ),
          Effect.onInterrupt(() => set(id, disconnected)),
          Effect.provideService(Recording, recorder(id))
        ))

      const connect = Effect.fn("Connections.connect")(
        function*(id: ProfileId, options?: { readonly origin?: "user" | "restore" }) {
          const running = yield* FiberMap.get(fibers, id)
          if (Option.isSome(running)) {
            if (!ending.has((yield* state(id))._tag)) {
              yield* PubSub.publish(nudges, Option.some(id))
              return
            }
            // Who saw its last state may be quicker than its fiber.
            yield* Fiber.await(running.value)
          }
          const since = yield* Sessions.nowIso
          yield* set(id, ConnectionState.cases.Connecting.make({ step: "starting", since }))
          yield* FiberMap.run(fibers, id, life(id, options?.origin ?? "user"), { onlyIfMissing: true })
        }
      )

      const disconnect = Effect.fn("Connections.disconnect")(function*(id: ProfileId) {
        if (yield* FiberMap.has(fibers, id)) {
          yield* set(id, ConnectionState.cases.Disconnecting.make({}))
          yield* FiberMap.remove(fibers, id)
        } else {
          yield* set(id, disconnected)
        }
      })

      const settled = Effect.fn("Connections.settled")(function*(id: ProfileId) {
        const end = yield* SubscriptionRef.changes(states).pipe(
          Stream.map((map) => stateIn(map, id)),
          Stream.filter((next) => ["Connected", "Failed", "Disconnected"].includes(next._tag)),
          Stream.runHead
        )
        const last = Option.getOrElse(end, () => disconnected)
        if (last._tag === "Connected") return last
        if (last._tag === "Failed") return yield* last.error
        return yield* new TransportError({
          reason: new ConnectionClosed({ target: { host: id, options: [] }, detail: "it was disconnected" })
        })
      })

      return Connections.of({
        connect,
        disconnect,
        retryNow: (id) => Effect.asVoid(PubSub.publish(nudges, Option.some(id))),
        states: SubscriptionRef.changes(states),
        state,
        settled,
        endpoint: (id) =>
          Effect.map(Ref.get(live), (all) => Option.map(HashMap.get(all, id), ({ endpoint }) => endpoint)),
        tunnel: (id) => Effect.map(Ref.get(live), (all) => Option.map(HashMap.get(all, id), ({ tunnel }) => tunnel)),
        networkChanged: Effect.asVoid(PubSub.publish(nudges, Option.none()))
      })
    })
  ).pipe(Layer.provideMerge(FlightRecorder.layer))
}
