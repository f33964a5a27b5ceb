import { LabError } from "@opencode-ai/ssh-lab/LabError"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Context, Effect, HashMap, Layer, Option, type Scope, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Bootstrap } from "../../../src/Bootstrap.ts"
import type { ConfigurationError } from "../../../src/ConfigurationError.ts"
import type { ConnectionError } from "../../../src/ConnectionError.ts"
import { Connections } from "../../../src/Connections.ts"
import { type Connected, ConnectionState } from "../../../src/ConnectionState.ts"
import { CredentialStore } from "../../../src/CredentialStore.ts"
import { Discovery } from "../../../src/Discovery.ts"
import { Door } from "../../../src/Door.ts"
import { LocalPorts } from "../../../src/LocalPorts.ts"
import { layer as everything, layerPlatformWith } from "../../../src/node/index.ts"
import { OpenSsh } from "../../../src/OpenSsh.ts"
import { noBootstrap, Profile, ProfileId } from "../../../src/Profile.ts"
import { ProfileRepo } from "../../../src/ProfileRepo.ts"
import { Reaper } from "../../../src/Reaper.ts"
import { RuntimeDirectory } from "../../../src/RuntimeDirectory.ts"
import { Timing, type Timings } from "../../../src/Schedules.ts"
import { Tunnel } from "../../../src/Tunnel.ts"

export interface Options {
  /** Variables of this process while the workstation lives; `undefined` removes one. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** The name of the directory that holds its files and the runtime directory, e.g. with spaces. */
  readonly directoryName?: string
  /** Another home directory than the passwd entry's, where ssh's own files are looked for. */
  readonly home?: string
  readonly timing?: Partial<Timings>
}

/** What a test says of a profile; the rest is as a person gets it who fills in the host only. */
export type Fields = Partial<Profile> & Pick<Profile, "host">

/** One profile, and what the app does with it. */
export interface Connection {
  readonly id: ProfileId
  readonly profile: Profile
  readonly connect: Effect.Effect<void>
  readonly disconnect: Effect.Effect<void>
  readonly state: Effect.Effect<ConnectionState>
  /** Connects, and waits until it is connected or has failed. */
  readonly connected: Effect.Effect<Connected, ConnectionError>
  /** The first state with this tag, now or later, for which the predicate holds. */
  readonly awaitState: <Tag extends ConnectionState["_tag"]>(
    tag: Tag,
    predicate?: (state: Extract<ConnectionState, { readonly _tag: Tag }>) => boolean
  ) => Effect.Effect<Extract<ConnectionState, { readonly _tag: Tag }>>
}

/** The machine at which the person sits: the live services, with files of their own. */
export interface Workstation {
  /** Holds the runtime directory of the services, and nothing else. */
  readonly runtimeBase: string
  readonly dataDirectory: string
  /** Saves a profile. */
  readonly profile: (fields: Fields) => Effect.Effect<Connection, ConfigurationError>
  /** The ssh processes that this process, or one of its children, has started; clients of a master among them. */
  readonly sshProcesses: Effect.Effect<ReadonlyArray<ProcessTable.ProcessInfo>>
  /** Those of them that hold a connection for others. */
  readonly masters: Effect.Effect<ReadonlyArray<ProcessTable.ProcessInfo>>
  /** The sockets, configs and records in the runtime directory; empty while there is none. */
  readonly runtimeFiles: Effect.Effect<ReadonlyArray<string>>
  readonly services: Context.Context<
    Bootstrap | Connections | CredentialStore | Door | LocalPorts | ProfileRepo | Tunnel
  >
}

/** The live layers over a machine with another home; else they are those that an application gets. */
const layerAt = (home: string) => {
  const platform = layerPlatformWith({ home })
  return Layer.merge(Connections.layerNoDeps, Door.layer).pipe(
    Layer.provide(Discovery.layerNoDeps),
    Layer.provideMerge(Layer.merge(Tunnel.layerNoDeps, Bootstrap.layerNoDeps)),
    Layer.provide(OpenSsh.layerNoDeps),
    Layer.provide(Reaper.layer),
    Layer.provide(RuntimeDirectory.layer),
    Layer.provideMerge(Layer.merge(ProfileRepo.layer, LocalPorts.layer)),
    Layer.provideMerge(CredentialStore.layerMemory()),
    Layer.provide(platform)
  )
}

/** Sets variables of this process until the scope ends. */
const setEnvironment = (variables: Readonly<Record<string, string | undefined>>) => {
  const set = (values: Readonly<Record<string, string | undefined>>) => {
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
  return Effect.acquireRelease(
    Effect.sync(() => {
      const before = Object.fromEntries(Object.keys(variables).map((name) => [name, process.env[name]]))
      set(variables)
      return before
    }),
    (before) => Effect.sync(() => set(before))
  )
}

/** An ssh that is there for a connection; `ssh -V` is asked beforehand. */
const isSsh = ({ command }: ProcessTable.ProcessInfo): boolean => /^(?:\S*\/)?ssh (?!-V$)/.test(command)

/**
 * A workstation with the live services. Make it after the remote side: it must end first. When it has ended, its
 * runtime directory must be gone.
 */
export const make: (options?: Options) => Effect.Effect<Workstation, never, Scope.Scope> = Effect.fn(
  "Workstation.make"
)(function*(options: Options = {}) {
  const directory = yield* TempDirectory.make(
    options.directoryName === undefined ? {} : { name: options.directoryName }
  )
  const runtimeBase = Path.join(directory, "run")
  const dataDirectory = Path.join(directory, "data")
  yield* Effect.acquireRelease(
    Effect.sync(() => Fs.mkdirSync(runtimeBase, { mode: 0o700 })),
    () =>
      Effect.suspend(() => {
        const left = Fs.readdirSync(runtimeBase, { recursive: true })
        return left.length === 0 ? Effect.void : Effect.die(
          new LabError({ message: `left in the runtime directory: ${left.join(", ")}` })
        )
      })
  )
  yield* setEnvironment({
    // The agent and the passwords of whoever runs the tests are nobody's business here.
    SSH_AUTH_SOCK: undefined,
    OPENCODE_SERVER_PASSWORD: undefined,
    OPENCODE_SSH_BINARY: undefined,
    OPENCODE_SSH_DATA_DIR: dataDirectory,
    XDG_RUNTIME_DIR: runtimeBase,
    ...options.environment
  })
  const layer = options.home === undefined ? everything : layerAt(options.home)
  const services = yield* Layer.build(layer).pipe(
    Effect.provideService(Timing, { ...Timing.defaults, ...options.timing })
  )
  const connections = Context.get(services, Connections)
  const profiles = Context.get(services, ProfileRepo)

  const profile = Effect.fnUntraced(function*(fields: Fields) {
    const id = ProfileId.make(fields.id ?? "box")
    const profile = new Profile({ id, name: "Box", bootstrap: noBootstrap, ...fields })
    yield* profiles.save(profile)
    const connection: Connection = {
      id,
      profile,
      connect: connections.connect(id),
      disconnect: connections.disconnect(id),
      state: connections.state(id),
      connected: Effect.andThen(connections.connect(id), connections.settled(id)),
      awaitState: (tag, predicate = () => true) =>
        connections.states.pipe(
          Stream.map((states) =>
            Option.getOrElse(HashMap.get(states, id), () => ConnectionState.cases.Disconnected.make({}))
          ),
          Stream.filter((state): state is Extract<ConnectionState, { readonly _tag: typeof tag }> =>
            state._tag === tag
          ),
          Stream.filter(predicate),
          Stream.runHead,
          Effect.map(Option.getOrThrow)
        )
    }
    return connection
  })

  const sshProcesses = Effect.map(ProcessTable.find({ ancestor: process.pid }), (found) => found.filter(isSsh))

  return {
    runtimeBase,
    dataDirectory,
    profile,
    services,
    sshProcesses,
    masters: Effect.map(sshProcesses, (found) => found.filter(({ command }) => command.includes(" -M "))),
    runtimeFiles: Effect.sync(() =>
      Fs.readdirSync(runtimeBase, { recursive: true, encoding: "utf8" }).filter((name) => name.includes("/"))
    )
  } satisfies Workstation
})
