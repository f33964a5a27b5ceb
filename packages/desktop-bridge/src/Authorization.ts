/**
 * Puts the server's password on the requests of the application's own windows, so that no window ever holds it: for
 * Electron's `session.webRequest.onBeforeSendHeaders` and the `login` event of `app`.
 *
 * **Details**
 *
 * A request gets the header only if all of this holds:
 *
 * - it goes to exactly the origin of a profile that is `Connected` now: `http://127.0.0.1:<port>` (or `ws:`), not a
 *   prefix of it, not another name of this machine, no user name in the URL;
 * - whoever makes it is the application's own page or a page of that very server: its frame and every frame around it,
 *   its `Origin` and its referrer, as far as they are known, and at least one of them is. A page of another server,
 *   reached through another profile, is a stranger;
 * - a new page is opened by GET.
 *
 * A header of ours on a request to anywhere else (a redirect that kept it) is taken away.
 *
 * **Gotchas**
 *
 * A page that a stranger opened in a window of the application is a stranger: the page decides, not the window. Only
 * for the first page of an empty window does the window count, see {@link Policy}`.isOwnWindow`.
 */
import { Connections } from "@opencode-ai/ssh-tunnel/Connections"
import type { Credentials } from "@opencode-ai/ssh-tunnel/Credentials"
import { Context, Effect, HashMap, HashSet, Layer, Option, Redacted, Ref, Stream } from "effect"

/** A frame, as Electron's `WebFrameMain` describes it. */
export interface RequestFrame {
  readonly url: string
  /** Absent before Electron 27. */
  readonly origin?: string
  readonly parent?: RequestFrame | null
}

/** What is used of the details of `onBeforeSendHeaders`. */
export interface WebRequest {
  readonly url: string
  readonly method: string
  readonly resourceType?: string
  readonly referrer?: string
  readonly requestHeaders: Readonly<Record<string, string | Array<string>>>
  readonly webContentsId?: number
  readonly frame?: RequestFrame | null
}

/** What is used of the arguments of the `login` event. */
export interface LoginRequest {
  /** The URL that answered 401. */
  readonly url: string
  readonly isProxy: boolean
  readonly scheme: string
  readonly host: string
  readonly port: number
  /** `false`: what was given before was wrong. */
  readonly firstAuthAttempt?: boolean
  /** The page that is shown now: `webContents.getURL()`. */
  readonly page: string
  readonly webContentsId?: number
}

/** Whose requests are the application's own. */
export interface Policy {
  /** Origins of its pages: `oc://renderer`, in development `http://localhost:5173`. Never a pattern. */
  readonly origins: ReadonlyArray<string>
  /**
   * Whether a window was made by the application to show a server's page. Such a window may go there while it is still
   * empty. Default: none.
   */
  readonly isOwnWindow?: (webContentsId: number) => boolean
}

/** A server that is connected now. */
export interface Target {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  readonly credentials: Credentials
}

/** What to do with a request. */
export type Decision =
  | { readonly _tag: "Add"; readonly authorization: Redacted.Redacted<string> }
  | { readonly _tag: "Strip"; readonly header: string }
  | { readonly _tag: "Leave" }

const leave: Decision = { _tag: "Leave" }

/** `scheme://host:port`, also of schemes that WHATWG URLs give no origin; `undefined` for what has none (`data:`, `about:`). */
export const originOf = (url: string): string | undefined => {
  if (!URL.canParse(url)) return undefined
  const { host, protocol } = new URL(url)
  if (protocol === "file:") return "file://"
  return host === "" || protocol === "blob:" || protocol === "filesystem:" ? undefined : `${protocol}//${host}`
}

const isBlank = (url: string): boolean => url === "" || url === "about:blank"

/** Whether an origin is one of the application's pages', which may be written as addresses. */
const isListed = (origin: string, { origins }: Policy): boolean => origins.some((listed) => originOf(listed) === origin)

/** The target that a URL belongs to, exactly. */
const targetOf = (url: string, targets: ReadonlyArray<Target>): Target | undefined => {
  if (!URL.canParse(url)) return undefined
  const { host, hostname, password, protocol, username } = new URL(url)
  if (hostname !== "127.0.0.1" || username !== "" || password !== "") return undefined
  return protocol === "http:" || protocol === "ws:"
    ? targets.find((target) => target.url === `http://${host}`)
    : undefined
}

const headerName = (headers: WebRequest["requestHeaders"], name: string): string | undefined =>
  Object.keys(headers).find((key) => key.toLowerCase() === name)

const firstValue = (value: string | ReadonlyArray<string> | undefined): string | undefined =>
  typeof value === "string" ? value : value?.[0]

/** The origins of a frame and of those around it; an origin that is `null` or unknown is `undefined`. */
const frameOrigins = (frame: RequestFrame): ReadonlyArray<string | undefined> => {
  const origin = frame.origin === undefined || isBlank(frame.origin) ? originOf(frame.url) : originOf(frame.origin)
  return [origin, ...(frame.parent === undefined || frame.parent === null ? [] : frameOrigins(frame.parent))]
}

/** A top window that shows nothing yet. */
const isEmptyWindow = ({ origin, parent, url }: RequestFrame): boolean =>
  isBlank(url) && (parent === undefined || parent === null) && (origin === undefined || originOf(origin) === undefined)

/** Everything that is known about who asks, or `undefined` when the window is still empty. */
const askers = (request: WebRequest): ReadonlyArray<string | undefined> | undefined => {
  const { frame, referrer, requestHeaders } = request
  const origin = firstValue(requestHeaders[headerName(requestHeaders, "origin") ?? ""])
  const said = [
    ...(origin === undefined ? [] : [originOf(origin)]),
    ...(referrer === undefined || referrer === "" ? [] : [originOf(referrer)])
  ]
  if (frame === undefined || frame === null) return said
  if (isEmptyWindow(frame)) return said.length === 0 ? undefined : said
  return [...frameOrigins(frame), ...said]
}

const isOwn = (request: WebRequest, target: Target, policy: Policy): boolean => {
  const navigates = request.resourceType === "mainFrame"
  if (navigates && request.method !== "GET") return false
  const known = askers(request)
  if (known === undefined) {
    return navigates && request.webContentsId !== undefined && policy.isOwnWindow?.(request.webContentsId) === true
  }
  return known.length > 0 &&
    known.every((origin) => origin !== undefined && (origin === target.url || isListed(origin, policy)))
}

/** The server that somebody asks who may not have its password: a challenge follows. A preflight gets none. */
const refusedBy = (request: WebRequest, targets: ReadonlyArray<Target>, { _tag }: Decision): string | undefined =>
  _tag !== "Leave" || request.method === "OPTIONS" || headerName(request.requestHeaders, "authorization") !== undefined
    ? undefined
    : targetOf(request.url, targets)?.url

/** Decides about one request. Pure; a frame that is gone (Electron throws then) is a stranger. */
export const decide = (request: WebRequest, targets: ReadonlyArray<Target>, policy: Policy): Decision => {
  const target = targetOf(request.url, targets)
  const header = headerName(request.requestHeaders, "authorization")
  if (header !== undefined) {
    const value = firstValue(request.requestHeaders[header])
    const owners = targets.filter(({ credentials }) => Redacted.value(credentials.authorization) === value)
    return owners.length === 0 || owners.some((owner) => owner === target) ? leave : { _tag: "Strip", header }
  }
  // A preflight carries no credentials (Fetch §4.8).
  if (target === undefined || request.method === "OPTIONS") return leave
  try {
    return isOwn(request, target, policy) ? { _tag: "Add", authorization: target.credentials.authorization } : leave
  } catch {
    return leave
  }
}

/** The credentials for a challenge, under the same conditions; never a second time, never for a proxy. */
export const answer = (
  request: LoginRequest,
  targets: ReadonlyArray<Target>,
  policy: Policy
): Credentials | undefined => {
  const target = targetOf(request.url, targets)
  if (target === undefined || request.isProxy || request.scheme.toLowerCase() !== "basic") return undefined
  if (request.firstAuthAttempt === false || `http://${request.host}:${request.port}` !== target.url) return undefined
  const page = originOf(request.page)
  const own = isBlank(request.page)
    ? request.webContentsId !== undefined && policy.isOwnWindow?.(request.webContentsId) === true
    : page !== undefined && (page === target.url || isListed(page, policy))
  return own ? target.credentials : undefined
}

/** See the module. */
export class Authorization extends Context.Service<Authorization, {
  /** The headers that the request should have instead of its own; `None`: they are fine. */
  readonly headers: (request: WebRequest) => Effect.Effect<Option.Option<Record<string, string | Array<string>>>>
  /**
   * What to answer a challenge; `None`: nothing, the request stays without.
   *
   * **Gotchas**
   *
   * Electron tells the page that is shown and not the frame that asks, so that a stranger's frame in our page would
   * count as our page. So no challenge of a server is answered once `headers` has refused a request to it; and in a
   * session that `headers` does not see, none should be. What is given, Chromium keeps, and gives to every request to
   * that origin.
   */
  readonly login: (request: LoginRequest) => Effect.Effect<Option.Option<Credentials>>
}>()("@opencode-ai/desktop-bridge/Authorization") {
  /** Needs Connections. */
  static readonly layer = (policy: Policy): Layer.Layer<Authorization, never, Connections> =>
    Layer.effect(
      Authorization,
      Effect.gen(function*() {
        const connections = yield* Connections
        /** Servers that a stranger has asked, by their URLs: as many as there are ports at most. */
        const asked = yield* Ref.make(HashSet.empty<string>())

        /** As they are at this moment: whoever is not connected any more has no endpoint. */
        const targets = Effect.gen(function*() {
          const states = Option.getOrElse(yield* Stream.runHead(connections.states), () => HashMap.empty())
          const endpoints = yield* Effect.forEach(HashMap.keys(states), connections.endpoint)
          return endpoints.flatMap((endpoint): ReadonlyArray<Target> =>
            Option.isSome(endpoint) && Option.isSome(endpoint.value.credentials)
              ? [{ url: endpoint.value.url, credentials: endpoint.value.credentials.value }]
              : []
          )
        })

        return Authorization.of({
          headers: (request) =>
            Effect.gen(function*() {
              const present = yield* targets
              const decision = decide(request, present, policy)
              const refused = refusedBy(request, present, decision)
              if (refused !== undefined) yield* Ref.update(asked, HashSet.add(refused))
              switch (decision._tag) {
                case "Leave":
                  return Option.none()
                case "Strip":
                  return Option.some(
                    Object.fromEntries(
                      Object.entries(request.requestHeaders).filter(([name]) => name !== decision.header)
                    )
                  )
                case "Add":
                  return Option.some({
                    ...request.requestHeaders,
                    Authorization: Redacted.value(decision.authorization)
                  })
              }
            }),
          login: (request) =>
            Effect.gen(function*() {
              const present = yield* targets
              const target = targetOf(request.url, present)
              if (target === undefined || HashSet.has(yield* Ref.get(asked), target.url)) return Option.none()
              return Option.fromUndefinedOr(answer(request, present, policy))
            })
        })
      })
    )
}
