/** The window as a page of its own: what the local host serves. */
import { BridgeApi } from "@opencode-ai/desktop-bridge/BridgeApi"
import { Link } from "@opencode-ai/desktop-bridge/Link"
import * as WebSocketRpc from "@opencode-ai/desktop-bridge/WebSocketRpc"
import { Effect } from "effect"
import * as RpcClient from "effect/rpc/RpcClient"
import { mount } from "./mount.tsx"
import "./page.css"

const program = Effect.gen(function*() {
  const bridge = yield* RpcClient.make(BridgeApi)
  const link = yield* Link
  const element = document.getElementById("window")
  if (element !== null) mount(element, { bridge, link: link.changes })
  return yield* Effect.never
})

const transport = WebSocketRpc.layerClient({ url: WebSocketRpc.rpcUrl(document.baseURI) })

Effect.runFork(Effect.scoped(program).pipe(Effect.provide(transport), Effect.tapCause(Effect.logError)))
