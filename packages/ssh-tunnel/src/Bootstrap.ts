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
import * as Hex from "effect/encoding/Hex"
import { BootstrapError, InvalidOutput, NotOurs, StartTimedOut } from "./BootstrapError.ts"
import type { CompatibilityError } from "./CompatibilityError.ts"
import { ConfigurationError } from "./ConfigurationError.ts"
import { BootstrappingStep } from "./ConnectionState.ts"
import { defaultUsername } from "./Credentials.ts"
import { Recording } from "./FlightRecorder.ts"
import { lastWords } from "./internal/lastWords.ts"
import * as RemoteAnswer from "./internal/remoteAnswer.ts"
import * as RemoteProtocol from "./internal/remoteProtocol.ts"
import { assemble, type Assignments } from "./internal/remoteScript.ts"
import { versionIntervals } from "./internal/versionIntervals.ts"
import { parseRange, type VersionRange } from "./internal/versionRange.ts"
import { LocalHost } from "./LocalHost.ts"
import type { Lifetime } from "./Profile.ts"
import { RemoteServer } from "./RemoteServer.ts"
import { Timing } from "./Schedules.ts"
import type { TransportError } from "./TransportError.ts"
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

type Failure = BootstrapError | CompatibilityError | TransportError | ConfigurationError

type Action = Omit<Assignments, "nonce" | "seconds" | "shellSeconds" | "killSeconds">

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

/** Reads a stream as long as the scope lives and keeps its end. */
const drain = Effect.fnUntraced(function*(stream: Stream.Stream<string>) {
  const end = yield* Ref.make("")
  yield* stream.pipe(
    Stream.runForEach((piece) =>
      Ref.update(end, (text) => RemoteProtocol.tail(text + piece, RemoteProtocol.maximumNoise))
    ),
    Effect.forkScoped
  )
  return end
})

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

      const wholeSeconds = (duration: Duration.Duration) => Math.max(1, Math.floor(Duration.toSeconds(duration)))

      const script = Effect.fnUntraced(function*(action: Action, limit: Duration.Duration) {
        const nonce = Hex.encode(yield* host.randomBytes(16))
        const text = assemble({
          ...action,
          nonce,
          seconds: wholeSeconds(Duration.subtract(limit, timing.scriptMargin)),
          shellSeconds: wholeSeconds(timing.loginShell),
          killSeconds: wholeSeconds(timing.killAfter)
        })
        return { feed: RemoteProtocol.feed(nonce), text: Redacted.make(text, { label: "remote script" }) }
      })

      /** Runs the script until its result is there. The command lives as long as the scope. */
      const ask = Effect.fnUntraced(function*(
        tunnel: OpenTunnel,
        action: Action,
        limit: Duration.Duration,
        onStep: (step: BootstrappingStep) => Effect.Effect<void>
      ) {
        const { feed, text } = yield* script(action, limit)
        const command = yield* tunnel.exec(text)
        const recording = yield* Recording
        const result = yield* Deferred.make<unknown>()
        const heard = yield* Ref.make(false)
        const reading = yield* Ref.make(RemoteProtocol.initial)
        const errors = yield* drain(command.stderr)

        const take = Effect.fnUntraced(function*(event: RemoteProtocol.RemoteEvent) {
          yield* Ref.set(heard, true)
          switch (event._tag) {
            case "Step":
              if (isStep(event.step)) yield* onStep(event.step)
              break
            case "Found":
              yield* Option.match(decodeFound(event.value), {
                onNone: () => Effect.void,
                onSome: ({ path, version }) =>
                  Effect.andThen(
                    recording.candidate({ path, version }),
                    Effect.logDebug("remote opencode", { path, version })
                  )
              })
              break
            case "Result":
              yield* Deferred.succeed(result, event.value)
              break
            case "Garbled":
              // A result that cannot be read is none; the rest may come.
              if (event.kind === "result") yield* Deferred.succeed(result, undefined)
              break
            case "Log":
              break
          }
        })
        const reader = yield* command.stdout.pipe(
          Stream.runForEach((piece) =>
            Effect.flatMap(
              Ref.modify(reading, (state) => {
                const [next, events] = feed(state, piece)
                return [events, next]
              }),
              Effect.forEach(take, { discard: true })
            )
          ),
          Effect.forkScoped
        )
        const output = Effect.zipWith(
          Ref.get(reading),
          Ref.get(errors),
          ({ noise, partial }, errors) =>
            RemoteProtocol.tail(
              [noise + partial, errors].filter((text) => text !== "").join("\n"),
              RemoteProtocol.maximumNoise
            )
        )

        const ended = Effect.gen(function*() {
          const exitCode = yield* command.exitCode
          // What it said may still be on the way, for long on a busy machine; usually its end is there already.
          yield* lastWords(reader, timing.control)
          if (yield* Deferred.isDone(result)) return yield* Deferred.await(result)
          return yield* fail(
            RemoteAnswer.unanswered({ exitCode, heard: yield* Ref.get(heard), output: yield* output })
          )
        })
        // Without one word of the script, it was not run: the login shell is a program that reads it and does nothing, say.
        const late = Effect.flatMap(Effect.all([output, Ref.get(heard)]), ([log, heard]) =>
          fail(
            action.action === "ensure" && heard
              ? new StartTimedOut({ waited: Duration.toMillis(limit), log })
              : new InvalidOutput({ output: `nothing within ${Duration.format(limit)}\n${log}` })
          ))
        const value = yield* Effect.raceFirst(Deferred.await(result), ended).pipe(
          Effect.timeoutOrElse({ duration: limit, orElse: () => late })
        )
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
        const { feed, text } = yield* script({ action: "log", follow, lines: logLines }, limit)
        const command = yield* tunnel.exec(text)
        const spoke = yield* Deferred.make<void>()
        const lines = yield* Queue.bounded<string, Failure | Cause.Done>(logBuffer)
        const result = yield* Ref.make(Option.none<unknown>())
        const errors = yield* drain(command.stderr)

        const failureOf = Effect.fnUntraced(function*(): Effect.fn.Return<void, Failure> {
          const value = yield* Ref.get(result)
          if (Option.isNone(value)) {
            const exitCode = yield* command.exitCode
            const heard = yield* Deferred.isDone(spoke)
            return yield* fail(RemoteAnswer.unanswered({ exitCode, heard, output: yield* Ref.get(errors) }))
          }
          const answer = decodeAnswer(value.value)
          if (Option.isNone(answer)) return yield* fail(new InvalidOutput({ output: yield* Ref.get(errors) }))
          if ("error" in answer.value) return yield* refusal(answer.value.error)
        })
        yield* command.stdout.pipe(
          Stream.mapAccum(() => RemoteProtocol.initial, feed),
          Stream.tap(() => Deferred.succeed(spoke, undefined)),
          Stream.takeUntil((event) => event._tag === "Result"),
          Stream.runForEach((event) =>
            event._tag === "Log"
              ? Queue.offer(lines, `${event.line}\n`)
              : event._tag === "Result"
              ? Ref.set(result, Option.some(event.value))
              : Effect.void
          ),
          // The connection may be lost without an end of its output.
          Effect.raceFirst(Effect.andThen(command.exitCode, Effect.never)),
          Effect.andThen(failureOf()),
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
