/**
 * One connection of one profile, step by step: a tunnel with a forward, the
 * server behind it, and the watch over both. It knows nothing of retries and
 * of other profiles.
 *
 * **Who gets a password** (docs/security.md): nobody before something there has
 * asked for one. The password of a server that bootstrap started goes out only
 * right after its registration was read, where its pid, start time and the
 * listener's user id were seen. Probes never carry one.
 */
import { DateTime, Duration, Effect, Exit, Fiber, Option, Queue, Ref, Scope } from "effect"
import { Bootstrap, type EnsureOptions, type RemoteServer } from "../Bootstrap.ts"
import type { ConnectionError } from "../ConnectionError.ts"
import type { ServerEndpoint } from "../Connections.ts"
import { type BootstrappingStep, type Connected, ConnectionState } from "../ConnectionState.ts"
import { Credentials } from "../Credentials.ts"
import { CredentialStore } from "../CredentialStore.ts"
import { Discovery } from "../Discovery.ts"
import { DiscoveryError, NoAnswer } from "../DiscoveryError.ts"
import { LocalHost } from "../LocalHost.ts"
import { LocalPorts } from "../LocalPorts.ts"
import { LoopbackHttp } from "../LoopbackHttp.ts"
import { defaultRemotePort, type Profile } from "../Profile.ts"
import { Timing } from "../Schedules.ts"
import type { ServerInfo } from "../ServerInfo.ts"
import { SupportedVersions } from "../SupportedVersions.ts"
import { ConnectionLost, TransportError } from "../TransportError.ts"
import { type Forward, type LocalPortChoice, type OpenTunnel, Tunnel } from "../Tunnel.ts"
import { target } from "./argv.ts"

/** The remote command that a server with lifetime `session` lives by. */
interface Hold {
  /** The server's. */
  readonly pid: number
  readonly scope: Scope.Closeable
}

/** A tunnel and its forward. It survives the death of the server behind it; `close` ends it. */
export interface Session {
  readonly profile: Profile
  /**
   * What was stored for this profile when the session was opened: a password
   * that is stored later may be meant for where the profile leads by then.
   */
  readonly stored: Option.Option<Credentials>
  readonly tunnel: OpenTunnel
  /** The forward in use, or the one that was withdrawn last. */
  readonly forward: Ref.Ref<{ readonly forward: Forward; readonly isOpen: boolean }>
  /** The local port that people were promised, and the one that they had before if a stranger has that now. */
  readonly local: Ref.Ref<{ readonly choice: LocalPortChoice; readonly movedFrom: Option.Option<number> }>
  /** Rung by whoever wants to know at once whether the server is there; a second ring is the same as one. */
  readonly bell: Queue.Queue<void>
  readonly hold: Ref.Ref<Option.Option<Hold>>
  readonly scope: Scope.Closeable
  readonly close: Effect.Effect<void>
}

/** A server that answered through the session. */
export interface Found {
  readonly info: ServerInfo
  readonly credentials: Option.Option<Credentials>
  /** The server that bootstrap found or started, if it is that. */
  readonly remote: Option.Option<RemoteServer>
}

/** What a consumer is told of a server. */
export interface Published {
  readonly endpoint: ServerEndpoint
  readonly state: Connected
}

/** Where the steps are reported to. */
export type Report = (state: ConnectionState) => Effect.Effect<void>

const nowIso = Effect.map(DateTime.now, DateTime.formatIso)

const isReason =
  (...tags: ReadonlyArray<DiscoveryError["reason"]["_tag"]>) => (error: ConnectionError): error is DiscoveryError =>
    error._tag === "DiscoveryError" && tags.includes(error.reason._tag)

const isNoAnswer = isReason("NoAnswer")
const isUnauthorized = isReason("Unauthorized")
const isAbsent = isReason("NothingListening", "NoAnswer")
const isNotOurs = (error: ConnectionError) => error._tag === "BootstrapError" && error.reason._tag === "NotOurs"

/** tcpmux, which nobody has run since the eighties. */
const nobodysPort = 1

/** Why the server is asked whether it is there. */
type Reason = "due" | "closed"

/** What people are promised after a forward was made for a choice. */
const promised = (
  choice: LocalPortChoice,
  { localPort }: Forward
): { readonly choice: LocalPortChoice; readonly movedFrom: Option.Option<number> } => ({
  choice: choice._tag === "Pinned" ? choice : { _tag: "Preferred", port: localPort },
  movedFrom: choice._tag !== "Any" && choice.port !== localPort ? Option.some(choice.port) : Option.none()
})

/** The steps, with their services taken once. */
export const make = Effect.gen(function*() {
  const tunnels = yield* Tunnel
  const discovery = yield* Discovery
  const bootstrap = yield* Bootstrap
  const credentialStore = yield* CredentialStore
  const localPorts = yield* LocalPorts
  const http = yield* LoopbackHttp
  const host = yield* LocalHost
  const timing = yield* Timing
  const supported = yield* SupportedVersions

  /** When ssh dies, its own words say more than the request that broke with it; they may come a moment later. */
  const orDeath = <A>(tunnel: OpenTunnel, effect: Effect.Effect<A, ConnectionError>) =>
    Effect.raceFirst(
      effect.pipe(
        Effect.catchIf(isNoAnswer, (error) => Effect.andThen(Effect.sleep(timing.lastWords), Effect.fail(error)))
      ),
      tunnel.closed
    )

  const localPortChoice = Effect.fnUntraced(function*(profile: Profile): Effect.fn.Return<LocalPortChoice> {
    if (profile.localPort !== undefined) return { _tag: "Pinned", port: profile.localPort }
    const remembered = yield* localPorts.recall(profile.id)
    return Option.isSome(remembered) ? { _tag: "Preferred", port: remembered.value } : { _tag: "Any" }
  })

  const storedCredentials = Effect.fnUntraced(function*(profile: Profile) {
    const { id, username } = profile
    const stored = Option.filter(yield* credentialStore.get(id), (credentials) => credentials.isFor(profile))
    return username === undefined
      ? stored
      : Option.map(stored, ({ password }) => new Credentials({ username, password }))
  })

  /** Opens the tunnel and its forward. */
  const open = Effect.fn("Session.open")(function*(profile: Profile, report: Report) {
    const scope = yield* Scope.make()
    const since = yield* nowIso
    return yield* Effect.gen(function*() {
      const choice = yield* localPortChoice(profile)
      const stored = yield* storedCredentials(profile)
      const tunnel = yield* tunnels.open(profile.destination, {
        strategy: profile.strategy ?? "auto",
        onProgress: (progress) => report(ConnectionState.cases.Connecting.make({ ...progress, since }))
      })
      const forward = yield* tunnel.forward(profile.remotePort ?? defaultRemotePort, choice)
      const session: Session = {
        profile,
        stored,
        tunnel,
        forward: yield* Ref.make({ forward, isOpen: true }),
        local: yield* Ref.make(promised(choice, forward)),
        bell: yield* Queue.sliding<void>(1),
        hold: yield* Ref.make<Option.Option<Hold>>(Option.none()),
        scope,
        close: Scope.close(scope, Exit.void)
      }
      return session
    }).pipe(
      Scope.provide(scope),
      Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit))
    )
  })

  /**
   * Takes the listener away, so that requests are refused at once instead of
   * waiting for a server that hangs. With the plain strategy a forward is an ssh
   * of its own, and stays.
   */
  const withdraw = Effect.fn("Session.withdraw")(function*({ forward, tunnel }: Session) {
    const current = yield* Ref.get(forward)
    if (tunnel.strategy !== "master" || !current.isOpen) return
    yield* Ref.set(forward, { ...current, isOpen: false })
    yield* current.forward.cancel
  }, Effect.uninterruptible)

  /**
   * Points the session to another remote port, or to another local one.
   *
   * It can be interrupted, because with the plain strategy it logs in, and a
   * disconnect waits for no login. Whoever interrupts it ends the session, and
   * a listener that nobody knows of ends with that.
   */
  const forwardTo = Effect.fnUntraced(function*(session: Session, remotePort: number, choice: LocalPortChoice) {
    const before = yield* Ref.get(session.forward)
    // The same local port must be free before it can be had again.
    if (before.isOpen) {
      yield* Ref.set(session.forward, { ...before, isOpen: false })
      yield* before.forward.cancel
    }
    const forward = yield* session.tunnel.forward(remotePort, choice)
    yield* Ref.set(session.forward, { forward, isOpen: true })
    return forward
  })

  /** A forward to look for the server through; one that nobody knows while the promised one is withdrawn. */
  const reach = Effect.fnUntraced(function*(session: Session) {
    const { forward, isOpen } = yield* Ref.get(session.forward)
    return isOpen ? forward : yield* forwardTo(session, forward.remotePort, { _tag: "Any" })
  })

  /** The forward that people use: on the promised local port, if that can be had. */
  const keepPromise = Effect.fnUntraced(function*(session: Session) {
    const { forward } = yield* Ref.get(session.forward)
    const { choice, movedFrom } = yield* Ref.get(session.local)
    if (choice._tag === "Any" || choice.port === forward.localPort) {
      yield* Ref.set(session.local, { choice, movedFrom: Option.none() })
      return { forward, movedFrom }
    }
    const next = yield* forwardTo(session, forward.remotePort, choice)
    const local = promised(choice, next)
    yield* Ref.set(session.local, { ...local, movedFrom: Option.none() })
    return { forward: next, movedFrom: local.movedFrom }
  })

  /** One round of discovery. */
  const probe = Effect.fnUntraced(function*(session: Session, credentials: Option.Option<Credentials>) {
    return yield* discovery.find({
      forward: yield* reach(session),
      credentials: Option.getOrUndefined(credentials),
      range: session.profile.versionRange ?? supported,
      target: target(session.profile.destination, host.home)
    })
  })

  const rangeOf = ({ profile }: Session) => profile.versionRange ?? supported

  /** The registered server, if it lives. `strangerOn`: a port whose listener must not be another user's. */
  const look = (session: Session, strangerOn?: number, onStep?: EnsureOptions["onStep"]) =>
    bootstrap.ensure(session.tunnel, {
      mode: "look",
      port: strangerOn,
      lifetime: session.profile.bootstrap.lifetime,
      range: rangeOf(session),
      ...(onStep === undefined ? undefined : { onStep })
    }).pipe(Effect.scoped)

  /** The registered server, or else a new one; with lifetime `session` it lives as long as ours. */
  const ensure = Effect.fnUntraced(function*(session: Session, onStep: NonNullable<EnsureOptions["onStep"]>) {
    const { bootstrap: { lifetime, port }, remotePort } = session.profile
    const scope = yield* Scope.fork(session.scope)
    const server = yield* bootstrap.ensure(session.tunnel, {
      mode: "ensure",
      port: port ?? remotePort,
      lifetime,
      range: rangeOf(session),
      onStep
    }).pipe(
      Scope.provide(scope),
      Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit))
    )
    // The command for a server that is gone waits there for the end of the connection.
    const before = yield* Ref.getAndSet(session.hold, Option.map(server, ({ pid }) => ({ pid, scope })))
    if (Option.isSome(before)) yield* Scope.close(before.value.scope, Exit.void)
    return server
  })

  /**
   * A server that ends with the last of its sessions, when this connection is
   * not one of them yet: another connection has started it, maybe one of ours
   * that is dead and over there not yet known to be.
   */
  const isOthers = Effect.fnUntraced(function*(session: Session, { lifetime, owner, pid }: RemoteServer) {
    const held = Option.exists(yield* Ref.get(session.hold), (hold) => hold.pid === pid)
    return owner === "ours" && lifetime === "session" && !held
  })

  const bootstrapped = Effect.fn("Session.bootstrapped")(function*(
    session: Session,
    cause: DiscoveryError,
    report: Report,
    strangerOn?: number
  ) {
    const since = yield* nowIso
    const onStep = (step: BootstrappingStep) => report(ConnectionState.cases.Bootstrapping.make({ step, since }))
    yield* onStep("looking")
    // Never a second server beside one that is there, whoever started it.
    const there = cause.reason._tag === "NothingListening"
      ? yield* ensure(session, onStep)
      : yield* look(session, strangerOn, onStep)
    // Whoever asked for a password may have been a server of ours in its last moment.
    const isGone = Option.isNone(there) && isUnauthorized(cause) &&
      (yield* Effect.match(probe(session, Option.none()), { onFailure: isAbsent, onSuccess: () => false }))
    const server = isGone || (Option.isSome(there) && (yield* isOthers(session, there.value)))
      ? yield* ensure(session, onStep)
      : there
    if (Option.isNone(server)) return yield* cause
    const { forward } = yield* Ref.get(session.forward)
    if (forward.remotePort !== server.value.port) {
      yield* forwardTo(session, server.value.port, { _tag: "Preferred", port: forward.localPort })
    }
    yield* report(ConnectionState.cases.Discovering.make({ since: yield* nowIso }))
    const credentials = Option.fromUndefinedOr(server.value.credentials)
    const found: Found = { info: yield* probe(session, credentials), credentials, remote: server }
    return found
  })

  /**
   * For a server that asks for a password: that of the server which bootstrap
   * registered there; else the person's own, unless bootstrap may look there and
   * sees that the port is another user's.
   */
  const signIn = Effect.fn("Session.signIn")(function*(
    session: Session,
    cause: DiscoveryError,
    report: Report
  ): Effect.fn.Return<Found, ConnectionError> {
    const { stored } = session
    const { forward: { remotePort } } = yield* Ref.get(session.forward)
    const asStored = Option.match(stored, {
      onNone: () => Effect.fail(cause),
      onSome: () =>
        Effect.map(probe(session, stored), (info): Found => ({ info, credentials: stored, remote: Option.none() }))
    })
    if (!session.profile.bootstrap.enabled) return yield* asStored
    if (Option.isNone(stored)) return yield* bootstrapped(session, cause, report)
    return yield* bootstrapped(session, cause, report, remotePort).pipe(
      // Nothing of ours is there, or no command may run.
      Effect.catchIf(
        (error) => error === cause || (error._tag === "BootstrapError" && !isNotOurs(error)),
        () => asStored
      )
    )
  })

  /**
   * Finds the server behind the session; starts one if nothing answers and the
   * profile allows it. The first round goes without a password.
   */
  const discover = Effect.fn("Session.discover")(function*(session: Session, report: Report) {
    const finding = Effect.matchEffect(probe(session, Option.none()), {
      // Who asks for no password gets none: it may be a stranger who took the port.
      onSuccess: (info) => Effect.succeed<Found>({ info, credentials: Option.none(), remote: Option.none() }),
      onFailure: (error): Effect.Effect<Found, ConnectionError> =>
        isUnauthorized(error)
          ? signIn(session, error, report)
          : isAbsent(error) && session.profile.bootstrap.enabled
          ? bootstrapped(session, error, report)
          : Effect.fail(error)
    })
    return yield* orDeath(session.tunnel, finding)
  })

  /** What consumers are told once the server was found. */
  const publish = Effect.fn("Session.publish")(function*(session: Session, { credentials, info, remote }: Found) {
    const { forward: { localPort, remotePort }, movedFrom } = yield* keepPromise(session)
    const url = `http://127.0.0.1:${localPort}`
    const state = ConnectionState.cases.Connected.make({
      url,
      localPort,
      ...(Option.isSome(movedFrom) ? { movedFrom: movedFrom.value } : undefined),
      remotePort,
      serverVersion: info.version,
      generation: info.generation,
      secured: info.secured,
      bootstrapped: Option.isSome(remote) ? remote.value.origin : false,
      strategy: session.tunnel.strategy,
      since: yield* nowIso
    })
    const published: Published = { endpoint: { url, credentials }, state }
    return published
  })

  /**
   * Whether the server is still the one that was found, asked without a
   * password. A server of ours is known by its registration; any other that still
   * asks for a password is taken for the same.
   */
  const verify = Effect.fn("Session.verify")(function*(
    session: Session,
    found: Found
  ): Effect.fn.Return<void, ConnectionError> {
    const { forward: { remotePort } } = yield* Ref.get(session.forward)
    const another = new DiscoveryError({
      reason: new NoAnswer({ remotePort, waited: 0, detail: "the server closed its connection" })
    })
    const asksForPassword = yield* probe(session, Option.none()).pipe(
      Effect.as(false),
      Effect.catchIf(isUnauthorized, () => Effect.succeed(true))
    )
    if (asksForPassword !== found.info.secured) return yield* another
    if (Option.isNone(found.remote) || !asksForPassword) return
    const { pid } = found.remote.value
    const now = yield* look(session).pipe(Effect.orElseSucceed(Option.none))
    if (Option.isNone(now) || now.value.pid !== pid) return yield* another
  })

  /**
   * Whether sshd still answers. It says no to a connection to a port where nobody listens, even where commands and
   * other forwards are forbidden. With the plain strategy that would be a login: there the link is given the benefit
   * of the doubt, until ssh's own keep-alive.
   */
  const linkAnswers = Effect.fnUntraced(function*({ tunnel }: Session) {
    if (tunnel.strategy !== "master") return true
    // As in `forwardTo`: whoever interrupts this ends the session.
    const { cancel, localPort } = yield* tunnel.forward(nobodysPort, { _tag: "Any" })
    const answer = yield* Effect.timeoutOption(Effect.exit(http.get({ port: localPort, path: "/" })), timing.control)
    yield* cancel
    return Option.isSome(answer)
  }, Effect.orElseSucceed(() => false))

  /**
   * Fails when the server or the tunnel is gone.
   *
   * One thing at a time: a small request without a password, whose connection
   * then stays idle. Its end (a dying server's FIN), the bell or the clock is the
   * reason for the next one. The end only raises the question; a server that
   * still lives is kept.
   */
  const watch = Effect.fn("Session.watch")(function*(session: Session, found: Found): Effect.fn.Return<
    never,
    ConnectionError
  > {
    const { bell, profile, tunnel } = session
    const { forward: { localPort, remotePort } } = yield* Ref.get(session.forward)

    /** The end of the idle connection that an answer leaves; `None`: no answer in time. */
    const ask = http.hold({ port: localPort, path: found.info.path }).pipe(
      Effect.map((held) => held.closed),
      Effect.timeoutOption(timing.healthTimeout),
      Effect.catchTag("LoopbackHttpError", () => Effect.as(verify(session, found), Option.some(Effect.never)))
    )

    /** One missed probe is a slow server. When two are, sshd is asked as well: a link that is dead looks the same. */
    const askTwice = Effect.fnUntraced(function*(): Effect.fn.Return<
      Effect.Effect<void>,
      ConnectionError,
      Scope.Scope
    > {
      const first = yield* ask
      if (Option.isSome(first)) return first.value
      const [asked, isLinkAlive] = yield* Effect.all([Effect.exit(ask), linkAnswers(session)], { concurrency: 2 })
      const second = yield* asked
      if (Option.isSome(second)) return second.value
      return yield* isLinkAlive
        ? new DiscoveryError({
          reason: new NoAnswer({
            remotePort,
            waited: Duration.toMillis(timing.healthTimeout),
            detail: "it accepts connections and does not answer"
          })
        })
        : new TransportError({
          reason: new ConnectionLost({
            target: target(profile.destination, host.home),
            detail: "nothing came through it any more"
          })
        })
    })

    const round = Effect.fnUntraced(function*(reason: Reason): Effect.fn.Return<Reason, ConnectionError, Scope.Scope> {
      if (reason === "closed") yield* verify(session, found)
      const closed = yield* askTwice()
      // Whoever rang while the answer was on its way has it.
      yield* Queue.clear(bell)
      const ended = yield* Effect.forkScoped(closed)
      const next = yield* Effect.raceAllFirst([
        Effect.as(Effect.timeoutOption(Queue.take(bell), timing.healthInterval), "due" as const),
        // A server that keeps no idle connections is not asked more often than others.
        reason === "closed" ? Effect.never : Effect.as(Fiber.join(ended), "closed" as const)
      ])
      return ended.pollUnsafe() === undefined ? next : "closed"
    }, Effect.scoped)

    const rounds = (reason: Reason): Effect.Effect<never, ConnectionError> => Effect.flatMap(round(reason), rounds)
    return yield* orDeath(tunnel, rounds("due"))
  })

  return { open, discover, publish, watch, withdraw }
})
