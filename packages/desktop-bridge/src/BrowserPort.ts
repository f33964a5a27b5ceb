/** Ports of a browser's `MessagePort`, such as Electron's preload script hands to its window. */
import { makePortEnding } from "./internal/portEnding.ts"
import type { Port } from "./Port.ts"

/** What is used of a `MessagePort` (HTML §9.4.4). A `Worker` or `BroadcastChannel` is none. */
export interface BrowserMessagePort {
  readonly addEventListener: (
    type: "message" | "messageerror" | "close",
    listener: (event: { readonly data?: unknown }) => void
  ) => void
  readonly postMessage: (message: unknown) => void
  readonly start: () => void
  readonly close: () => void
}

/**
 * The `Port` of a `MessagePort` that nobody else listens to.
 *
 * **Gotchas**
 *
 * A port tells that its other end is gone by a `close` event: Chromium from 122
 * on, so Electron from 29 on. Older ones leave calls waiting when the main
 * process is gone, and with it, soon, the window.
 */
export const fromMessagePort = (port: BrowserMessagePort): Port => {
  const ending = makePortEnding()
  port.addEventListener("close", () => ending.end("done"))
  return {
    post: (message) => {
      if (!ending.hasEnded()) port.postMessage(message)
    },
    listen: (onMessage) => {
      const receive = (message: unknown) => {
        if (!ending.hasEnded()) onMessage(message)
      }
      port.addEventListener("message", ({ data }) => receive(data))
      port.addEventListener("messageerror", () => receive(undefined))
      port.start()
    },
    onClose: ending.onClose,
    close: (end = "done") => {
      // A port that closes itself gets no event in a browser.
      if (ending.end(end)) port.close()
    }
  }
}
