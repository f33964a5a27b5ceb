/**
 * The master strategy: a private foreground ControlMaster (`ssh -M -N`), with
 * forwards and commands over its control socket. One TCP connection, one
 * authentication. Ready is when the socket appears: ssh makes it after login.
 */
import { Effect, Exit, Fiber, Option, Path, PubSub, type Scope, Stream, SubscriptionRef } from "effect"
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

type BindResult = Extract<SshLog.SshEvent, { _tag: "Listening" | "BindFailed" }>

/** Waits for the news how a port was bound; the subscription must be older than the attempt. */
export const bindResult = (subscription: PubSub.Subscription<SshLog.SshEvent>, localPort: number) =>
  PubSub.take(subscription).pipe(
    Effect.repeat({
      until: (event): event is BindResult => event._tag !== "Rejected" && event.localPort === localPort
    })
  )

/** The strategy with its services taken once. */
export const make = Effect.gen(function*() {
  const ssh = yield* OpenSsh
  const host = yield* LocalHost
  const directory = yield* RuntimeDirectory
  const timing = yield* Timing
  const { join } = yield* Path.Path

  return Effect.fn("Tunnel.master")(function*(
    destination: Destination,
    { login, onLog, onProgress }: Opening
  ): Effect.fn.Return<OpenTunnel, TransportError | ConfigurationError, Scope.Scope> {
    const explain = Explain.make(ssh, host, timing, destination)
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
    const master = yield* login(Effect.gen(function*() {
      const master = yield* ssh.hold(Argv.master({ config, socket, destination, home: host.home }))
      yield* Effect.raceAllFirst([
        appears,
        explain.ended(master, "opening"),
        explain.deadline(master),
        Effect.andThen(reportProgress(master, { onLog, onProgress }), Effect.never)
      ]).pipe(Effect.ensuring(Effect.flatMap(SubscriptionRef.get(master.log), onLog)))
      return master
    }))

    const closed = explain.ended(master, "established")

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

    const requestForward = Effect.fnUntraced(function*(localPort: number, remotePort: number) {
      const events = yield* PubSub.subscribe(master.events)
      const end = yield* ssh.run(Argv.controlForward({ socket, localPort, remotePort }))
      if (Option.isSome(end) && end.value.code === 0) return localPort
      const failure = yield* Effect.raceFirst(bindResult(events, localPort), closed).pipe(
        Effect.timeoutOption(timing.lastWords),
        Effect.map(Option.filter((event) => event._tag === "BindFailed"))
      )
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

    const forward = Effect.fn("Tunnel.forward")(function*(
      remotePort: number,
      choice: LocalPortChoice = { _tag: "Any" }
    ) {
      const localPort = yield* bindLocalPort(host, choice, (port) => requestForward(port, remotePort))
      return {
        localPort,
        remotePort,
        rejections: rejectionsOf(master, localPort),
        cancel: Effect.ignore(ssh.run(Argv.controlCancel({ socket, localPort, remotePort })))
      } satisfies Forward
    })

    const exec: OpenTunnel["exec"] = Effect.fn("Tunnel.exec")(function*(script) {
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
      capabilities,
      closed,
      stderr: Effect.map(SubscriptionRef.get(master.log), SshLog.tail)
    }
  })
})
