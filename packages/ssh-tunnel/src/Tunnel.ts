/** One authenticated ssh connection, and what rides on it: local forwards and remote commands. */
import { Cache, Context, Effect, Layer, type Redacted, type Scope, type Stream } from "effect"
import type { ConfigurationError } from "./ConfigurationError.ts"
import type { ConnectingStep, Strategy } from "./ConnectionState.ts"
import type { Destination } from "./Destination.ts"
import * as Admission from "./internal/admission.ts"
import * as MasterTunnel from "./internal/masterTunnel.ts"
import * as PlainTunnel from "./internal/plainTunnel.ts"
import type { SshLog } from "./internal/sshLog.ts"
import { LocalHost } from "./LocalHost.ts"
import { OpenSsh } from "./OpenSsh.ts"
import { RuntimeDirectory } from "./RuntimeDirectory.ts"
import type { TransportError } from "./TransportError.ts"

/** Why sshd did not open a forwarded connection, in the words of RFC 4254 §5.1. */
export type Rejection = "connect-failed" | "prohibited"

/** Which local port a forward should get. `pinned` must be that one; `preferred` is taken if it is free. */
export type LocalPortChoice =
  | { readonly _tag: "Pinned"; readonly port: number }
  | { readonly _tag: "Preferred"; readonly port: number }
  | { readonly _tag: "Any" }

/** A listener on 127.0.0.1:`localPort` whose connections end at 127.0.0.1:`remotePort` over there. */
export interface Forward {
  readonly localPort: number
  readonly remotePort: number
  /**
   * Emits for each connection that sshd refused to open. Only rejections from
   * now on; never ends while the forward lives.
   */
  readonly rejections: Stream.Stream<Rejection>
  /** Removes the listener; connections that are open go on. Does nothing the second time. */
  readonly cancel: Effect.Effect<void>
}

/**
 * A command that runs over there. Its stdin stays open until the scope closes,
 * so a script must end itself with `exit`; the end of stdin means that the
 * client is gone.
 */
export interface RemoteCommand {
  /** Decoded as UTF-8, in chunks as they arrive. */
  readonly stdout: Stream.Stream<string>
  readonly stderr: Stream.Stream<string>
  /**
   * 255 may be ssh's own: the session was refused, say; then stderr holds its words. Fails when the connection
   * ended before the command did.
   */
  readonly exitCode: Effect.Effect<number, TransportError | ConfigurationError>
}

/** Facts about the server that were learned on the way. */
export interface Capabilities {
  /** `refused`: the server opens no session (ForceCommand, nologin, MaxSessions 0), so nothing can be run there. */
  readonly sessions: "allowed" | "refused"
}

/** A live connection; it ends when the scope it was opened in closes. */
export interface OpenTunnel {
  readonly strategy: Strategy
  /** Adds a forward, which lives until it is cancelled or the tunnel ends. Other forwards are not disturbed. */
  readonly forward: (
    remotePort: number,
    localPort?: LocalPortChoice
  ) => Effect.Effect<Forward, TransportError | ConfigurationError>
  /**
   * Runs `exec sh -s` over there and feeds it `script`. The script is never in
   * an argv; it may hold a secret.
   */
  readonly exec: (
    script: Redacted.Redacted<string>
  ) => Effect.Effect<RemoteCommand, TransportError | ConfigurationError, Scope.Scope>
  /** Completes when it is known; nothing waits for it on the connect path. */
  readonly capabilities: Effect.Effect<Capabilities>
  /** Fails as soon as the ssh connection ends, for whatever reason; never succeeds. */
  readonly closed: Effect.Effect<never, TransportError | ConfigurationError>
  /** The last 16 KiB of what ssh printed on stderr. Redact before showing. */
  readonly stderr: Effect.Effect<string>
}

/** How far ssh has come, for a person to watch. */
export interface Progress {
  readonly step: ConnectingStep
  readonly hop?: string
  readonly waitingFor?: "security-key"
}

/** Options of {@link Tunnel}`.open`. */
export interface OpenOptions {
  readonly strategy?: "auto" | Strategy
  readonly onProgress?: (progress: Progress) => Effect.Effect<void>
  /**
   * Told what ssh's stderr has said, with every change until ssh is ready or
   * has ended; what it said last is always told. Redact before showing.
   */
  readonly onLog?: (log: SshLog) => Effect.Effect<void>
}

/**
 * Opens ssh connections with the system's ssh.
 *
 * **Gotchas**
 *
 * With the `plain` strategy nothing is connected before the first forward or
 * command, and each of them logs in by itself.
 */
export class Tunnel extends Context.Service<Tunnel, {
  readonly open: (
    destination: Destination,
    options?: OpenOptions
  ) => Effect.Effect<OpenTunnel, TransportError | ConfigurationError, Scope.Scope>
}>()("@opencode-ai/ssh-tunnel/Tunnel") {
  /** Needs OpenSsh, RuntimeDirectory, LocalHost and Path. Sweeps what an earlier crash left, and warms ssh up. */
  static readonly layerNoDeps = Layer.effect(
    Tunnel,
    Effect.gen(function*() {
      const ssh = yield* OpenSsh
      const directory = yield* RuntimeDirectory
      const host = yield* LocalHost
      const admission = yield* Admission.make
      const strategies = { master: yield* MasterTunnel.make, plain: yield* PlainTunnel.make }
      yield* Effect.forkScoped(Effect.andThen(ssh.warmUp, directory.sweep))

      /** The machine that will see the login first: the first jump host, else the host itself. */
      const ask = (destination: Destination) =>
        ssh.resolve(destination).pipe(
          Effect.map((parameters) => {
            const value = (key: string) => new RegExp(`^${key} (.*)$`, "m").exec(parameters)?.[1] ?? ""
            const jump = value("proxyjump")
            return jump === "" ? `${value("hostname")}:${value("port")}` : jump.split(",")[0] ?? jump
          }),
          Effect.orElseSucceed(() => destination.toString())
        )
      /** Many who ask for the same at the same moment share the answer; later it may be another one. */
      const machines = yield* Cache.make({ lookup: ask, capacity: 256, timeToLive: 0 })
      const firstHop = (destination: Destination) => Cache.get(machines, destination)

      return Tunnel.of({
        open: Effect.fn("Tunnel.open")(function*(destination: Destination, options: OpenOptions = {}) {
          const wanted = options.strategy ?? "auto"
          const strategy = wanted === "auto" ? (host.platform === "windows" ? "plain" : "master") : wanted
          return yield* strategies[strategy](destination, {
            onProgress: options.onProgress ?? (() => Effect.void),
            onLog: options.onLog ?? (() => Effect.void),
            login: admission.through(firstHop(destination))
          })
        })
      })
    })
  )

  /** A tunnel service that answers with what `open` gives; members that are not given die when they are used. */
  static readonly layerMock = (service: Partial<Tunnel["Service"]>): Layer.Layer<Tunnel> => Layer.mock(Tunnel, service)
}
