/**
 * The bridge for a main process that is not written with Effect: one call makes it, its functions are promises.
 *
 * **Example** (An Electron main process)
 *
 * ```ts
 * const bridge = MainRuntime.make({
 *   application: `OpenCode Desktop ${app.getVersion()}`,
 *   origins: ["oc://renderer"],
 *   safeStorage
 * })
 * bridge.quitWith(app)
 * session.defaultSession.webRequest.onBeforeSendHeaders(bridge.onBeforeSendHeaders)
 * powerMonitor.on("resume", bridge.networkChanged)
 * ```
 */
import { ConfigurationError, ProfileNotFound } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import { Connections } from "@opencode-ai/ssh-tunnel/Connections"
import type { Connected, ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { Credentials, defaultUsername } from "@opencode-ai/ssh-tunnel/Credentials"
import { CredentialStore } from "@opencode-ai/ssh-tunnel/CredentialStore"
import { Application } from "@opencode-ai/ssh-tunnel/Diagnostics"
import { defaultVersionRange, type Profile, ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { Timing, type Timings } from "@opencode-ai/ssh-tunnel/Schedules"
import { SupportedVersions } from "@opencode-ai/ssh-tunnel/SupportedVersions"
import {
  type Cause,
  Effect,
  Exit,
  HashMap,
  Layer,
  Logger,
  ManagedRuntime,
  Option,
  Queue,
  Redacted,
  Schema,
  Stream
} from "effect"
import { Authorization, type LoginRequest, type Policy, type WebRequest } from "../Authorization.ts"
import { BridgeApi } from "../BridgeApi.ts"
import { BridgeHost } from "../BridgeHost.ts"
import * as Handlers from "../Handlers.ts"
import * as Latest from "../internal/latest.ts"
import { LastConnected, layerRestore } from "../LastConnected.ts"
import * as MessagePortRpc from "../MessagePortRpc.ts"
import type { Port } from "../Port.ts"
import * as SafeStorage from "../SafeStorage.ts"
import { BridgeTiming, type BridgeTimings } from "../Schedules.ts"
import { Unheard } from "../Unheard.ts"
import * as Engine from "./engine.ts"

/** What is used of Electron's `app` to quit. */
export interface QuittingApp {
  on(event: "before-quit", listener: (event: { preventDefault(): void }) => void): unknown
  quit(): void
}

/** What is used of Electron's `safeStorage`. */
export interface ElectronSafeStorage {
  isEncryptionAvailable(): boolean
  encryptString(plainText: string): Buffer
  decryptString(encrypted: Buffer): string
  getSelectedStorageBackend?(): string
}

/** What an application chooses. */
export interface Options extends Policy {
  /** Name and version, for reports and the window: `OpenCode Desktop 1.18.33`. */
  readonly application: string
  /** Server versions for profiles that name none, in npm's range syntax. Default: every OpenCode 1 and 2. */
  readonly supportedVersions?: string
  /** Whether the application shows notifications of its own. Default `false`. */
  readonly notifications?: boolean
  /** Where profiles, ports, passwords and what was connected are kept. Default: OpenCode's own data directory. */
  readonly dataDirectory?: string
  /** Keeps passwords over restarts, encrypted. Default: they are forgotten with the process. */
  readonly safeStorage?: ElectronSafeStorage
  /**
   * Without `safeStorage`: who has no password of its own gets `OPENCODE_SERVER_PASSWORD` (and `_USERNAME`) of this
   * process's environment, as with the command line. Any profile's server that asks for a password is sent this one:
   * only for a host that a person starts for their own servers. Default `false`.
   */
  readonly environmentPassword?: boolean
  /** Shows an address in the user's browser (`shell.openExternal`). Default: the window that asks goes there itself. */
  readonly open?: (url: string) => Promise<unknown>
  /** Whether to connect again at the start who was connected at the end. Default `true`. */
  readonly restore?: boolean
  /** Takes what is logged (`level` is `Warn`, `Error`, …) instead of the console. */
  readonly log?: (entry: { readonly level: string; readonly text: string }) => void
  /** Other durations, and another platform: for tests. */
  readonly timing?: Partial<Timings & BridgeTimings>
  readonly platform?: Engine.Platform
}

/** The states of all profiles that were ever connected in this process; others are `Disconnected`. */
export type StatesById = ReadonlyMap<ProfileId, ConnectionState>

/**
 * See the module. Promises reject with instances of the five error classes.
 *
 * After `dispose` every function does nothing, and promises reject.
 */
export interface MainRuntime {
  /** Serves a window over its port until the port is closed. All windows share the connections. */
  readonly serve: (port: Port) => void
  /** Starts to connect; resolves at once. Errors of the connection are states. */
  readonly connect: (id: string) => Promise<void>
  /** Resolves when the profile is `Connected`; rejects when it becomes `Failed` or is disconnected. */
  readonly settled: (id: string) => Promise<Connected>
  readonly disconnect: (id: string) => Promise<void>
  readonly retryNow: (id: string) => Promise<void>
  /** Calls back with the whole picture, now and after each change (the latest, if there were several); returns the end of it. */
  readonly onStates: (listener: (states: StatesById) => void) => () => void
  /** Where the profile's server is while it is `Connected`, without credentials. */
  readonly endpoint: (id: string) => Promise<string | undefined>
  readonly profiles: () => Promise<ReadonlyArray<Profile>>
  /** Calls back with the profiles, now and after each change; returns the end of it. */
  readonly onProfiles: (listener: (profiles: ReadonlyArray<Profile>) => void) => () => void
  /**
   * For servers that bootstrap did not start; the next connection uses it. Ask for it in a window of the main process's
   * own, and say there where the profile leads. Give the profile as it was when you said so: it may be edited while the
   * person types, and the password goes to no other server than this profile leads to (with an id: than it leads to
   * now).
   *
   * A connection that is open is ended: it may have been made before the profile was edited, and the password is not
   * for the server that it leads to.
   */
  readonly setPassword: (profile: Profile | string, password: string, username?: string) => Promise<void>
  readonly removePassword: (id: string) => Promise<void>
  /** The network changed, or the machine woke up: connections are probed at once, and waits are skipped. */
  readonly networkChanged: () => void
  /**
   * For `session.webRequest.onBeforeSendHeaders`; always calls back. See `Authorization`.
   *
   * **Gotchas**
   *
   * Electron has one listener per session: an application that has its own calls this from there.
   */
  readonly onBeforeSendHeaders: (
    details: WebRequest,
    callback: (response: { requestHeaders?: Record<string, string | Array<string>> }) => void
  ) => void
  /** For the `login` event, where the header could not be: calls back without anything when the answer is not ours to give. */
  readonly login: (request: LoginRequest, callback: (username?: string, password?: string) => void) => void
  /** Holds `before-quit` up until everything has ended, then quits. */
  readonly quitWith: (app: QuittingApp) => void
  /** Ends every connection and closes every port; resolves within `BridgeTiming.quit`. Disposing again is the same. */
  readonly dispose: () => Promise<void>
}

const isProfileId = Schema.is(ProfileId)

const logging = ({ log }: Options) =>
  log === undefined ? Layer.empty : Logger.layer([
    Logger.make((entry) => log({ level: entry.logLevel, text: Logger.formatLogFmt.log(entry) }))
  ])

const layerOf = (options: Options, ports: Stream.Stream<Port>) => {
  const { open, safeStorage } = options
  const supportedVersions = options.supportedVersions ?? defaultVersionRange
  const host = Layer.succeed(BridgeHost, {
    about: {
      application: options.application,
      supportedVersions,
      notifications: options.notifications ?? false
    },
    ...(open === undefined ? undefined : {
      open: (url: Redacted.Redacted<string>) =>
        Effect.asVoid(Effect.tryPromise({
          try: () => open(Redacted.value(url)),
          // Its text may hold the address.
          catch: () => ({ detail: "no program could be started for it" })
        }))
    })
  })
  const passwords: Engine.Passwords = safeStorage === undefined
    ? options.environmentPassword === true ? CredentialStore.layerEnvironment : CredentialStore.layerMemory()
    : SafeStorage.layer({
      isEncryptionAvailable: () => safeStorage.isEncryptionAvailable(),
      encryptString: (text) => safeStorage.encryptString(text),
      decryptString: (bytes) => safeStorage.decryptString(Buffer.from(bytes)),
      getSelectedStorageBackend: () => safeStorage.getSelectedStorageBackend?.() ?? "unknown"
    })
  return Layer.merge(
    MessagePortRpc.layerServer(BridgeApi, ports).pipe(Layer.provide(Handlers.layer), Layer.provide(host)),
    Authorization.layer(options)
  ).pipe(
    // First: what it meets is for the windows to tell.
    Layer.provide(layerRestore({ restore: options.restore ?? true }).pipe(Layer.provide(LastConnected.layer))),
    Layer.provide(Unheard.layer),
    Layer.provideMerge(Engine.layer({
      dataDirectory: options.dataDirectory,
      passwords,
      platform: options.platform
    })),
    Layer.provide([
      Layer.succeed(Application, options.application),
      Layer.succeed(SupportedVersions, supportedVersions),
      Layer.succeed(Timing, { ...Timing.defaults, ...options.timing })
    ]),
    // Also for what the functions of the runtime log themselves.
    Layer.provideMerge(logging(options))
  )
}

/** See the module. Everything is made at once; the profiles that were connected begin to connect. */
export const make = (options: Options): MainRuntime => {
  const ports = Effect.runSync(Queue.unbounded<Port, Cause.Done>())
  /** Also those that nobody has begun to serve: their windows must not wait for ever. */
  const open = new Set<Port>()
  const closePorts = () => {
    Queue.endUnsafe(ports)
    for (const port of open) port.close()
  }
  const runtime = ManagedRuntime.make(layerOf(options, Stream.fromQueue(ports)))
  type Services = ManagedRuntime.ManagedRuntime.Services<typeof runtime>
  const run = <A, E>(effect: Effect.Effect<A, E, Services>): Promise<A> => runtime.runPromise(effect)
  const withId = <A, E>(id: string, use: (id: ProfileId) => Effect.Effect<A, E, Services>) =>
    isProfileId(id)
      ? run(use(id))
      : run(Effect.fail(new ConfigurationError({ reason: new ProfileNotFound({ profile: id }) })))
  /** A listener that throws is called again all the same; a stream that fails at once (a corrupt file) is tried again. */
  const watch = <A, E>(stream: Stream.Stream<A, E, Services>, listener: (value: A) => void) =>
    runtime.runCallback(
      Stream.runForEach(Latest.latest(stream), (value) =>
        Effect.catchDefect(
          Effect.sync(() => listener(value)),
          (defect) => Effect.logError("A listener of the bridge has thrown", defect)
        )).pipe(
          Effect.retry({ times: 1 }),
          Effect.catchCause((cause) => Effect.logWarning("A listener of the bridge hears no more", cause))
        )
    )
  const disposed = Effect.runSync(Effect.cached(
    Effect.promise(() => runtime.dispose()).pipe(
      Effect.timeoutOption(options.timing?.quit ?? BridgeTiming.defaults.quit),
      Effect.andThen(Effect.sync(closePorts))
    )
  ))
  let disposing = false
  const dispose = () => {
    disposing = true
    Queue.endUnsafe(ports)
    return Effect.runPromise(disposed)
  }
  /** Before that nobody is connected, and the application's own pages must not wait for it. */
  let started = false
  // What can fail while it is made (nothing should) is seen by everybody who calls, and by the log.
  runtime.runCallback(Effect.void, {
    onExit: (exit) => {
      if (Exit.isSuccess(exit)) {
        started = true
        return
      }
      closePorts()
      if (disposing) return
      Effect.runFork(Effect.provide(Effect.logError("The bridge could not be made", exit.cause), logging(options)))
    }
  })

  return {
    serve: (port) => {
      open.add(port)
      port.onClose(() => open.delete(port))
      if (!Queue.offerUnsafe(ports, port)) port.close()
    },
    connect: (id) =>
      withId(
        id,
        (id) => Effect.andThen(ProfileRepo.use(({ get }) => get(id)), Connections.use(({ connect }) => connect(id)))
      ),
    settled: (id) => withId(id, (id) => Connections.use(({ settled }) => settled(id))),
    disconnect: (id) => withId(id, (id) => Connections.use(({ disconnect }) => disconnect(id))),
    retryNow: (id) => withId(id, (id) => Connections.use(({ retryNow }) => retryNow(id))),
    onStates: (listener) =>
      watch(
        Stream.unwrap(Connections.useSync(({ states }) => states)),
        (states) => listener(new Map(HashMap.toEntries(states)))
      ),
    endpoint: (id) =>
      withId(id, (id) =>
        Effect.map(
          Connections.use(({ endpoint }) => endpoint(id)),
          (endpoint) => Option.getOrUndefined(Option.map(endpoint, ({ url }) => url))
        )),
    profiles: () => run(ProfileRepo.use(({ list }) => list)),
    onProfiles: (listener) => watch(Stream.unwrap(ProfileRepo.useSync(({ changes }) => changes)), listener),
    setPassword: (profile, password, username = defaultUsername) =>
      withId(typeof profile === "string" ? profile : profile.id, (id) =>
        Effect.gen(function*() {
          const connections = yield* Connections
          const { server } = typeof profile === "string" ? yield* ProfileRepo.use(({ get }) => get(id)) : profile
          const { _tag } = yield* connections.state(id)
          if (_tag !== "Failed" && _tag !== "Disconnected") yield* connections.disconnect(id)
          const credentials = new Credentials({ username, password: Redacted.make(password), server })
          yield* CredentialStore.use(({ set }) => set(id, credentials))
        })),
    removePassword: (id) => withId(id, (id) => CredentialStore.use(({ remove }) => remove(id))),
    networkChanged: () => {
      runtime.runCallback(Connections.use(({ networkChanged }) => networkChanged))
    },
    onBeforeSendHeaders: (details, callback) => {
      // Whatever happens, the request must go on.
      if (!started) return callback({})
      runtime.runCallback(Authorization.use(({ headers }) => headers(details)), {
        onExit: (exit) => {
          const headers = Exit.isSuccess(exit) ? exit.value : Option.none()
          callback(Option.isSome(headers) ? { requestHeaders: headers.value } : {})
        }
      })
    },
    login: (request, callback) => {
      if (!started) return callback()
      runtime.runCallback(Authorization.use(({ login }) => login(request)), {
        onExit: (exit) => {
          const found = Exit.isSuccess(exit) ? exit.value : Option.none()
          if (Option.isNone(found)) callback()
          else callback(found.value.username, Redacted.value(found.value.password))
        }
      })
    },
    quitWith: (app) => {
      let ended = false
      app.on("before-quit", (event) => {
        if (ended) return
        event.preventDefault()
        void dispose().finally(() => {
          ended = true
          app.quit()
        })
      })
    },
    dispose
  }
}
