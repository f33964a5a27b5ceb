/** A world for `Connections` in which every part does what the test says: ssh, the server behind it, and both clocks. */
import { Clock, Deferred, Effect, HashMap, Layer, Option, Queue, Redacted, Ref, Stream } from "effect"
import { Bootstrap, RemoteServer } from "../src/Bootstrap.ts"
import type { BootstrapError } from "../src/BootstrapError.ts"
import { Connections } from "../src/Connections.ts"
import type { ConnectionState } from "../src/ConnectionState.ts"
import { Credentials } from "../src/Credentials.ts"
import { CredentialStore } from "../src/CredentialStore.ts"
import { Discovery, type FindOptions } from "../src/Discovery.ts"
import { DiscoveryError, NoAnswer, NothingListening, Unauthorized } from "../src/DiscoveryError.ts"
import { LocalHost } from "../src/LocalHost.ts"
import { LocalPorts } from "../src/LocalPorts.ts"
import { LoopbackHttp, LoopbackHttpError } from "../src/LoopbackHttp.ts"
import { Profile, ProfileId } from "../src/Profile.ts"
import { ProfileRepo } from "../src/ProfileRepo.ts"
import { Timing } from "../src/Schedules.ts"
import { ServerInfo } from "../src/ServerInfo.ts"
import { AuthenticationFailed, ConnectionLost, TransportError } from "../src/TransportError.ts"
import { type Forward, type OpenTunnel, Tunnel } from "../src/Tunnel.ts"

export const id = ProfileId.make("box")
const target = { host: "box", options: [] }
export const profile = (fields: Partial<Profile> = {}) =>
  new Profile({ id, name: "Box", host: "box", bootstrap: { enabled: false, lifetime: "persistent" }, ...fields })

export const ours = new Credentials({ username: "opencode", password: Redacted.make("random") })
export const stored = new Credentials({ username: "opencode", password: Redacted.make("the person's") })

export const lost = new TransportError({ reason: new ConnectionLost({ target, detail: "test" }) })
export const refused = new TransportError({ reason: new AuthenticationFailed({ target, alsoAccepts: [] }) })

/** What listens on a remote port. `password`: it asks for that. */
export interface FakeServer {
  readonly state: "up" | "hung"
  readonly password?: Credentials
  readonly version?: string
}

const nothing = (remotePort: number) => new DiscoveryError({ reason: new NothingListening({ remotePort }) })
const response = { status: 200, headers: {}, body: "", truncated: false }

/** Everything, quiet and well: a server without a password on 4096. */
export const world = Effect.gen(function*() {
  /** What opening a tunnel gives, one entry an attempt; succeeds when there is none. */
  const openings = yield* Queue.unbounded<TransportError>()
  const opened = yield* Ref.make(0)
  const open = yield* Ref.make(0)
  /** ssh is started and never becomes ready. */
  const silent = yield* Ref.make(false)
  /** How long ssh takes to end, in ms. */
  const ending = yield* Ref.make(0)
  /** `+local:remote` and `-local:remote`, in order. */
  const forwards = yield* Ref.make<ReadonlyArray<string>>([])
  /** How often any port would do. */
  const anyPorts = yield* Ref.make(0)
  /** Local ports that strangers hold. */
  const strangers = yield* Ref.make<ReadonlyArray<number>>([])
  /** Remote ports to which a forward is never ready: the plain strategy's has to log in. */
  const endless = yield* Ref.make<ReadonlyArray<number>>([])
  const closed = yield* Ref.make(yield* Deferred.make<never, TransportError>())
  /** By remote port. */
  const servers = yield* Ref.make(HashMap.make<ReadonlyArray<readonly [number, FakeServer]>>([4096, { state: "up" }]))
  /** Idle connections, to be closed by the server's end. */
  const idle = yield* Ref.make<ReadonlyArray<Deferred.Deferred<void>>>([])
  /** Each round of discovery and each probe, with what it carried. */
  const asked = yield* Ref.make<ReadonlyArray<string>>([])
  /** Probes that are under way now, and the most that ever were. */
  const probing = yield* Ref.make({ now: 0, most: 0 })
  const probes = yield* Ref.make(0)
  /** What the remote command finds or starts: a server on this port. */
  const registered = yield* Ref.make(Option.none<number>())
  /** Commands there by which a server with lifetime `session` lives. */
  const holding = yield* Ref.make(0)
  const failing = yield* Ref.make(Option.none<BootstrapError>())
  const ensured = yield* Ref.make<ReadonlyArray<string>>([])
  const looking = yield* Ref.make(Option.none<BootstrapError>())
  /** What happens over there while the registration is read. */
  const whileLooking = yield* Ref.make<Effect.Effect<void>>(Effect.void)
  /** Nothing comes through the link any more, and nobody says so. */
  const linkDead = yield* Ref.make(false)
  const wallOffset = yield* Ref.make(0)

  const serverAt = (remotePort: number) => Effect.map(Ref.get(servers), HashMap.get(remotePort))
  const note = (line: string) => Ref.update(asked, (all) => [...all, line])

  const find = Effect.fnUntraced(function*({ credentials, forward: { remotePort } }: FindOptions) {
    const sent = credentials === undefined ? "nothing" : Redacted.value(credentials.password)
    yield* note(`discovery on ${remotePort} with ${sent}`)
    const server = yield* serverAt(remotePort)
    if (Option.isNone(server)) return yield* nothing(remotePort)
    if (server.value.state === "hung" || (yield* Ref.get(linkDead))) {
      yield* Effect.sleep(Timing.defaults.discovery)
      return yield* new DiscoveryError({ reason: new NoAnswer({ remotePort, waited: 10_000 }) })
    }
    const { password, version = "1.18.33" } = server.value
    if (password !== undefined && sent !== Redacted.value(password.password)) {
      const credentialsState = credentials === undefined ? "none" : "refused"
      return yield* new DiscoveryError({ reason: new Unauthorized({ remotePort, credentials: credentialsState }) })
    }
    return new ServerInfo({ generation: "v1", version, path: "/global/health", secured: password !== undefined })
  })

  const remotePortOf = (localPort: number) =>
    Effect.map(
      Ref.get(forwards),
      (all) => Number(all.findLast((line) => line.startsWith(`+${localPort}:`))?.split(":")[1] ?? 0)
    )

  const hold: LoopbackHttp["Service"]["hold"] = Effect.fnUntraced(function*({ authorization, path, port }) {
    const remotePort = yield* remotePortOf(port)
    yield* note(`probe on ${remotePort} with ${authorization === undefined ? "nothing" : "a password"}`)
    yield* Ref.update(probes, (n) => n + 1)
    yield* Ref.update(probing, ({ most, now }) => ({ now: now + 1, most: Math.max(most, now + 1) }))
    return yield* Effect.gen(function*() {
      // So that another one could come in between.
      yield* Effect.sleep("1 millis")
      const server = yield* serverAt(remotePort)
      if (Option.isNone(server)) {
        return yield* new LoopbackHttpError({ port, path, problem: "closed", detail: "socket hang up" })
      }
      if (server.value.state === "hung" || (yield* Ref.get(linkDead))) return yield* Effect.never
      const end = yield* Deferred.make<void>()
      yield* Ref.update(idle, (all) => [...all, end])
      return { response, closed: Deferred.await(end) }
    }).pipe(Effect.ensuring(Ref.update(probing, ({ most, now }) => ({ most, now: now - 1 }))))
  })

  /** sshd refuses a connection to a port where nobody listens. */
  const get: LoopbackHttp["Service"]["get"] = Effect.fnUntraced(function*({ path, port }) {
    if (yield* Ref.get(linkDead)) return yield* Effect.never
    return yield* new LoopbackHttpError({ port, path, problem: "closed", detail: "socket hang up" })
  })

  const tunnel = Effect.gen(function*() {
    const next = yield* Queue.poll(openings)
    yield* Ref.update(opened, (n) => n + 1)
    if (Option.isSome(next)) return yield* next.value
    yield* Effect.acquireRelease(
      Ref.update(open, (n) => n + 1),
      () => Effect.andThen(Effect.flatMap(Ref.get(ending), Effect.sleep), Ref.update(open, (n) => n - 1))
    )
    if (yield* Ref.get(silent)) return yield* Effect.never
    const end = yield* Ref.get(closed)
    const it: OpenTunnel = {
      strategy: "master",
      forward: (remotePort, choice) =>
        Effect.gen(function*() {
          if ((yield* Ref.get(endless)).includes(remotePort)) return yield* Effect.never
          const wanted = choice !== undefined && choice._tag !== "Any"
            ? choice.port
            : 50_000 + 100 * (yield* Ref.getAndUpdate(anyPorts, (count) => count + 1))
          const taken = yield* Ref.get(strangers)
          const all = yield* Ref.get(forwards)
          const held = (port: number) =>
            all.filter((line) => line.startsWith(`+${port}:`)).length >
              all.filter((line) => line.startsWith(`-${port}:`)).length
          const candidates = [wanted, wanted + 1, wanted + 2]
          const localPort = candidates.find((port) => !taken.includes(port) && !held(port)) ?? wanted + 3
          yield* Ref.update(forwards, (all) => [...all, `+${localPort}:${remotePort}`])
          return {
            localPort,
            remotePort,
            rejections: Stream.never,
            cancel: Ref.update(forwards, (all) => [...all, `-${localPort}:${remotePort}`])
          } satisfies Forward
        }),
      exec: () => Effect.die("no command in this test"),
      capabilities: Effect.succeed({ sessions: "allowed" }),
      closed: Deferred.await(end),
      stderr: Effect.succeed("")
    }
    // What ends with ssh.
    yield* Effect.addFinalizer(() => Ref.set(forwards, []))
    return it
  })

  const ensure: Bootstrap["Service"]["ensure"] = Effect.fnUntraced(function*(_, { lifetime, mode, port }) {
    yield* Ref.update(ensured, (all) => [...all, `${mode} ${port ?? "any"}`])
    if (mode === "ensure" && lifetime === "session") {
      yield* Effect.acquireRelease(Ref.update(holding, (n) => n + 1), () => Ref.update(holding, (n) => n - 1))
    }
    const fails = yield* Ref.get(failing)
    if (mode === "ensure" && Option.isSome(fails)) return yield* fails.value
    const found = yield* Ref.get(registered)
    if (Option.isNone(found) && mode === "look") {
      yield* yield* Ref.get(whileLooking)
      const error = yield* Ref.get(looking)
      return Option.isSome(error) ? yield* error.value : Option.none()
    }
    const at = Option.getOrElse(found, () => 4999)
    if (Option.isNone(found)) {
      yield* Ref.set(registered, Option.some(at))
      yield* Ref.update(servers, HashMap.set(at, { state: "up", password: ours } as FakeServer))
    }
    return Option.some(
      new RemoteServer({
        port: at,
        pid: 7,
        version: "1.18.33",
        credentials: ours,
        origin: Option.isNone(found) ? "started" : "reused",
        owner: "ours",
        lifetime
      })
    )
  })

  const layerWith = (one: Profile, options: {
    readonly localPorts?: Layer.Layer<LocalPorts>
    readonly credentials?: Credentials
  } = {}) =>
    Connections.layerNoDeps.pipe(
      Layer.provide(Layer.mergeAll(
        ProfileRepo.layerMemory([one]),
        Tunnel.layerMock({ open: () => tunnel }),
        Discovery.layerMock({ find }),
        Bootstrap.layerMock({ ensure }),
        LoopbackHttp.layerMock({ get, hold }),
        options.localPorts ?? LocalPorts.layerMemory(),
        LocalHost.layerMock()
      )),
      Layer.provideMerge(
        CredentialStore.layerMemory(options.credentials === undefined ? [] : [[id, options.credentials]])
      )
    )

  /** ssh ends. */
  const sshDies = Effect.gen(function*() {
    const old = yield* Ref.getAndSet(closed, yield* Deferred.make<never, TransportError>())
    yield* Deferred.fail(old, lost)
  })
  /** The server closes its idle connections, and lives. */
  const closeIdle = Effect.flatMap(
    Ref.getAndSet(idle, []),
    Effect.forEach((end) => Deferred.succeed(end, undefined))
  )
  const serve = (port: number, server: FakeServer) => Ref.update(servers, HashMap.set(port, server))
  const serverDies = (port = 4096) => Effect.andThen(Ref.update(servers, HashMap.remove(port)), closeIdle)
  /** The machine sleeps: the clock on the wall goes on, all others stand still. */
  const sleep = (millis: number) => Ref.update(wallOffset, (offset) => offset + millis)
  const withClocks = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Clock.Clock, (clock) =>
      Effect.provideService(effect, Clock.Clock, {
        ...clock,
        currentTimeMillis: Effect.zipWith(clock.currentTimeMillis, Ref.get(wallOffset), (now, offset) => now + offset)
      }))

  return {
    openings,
    opened,
    open,
    silent,
    ending,
    forwards,
    strangers,
    endless,
    servers,
    asked,
    probing,
    probes,
    registered,
    ensured,
    holding,
    failing,
    looking,
    whileLooking,
    linkDead,
    layerWith,
    sshDies,
    serve,
    serverDies,
    closeIdle,
    sleep,
    withClocks
  }
})

/** The first state with this tag, now or later, for which the predicate holds. */
export const awaitState = <Tag extends ConnectionState["_tag"]>(
  connections: Connections["Service"],
  tag: Tag,
  predicate: (state: Extract<ConnectionState, { _tag: Tag }>) => boolean = () => true
) =>
  connections.states.pipe(
    Stream.map((states) => Option.getOrUndefined(HashMap.get(states, id))),
    Stream.filter((state): state is Extract<ConnectionState, { _tag: Tag }> => state?._tag === tag),
    Stream.filter(predicate),
    Stream.runHead,
    Effect.map(Option.getOrThrow)
  )

/** What comes from now on, as words: the tag, and of `Reconnecting` the attempt and the error. */
export const record = (connections: Connections["Service"]) =>
  Effect.gen(function*() {
    const words = yield* Ref.make<ReadonlyArray<string>>([])
    yield* connections.states.pipe(
      Stream.map((states) => Option.getOrUndefined(HashMap.get(states, id))),
      Stream.filter((state) => state !== undefined),
      Stream.runForEach((state) =>
        Ref.update(words, (all) => [
          ...all,
          state._tag === "Reconnecting" ? `Reconnecting ${state.attempt} ${state.error.reason._tag}` : state._tag
        ])
      ),
      Effect.forkScoped({ startImmediately: true })
    )
    return words
  })
