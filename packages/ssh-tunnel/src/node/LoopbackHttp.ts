/**
 * {@link LoopbackHttp} by `node:http`, on Node and on Bun.
 *
 * Always with an agent of our own: the global agent (with
 * `NODE_USE_ENV_PROXY=1`) and `fetch` (on Bun) send requests for 127.0.0.1 to
 * `HTTP_PROXY`, credentials included.
 */
import { Deferred, Duration, Effect, Exit, FiberSet, Layer, Redacted } from "effect"
import * as Http from "node:http"
import * as Net from "node:net"
import {
  LoopbackHttp,
  LoopbackHttpError,
  type LoopbackReply,
  type LoopbackRequest,
  type LoopbackResponse
} from "../LoopbackHttp.ts"
import { Timing } from "../Schedules.ts"

const address = "127.0.0.1"

const defaultMaxBytes = 64 * 1024

/** Bytes of a request's or an answer's head. Node's default, which `NODE_OPTIONS` could change. */
const maxHeaderSize = 16 * 1024

const flatten = (headers: Http.IncomingHttpHeaders): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, typeof value === "string" ? value : value.join(", ")]]
    )
  )

/** What a peer that does not speak HTTP said first: its first line, when that is text. */
const greeting = (packet: unknown): string => {
  if (!(packet instanceof Uint8Array)) return ""
  const line = new TextDecoder().decode(packet.subarray(0, 80)).split(/[\r\n]/)[0] ?? ""
  return /^[\x20-\x7e]{3,}$/.test(line) ? `; it sent ${JSON.stringify(line)}` : ""
}

const failure = (request: LoopbackRequest, cause: NodeJS.ErrnoException & { readonly rawPacket?: unknown }) => {
  const isMalformed = cause.code?.startsWith("HPE_") === true
  return new LoopbackHttpError({
    port: request.port,
    path: request.path,
    problem: isMalformed ? "malformed" : cause.code === "ECONNREFUSED" ? "refused" : "closed",
    detail: isMalformed ? `${cause.message}${greeting(cause.rawPacket)}` : cause.message
  })
}

/** Makes one request; `onSocket` sees its connection. Interruption closes the connection. */
const send = (
  request: LoopbackRequest,
  agent: Http.Agent,
  onSocket: (socket: Net.Socket) => void = () => {}
): Effect.Effect<LoopbackResponse, LoopbackHttpError> =>
  Effect.callback((resume) => {
    const maxBytes = request.maxBytes ?? defaultMaxBytes
    const outgoing = Http.request({
      agent,
      host: address,
      port: request.port,
      path: request.path,
      method: "GET",
      maxHeaderSize,
      headers: {
        accept: "application/json",
        ...(request.authorization === undefined
          ? undefined
          : { authorization: Redacted.value(request.authorization) })
      }
    })
    const fail = (cause: Error) => resume(Effect.fail(failure(request, cause)))
    const answer = (incoming: Http.IncomingMessage, chunks: ReadonlyArray<Uint8Array>, truncated: boolean) =>
      resume(Effect.sync(() => ({
        status: incoming.statusCode ?? 0,
        headers: flatten(incoming.headers),
        body: Buffer.concat(chunks).toString("utf8"),
        truncated
      })))
    outgoing.once("socket", onSocket)
    outgoing.on("error", fail)
    // An upgrade that nobody asked for is an answer without a body; what follows is not HTTP.
    outgoing.once("upgrade", (incoming, socket) => {
      socket.destroy()
      answer(incoming, [], false)
    })
    outgoing.once("response", (incoming) => {
      const chunks: Array<Uint8Array> = []
      let room = maxBytes
      incoming.on("data", (chunk: Uint8Array) => {
        chunks.push(chunk.subarray(0, room))
        if (chunk.length > room) {
          answer(incoming, chunks, true)
          outgoing.destroy()
        }
        room -= chunk.length
      })
      incoming.once("end", () => answer(incoming, chunks, false))
      incoming.on("error", fail)
    })
    outgoing.end()
    return Effect.sync(() => outgoing.destroy())
  })

/** An agent whose idle connections stay: not unref'd (a scope holds them), and not closed by a server's hint. */
const makeHoldingAgent = Effect.acquireRelease(
  Effect.sync(() => {
    const agent = new Http.Agent({ keepAlive: true, maxSockets: 1 })
    agent.keepSocketAlive = () => true
    return agent
  }),
  (agent) => Effect.sync(() => agent.destroy())
)

const hold = Effect.fn("LoopbackHttp.hold")(function*(request: LoopbackRequest) {
  const agent = yield* makeHoldingAgent
  const closed = yield* Deferred.make<void>()
  const response = yield* send(request, agent, (socket) => {
    socket.once("close", () => Deferred.doneUnsafe(closed, Exit.void))
  })
  return { response, closed: Deferred.await(closed) }
})

/** A client's first message of TLS 1.2 without extensions (RFC 5246 §7.4.1.2), in its record. */
const clientHello = (() => {
  const random = new Uint8Array(32)
  const cipherSuites = [0x00, 0x04, 0xc0, 0x2f, 0x00, 0x9c]
  const body = [0x03, 0x03, ...random, 0x00, ...cipherSuites, 0x01, 0x00]
  return Uint8Array.from([0x16, 0x03, 0x01, 0x00, body.length + 4, 0x01, 0x00, 0x00, body.length, ...body])
})()

/** The two kinds of record that may come back: a handshake or an alert; then the major version of every TLS. */
const isTlsRecord = (bytes: Uint8Array): boolean => (bytes[0] === 0x16 || bytes[0] === 0x15) && bytes[1] === 0x03

const speaksTls = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ host: address, port })
    const answer = (value: boolean) => {
      socket.destroy()
      resume(Effect.succeed(value))
    }
    socket.once("connect", () => socket.write(clientHello))
    socket.once("data", (bytes: Uint8Array) => answer(isTlsRecord(bytes)))
    socket.on("error", () => answer(false)).once("end", () => answer(false)).once("close", () => answer(false))
    return Effect.sync(() => socket.destroy())
  })

const text = (status: number, body: string): LoopbackReply => ({
  status,
  headers: { "content-type": "text/plain; charset=utf-8" },
  body: `${body}\n`
})

/** The reply to a request that no handler may see; `undefined` when it is in order. */
const refusal = (request: Http.IncomingMessage): LoopbackReply | undefined => {
  const names = [address, "localhost"].map((name) => `${name}:${request.socket.localPort}`)
  const hosts = request.rawHeaders.filter((_, index, all) =>
    index % 2 === 1 && all[index - 1]?.toLowerCase() === "host"
  )
  // A page of another name that DNS was made to point here must not be answered (DNS rebinding).
  const isOurs = hosts.length === 1 && names.includes(hosts[0]?.toLowerCase() ?? "")
  if (!isOurs || request.url?.startsWith("/") !== true) return text(421, "Misdirected request")
  if (request.method !== "GET") return { ...text(405, "Method not allowed"), headers: { allow: "GET" } }
  return undefined
}

const write = (response: Http.ServerResponse, { body = "", headers, status }: LoopbackReply): void => {
  const bytes = Buffer.from(body, "utf8")
  response.writeHead(status, { ...headers, "content-length": bytes.length, connection: "close" }).end(bytes)
}

/**
 * Listens on a free port until the scope closes; then every connection is cut.
 * A connection has `limit` for its one request and the answer.
 *
 * The listener is `node:net`'s: Bun's HTTP server does not tell of a connection
 * before its first byte, so nobody could limit or cut it.
 */
const listen = (limit: Duration.Duration, onRequest: Http.RequestListener) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly close: Effect.Effect<void> }, LoopbackHttpError>((resume) => {
      const http = Http.createServer({ maxHeaderSize }, onRequest)
      const sockets = new Set<Net.Socket>()
      const server = Net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
        const timer = setTimeout(() => socket.destroy(), Duration.toMillis(limit))
        sockets.add(socket)
        socket.once("close", () => {
          clearTimeout(timer)
          sockets.delete(socket)
        })
        http.emit("connection", socket)
      })
      const close = Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
      server.once("error", ({ message }) =>
        resume(Effect.fail(new LoopbackHttpError({ port: 0, path: "", problem: "refused", detail: message }))))
      server.listen({ host: address, port: 0, exclusive: true }, () => {
        const bound = server.address()
        resume(Effect.succeed({ port: typeof bound === "object" && bound !== null ? bound.port : 0, close }))
      })
    }),
    ({ close }) =>
      close
  )

const make = Effect.gen(function*() {
  const timing = yield* Timing
  const agent = yield* Effect.acquireRelease(
    Effect.sync(() => new Http.Agent({ keepAlive: false })),
    (agent) => Effect.sync(() => agent.destroy())
  )

  const get = Effect.fn("LoopbackHttp.get")((request: LoopbackRequest) => send(request, agent))

  const serve: LoopbackHttp["Service"]["serve"] = Effect.fn("LoopbackHttp.serve")(function*(handler) {
    const run = yield* FiberSet.makeRuntime()
    const { port } = yield* listen(timing.pageRequest, (request, response) => {
      const refused = refusal(request)
      if (refused !== undefined) return write(response, refused)
      const fiber = run(
        handler({ path: request.url ?? "/", headers: flatten(request.headers) }).pipe(
          Effect.map((reply) => write(response, reply)),
          Effect.catchCause(() =>
            Effect.sync(() => response.headersSent ? response.destroy() : write(response, text(500, "Internal error")))
          )
        )
      )
      response.once("close", () => fiber.interruptUnsafe())
    })
    return { port }
  })

  return LoopbackHttp.of({ get, hold, serve, speaksTls })
})

/** See the module. */
export const layer: Layer.Layer<LoopbackHttp> = Layer.effect(LoopbackHttp, make)
