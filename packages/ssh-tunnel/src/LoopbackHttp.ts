/**
 * HTTP to and on 127.0.0.1, and nowhere else. Never through a proxy (a global
 * `fetch` would hand `Authorization` to `HTTP_PROXY`), follows no redirect,
 * reads a bounded body.
 */
import { Context, type Effect, Layer, type Redacted, Schema, type Scope } from "effect"

/** The request got no complete answer: refused, reset, ended early. `detail` is the platform's text. */
export class LoopbackHttpError extends Schema.TaggedError<LoopbackHttpError>()("LoopbackHttpError", {
  port: Schema.Int,
  path: Schema.String,
  /** `refused`: nobody accepts; `closed`: accepted, then closed or reset without an answer; `malformed`: not HTTP. */
  problem: Schema.Literals(["refused", "closed", "malformed"]),
  detail: Schema.String
}) {
  override get message() {
    return `GET http://127.0.0.1:${this.port}${this.path}: ${this.detail}`
  }
}

/** An answer; header names are lower-case. `truncated`: the body was longer than what was read. */
export interface LoopbackResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly truncated: boolean
}

/** A GET request to 127.0.0.1. */
export interface LoopbackRequest {
  readonly port: number
  readonly path: string
  readonly authorization?: Redacted.Redacted<string>
  /** Bytes of the body to read at most; 64 KiB when absent. The rest is not waited for. */
  readonly maxBytes?: number
}

/** An answer of a page that we serve. */
export interface LoopbackReply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/**
 * See the module. Interrupting a request closes its socket; there is no time
 * limit but the caller's.
 */
export class LoopbackHttp extends Context.Service<LoopbackHttp, {
  readonly get: (request: LoopbackRequest) => Effect.Effect<LoopbackResponse, LoopbackHttpError>
  /**
   * Whether what listens on this port answers the first message of TLS by one of TLS. For a server that closes every
   * plain request: many TLS servers do so, without a word.
   */
  readonly speaksTls: (port: number) => Effect.Effect<boolean>
  /**
   * Makes the request on a connection of its own and keeps that connection idle
   * afterwards. The returned effect completes when the other end closes it:
   * through a forward a dying server's FIN arrives within some 40 ms.
   *
   * **Gotchas**
   *
   * A live server may close an idle connection too (OpenCode keeps it for more
   * than 200 s), or keep none at all; then, and when the body was longer than
   * `maxBytes`, it is over at once. So an end is a reason to probe, not a verdict.
   */
  readonly hold: (
    request: LoopbackRequest
  ) => Effect.Effect<
    { readonly response: LoopbackResponse; readonly closed: Effect.Effect<void> },
    LoopbackHttpError,
    Scope.Scope
  >
  /**
   * Serves GET requests on 127.0.0.1 and a free port until the scope closes.
   * Only requests whose Host is 127.0.0.1 or localhost with that port are
   * passed on (else 421; another method is 405); `path` includes the query.
   * One request per connection, within `Timing.pageRequest`. A handler that
   * dies is an answer of 500; one whose client goes away is interrupted.
   */
  readonly serve: (
    handler: (
      request: { readonly path: string; readonly headers: Readonly<Record<string, string>> }
    ) => Effect.Effect<LoopbackReply>
  ) => Effect.Effect<{ readonly port: number }, LoopbackHttpError, Scope.Scope>
}>()("@opencode-ai/ssh-tunnel/LoopbackHttp") {
  /** Answers with what is given; members that are not given die when they are used. */
  static readonly layerMock = (service: Partial<LoopbackHttp["Service"]>): Layer.Layer<LoopbackHttp> =>
    Layer.mock(LoopbackHttp, service)
}
