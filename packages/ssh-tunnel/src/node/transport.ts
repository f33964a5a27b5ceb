/** ssh on this machine: the part of the live layers below the tunnel. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Layer } from "effect"
import { OpenSsh } from "../OpenSsh.ts"
import { Reaper } from "../Reaper.ts"
import { RuntimeDirectory } from "../RuntimeDirectory.ts"
import { Tunnel } from "../Tunnel.ts"
import * as LocalHost from "./LocalHost.ts"

/** What the services ask of the platform: this machine, its files and its processes. */
export const layerPlatform = Layer.merge(NodeServices.layer, LocalHost.layer)

/** OpenSsh and Tunnel over the system's ssh; one runtime directory and one reaper for both. */
export const layerTransport = Tunnel.layerNoDeps.pipe(
  Layer.provideMerge(OpenSsh.layerNoDeps),
  Layer.provideMerge(Reaper.layer),
  Layer.provideMerge(RuntimeDirectory.layer)
)
