/**
 * The live layers for Node (>= 22.19) and Bun: the only place of this package
 * that touches the platform.
 *
 * **Example** (Connecting a saved profile)
 *
 * ```ts
 * import { Connections, ProfileId } from "@opencode-ai/ssh-tunnel"
 * import { layer } from "@opencode-ai/ssh-tunnel/node"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const connections = yield* Connections
 *   const id = ProfileId.make("my-profile")
 *   yield* connections.connect(id)
 *   const { url } = yield* connections.settled(id)
 *   return url
 * }).pipe(Effect.provide(layer))
 * ```
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer } from "effect"
import { Bootstrap } from "../Bootstrap.ts"
import { Connections } from "../Connections.ts"
import { CredentialStore } from "../CredentialStore.ts"
import { Diagnostics } from "../Diagnostics.ts"
import { Discovery } from "../Discovery.ts"
import { Doctor } from "../Doctor.ts"
import { Door } from "../Door.ts"
import { FlightRecorder } from "../FlightRecorder.ts"
import { LocalHost as LocalHostService } from "../LocalHost.ts"
import { LocalPorts } from "../LocalPorts.ts"
import { OpenSsh } from "../OpenSsh.ts"
import { ProfileRepo } from "../ProfileRepo.ts"
import { Reaper } from "../Reaper.ts"
import { RuntimeDirectory } from "../RuntimeDirectory.ts"
import { SshConfig } from "../SshConfig.ts"
import { Tunnel } from "../Tunnel.ts"
import * as LocalHost from "./LocalHost.ts"
import * as LoopbackHttp from "./LoopbackHttp.ts"

/** What the services ask of the platform: files, processes, this machine, and HTTP on loopback. */
export const layerPlatform = Layer.mergeAll(NodeServices.layer, LocalHost.layer, LoopbackHttp.layer)

/** The same platform on a machine of which something is otherwise: its environment or its home, say. */
export const layerPlatformWith = (changes: Partial<LocalHostService["Service"]>): typeof layerPlatform =>
  Layer.merge(
    layerPlatform,
    Layer.effect(LocalHostService, Effect.map(LocalHostService, (host) => ({ ...host, ...changes }))).pipe(
      Layer.provide(LocalHost.layer)
    )
  )

/** `ssh` itself: one runtime directory and one reaper for all that is built from this constant. */
export const layerOpenSsh = OpenSsh.layerNoDeps.pipe(
  Layer.provideMerge(Reaper.layer),
  Layer.provideMerge(RuntimeDirectory.layer),
  Layer.provide(layerPlatform)
)

/** The hosts of the user's ssh config and their effective parameters. */
export const layerSshConfig = SshConfig.layerNoDeps.pipe(Layer.provide(layerOpenSsh), Layer.provide(layerPlatform))

/** Tunnels, and what bootstrap does over them. */
export const layerRemote = Layer.merge(
  Tunnel.layerNoDeps.pipe(Layer.provide(layerOpenSsh)),
  Bootstrap.layerNoDeps
).pipe(Layer.provide(layerPlatform))

/** The doctor. */
export const layerDoctor = Doctor.layerNoDeps.pipe(
  Layer.provide([layerRemote, layerSshConfig, layerOpenSsh, Discovery.layerNoDeps]),
  Layer.provide(layerPlatform)
)

/** Reports, of what the connections of the same layers have recorded. Needs ProfileRepo and CredentialStore. */
export const layerDiagnostics = Diagnostics.layerNoDeps.pipe(
  Layer.provide([layerOpenSsh, layerSshConfig, FlightRecorder.layer]),
  Layer.provide(layerPlatform)
)

/** The user's profiles, and the local port that each of them used last: files of the data directory. */
export const layerProfiles = Layer.merge(ProfileRepo.layer, LocalPorts.layer).pipe(Layer.provide(layerPlatform))

/**
 * Connections over the system's ssh, and the door into their servers. The
 * profiles, their local ports and the passwords are the caller's choice.
 */
export const layerConnections = Layer.merge(
  Connections.layerNoDeps.pipe(
    Layer.provide(Discovery.layerNoDeps),
    Layer.provideMerge(layerRemote)
  ),
  Door.layer
).pipe(Layer.provide(layerPlatform))

/** Everything, with profiles in the user's data directory and passwords in memory only. */
export const layer = layerConnections.pipe(
  Layer.merge(layerDoctor),
  Layer.merge(layerDiagnostics),
  Layer.provideMerge(layerSshConfig),
  Layer.provideMerge(layerProfiles),
  Layer.provideMerge(CredentialStore.layerMemory())
)
