import { assert, describe, it } from "@effect/vitest"
import {
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Option,
  Queue,
  Redacted,
  Ref,
  References,
  Schema,
  Scope
} from "effect"
import { TestClock } from "effect/testing"
import * as Http from "node:http"
import type { ServerEndpoint } from "../src/Connections.ts"
import { Credentials } from "../src/Credentials.ts"
import { Door } from "../src/Door.ts"
import { LoopbackHttp, LoopbackHttpError, type LoopbackReply } from "../src/LoopbackHttp.ts"
import * as NodeLocalHost from "../src/node/LocalHost.ts"
import * as NodeLoopbackHttp from "../src/node/LoopbackHttp.ts"
import { Timing } from "../src/Schedules.ts"

const endpoint = (username: string, password: string): ServerEndpoint => ({
  url: "http://127.0.0.1:41234",
  credentials: Option.some(new Credentials({ username, password: Redacted.make(password) }))
})

type Handler = Parameters<LoopbackHttp["Service"]["serve"]>[0]

/** Serves without sockets: `visit` asks the handler, and answers `None` once the page is gone. */
const fake = Effect.gen(function*() {
  const page = yield* Ref.make(Option.none<Handler>())
  const serve: LoopbackHttp["Service"]["serve"] = (handler) =>
    Effect.acquireRelease(
      Effect.as(Ref.set(page, Option.some(handler)), { port: 50_000 }),
      () => Ref.set(page, Option.none())
    )
  const visit = (url: string): Effect.Effect<Option.Option<LoopbackReply>> =>
    Effect.flatMap(
      Ref.get(page),
      Option.match({
        onNone: () => Effect.succeedNone,
        onSome: (handler) => {
          const { host, pathname, search } = new URL(url)
          return Effect.asSome(handler({ path: `${pathname}${search}`, headers: { host } }))
        }
      })
    )
  const layer = Door.layer.pipe(
    Layer.provide(LoopbackHttp.layerMock({ serve })),
    Layer.provide(NodeLocalHost.layer)
  )
  return { door: yield* Effect.provide(Door, yield* Layer.build(layer)), visit }
})

const statusOf = Option.map(({ status }: LoopbackReply) => status)

describe("Door", () => {
  it.effect("lets one visitor in", () =>
    Effect.gen(function*() {
      const { door, visit } = yield* fake
      const { closed, url } = yield* door.open(endpoint("opencode", "s3cret"))
      assert.match(url, /^http:\/\/127\.0\.0\.1:50000\/[0-9a-f]{64}$/)
      assert.notInclude(url, "s3cret")
      const first = Option.getOrThrow(yield* visit(url))
      assert.strictEqual(first.status, 302)
      assert.strictEqual(first.headers?.["location"], "http://opencode:s3cret@127.0.0.1:41234/")
      assert.strictEqual(first.headers?.["cache-control"], "no-store")
      assert.strictEqual(first.headers?.["referrer-policy"], "no-referrer")
      assert.notInclude(first.body, "s3cret")
      const second = Option.getOrThrow(yield* visit(url))
      assert.strictEqual(second.status, 410)
      assert.isUndefined(second.headers?.["location"])
      yield* TestClock.adjust(Timing.defaults.doorLinger)
      assert.deepStrictEqual(yield* visit(url), Option.none())
      assert.strictEqual(yield* closed, "used")
    }))

  it.effect("knows nothing but its ticket", () =>
    Effect.gen(function*() {
      const { door, visit } = yield* fake
      const { url } = yield* door.open(endpoint("opencode", "s3cret"))
      const other = yield* door.open(endpoint("opencode", "s3cret"))
      assert.notStrictEqual(url, other.url)
      const wrong = [
        "http://127.0.0.1:50000/",
        "http://127.0.0.1:50000/favicon.ico",
        other.url.slice(0, -1),
        `${other.url}0`,
        `${other.url}/`,
        `${other.url}?x`,
        other.url.replace(/.$/, (last) => last === "0" ? "1" : "0"),
        url
      ]
      for (const address of wrong) {
        const reply = Option.getOrThrow(yield* visit(address))
        assert.strictEqual(reply.status, 404, address)
        assert.notInclude(JSON.stringify(reply), "s3cret")
      }
      assert.deepStrictEqual(statusOf(yield* visit(other.url)), Option.some(302))
    }))

  it.effect("closes when the ticket expires", () =>
    Effect.gen(function*() {
      const { door, visit } = yield* fake
      const { closed, url } = yield* door.open(endpoint("opencode", "s3cret"))
      const waiting = yield* Effect.forkChild(closed)
      yield* TestClock.adjust(Duration.subtract(Timing.defaults.doorTicket, Duration.millis(1)))
      assert.deepStrictEqual(statusOf(yield* visit(`${url}0`)), Option.some(404))
      yield* TestClock.adjust(Duration.millis(1))
      assert.deepStrictEqual(yield* visit(url), Option.none())
      assert.strictEqual(yield* Fiber.join(waiting), "expired")
    }))

  it.effect("is still open in its last moment", () =>
    Effect.gen(function*() {
      const { door, visit } = yield* fake
      const { closed, url } = yield* door.open(endpoint("opencode", "s3cret"))
      yield* TestClock.adjust(Duration.subtract(Timing.defaults.doorTicket, Duration.millis(1)))
      assert.deepStrictEqual(statusOf(yield* visit(url)), Option.some(302))
      yield* TestClock.adjust(Duration.millis(1))
      assert.deepStrictEqual(statusOf(yield* visit(url)), Option.some(410))
      yield* TestClock.adjust(Timing.defaults.doorLinger)
      assert.strictEqual(yield* closed, "used")
    }))

  it.effect("closes with its scope", () =>
    Effect.gen(function*() {
      const { door, visit } = yield* fake
      const scope = yield* Scope.make()
      const { closed, url } = yield* door.open(endpoint("opencode", "s3cret")).pipe(Scope.provide(scope))
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* visit(url), Option.none())
      assert.strictEqual(yield* closed, "expired")
    }))

  it.effect("is not needed without credentials", () =>
    Effect.gen(function*() {
      const { door, visit } = yield* fake
      const { closed, url } = yield* door.open({ url: "http://127.0.0.1:41234", credentials: Option.none() })
      assert.strictEqual(url, "http://127.0.0.1:41234")
      assert.strictEqual(yield* closed, "used")
      assert.deepStrictEqual(yield* visit(url), Option.none())
    }))

  it.effect.prop("any user name and password arrive whole, and change nothing else of the address", [
    Schema.String,
    Schema.String
  ], ([username, password]) =>
    Effect.gen(function*() {
      const { door, visit } = yield* fake
      const { url } = yield* door.open(endpoint(username, password))
      const { headers } = Option.getOrThrow(yield* visit(url))
      const location = headers?.["location"] ?? ""
      const parsed = new URL(location)
      assert.match(location, /^http:\/\/[\x21-\x7e]*@127\.0\.0\.1:41234\/$/)
      assert.strictEqual(decodeURIComponent(parsed.username), username.toWellFormed())
      assert.strictEqual(decodeURIComponent(parsed.password), password.toWellFormed())
      assert.strictEqual(parsed.host, "127.0.0.1:41234")
    }))

  it.effect("writes the password into no log, and none of an error", () =>
    Effect.gen(function*() {
      const lines = yield* Queue.unbounded<string>()
      const logger = Logger.layer([
        Logger.make((options) => {
          Queue.offerUnsafe(lines, Logger.formatJson.log(options))
        })
      ])
      const failure = new LoopbackHttpError({ port: 0, path: "", problem: "refused", detail: "no port is left" })
      const refusing = Door.layer.pipe(
        Layer.provide(LoopbackHttp.layerMock({ serve: () => Effect.fail(failure) })),
        Layer.provide(NodeLocalHost.layer)
      )
      yield* Effect.gen(function*() {
        const { door, visit } = yield* fake
        const { url } = yield* door.open(endpoint("opencode", "s3cret"))
        yield* visit(url)
        yield* TestClock.adjust(Timing.defaults.doorLinger)
        const exit = yield* Effect.exit(
          Effect.flatMap(Door, (door) => door.open(endpoint("opencode", "s3cret"))).pipe(Effect.provide(refusing))
        )
        assert.deepStrictEqual(Exit.findErrorOption(exit), Option.some(failure))
        yield* Effect.logInfo("the end", endpoint("opencode", "s3cret"), exit)
      }).pipe(Effect.provide(logger), Effect.provideService(References.MinimumLogLevel, "All"))
      const logged = (yield* Queue.takeAll(lines)).join("\n")
      assert.include(logged, "the end")
      assert.notInclude(logged, "s3cret")
    }))

  it.live("with real sockets: redirects once, refuses other names and is gone afterwards", () =>
    Effect.gen(function*() {
      const door = yield* Door
      const http = yield* LoopbackHttp
      const { closed, url } = yield* door.open(endpoint("opencode", "p@ss:w/ord"))
      const { pathname, port } = new URL(url)
      const visit = http.get({ port: Number(port), path: pathname })
      // What a page gets whose name was made to point here (DNS rebinding); the ticket stays good.
      const foreign = yield* Effect.callback<number | undefined>((resume) => {
        Http.get(url, { agent: false, headers: { host: "evil.example" } }, (response) => {
          response.resume()
          resume(Effect.succeed(response.statusCode))
        })
      })
      assert.strictEqual(foreign, 421)
      const first = yield* visit
      assert.strictEqual(first.status, 302)
      assert.strictEqual(first.headers["location"], "http://opencode:p%40ss%3Aw%2Ford@127.0.0.1:41234/")
      assert.strictEqual((yield* visit).status, 410)
      assert.strictEqual(yield* closed, "used")
      const gone = yield* Effect.flip(visit)
      assert.strictEqual(gone.problem, "refused")
    }).pipe(
      Effect.provide(
        Door.layer.pipe(Layer.provideMerge(Layer.mergeAll(NodeLocalHost.layer, NodeLoopbackHttp.layer)))
      ),
      Effect.provideService(Timing, { ...Timing.defaults, doorLinger: Duration.millis(200) })
    ))
})
