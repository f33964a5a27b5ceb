/** What the contract's suite needs to know of a transport, and all of them. */
import * as NodeWS from "@effect/platform-node/NodeWS"
import { type Context, Deferred, Effect, Exit, Layer, Queue, type Scope, Stream } from "effect"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Fs from "node:fs/promises"
import * as Os from "node:os"
import * as Path from "node:path"
import { MessageChannel } from "node:worker_threads"
import { fromMessagePort } from "../../src/BrowserPort.ts"
import type { Link } from "../../src/Link.ts"
import * as MemoryPort from "../../src/MemoryPort.ts"
import * as MessagePortRpc from "../../src/MessagePortRpc.ts"
import { fromMessagePortMain } from "../../src/node/ElectronPort.ts"
import { fromNodePort } from "../../src/node/NodePort.ts"
import * as WebSocketServer from "../../src/node/WebSocketServer.ts"
import type { Port } from "../../src/Port.ts"
import * as WebSocketRpc from "../../src/WebSocketRpc.ts"
import { makeFakeChannel } from "./fakeElectron.ts"
import { ask, head } from "./rawHttp.ts"

/** A window. */
export interface Window {
  readonly context: Context.Context<RpcClient.Protocol | Link>
  /** Cuts what the window speaks over, as a crash of the other end or of what is between would. */
  readonly cut: Effect.Effect<void>
}

/** An end of a channel that says what it likes. */
export interface Raw {
  /** Sends a value as the transport carries it. */
  readonly post: (message: unknown) => void
  readonly received: Queue.Queue<unknown>
  /** Completes when the other end has closed the channel. */
  readonly ended: Effect.Effect<void>
}

export interface Serving {
  readonly window: Effect.Effect<Window, never, Scope.Scope>
  readonly raw: Effect.Effect<Raw, never, Scope.Scope>
}

export interface Transport {
  readonly name: string
  /** Whether a window makes a lost link anew. */
  readonly reopens: boolean
  /** Whether messages are copied by structured clone, which carries more than JSON. */
  readonly clones: boolean
  readonly serve: <Rpcs extends Rpc.Any>(
    group: RpcGroup.RpcGroup<Rpcs>
  ) => Effect.Effect<
    Serving,
    never,
    Scope.Scope | Rpc.ToHandler<Rpcs> | Rpc.Middleware<Rpcs> | Rpc.ServicesServer<Rpcs>
  >
}

interface Channel {
  readonly main: Port
  readonly window: Port
  /** The main process's end goes. */
  readonly cut: () => void
}

const makeRaw = Effect.fnUntraced(function*(port: Port) {
  const received = yield* Queue.unbounded<unknown>()
  const ended = yield* Deferred.make<void>()
  port.onClose(() => Deferred.doneUnsafe(ended, Exit.void))
  port.listen((message) => Queue.offerUnsafe(received, message))
  yield* Effect.addFinalizer(() => Effect.sync(() => port.close()))
  return { post: port.post, received, ended: Deferred.await(ended) }
})

const overPorts = (name: string, makeChannel: () => Channel, options: { readonly clones: boolean }): Transport => ({
  name,
  reopens: false,
  ...options,
  serve: Effect.fnUntraced(function*<Rpcs extends Rpc.Any>(group: RpcGroup.RpcGroup<Rpcs>) {
    const ports = yield* Queue.unbounded<Port>()
    yield* Layer.build(MessagePortRpc.layerServer(group, Stream.fromQueue(ports)))
    const channel = Effect.tap(Effect.sync(makeChannel), ({ main }) => Queue.offer(ports, main))
    return {
      window: Effect.gen(function*() {
        const { cut, window } = yield* channel
        const context = yield* Layer.build(MessagePortRpc.layerClient(window))
        return { context, cut: Effect.sync(cut) }
      }),
      raw: Effect.flatMap(channel, ({ window }) => makeRaw(window))
    }
  })
})

export const memory: Transport = overPorts("ports in memory", () => {
  const [main, window] = MemoryPort.makePair()
  return { main, window, cut: () => main.close() }
}, { clones: true })

export const worker: Transport = overPorts("ports of worker_threads", () => {
  const { port1, port2 } = new MessageChannel()
  return { main: fromNodePort(port1), window: fromNodePort(port2), cut: () => port1.close() }
}, { clones: true })

export const electron: Transport = overPorts("ports of Electron", () => {
  const { main, window } = makeFakeChannel()
  return { main: fromMessagePortMain(main), window: fromMessagePort(window), cut: main.close }
}, { clones: true })

/** A directory with a built window, as small as can be. */
export const site: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => {
    const directory = await Fs.mkdtemp(Path.join(Os.tmpdir(), "window-"))
    await Fs.mkdir(Path.join(directory, "assets"))
    await Fs.writeFile(Path.join(directory, "index.html"), "<!doctype html><script src=\"assets/app.js\"></script>")
    await Fs.writeFile(Path.join(directory, "assets/app.js"), "document.title = \"window\"\n")
    await Fs.writeFile(Path.join(directory, "assets/app.css"), "body { margin: 0 }\n")
    await Fs.writeFile(Path.join(directory, "assets/a b.svg"), "<svg/>")
    await Fs.writeFile(Path.join(directory, ".secret"), "hidden")
    await Fs.symlink("/etc/passwd", Path.join(directory, "linked"))
    return directory
  }),
  (directory) => Effect.promise(() => Fs.rm(directory, { recursive: true }))
)

/** What a browser has after its first visit. */
export interface Visitor {
  /** The window's address, clean. */
  readonly page: string
  readonly cookie: string
}

/** Visits an address for the first time, as a browser does. Not by `fetch`, which Bun sends through a proxy. */
export const visit = (url: string): Effect.Effect<Visitor> => {
  const { host, pathname, port, search } = new URL(url)
  return Effect.map(ask(Number(port), head(`GET ${pathname}${search}`, { host })), ({ headers }) => {
    const [cookie = ""] = (headers["set-cookie"] ?? "").split(";")
    return { page: new URL(headers["location"] ?? "", url).href, cookie }
  })
}

/** How a browser's tab connects: with its cookie and its origin. */
export const connectAs = ({ cookie, page }: Visitor) => (url: string): NodeWS.WebSocket =>
  new NodeWS.WebSocket(url, { headers: { cookie, origin: new URL(page).origin }, perMessageDeflate: false })

/** The client's view of a `ws` socket: the same members, with other event types. */
export const asClient = (socket: NodeWS.WebSocket): WebSocketRpc.ClientWebSocket =>
  socket as unknown as WebSocketRpc.ClientWebSocket

/** A raw client that is open. */
export const rawSocket = (visitor: Visitor): Effect.Effect<NodeWS.WebSocket, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<NodeWS.WebSocket>((resume) => {
      const socket = connectAs(visitor)(WebSocketRpc.rpcUrl(visitor.page))
      socket.on("error", () => {})
      socket.on("open", () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.terminate())
  )

export const webSocket: Transport = {
  name: "a WebSocket",
  reopens: true,
  clones: false,
  serve: Effect.fnUntraced(function*<Rpcs extends Rpc.Any>(group: RpcGroup.RpcGroup<Rpcs>) {
    const { url } = yield* Effect.orDie(WebSocketServer.serve(group, { directory: yield* site }))
    const visitor = yield* visit(url)
    return {
      window: Effect.gen(function*() {
        const sockets: Array<NodeWS.WebSocket> = []
        const connect = (url: string) => {
          const socket = connectAs(visitor)(url)
          sockets.push(socket)
          return asClient(socket)
        }
        const context = yield* Layer.build(
          WebSocketRpc.layerClient({ url: WebSocketRpc.rpcUrl(visitor.page), connect })
        )
        return { context, cut: Effect.sync(() => sockets.at(-1)?.terminate()) }
      }),
      raw: Effect.gen(function*() {
        const socket = yield* rawSocket(visitor)
        const received = yield* Queue.unbounded<unknown>()
        const ended = yield* Deferred.make<void>()
        socket.on("message", (data) => Queue.offerUnsafe(received, JSON.parse(String(data))))
        socket.on("close", () => Deferred.doneUnsafe(ended, Exit.void))
        return {
          post: (message) => socket.send(typeof message === "string" ? message : JSON.stringify(message)),
          received,
          ended: Deferred.await(ended)
        }
      })
    }
  })
}

export const transports: ReadonlyArray<Transport> = [memory, worker, electron, webSocket]
