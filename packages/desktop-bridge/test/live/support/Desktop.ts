/** A desktop application without Electron: its main process, and windows that write down everything that they get. */
import * as Home from "@opencode-ai/ssh-lab/Home"
import type * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import { layerPlatformWith } from "@opencode-ai/ssh-tunnel/node"
import { Effect } from "effect"
import * as Fs from "node:fs"
import { MessageChannel } from "node:worker_threads"
import { fromMessagePort } from "../../../src/BrowserPort.ts"
import { fromMessagePortMain } from "../../../src/node/ElectronPort.ts"
import * as MainRuntime from "../../../src/node/MainRuntime.ts"
import { fromNodePort } from "../../../src/node/NodePort.ts"
import type { Port } from "../../../src/Port.ts"
import * as Window from "../../../src/Window.ts"
import { makeFakeChannel } from "../../support/fakeElectron.ts"

/** The application's own page. */
export const page = "oc://renderer"

/** The machine at which the person sits. */
export const machine = Effect.fnUntraced(function*(client: SshClient.SshClient) {
  const { dataDirectory, environment, home, runtimeBase } = yield* Home.make(client)
  const platform = layerPlatformWith({ home, environment })
  return {
    dataDirectory,
    /** What our processes need while they run; empty when there are none. */
    runtimeFiles: Effect.sync(() => Fs.readdirSync(runtimeBase, { recursive: true })),
    /** Starts the application; it ends with the scope, if it has not quit before. */
    start: (options: Partial<MainRuntime.Options> = {}) =>
      Effect.acquireRelease(
        Effect.sync(() =>
          MainRuntime.make({
            application: "Test Desktop 1.0.0",
            origins: [page],
            dataDirectory,
            platform,
            ...options
          })
        ),
        (runtime) => Effect.promise(() => runtime.dispose())
      )
  }
})

/** A window, and everything that came to it, as text. */
export interface Recorded extends Window.BridgeWindow {
  readonly received: () => string
  /** The window's process is gone: nobody says goodbye. */
  readonly crash: () => void
}

const recorded = (port: Port, into: Array<unknown>): Port => ({
  ...port,
  listen: (onMessage) =>
    port.listen((message) => {
      into.push(structuredClone(message))
      onMessage(message)
    })
})

const channels = {
  electron: () => {
    const { crash, main, window } = makeFakeChannel()
    return { main: fromMessagePortMain(main), window: fromMessagePort(window), crash }
  },
  worker: () => {
    const { port1, port2 } = new MessageChannel()
    return { main: fromNodePort(port1), window: fromNodePort(port2), crash: () => port2.close() }
  }
}

/** Opens a window of the application; it closes with the scope. */
export const window = (runtime: MainRuntime.MainRuntime, kind: keyof typeof channels) =>
  Effect.acquireRelease(
    Effect.promise(async (): Promise<Recorded> => {
      const { crash, main, window } = channels[kind]()
      const messages: Array<unknown> = []
      runtime.serve(main)
      const opened = await Window.open(recorded(window, messages))
      return { ...opened, crash, received: () => messages.map((message) => JSON.stringify(message)).join("\n") }
    }),
    (opened) => Effect.promise(() => opened.close())
  )

/** Electron's `app`, as far as quitting goes. */
export const makeApp = () => {
  const listeners: Array<(event: { preventDefault(): void }) => void> = []
  const quitted = Promise.withResolvers<void>()
  const quit = () => {
    let prevented = false
    for (const listener of listeners) listener({ preventDefault: () => (prevented = true) })
    if (!prevented) quitted.resolve()
  }
  return {
    on: (_: "before-quit", listener: (event: { preventDefault(): void }) => void) => listeners.push(listener),
    quit,
    quitted: quitted.promise
  }
}
