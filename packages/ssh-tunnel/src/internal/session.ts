/**
 * One connection of one profile, step by step: a tunnel with a forward, the
 * server behind it, and the watch over both. It knows nothing of retries and
 * of other profiles.
 */
import { DateTime, Duration, Effect, Exit, Option, Ref, Scope } from "effect"
import { Bootstrap } from "../Bootstrap.ts"
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
import { type Forward, type LocalPortChoice, type OpenTunnel, Tunnel } from "../Tunnel.ts"
import { target } from "./argv.ts"

/** A tunnel and its forward. It survives the death of the server behind it; `close` ends it. */
export interface Session {
  readonly profile: Profile
  readonly tunnel: OpenTunnel
  /** The forward in use; bootstrap may replace it by one to another remote port. */
  readonly forward: Ref.Ref<Forward>
  readonly scope: Scope.Closeable
  readonly close: Effect.Effect<void>
}

/** A server that answered through the session. */
export interface Found {
  readonly info: ServerInfo
  readonly credentials: Option.Option<Credentials>
  readonly bootstrapped: Connected["bootstrapped"]
}

/** Where the steps are reported to. */
export type Report = (state: ConnectionState) => Effect.Effect<void>

/** The present as ISO 8601 text. */
export const nowIso = Effect.map(DateTime.now, DateTime.formatIso)

const isNoAnswer = (error: ConnectionError): error is DiscoveryError =>
  error._tag === "DiscoveryError" && error.reason._tag === "NoAnswer"

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

  /** Opens the tunnel and its forward. */
  const open = Effect.fn("Session.open")(function*(profile: Profile, report: Report) {
    const scope = yield* Scope.make()
    const since = yield* nowIso
    return yield* Effect.gen(function*() {
      yield* report(ConnectionState.cases.Connecting.make({ step: "starting", since }))
      const choice = yield* localPortChoice(profile)
      const tunnel = yield* tunnels.open(profile.destination, {
        strategy: profile.strategy ?? "auto",
        onProgress: (progress) => report(ConnectionState.cases.Connecting.make({ ...progress, since }))
      })
      const forward = yield* tunnel.forward(profile.remotePort ?? defaultRemotePort, choice)
      const session: Session = {
        profile,
        tunnel,
        forward: yield* Ref.make(forward),
        scope,
        close: Scope.close(scope, Exit.void)
      }
      return session
    }).pipe(
      Scope.provide(scope),
      Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit))
    )
  })

  const probe = Effect.fnUntraced(function*(session: Session, credentials: Option.Option<Credentials>) {
    return yield* discovery.find({
      forward: yield* Ref.get(session.forward),
      credentials: Option.getOrUndefined(credentials),
      range: session.profile.versionRange ?? supported,
      target: target(session.profile.destination, host.home)
    })
  })

  const storedCredentials = Effect.fnUntraced(function*({ id, username }: Profile) {
    const stored = yield* credentialStore.get(id)
    return username === undefined
      ? stored
      : Option.map(stored, ({ password }) => new Credentials({ username, password }))
  })

  /** Points the session to the port where the server really is; nobody knows the local port yet, but it is kept. */
  const forwardTo = Effect.fnUntraced(function*({ forward, tunnel }: Session, remotePort: number) {
    const current = yield* Ref.get(forward)
    if (current.remotePort === remotePort) return
    yield* current.cancel
    yield* Ref.set(forward, yield* tunnel.forward(remotePort, { _tag: "Preferred", port: current.localPort }))
  })

  const bootstrapped = Effect.fn("Session.bootstrapped")(function*(
    session: Session,
    cause: DiscoveryError,
    report: Report
  ) {
    const { bootstrap: settings, remotePort, versionRange } = session.profile
    const since = yield* nowIso
    const onStep = (step: BootstrappingStep) => report(ConnectionState.cases.Bootstrapping.make({ step, since }))
    yield* onStep("looking")
    const server = yield* bootstrap.ensure(session.tunnel, {
      // Never a second server beside one that is there, whoever started it.
      mode: cause.reason._tag === "NothingListening" ? "ensure" : "look",
      port: settings.port ?? remotePort,
      lifetime: settings.lifetime,
      range: versionRange ?? supported,
      onStep
    }).pipe(Scope.provide(session.scope))
    if (Option.isNone(server)) return yield* cause
    yield* forwardTo(session, server.value.port)
    yield* report(ConnectionState.cases.Discovering.make({ since: yield* nowIso }))
    const credentials = Option.fromUndefinedOr(server.value.credentials)
    const found: Found = {
      info: yield* probe(session, credentials),
      credentials,
      bootstrapped: server.value.origin
    }
    return found
  })

  /** Finds the server behind the session; starts one if nothing answers and the profile allows it. */
  const discover = Effect.fn("Session.discover")(function*(session: Session, report: Report) {
    yield* report(ConnectionState.cases.Discovering.make({ since: yield* nowIso }))
    const credentials = yield* storedCredentials(session.profile)
    const bootstrapHelps = (error: ConnectionError): error is DiscoveryError =>
      session.profile.bootstrap.enabled && error._tag === "DiscoveryError" &&
      ["NothingListening", "NoAnswer", "Unauthorized"].includes(error.reason._tag)
    return yield* orDeath(
      session.tunnel,
      probe(session, credentials).pipe(
        Effect.map((info): Found => ({ info, credentials, bootstrapped: false })),
        Effect.catchIf(bootstrapHelps, (error) => bootstrapped(session, error, report))
      )
    )
  })

  /** What a consumer is told once the server was found. The local port is remembered from here on. */
  const publish = Effect.fn("Session.publish")(function*(session: Session, found: Found) {
    const { localPort, remotePort } = yield* Ref.get(session.forward)
    yield* localPorts.remember(session.profile.id, localPort)
    const url = `http://127.0.0.1:${localPort}`
    const endpoint: ServerEndpoint = { url, credentials: found.credentials }
    const state = ConnectionState.cases.Connected.make({
      url,
      localPort,
      remotePort,
      serverVersion: found.info.version,
      generation: found.info.generation,
      secured: found.info.secured,
      bootstrapped: found.bootstrapped,
      strategy: session.tunnel.strategy,
      since: yield* nowIso
    })
    return { endpoint, state }
  })

  /**
   * Whether the server is still the one that was found. A password that we
   * made is not sent to whoever holds the port now: losing the server makes
   * the next attempt ask its registration, where pid and start time are seen.
   */
  const stillThere = Effect.fnUntraced(function*(session: Session, found: Found) {
    if (found.bootstrapped === false) return yield* probe(session, found.credentials)
    const { remotePort } = yield* Ref.get(session.forward)
    const unsure = new DiscoveryError({
      reason: new NoAnswer({ remotePort, waited: 0, detail: "the server closed its connection" })
    })
    const error = yield* Effect.flip(probe(session, Option.none())).pipe(Effect.orElseSucceed(() => unsure))
    return yield* error.retryable ? error : unsure
  })

  /**
   * Fails when the server or the tunnel is gone. A closed idle connection
   * only raises the question: a probe answers it, and a server that still
   * lives is kept. `nudged` completes when somebody wants to know at once.
   */
  const watch = Effect.fn("Session.watch")(function*(
    session: Session,
    found: Found,
    nudged: Effect.Effect<void>
  ): Effect.fn.Return<never, ConnectionError> {
    const { localPort, remotePort } = yield* Ref.get(session.forward)
    const request = {
      port: localPort,
      path: found.info.path,
      ...(Option.isSome(found.credentials) ? { authorization: found.credentials.value.authorization } : undefined)
    }
    const silent = (detail: string) =>
      new DiscoveryError({
        reason: new NoAnswer({ remotePort, waited: Duration.toMillis(timing.healthTimeout), detail })
      })
    const serverLeaves = Effect.scoped(
      http.hold(request).pipe(
        Effect.flatMap(({ closed }) => closed),
        Effect.ignore,
        Effect.andThen(stillThere(session, found))
      )
    ).pipe(Effect.forever)
    const serverHangs = Effect.timeoutOption(nudged, timing.healthInterval).pipe(
      Effect.andThen(
        http.get(request).pipe(
          Effect.mapError((error) => silent(error.detail)),
          Effect.timeoutOrElse({
            duration: timing.healthTimeout,
            orElse: () => Effect.fail(silent("it accepts connections and does not answer"))
          }),
          // One missed probe is a slow server, two in a row are a hung one.
          Effect.retry({ times: 1 })
        )
      ),
      Effect.forever
    )
    return yield* orDeath(session.tunnel, Effect.raceFirst(serverLeaves, serverHangs))
  })

  return { open, discover, publish, watch }
})
