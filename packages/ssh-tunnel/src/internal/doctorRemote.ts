/** Runs the doctor's remote script and gives what it finds, each fact as soon as it is there. */
import { Deferred, Duration, Effect, Exit, Option, Ref, Schema, type Scope } from "effect"
import { BootstrapError, InvalidOutput } from "../BootstrapError.ts"
import type { CompatibilityError } from "../CompatibilityError.ts"
import type { LocalHost } from "../LocalHost.ts"
import type { Timings } from "../Schedules.ts"
import type { OpenTunnel } from "../Tunnel.ts"
import * as RemoteAnswer from "./remoteAnswer.ts"
import * as RemoteRun from "./remoteRun.ts"

/** The account, and whether a server could keep its files there. */
export const Account = Schema.Struct({
  shell: Schema.String,
  home: Schema.String,
  /** Kernel and machine, e.g. `Linux x86_64`. */
  system: Schema.String,
  /** Where registration and log of a server go. */
  state: Schema.String,
  /** Empty when nothing is in the way, else why nothing could be written in `path`. */
  problem: Schema.Literals(["", "missing", "denied", "read-only", "full", "unsafe"]),
  path: Schema.String,
  /** KiB; `null` when the system does not tell. */
  free: Schema.NullOr(Schema.Int)
})
export type Account = typeof Account.Type

/** The server that bootstrap, or OpenCode 2 itself, has registered. */
const Registered = Schema.Struct({
  server: Schema.NullOr(RemoteAnswer.Server),
  /** Of a server of ours without an address that could be used: it is still `starting`, or `deaf`. */
  state: Schema.optionalKey(Schema.String),
  /** Registrations that must not be trusted. */
  ignored: Schema.Array(Schema.Struct({ path: Schema.String, why: Schema.String }))
})
export type Registered = typeof Registered.Type

/** Who listens on the port there, as the machine itself sees it. */
const Listener = Schema.Literals(["none", "own", "other", "unknown"])
export type Listener = typeof Listener.Type

/** Whose PATH was searched. */
const Login = Schema.Literals(["interactive", "login", "session"])
export type Login = typeof Login.Type

/** One `opencode` of the search. */
export const Candidate = Schema.Struct({
  path: Schema.String,
  /** Whether it may be executed: the first such one is what bootstrap takes. */
  executable: Schema.Boolean,
  version: Schema.String,
  generation: Schema.String,
  problem: Schema.Literals(["", "architecture", "mode", "crash", "timeout"]),
  detail: Schema.String
})
export type Candidate = typeof Candidate.Type

/** Every candidate, in the order of the search. */
export interface Candidates {
  readonly login: Login
  readonly searched: ReadonlyArray<string>
  readonly candidates: ReadonlyArray<Candidate>
}

const Fact = Schema.Union([
  Schema.Struct({ account: Account }),
  Schema.Struct({ registered: Registered }),
  Schema.Struct({ listener: Listener }),
  Schema.Struct({ login: Login }),
  Schema.Struct({ searched: Schema.Array(Schema.String), candidates: Schema.Array(Candidate) })
])

const decodeFact = Schema.decodeUnknownOption(Fact)
const isRefusal = Schema.is(Schema.Struct({ error: Schema.Struct({ _tag: Schema.String }) }))
const decodeAnswer = Schema.decodeUnknownOption(RemoteAnswer.Answer)

/** Why a fact will never be known. */
export type Failure = RemoteRun.Failure | CompatibilityError

/** The facts; each waits until it is known or never will be. */
export interface Facts {
  readonly account: Effect.Effect<Account, Failure>
  readonly registered: Effect.Effect<Registered, Failure>
  readonly listener: Effect.Effect<Listener, Failure>
  readonly candidates: Effect.Effect<Candidates, Failure>
}

/** What the script needs to know. */
export interface Question {
  /** Of the server that a connection would use or start. */
  readonly port: number
  /** Whether the password of a registered server is wanted. */
  readonly secret: boolean
}

const fail = (reason: BootstrapError["reason"]) => Effect.fail(new BootstrapError({ reason }))

/** Starts the script; it runs as long as the scope. */
export const examine = Effect.fn("Doctor.remote")(function*(
  tunnel: OpenTunnel,
  host: LocalHost["Service"],
  timing: Timings,
  { port, secret }: Question
): Effect.fn.Return<Facts, never, Scope.Scope> {
  const account = yield* Deferred.make<Account, Failure>()
  const registered = yield* Deferred.make<Registered, Failure>()
  const listener = yield* Deferred.make<Listener, Failure>()
  const login = yield* Ref.make<Login>("session")
  const candidates = yield* Deferred.make<Candidates, Failure>()

  const take = Effect.fnUntraced(function*(value: unknown) {
    const fact = decodeFact(value)
    if (Option.isNone(fact)) return
    if ("account" in fact.value) yield* Deferred.succeed(account, fact.value.account)
    else if ("registered" in fact.value) yield* Deferred.succeed(registered, fact.value.registered)
    else if ("listener" in fact.value) yield* Deferred.succeed(listener, fact.value.listener)
    else if ("login" in fact.value) yield* Ref.set(login, fact.value.login)
    else yield* Deferred.succeed(candidates, { login: yield* Ref.get(login), ...fact.value })
  })

  const run = Effect.gen(function*(): Effect.fn.Return<void, Failure, Scope.Scope> {
    const limit = timing.bootstrap
    const { output, result } = yield* RemoteRun.start(tunnel, {
      host,
      timing,
      action: { action: "doctor", port, secret },
      limit,
      onEvent: (event) => event._tag === "Found" ? take(event.value) : Effect.void
    })
    const value = yield* Effect.timeoutOrElse(result, {
      duration: limit,
      orElse: () =>
        Effect.flatMap(
          output,
          (text) => fail(new InvalidOutput({ output: `nothing within ${Duration.format(limit)}\n${text}` }))
        )
    })
    const answer = isRefusal(value) ? decodeAnswer(value) : Option.none()
    const refusal = Option.isSome(answer) && "error" in answer.value
      ? RemoteAnswer.failureOf(answer.value.error, undefined)
      : undefined
    if (refusal !== undefined) return yield* refusal
    return yield* fail(new InvalidOutput({ output: yield* output }))
  })

  /** What is not known by now never will be. */
  yield* Effect.exit(run).pipe(
    Effect.flatMap((exit) =>
      Exit.isSuccess(exit) ? Effect.void : Effect.all([
        Deferred.failCause(account, exit.cause),
        Deferred.failCause(registered, exit.cause),
        Deferred.failCause(listener, exit.cause),
        Deferred.failCause(candidates, exit.cause)
      ], { discard: true })
    ),
    Effect.forkScoped
  )
  return {
    account: Deferred.await(account),
    registered: Deferred.await(registered),
    listener: Deferred.await(listener),
    candidates: Deferred.await(candidates)
  }
})
