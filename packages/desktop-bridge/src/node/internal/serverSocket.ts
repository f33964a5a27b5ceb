/** The server's end of a WebSocket as a `Port`: text frames of JSON. */
import type { WebSocket } from "@effect/platform-node/NodeWS"
import { makePortEnding } from "../../internal/portEnding.ts"
import type { Port, PortEnd } from "../../Port.ts"

/** RFC 6455 §7.4.1. */
const codes: Readonly<Record<PortEnd, number>> = { done: 1001, malformed: 1008, flooded: 1008, unread: 1008 }

const parse = (data: unknown, isBinary: boolean): unknown => {
  try {
    return isBinary ? undefined : JSON.parse(String(data))
  } catch {
    return undefined
  }
}

/**
 * A client that leaves more than `unreadBytes` unread is cut off with the next
 * message to it. Whatever came before `listen` waits in the socket.
 */
export const fromServerSocket = (socket: WebSocket, unreadBytes: number): Port => {
  const ending = makePortEnding()
  socket.pause()
  socket.on("close", () => ending.end("done"))
  // A frame that is too large or broken: ws tells the client and closes.
  socket.on("error", () => ending.end("malformed"))
  const close = (end: PortEnd = "done") => {
    if (!ending.end(end)) return
    // Paused, it would not see the client's answer to the closing handshake.
    socket.resume()
    socket.close(codes[end], end)
    if (end === "unread") socket.terminate()
  }
  return {
    post: (message) => {
      if (ending.hasEnded()) return
      if (socket.bufferedAmount > unreadBytes) return close("unread")
      socket.send(JSON.stringify(message))
    },
    listen: (onMessage) => {
      socket.on("message", (data, isBinary) => {
        if (!ending.hasEnded()) onMessage(parse(data, isBinary))
      })
      socket.resume()
    },
    onClose: ending.onClose,
    close
  }
}
