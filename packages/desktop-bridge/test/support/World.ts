/** The main process's side over services that do what the test says: no ssh, no network, no files. */
import { Bootstrap } from "@opencode-ai/ssh-tunnel/Bootstrap"
import { Connections } from "@opencode-ai/ssh-tunnel/Connections"
import type { Credentials } from "@opencode-ai/ssh-tunnel/Credentials"
import { CredentialStore } from "@opencode-ai/ssh-tunnel/CredentialStore"
import { Diagnostics } from "@opencode-ai/ssh-tunnel/Diagnostics"
import { Discovery } from "@opencode-ai/ssh-tunnel/Discovery"
import { DiscoveryError, Unauthorized } from "@opencode-ai/ssh-tunnel/DiscoveryError"
import { Doctor } from "@opencode-ai/ssh-tunnel/Doctor"
import { Door } from "@opencode-ai/ssh-tunnel/Door"
import { FlightRecorder } from "@opencode-ai/ssh-tunnel/FlightRecorder"
import { LocalHost } from "@opencode-ai/ssh-tunnel/LocalHost"
import { LocalPorts } from "@opencode-ai/ssh-tunnel/LocalPorts"
import { LoopbackHttp } from "@opencode-ai/ssh-tunnel/LoopbackHttp"
import { MemoryTunnels } from "@opencode-ai/ssh-tunnel/MemoryTunnels"
import { Profile, ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { ServerInfo } from "@opencode-ai/ssh-tunnel/ServerInfo"
import { SshConfig } from "@opencode-ai/ssh-tunnel/SshConfig"
import { Effect, Layer } from "effect"
import * as RpcTest from "effect/rpc/RpcTest"
import { BridgeApi } from "../../src/BridgeApi.ts"
import { BridgeHost } from "../../src/BridgeHost.ts"
import * as Handlers from "../../src/Handlers.ts"
import { Unheard } from "../../src/Unheard.ts"

export const id = (text: string): ProfileId => ProfileId.make(text)

export const profile = (fields: Partial<Profile> = {}): Profile =>
  new Profile({
    id: id("box"),
    name: "Box",
    host: "box",
    bootstrap: { enabled: false, lifetime: "persistent" },
    ...fields
  })

export interface Options {
  readonly profiles?: ReadonlyArray<Profile>
  readonly passwords?: Iterable<readonly [ProfileId, Credentials]>
  readonly config?: Partial<SshConfig["Service"]>
  readonly doctor?: Partial<Doctor["Service"]>
  readonly diagnostics?: Partial<Diagnostics["Service"]>
  readonly discovery?: Partial<Discovery["Service"]>
  readonly bootstrap?: Partial<Bootstrap["Service"]>
  readonly door?: Door["Service"]["open"]
  readonly host?: Partial<BridgeHost["Service"]>
  /** Instead of the real connections over nothing. */
  readonly connections?: Partial<Connections["Service"]>
  readonly repo?: Partial<ProfileRepo["Service"]>
}

const info = new ServerInfo({ generation: "v1", version: "1.18.33", path: "/global/health", secured: true })

/** A server that answers; where passwords are known it asks for one. */
const answering = (asks: boolean): Discovery["Service"]["find"] => ({ credentials, forward: { remotePort } }) =>
  asks && credentials === undefined
    ? Effect.fail(new DiscoveryError({ reason: new Unauthorized({ remotePort, credentials: "none" }) }))
    : Effect.succeed(info)

/** The handlers, and the services below them for the test to look at. */
export const layer = (options: Options = {}) =>
  Handlers.layer.pipe(
    Layer.provideMerge(
      options.connections === undefined ? Connections.layerNoDeps : Connections.layerMock(options.connections)
    ),
    Layer.provideMerge(Layer.mergeAll(
      Discovery.layerMock({ find: answering(options.passwords !== undefined), ...options.discovery }),
      Bootstrap.layerMock(options.bootstrap ?? {}),
      Doctor.layerMock(options.doctor ?? {}),
      Door.layerMock(options.door),
      Diagnostics.layerMock(options.diagnostics ?? {}),
      SshConfig.layerMock(options.config ?? {}),
      BridgeHost.layerMock(options.host),
      FlightRecorder.layer,
      Unheard.layer,
      LoopbackHttp.layerMock({
        get: () => Effect.succeed({ status: 200, headers: {}, body: "", truncated: false }),
        hold: () => Effect.never
      }),
      CredentialStore.layerMemory(options.passwords),
      LocalPorts.layerMemory(),
      LocalHost.layerMock({
        randomBytes: (length) => Effect.sync(() => crypto.getRandomValues(new Uint8Array(length)))
      }),
      MemoryTunnels.layer()
    )),
    Layer.provideMerge(
      options.repo === undefined
        ? ProfileRepo.layerMemory(options.profiles ?? [profile()])
        : Layer.mock(ProfileRepo, options.repo)
    )
  )

/** A window without a transport. */
export const client = RpcTest.makeClient(BridgeApi, { disableFatalDefects: true })
