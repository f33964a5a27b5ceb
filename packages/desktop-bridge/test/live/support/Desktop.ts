/** A desktop application without Electron: its main process, and windows that write down everything that they get. */
import * as Mark from "@opencode-ai/ssh-lab/Mark"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { LocalHost } from "@opencode-ai/ssh-tunnel/LocalHost"
import { layerPlatform } from "@opencode-ai/ssh-tunnel/node"
import { Effect, Layer } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
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

/** The machine at which the person sits: a home directory with the ssh config, and places for our files. */
export const machine = Effect.fnUntraced(function*(client: SshClient.SshClient) {
  const directory = yield* TempDirectory.make()
  const place = (name: string) => {
    const path = Path.join(directory, name)
    Fs.mkdirSync(path, { mode: 0o700, recursive: true })
    return path
  }
  const home = place("home")
  const runtimeBase = place("run")
  Fs.writeFileSync(Path.join(place("home/.ssh"), "config"), `Include ${SshClient.quote(client.configFile)}\n`, {
    mode: 0o600
  })
  const environment = Mark.environment({
    HOME: home,
    SSH_AUTH_SOCK: undefined,
    OPENCODE_SERVER_PASSWORD: undefined,
    OPENCODE_SSH_BINARY: undefined,
    OPENCODE_SSH_DATA_DIR: undefined,
    XDG_RUNTIME_DIR: runtimeBase,
    SHELL: "/bin/sh",
    LC_ALL: "C"
  })
  const platform = Layer.merge(
    layerPlatform,
    Layer.effect(LocalHost, Effect.map(LocalHost, (real) => ({ ...real, home, environment }))).pipe(
      Layer.provide(layerPlatform)
    )
  )
  const dataDirectory = Path.join(directory, "data")
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
