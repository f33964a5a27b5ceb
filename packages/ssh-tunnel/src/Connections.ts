/**
 * All connections of this process, and their states as one stream. What a
 * connection does when is decided by a pure machine (`internal/lifecycle.ts`);
 * here its commands are carried out, one fiber per profile.
 */
import {
  Cause,
  Clock,
  Context,
  Duration,
  Effect,
  Fiber,
  FiberMap,
  FiberSet,
  HashMap,
  Layer,
  Option,
  Queue,
  Random,
  Ref,
  Semaphore,
  Stream,
  SubscriptionRef
} from "effect"
import { Bootstrap } from "./Bootstrap.ts"
import type { ConnectionError } from "./ConnectionError.ts"
import type { Connected, ConnectionState } from "./ConnectionState.ts"
import type { Credentials } from "./Credentials.ts"
import { CredentialStore } from "./CredentialStore.ts"
import { Discovery } from "./Discovery.ts"
import { FlightRecorder, Recording } from "./FlightRecorder.ts"
import * as Lifecycle from "./internal/lifecycle.ts"
import * as Sessions from "./internal/session.ts"
import { LocalHost } from "./LocalHost.ts"
import { LocalPorts } from "./LocalPorts.ts"
import { LoopbackHttp } from "./LoopbackHttp.ts"
import { MemoryTunnels } from "./MemoryTunnels.ts"
import type { Profile, ProfileId } from "./Profile.ts"
import { ProfileRepo } from "./ProfileRepo.ts"
import { Timing } from "./Schedules.ts"
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

/** What a profile's life holds. `published` is there once a server was found through the session. */
interface Held {
  readonly session: Sessions.Session
  readonly found: Option.Option<{ readonly server: Sessions.Found; readonly published: Sessions.Published }>
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
          hold: () =>
            Effect.succeed({
              response: { status: 200, headers: {}, body: "", truncated: false },
              closed: Effect.never
            })
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
      const localPorts = yield* LocalPorts
      const sessions = yield* Sessions.make
      const { recorder } = yield* FlightRecorder
      const timing = yield* Timing
      const step = Lifecycle.make(timing)
      const states = yield* SubscriptionRef.make<States>(HashMap.empty())
      const lives = yield* Ref.make(HashMap.empty<ProfileId, Lifecycle.Life>())
      /** The life of a profile that was never connected. */
      const unborn = yield* Ref.make(Lifecycle.initial)
      const held = yield* Ref.make(HashMap.empty<ProfileId, Held>())
      const works = yield* FiberMap.make<ProfileId>()
      const writes = yield* FiberSet.make()
      const turn = yield* Semaphore.make(1)

      const lifeOf = (id: ProfileId) =>
        Effect.flatMap(Ref.get(lives), (all) =>
          Option.match(HashMap.get(all, id), {
            onNone: () => Ref.get(unborn),
            onSome: Effect.succeed
          }))
      const stateIn = (map: States, id: ProfileId) =>
        Option.getOrElse(HashMap.get(map, id), () => Lifecycle.initial.shown)
      const heldBy = (id: ProfileId) => Effect.map(Ref.get(held), HashMap.get(id))

      const moment = Effect.gen(function*() {
        const moment: Lifecycle.Moment = {
          monotonic: Number(yield* Clock.monotonicTimeNanos) / 1e6,
          wall: yield* Clock.currentTimeMillis,
          chance: yield* Random.next
        }
        return moment
      })

      /**
       * Tells the machine, and begins what it commands. Events are taken one by
       * one, and nothing in here takes time. Returns the work that is under way.
       */
      const send = (
        id: ProfileId,
        event: Lifecycle.Event
      ): Effect.Effect<Option.Option<Fiber.Fiber<unknown, unknown>>> =>
        Effect.gen(function*() {
          const [next, commands] = step(yield* lifeOf(id), event, yield* moment)
          yield* Ref.update(lives, HashMap.set(id, next))
          yield* Effect.forEach(commands, (command) => obey(id, command), { discard: true })
          return yield* FiberMap.get(works, id)
        }).pipe(turn.withPermits(1), Effect.uninterruptible)

      /** Closes the profile's session, if there is one. */
      const drop = (id: ProfileId) =>
        Ref.modify(held, (all) => [HashMap.get(all, id), HashMap.remove(all, id)]).pipe(
          Effect.flatMap((one) => Option.isSome(one) ? one.value.session.close : Effect.void),
          Effect.uninterruptible
        )

      /** What a work does, and the event that it ends with. */
      const work = Effect.fnUntraced(function*(
        id: ProfileId,
        command: Lifecycle.Work
      ): Effect.fn.Return<Lifecycle.Event, ConnectionError> {
        const { ticket } = command
        const report: Sessions.Report = (state) => Effect.asVoid(send(id, { _tag: "Progress", ticket, state }))
        if (command._tag === "Close") {
          yield* drop(id)
          return { _tag: "Closed", ticket }
        }
        if (command._tag === "Open") {
          yield* drop(id)
          const profile = yield* profiles.get(id)
          yield* Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(
              restore(sessions.open(profile, report)),
              (session) => Ref.update(held, HashMap.set(id, { session, found: Option.none() }))
            )
          )
          return { _tag: "Opened", ticket }
        }
        if (command._tag === "Wait" && !command.keep) {
          yield* drop(id)
          yield* Effect.sleep(command.millis)
          return { _tag: "Elapsed", ticket }
        }
        const { found, session } = Option.getOrThrow(yield* heldBy(id))
        if (command._tag === "Wait") {
          yield* sessions.withdraw(session)
          yield* Effect.timeoutOption(session.tunnel.closed, command.millis)
          return { _tag: "Elapsed", ticket }
        }
        if (command._tag === "Watch") {
          return yield* sessions.watch(session, Option.getOrThrow(found).server)
        }
        const server = yield* sessions.discover(session, report)
        const published = yield* sessions.publish(session, server)
        const { credentials } = published.endpoint
        if (Option.isSome(credentials)) yield* recorder(id).secret(credentials.value.password)
        yield* Ref.update(held, HashMap.set(id, { session, found: Option.some({ server, published }) }))
        return { _tag: "Found", ticket, connected: published.state }
      })

      /** Begins a work when the one before has ended, with all that it held. */
      const begin = Effect.fnUntraced(function*(id: ProfileId, command: Lifecycle.Work) {
        const before = yield* FiberMap.get(works, id)
        const { ticket } = command
        const doing = work(id, command).pipe(
          Effect.catch((error) => Effect.succeed<Lifecycle.Event>({ _tag: "Lost", ticket, error })),
          // A bug of ours must not leave the profile "Connecting" for ever.
          Effect.catchCause((cause) =>
            Effect.as(
              Effect.logError("A connection died of a defect", cause),
              { _tag: "Broken", ticket, error: defectError(id, Cause.squash(cause)) } satisfies Lifecycle.Event
            )
          ),
          Effect.flatMap((event) => send(id, event)),
          Effect.provideService(Recording, recorder(id))
        )
        const ended = Option.isSome(before) ? Effect.uninterruptible(Fiber.await(before.value)) : Effect.void
        yield* FiberMap.run(works, id, Effect.andThen(ended, doing))
      })

      const obey = (id: ProfileId, command: Lifecycle.Command): Effect.Effect<void> => {
        switch (command._tag) {
          case "Publish":
            return Effect.andThen(
              recorder(id).state(command.state),
              SubscriptionRef.update(states, HashMap.set(id, command.state))
            )
          case "Remember":
            // Nobody waits for a file; the end of the service does.
            return Effect.asVoid(
              FiberSet.run(writes, Effect.uninterruptible(localPorts.remember(id, command.localPort)))
            )
          case "Probe":
            return Effect.flatMap(
              heldBy(id),
              (one) => Option.isSome(one) ? Effect.asVoid(Queue.offer(one.value.session.bell, undefined)) : Effect.void
            )
          default:
            return begin(id, command)
        }
      }

      const sendAll = (event: Lifecycle.Event) =>
        Effect.flatMap(Ref.get(lives), (all) => Effect.forEach(HashMap.keys(all), (id) => send(id, event)))

      const connect = Effect.fn("Connections.connect")(
        (id: ProfileId, options?: { readonly origin?: Lifecycle.Origin }) =>
          Effect.asVoid(send(id, { _tag: "Connect", origin: options?.origin ?? "user" }))
      )

      const disconnect = Effect.fn("Connections.disconnect")(function*(id: ProfileId) {
        const closing = yield* send(id, { _tag: "Disconnect" })
        if (Option.isSome(closing)) yield* Fiber.await(closing.value)
      })

      const networkChanged = Effect.asVoid(sendAll({ _tag: "Nudge" }))

      /** A machine that sleeps does not count the time, but its clock on the wall goes on. */
      const wakeUps = Effect.gen(function*() {
        const before = yield* Clock.currentTimeMillis
        yield* Effect.sleep(timing.wakeUpInterval)
        const passed = (yield* Clock.currentTimeMillis) - before
        const slept = passed - Duration.toMillis(timing.wakeUpInterval) >= Duration.toMillis(timing.wakeUpJump)
        if (slept) yield* networkChanged
      }).pipe(Effect.forever)

      yield* Effect.addFinalizer(() =>
        Effect.gen(function*() {
          const [over] = step(Lifecycle.initial, { _tag: "Shutdown" }, yield* moment)
          yield* Ref.set(unborn, over)
          const endings = yield* sendAll({ _tag: "Shutdown" })
          yield* Effect.forEach(
            endings,
            (one) => Option.isSome(one) ? Fiber.await(one.value) : Effect.void,
            { concurrency: "unbounded", discard: true }
          )
        })
      )
      yield* Effect.forkScoped(wakeUps)

      const settled = Effect.fn("Connections.settled")(function*(id: ProfileId) {
        const end = yield* SubscriptionRef.changes(states).pipe(
          Stream.map((map) => stateIn(map, id)),
          Stream.filter((next) => ["Connected", "Failed", "Disconnected"].includes(next._tag)),
          Stream.runHead
        )
        const last = Option.getOrElse(end, () => Lifecycle.initial.shown)
        if (last._tag === "Connected") return last
        if (last._tag === "Failed") return yield* last.error
        return yield* new TransportError({
          reason: new ConnectionClosed({ target: { host: id, options: [] }, detail: "it was disconnected" })
        })
      })

      /** What there is exactly while the state is `Connected`. */
      const whileConnected = <A>(
        id: ProfileId,
        f: (held: Held, published: Sessions.Published) => A
      ): Effect.Effect<Option.Option<A>> =>
        Effect.zipWith(lifeOf(id), heldBy(id), (life, one) =>
          life._tag === "Up"
            ? Option.flatMap(one, (held) => Option.map(held.found, ({ published }) => f(held, published)))
            : Option.none())

      return Connections.of({
        connect,
        disconnect,
        retryNow: (id) => Effect.asVoid(send(id, { _tag: "Retry" })),
        states: SubscriptionRef.changes(states),
        state: (id) => Effect.map(SubscriptionRef.get(states), (map) => stateIn(map, id)),
        settled,
        endpoint: (id) => whileConnected(id, (_, { endpoint }) => endpoint),
        tunnel: (id) => whileConnected(id, ({ session }) => session.tunnel),
        networkChanged
      })
    })
  ).pipe(Layer.provideMerge(FlightRecorder.layer))
}
