/** The answers of the window's server, and the headers that all of them carry. */
import * as Http from "node:http"
import type { Duplex } from "node:stream"
import type { StaticFiles } from "./staticFiles.ts"

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly type: string
}

/**
 * Only our own files, and connections to our own origin (`'self'` includes its
 * WebSocket, CSP 3 §6.7.2.8). No inline script or style, no frame around or in
 * it, no form, no `<base>` that would lead the window's relative addresses away.
 */
export const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")

const everywhere = {
  "content-security-policy": contentSecurityPolicy,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY"
}

const noStore = { "cache-control": "no-store" }

export const text = (status: number, body: string, headers: Readonly<Record<string, string>> = {}): Reply => ({
  status,
  headers: { ...noStore, ...headers },
  type: "text/plain; charset=utf-8",
  body: Buffer.from(`${body}\n`)
})

/** The file of a path, or what stands for it. `known` is the request's `If-None-Match`. */
export const fileReply = (files: StaticFiles, path: string, known: string | undefined): Reply => {
  const file = files.get(path === "/" ? "/index.html" : path)
  if (file === undefined) return text(404, "There is nothing here.")
  const { bytes, etag, type } = file
  if (type.startsWith("text/html")) return { status: 200, headers: noStore, type, body: bytes }
  const headers = { "cache-control": "no-cache", etag }
  return known === etag
    ? { status: 304, headers, type, body: new Uint8Array() }
    : { status: 200, headers, type, body: bytes }
}

/** One request per connection. */
const headersOf = ({ body, headers, status, type }: Reply): Record<string, string> => ({
  ...everywhere,
  "content-type": type,
  ...(status === 304 ? undefined : { "content-length": String(body.length) }),
  ...headers,
  connection: "close"
})

export const write = (request: Http.IncomingMessage, response: Http.ServerResponse, reply: Reply): void => {
  response.writeHead(reply.status, headersOf(reply)).end(request.method === "HEAD" ? undefined : reply.body)
}

/** The answer to an upgrade that is refused: there is no `ServerResponse` for those. */
export const writeUpgrade = (socket: Duplex, reply: Reply): void => {
  const head = Object.entries(headersOf(reply)).map(([name, value]) => `${name}: ${value}\r\n`).join("")
  socket.write(`HTTP/1.1 ${reply.status} ${Http.STATUS_CODES[reply.status] ?? ""}\r\n${head}\r\n`)
  socket.end(reply.body)
}
