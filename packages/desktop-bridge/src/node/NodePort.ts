/** Ports of `node:worker_threads`, on Node and Bun. */
import type { MessagePort } from "node:worker_threads"
import { makePortEnding } from "../internal/portEnding.ts"
import type { Port } from "../Port.ts"

/** The `Port` of a `MessagePort` that nobody else listens to. */
export const fromNodePort = (port: MessagePort): Port => {
  const ending = makePortEnding()
  port.on("close", () => ending.end("done"))
  return {
    post: (message) => {
      if (!ending.hasEnded()) port.postMessage(message)
    },
    listen: (onMessage) => {
      const receive = (message: unknown) => {
        if (!ending.hasEnded()) onMessage(message)
      }
      port.on("message", receive)
      port.on("messageerror", () => receive(undefined))
      // A listener starts the port on Node; Bun waits to be told.
      port.start()
    },
    onClose: ending.onClose,
    close: (end = "done") => {
      if (ending.end(end)) port.close()
    }
  }
}
