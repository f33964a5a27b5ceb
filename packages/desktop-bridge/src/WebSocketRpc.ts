/**
 * A client over a WebSocket, for the window in a browser tab. A lost connection
 * is made again for as long as the window is open, with growing pauses: see
 * `Link` for what a window does in the meantime.
 *
 * The other end is `WebSocketServer` in `src/node`. The browser adds the cookie
 * that proves the visit was paid for; a script sees neither.
 */
import { Effect, type Layer } from "effect"
import type * as RpcClient from "effect/rpc/RpcClient"
import { layerLinked, Unreachable } from "./internal/linkedClient.ts"
import { makePortEnding } from "./internal/portEnding.ts"
import type { Link } from "./Link.ts"
import type { Port } from "./Port.ts"
import { TransportLimits } from "./TransportLimits.ts"

/** What is used of a `WebSocket` (WHATWG WebSockets). */
export interface ClientWebSocket {
  readonly readyState: number
  readonly addEventListener: (
    type: "open" | "message" | "close" | "error",
    listener: (event: { readonly data?: unknown }) => void
  ) => void
  readonly send: (data: string) => void
  readonly close: () => void
}

export interface WebSocketClientOptions {
  /** `ws://…/rpc`; see {@link rpcUrl}. */
  readonly url: string
  /** How to make the socket: for hosts without a global `WebSocket`, and for tests, whose cookies no browser adds. */
  readonly connect?: (url: string) => ClientWebSocket
}

/** The address of the WebSocket that belongs to a page of `WebSocketServer`: `rpcUrl(document.baseURI)`. */
export const rpcUrl = (page: string): string => {
  const url = new URL("rpc", page)
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:"
  return url.href
}

/** The protocol of a client, and the state of its link. */
export const layerClient = (options: WebSocketClientOptions): Layer.Layer<RpcClient.Protocol | Link> =>
  layerLinked({ open: open(options), reopens: true })

const open = Effect.fnUntraced(
  function*({ connect = (url) => new globalThis.WebSocket(url), url }: WebSocketClientOptions) {
    const { open } = yield* TransportLimits
    const socket = yield* Effect.acquireRelease(
      Effect.try({ try: () => connect(url), catch: () => new Unreachable() }),
      (socket) => Effect.sync(() => socket.close())
    )
    const port = fromWebSocket(socket)
    yield* Effect.callback<void, Unreachable>((resume) => {
      socket.addEventListener("open", () => resume(Effect.void))
      port.onClose(() => resume(Effect.fail(new Unreachable())))
    }).pipe(Effect.timeoutOrElse({ duration: open, orElse: () => Effect.fail(new Unreachable()) }))
    return port
  }
)

/** A message is one text frame of JSON. Text that is none is given as `undefined`. */
const fromWebSocket = (socket: ClientWebSocket): Port => {
  const ending = makePortEnding()
  const early: Array<unknown> = []
  let receive = (message: unknown): void => void early.push(message)
  socket.addEventListener("message", ({ data }) => {
    if (!ending.hasEnded()) receive(parse(data))
  })
  socket.addEventListener("close", () => ending.end("done"))
  // Always followed by `close`; without a listener some hosts take it for an uncaught error.
  socket.addEventListener("error", () => {})
  return {
    post: (message) => {
      if (!ending.hasEnded()) socket.send(JSON.stringify(message))
    },
    listen: (onMessage) => {
      receive = onMessage
      for (const message of early.splice(0)) onMessage(message)
    },
    onClose: ending.onClose,
    close: (end = "done") => {
      if (ending.end(end)) socket.close()
    }
  }
}

const parse = (data: unknown): unknown => {
  try {
    return typeof data === "string" ? JSON.parse(data) : undefined
  } catch {
    return undefined
  }
}
