/**
 * The plain strategy, for systems without ControlMaster (Windows) or when it
 * is asked for: one `ssh -N -L` for each forward, one ssh for each command.
 *
 * **Gotchas**
 *
 * Each ssh logs in by itself, and the user's own forwards of the ssh config
 * come along, as far as their ports are free.
 */
import { Deferred, Effect, Exit, Option, PubSub, Ref, Scope, Stream, SubscriptionRef } from "effect"
import type { ConfigurationError } from "../ConfigurationError.ts"
import type { Destination } from "../Destination.ts"
import { LocalHost } from "../LocalHost.ts"
import { OpenSsh, type SshProcess } from "../OpenSsh.ts"
import { Timing } from "../Schedules.ts"
import { TransportError, Unclassified } from "../TransportError.ts"
import type { Forward, LocalPortChoice, OpenTunnel, RemoteCommand } from "../Tunnel.ts"
import * as Argv from "./argv.ts"
import * as Explain from "./explain.ts"
import { bindLocalPort, PortTaken } from "./localPort.ts"
import { bindResult, FamilyRefused, type Opening, rejectionsOf, reportProgress } from "./masterTunnel.ts"
import * as SshLog from "./sshLog.ts"

type Failure = TransportError | ConfigurationError

/** The strategy with its services taken once. */
export const make = Effect.gen(function*() {
  const ssh = yield* OpenSsh
  const host = yield* LocalHost
  const timing = yield* Timing

  return Effect.fn("Tunnel.plain")(function*(
    destination: Destination,
    { login, onLog, onProgress }: Opening
  ): Effect.fn.Return<OpenTunnel, Failure, Scope.Scope> {
    const explain = Explain.make(ssh, host, timing, destination)
    const config = yield* ssh.config(destination.sshConfig)
    const scope = yield* Effect.scope
    const ended = yield* Deferred.make<never, Failure>()
    const last = yield* SubscriptionRef.make(Option.none<SshProcess>())
    const base = { config, destination, home: host.home }

    /** Starts one ssh that listens on the port, in a scope of its own. */
    const start = Effect.fnUntraced(function*(localPort: number, remotePort: number, anyFamily: boolean) {
      const own = yield* Scope.fork(scope)
      return yield* Effect.gen(function*() {
        const process = yield* ssh.hold(Argv.plainForward({ ...base, localPort, remotePort, anyFamily }))
        yield* SubscriptionRef.set(last, Option.some(process))
        const events = yield* PubSub.subscribe(process.events)
        yield* Effect.raceAllFirst([
          Effect.flatMap(
            bindResult(events, localPort),
            (event): Effect.Effect<void, Failure | FamilyRefused | PortTaken> =>
              event._tag === "Listening"
                ? Effect.void
                : event._tag === "FamilyRefused"
                ? new FamilyRefused()
                : event.taken
                ? Effect.fail(new PortTaken({ port: localPort }))
                // It lives on without this forward; nobody knows more than its words.
                : new TransportError({
                  reason: new Unclassified({ target: Argv.target(destination, host.home), stderr: event.detail })
                })
          ),
          explain.ended(process, "opening"),
          explain.deadline(process),
          Effect.andThen(reportProgress(process, { onLog, onProgress }), Effect.never)
        ]).pipe(Effect.ensuring(Effect.flatMap(SubscriptionRef.get(process.log), onLog)))
        yield* explain.ended(process, "established").pipe(
          Effect.catchCause((cause) => Deferred.failCause(ended, cause)),
          Effect.forkIn(own)
        )
        return { process, own }
      }).pipe(
        Scope.provide(own),
        Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : Scope.close(own, exit))
      )
    })

    /** Whether the ssh config wants IPv6 alone: known after the first attempt. */
    const onlyIpv6 = yield* Ref.make(false)
    const startAnyhow = Effect.fnUntraced(function*(localPort: number, remotePort: number) {
      return yield* start(localPort, remotePort, yield* Ref.get(onlyIpv6)).pipe(
        Effect.catchTag(
          "FamilyRefused",
          () => Effect.andThen(Ref.set(onlyIpv6, true), start(localPort, remotePort, true))
        ),
        Effect.catchTag("FamilyRefused", () =>
          // With every family allowed, 127.0.0.1 is one.
          Effect.die(new Error("ssh cannot resolve 127.0.0.1")))
      )
    })

    const forward = Effect.fn("Tunnel.forward")(function*(
      remotePort: number,
      choice: LocalPortChoice = { _tag: "Any" }
    ) {
      const bound = yield* bindLocalPort(
        host,
        choice,
        (port) => Effect.map(login(startAnyhow(port, remotePort)), (started) => ({ ...started, localPort: port }))
      )
      return {
        localPort: bound.localPort,
        remotePort,
        rejections: rejectionsOf(bound.process, bound.localPort),
        cancel: Scope.close(bound.own, Exit.void)
      } satisfies Forward
    })

    const exec: OpenTunnel["exec"] = Effect.fn("Tunnel.exec")(function*(script) {
      const process = yield* ssh.hold(Argv.plainExec(base), script)
      yield* SubscriptionRef.set(last, Option.some(process))
      return {
        stdout: process.stdout,
        // ssh's own log and the command's stderr are one pipe here; the log's end is given when it is known.
        stderr: Stream.fromEffect(
          Effect.map(Effect.andThen(process.exit, SubscriptionRef.get(process.log)), SshLog.tail)
        ),
        exitCode: Effect.gen(function*() {
          const loggedIn = SubscriptionRef.changes(process.log).pipe(
            Stream.filter(SshLog.isAuthenticated),
            Stream.runHead
          )
          // The deadline is the login's; the command may last.
          const inTime = Effect.andThen(Effect.raceFirst(loggedIn, explain.deadline(process)), Effect.never)
          const { code } = yield* Effect.raceFirst(process.exit, inTime)
          const log = yield* SubscriptionRef.get(process.log)
          return SshLog.isAuthenticated(log) ? code ?? 255 : yield* explain.ended(process, "opening")
        })
      } satisfies RemoteCommand
    })

    return {
      strategy: "plain",
      forward,
      exec,
      // Nothing was asked: whether a command may run is seen when one is.
      capabilities: Effect.succeed({ sessions: "allowed" }),
      closed: Deferred.await(ended),
      stderr: Effect.flatMap(SubscriptionRef.get(last), (process) =>
        Option.isNone(process)
          ? Effect.succeed("")
          : Effect.map(SubscriptionRef.get(process.value.log), SshLog.tail))
    }
  })
})
