/** One run of the remote script: what it says, as it says it, and its result, or why there is none. */
import { Deferred, Duration, Effect, Redacted, Ref, type Scope, Stream } from "effect"
import * as Hex from "effect/encoding/Hex"
import { BootstrapError } from "../BootstrapError.ts"
import type { ConfigurationError } from "../ConfigurationError.ts"
import type { LocalHost } from "../LocalHost.ts"
import type { Timings } from "../Schedules.ts"
import type { TransportError } from "../TransportError.ts"
import type { OpenTunnel } from "../Tunnel.ts"
import { lastWords } from "./lastWords.ts"
import { unanswered } from "./remoteAnswer.ts"
import * as RemoteProtocol from "./remoteProtocol.ts"
import { assemble, type Assignments } from "./remoteScript.ts"

/** What the script is to do; the rest of its assignments is made for each run. */
export type Action = Omit<Assignments, "nonce" | "seconds" | "shellSeconds" | "killSeconds">

/** Why there is no result. */
export type Failure = BootstrapError | TransportError | ConfigurationError

/** What a run needs to know. */
export interface Order {
  readonly host: LocalHost["Service"]
  readonly timing: Timings
  readonly action: Action
  /** Within this the script gives up by itself. Who waits for it waits no longer. */
  readonly limit: Duration.Duration
  /** Is told all that the script says but its result; what comes later waits for it. */
  readonly onEvent: (event: RemoteProtocol.RemoteEvent) => Effect.Effect<unknown>
}

/** A script that runs. */
export interface RemoteRun {
  /** Its result, `undefined` when that cannot be read. Waits as long as the command runs. */
  readonly result: Effect.Effect<unknown, Failure>
  /** Whether the script itself has said something. */
  readonly heard: Effect.Effect<boolean>
  /** The end of what else was printed, by start-up files or in the script's place; standard error comes last. */
  readonly output: Effect.Effect<string>
}

const wholeSeconds = (duration: Duration.Duration) => Math.max(1, Math.floor(Duration.toSeconds(duration)))
const tailOf = (text: string) => RemoteProtocol.tail(text, RemoteProtocol.maximumNoise)

/** Starts the script; its command lives as long as the scope. */
export const start = Effect.fnUntraced(function*(
  tunnel: OpenTunnel,
  { action, host, limit, onEvent, timing }: Order
): Effect.fn.Return<RemoteRun, Failure, Scope.Scope> {
  const nonce = Hex.encode(yield* host.randomBytes(16))
  const script = assemble({
    ...action,
    nonce,
    seconds: wholeSeconds(Duration.subtract(limit, timing.scriptMargin)),
    shellSeconds: wholeSeconds(timing.loginShell),
    killSeconds: wholeSeconds(timing.killAfter)
  })
  const command = yield* tunnel.exec(Redacted.make(script, { label: "remote script" }))
  const result = yield* Deferred.make<unknown>()
  const heard = yield* Ref.make(false)
  const telling = yield* Ref.make(false)
  const reading = yield* Ref.make(RemoteProtocol.initial)
  const errors = yield* Ref.make("")

  const take = Effect.fnUntraced(function*(event: RemoteProtocol.RemoteEvent) {
    yield* Ref.set(heard, true)
    if (event._tag === "Result") yield* Deferred.succeed(result, event.value)
    // A result that cannot be read is none; the rest may come.
    else if (event._tag === "Garbled" && event.kind === "result") yield* Deferred.succeed(result, undefined)
    else yield* Effect.acquireUseRelease(Ref.set(telling, true), () => onEvent(event), () => Ref.set(telling, false))
  })
  const feed = RemoteProtocol.feed(nonce)
  const readers = yield* Effect.all([
    command.stdout.pipe(
      Stream.runForEach((piece) =>
        Effect.flatMap(
          Ref.modify(reading, (before) => {
            const [after, events] = feed(before, piece)
            return [events, after]
          }),
          Effect.forEach(take, { discard: true })
        )
      ),
      Effect.forkScoped
    ),
    command.stderr.pipe(
      Stream.runForEach((piece) => Ref.update(errors, (text) => tailOf(text + piece))),
      Effect.forkScoped
    )
  ])
  const output = Effect.zipWith(
    Ref.get(reading),
    Ref.get(errors),
    ({ noise, partial }, errors) => tailOf([noise + partial, errors].filter((text) => text !== "").join("\n"))
  )

  const ended = Effect.gen(function*() {
    const exitCode = yield* command.exitCode
    // What it said may still be on the way, for long on a busy machine; usually its end is there already.
    // Nothing is read while somebody takes their time to be told.
    yield* Effect.repeat(lastWords(readers, timing.control), { while: () => Ref.get(telling) })
    if (yield* Deferred.isDone(result)) return yield* Deferred.await(result)
    return yield* new BootstrapError({
      reason: unanswered({ exitCode, heard: yield* Ref.get(heard), output: yield* output })
    })
  })
  return { result: Effect.raceFirst(Deferred.await(result), ended), heard: Ref.get(heard), output }
})
