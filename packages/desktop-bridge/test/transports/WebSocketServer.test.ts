/** The window's server against everybody who can reach a loopback port: byte for byte. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Layer, Queue, Ref, Schedule, Scope, Stream } from "effect"
import * as RpcClient from "effect/rpc/RpcClient"
import * as Fs from "node:fs/promises"
import * as Net from "node:net"
import * as Path from "node:path"
import { Link } from "../../src/Link.ts"
import * as WebSocketServer from "../../src/node/WebSocketServer.ts"
import { TransportLimits } from "../../src/TransportLimits.ts"
import * as WebSocketRpc from "../../src/WebSocketRpc.ts"
import { ask, frame, head, type RawReply } from "../support/rawHttp.ts"
import { Probe, Suite, SuiteHandlers } from "../support/Suite.ts"
import { asClient, connectAs, rawSocket, site, visit } from "../support/Transport.ts"

const handlers = SuiteHandlers.pipe(Layer.provideMerge(Probe.layer))

/** A server, and a browser that has been there. */
const visited = Effect.gen(function*() {
  const directory = yield* site
  const server = yield* WebSocketServer.serve(Suite, { directory })
  const visitor = yield* visit(server.url)
  const path = new URL(visitor.page).pathname
  const host = `127.0.0.1:${server.port}`
  /** A request with what an honest tab sends, except for what is given; `undefined` leaves a header out. */
  const get = (line: string, headers: Parameters<typeof head>[1] = {}) =>
    ask(server.port, head(line, { host, cookie: visitor.cookie, ...headers }))
  const upgradeHead = (line: string, headers: Parameters<typeof head>[1] = {}) =>
    head(line, {
      host,
      cookie: visitor.cookie,
      origin: server.origin,
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      ...headers
    })
  const upgrade = (line: string, headers: Parameters<typeof head>[1] = {}) =>
    ask(server.port, upgradeHead(line, headers))
  return { directory, get, host, path, server, upgrade, upgradeHead, visitor }
})

type Visited = Effect.Success<typeof visited>

const test = (
  name: string,
  body: (visited: Visited) => Effect.Effect<void, unknown, Scope.Scope | Probe>,
  limits: Partial<typeof TransportLimits.defaults> = {}
) =>
  it.live(name, () =>
    Effect.flatMap(visited, body).pipe(
      Effect.provide(handlers),
      Effect.provideService(TransportLimits, { ...TransportLimits.defaults, ...limits })
    ))

const assertClosed = ({ body, headers, status }: RawReply, expected: number) => {
  assert.strictEqual(status, expected, body)
  assert.notProperty(headers, "set-cookie")
  assert.notInclude(body, "<!doctype")
  assert.notInclude(body, "document.title")
}

/** Everything that is sent carries these. */
const assertStrict = ({ headers }: RawReply) => {
  const policy = headers["content-security-policy"] ?? ""
  assert.include(policy, "default-src 'none'")
  assert.include(policy, "script-src 'self';")
  assert.include(policy, "connect-src 'self';")
  assert.include(policy, "frame-ancestors 'none'")
  assert.notInclude(policy, "unsafe")
  assert.strictEqual(headers["x-content-type-options"], "nosniff")
  assert.strictEqual(headers["x-frame-options"], "DENY")
  assert.strictEqual(headers["referrer-policy"], "no-referrer")
  assert.notProperty(headers, "access-control-allow-origin")
}

describe("the window's server", () => {
  describe("a first visit", () => {
    test("buys the cookie and leads to a clean address", ({ server }) =>
      Effect.gen(function*() {
        const url = new URL(yield* server.mintUrl)
        const reply = yield* ask(server.port, head(`GET ${url.pathname}${url.search}`, { host: url.host }))
        assert.strictEqual(reply.status, 303)
        assertStrict(reply)
        assert.match(reply.headers["location"] ?? "", /^\/w-[0-9a-f]{32}\/$/)
        const cookie = reply.headers["set-cookie"] ?? ""
        assert.match(
          cookie,
          /^opencode-ssh-\d+=[\w-]{43}; Path=\/w-[0-9a-f]{32}\/; HttpOnly; SameSite=Strict$/
        )
        assert.strictEqual(reply.headers["cache-control"], "no-store")
        assert.notInclude(cookie, url.searchParams.get("ticket") ?? "?")
      }))

    test("is good once", ({ get, server }) =>
      Effect.gen(function*() {
        const url = new URL(yield* server.mintUrl)
        const line = `GET ${url.pathname}${url.search}`
        assert.strictEqual((yield* get(line, { cookie: undefined })).status, 303)
        assertClosed(yield* get(line, { cookie: undefined }), 403)
        assertClosed(yield* get(line), 403)
      }))

    test("is good once, also for two at the same moment", ({ get, server }) =>
      Effect.gen(function*() {
        const url = new URL(yield* server.mintUrl)
        const visits = yield* Effect.forEach(
          Array.from({ length: 10 }),
          () => get(`GET ${url.pathname}${url.search}`, { cookie: undefined }),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(visits.filter(({ status }) => status === 303).length, 1)
      }))

    test("is good for each of several addresses", ({ server }) =>
      Effect.gen(function*() {
        const visitors = yield* Effect.forEach([yield* server.mintUrl, yield* server.mintUrl], visit)
        assert.match(visitors[0]?.cookie ?? "", /^opencode/)
        assert.deepStrictEqual(visitors[0], visitors[1])
      }))

    test("is not used up by a look at the head, by another host or by another site", ({ get, server }) =>
      Effect.gen(function*() {
        const url = new URL(yield* server.mintUrl)
        const target = `${url.pathname}${url.search}`
        const nothing = { cookie: undefined }
        assertClosed(yield* get(`HEAD ${target}`, nothing), 403)
        assertClosed(yield* get(`POST ${target}`, nothing), 405)
        assertClosed(yield* get(`GET ${target}`, { ...nothing, host: "evil.test" }), 421)
        assertClosed(yield* get(`GET ${target}`, { ...nothing, origin: "http://evil.test" }), 403)
        assertClosed(yield* get(`GET ${target}`, { ...nothing, "sec-fetch-site": "cross-site" }), 403)
        assert.strictEqual((yield* get(`GET ${target}`, { ...nothing, "sec-fetch-site": "none" })).status, 303)
      }))

    test("is not one when a WebSocket brings the ticket", ({ get, server, upgrade }) =>
      Effect.gen(function*() {
        const url = new URL(yield* server.mintUrl)
        const target = `${url.pathname}${url.search}`
        assertClosed(yield* upgrade(`GET ${target}`, { cookie: undefined }), 404)
        assert.strictEqual((yield* get(`GET ${target}`, { cookie: undefined })).status, 303)
      }))

    test("needs the ticket to the letter", ({ get, server }) =>
      Effect.gen(function*() {
        const ticket = new URL(yield* server.mintUrl).searchParams.get("ticket") ?? ""
        for (
          const wrong of ["", ticket.slice(1), `${ticket}A`, `${ticket}&x=1`, swapCase(ticket), "%00", "A".repeat(43)]
        ) {
          assertClosed(yield* get(`GET /?ticket=${wrong}`, { cookie: undefined }), 403)
        }
        assert.strictEqual((yield* get(`GET /?ticket=${ticket}`, { cookie: undefined })).status, 303)
      }))

    it.live("is too late when the ticket has expired", () =>
      Effect.gen(function*() {
        const server = yield* WebSocketServer.make({ directory: yield* site })
        const url = new URL(yield* server.mintUrl)
        const reply = yield* ask(server.port, head(`GET ${url.pathname}${url.search}`, { host: url.host }))
        assertClosed(reply, 403)
      }).pipe(
        Effect.provideService(TransportLimits, { ...TransportLimits.defaults, ticket: Duration.zero })
      ))

    test("is too late when many newer addresses were made", ({ get, server }) =>
      Effect.gen(function*() {
        const [oldest = "", ...others] = yield* Effect.forEach(Array.from({ length: 4 }), () => server.mintUrl)
        assertClosed(yield* get(`GET /${new URL(oldest).search}`, { cookie: undefined }), 403)
        for (const url of others) {
          assert.strictEqual((yield* get(`GET /${new URL(url).search}`, { cookie: undefined })).status, 303)
        }
      }), { tickets: 3 })
  })

  describe("files", () => {
    test("are served with their type, at the window's path and below the root", ({ get, path }) =>
      Effect.gen(function*() {
        for (const base of [path, "/"]) {
          const page = yield* get(`GET ${base}`)
          assert.strictEqual(page.status, 200)
          assert.strictEqual(page.headers["content-type"], "text/html; charset=utf-8")
          assert.strictEqual(page.headers["cache-control"], "no-store")
          assert.include(page.body, "<!doctype html>")
          assertStrict(page)
          for (
            const [name, type] of [
              ["assets/app.js", "text/javascript; charset=utf-8"],
              ["assets/app.css?v=1", "text/css; charset=utf-8"],
              ["assets/a%20b.svg", "image/svg+xml"],
              ["index.html", "text/html; charset=utf-8"]
            ] as const
          ) {
            const reply = yield* get(`GET ${base}${name}`)
            assert.strictEqual(reply.status, 200, name)
            assert.strictEqual(reply.headers["content-type"], type)
            assertStrict(reply)
          }
        }
      }))

    test("have a head and a tag", ({ get }) =>
      Effect.gen(function*() {
        const whole = yield* get("GET /assets/app.js")
        const empty = yield* get("HEAD /assets/app.js")
        assert.strictEqual(empty.status, 200)
        assert.strictEqual(empty.body, "")
        assert.strictEqual(empty.headers["content-length"], String(whole.body.length))
        const etag = whole.headers["etag"] ?? ""
        const known = yield* get("GET /assets/app.js", { "if-none-match": etag })
        assert.strictEqual(known.status, 304)
        assert.strictEqual(known.body, "")
        assert.strictEqual((yield* get("GET /assets/app.js", { "if-none-match": "\"other\"" })).status, 200)
      }))

    test("outside the directory, hidden or linked do not exist, whatever the path", ({ directory, get, path }) =>
      Effect.gen(function*() {
        const up = "../".repeat(12)
        for (
          const target of [
            `/${up}etc/passwd`,
            `${path}${up}etc/passwd`,
            `/assets/${up}etc/passwd`,
            `/${up.replaceAll("/", "%2f")}etc/passwd`,
            `/${up.replaceAll("..", "%2e%2e")}etc/passwd`,
            `/${up.replaceAll("../", "%2e%2e%2f")}etc%2fpasswd`,
            `/${up.replaceAll("../", "%252e%252e%252f")}etc/passwd`,
            `/${up.replaceAll("/", "\\")}etc\\passwd`,
            `/${up.replaceAll("/", "%5c")}etc%5cpasswd`,
            `/${up.replaceAll("..", "%c0%ae%c0%ae")}etc/passwd`,
            "//etc/passwd",
            "/etc/passwd",
            `/${directory}/index.html`,
            `/${encodeURIComponent(Path.join(directory, "index.html"))}`,
            "/assets/../index.html",
            "/./index.html",
            "/assets//app.js",
            "/assets/app.js/",
            "/assets",
            "/assets/",
            "/INDEX.HTML",
            "/.secret",
            "/%2esecret",
            "/linked",
            "/index.html%00.js",
            "/%00",
            "/constructor",
            "/__proto__",
            "/rpc"
          ]
        ) {
          const reply = yield* get(`GET ${target}`)
          assert.include([400, 404], reply.status, target)
          assert.notInclude(reply.body, "root:")
          assert.notInclude(reply.body, "hidden")
          assertClosed(reply, reply.status)
          assertStrict(reply)
        }
        assertClosed(yield* get("GET /%E0%A4%A"), 400)
      }))

    test("stay as they were when the server started", ({ directory, get }) =>
      Effect.gen(function*() {
        yield* Effect.promise(() => Fs.writeFile(Path.join(directory, "index.html"), "half a page"))
        assert.include((yield* get("GET /")).body, "<!doctype html>")
      }))
  })

  describe("a request", () => {
    const refused: ReadonlyArray<
      readonly [name: string, status: number, headers: (visited: Visited) => Parameters<typeof head>[1]]
    > = [
      ["for another host (DNS rebinding)", 421, () => ({ host: "evil.test" })],
      ["for another host with our port", 421, ({ server }) => ({ host: `evil.test:${server.port}` })],
      ["for localhost, which another program may own", 421, ({ server }) => ({ host: `localhost:${server.port}` })],
      ["for our address without the port", 421, () => ({ host: "127.0.0.1" })],
      ["for our address with another port", 421, () => ({ host: "127.0.0.1:1" })],
      ["for our address, spelled otherwise", 421, ({ server }) => ({ host: `127.1:${server.port}` })],
      ["for a host that begins like ours", 421, ({ host }) => ({ host: `${host}.evil.test` })],
      ["for two hosts", 421, ({ host }) => ({ host: [host, "evil.test"] })],
      ["for two hosts, the other way round", 421, ({ host }) => ({ host: ["evil.test", host] })],
      ["of another origin", 403, () => ({ origin: "http://evil.test" })],
      ["of no origin that has a name", 403, () => ({ origin: "null" })],
      ["of our address with another port", 403, () => ({ origin: "http://127.0.0.1:1" })],
      ["of our address over TLS", 403, ({ host }) => ({ origin: `https://${host}` })],
      ["of localhost", 403, ({ server }) => ({ origin: `http://localhost:${server.port}` })],
      ["of an origin that begins like ours", 403, ({ server }) => ({ origin: `${server.origin}.evil.test` })],
      ["of two origins", 403, ({ server }) => ({ origin: [server.origin, "http://evil.test"] })],
      ["of an empty origin", 403, () => ({ origin: "" })],
      ["from another site", 403, () => ({ "sec-fetch-site": "cross-site" })],
      ["from another port of this host", 403, () => ({ "sec-fetch-site": "same-site" })],
      ["without the cookie, as any local process may send it", 403, () => ({ cookie: undefined })],
      ["with an empty cookie", 403, () => ({ cookie: "" })],
      ["with the cookie's name alone", 403, ({ visitor }) => ({ cookie: visitor.cookie.split("=")[0] })],
      ["with the cookie's name in another case", 403, ({ visitor }) => {
        const [name = "", value = ""] = visitor.cookie.split("=")
        return { cookie: `${name.toUpperCase()}=${value}` }
      }],
      ["with the cookie's value in another case", 403, ({ visitor }) => {
        const [name = "", value = ""] = visitor.cookie.split("=")
        return { cookie: `${name}=${swapCase(value)}` }
      }],
      ["with the cookie's value and more", 403, ({ visitor }) => ({ cookie: `${visitor.cookie}A` })],
      ["with most of the cookie's value", 403, ({ visitor }) => ({ cookie: visitor.cookie.slice(0, -1) })],
      ["with the value under another name", 403, ({ visitor }) => ({ cookie: `x${visitor.cookie}` })],
      ["with the cookie in another header", 403, ({ visitor }) => ({
        cookie: undefined,
        cookie2: visitor.cookie,
        authorization: visitor.cookie
      })],
      ["with the cookie behind a thousand others", 403, ({ visitor }) => ({
        cookie: `${`${visitor.cookie.slice(0, -1)}; `.repeat(100)}${visitor.cookie}`
      })]
    ]
    for (const [name, status, headers] of refused) {
      test(`${name} is refused, also for a WebSocket`, (visited) =>
        Effect.gen(function*() {
          const file = yield* visited.get("GET /", headers(visited))
          assertClosed(file, status)
          assertStrict(file)
          assertClosed(yield* visited.upgrade("GET /rpc", headers(visited)), status)
          assert.strictEqual(yield* visited.server.clients, 0)
          assert.strictEqual((yield* visited.get("GET /")).status, 200)
        }))
    }

    test("with a cookie that another server on this host has set as well is answered", ({ get, visitor }) =>
      Effect.gen(function*() {
        const [name] = visitor.cookie.split("=")
        assert.strictEqual((yield* get("GET /", { cookie: `a=b; ${name}=tossed; ${visitor.cookie}; c` })).status, 200)
        assert.strictEqual((yield* get("GET /", { cookie: [`${name}=tossed`, visitor.cookie] })).status, 200)
      }))

    test("of our own origin is answered, and so is one of the person", ({ get, server }) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* get("GET /", { origin: server.origin })).status, 200)
        assert.strictEqual((yield* get("GET /", { "sec-fetch-site": "same-origin" })).status, 200)
        assert.strictEqual((yield* get("GET /", { "sec-fetch-site": "none" })).status, 200)
      }))

    test("without a host is refused", ({ get }) =>
      Effect.gen(function*() {
        const { status } = yield* get("GET /", { host: undefined })
        assert.include([400, 421], status)
      }))

    test("by another method is refused", ({ get, upgrade }) =>
      Effect.gen(function*() {
        for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"]) {
          const reply = yield* get(`${method} /`)
          assertClosed(reply, 405)
          assert.strictEqual(reply.headers["allow"], "GET, HEAD")
          assert.notStrictEqual((yield* upgrade(`${method} /rpc`)).status, 101)
        }
        assert.notStrictEqual((yield* get("CONNECT 127.0.0.1:22")).status, 200)
      }))

    test("that a proxy would get is refused", ({ get, server }) =>
      Effect.gen(function*() {
        for (const target of ["http://evil.test/", `${server.origin}/`, "*", "evil"]) {
          const { status } = yield* get(`GET ${target}`)
          assert.strictEqual(status, 400, target)
        }
      }))

    test("that is no HTTP, or too large, ends its connection", ({ get, server }) =>
      Effect.gen(function*() {
        for (const bytes of ["\x16\x03\x01\x02\x00\x01", "HELLO\r\n\r\n", "GET / HTTP/1.1\nHost: x y\n\n"]) {
          assert.include([0, 400, 421], (yield* ask(server.port, bytes)).status)
        }
        const { status } = yield* get("GET /", { "x-long": "x".repeat(200_000) })
        assert.include([0, 431], status)
        assert.strictEqual((yield* get("GET /")).status, 200)
      }))
  })

  describe("a WebSocket", () => {
    test("is opened for the window", ({ path, server, upgradeHead }) =>
      Effect.gen(function*() {
        for (const target of ["/rpc", `${path}rpc`]) {
          const socket = yield* speak(server.port, upgradeHead(`GET ${target}`))
          assert.match(yield* socket.heard, /^HTTP\/1\.1 101 /)
        }
      }))

    test("needs an origin, as every browser sends one", ({ server, upgrade }) =>
      Effect.gen(function*() {
        assertClosed(yield* upgrade("GET /rpc", { origin: undefined }), 403)
        assert.strictEqual(yield* server.clients, 0)
      }))

    test("is nowhere else, and nothing else is an upgrade", ({ server, upgrade }) =>
      Effect.gen(function*() {
        assertClosed(yield* upgrade("GET /"), 404)
        assertClosed(yield* upgrade("GET /rpc/"), 404)
        assertClosed(yield* upgrade("GET /assets/app.js"), 404)
        assert.strictEqual((yield* upgrade("GET /rpc", { "sec-websocket-key": "short" })).status, 400)
        assert.strictEqual((yield* upgrade("GET /rpc", { "sec-websocket-version": "99" })).status, 400)
        const { status } = yield* upgrade("GET /rpc", { upgrade: "h2c" })
        assert.notStrictEqual(status, 101)
        assert.strictEqual(yield* server.clients, 0)
      }))

    test("beyond the number of windows is refused", ({ server, upgrade, visitor }) =>
      Effect.gen(function*() {
        const first = yield* rawSocket(visitor)
        yield* rawSocket(visitor)
        assertClosed(yield* upgrade("GET /rpc"), 503)
        assert.strictEqual(yield* server.clients, 2)
        first.terminate()
        yield* eventually(Effect.map(server.clients, (count) => count === 1))
        yield* rawSocket(visitor)
      }), { clients: 2 })

    const frames: ReadonlyArray<readonly [name: string, code: number, bytes: ReadonlyArray<Uint8Array>]> = [
      ["a message that is too large", 1009, [frame(1, "x".repeat(2048))]],
      ["one in parts", 1009, [
        frame(1, "x".repeat(800), { final: false }),
        frame(0, "x".repeat(800), { final: false }),
        frame(0, "x".repeat(800))
      ]],
      ["bytes", 1008, [frame(2, "{\"_tag\":\"Ping\"}")]],
      ["no JSON", 1008, [frame(1, "{")]],
      ["an empty message", 1008, [frame(1, "")]],
      ["no UTF-8", 1007, [frame(1, Buffer.from([0xc0, 0xae]))]],
      ["an unmasked frame", 1002, [frame(1, "{\"_tag\":\"Ping\"}", { masked: false })]],
      ["an unknown kind of frame", 1002, [frame(3, "x")]],
      ["a continuation of nothing", 1002, [frame(0, "x")]]
    ]
    for (const [name, code, bytes] of frames) {
      test(`is closed after ${name}`, ({ server, upgradeHead, visitor }) =>
        Effect.gen(function*() {
          const other = yield* rawSocket(visitor)
          const socket = yield* speak(server.port, upgradeHead("GET /rpc"))
          yield* socket.heard
          for (const part of bytes) socket.write(part)
          assert.strictEqual(yield* socket.closeCode, code)
          yield* eventually(Effect.map(server.clients, (count) => count === 1))
          assert.strictEqual(yield* pong(other), "{\"_tag\":\"Pong\"}")
        }), { messageBytes: 1024 })
    }

    test(
      "whose client does not read is cut off before much waits for it",
      ({ server, upgradeHead, visitor }) =>
        Effect.gen(function*() {
          const other = yield* rawSocket(visitor)
          const deaf = yield* speak(server.port, upgradeHead("GET /rpc"))
          yield* deaf.heard
          deaf.stopReading()
          const asked = yield* Ref.make(0)
          yield* Ref.updateAndGet(asked, (count) => count + 1).pipe(
            Effect.tap((id) =>
              Effect.promise(() =>
                new Promise((resolve) =>
                  deaf.write(
                    frame(
                      1,
                      JSON.stringify({ _tag: "Request", id, tag: "blob", payload: { length: 100_000 }, headers: [] })
                    ),
                    resolve
                  )
                )
              )
            ),
            Effect.andThen(Effect.sleep(0)),
            Effect.andThen(server.clients),
            Effect.repeat({ until: (count) => count === 1 })
          )
          // The kernel buffers some MiB more.
          assert.isBelow(yield* Ref.get(asked), 400)
          assert.strictEqual(yield* pong(other), "{\"_tag\":\"Pong\"}")
        }),
      { unreadBytes: 1024 * 1024 }
    )
  })

  describe("connections", () => {
    test(
      "that say nothing, or not enough, are closed; an open WebSocket is not",
      ({ server, visitor, host }) =>
        Effect.gen(function*() {
          const socket = yield* rawSocket(visitor)
          assert.strictEqual((yield* ask(server.port, "")).status, 0)
          yield* ask(server.port, `GET / HTTP/1.1\r\nhost: ${host}\r\n`)
          assert.strictEqual(yield* pong(socket), "{\"_tag\":\"Pong\"}")
        }),
      { request: Duration.millis(150) }
    )

    test("beyond a number are closed", ({ get, server }) =>
      Effect.gen(function*() {
        const silent = yield* Effect.forEach(Array.from({ length: 4 }), () => speak(server.port, ""))
        assert.strictEqual((yield* ask(server.port, "")).status, 0)
        for (const socket of silent) socket.destroy()
        yield* eventually(Effect.map(get("GET /"), ({ status }) => status === 200))
      }), { connections: 4 })

    test("are possible at 127.0.0.1 only", ({ server }) =>
      Effect.gen(function*() {
        const error = yield* Effect.callback<string>((resume) => {
          const socket = Net.connect({ host: "127.0.0.2", port: server.port })
          socket.on("connect", () => resume(Effect.succeed("connected")))
          socket.on("error", (cause: NodeJS.ErrnoException) => resume(Effect.succeed(cause.code ?? "")))
          return Effect.sync(() => socket.destroy())
        })
        assert.strictEqual(error, "ECONNREFUSED")
      }))

    test("that break off at any byte harm nobody", ({ get, server, upgradeHead }) =>
      Effect.gen(function*() {
        const bytes = upgradeHead("GET /rpc")
        for (let length = 0; length <= bytes.length; length += 7) {
          const socket = yield* speak(server.port, bytes.slice(0, length))
          socket.reset()
        }
        assert.strictEqual((yield* get("GET /")).status, 200)
        yield* eventually(Effect.map(server.clients, (count) => count === 0))
      }))
  })

  describe("its life", () => {
    it.live("ends with its scope: clients are cut, and the port is free", () =>
      Effect.gen(function*() {
        const directory = yield* site
        const scope = yield* Scope.make()
        const server = yield* WebSocketServer.serve(Suite, { directory }).pipe(Scope.provide(scope))
        const visitor = yield* visit(server.url)
        const socket = yield* rawSocket(visitor)
        const silent = yield* speak(server.port, "")
        const closed = Effect.callback<void>((resume) => {
          socket.on("close", () => resume(Effect.void))
        })
        yield* Effect.all([closed, silent.ended, Scope.close(scope, Exit.void)], { concurrency: "unbounded" })
        const again = yield* WebSocketServer.serve(Suite, { directory, port: server.port })
        assert.strictEqual(again.port, server.port)
        // A new server has a new secret.
        const reply = yield* ask(
          again.port,
          head("GET /", { host: `127.0.0.1:${again.port}`, cookie: visitor.cookie })
        )
        assertClosed(reply, 403)
      }).pipe(Effect.provide(handlers)))

    it.live("does not begin on a port that is taken, or with no window to serve", () =>
      Effect.gen(function*() {
        const directory = yield* site
        const first = yield* WebSocketServer.make({ directory })
        const taken = yield* Effect.flip(WebSocketServer.make({ directory, port: first.port }))
        assert.strictEqual(taken._tag, "WebSocketServerError")
        assert.strictEqual(taken.problem, "port")
        const absent = yield* Effect.flip(WebSocketServer.make({ directory: Path.join(directory, "absent") }))
        assert.strictEqual(absent.problem, "directory")
        const empty = yield* Effect.flip(WebSocketServer.make({ directory: Path.join(directory, "assets") }))
        assert.match(empty.message, /holds no index\.html/)
        const large = yield* WebSocketServer.make({ directory }).pipe(
          Effect.provideService(TransportLimits, { ...TransportLimits.defaults, fileBytes: 10 }),
          Effect.flip
        )
        assert.match(large.message, /more than 10 bytes/)
      }))
  })
})

describe("a window in a browser", () => {
  it.live("waits longer from loss to loss, and comes back when the server does", () =>
    Effect.gen(function*() {
      const directory = yield* site
      const scope = yield* Scope.make()
      const first = yield* WebSocketServer.serve(Suite, { directory }).pipe(Scope.provide(scope))
      const attempts = yield* Queue.unbounded<number>()
      const visitors = yield* Ref.make(yield* visit(first.url))
      const context = yield* Layer.build(WebSocketRpc.layerClient({
        url: WebSocketRpc.rpcUrl(`${first.origin}/`),
        connect: (url) => {
          Queue.offerUnsafe(attempts, performance.now())
          return asClient(connectAs(Ref.getUnsafe(visitors))(url))
        }
      }))
      const client = yield* RpcClient.make(Suite).pipe(Effect.provide(context))
      const link = yield* Effect.provide(Link, context)
      assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
      yield* Scope.close(scope, Exit.void)
      const times = yield* Queue.takeN(attempts, 5)
      const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0)).slice(1)
      // 20, 40, 80 ms, each ±20 %; a busy machine makes them longer, never shorter.
      for (const [index, least] of [16, 32, 64].entries()) assert.isAtLeast((waits[index] ?? 0) + 2, least)
      assert.strictEqual((yield* link.state)._tag, "Offline")
      const lost = yield* Effect.exit(client.add({ a: 1, b: 2 }))
      assert.isTrue(Exit.isFailure(lost))
      const again = yield* WebSocketServer.serve(Suite, { directory, port: first.port })
      yield* Ref.set(visitors, yield* visit(again.url))
      yield* link.changes.pipe(Stream.filter(({ _tag }) => _tag === "Online"), Stream.runHead)
      assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
    }).pipe(
      Effect.provide(handlers),
      Effect.provideService(TransportLimits, {
        ...TransportLimits.defaults,
        retryFirst: Duration.millis(20),
        retryMost: Duration.hours(1)
      })
    ))

  it.live("tries again at once when asked", () =>
    Effect.gen(function*() {
      const directory = yield* site
      const scope = yield* Scope.make()
      const first = yield* WebSocketServer.serve(Suite, { directory }).pipe(Scope.provide(scope))
      const visitors = yield* Ref.make(yield* visit(first.url))
      const context = yield* Layer.build(WebSocketRpc.layerClient({
        url: WebSocketRpc.rpcUrl(`${first.origin}/`),
        connect: (url) => asClient(connectAs(Ref.getUnsafe(visitors))(url))
      }))
      const client = yield* RpcClient.make(Suite).pipe(Effect.provide(context))
      const link = yield* Effect.provide(Link, context)
      const becomes = (tag: string) => link.changes.pipe(Stream.filter(({ _tag }) => _tag === tag), Stream.runHead)
      yield* becomes("Online")
      // Asked while there is nothing to wait for, which must not shorten a later wait.
      yield* link.retryNow
      yield* Scope.close(scope, Exit.void)
      yield* becomes("Offline")
      const again = yield* WebSocketServer.serve(Suite, { directory, port: first.port })
      yield* Ref.set(visitors, yield* visit(again.url))
      assert.strictEqual((yield* link.state)._tag, "Offline")
      yield* link.retryNow
      yield* becomes("Online")
      assert.strictEqual(yield* client.add({ a: 1, b: 2 }), 3)
    }).pipe(
      Effect.provide(handlers),
      Effect.provideService(TransportLimits, {
        ...TransportLimits.defaults,
        retryFirst: Duration.hours(1),
        retryMost: Duration.hours(1)
      })
    ))

  it.live("gives up on an attempt that gets no answer", () =>
    Effect.gen(function*() {
      const accepted = yield* Queue.unbounded<Net.Socket>()
      const port = yield* Effect.acquireRelease(
        Effect.callback<readonly [Net.Server, number]>((resume) => {
          const server = Net.createServer((socket) => {
            socket.on("error", () => {})
            Queue.offerUnsafe(accepted, socket)
          })
          server.listen(0, "127.0.0.1", () =>
            resume(Effect.succeed([server, (server.address() as Net.AddressInfo).port])))
        }),
        ([server]) =>
          Effect.gen(function*() {
            for (const socket of yield* Queue.clear(accepted)) {
              socket.destroy()
            }
            server.close()
          })
      )
      const context = yield* Layer.build(WebSocketRpc.layerClient({
        url: `ws://127.0.0.1:${port[1]}/rpc`,
        connect: (url) =>
          asClient(connectAs({ page: "http://127.0.0.1/", cookie: "" })(url))
      }))
      const client = yield* RpcClient.make(Suite).pipe(Effect.provide(context))
      // The call waits for the first attempt, and fails with it.
      assert.isTrue(Exit.isFailure(yield* Effect.exit(client.add({ a: 1, b: 2 }))))
      yield* Queue.takeN(accepted, 2)
    }).pipe(Effect.provideService(TransportLimits, {
      ...TransportLimits.defaults,
      open: Duration.millis(50),
      retryFirst: Duration.millis(1)
    })))

  it("finds its WebSocket beside its page", () => {
    assert.strictEqual(WebSocketRpc.rpcUrl("http://127.0.0.1:1234/w-00/"), "ws://127.0.0.1:1234/w-00/rpc")
    assert.strictEqual(WebSocketRpc.rpcUrl("http://127.0.0.1:1234/w-00/index.html?a#b"), "ws://127.0.0.1:1234/w-00/rpc")
    assert.strictEqual(WebSocketRpc.rpcUrl("https://host/"), "wss://host/rpc")
  })
})

const swapCase = (text: string): string =>
  [...text].map((letter) => letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase()).join("")

/** Looks again until it is so; the test's own limit ends a wait for what never comes. */
const eventually = (condition: Effect.Effect<boolean>): Effect.Effect<boolean> =>
  Effect.repeat(condition, { until: (so) => so, schedule: Schedule.spaced("5 millis") })

/** The answer to a ping. */
const pong = (socket: Effect.Success<ReturnType<typeof rawSocket>>): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    socket.once("message", (data) => resume(Effect.succeed(String(data))))
    socket.send("{\"_tag\":\"Ping\"}")
  })

/** A TCP connection that is open. */
const speak = (port: number, bytes: string) =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket>((resume) => {
      const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true }, () => {
        socket.write(bytes)
        resume(Effect.succeed(socket))
      })
      socket.on("error", () => {})
    }),
    (socket) => Effect.sync(() => socket.destroy())
  ).pipe(Effect.map((socket) => {
    const ended = Effect.callback<void>((resume) => {
      if (socket.closed) resume(Effect.void)
      else socket.once("close", () => resume(Effect.void))
    })
    return {
      write: (bytes: Uint8Array, done?: (value: unknown) => void) => void socket.write(bytes, done),
      heard: Effect.callback<string>((resume) => {
        socket.once("data", (data) => resume(Effect.succeed(data.toString("latin1"))))
      }),
      /** The code of the server's closing frame (RFC 6455 §5.5.1). */
      closeCode: Effect.callback<number>((resume) => {
        socket.once("data", (data) => resume(Effect.succeed(data[0] === 0x88 ? data.readUInt16BE(2) : -1)))
      }),
      stopReading: () => void socket.pause(),
      destroy: () => void socket.destroy(),
      reset: () => void socket.resetAndDestroy(),
      ended
    }
  }))
