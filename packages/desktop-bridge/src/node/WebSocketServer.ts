/**
 * A local host for the window: an HTTP server on 127.0.0.1 that serves the
 * built files, and the contract at `rpc` as a WebSocket. It lets the window run
 * in any browser, without Electron.
 *
 * **Details**
 *
 * Everybody on this machine, and every page in its browsers, can reach a
 * loopback port. So a request is answered only when all of this is true:
 *
 * - its `Host` is the address that we serve, once: a page of another name that
 *   DNS was made to point here is turned away (DNS rebinding);
 * - its `Origin`, when there is one, is ours; a WebSocket needs one, as browsers
 *   send it with each. `Sec-Fetch-Site`, when there is one, is `same-origin` or `none`;
 * - it has the cookie. Only the address for a first visit does without: it holds
 *   a ticket, good once and for `TransportLimits.ticket`, buys the cookie, and
 *   leads to a clean address. So reloads and further tabs work.
 *
 * The cookie is `HttpOnly` and `SameSite=Strict`. Cookies are not kept apart by
 * port, and a browser would show it to every other server on 127.0.0.1, among
 * them those at the other end of our forwards; so its `Path` is a random one,
 * which is the window's: `http://127.0.0.1:PORT/w-…/`. The window's own
 * addresses have to be relative (vite: `base: "./"`).
 *
 * The files are read once, at the start. No page of ours may be framed, run
 * inline scripts or reach another origin.
 *
 * Why not Effect's `HttpServer` with `RpcServer.layerHttp`: its socket does not
 * tell how much a client has left unread, one message that is no object ends the
 * connection as a defect, a repeated id interrupts its reader, and its listener
 * waits without limit for a first byte. `ws`, which it uses as well, does the framing.
 */
import * as NodeWS from "@effect/platform-node/NodeWS"
import { Duration, Effect, Layer, Queue, Schema, type Scope, Stream } from "effect"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as Crypto from "node:crypto"
import * as Http from "node:http"
import * as Net from "node:net"
import * as MessagePortRpc from "../MessagePortRpc.ts"
import type { Port } from "../Port.ts"
import { TransportLimits } from "../TransportLimits.ts"
import { judge, refuse, type Site, type Verdict } from "./internal/admission.ts"
import { fileReply, type Reply, text, write, writeUpgrade } from "./internal/replies.ts"
import { fromServerSocket } from "./internal/serverSocket.ts"
import { readStaticFiles } from "./internal/staticFiles.ts"
import { makeVisits } from "./internal/visits.ts"

const address = "127.0.0.1"

/** The window cannot be served. */
export class WebSocketServerError extends Schema.TaggedError<WebSocketServerError>()("WebSocketServerError", {
  /** `directory`: it holds no built window, or cannot be read; `port`: it cannot be listened on. */
  problem: Schema.Literals(["directory", "port"]),
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

export interface WebSocketServerOptions {
  /** Where the built window is: it holds `index.html`. */
  readonly directory: string
  /** The port on 127.0.0.1; absent or 0: a free one. */
  readonly port?: number
}

/** A window's server that runs. */
export interface WebSocketServer {
  readonly port: number
  /** `http://127.0.0.1:PORT`. */
  readonly origin: string
  /**
   * Makes an address for a first visit. Until it was visited or has expired it
   * is as good as the window itself: hand it to a browser, and to nobody else.
   */
  readonly mintUrl: Effect.Effect<string>
  /** How many WebSockets are open. */
  readonly clients: Effect.Effect<number>
}

/**
 * Serves the directory and the group until the scope closes; `url` is an
 * address for a first visit. The handlers are the group's layer.
 *
 * **Example**
 *
 * ```ts
 * const { url } = yield* WebSocketServer.serve(BridgeApi, { directory: "dist" })
 * ```
 */
export const serve = Effect.fn("WebSocketServer.serve")(function*<Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  options: WebSocketServerOptions
) {
  const { ports, ...server } = yield* make(options)
  yield* Layer.build(MessagePortRpc.layerServer(group, ports))
  return { ...server, url: yield* server.mintUrl }
})

/** The same without a group: each WebSocket that is admitted is one of `ports`, for a host that serves other ports as well. */
export const make = Effect.fn("WebSocketServer.make")(function*(
  { directory, port = 0 }: WebSocketServerOptions
): Effect.fn.Return<
  WebSocketServer & { readonly ports: Stream.Stream<Port> },
  WebSocketServerError,
  Scope.Scope
> {
  const limits = yield* TransportLimits
  const files = yield* readStaticFiles(directory, limits.fileBytes).pipe(
    Effect.mapError((detail) => new WebSocketServerError({ problem: "directory", detail }))
  )
  const visits = yield* makeVisits
  const ports = yield* Effect.acquireRelease(Queue.unbounded<Port>(), Queue.shutdown)
  const runSync = Effect.runSyncWith(yield* Effect.context<never>())

  const http = Http.createServer({ maxHeaderSize: limits.headBytes })
  const frames = new NodeWS.WebSocketServer({
    noServer: true,
    maxPayload: limits.messageBytes,
    perMessageDeflate: false,
    clientTracking: false
  })
  const { bound, stopTimer } = yield* listen(http, port)
  const site: Site = {
    host: `${address}:${bound}`,
    origin: `http://${address}:${bound}`,
    cookie: `opencode-ssh-${bound}`,
    path: `/w-${Crypto.randomBytes(16).toString("hex")}`,
    isSecret: visits.isSecret
  }

  const answer = (verdict: Verdict, request: Http.IncomingMessage): Reply => {
    switch (verdict._tag) {
      case "Refused":
        return verdict.reply
      case "FirstVisit":
        return runSync(visits.redeem(verdict.ticket)) ? signIn(site, visits.secret) : spent
      case "Admitted":
        return fileReply(files, verdict.path, request.headers["if-none-match"])
    }
  }
  http.on("request", (request, response) => write(request, response, answer(judge(request, site), request)))

  const open = new Set<Port>()
  http.on("upgrade", (request, socket, head) => {
    // From here on nobody else listens; a reset would end the process.
    socket.on("error", () => {})
    const verdict = judge(request, site)
    const refused = verdict._tag === "Refused"
      ? verdict.reply
      : verdict._tag === "FirstVisit" || verdict.path !== "/rpc"
      ? text(404, "There is nothing here.")
      : open.size >= limits.clients
      ? text(503, "Too many windows are open.")
      : undefined
    if (refused !== undefined) return writeUpgrade(socket, refused)
    frames.handleUpgrade(request, socket, head, (client) => {
      stopTimer(request.socket)
      const port = fromServerSocket(client, limits.unreadBytes)
      open.add(port)
      port.onClose(() => open.delete(port))
      if (!Queue.offerUnsafe(ports, port)) port.close()
    })
  })

  return {
    port: bound,
    origin: site.origin,
    mintUrl: Effect.map(visits.mint, (ticket) => `${site.origin}/?ticket=${ticket}`),
    clients: Effect.sync(() => open.size),
    ports: Stream.fromQueue(ports)
  }
})

/** Without `Secure`, which some browsers refuse on loopback HTTP. */
const signIn = ({ cookie, path }: Site, secret: string): Reply =>
  text(303, "Signing in.", {
    "set-cookie": `${cookie}=${secret}; Path=${path}/; HttpOnly; SameSite=Strict`,
    location: `${path}/`
  })

const spent = refuse(403, "This address was good for one visit. Ask for a new one.").reply

/**
 * Listens on 127.0.0.1 until the scope closes; then every connection is cut.
 *
 * The listener is `node:net`'s: Bun's HTTP server does not tell of a connection
 * before its first byte, so nobody could limit or cut it.
 */
const listen = Effect.fnUntraced(function*(http: Http.Server, port: number) {
  const limits = yield* TransportLimits
  const timers = new Map<Net.Socket, ReturnType<typeof setTimeout>>()
  const stopTimer = (socket: Net.Socket) => clearTimeout(timers.get(socket))
  const server = Net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on("error", () => {})
    if (timers.size >= limits.connections) return void socket.destroy()
    timers.set(socket, setTimeout(() => socket.destroy(), Duration.toMillis(limits.request)))
    socket.once("close", () => {
      stopTimer(socket)
      timers.delete(socket)
    })
    http.emit("connection", socket)
  })
  const started = Effect.callback<number, WebSocketServerError>((resume) => {
    server.once(
      "error",
      ({ message }) => resume(Effect.fail(new WebSocketServerError({ problem: "port", detail: message })))
    )
    server.listen({ host: address, port, exclusive: true }, () => {
      const bound = server.address()
      resume(Effect.succeed(typeof bound === "object" && bound !== null ? bound.port : port))
    })
  })
  const stop = Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
    for (const socket of timers.keys()) socket.destroy()
  })
  return { bound: yield* Effect.acquireRelease(started, () => stop), stopTimer }
})
