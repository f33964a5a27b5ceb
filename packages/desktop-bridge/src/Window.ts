/** A window's side in one call, for renderers that are not written with Effect. */
import { Context, Effect, Layer, ManagedRuntime } from "effect"
import * as RpcClient from "effect/rpc/RpcClient"
import { BridgeApi, type BridgeClient } from "./BridgeApi.ts"
import type { Link } from "./Link.ts"
import * as MessagePortRpc from "./MessagePortRpc.ts"
import * as OpencodeServers from "./OpencodeServers.ts"
import type { Port } from "./Port.ts"

/** See {@link open}. */
export interface BridgeWindow {
  /** The calls, as effects and streams; `run` runs an effect. */
  readonly client: BridgeClient
  readonly run: <A, E>(effect: Effect.Effect<A, E, Link>) => Promise<A>
  /** The same in the shape that OpenCode's app knows. */
  readonly servers: OpencodeServers.OpencodeServers
  /** Ends the streams and the port. */
  readonly close: () => Promise<void>
}

class Opened extends Context.Service<Opened, Pick<BridgeWindow, "client" | "servers">>()(
  "@opencode-ai/desktop-bridge/Window"
) {
  static readonly layer = Layer.effect(
    Opened,
    Effect.gen(function*() {
      const client = yield* RpcClient.make(BridgeApi)
      return { client, servers: yield* OpencodeServers.make(client) }
    })
  )
}

/** Opens the bridge over the port that the preload script handed to this window. */
export const open = async (port: Port): Promise<BridgeWindow> => {
  const runtime = ManagedRuntime.make(Opened.layer.pipe(Layer.provideMerge(MessagePortRpc.layerClient(port))))
  const { client, servers } = await runtime.runPromise(Opened)
  return { client, servers, run: (effect) => runtime.runPromise(effect), close: () => runtime.dispose() }
}
