import { assert, describe, it } from "@effect/vitest"
import { Connections } from "@opencode-ai/ssh-tunnel/Connections"
import { Credentials } from "@opencode-ai/ssh-tunnel/Credentials"
import { Effect, Layer, Option, Redacted, Schema } from "effect"
import {
  answer,
  Authorization,
  decide,
  type LoginRequest,
  originOf,
  type Policy,
  type WebRequest
} from "../src/Authorization.ts"
import * as World from "./support/World.ts"

const credentials = (password: string) => new Credentials({ username: "opencode", password: Redacted.make(password) })
const a = { url: "http://127.0.0.1:41001", credentials: credentials("a") }
const b = { url: "http://127.0.0.1:41002", credentials: credentials("b") }
/** Its origin is the beginning of others. */
const c = { url: "http://127.0.0.1:4100", credentials: credentials("c") }
const targets = [a, b, c]
const app = "oc://renderer"
const policy: Policy = { origins: [app, "http://localhost:5173"], isOwnWindow: (id) => id === 7 }

/** A request of the application's page to server A; a test changes what matters to it. */
const request = (fields: Partial<WebRequest> = {}): WebRequest => ({
  url: `${a.url}/session`,
  method: "GET",
  resourceType: "xhr",
  referrer: "",
  requestHeaders: { Accept: "*/*", Origin: app },
  webContentsId: 1,
  frame: { url: `${app}/index.html`, origin: app, parent: null },
  ...fields
})
const frame = (origin: string, parent: WebRequest["frame"] = null) => ({ url: `${origin}/x`, origin, parent })
const tag = (fields: Partial<WebRequest> = {}) => decide(request(fields), targets, policy)._tag

describe("who gets the header", () => {
  it("the application's page, to the server that it asks", () => {
    const decision = decide(request(), targets, policy)
    assert.deepStrictEqual(
      decision._tag === "Add" ? Redacted.value(decision.authorization) : decision,
      `Basic ${btoa("opencode:a")}`
    )
    assert.strictEqual(tag({ method: "POST" }), "Add")
    assert.strictEqual(tag({ url: "ws://127.0.0.1:41001/pty/1/connect", resourceType: "webSocket" }), "Add")
    assert.strictEqual(tag({ frame: frame("http://localhost:5173"), requestHeaders: {} }), "Add")
  })

  it("the server's own page, to itself only", () => {
    const own = { frame: frame(a.url), requestHeaders: {}, referrer: `${a.url}/` }
    assert.strictEqual(tag(own), "Add")
    assert.strictEqual(tag({ ...own, url: `${b.url}/session` }), "Leave", "a page of A is a stranger to B")
    assert.strictEqual(
      tag({ ...own, url: `${b.url}/session`, frame: frame(b.url, frame(a.url)) }),
      "Leave",
      "B within A"
    )
  })

  it.each([
    ["a port that begins like one of ours", "http://127.0.0.1:41009/session"],
    ["a port that ours begin with", "http://127.0.0.1:410/session"],
    ["a name that begins so", "http://127.0.0.1.evil.example:41001/"],
    ["another name of this machine", "http://localhost:41001/session"],
    ["IPv6", "http://[::1]:41001/session"],
    ["another loopback address", "http://127.0.0.2:41001/session"],
    ["https", "https://127.0.0.1:41001/session"],
    ["wss", "wss://127.0.0.1:41001/session"],
    ["a URL with a user", "http://127.0.0.1:41001@evil.example/"],
    ["userinfo", "http://x:y@127.0.0.1:41001/session"],
    ["a host in the path", "http://evil.example/http://127.0.0.1:41001/"],
    ["a port that nobody has", "http://127.0.0.1:41003/"],
    ["no URL", "127.0.0.1:41001"]
  ])("not %s", (_, url) => assert.strictEqual(tag({ url }), "Leave"))

  it.each<readonly [string, Partial<WebRequest>]>([
    ["a foreign page", { frame: frame("https://evil.example"), requestHeaders: {} }],
    ["a foreign frame in our page", { frame: frame("https://evil.example", frame(app)), requestHeaders: {} }],
    ["our page in a foreign frame", { frame: frame(app, frame("https://evil.example")), requestHeaders: {} }],
    ["a foreign Origin", { requestHeaders: { origin: "https://evil.example" } }],
    ["an opaque Origin", { requestHeaders: { Origin: "null" } }],
    ["a foreign referrer", { referrer: "https://evil.example/x" }],
    ["a sandboxed frame", { frame: { url: `${app}/x`, origin: "null", parent: null }, requestHeaders: {} }],
    ["a data: page", { frame: { url: "data:text/html,x", origin: "null", parent: null }, requestHeaders: {} }],
    ["an origin that begins like ours", { frame: frame("oc://renderer.evil"), requestHeaders: {} }],
    ["nobody known", { frame: null, requestHeaders: {} }],
    ["a blank popup of a foreign page", {
      frame: { url: "about:blank", origin: "https://evil.example", parent: null },
      requestHeaders: {},
      resourceType: "mainFrame",
      webContentsId: 7
    }],
    ["a new page by POST", { resourceType: "mainFrame", method: "POST" }],
    ["a preflight", { method: "OPTIONS" }],
    ["a frame that is gone", {
      get frame(): never {
        throw new Error("Render frame was disposed before WebFrameMain could be accessed")
      }
    }]
  ])(
    "not %s",
    (_, fields) =>
      assert.strictEqual(
        decide(Object.defineProperties(request(), Object.getOwnPropertyDescriptors(fields)), targets, policy)._tag,
        "Leave"
      )
  )

  it("an empty window of ours may go there, another may not", () => {
    const empty = { resourceType: "mainFrame", requestHeaders: {}, frame: { url: "", origin: "null", parent: null } }
    assert.strictEqual(tag({ ...empty, webContentsId: 7 }), "Add")
    assert.strictEqual(tag({ ...empty, webContentsId: 8 }), "Leave")
    assert.strictEqual(tag({ ...empty, webContentsId: 7, referrer: "https://evil.example/" }), "Leave")
    assert.strictEqual(tag({ ...empty, webContentsId: 7, resourceType: "image" }), "Leave")
    assert.strictEqual(tag({ ...empty, webContentsId: 7, url: "http://127.0.0.1:41003/" }), "Leave")
  })

  it("a worker without a frame counts by its referrer and Origin", () => {
    assert.strictEqual(tag({ frame: null, requestHeaders: {}, referrer: `${app}/worker.js` }), "Add")
  })

  it("a header of ours goes to nobody else, and another's header is left alone", () => {
    const own = { Authorization: `Basic ${btoa("opencode:a")}` }
    assert.strictEqual(tag({ url: "https://evil.example/after-a-redirect", requestHeaders: own }), "Strip")
    assert.strictEqual(tag({ url: `${b.url}/`, requestHeaders: own }), "Strip")
    assert.strictEqual(
      tag({ url: "http://localhost:41001/", requestHeaders: { authorization: own.Authorization } }),
      "Strip"
    )
    assert.strictEqual(tag({ requestHeaders: own }), "Leave")
    assert.strictEqual(tag({ requestHeaders: { Authorization: "Bearer of another" } }), "Leave")
    assert.strictEqual(tag({ url: "https://api.example/", requestHeaders: { Authorization: "Bearer x" } }), "Leave")
  })

  it("two servers with one password: neither loses its own header on a redirect within itself", () => {
    const twins = [a, { ...b, credentials: credentials("a") }]
    const own = { Authorization: `Basic ${btoa("opencode:a")}` }
    for (const { url } of twins) {
      assert.strictEqual(decide(request({ url: `${url}/moved`, requestHeaders: own }), twins, policy)._tag, "Leave")
    }
    assert.strictEqual(
      decide(request({ url: "https://evil.example/", requestHeaders: own }), twins, policy)._tag,
      "Strip"
    )
  })

  it("an origin of the policy may be written as an address", () => {
    const written = { origins: ["http://localhost:5173/", "HTTP://Other:80"] }
    for (const origin of ["http://localhost:5173", "http://other"]) {
      const { _tag } = decide(request({ frame: frame(origin), requestHeaders: { Origin: origin } }), targets, written)
      assert.strictEqual(_tag, "Add", origin)
    }
    const empty = { origins: ["null", "", "about:blank", "data:,x"] }
    assert.strictEqual(decide(request({ requestHeaders: { Origin: "null" } }), targets, empty)._tag, "Leave")
  })

  it.effect.prop("whatever the URL: only an own origin gets it", [
    Schema.Struct({
      scheme: Schema.Literals(["http", "https", "ws", "wss", "oc", "file", "ftp"]),
      userinfo: Schema.Literals(["", "opencode@", "a:b@", "127.0.0.1:41001@"]),
      host: Schema.Literals([
        "127.0.0.1",
        "localhost",
        "127.1",
        "0x7f.1",
        "127.0.0.1.",
        "[::1]",
        "evil.example",
        "0.0.0.0"
      ]),
      port: Schema.Literals(["", ":41001", ":41002", ":41003", ":80", ":041001"]),
      rest: Schema.String
    })
  ], ([{ host, port, rest, scheme, userinfo }]) =>
    Effect.sync(() => {
      const url = `${scheme}://${userinfo}${host}${port}/${rest}`
      const decision = decide(request({ url }), targets, policy)
      if (decision._tag !== "Add") return
      const parsed = new URL(url)
      assert.include(targets.map((target) => target.url), `http://${parsed.host}`)
      assert.include(["http:", "ws:"], parsed.protocol)
      const own = targets.find((target) => target.url === `http://${parsed.host}`)
      assert.strictEqual(
        Redacted.value(decision.authorization),
        Redacted.value(own?.credentials.authorization ?? Redacted.make(""))
      )
    }))

  it("origins are scheme, host and port", () => {
    assert.deepStrictEqual(
      ["oc://renderer/a", "http://A:80/x", "file:///a", "blob:http://a/1", "data:,x", "about:blank", "", "null"].map(
        originOf
      ),
      ["oc://renderer", "http://a", "file://", undefined, undefined, undefined, undefined, undefined]
    )
  })
})

describe("the login event", () => {
  const login = (fields: Partial<LoginRequest> = {}): LoginRequest => ({
    url: `${a.url}/session`,
    isProxy: false,
    scheme: "basic",
    host: "127.0.0.1",
    port: 41001,
    firstAuthAttempt: true,
    page: `${app}/index.html`,
    webContentsId: 1,
    ...fields
  })
  const given = (fields: Partial<LoginRequest>) => answer(login(fields), targets, policy)

  it("is answered for our page and our server, once", () => {
    assert.strictEqual(given({}), a.credentials)
    assert.strictEqual(given({ page: "", webContentsId: 7 }), a.credentials)
  })

  it.each<readonly [string, Partial<LoginRequest>]>([
    ["a proxy", { isProxy: true }],
    ["another scheme", { scheme: "ntlm" }],
    ["another host", { host: "evil.example" }],
    ["another port", { port: 41002 }],
    ["another URL", { url: "https://evil.example/" }],
    ["a second time", { firstAuthAttempt: false }],
    ["a foreign page", { page: "https://evil.example/" }],
    ["a page of another server", { page: `${b.url}/` }],
    ["an empty window of others", { page: "about:blank", webContentsId: 8 }]
  ])("not for %s", (_, fields) => assert.strictEqual(given(fields), undefined))
})

describe("the service", () => {
  it.effect("knows the header exactly while the profile is connected", () =>
    Effect.gen(function*() {
      const authorization = yield* Authorization
      const connections = yield* Connections
      const asked = request({ url: "http://127.0.0.1:50000/session" })
      const header = Effect.map(authorization.headers(asked), Option.map((headers) => headers["Authorization"]))
      assert.isTrue(Option.isNone(yield* header))
      yield* connections.connect(World.id("box"))
      yield* connections.settled(World.id("box"))
      assert.deepStrictEqual(yield* header, Option.some(`Basic ${btoa("opencode:a")}`))
      const kept = yield* authorization.headers(asked)
      assert.strictEqual(Option.getOrThrow(kept)["Accept"], "*/*")
      const stripped = yield* authorization.headers({
        ...asked,
        url: "https://evil.example/",
        requestHeaders: { Accept: "*/*", Authorization: `Basic ${btoa("opencode:a")}` }
      })
      assert.deepStrictEqual(stripped, Option.some({ Accept: "*/*" }))
      yield* connections.disconnect(World.id("box"))
      assert.isTrue(Option.isNone(yield* header))
    }).pipe(
      Effect.provide(
        Authorization.layer(policy).pipe(
          Layer.provideMerge(World.layer({ passwords: [[World.id("box"), credentials("a")]] }))
        )
      )
    ))

  it.effect("a stranger's frame in our page gets nothing by the challenge that its request met", () =>
    Effect.gen(function*() {
      const authorization = yield* Authorization
      const connections = yield* Connections
      yield* connections.connect(World.id("box"))
      yield* connections.settled(World.id("box"))
      const url = "http://127.0.0.1:50000"
      const challenge = authorization.login({
        url: `${url}/session`,
        isProxy: false,
        scheme: "basic",
        host: "127.0.0.1",
        port: 50000,
        // Of the page that is shown; whose frame has asked, Electron does not tell.
        page: `${app}/index.html`,
        webContentsId: 1
      })
      yield* authorization.headers(request({ url: `${url}/session`, method: "OPTIONS" }))
      yield* authorization.headers(request({ url: `${url}/session` }))
      assert.isTrue(Option.isSome(yield* challenge), "nobody but our page has asked")
      const stranger = { frame: frame("https://evil.example", frame(app)), requestHeaders: {} }
      assert.isTrue(Option.isNone(yield* authorization.headers(request({ url: `${url}/other`, ...stranger }))))
      assert.isTrue(Option.isNone(yield* challenge))
      const own = yield* authorization.headers(request({ url: `${url}/session` }))
      assert.isTrue(Option.isSome(own), "our page has its header as before")
      yield* connections.disconnect(World.id("box"))
      yield* connections.connect(World.id("box"))
      yield* connections.settled(World.id("box"))
      assert.isTrue(Option.isNone(yield* challenge), "its request may still be on its way")
    }).pipe(
      Effect.provide(
        Authorization.layer(policy).pipe(
          Layer.provideMerge(World.layer({ passwords: [[World.id("box"), credentials("a")]] }))
        )
      )
    ))
})
