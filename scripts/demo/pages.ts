/** What the demo asks of the server through the tunnel. */
import type { ServerEndpoint } from "@opencode-ai/ssh-tunnel/Connections"
import type { Connected } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { LoopbackHttp } from "@opencode-ai/ssh-tunnel/LoopbackHttp"
import { Effect, Option } from "effect"
import * as Sanitize from "../../packages/cli/src/Sanitize.ts"

const healthPaths = { v1: "/global/health", v2: "/api/health", generic: "/health" } as const

/** Bytes of a page that are read at most: OpenCode's is some kilobytes. */
const pageLimit = 4 * 1024 * 1024

export interface Page {
  readonly path: string
  readonly status: number
  /** The start of the body, or a web page's title and size, in one harmless line. */
  readonly summary: string
  readonly milliseconds: number
}

const size = (bytes: number): string => bytes < 1024 ? `${bytes} bytes` : `${(bytes / 1024).toFixed(1)} KiB`

/** One line about a body: `"OpenCode", 4.2 KiB` for a web page, the first 80 characters of anything else. */
export const summarize = (body: string): string => {
  const title = /<title[^>]*>([^<]*)<\/title>/i.exec(body)?.[1]?.trim()
  const text = title === undefined
    ? body.trim().slice(0, 80)
    : `${JSON.stringify(title)}, ${size(Buffer.byteLength(body))}`
  return Sanitize.line(text)
}

/** The server's health and its web app, both as a browser gets them: through the tunnel, signed in. */
export const visit = Effect.fnUntraced(function*(state: Connected, { credentials }: ServerEndpoint) {
  const http = yield* LoopbackHttp
  const authorization = Option.match(credentials, {
    onNone: () => ({}),
    onSome: ({ authorization }) => ({ authorization })
  })
  const get = Effect.fnUntraced(function*(path: string) {
    const begun = performance.now()
    const { body, status } = yield* http.get({ port: state.localPort, path, maxBytes: pageLimit, ...authorization })
    const page: Page = { path, status, summary: summarize(body), milliseconds: performance.now() - begun }
    return page
  })
  return { health: yield* get(healthPaths[state.generation]), app: yield* get("/") }
})
