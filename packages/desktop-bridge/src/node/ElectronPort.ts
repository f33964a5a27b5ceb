/** Ports of Electron's main process. Electron is not imported: its `MessagePortMain` is described here. */
import { makePortEnding } from "../internal/portEnding.ts"
import type { Port } from "../Port.ts"

/**
 * What is used of Electron's `MessagePortMain`
 * (https://www.electronjs.org/docs/latest/api/message-port-main): an event is
 * `{ data, ports }`, the port keeps its messages until `start`, and `close`
 * comes when the other end is gone, its window's crash included.
 */
export interface MessagePortMain {
  on(event: "message", listener: (event: { readonly data: unknown }) => void): unknown
  on(event: "close", listener: () => void): unknown
  readonly postMessage: (message: unknown) => void
  readonly start: () => void
  readonly close: () => void
}

/** The `Port` of a `MessagePortMain` that nobody else listens to. */
export const fromMessagePortMain = (port: MessagePortMain): Port => {
  const ending = makePortEnding()
  port.on("close", () => {
    ending.end("done")
  })
  return {
    post: (message) => {
      if (!ending.hasEnded()) port.postMessage(message)
    },
    listen: (onMessage) => {
      port.on("message", ({ data }) => {
        if (!ending.hasEnded()) onMessage(data)
      })
      port.start()
    },
    onClose: ending.onClose,
    close: (end = "done") => {
      if (ending.end(end)) port.close()
    }
  }
}
