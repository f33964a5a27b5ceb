/**
 * What an answer of a health endpoint means, and what a whole round of answers
 * means when none of them is a valid one. Pure: the round itself is in
 * Discovery.
 */
import { Array, Data, Option, Order, Schema } from "effect"
import {
  type DiscoveryReason,
  NoAnswer,
  NotAnOpencodeServer,
  Unauthorized,
  UnexpectedStatus,
  Unhealthy
} from "../DiscoveryError.ts"
import type { LoopbackHttpError, LoopbackResponse } from "../LoopbackHttp.ts"
import type { Generation } from "../ServerInfo.ts"

/** A health endpoint that is tried. */
export interface Candidate {
  readonly path: string
  readonly generation: Generation
  /** What the released servers of today answer; the others are of a few old ones, and of foreign programs. */
  readonly likely: boolean
}

/**
 * Every endpoint, the likeliest first: requests leave in this order, so that
 * the others cost the likely one nothing. OpenCode 2 renamed its route twice.
 */
export const candidates: ReadonlyArray<Candidate> = [
  { path: "/global/health", generation: "v1", likely: true },
  { path: "/api/info", generation: "v2", likely: true },
  { path: "/api/status", generation: "v2", likely: false },
  { path: "/api/health", generation: "v2", likely: false },
  { path: "/health", generation: "generic", likely: false }
]

/** What one answer means. Texts are complete enough to follow "What answers on remote port N is not an OpenCode server:". */
export type Verdict = Data.TaggedEnum<{
  /** The minimum contract of the endpoint is kept. */
  Valid: { readonly generation: Generation; readonly version: string; readonly pid?: number }
  Unauthorized: {}
  Unhealthy: { readonly detail: string }
  /** A status that says neither health nor "no such page". */
  Status: { readonly status: number }
  /** 404 and its like: this endpoint does not exist there. */
  Missing: { readonly status: number }
  /** A complete HTTP answer that no OpenCode server gives; `kind` ranks it among others. */
  Foreign: { readonly kind: ForeignKind; readonly detail: string }
  /** What came is not HTTP. */
  NotHttp: { readonly detail: string }
  /** The connection ended without a complete answer. */
  Closed: { readonly detail: string }
  /** Nothing came until the budget was spent. */
  Silent: {}
}>
export const Verdict = Data.taggedEnum<Verdict>()

type ForeignKind = "page" | "json" | "redirect" | "other"

/** An answer of one endpoint in a round. */
export interface Answer {
  readonly path: string
  readonly verdict: Verdict
}

// A version is printed to terminals and compared: one line of sane length, or it is no version.
// eslint-disable-next-line no-control-regex -- control characters are what this refuses
const Version = Schema.String.check(Schema.isPattern(/^[^\u0000-\u001f\u007f-\u009f]{1,256}$/))

const isV1 = Schema.is(Schema.Struct({ healthy: Schema.Literal(true), version: Version }))
const isSickV1 = Schema.is(Schema.Struct({ healthy: Schema.Literal(false) }))
const isV2 = Schema.is(Schema.Struct({ version: Version, pid: Schema.Int }))
const isSickV2 = Schema.is(Schema.Struct({ healthy: Schema.Literal(false), version: Version, pid: Schema.Int }))
const isGeneric = Schema.is(Schema.Struct({ status: Schema.Literals(["ok", "healthy", "pass"]), version: Version }))
const isSickGeneric = Schema.is(Schema.Struct({ status: Schema.String, version: Version }))

const decodeJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))

/** Text of a stranger for our messages: one line without control or direction characters, at most 60 characters. */
const quoted = (text: string): string => {
  const line = text.replace(/[\p{C}\s]+/gu, " ").trim()
  return JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}…` : line)
}

/** The page's title helps a person to see which program it is. Only the beginning is looked at. */
const describePage = (body: string): string => {
  const title = /<title[^>]*>([^<]*)/i.exec(body.slice(0, 4096))?.[1]?.trim()
  return title === undefined || title === "" ? "it serves web pages" : `it serves web pages, titled ${quoted(title)}`
}

const judgeJson = ({ generation, path }: Candidate, json: unknown): Verdict => {
  switch (generation) {
    case "v1":
      if (isV1(json)) return Verdict.Valid({ generation, version: json.version })
      if (isSickV1(json)) return Verdict.Unhealthy({ detail: `${path} answers healthy: false` })
      break
    case "v2":
      if (isSickV2(json)) return Verdict.Unhealthy({ detail: `${path} answers healthy: false` })
      if (isV2(json)) return Verdict.Valid({ generation, version: json.version, pid: json.pid })
      break
    case "generic":
      if (isGeneric(json)) return Verdict.Valid({ generation, version: json.version })
      if (isSickGeneric(json)) {
        return Verdict.Unhealthy({ detail: `${path} answers status ${quoted(json.status)}` })
      }
  }
  return Verdict.Foreign({ kind: "json", detail: `the JSON of ${path} is not a health answer of OpenCode` })
}

/** Of a server that is there for TLS only. */
export const wantsTls = "it wants TLS (https)"

/** Judges the answer to `GET candidate.path`. Fields beyond the contract are ignored. */
export const judge = (candidate: Candidate, response: LoopbackResponse): Verdict => {
  const { body, headers, status, truncated } = response
  if (status === 401) return Verdict.Unauthorized()
  if (status === 404 || status === 405 || status === 410) return Verdict.Missing({ status })
  if (status >= 300 && status < 400) {
    return Verdict.Foreign({ kind: "redirect", detail: `it redirects ${candidate.path} (status ${status})` })
  }
  if (status === 426) {
    return Verdict.Foreign({ kind: "other", detail: `${candidate.path} wants another protocol (status 426)` })
  }
  // What web servers answer to a plain request on their TLS port.
  if (status === 400 && /\bHTTPS\b/i.test(body)) return Verdict.NotHttp({ detail: wantsTls })
  if (status < 200 || status >= 300) return Verdict.Status({ status })
  const type = (headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? ""
  if (type === "text/html") return Verdict.Foreign({ kind: "page", detail: describePage(body) })
  const other = (detail: string) => Verdict.Foreign({ kind: "other", detail: `${candidate.path} answers ${detail}` })
  if (status !== 200) return other(`with status ${status}`)
  if (type !== "application/json") return other(type === "" ? "without a content type" : `with ${quoted(type)}`)
  if (truncated) return other("with more than a health answer can hold")
  return Option.match(decodeJson(body), {
    onNone: () => other("with text that is not JSON"),
    onSome: (json) => judgeJson(candidate, json)
  })
}

/** Judges a request that got no complete answer. */
export const judgeFailure = (error: LoopbackHttpError): Verdict =>
  error.problem === "malformed"
    ? Verdict.NotHttp({ detail: `it does not speak HTTP (${error.detail})` })
    : Verdict.Closed({ detail: error.detail })

/** What {@link conclude} needs to know of the round. */
export interface Round {
  readonly remotePort: number
  /** Whether credentials were sent. */
  readonly authorized: boolean
  /** Milliseconds since its beginning. */
  readonly waited: number
  /** Whether it was seen to speak TLS; asked only when every connection was closed. */
  readonly speaksTls?: boolean
}

/** Statuses of a server that may give another answer soon. */
const isTemporary = (status: number): boolean => status >= 500 || status === 408 || status === 425 || status === 429

const position = (path: string): number => candidates.findIndex((candidate) => candidate.path === path)

const foreignKinds: ReadonlyArray<ForeignKind> = ["page", "json", "redirect", "other"]

/**
 * What a round without a valid answer means. The order of `answers` does not
 * matter; the first rule that applies decides, and among equals the likeliest
 * candidate:
 *
 * 1. A 401: the server wants a password, whatever else it answered.
 * 2. A health answer that says "not healthy".
 * 3. A temporary status (5xx, 408, 425, 429): OpenCode 2 answers so while it starts.
 * 4. Bytes that are not HTTP, or TLS: OpenCode never speaks so.
 * 5. Silence or a closed connection: what is missing might have been the valid
 *    answer, so it is not yet "another server", which is never tried again.
 * 6. A complete answer that is not OpenCode's: web pages first, as their title
 *    tells most, then foreign JSON, redirects, the rest.
 * 7. Another status (403, 400, …).
 * 8. Nothing but 404: a web server without any health endpoint.
 */
export const conclude = (answers: ReadonlyArray<Answer>, round: Round): DiscoveryReason => {
  const { authorized, remotePort, speaksTls = false, waited } = round
  const sorted = Array.sort(answers, Order.mapInput(Order.Number, (answer: Answer) => position(answer.path)))
  const all = <Tag extends Verdict["_tag"]>(tag: Tag) =>
    sorted.flatMap(({ path, verdict }) =>
      Verdict.$is(tag)(verdict) ? [{ path, verdict: verdict as Extract<Verdict, { readonly _tag: Tag }> }] : []
    )
  if (all("Unauthorized").length > 0) {
    return new Unauthorized({ remotePort, credentials: authorized ? "refused" : "none" })
  }
  const unhealthy = all("Unhealthy")[0]
  if (unhealthy !== undefined) return new Unhealthy({ remotePort, detail: unhealthy.verdict.detail })

  const statuses = all("Status").map(({ path, verdict }) => ({ path, status: verdict.status }))
  const temporary = statuses.find(({ status }) => isTemporary(status))
  if (temporary !== undefined) return new UnexpectedStatus({ remotePort, ...temporary })

  const notHttp = all("NotHttp")[0]
  if (notHttp !== undefined) return new NotAnOpencodeServer({ remotePort, detail: notHttp.verdict.detail })

  if (speaksTls) return new NotAnOpencodeServer({ remotePort, detail: wantsTls })

  const closed = all("Closed")[0]
  const silent = all("Silent")
  if (closed !== undefined || silent.length > 0 || sorted.length === 0) {
    const answered = sorted.length > all("Closed").length + silent.length
    const detail = closed !== undefined
      ? `a connection was closed: ${closed.verdict.detail}`
      : answered
      ? `nothing came for ${silent.map(({ path }) => path).join(", ")}`
      : undefined
    return new NoAnswer({ remotePort, waited, ...(detail === undefined ? undefined : { detail }) })
  }
  const foreign = foreignKinds.flatMap((kind) => all("Foreign").filter(({ verdict }) => verdict.kind === kind))[0]
  if (foreign !== undefined) return new NotAnOpencodeServer({ remotePort, detail: foreign.verdict.detail })

  const other = statuses[0]
  if (other !== undefined) return new UnexpectedStatus({ remotePort, ...other })

  return new NotAnOpencodeServer({ remotePort, detail: "it has none of OpenCode's health endpoints" })
}

/**
 * Whether sshd may yet say that it opened none of the connections: nothing of
 * the other program was seen. Any other answer proves that the port is open.
 */
export const mayBeRejected = (answers: ReadonlyArray<Answer>): boolean =>
  answers.every(({ verdict }) => verdict._tag === "Closed")
