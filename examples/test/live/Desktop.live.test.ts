import { assert, describe, it } from "@effect/vitest"
import type { MessagePortMain } from "@opencode-ai/desktop-bridge/node"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Home from "@opencode-ai/ssh-lab/Home"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { TransportError } from "@opencode-ai/ssh-tunnel"
import { layerPlatformWith } from "@opencode-ai/ssh-tunnel/node"
import { Effect } from "effect"
import { EventEmitter } from "node:events"
import { MessageChannel, type MessagePort } from "node:worker_threads"
import { type Electron, start } from "../../desktop-main.ts"
import { serversOf, sshPlatform } from "../../desktop-opencode.ts"
import { preload } from "../../desktop-preload.ts"
import { connect, openBridge } from "../../desktop-renderer.ts"

const password = "a secret: ü"
const authorization = `Basic ${Buffer.from(`opencode:${password}`).toString("base64")}`

/** A port of Node as Electron's main process has it: the event holds the data. */
const asMain = (port: MessagePort): MessagePortMain & { readonly port: MessagePort } => ({
  port,
  on: (event: "message" | "close", listener: (event: { readonly data: unknown }) => void) =>
    port.on(event, (data: unknown) => listener({ data })),
  postMessage: (message) => port.postMessage(message),
  start: () => port.start(),
  close: () => port.close()
})

/** As much of Electron as the examples use: its main process, and one window's page. */
const makeElectron = () => {
  const app = new EventEmitter()
  const ipcMain = new EventEmitter()
  const power = new EventEmitter()
  const quitted = Promise.withResolvers<void>()
  type Listener = Parameters<Electron["session"]["defaultSession"]["webRequest"]["onBeforeSendHeaders"]>[0]
  let onHeaders: Listener = (_, callback) => callback({})
  const quit = () => {
    let prevented = false
    app.emit("before-quit", { preventDefault: () => (prevented = true) })
    if (!prevented) quitted.resolve()
  }
  const electron: Electron = {
    app: Object.assign(app, { quit, whenReady: () => Promise.resolve() }),
    ipcMain,
    MessageChannelMain: class {
      readonly port1: MessagePortMain
      readonly port2: MessagePortMain
      constructor() {
        const { port1, port2 } = new MessageChannel()
        this.port1 = asMain(port1)
        this.port2 = asMain(port2)
      }
    },
    powerMonitor: power,
    safeStorage: {
      isEncryptionAvailable: () => true,
      encryptString: (text) => Buffer.from(text).map((byte) => byte ^ 0xff) as Buffer,
      decryptString: (bytes) => Buffer.from(bytes.map((byte) => byte ^ 0xff)).toString()
    },
    session: { defaultSession: { webRequest: { onBeforeSendHeaders: (listener) => void (onHeaders = listener) } } },
    shell: { openExternal: () => Promise.resolve() }
  }

  /** A page in a window: its own messages, and those of its preload script. */
  const page = (origin: string) => {
    const inPage = new EventEmitter()
    const inPreload = new EventEmitter()
    const ports: Array<unknown> = []
    const senderFrame = {
      origin,
      parent: null,
      postMessage: (channel: string, _: unknown, transfer: Array<MessagePortMain>) => {
        const received = transfer.map((port) => (port as ReturnType<typeof asMain>).port)
        ports.push(...received)
        inPreload.emit(channel, { ports: received })
      }
    }
    const window = {
      addEventListener: (type: string, listener: (event: never) => void) =>
        void inPage.on(type, listener as (event: unknown) => void),
      removeEventListener: (type: string, listener: (event: never) => void) =>
        void inPage.off(type, listener as (event: unknown) => void),
      postMessage: (data: unknown, _: string, ports: ReadonlyArray<unknown> = []) =>
        void setImmediate(() => {
          let stopped = false
          const event = { source: window, data, ports, stopImmediatePropagation: () => void (stopped = true) }
          for (const listener of inPage.listeners("message")) if (!stopped) listener(event)
        })
    }
    preload({
      on: (channel, listener) => inPreload.on(channel, listener),
      send: (channel) => void ipcMain.emit(channel, { senderFrame })
    }, window)
    return { window, ports, emit: (event: string) => inPage.emit(event, {}) }
  }
  const request = (url: string, origin: string) =>
    new Promise<Record<string, string>>((resolve) =>
      onHeaders(
        {
          url,
          method: "GET",
          resourceType: "xhr",
          requestHeaders: { Origin: origin },
          frame: { url: `${origin}/`, origin, parent: null }
        },
        ({ requestHeaders }) => resolve((requestHeaders ?? {}) as Record<string, string>)
      )
    )
  return { electron, page, request, quit, quitted: quitted.promise }
}

/** What differs on a user's machine whose ssh config knows `box`. */
const machine = (client: SshClient.SshClient) =>
  Effect.map(Home.make(client), ({ dataDirectory, environment, home }) => ({
    dataDirectory,
    platform: layerPlatformWith({ home, environment })
  }))

describe.skipIf(!Sshd.available)("the desktop examples", () => {
  it.live("main process, preload script and page work together as they are written down", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make()
      const client = yield* SshClient.make({ hosts: { box: sshd } })
      const server = yield* FakeServer.http(FakeServer.guarded("opencode", password, FakeServer.v1("1.18.33")))
      const { electron, page, quit, quitted, request } = makeElectron()
      const bridge = yield* Effect.acquireRelease(
        Effect.flatMap(machine(client), (options) => Effect.promise(() => start(electron, "1.18.33", options))),
        (bridge) => Effect.promise(() => bridge.dispose())
      )
      const stranger = page("https://evil.example")
      stranger.window.postMessage("opencode-ssh:open", "*")
      const own = page("oc://renderer")
      // Two parts of the page ask at once: each has a port of its own.
      const [opened, other] = yield* Effect.promise(() => Promise.all([openBridge(own.window), openBridge(own.window)]))
      assert.deepStrictEqual([stranger.ports.length, own.ports.length], [0, 2])
      for (const { client, run } of [opened, other]) {
        assert.match((yield* Effect.promise(() => run(client.about()))).application, /^OpenCode Desktop/)
      }
      yield* Effect.promise(() => other.close())

      // Nobody listens on ssh's own port, or nobody whom this ssh config knows.
      const failed = yield* Effect.promise(() =>
        connect(opened, "127.0.0.1").then(() => undefined, (error: unknown) => error)
      )
      assert.instanceOf(failed, TransportError)

      // The person adds a server that runs already, and the main process learns its password.
      const profile = yield* Effect.promise(() =>
        opened.run(opened.client.addProfile({
          draft: {
            name: "Box",
            host: "box",
            remotePort: server.port,
            bootstrap: { enabled: false, lifetime: "persistent" }
          }
        }))
      )
      yield* Effect.promise(() => bridge.setPassword(profile.id, password))
      const platform = sshPlatform(opened.servers)
      yield* Effect.promise(() => platform.start({ id: profile.id, target: "", name: "" }))
      const { url } = yield* Effect.promise(() => bridge.settled(profile.id))
      assert.deepStrictEqual(yield* Effect.promise(() => platform.resolve(profile.id)), { url })
      own.emit("online")

      // The app's request is signed in, and nobody else's is.
      assert.strictEqual(
        (yield* Effect.promise(() => request(`${url}/session`, "oc://renderer")))["Authorization"],
        authorization
      )
      assert.deepStrictEqual(yield* Effect.promise(() => request(`${url}/session`, "https://evil.example")), {})

      const listed = yield* Effect.promise(() =>
        new Promise<ReturnType<typeof serversOf>>((resolve) => {
          const end = opened.servers.subscribe((state) => {
            const ready = serversOf(state)
            if (ready.length === 0) return
            resolve(ready)
            queueMicrotask(() => end())
          })
        })
      )
      assert.deepStrictEqual(listed.map(({ host, http }) => [host, http]), [["box", { url }]])

      quit()
      yield* Effect.promise(() => quitted)
      yield* server.awaitOpenConnections(0)
    }), 60_000)
})
