/** Which requests to the window's server are answered: pure, by their heads alone. */
import type * as Http from "node:http"
import { type Reply, text } from "./replies.ts"

/** What a request is held against. */
export interface Site {
  /** `127.0.0.1:PORT`. */
  readonly host: string
  readonly origin: string
  /** The cookie's name; it tells servers on one host apart. */
  readonly cookie: string
  /** The cookie's path, which is the window's, without the slash at its end. */
  readonly path: string
  readonly isSecret: (given: string) => boolean
}

export type Verdict =
  | { readonly _tag: "Refused"; readonly reply: Reply }
  /** Somebody brings a ticket; whether it is good is not known here. */
  | { readonly _tag: "FirstVisit"; readonly ticket: string }
  /** `path` is what follows the window's own path: decoded, without the query. */
  | { readonly _tag: "Admitted"; readonly path: string }

/** What is looked at of a request. */
export type RequestHead = Pick<Http.IncomingMessage, "method" | "url" | "rawHeaders" | "headers">

export const refuse = (status: number, reason: string) => ({ _tag: "Refused", reply: text(status, reason) }) as const

/** Every value of a header: `headers` keeps the first of some, and joins others. */
const valuesOf = ({ rawHeaders }: RequestHead, name: string): ReadonlyArray<string> =>
  rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name)

/** RFC 6265 §4.2.1. A name may come several times: any server on this host can set one. */
const cookiesOf = (request: RequestHead, name: string): ReadonlyArray<string> =>
  valuesOf(request, "cookie").join(";").split(";").map((pair) => pair.trim())
    .filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1))

/** How many cookies of our name are looked at: each costs a digest. */
const mostCookies = 8

const decode = (path: string): string | undefined => {
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

/** See `WebSocketServer` for the reasons. */
export const judge = (request: RequestHead, site: Site): Verdict => {
  const target = request.url ?? ""
  const hosts = valuesOf(request, "host")
  if (hosts.length !== 1 || hosts[0]?.toLowerCase() !== site.host) return refuse(421, "This is another host's server.")
  const isUpgrade = valuesOf(request, "upgrade").length > 0
  const origins = valuesOf(request, "origin")
  if (origins.some((origin) => origin !== site.origin) || origins.length > 1 || (isUpgrade && origins.length === 0)) {
    return refuse(403, "No other origin may ask this server.")
  }
  if (valuesOf(request, "sec-fetch-site").some((from) => from !== "same-origin" && from !== "none")) {
    return refuse(403, "No other site may lead here. Copy the address into the address bar.")
  }
  if (!target.startsWith("/")) return refuse(400, "This is no path.")
  if (request.method !== "GET" && (request.method !== "HEAD" || isUpgrade)) {
    return { _tag: "Refused", reply: text(405, "Only GET.", { allow: "GET, HEAD" }) }
  }
  const [before = "", query] = target.split("?", 2)
  // Whoever only asks for the head (a preview, say) must not use up the ticket.
  if (before === "/" && query?.startsWith("ticket=") === true && request.method === "GET") {
    return { _tag: "FirstVisit", ticket: query.slice("ticket=".length) }
  }
  if (!cookiesOf(request, site.cookie).slice(0, mostCookies).some(site.isSecret)) {
    return refuse(403, "Open this window from the application.")
  }
  const path = decode(before)
  if (path === undefined) return refuse(400, "This is no path.")
  return { _tag: "Admitted", path: path.startsWith(`${site.path}/`) ? path.slice(site.path.length) : path }
}
