/** Finds the OpenCode server behind a forward and judges its version. */
import { Clock, Context, Deferred, Effect, Fiber, Layer, Option, type Redacted, Ref, Stream } from "effect"
import { CompatibilityError } from "./CompatibilityError.ts"
import type { Credentials } from "./Credentials.ts"
import { DiscoveryError, NothingListening } from "./DiscoveryError.ts"
import { Recording } from "./FlightRecorder.ts"
import {
  type Answer,
  type Candidate,
  candidates,
  conclude,
  judge,
  judgeFailure,
  mayBeRejected,
  Verdict
} from "./internal/healthAnswer.ts"
import { describeVerdict } from "./internal/reportProbe.ts"
import { judgeVersion } from "./internal/versionRange.ts"
import { LoopbackHttp } from "./LoopbackHttp.ts"
import type { SshTarget } from "./Remedy.ts"
import { Timing } from "./Schedules.ts"
import { ServerInfo } from "./ServerInfo.ts"
import { ForwardingDenied, TransportError } from "./TransportError.ts"
import type { Forward } from "./Tunnel.ts"

/** What one round of probes needs. */
export interface FindOptions {
  readonly forward: Forward
  /** Sent with the probes when given. */
  readonly credentials?: Credentials | undefined
  /** Supported versions, npm's range syntax. One that cannot be read admits no version. */
  readonly range: string
  /** Named by `ForwardingDenied`. */
  readonly target: SshTarget
}

interface Found {
  readonly candidate: Candidate
  readonly answer: Extract<Verdict, { readonly _tag: "Valid" }>
}

/**
 * See the module. One round: all candidates at once, the first valid answer
 * wins, one budget (`Timing.discovery`) for all.
 *
 * **Details**
 *
 * With credentials the likely endpoints get a twin request without them in the
 * same round: `secured` then costs no further round trip. Each request through
 * a forward is an ssh channel, so the unlikely ones are asked only when they
 * have won, which takes one more round trip.
 *
 * **Gotchas**
 *
 * `secured` is `false` when the twin was answered as well, and also when it was
 * still unanswered `Timing.securedGrace` after the valid answer: a missing
 * proof warns rather than reassures.
 */
export class Discovery extends Context.Service<Discovery, {
  readonly find: (
    options: FindOptions
  ) => Effect.Effect<ServerInfo, DiscoveryError | CompatibilityError | TransportError>
}>()("@opencode-ai/ssh-tunnel/Discovery") {
  static readonly layerMock = (service: Partial<Discovery["Service"]>): Layer.Layer<Discovery> =>
    Layer.mock(Discovery, service)

  /** Discovery by {@link LoopbackHttp}, which `@opencode-ai/ssh-tunnel/node` implements. */
  static readonly layerNoDeps: Layer.Layer<Discovery, never, LoopbackHttp> = Layer.effect(
    Discovery,
    Effect.gen(function*() {
      const http = yield* LoopbackHttp
      const timing = yield* Timing

      const probe = (port: number, candidate: Candidate, authorization?: Redacted.Redacted<string>) =>
        http.get({ port, path: candidate.path, ...(authorization === undefined ? undefined : { authorization }) }).pipe(
          Effect.match({ onFailure: judgeFailure, onSuccess: (response) => judge(candidate, response) })
        )

      const find = Effect.fn("Discovery.find")(function*({ credentials, forward, range, target }: FindOptions) {
        const { localPort, rejections, remotePort } = forward
        const authorization = credentials?.authorization
        const began = yield* Clock.monotonicTimeNanos
        const answers = yield* Ref.make<ReadonlyArray<Answer>>([])
        const outcome = yield* Deferred.make<Found, DiscoveryError | TransportError>()
        const recording = yield* Recording
        const record = (path: string, verdict: Verdict) =>
          recording.probe({ remotePort, path, answer: describeVerdict(verdict) })

        const giveUp = Effect.gen(function*() {
          const heard = yield* Ref.get(answers)
          const silent = candidates.filter(({ path }) => heard.every((answer) => answer.path !== path))
          const all = [...heard, ...silent.map(({ path }) => ({ path, verdict: Verdict.Silent() }))]
          const waited = Math.round(Number((yield* Clock.monotonicTimeNanos) - began) / 1e6)
          const speaksTls = mayBeRejected(all) && (yield* http.speaksTls(localPort).pipe(
            Effect.timeoutOrElse({ duration: timing.tls, orElse: () => Effect.succeed(false) })
          ))
          yield* Effect.forEach(silent, ({ path }) => record(path, Verdict.Silent()))
          return yield* new DiscoveryError({
            reason: conclude(all, { remotePort, authorized: authorization !== undefined, waited, speaksTls })
          })
        })

        const ask = Effect.fnUntraced(function*(candidate: Candidate) {
          const verdict = yield* probe(localPort, candidate, authorization)
          yield* record(candidate.path, verdict)
          if (verdict._tag === "Valid") return yield* Deferred.succeed(outcome, { candidate, answer: verdict })
          const all = yield* Ref.updateAndGet(answers, (answers) => [...answers, { path: candidate.path, verdict }])
          if (all.length < candidates.length) return false
          if (mayBeRejected(all)) yield* Effect.sleep(timing.rejectionGrace)
          return yield* Deferred.complete(outcome, giveUp)
        })

        // Listening comes first: sshd's word about a request may be there before that request has failed.
        yield* Stream.runHead(rejections).pipe(
          Effect.map(Option.map((rejection) =>
            rejection === "prohibited"
              ? new TransportError({ reason: new ForwardingDenied({ target, remotePort }) })
              : new DiscoveryError({ reason: new NothingListening({ remotePort }) })
          )),
          Effect.flatMap(Option.match({
            onNone: () => Effect.succeed(false),
            onSome: (error) => Deferred.fail(outcome, error)
          })),
          Effect.forkScoped({ startImmediately: true })
        )
        const requests = yield* Effect.forEach(
          candidates,
          Effect.fnUntraced(function*(candidate) {
            const asked = yield* Effect.forkScoped(ask(candidate), { startImmediately: true })
            const twin = authorization === undefined || !candidate.likely
              ? undefined
              : yield* Effect.forkScoped(probe(localPort, candidate), { startImmediately: true })
            return { candidate, asked, twin }
          })
        )
        const { answer, candidate } = yield* Deferred.await(outcome).pipe(
          Effect.timeoutOrElse({ duration: timing.discovery, orElse: () => giveUp })
        )
        yield* Fiber.interruptAll(requests.map(({ asked }) => asked))
        const reason = judgeVersion(answer.version, range)
        if (reason !== undefined) return yield* new CompatibilityError({ reason })

        const twin = requests.find((request) => request.candidate === candidate)?.twin
        const unauthenticated = twin === undefined ? probe(localPort, candidate) : Fiber.join(twin)
        const secured = authorization === undefined ? false : yield* unauthenticated.pipe(
          Effect.map((verdict) => verdict._tag !== "Valid"),
          Effect.timeoutOrElse({ duration: timing.securedGrace, orElse: () => Effect.succeed(false) })
        )
        return new ServerInfo({
          generation: answer.generation,
          version: answer.version,
          path: candidate.path,
          ...(answer.pid === undefined ? undefined : { pid: answer.pid }),
          secured
        })
      }, Effect.scoped)

      return Discovery.of({ find })
    })
  )
}
