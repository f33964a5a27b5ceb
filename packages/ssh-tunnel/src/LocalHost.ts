/**
 * What the services need to know of, and ask from, the machine they run on.
 * `@opencode-ai/ssh-tunnel/node` implements it for Node and Bun; nothing else
 * in this package touches the platform.
 */
import { Context, Effect, Layer, type Option, type PlatformError, type Scope, type Stream } from "effect"

/** A process as others may be mistaken for it after pid reuse: only pid and start time together name it. */
export interface ProcessIdentity {
  readonly pid: number
  /** Opaque; equal for the same process, different for another one with the same pid. */
  readonly startTime: string
}

/** The port of the local machine (see the module). */
export class LocalHost extends Context.Service<LocalHost, {
  readonly platform: "posix" | "windows"
  /** The operating system's name and release for reports, e.g. `linux 6.1`. */
  readonly system: string
  /** The runtime's name and version for reports, e.g. `node 24.21.0`. */
  readonly runtime: string
  /** The environment that children inherit, read once. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The home directory of the passwd entry, which is what ssh means by `~`; `$HOME` is not asked. */
  readonly home: string
  /** The login name of the passwd entry. */
  readonly username: string
  /** The user's id; `undefined` where there are none (Windows). */
  readonly uid: number | undefined
  readonly temporaryDirectory: string
  /** This process. */
  readonly self: ProcessIdentity
  /** The start time of a live process, `None` when there is none (or it is a zombie). */
  readonly identify: (pid: number) => Effect.Effect<Option.Option<ProcessIdentity>>
  /** Sends a signal to a process group; succeeds with `false` when it has no member. */
  readonly signalGroup: (pgid: number, signal: "SIGTERM" | "SIGKILL") => Effect.Effect<boolean>
  /**
   * Whether a process group has a member that runs. One that has ended stays a
   * member until its parent has read its exit code, and is not counted.
   */
  readonly isGroupAlive: (pgid: number) => Effect.Effect<boolean>
  /** A TCP port on 127.0.0.1 that was free a moment ago. The caller must expect to lose the race for it. */
  readonly freePort: Effect.Effect<number, PlatformError.PlatformError>
  /** Whether a listener could bind 127.0.0.1:port now. */
  readonly isPortFree: (port: number) => Effect.Effect<boolean>
  /**
   * Starts to watch for a path at once; the returned effect completes when the
   * path exists (also if it did before). By events, not by polling.
   */
  readonly watchFor: (path: string) => Effect.Effect<Effect.Effect<void>, PlatformError.PlatformError, Scope.Scope>
  /** Emits once when the watch is in place, then when a file's content may have changed: any write, replace or removal under that name. */
  readonly changesOf: (path: string) => Stream.Stream<void>
  /** The owner and permission bits of a path itself (a symbolic link is not followed). */
  readonly inspect: (
    path: string
  ) => Effect.Effect<
    { readonly kind: "file" | "directory" | "symlink" | "other"; readonly uid: number; readonly mode: number },
    PlatformError.PlatformError
  >
  /** rmdir(2): fails when the directory is not empty at that moment. */
  readonly removeEmptyDirectory: (path: string) => Effect.Effect<void, PlatformError.PlatformError>
  /** Cryptographically random bytes. */
  readonly randomBytes: (length: number) => Effect.Effect<Uint8Array>
}>()("@opencode-ai/ssh-tunnel/LocalHost") {
  /** A quiet Linux machine of a user `me`; what is not given dies when it is used. */
  static readonly layerMock = (service: Partial<LocalHost["Service"]> = {}): Layer.Layer<LocalHost> =>
    Layer.mock(LocalHost, {
      platform: "posix",
      system: "linux 6.1.0",
      runtime: "node 24.0.0",
      environment: {},
      home: "/home/me",
      username: "me",
      uid: 1000,
      temporaryDirectory: "/tmp",
      self: { pid: 1000, startTime: "1" },
      freePort: Effect.die("no free port was given"),
      ...service
    })
}
