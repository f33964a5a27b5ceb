/** The live services that the handlers need, over one platform. */
import { Bootstrap } from "@opencode-ai/ssh-tunnel/Bootstrap"
import { Connections } from "@opencode-ai/ssh-tunnel/Connections"
import type { CredentialStore } from "@opencode-ai/ssh-tunnel/CredentialStore"
import { DataDirectory } from "@opencode-ai/ssh-tunnel/DataDirectory"
import { Diagnostics } from "@opencode-ai/ssh-tunnel/Diagnostics"
import { Discovery } from "@opencode-ai/ssh-tunnel/Discovery"
import { Doctor } from "@opencode-ai/ssh-tunnel/Doctor"
import { Door } from "@opencode-ai/ssh-tunnel/Door"
import type { LocalHost } from "@opencode-ai/ssh-tunnel/LocalHost"
import { LocalPorts } from "@opencode-ai/ssh-tunnel/LocalPorts"
import type { LoopbackHttp } from "@opencode-ai/ssh-tunnel/LoopbackHttp"
import { layerPlatform } from "@opencode-ai/ssh-tunnel/node"
import { OpenSsh } from "@opencode-ai/ssh-tunnel/OpenSsh"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { Reaper } from "@opencode-ai/ssh-tunnel/Reaper"
import { RuntimeDirectory } from "@opencode-ai/ssh-tunnel/RuntimeDirectory"
import { SshConfig } from "@opencode-ai/ssh-tunnel/SshConfig"
import { Tunnel } from "@opencode-ai/ssh-tunnel/Tunnel"
import { type FileSystem, Layer, type Path } from "effect"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"

/** What the services ask of the platform. */
export type Platform = Layer.Layer<
  ChildProcessSpawner | FileSystem.FileSystem | LocalHost | LoopbackHttp | Path.Path
>

/** Where passwords are kept; it may use the data directory. */
export type Passwords = Layer.Layer<
  CredentialStore,
  never,
  DataDirectory | FileSystem.FileSystem | LocalHost | Path.Path
>

/** What a caller may choose. */
export interface Options {
  readonly dataDirectory?: string | undefined
  readonly passwords: Passwords
  /** Default: this machine. Tests give one with another home. */
  readonly platform?: Platform | undefined
}

/** Everything, with one ssh, one reaper and one recorder for all of it. */
export const layer = ({ dataDirectory, passwords, platform = layerPlatform }: Options) =>
  Layer.mergeAll(Diagnostics.layerNoDeps, Doctor.layerNoDeps, Door.layer).pipe(
    Layer.provideMerge(Connections.layerNoDeps),
    Layer.provideMerge(Layer.mergeAll(Tunnel.layerNoDeps, SshConfig.layerNoDeps, Bootstrap.layerNoDeps)),
    Layer.provide([OpenSsh.layerNoDeps, Discovery.layerNoDeps]),
    Layer.provide(Reaper.layer),
    Layer.provide(RuntimeDirectory.layer),
    Layer.provideMerge(Layer.mergeAll(ProfileRepo.layerNoDeps, LocalPorts.layerNoDeps, passwords)),
    Layer.provideMerge(dataDirectory === undefined ? DataDirectory.layer : DataDirectory.layerAt(dataDirectory)),
    Layer.provideMerge(platform)
  )
