/** Finds or starts an OpenCode server on the remote machine with one remote command. */
import {
  type Cause,
  Context,
  Deferred,
  Duration,
  Effect,
  Layer,
  Option,
  Queue,
  Redacted,
  Ref,
  Schema,
  type Scope,
  Stream
} from "effect"
import * as Base64Url from "effect/encoding/Base64Url"
import { BootstrapError, InvalidOutput, NotOurs, StartTimedOut } from "./BootstrapError.ts"
import type { CompatibilityError } from "./CompatibilityError.ts"
import { ConfigurationError } from "./ConfigurationError.ts"
import { BootstrappingStep } from "./ConnectionState.ts"
import { defaultUsername } from "./Credentials.ts"
import { Recording } from "./FlightRecorder.ts"
import * as RemoteAnswer from "./internal/remoteAnswer.ts"
import * as RemoteRun from "./internal/remoteRun.ts"
import { versionIntervals } from "./internal/versionIntervals.ts"
import { parseRange, type VersionRange } from "./internal/versionRange.ts"
import { LocalHost } from "./LocalHost.ts"
import type { Lifetime } from "./Profile.ts"
import { RemoteServer } from "./RemoteServer.ts"
import { Timing } from "./Schedules.ts"
import type { OpenTunnel } from "./Tunnel.ts"

export { RemoteServer } from "./RemoteServer.ts"

/** Options of {@link Bootstrap}`.ensure`. */
export interface EnsureOptions {
  /** `ensure` starts a server when none is registered; `look` only reads registrations. */
  readonly mode: "ensure" | "look"
  /**
   * With `ensure`, where a new server must listen; absent: OpenCode's own choice. With `look`, a port whose listener
   * must not be another user's (`NotOurs`), for who would send it a password; root's may be.
   */
  readonly port?: number | undefined
  readonly lifetime: Lifetime
  /** Supported versions: the remote binary is checked before it is started. */
  readonly range: string
  readonly onStep?: (step: BootstrappingStep) => Effect.Effect<void>
}

type Failure = RemoteRun.Failure | CompatibilityError
type Action = RemoteRun.Action

const isStep = Schema.is(BootstrappingStep)
const decodeAnswer = Schema.decodeUnknownOption(RemoteAnswer.Answer)
const decodeFound = Schema.decodeUnknownOption(RemoteAnswer.Found)

/** How many lines of the log are shown at first. */
const logLines = 200

/** How many of its lines wait for the consumer. */
const logBuffer = 64

const fail = (reason: BootstrapError["reason"]) => Effect.fail(new BootstrapError({ reason }))

const refusal = (error: RemoteAnswer.Refusal, range?: VersionRange) =>
  Effect.fail(
    RemoteAnswer.failureOf(error, range) ??
      new BootstrapError({ reason: new InvalidOutput({ output: `it answered ${error._tag}` }) })
  )

/**
 * See the module.
 *
 * **Details**
 *
 * The remote command is `exec sh -s`, so it works from any login shell; the
 * script (`remote/opencode-ssh.sh`) comes on stdin, with a random password for
 * a new server. Its own lines carry a random word, so that nothing that
 * start-up files print can be taken for them.
 *
 * **Gotchas**
 *
 * With lifetime `session` the scope of `ensure` holds the remote command open;
 * closing it ends the server.
 */
export class Bootstrap extends Context.Service<Bootstrap, {
  /** `None` only with mode `look`: nothing registered is alive. */
  readonly ensure: (
    tunnel: OpenTunnel,
    options: EnsureOptions
  ) => Effect.Effect<Option.Option<RemoteServer>, Failure, Scope.Scope>
  /** The server that bootstrap registered there, if it lives. */
  readonly status: (tunnel: OpenTunnel) => Effect.Effect<Option.Option<RemoteServer>, Failure>
  /** Ends the server that bootstrap registered there; `NotOurs` when there is none. */
  readonly stop: (tunnel: OpenTunnel) => Effect.Effect<RemoteServer, Failure>
  /** The log of that server: its last lines, then with `follow` what comes, until the consumer stops. */
  readonly log: (tunnel: OpenTunnel, options?: { readonly follow?: boolean }) => Stream.Stream<string, Failure>
}>()("@opencode-ai/ssh-tunnel/Bootstrap") {
  /** Answers what the test says; members that are not given die when they are used. */
  static readonly layerMock = (service: Partial<Bootstrap["Service"]>): Layer.Layer<Bootstrap> =>
    Layer.mock(Bootstrap, service)

  /** A remote machine in memory: `server` is what `ensure` starts there, `log` its log. */
  static readonly layerMemory = (
    server: RemoteServer,
    log: ReadonlyArray<string> = []
  ): Layer.Layer<Bootstrap> =>
    Layer.effect(
      Bootstrap,
      Effect.gen(function*() {
        const running = yield* Ref.make(Option.none<RemoteServer>())
        return Bootstrap.of({
          ensure: (_, { mode, onStep = () => Effect.void }) =>
            Effect.gen(function*() {
              yield* onStep("looking")
              const found = yield* Ref.get(running)
              if (Option.isSome(found) || mode === "look") return found
              yield* onStep("starting")
              yield* onStep("waiting")
              yield* Ref.set(running, Option.some(new RemoteServer({ ...server, origin: "reused" })))
              return Option.some(new RemoteServer({ ...server, origin: "started" }))
            }),
          status: () => Ref.get(running),
          stop: () =>
            Effect.flatMap(Ref.getAndSet(running, Option.none()), (found) =>
              Option.isSome(found)
                ? Effect.succeed(found.value)
                : fail(new NotOurs({ detail: "none is registered" }))),
          log: () => Stream.fromIterable(log.map((line) => `${line}\n`))
        })
      })
    )

  /** Bootstrap by the remote script. Needs LocalHost, for randomness. */
  static readonly layerNoDeps: Layer.Layer<Bootstrap, never, LocalHost> = Layer.effect(
    Bootstrap,
    Effect.gen(function*() {
      const host = yield* LocalHost
      const timing = yield* Timing

      /** Runs the script until its result is there. The command lives as long as the scope. */
      const ask = Effect.fnUntraced(function*(
        tunnel: OpenTunnel,
        action: Action,
        limit: Duration.Duration,
        onStep: (step: BootstrappingStep) => Effect.Effect<void>
      ) {
        const recording = yield* Recording
        const { heard, output, result } = yield* RemoteRun.start(tunnel, {
          host,
          timing,
          action,
          limit,
          onEvent: (event) => {
            if (event._tag === "Step") return isStep(event.step) ? onStep(event.step) : Effect.void
            if (event._tag !== "Found") return Effect.void
            return Option.match(decodeFound(event.value), {
              onNone: () => Effect.void,
              onSome: ({ path, version }) =>
                Effect.andThen(
                  recording.candidate({ path, version }),
                  Effect.logDebug("remote opencode", { path, version })
                )
            })
          }
        })
        // Without one word of the script, it was not run: the login shell is a program that reads it and does nothing, say.
        const late = Effect.flatMap(Effect.all([output, heard]), ([log, heard]) =>
          fail(
            action.action === "ensure" && heard
              ? new StartTimedOut({ waited: Duration.toMillis(limit), log })
              : new InvalidOutput({ output: `nothing within ${Duration.format(limit)}\n${log}` })
          ))
        const value = yield* Effect.timeoutOrElse(result, { duration: limit, orElse: () => late })
        const answer = decodeAnswer(value)
        if (Option.isSome(answer)) return answer.value
        return yield* fail(new InvalidOutput({ output: yield* output }))
      })

      /** The same for answers of one kind; errors become failures. */
      const expect = Effect.fnUntraced(function*<K extends "server" | "stopped">(
        kind: K,
        tunnel: OpenTunnel,
        action: Action,
        limit: Duration.Duration,
        options: {
          readonly range?: VersionRange | undefined
          readonly onStep?: EnsureOptions["onStep"] | undefined
        } = {}
      ) {
        const answer = yield* ask(tunnel, action, limit, options.onStep ?? (() => Effect.void))
        if ("error" in answer) return yield* refusal(answer.error, options.range)
        if (kind in answer) return answer as Extract<RemoteAnswer.Answer, Record<K, unknown>>
        return yield* fail(new InvalidOutput({ output: "it answered another question" }))
      })

      const serverOf = ({ server }: Extract<RemoteAnswer.Answer, { server: unknown }>) =>
        Option.map(Option.fromNullOr(server), RemoteAnswer.remoteServer)

      const ensure = Effect.fn("Bootstrap.ensure")(function*(
        tunnel: OpenTunnel,
        { lifetime, mode, onStep, port, range: text }: EnsureOptions
      ) {
        const range = yield* Effect.mapError(
          Effect.fromResult(parseRange(text)),
          (reason) => new ConfigurationError({ reason })
        )
        const ask = (action: Action) => expect("server", tunnel, action, timing.bootstrap, { range, onStep })
        if (mode === "look") return serverOf(yield* Effect.scoped(ask({ action: "look", port })))
        const password = Base64Url.encode(yield* host.randomBytes(32))
        yield* (yield* Recording).secret(Redacted.make(password))
        const asked = ask({
          action: "ensure",
          port,
          password,
          username: defaultUsername,
          lifetime,
          ...versionIntervals(range)
        })
        // Only a server that lives as long as this command needs the command to live.
        const server = serverOf(yield* lifetime === "session" ? asked : Effect.scoped(asked))
        if (Option.isNone(server)) {
          return yield* fail(new InvalidOutput({ output: "it started no server and gave no reason" }))
        }
        return server
      })

      const status = Effect.fn("Bootstrap.status")((tunnel: OpenTunnel) =>
        Effect.map(Effect.scoped(expect("server", tunnel, { action: "status" }, timing.remoteControl)), serverOf)
      )

      const stop = Effect.fn("Bootstrap.stop")((tunnel: OpenTunnel) =>
        Effect.map(
          Effect.scoped(expect("stopped", tunnel, { action: "stop" }, timing.remoteControl)),
          ({ stopped }) => RemoteAnswer.remoteServer(stopped)
        )
      )

      /** The lines of the log, as they come; the command lives as long as the scope. */
      const logOf = Effect.fn("Bootstrap.log")(function*(tunnel: OpenTunnel, follow: boolean) {
        const limit = timing.remoteControl
        const spoke = yield* Deferred.make<void>()
        const lines = yield* Queue.bounded<string, Failure | Cause.Done>(logBuffer)
        const { output, result } = yield* RemoteRun.start(tunnel, {
          host,
          timing,
          action: { action: "log", follow, lines: logLines },
          limit,
          onEvent: (event) =>
            Effect.andThen(
              Deferred.succeed(spoke, undefined),
              event._tag === "Log" ? Queue.offer(lines, `${event.line}\n`) : Effect.void
            )
        })
        yield* Effect.gen(function*(): Effect.fn.Return<void, Failure> {
          const answer = decodeAnswer(yield* result)
          if (Option.isNone(answer)) return yield* fail(new InvalidOutput({ output: yield* output }))
          if ("error" in answer.value) return yield* refusal(answer.value.error)
        }).pipe(
          Effect.matchCauseEffect({
            onFailure: (cause) => Queue.failCause(lines, cause),
            onSuccess: () => Queue.end(lines)
          }),
          Effect.andThen(Deferred.succeed(spoke, undefined)),
          Effect.forkScoped
        )
        yield* Deferred.await(spoke).pipe(
          Effect.timeoutOrElse({
            duration: limit,
            orElse: () => fail(new InvalidOutput({ output: `nothing within ${Duration.format(limit)}` }))
          })
        )
        return Stream.fromQueue(lines)
      })

      const log: Bootstrap["Service"]["log"] = (tunnel, options) =>
        Stream.unwrap(logOf(tunnel, options?.follow ?? false))

      return Bootstrap.of({ ensure, status, stop, log })
    })
  )
}
