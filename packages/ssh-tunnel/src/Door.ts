/**
 * Signs a browser in to a server without showing anybody the password: a page
 * on loopback whose address holds a ticket, and which answers the first visit
 * with a redirect to `http://user:password@127.0.0.1:<port>/`. The browser
 * keeps the credentials for that origin; assets, events and WebSockets then
 * work, as they would not with OpenCode's `/?auth_token=`.
 */
import { Context, Deferred, Effect, Exit, Layer, Option, Redacted, Ref, Scope } from "effect"
import * as Hex from "effect/encoding/Hex"
import type { ServerEndpoint } from "./Connections.ts"
import type { Credentials } from "./Credentials.ts"
import { LocalHost } from "./LocalHost.ts"
import { LoopbackHttp, type LoopbackHttpError, type LoopbackReply } from "./LoopbackHttp.ts"
import { Timing } from "./Schedules.ts"

/** An address to hand to a browser. */
export interface OpenDoor {
  readonly url: string
  /**
   * Completes when the page is gone: `used` by a browser, which has its answer
   * then, or `expired`. Without credentials there is no page, and nothing to
   * wait for.
   */
  readonly closed: Effect.Effect<"used" | "expired">
}

/**
 * See the module.
 *
 * **Gotchas**
 *
 * Until it is used, the address is as good as the password: whoever reads it
 * first (in the argv of the program that starts the browser, say) gets in, and
 * the browser of the person does not. It is good for one visit within
 * `Timing.doorTicket`.
 */
export class Door extends Context.Service<Door, {
  /**
   * Makes an address for one visit. The page is gone after the visit, when the
   * ticket expires, or when the scope closes, whichever comes first. An
   * endpoint without credentials needs no door: its own URL is the answer.
   */
  readonly open: (endpoint: ServerEndpoint) => Effect.Effect<OpenDoor, LoopbackHttpError, Scope.Scope>
}>()("@opencode-ai/ssh-tunnel/Door") {
  static readonly layer: Layer.Layer<Door, never, LocalHost | LoopbackHttp> = Layer.effect(
    Door,
    Effect.gen(function*() {
      const host = yield* LocalHost
      const http = yield* LoopbackHttp
      const { doorLinger, doorTicket } = yield* Timing

      const open = Effect.fn("Door.open")(function*(endpoint: ServerEndpoint) {
        if (Option.isNone(endpoint.credentials)) {
          return { url: endpoint.url, closed: Effect.succeed("used" as const) }
        }
        const target = signedIn(endpoint.url, endpoint.credentials.value)
        const ticket = `/${Hex.encode(yield* host.randomBytes(32))}`
        const used = yield* Ref.make(false)
        const visited = yield* Deferred.make<void>()
        const closed = yield* Deferred.make<"used" | "expired">()
        yield* Effect.addFinalizer(() => Deferred.succeed(closed, "expired"))
        const page = yield* Scope.fork(yield* Effect.scope)

        const answer = ({ path }: { readonly path: string }): Effect.Effect<LoopbackReply> =>
          equalInConstantTime(path, ticket)
            ? Effect.flatMap(Ref.getAndSet(used, true), (before) =>
              before
                ? Effect.succeed(reply(410, "This address was good for one visit. Ask for a new one."))
                : Effect.as(Deferred.succeed(visited, undefined), reply(302, "Signing in.", Redacted.value(target))))
            : Effect.succeed(reply(404, "There is nothing here."))

        const { port } = yield* http.serve(answer).pipe(Scope.provide(page))

        yield* Deferred.await(visited).pipe(
          // A visit in the very moment in which the ticket expires has been answered, so it counts.
          Effect.timeoutOrElse({ duration: doorTicket, orElse: () => Effect.void }),
          Effect.andThen(Ref.getAndSet(used, true)),
          Effect.tap((wasUsed) => wasUsed ? Effect.sleep(doorLinger) : Effect.void),
          Effect.tap(() => Scope.close(page, Exit.void)),
          Effect.flatMap((wasUsed) => Deferred.succeed(closed, wasUsed ? "used" : "expired")),
          Effect.forkScoped
        )
        return { url: `http://127.0.0.1:${port}${ticket}`, closed: Deferred.await(closed) }
      })

      return Door.of({ open })
    })
  )

  /** A door that leads where `open` says; without it, to the plain URL. */
  static readonly layerMock = (
    open: Door["Service"]["open"] = ({ url }) => Effect.succeed({ url, closed: Effect.succeed("used") })
  ): Layer.Layer<Door> => Layer.succeed(Door, { open })
}

/** Lone surrogates have no percent-encoding; servers and browsers read U+FFFD in their place. */
const percentEncoded = (text: string): string => encodeURIComponent(text.toWellFormed())

/** The URL with the credentials in it (RFC 3986 §3.2.1). */
const signedIn = (url: string, { password, username }: Credentials): Redacted.Redacted<string> => {
  const { host, pathname, protocol } = new URL(url)
  const userinfo = `${percentEncoded(username)}:${percentEncoded(Redacted.value(password))}`
  return Redacted.make(`${protocol}//${userinfo}@${host}${pathname}`)
}

const reply = (status: number, text: string, location?: string): LoopbackReply => ({
  status,
  headers: {
    "content-type": "text/plain; charset=utf-8",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    ...(location === undefined ? undefined : { location })
  },
  body: `${text}\n`
})

/** Takes as long for a wrong text as for the right one, so that a ticket cannot be found letter by letter. */
const equalInConstantTime = (given: string, expected: string): boolean =>
  [...expected].reduce(
    (difference, letter, index) => difference | (letter.charCodeAt(0) ^ given.charCodeAt(index)),
    given.length ^ expected.length
  ) === 0
