/**
 * The preload script of an Electron window with OpenCode's SSH connections. In an app:
 *
 *     import { ipcRenderer } from "electron"
 *     preload(ipcRenderer, window)
 *
 * It passes one port on, and knows nothing else. It needs no context bridge, and works in a sandbox.
 */

/** What is used of Electron's `ipcRenderer`. */
export interface IpcRenderer {
  on(channel: string, listener: (event: { readonly ports: ReadonlyArray<unknown> }) => void): unknown
  readonly send: (channel: string) => void
}

/** What is used of the page's `window`. */
export interface Page {
  addEventListener(
    type: "message",
    listener: (event: { readonly source: unknown; readonly data: unknown }) => void
  ): void
  addEventListener(type: "online", listener: () => void): void
  readonly postMessage: (message: unknown, targetOrigin: string, transfer?: Array<unknown>) => void
}

// #region preload
export const preload = (ipcRenderer: IpcRenderer, window: Page): void => {
  // The page asks when it is ready to listen; after a reload it asks again.
  window.addEventListener("message", ({ data, source }) => {
    if (source === window && data === "opencode-ssh:open") ipcRenderer.send("opencode-ssh:open")
  })
  // Only to this very window: "*" names no other one.
  ipcRenderer.on("opencode-ssh:port", ({ ports }) => window.postMessage("opencode-ssh:port", "*", [...ports]))
  window.addEventListener("online", () => ipcRenderer.send("opencode-ssh:online"))
}
// #endregion
