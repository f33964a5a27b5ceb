/**
 * The master strategy: a private foreground ControlMaster (`ssh -M -N`), with
 * forwards and commands over its control socket. One TCP connection, one
 * authentication. Ready is when the socket appears: ssh makes it after login.
 */
import {
  Data,
  Deferred,
  Effect,
  Exit,
  Fiber,
  HashSet,
  Option,
  Path,
  PubSub,
  Ref,
  Scope,
  Stream,
  SubscriptionRef,
  SynchronizedRef
} from "effect"
import { ConfigurationError, RuntimeDirectoryUnusable } from "../ConfigurationError.ts"
import type { Destination } from "../Destination.ts"
import { LocalHost } from "../LocalHost.ts"
import { OpenSsh, type SshProcess } from "../OpenSsh.ts"
import { RuntimeDirectory } from "../RuntimeDirectory.ts"
import { Timing } from "../Schedules.ts"
import { TransportError, Unclassified } from "../TransportError.ts"
import type { Capabilities, Forward, LocalPortChoice, OpenTunnel, Progress, RemoteCommand } from "../Tunnel.ts"
import * as Argv from "./argv.ts"
import * as Explain from "./explain.ts"
import { bindLocalPort, PortTaken } from "./localPort.ts"
import * as SshLog from "./sshLog.ts"

/** What both strategies are told about one opening. */
export interface Opening {
  readonly onProgress: (progress: Progress) => Effect.Effect<void>
  readonly onLog: (log: SshLog.SshLog) => Effect.Effect<void>
  /** Wraps whatever logs in: not too many at a time at one machine. */
  readonly login: <A, E, R>(login: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** Reports each change of what ssh says and how far it has come, for as long as it runs. */
export const reportProgress = (process: SshProcess, { onLog, onProgress }: Pick<Opening, "onLog" | "onProgress">) =>
  SubscriptionRef.changes(process.log).pipe(
    Stream.tap(onLog),
    Stream.map(SshLog.progress),
    Stream.changesWith((a, b) => a.step === b.step && a.hop === b.hop && a.waitingFor === b.waitingFor),
    Stream.runForEach(onProgress)
  )

/** The rejections of one local port. */
export const rejectionsOf = (process: SshProcess, localPort: number): Forward["rejections"] =>
  Stream.fromPubSub(process.events).pipe(
    Stream.filter((event) => event._tag === "Rejected" && event.localPort === localPort),
    Stream.map((event) => (event as Extract<SshLog.SshEvent, { _tag: "Rejected" }>).rejection)
  )

/** ssh can listen on no port of 127.0.0.1; see `anyFamily` in argv.ts. */
export class FamilyRefused extends Data.TaggedError("FamilyRefused") {}

type BindResult = Extract<SshLog.SshEvent, { _tag: "Listening" | "BindFailed" | "FamilyRefused" }>

/** Waits for the news how a port was bound; the subscription must be older than the attempt. */
export const bindResult = (subscription: PubSub.Subscription<SshLog.SshEvent>, localPort: number) =>
  PubSub.take(subscription).pipe(
    Effect.repeat({
      until: (event): event is BindResult =>
        event._tag === "FamilyRefused" || (event._tag !== "Rejected" && event.localPort === localPort)
    })
  )

/** One master, and what belongs to it. */
interface Master {
  readonly process: SshProcess
  readonly socket: string
  readonly capabilities: Effect.Effect<Capabilities>
  readonly scope: Scope.Closeable
}

/** The strategy with its services taken once. */
export const make = Effect.gen(function*() {
  const ssh = yield* OpenSsh
  const host = yield* LocalHost
  const directory = yield* RuntimeDirectory
  const timing = yield* Timing
  const { join } = yield* Path.Path
  /** Destinations whose config wants IPv6 alone: known after their first forward. */
  const onlyIpv6 = yield* Ref.make(HashSet.empty<string>())

  return Effect.fn("Tunnel.master")(function*(
    destination: Destination,
    { login, onLog, onProgress }: Opening
  ): Effect.fn.Return<OpenTunnel, TransportError | ConfigurationError, Scope.Scope> {
    const explain = Explain.make(ssh, host, timing, destination)
    const key = JSON.stringify(destination)
    const outer = yield* Effect.scope
    const ended = yield* Deferred.make<never, TransportError | ConfigurationError>()
    const closed = Deferred.await(ended)

    const start = Effect.fnUntraced(function*(scope: Scope.Closeable, anyFamily: boolean) {
      const [config, socket, path] = yield* Effect.all([
        ssh.config(destination.sshConfig),
        directory.fresh("c"),
        directory.path
      ])
      const appears = yield* host.watchFor(join(path, socket)).pipe(
        Effect.mapError((error) =>
          new ConfigurationError({ reason: new RuntimeDirectoryUnusable({ path, detail: error.message }) })
        )
      )
      const process = yield* login(Effect.gen(function*() {
        const master = yield* ssh.hold(Argv.master({ config, socket, destination, home: host.home, anyFamily }))
        yield* Effect.raceAllFirst([
          appears,
          explain.ended(master, "opening"),
          explain.deadline(master),
          Effect.andThen(reportProgress(master, { onLog, onProgress }), Effect.never)
        ]).pipe(Effect.ensuring(Effect.flatMap(SubscriptionRef.get(master.log), onLog)))
        return master
      }))

      yield* explain.ended(process, "established").pipe(
        Effect.catchCause((cause) => Deferred.failCause(ended, cause)),
        Effect.forkScoped
      )

      /**
       * One tiny session: sshd before 10.1 sets TCP_NODELAY only once a session
       * has existed, and without it new forwarded connections stall some 40 ms.
       * Nobody waits for it but a command, because MaxSessions may be 1.
       */
      const session = yield* ssh.run(Argv.controlExec({ socket, command: "true" })).pipe(
        Effect.map((end): Capabilities => ({
          sessions: Option.isSome(end) && end.value.code === 255 ? "refused" : "allowed"
        })),
        Effect.orElseSucceed((): Capabilities => ({ sessions: "refused" })),
        Effect.forkScoped
      )
      const capabilities = Effect.map(
        Fiber.await(session),
        (exit): Capabilities => Exit.isSuccess(exit) ? exit.value : { sessions: "refused" }
      )
      return { process, socket, capabilities, scope } satisfies Master
    })

    const connect = Effect.fnUntraced(function*(anyFamily: boolean) {
      const scope = yield* Scope.fork(outer)
      return yield* start(scope, anyFamily).pipe(
        Scope.provide(scope),
        Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit))
      )
    })

    const current = yield* SynchronizedRef.make(
      yield* connect(HashSet.has(yield* Ref.get(onlyIpv6), key))
    )

    const requestForward = Effect.fnUntraced(function*(
      { process, socket }: Master,
      localPort: number,
      remotePort: number
    ) {
      const events = yield* PubSub.subscribe(process.events)
      const end = yield* ssh.run(Argv.controlForward({ socket, localPort, remotePort }))
      if (Option.isSome(end) && end.value.code === 0) return localPort
      const news = yield* Effect.raceFirst(bindResult(events, localPort), closed).pipe(
        Effect.timeoutOption(timing.lastWords)
      )
      if (Option.isSome(news) && news.value._tag === "FamilyRefused") return yield* new FamilyRefused()
      const failure = Option.filter(news, (event) => event._tag === "BindFailed")
      if (Option.isSome(failure) && failure.value.taken) return yield* new PortTaken({ port: localPort })
      return yield* new TransportError({
        reason: new Unclassified({
          target: Argv.target(destination, host.home),
          ...(Option.isSome(end) ? { exitCode: end.value.code } : undefined),
          stderr: Option.isSome(failure)
            ? failure.value.detail
            : Option.isSome(end)
            ? end.value.stderr
            : "the ControlMaster did not answer in time"
        })
      })
    }, Effect.scoped)

    /** Another login, in place of a master that can listen nowhere. Nobody uses that one: it has no forward. */
    const replace = (useless: Master) =>
      SynchronizedRef.updateAndGetEffect(
        current,
        Effect.fnUntraced(function*(master) {
          if (master !== useless) return master
          yield* Ref.update(onlyIpv6, HashSet.add(key))
          yield* Scope.close(useless.scope, Exit.void)
          return yield* connect(true)
        })
      )

    const requestForwardAnyhow = Effect.fnUntraced(function*(localPort: number, remotePort: number) {
      const master = yield* SynchronizedRef.get(current)
      return yield* requestForward(master, localPort, remotePort).pipe(
        Effect.catchTag(
          "FamilyRefused",
          () => Effect.flatMap(replace(master), (next) => requestForward(next, localPort, remotePort))
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
      const localPort = yield* bindLocalPort(host, choice, (port) => requestForwardAnyhow(port, remotePort))
      const { process, socket } = yield* SynchronizedRef.get(current)
      return {
        localPort,
        remotePort,
        rejections: rejectionsOf(process, localPort),
        cancel: Effect.ignore(ssh.run(Argv.controlCancel({ socket, localPort, remotePort })))
      } satisfies Forward
    })

    const exec: OpenTunnel["exec"] = Effect.fn("Tunnel.exec")(function*(script) {
      const { capabilities, socket } = yield* SynchronizedRef.get(current)
      yield* Effect.raceFirst(capabilities, closed)
      const command = yield* ssh.command(Argv.controlExec({ socket, command: Argv.remoteShell }), script)
      return {
        stdout: command.stdout,
        stderr: command.stderr,
        exitCode: Effect.raceFirst(
          closed,
          Effect.flatMap(command.exit, ({ code }) =>
            // A client that dies with its master says 255 too; the master's end tells more and is near.
            code === undefined || code === 255
              ? Effect.as(Effect.sleep(timing.lastWords), 255)
              : Effect.succeed(code))
        )
      } satisfies RemoteCommand
    })

    return {
      strategy: "master",
      forward,
      exec,
      capabilities: Effect.flatMap(SynchronizedRef.get(current), ({ capabilities }) => capabilities),
      closed,
      stderr: Effect.flatMap(
        SynchronizedRef.get(current),
        ({ process }) => Effect.map(SubscriptionRef.get(process.log), SshLog.tail)
      )
    }
  })
})
