import { Effect, type Scope } from "effect"
import * as Http from "node:http"
import * as Net from "node:net"
import { LabError } from "./LabError.ts"

/** What a fake server answers to one request. */
export interface Answer {
  /** Default 200. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** A text is sent as it is, any other value as JSON (with its content type). Default: empty. */
  readonly body?: unknown
  /** Nothing is ever answered; the connection stays open. */
  readonly silent?: boolean
  /** `body` never ends: it is repeated as fast as the client reads. */
  readonly endless?: boolean
  /** The connection is cut instead of an answer. */
  readonly drop?: boolean
}

/** One request that a fake server has seen. */
export interface SeenRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
  readonly headers: Http.IncomingHttpHeaders
}

/**
 * Answers by `METHOD /path` or `/path` (any method); `*` is for the rest, and without it the rest is 404. A function
 * gets the request, and answers as it likes.
 */
export type Routes =
  | Readonly<Record<string, Answer>>
  | ((request: SeenRequest) => Answer)

export interface FakeServer {
  readonly port: number
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** The requests so far. */
  readonly requests: Effect.Effect<ReadonlyArray<SeenRequest>>
  /** The `count`-th request so far or to come. */
  readonly awaitRequest: (count: number) => Effect.Effect<SeenRequest>
  /** TCP connections accepted so far. */
  readonly connections: Effect.Effect<number>
  /** TCP connections that are open now. */
  readonly openConnections: Effect.Effect<number>
  /** Waits until exactly so many TCP connections are open. */
  readonly awaitOpenConnections: (count: number) => Effect.Effect<void>
  /** Answers differently from now on. */
  readonly setRoutes: (routes: Routes) => Effect.Effect<void>
  /** Stops listening and cuts all connections; the scope's end does the same. */
  readonly stop: Effect.Effect<void>
}

/** OpenCode's web page for every path: what V1 answers to unknown paths, and many other servers to everything. */
export const html: Answer = {
  headers: { "content-type": "text/html; charset=utf-8" },
  body: "<!doctype html><html><head><title>A web app</title></head><body></body></html>"
}

/** A V1 server: health as 1.x answers it, the web app for everything else. */
export const v1 = (version: string): Routes => ({
  "GET /global/health": { body: { healthy: true, version } },
  "GET /api/health": { body: { healthy: true } },
  "*": html
})

/** A V2 server by its documented routes; `route` is the one its version has. */
export const v2 = (
  version: string,
  route: "/api/info" | "/api/status" | "/api/health" = "/api/info",
  pid: number = process.pid
): Routes =>
(request) =>
  request.method === "GET" && request.url === route
    ? { body: { ...(route === "/api/health" ? { healthy: true } : {}), version, pid, urls: [] } }
    : request.url.startsWith("/api/")
    ? { status: 404 }
    : html

/** Everything is 401 without these Basic credentials, as an OpenCode server with a password answers. */
export const guarded = (username: string, password: string, routes: Routes): Routes => {
  const expected = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`
  return (request) =>
    request.headers.authorization === expected
      ? answerOf(routes, request)
      : { status: 401, headers: { "www-authenticate": "Basic realm=\"Secure Area\"" } }
}

const answerOf = (routes: Routes, request: SeenRequest): Answer => {
  if (typeof routes === "function") return routes(request)
  const path = request.url.split("?")[0] ?? ""
  return routes[`${request.method} ${path}`] ?? routes[path] ?? routes["*"] ?? { status: 404 }
}

const respond = (answer: Answer, response: Http.ServerResponse): void => {
  if (answer.drop === true) return void response.socket?.destroy()
  if (answer.silent === true) return
  const isText = typeof answer.body === "string"
  const body = isText ? answer.body : answer.body === undefined ? "" : JSON.stringify(answer.body)
  response.writeHead(answer.status ?? 200, {
    ...(isText || answer.body === undefined ? {} : { "content-type": "application/json" }),
    ...answer.headers
  })
  if (answer.endless !== true) return void response.end(body)
  const chunk = String(body === "" ? "x" : body).repeat(Math.ceil(16_384 / Math.max(1, String(body).length)))
  const pump = () => {
    while (!response.destroyed && response.write(chunk)) {
      // As fast as the client reads.
    }
  }
  response.on("drain", pump).on("error", () => {})
  pump()
}

/** What both kinds of server have. */
type Listening = Pick<FakeServer, "port" | "connections" | "openConnections" | "awaitOpenConnections" | "stop">

/** Listens on 127.0.0.1 (a free port, unless given) until the scope ends; then every connection is cut. */
const listen = (server: Net.Server, port: number): Effect.Effect<Listening, LabError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback((resume) => {
      let connections = 0
      const sockets = new Set<Net.Socket>()
      const watchers = new Set<() => void>()
      const changed = () => {
        for (const watcher of watchers) watcher()
      }
      server.on("connection", (socket: Net.Socket) => {
        connections += 1
        sockets.add(socket)
        socket.on("error", () => {}).on("close", () => {
          sockets.delete(socket)
          changed()
        })
        changed()
      })
      const stop = Effect.callback<void>((done) => {
        for (const socket of sockets) socket.destroy()
        if (!server.listening) return done(Effect.void)
        server.close(() => done(Effect.void))
      })
      server.once("error", (cause) => resume(Effect.fail(new LabError({ message: `cannot listen on ${port}`, cause }))))
      server.listen({ host: "127.0.0.1", port }, () => {
        const address = server.address()
        resume(Effect.succeed({
          port: address === null || typeof address === "string" ? 0 : address.port,
          connections: Effect.sync(() => connections),
          openConnections: Effect.sync(() => sockets.size),
          awaitOpenConnections: (count) =>
            Effect.callback((done) => {
              const look = () => {
                if (sockets.size !== count) return
                watchers.delete(look)
                done(Effect.void)
              }
              watchers.add(look)
              look()
              return Effect.sync(() => watchers.delete(look))
            }),
          stop
        }))
      })
    }),
    ({ stop }) => stop
  )

/** A loopback HTTP server that answers as told, and remembers what it was asked. Ends with the scope. */
export const http: (
  routes: Routes,
  options?: { readonly port?: number }
) => Effect.Effect<FakeServer, LabError, Scope.Scope> = Effect.fn("FakeServer.http")(
  function*(routes: Routes, options: { readonly port?: number } = {}) {
    const seen: Array<SeenRequest> = []
    const watchers = new Set<() => void>()
    let current = routes
    const server = Http.createServer((request, response) => {
      const summary: SeenRequest = { method: request.method ?? "", url: request.url ?? "", headers: request.headers }
      seen.push(summary)
      request.resume()
      for (const watcher of watchers) watcher()
      respond(answerOf(current, summary), response)
    })
    const listening = yield* listen(server, options.port ?? 0)
    const fake: FakeServer = {
      ...listening,
      url: `http://127.0.0.1:${listening.port}`,
      requests: Effect.sync(() => [...seen]),
      awaitRequest: (count) =>
        Effect.callback((resume) => {
          const look = () => {
            const request = seen[count - 1]
            if (request === undefined) return
            watchers.delete(look)
            resume(Effect.succeed(request))
          }
          watchers.add(look)
          look()
          return Effect.sync(() => watchers.delete(look))
        }),
      setRoutes: (next) =>
        Effect.sync(() => {
          current = next
        })
    }
    return fake
  }
)

/**
 * A loopback TCP server that does with each connection what `speak` says. What `speak` does not read is thrown away:
 * the end of a connection comes after its last byte, so one that is not read would never be seen to close. Ends with
 * the scope.
 */
export const tcp = Effect.fn("FakeServer.tcp")(
  function*(speak: (socket: Net.Socket) => void, options: { readonly port?: number } = {}) {
    const server = Net.createServer((socket) => {
      speak(socket)
      if (socket.readableFlowing === null) socket.resume()
    })
    return yield* listen(server, options.port ?? 0)
  }
)
