/**
 * The product on a laptop of its own: the live services with their own environment, files and timing. Nothing of this
 * process is changed, so that many of them can run at once.
 */
import { LabError } from "@opencode-ai/ssh-lab/LabError"
import * as Mark from "@opencode-ai/ssh-lab/Mark"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { type Context, Effect, Layer, type Scope } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Bootstrap } from "../../src/Bootstrap.ts"
import { Connections } from "../../src/Connections.ts"
import { CredentialStore } from "../../src/CredentialStore.ts"
import { Discovery } from "../../src/Discovery.ts"
import { FlightRecorder } from "../../src/FlightRecorder.ts"
import type { LocalHost } from "../../src/LocalHost.ts"
import { LocalPorts } from "../../src/LocalPorts.ts"
import { layerPlatformWith } from "../../src/node/index.ts"
import { OpenSsh } from "../../src/OpenSsh.ts"
import { ProfileRepo } from "../../src/ProfileRepo.ts"
import { Reaper } from "../../src/Reaper.ts"
import { RuntimeDirectory } from "../../src/RuntimeDirectory.ts"
import { Timing, type Timings } from "../../src/Schedules.ts"
import { Tunnel } from "../../src/Tunnel.ts"

export interface Options {
  /** More variables of the environment; `undefined` removes one. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined
  readonly timing?: Partial<Timings> | undefined
}

export type Services =
  | Bootstrap
  | Connections
  | CredentialStore
  | LocalPorts
  | ProfileRepo
  | RuntimeDirectory
  | Tunnel

export interface Product {
  readonly services: Context.Context<Services>
  /** Where the profiles are. */
  readonly dataDirectory: string
}

/** The live layers, as the `node` subpath composes them, over a machine with another environment. */
const layerWith = (environment: LocalHost["Service"]["environment"]) => {
  const platform = layerPlatformWith({ environment })
  return Connections.layerNoDeps.pipe(
    Layer.provide(Discovery.layerNoDeps),
    Layer.provideMerge(Layer.merge(Tunnel.layerNoDeps, Bootstrap.layerNoDeps)),
    Layer.provide(OpenSsh.layerNoDeps),
    Layer.provide(Reaper.layer),
    Layer.provideMerge(RuntimeDirectory.layer),
    Layer.provideMerge(Layer.merge(ProfileRepo.layer, LocalPorts.layer)),
    Layer.provideMerge(CredentialStore.layerMemory()),
    Layer.provide(FlightRecorder.layer),
    Layer.provide(platform)
  )
}

/** The product, until the scope ends; then nothing of it may be left in its runtime directory. */
export const make: (options?: Options) => Effect.Effect<Product, never, Scope.Scope> = Effect.fn("Product.make")(
  function*(options: Options = {}) {
    const directory = yield* TempDirectory.make()
    const runtime = Path.join(directory, "run")
    const dataDirectory = Path.join(directory, "data")
    yield* Effect.acquireRelease(
      Effect.sync(() => Fs.mkdirSync(runtime, { mode: 0o700 })),
      () =>
        Effect.suspend(() => {
          const left = Fs.readdirSync(runtime, { recursive: true })
          return left.length === 0 ? Effect.void : Effect.die(
            new LabError({ message: `left in the runtime directory: ${left.join(", ")}` })
          )
        })
    )
    const environment = Mark.environment({
      // The agent and the passwords of whoever runs this are nobody's business here.
      SSH_AUTH_SOCK: undefined,
      OPENCODE_SERVER_PASSWORD: undefined,
      OPENCODE_SSH_BINARY: undefined,
      OPENCODE_SSH_DATA_DIR: dataDirectory,
      XDG_RUNTIME_DIR: runtime,
      // ssh speaks the language of its libc.
      LC_ALL: "C",
      // ssh gives a ProxyCommand to this shell, whose words may then be what a person reads.
      SHELL: "/bin/sh",
      ...options.environment
    })
    const services = yield* Layer.build(layerWith(environment)).pipe(
      Effect.provideService(Timing, { ...Timing.defaults, ...options.timing })
    )
    return { services, dataDirectory }
  }
)
