/**
 * The main process of an Electron app with OpenCode's SSH connections. In an app:
 *
 *     import * as electron from "electron"
 *     void start(electron, app.getVersion())
 *
 * What is used of Electron is described here, so that this file is checked and tested without it.
 */
import { fromMessagePortMain, MainRuntime, type MessagePortMain } from "@opencode-ai/desktop-bridge/node"

interface Frame {
  readonly origin: string
  readonly parent: Frame | null
  readonly postMessage: (channel: string, message: unknown, transfer: Array<MessagePortMain>) => void
}

/** `import * as electron from "electron"` fits. */
export interface Electron {
  readonly app: MainRuntime.QuittingApp & {
    readonly whenReady: () => Promise<void>
    on(
      event: "login",
      listener: (
        event: { preventDefault(): void },
        webContents: { readonly id: number; getURL(): string } | null,
        details: { readonly url: string; readonly firstAuthAttempt?: boolean },
        auth: { readonly isProxy: boolean; readonly scheme: string; readonly host: string; readonly port: number },
        callback: (username?: string, password?: string) => void
      ) => void
    ): unknown
  }
  readonly ipcMain: {
    on(channel: string, listener: (event: { readonly senderFrame: Frame | null }) => void): unknown
  }
  readonly MessageChannelMain: new() => { readonly port1: MessagePortMain; readonly port2: MessagePortMain }
  readonly powerMonitor: { on(event: "resume", listener: () => void): unknown }
  readonly safeStorage: MainRuntime.ElectronSafeStorage
  readonly session: {
    readonly defaultSession: {
      readonly webRequest: { onBeforeSendHeaders(listener: MainRuntime.MainRuntime["onBeforeSendHeaders"]): void }
    }
  }
  readonly shell: { readonly openExternal: (url: string) => Promise<unknown> }
}

// #region make
/** Where the app's own pages come from. In development: the origin of the dev server as well. */
const origins = ["oc://renderer"]

/** The bridge: one for the app, made when Electron is ready. */
export const start = async (electron: Electron, version: string, options: Partial<MainRuntime.Options> = {}) => {
  const { app, powerMonitor, safeStorage, session, shell } = electron
  // safeStorage works from here on.
  await app.whenReady()
  const bridge = MainRuntime.make({
    application: `OpenCode Desktop ${version}`,
    // The app works with servers of its own major version.
    supportedVersions: `^${version.split(".")[0]}.0.0`,
    origins,
    safeStorage,
    open: (url) => shell.openExternal(url),
    ...options
  })
  bridge.quitWith(app)
  powerMonitor.on("resume", bridge.networkChanged)
  session.defaultSession.webRequest.onBeforeSendHeaders(bridge.onBeforeSendHeaders)
  serveWindows(electron, bridge)
  answerChallenges(electron, bridge)
  return bridge
}
// #endregion

// #region windows
/** Each page that asks gets a port of its own. A page of a stranger, or in a stranger's frame, gets none. */
const serveWindows = ({ ipcMain, MessageChannelMain }: Electron, bridge: MainRuntime.MainRuntime) => {
  const isOwn = (frame: Frame | null): frame is Frame =>
    frame !== null && frame.parent === null && origins.includes(frame.origin)

  ipcMain.on("opencode-ssh:open", ({ senderFrame }) => {
    if (!isOwn(senderFrame)) return
    const { port1, port2 } = new MessageChannelMain()
    bridge.serve(fromMessagePortMain(port1))
    senderFrame.postMessage("opencode-ssh:port", undefined, [port2])
  })
  // Chromium knows when the network is back; the main process does not.
  ipcMain.on("opencode-ssh:online", ({ senderFrame }) => {
    if (isOwn(senderFrame)) bridge.networkChanged()
  })
}
// #endregion

// #region login
/** For requests that the header could not be put on. Other challenges are left to Electron. */
const answerChallenges = ({ app }: Electron, bridge: MainRuntime.MainRuntime) =>
  app.on("login", (event, webContents, details, auth, callback) => {
    if (auth.isProxy || auth.host !== "127.0.0.1" || webContents === null) return
    event.preventDefault()
    bridge.login({ ...details, ...auth, page: webContents.getURL(), webContentsId: webContents.id }, callback)
  })
// #endregion
