/** A page of an Electron window with OpenCode's SSH connections: `const bridge = await openBridge(window)`. */
import { type BrowserMessagePort, fromMessagePort } from "@opencode-ai/desktop-bridge/BrowserPort"
import * as BridgeWindow from "@opencode-ai/desktop-bridge/Window"
import { Stream } from "effect"

/** What is used of a message to the page. */
interface PageMessage {
  readonly source: unknown
  readonly data: unknown
  readonly ports: ReadonlyArray<BrowserMessagePort>
  readonly stopImmediatePropagation: () => void
}

/** What is used of the page's `window`. */
export interface Page {
  addEventListener(type: "message", listener: (event: PageMessage) => void): void
  removeEventListener(type: "message", listener: (event: PageMessage) => void): void
  readonly postMessage: (message: unknown, targetOrigin: string) => void
}

// #region open
/** Asks the preload script for a port, and speaks over it. Waits for ever on a page that is none of the app's own. */
export const openBridge = (window: Page): Promise<BridgeWindow.BridgeWindow> =>
  new Promise((resolve, reject) => {
    const receive = (event: PageMessage): void => {
      const [port] = event.ports
      if (event.source !== window || event.data !== "opencode-ssh:port" || port === undefined) return
      // A port is for one: another call of this function waits for its own.
      event.stopImmediatePropagation()
      window.removeEventListener("message", receive)
      BridgeWindow.open(fromMessagePort(port)).then(resolve, reject)
    }
    window.addEventListener("message", receive)
    window.postMessage("opencode-ssh:open", "*")
  })
// #endregion

// #region use
/** Adds a profile and connects it; resolves with the server's URL, to which this page's requests may go from then on. */
export const connect = async ({ client, run }: BridgeWindow.BridgeWindow, host: string): Promise<string> => {
  const { id } = await run(
    client.addProfile({ draft: { name: host, host, bootstrap: { enabled: true, lifetime: "persistent" } } })
  )
  await run(client.connect({ id }))
  const states = client.watchStates()
  const end = await run(
    states.pipe(
      Stream.map((update) =>
        update._tag === "All" ? update.states.find((state) => state.id === id)?.state : update.state
      ),
      Stream.filter((state) => state?._tag === "Connected" || state?._tag === "Failed"),
      Stream.runHead
    )
  )
  const state = end._tag === "Some" ? end.value : undefined
  if (state?._tag === "Connected") return state.url
  // An instance of one of the five classes: it has a message, a remedy, and says if it is worth trying again.
  throw state?._tag === "Failed" ? state.error : new Error("the main process is gone")
}
// #endregion
