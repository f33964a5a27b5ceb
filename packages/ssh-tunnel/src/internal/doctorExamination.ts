/** The examination itself: asks for the facts, and tells the steps as they are decided. */
import { Deferred, Effect, Fiber, Option, Ref, Result, type Scope } from "effect"
import type { ConnectionError } from "../ConnectionError.ts"
import type { Credentials } from "../Credentials.ts"
import { Discovery } from "../Discovery.ts"
import type { StepId } from "../DoctorStep.ts"
import { LocalHost } from "../LocalHost.ts"
import { OpenSsh } from "../OpenSsh.ts"
import { defaultRemotePort, type Profile } from "../Profile.ts"
import type { RemoteServer } from "../RemoteServer.ts"
import { Timing } from "../Schedules.ts"
import type { ServerInfo } from "../ServerInfo.ts"
import { SshConfig } from "../SshConfig.ts"
import { SupportedVersions } from "../SupportedVersions.ts"
import { LocalPortInUse, TransportError } from "../TransportError.ts"
import { type Forward, type OpenTunnel, Tunnel } from "../Tunnel.ts"
import { target } from "./argv.ts"
import * as DoctorChain from "./doctorChain.ts"
import * as DoctorRemote from "./doctorRemote.ts"
import * as DoctorVerdict from "./doctorVerdict.ts"
import { isBefore, type Walk } from "./doctorWalk.ts"
import { remoteServer } from "./remoteAnswer.ts"
import * as SshLog from "./sshLog.ts"

/** What a round of probes came to. */
type Probed = Result.Result<ServerInfo, ConnectionError>

const lines = (...texts: ReadonlyArray<string>): string => texts.filter((text) => text !== "").join("\n")

const isReason = (probed: Probed, ...tags: ReadonlyArray<string>): boolean =>
  Result.isFailure(probed) && tags.includes(probed.failure.reason._tag)

/** Makes the examination, with its services taken once. It never fails; what it opens lives as long as the scope. */
export const make = Effect.gen(function*() {
  const ssh = yield* OpenSsh
  const sshConfig = yield* SshConfig
  const tunnels = yield* Tunnel
  const discovery = yield* Discovery
  const host = yield* LocalHost
  const timing = yield* Timing
  const supported = yield* SupportedVersions

  /** The steps of this machine; `false` when the way ends here. */
  const local = Effect.fnUntraced(function*(walk: Walk, { destination }: Profile) {
    const version = yield* Effect.result(ssh.version)
    if (Result.isFailure(version)) {
      yield* walk.tell("ssh", { status: "failed", error: version.failure })
      return false
    }
    yield* walk.tell("ssh", { status: "ok", detail: version.success.text })
    const effective = yield* Effect.result(sshConfig.effective(destination))
    if (Result.isFailure(effective)) {
      yield* walk.tell("config", { status: "failed", error: effective.failure })
      return false
    }
    yield* walk.tell("config", { status: "ok", detail: DoctorVerdict.configDetail(destination) })
    yield* walk.tell("parameters", DoctorVerdict.parametersFinding(effective.success))
    return true
  })

  /** Opens the connection and tells what ssh's log says on the way; `None` when it cannot be made. */
  const connect = Effect.fnUntraced(function*(walk: Walk, profile: Profile) {
    const log = yield* Ref.make(SshLog.empty)
    const tellDone = Effect.fnUntraced(function*(upTo: (step: DoctorChain.ChainStep) => boolean) {
      const now = yield* Ref.get(log)
      for (const step of DoctorChain.chainSteps) {
        if (!upTo(step)) return
        const unseen = DoctorChain.isProxied(now) && step === "name"
        yield* walk.tell(step, { status: unseen ? "skipped" : "ok", detail: DoctorChain.detailOf(now, step) })
      }
    })
    const onLog = (now: SshLog.SshLog) =>
      Effect.andThen(Ref.set(log, now), tellDone((step) => DoctorChain.isDone(now, step)))

    const failed = Effect.fnUntraced(function*(error: ConnectionError) {
      const step = DoctorChain.stepOf(error, yield* Ref.get(log))
      // What came before it was fine, at least with the machine that it is about.
      yield* tellDone((done) => isBefore(done, step))
      const next = (yield* walk.next) ?? "secured"
      yield* walk.tell(isBefore(step, next) ? next : step, { status: "failed", error })
    })

    const tunnel = yield* Effect.result(
      tunnels.open(profile.destination, { strategy: profile.strategy ?? "auto", onLog })
    )
    if (Result.isFailure(tunnel)) {
      yield* failed(tunnel.failure)
      return Option.none()
    }
    const remotePort = profile.remotePort ?? defaultRemotePort
    const pinned = profile.localPort
    const taken = pinned !== undefined && !(yield* host.isPortFree(pinned))
    const forward = yield* Effect.result(
      tunnel.success.forward(
        remotePort,
        pinned === undefined || taken ? { _tag: "Any" } : { _tag: "Pinned", port: pinned }
      )
    )
    // The plain strategy logs in only now; then its failure may be about any step.
    const beforeLogin = Result.isFailure(forward) && tunnel.success.strategy === "plain" &&
      !DoctorChain.isDone(yield* Ref.get(log), "authentication")
    if (Result.isFailure(forward) && beforeLogin) {
      yield* failed(forward.failure)
      return Option.none()
    }
    yield* tellDone(() => true)
    const warning = taken ? new TransportError({ reason: new LocalPortInUse({ port: pinned }) }) : undefined
    return Option.some({ tunnel: tunnel.success, forward, remotePort, warning })
  })

  const probe = Effect.fnUntraced(function*(
    profile: Profile,
    forward: Forward,
    credentials: Credentials | undefined
  ): Effect.fn.Return<Probed> {
    const probed: Probed = yield* Effect.result(discovery.find({
      forward,
      credentials,
      range: profile.versionRange ?? supported,
      target: target(profile.destination, host.home)
    }))
    // When ssh has died, its own words say more; they come a moment later.
    if (isReason(probed, "NoAnswer")) yield* Effect.sleep(timing.lastWords)
    return probed
  })

  /** The steps over there. */
  const remote = Effect.fnUntraced(function*(
    walk: Walk,
    profile: Profile,
    credentials: Credentials | undefined,
    connected: {
      readonly tunnel: OpenTunnel
      readonly forward: Result.Result<Forward, ConnectionError>
      readonly remotePort: number
      readonly warning: TransportError | undefined
    }
  ): Effect.fn.Return<void, never, Scope.Scope> {
    const { forward, remotePort, tunnel, warning } = connected
    const { bootstrap } = profile
    const range = profile.versionRange ?? supported
    const startPort = bootstrap.port ?? profile.remotePort
    const first = yield* Deferred.make<Probed>()
    yield* Effect.forkScoped(
      Result.isFailure(forward)
        ? Deferred.succeed(first, Result.fail(forward.failure))
        : Effect.flatMap(probe(profile, forward.success, credentials), (probed) => Deferred.succeed(first, probed))
    )
    const facts = yield* DoctorRemote.examine(tunnel, host, timing, {
      port: startPort ?? defaultRemotePort,
      secret: bootstrap.enabled
    })
    const known = {
      account: yield* Effect.forkScoped(Effect.result(facts.account)),
      registered: yield* Effect.forkScoped(Effect.result(facts.registered)),
      listener: yield* Effect.forkScoped(Effect.result(facts.listener)),
      candidates: yield* Effect.forkScoped(Effect.result(facts.candidates))
    }

    // sshd answers in order: what it says to the command comes after a refusal of the forward.
    const objection = yield* Effect.raceFirst(
      Effect.asSome(Deferred.await(first)),
      Fiber.join(known.account).pipe(Effect.andThen(Effect.sleep(timing.lastWords)), Effect.as(Option.none<Probed>()))
    )
    const denied = Option.filter(
      objection,
      (probed) => Result.isFailure(forward) || isReason(probed, "ForwardingDenied")
    )
    const isReachable = Option.isNone(denied)
    yield* walk.tell(
      "forwarding",
      Option.isSome(denied) && Result.isFailure(denied.value)
        ? { status: "failed", error: denied.value.failure }
        : {
          status: warning === undefined ? "ok" : "warning",
          detail: `to port ${remotePort} of the remote machine`,
          error: warning
        }
    )

    // Whether a connection would have to start a server.
    const registered = yield* Effect.cached(Effect.map(
      Fiber.join(known.registered),
      (found): RemoteServer | undefined =>
        Result.isSuccess(found) && found.success.server !== null ? remoteServer(found.success.server) : undefined
    ))
    const startNeeded = yield* Effect.cached(Effect.gen(function*() {
      if (!bootstrap.enabled || !isReachable) return false
      return isReason(yield* Deferred.await(first), "NothingListening") && (yield* registered) === undefined
    }))
    const tellProblem = Effect.fnUntraced(function*(id: StepId, error: ConnectionError) {
      yield* walk.tell(id, { status: (yield* startNeeded) ? "failed" : "warning", error })
    })

    const account = yield* Fiber.join(known.account)
    if (Result.isFailure(account)) yield* tellProblem("shell", account.failure)
    else {
      const fine = DoctorVerdict.shellFinding(account.success, false)
      yield* walk.tell(
        "shell",
        fine.error === undefined ? fine : DoctorVerdict.shellFinding(account.success, yield* startNeeded)
      )
    }

    const candidates = yield* Fiber.join(known.candidates)
    if (Result.isSuccess(candidates)) {
      const fine = DoctorVerdict.opencodeFinding(candidates.success, false)
      yield* walk.tell(
        "opencode",
        fine.error === undefined ? fine : DoctorVerdict.opencodeFinding(candidates.success, yield* startNeeded)
      )
    } else if (Result.isFailure(account)) {
      yield* walk.tell("opencode", { status: "skipped", detail: "no command can be run there" })
    } else yield* tellProblem("opencode", candidates.failure)

    if (!isReachable) return yield* walk.skipRest("it cannot be reached")
    const before = yield* Deferred.await(first)
    const server = yield* registered
    const facing = yield* Fiber.join(known.registered)
    const notes = (used: boolean) => Result.isSuccess(facing) ? DoctorVerdict.registeredNotes(facing.success, used) : ""

    if (yield* startNeeded) {
      const chosen = Result.isSuccess(candidates) ? DoctorVerdict.chosenOf(candidates.success) : undefined
      if (chosen === undefined || chosen.problem !== "") {
        return yield* walk.skipRest("none runs, and none can be started")
      }
      const listener = yield* Fiber.join(known.listener)
      const busy = Result.isSuccess(listener) ? DoctorVerdict.portFinding(startPort, listener.success) : undefined
      if (busy !== undefined) {
        yield* walk.tell("server", { status: "failed", detail: notes(false), error: busy })
        return yield* walk.skipRest()
      }
      const detail = lines(DoctorVerdict.startDetail(chosen, startPort), notes(false))
      yield* walk.tell("server", { status: "skipped", detail })
      yield* walk.tell("version", DoctorVerdict.versionFinding(chosen.version, range, ", and would be started"))
      return yield* walk.tell("secured", { status: "skipped", detail: "one that is started gets a random password" })
    }

    // As a connection does: a server of ours may be elsewhere, and have a password that only its registration knows.
    const isElsewhere = bootstrap.enabled && server !== undefined &&
      isReason(before, "NothingListening", "NoAnswer", "Unauthorized")
    const { port, probed } = isElsewhere
      ? yield* second(profile, tunnel, forward, server)
      : { port: remotePort, probed: before }
    yield* tellServer(walk, probed, { port, range, server, notes: notes(port === server?.port) })
  })

  /** Asks the registered server, on its own port and with its own password. */
  const second = Effect.fnUntraced(function*(
    profile: Profile,
    tunnel: OpenTunnel,
    forward: Result.Result<Forward, ConnectionError>,
    server: RemoteServer
  ) {
    const own = Result.isSuccess(forward) && forward.success.remotePort === server.port
      ? forward
      : yield* Effect.result(tunnel.forward(server.port, { _tag: "Any" }))
    const probed: Probed = Result.isFailure(own)
      ? Result.fail(own.failure)
      : yield* probe(profile, own.success, server.credentials)
    return { port: server.port, probed }
  })

  const tellServer = Effect.fnUntraced(function*(walk: Walk, probed: Probed, told: {
    readonly port: number
    readonly range: string
    readonly server: RemoteServer | undefined
    readonly notes: string
  }) {
    const { notes, port, range, server } = told
    const answered = (version: string, info?: ServerInfo) =>
      walk.tell("server", {
        status: "ok",
        detail: lines(DoctorVerdict.answeredDetail(version, info, port, server), notes)
      })
    if (Result.isSuccess(probed)) {
      yield* answered(probed.success.version, probed.success)
      yield* walk.tell("version", DoctorVerdict.versionFinding(probed.success.version, range))
      return yield* walk.tell("secured", DoctorVerdict.securedFinding(probed.success.secured))
    }
    const error = probed.failure
    if (error._tag === "CompatibilityError") {
      yield* answered(error.reason.found)
      yield* walk.tell("version", { status: "failed", error })
      return yield* walk.skipRest()
    }
    const isLocked = isReason(probed, "Unauthorized")
    const password = isLocked ? DoctorVerdict.passwordNote(port, server) : ""
    yield* walk.tell("server", { status: "failed", detail: lines(notes, password), error })
    if (isLocked) {
      yield* walk.tell("version", { status: "skipped" })
      return yield* walk.tell("secured", DoctorVerdict.securedFinding(true))
    }
    return yield* walk.skipRest()
  })

  return Effect.fn("Doctor.examine")(function*(walk: Walk, profile: Profile, credentials?: Credentials) {
    if (yield* local(walk, profile)) {
      const connected = yield* connect(walk, profile)
      if (Option.isSome(connected)) {
        yield* Effect.raceFirst(remote(walk, profile, credentials, connected.value), connected.value.tunnel.closed)
          .pipe(
            // The connection is lost: whatever was being looked at, this is why it could not be told.
            Effect.catch((error) =>
              Effect.flatMap(
                walk.next,
                (id) => id === undefined ? Effect.void : walk.tell(id, { status: "failed", error })
              )
            )
          )
      }
    }
    yield* walk.skipRest()
  })
})
