import { assert, describe, it, layer } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, PubSub, Redacted, Ref, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Credentials } from "../src/Credentials.ts"
import { Discovery, type FindOptions } from "../src/Discovery.ts"
import { candidates } from "../src/internal/healthAnswer.ts"
import { LoopbackHttp, LoopbackHttpError, type LoopbackRequest, type LoopbackResponse } from "../src/LoopbackHttp.ts"
import { layer as nodeLoopbackHttp } from "../src/node/LoopbackHttp.ts"
import { defaultVersionRange } from "../src/Profile.ts"
import { Timing } from "../src/Schedules.ts"
import type { Forward, Rejection } from "../src/Tunnel.ts"

const target = { host: "box", options: ["-p", "2222"] }
const credentials = new Credentials({ username: "opencode", password: Redacted.make("pw") })

const forwardTo = (localPort: number, rejections: Stream.Stream<Rejection> = Stream.never): Forward => ({
  localPort,
  remotePort: 4096,
  rejections,
  cancel: Effect.void
})

const find = (forward: Forward, options: Partial<FindOptions> = {}) =>
  Effect.flatMap(
    Discovery,
    (discovery) => discovery.find({ forward, range: defaultVersionRange, target, ...options })
  )

const json = (body: unknown, status = 200): LoopbackResponse => ({
  status,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
  truncated: false
})
const page: LoopbackResponse = { status: 200, headers: { "content-type": "text/html" }, body: "", truncated: false }
const v1 = json({ healthy: true, version: "1.18.33" })

const closed = ({ path, port }: LoopbackRequest) =>
  new LoopbackHttpError({ port, path, problem: "closed", detail: "socket hang up" })

/** Each request of the round as `path` or, with credentials, `path!`, and whether it was interrupted. */
interface Log {
  readonly sent: ReadonlyArray<string>
  readonly interrupted: ReadonlyArray<string>
}

/** Discovery whose requests are answered by `answer`; on the test clock. */
const withAnswers = <A, E>(
  answer: (request: LoopbackRequest) => Effect.Effect<LoopbackResponse, LoopbackHttpError>,
  use: (log: Ref.Ref<Log>) => Effect.Effect<A, E, Discovery>
): Effect.Effect<A, E> =>
  Effect.gen(function*() {
    const log = yield* Ref.make<Log>({ sent: [], interrupted: [] })
    const http = LoopbackHttp.layerMock({
      speaksTls: () => Effect.succeed(false),
      get: Effect.fnUntraced(function*(request) {
        const name = request.authorization === undefined ? request.path : `${request.path}!`
        yield* Ref.update(log, ({ interrupted, sent }) => ({ interrupted, sent: [...sent, name] }))
        return yield* answer(request).pipe(
          Effect.onInterrupt(() =>
            Ref.update(log, ({ interrupted, sent }) => ({ sent, interrupted: [...interrupted, name] }))
          )
        )
      })
    })
    return yield* use(log).pipe(Effect.provide(Layer.provide(Discovery.layerNoDeps, http)))
  })

/** The reason of the round's failure. */
const missed = (forward: Forward, options: Partial<FindOptions> = {}) =>
  Effect.map(Effect.flip(find(forward, options)), ({ reason }) => reason)

const paths = candidates.map(({ path }) => path)

describe("a round", () => {
  it.effect("sends every request before any is answered, the likeliest first, and none twice", () =>
    withAnswers(() => Effect.never, (log) =>
      Effect.gen(function*() {
        const round = yield* Effect.forkChild(find(forwardTo(1)), { startImmediately: true })
        assert.deepStrictEqual((yield* Ref.get(log)).sent, paths)
        yield* Fiber.interrupt(round)
        assert.sameMembers([...(yield* Ref.get(log)).interrupted], paths)
      })))

  it.effect("takes the first valid answer and interrupts the rest", () =>
    withAnswers(
      ({ path }) =>
        path === "/health"
          ? Effect.delay(Effect.succeed(json({ status: "ok", version: "1.0.0" })), "30 millis")
          : path === "/global/health"
          ? Effect.delay(Effect.succeed(v1), "40 millis")
          : Effect.never,
      (log) =>
        Effect.gen(function*() {
          const round = yield* Effect.forkChild(find(forwardTo(1)))
          yield* TestClock.adjust("30 millis")
          const info = yield* Fiber.join(round)
          assert.deepStrictEqual({ ...info }, {
            generation: "generic",
            version: "1.0.0",
            path: "/health",
            secured: false
          })
          assert.sameMembers([...(yield* Ref.get(log)).interrupted], paths.slice(0, 4))
        })
    ))

  it.effect("has one budget for all, and says how long it waited", () =>
    withAnswers(
      ({ path }) => path === "/health" ? Effect.succeed(page) : Effect.never,
      (log) =>
        Effect.gen(function*() {
          const round = yield* Effect.forkChild(missed(forwardTo(1)))
          yield* TestClock.adjust(Duration.subtract(Timing.defaults.discovery, Duration.millis(1)))
          assert.isUndefined(round.pollUnsafe())
          yield* TestClock.adjust("1 millis")
          const reason = yield* Fiber.join(round)
          assert.isTrue(reason._tag === "NoAnswer" && reason.waited === 10_000)
          assert.strictEqual((yield* Ref.get(log)).interrupted.length, 4)
        })
    ))

  it.effect("what was heard in time decides when the budget is spent", () =>
    withAnswers(
      ({ path }) => path === "/health" ? Effect.succeed(json({}, 401)) : Effect.never,
      () =>
        Effect.gen(function*() {
          const round = yield* Effect.forkChild(missed(forwardTo(1)))
          yield* TestClock.adjust(Timing.defaults.discovery)
          assert.strictEqual((yield* Fiber.join(round))._tag, "Unauthorized")
        })
    ))

  it.effect("ends as soon as all have answered", () =>
    withAnswers(() => Effect.succeed(page), () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* missed(forwardTo(1)))._tag, "NotAnOpencodeServer")
      })))
})

describe("sshd's word", () => {
  /** sshd says `rejection` about every request, before the request itself fails. */
  const rejecting = (rejection: Rejection) =>
    Effect.gen(function*() {
      const rejections = yield* PubSub.unbounded<Rejection>()
      return yield* withAnswers(
        (request) => PubSub.publish(rejections, rejection).pipe(Effect.andThen(Effect.fail(closed(request)))),
        () => Effect.flip(find(forwardTo(1, Stream.fromPubSub(rejections))))
      )
    })

  it.effect("connect failed: nothing listens, at once", () =>
    Effect.gen(function*() {
      const error = yield* rejecting("connect-failed")
      assert.isTrue(error._tag === "DiscoveryError" && error.reason._tag === "NothingListening")
      assert.isTrue(error.reason._tag === "NothingListening" && error.reason.remotePort === 4096)
    }))

  it.effect("prohibited: the server forbids the forward, at once", () =>
    Effect.gen(function*() {
      const error = yield* rejecting("prohibited")
      assert.isTrue(error._tag === "TransportError" && error.reason._tag === "ForwardingDenied")
      if (error.reason._tag !== "ForwardingDenied") return
      assert.deepStrictEqual(error.reason.target, target)
      assert.strictEqual(error.reason.remotePort, 4096)
    }))

  it.effect("interrupts requests that hang", () =>
    Effect.gen(function*() {
      const rejections = yield* PubSub.unbounded<Rejection>()
      yield* withAnswers(() => Effect.never, (log) =>
        Effect.gen(function*() {
          const round = yield* Effect.forkChild(missed(forwardTo(1, Stream.fromPubSub(rejections))), {
            startImmediately: true
          })
          yield* PubSub.publish(rejections, "connect-failed")
          assert.strictEqual((yield* Fiber.join(round))._tag, "NothingListening")
          assert.strictEqual((yield* Ref.get(log)).interrupted.length, paths.length)
        }))
    }))

  it.effect("may come after the connections were closed, within the grace", () =>
    Effect.gen(function*() {
      const rejections = yield* PubSub.unbounded<Rejection>()
      yield* withAnswers((request) => Effect.fail(closed(request)), () =>
        Effect.gen(function*() {
          const round = yield* Effect.forkChild(missed(forwardTo(1, Stream.fromPubSub(rejections))))
          yield* TestClock.adjust(Duration.subtract(Timing.defaults.rejectionGrace, Duration.millis(1)))
          assert.isUndefined(round.pollUnsafe())
          yield* PubSub.publish(rejections, "connect-failed")
          assert.strictEqual((yield* Fiber.join(round))._tag, "NothingListening")
        }))
    }))

  it.effect("never comes: closed connections are no answer, after the grace", () =>
    withAnswers((request) => Effect.fail(closed(request)), () =>
      Effect.gen(function*() {
        const round = yield* Effect.forkChild(missed(forwardTo(1)))
        yield* TestClock.adjust(Timing.defaults.rejectionGrace)
        const reason = yield* Fiber.join(round)
        assert.isTrue(reason._tag === "NoAnswer" && reason.waited === 250)
        assert.isTrue(reason._tag === "NoAnswer" && reason.detail?.includes("socket hang up"))
      })))

  it.effect("is not waited for where the other program has spoken", () =>
    withAnswers(
      (request) => request.path === "/health" ? Effect.succeed(json({}, 401)) : Effect.fail(closed(request)),
      () =>
        Effect.gen(function*() {
          assert.strictEqual((yield* missed(forwardTo(1)))._tag, "Unauthorized")
        })
    ))

  it.effect("has no say when the forward's stream just ends", () =>
    withAnswers(() => Effect.delay(Effect.succeed(v1), "5 millis"), () =>
      Effect.gen(function*() {
        const round = yield* Effect.forkChild(find(forwardTo(1, Stream.empty)))
        yield* TestClock.adjust("5 millis")
        assert.strictEqual((yield* Fiber.join(round)).version, "1.18.33")
      })))
})

describe("secured", () => {
  /** Valid for whoever has the credentials; `twin` is what the others get. */
  const guarded =
    (path: string, valid: LoopbackResponse, twin: Effect.Effect<LoopbackResponse, LoopbackHttpError>) =>
    (request: LoopbackRequest) =>
      request.authorization === undefined
        ? twin
        : Effect.succeed(request.path === path ? valid : page)

  const info = json({ version: "2.0.22", pid: 1 })

  it.effect("the likely endpoints are asked without credentials in the same round, and only with credentials", () =>
    withAnswers(() => Effect.never, (log) =>
      Effect.gen(function*() {
        const round = yield* Effect.forkChild(find(forwardTo(1), { credentials }), { startImmediately: true })
        assert.deepStrictEqual((yield* Ref.get(log)).sent, [
          "/global/health!",
          "/global/health",
          "/api/info!",
          "/api/info",
          "/api/status!",
          "/api/health!",
          "/health!"
        ])
        yield* Fiber.interrupt(round)
        assert.strictEqual((yield* Ref.get(log)).interrupted.length, 7)
      })))

  it.effect("a twin that is refused proves it", () =>
    withAnswers(
      guarded("/api/info", info, Effect.delay(Effect.succeed(json({}, 401)), "7 millis")),
      (log) =>
        Effect.gen(function*() {
          const round = yield* Effect.forkChild(find(forwardTo(1), { credentials }))
          yield* TestClock.adjust("7 millis")
          assert.isTrue((yield* Fiber.join(round)).secured)
          assert.strictEqual((yield* Ref.get(log)).sent.length, 7)
        })
    ))

  it.effect("a twin that is answered disproves it", () =>
    withAnswers(guarded("/global/health", v1, Effect.succeed(v1)), () =>
      Effect.gen(function*() {
        assert.isFalse((yield* find(forwardTo(1), { credentials })).secured)
      })))

  it.effect("a twin that stays unanswered proves nothing, and is waited for alone and not long", () =>
    withAnswers(
      ({ authorization, path }) =>
        authorization !== undefined && path === "/global/health" ? Effect.succeed(v1) : Effect.never,
      (log) =>
        Effect.gen(function*() {
          const round = yield* Effect.forkChild(find(forwardTo(1), { credentials }))
          yield* TestClock.adjust(Duration.subtract(Timing.defaults.securedGrace, Duration.millis(1)))
          assert.isUndefined(round.pollUnsafe())
          assert.sameMembers([...(yield* Ref.get(log)).interrupted], paths.slice(1).map((path) => `${path}!`))
          yield* TestClock.adjust("1 millis")
          assert.isFalse((yield* Fiber.join(round)).secured)
        })
    ))

  it.effect("an unlikely endpoint gets its twin when it has won", () =>
    withAnswers(guarded("/api/status", info, Effect.succeed(json({}, 401))), (log) =>
      Effect.gen(function*() {
        assert.isTrue((yield* find(forwardTo(1), { credentials })).secured)
        assert.strictEqual((yield* Ref.get(log)).sent.at(-1), "/api/status")
      })))

  it.effect("without credentials a valid answer is the proof that it is not", () =>
    withAnswers(() => Effect.succeed(v1), (log) =>
      Effect.gen(function*() {
        assert.isFalse((yield* find(forwardTo(1))).secured)
        assert.isEmpty((yield* Ref.get(log)).sent.filter((name) => name.endsWith("!")))
      })))
})

describe("versions", () => {
  const judged = (version: string, range?: string) =>
    withAnswers(
      // The version decides before anything else is waited for.
      (request) =>
        request.authorization === undefined ? Effect.never : Effect.succeed(json({ healthy: true, version })),
      () => find(forwardTo(1), { credentials, ...(range === undefined ? undefined : { range }) }).pipe(Effect.flip)
    )

  it.effect("outside the range: both sides are told", () =>
    Effect.gen(function*() {
      const error = yield* judged("3.1.0")
      assert.deepStrictEqual([error._tag, error.reason._tag], ["CompatibilityError", "UnsupportedVersion"])
      assert.include(error.message, "3.1.0")
      assert.include(error.message, defaultVersionRange)
    }))

  it.effect("no version, pre-releases, and a range that cannot be read", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* judged("local")).reason._tag, "UnparsableVersion")
      assert.strictEqual((yield* judged("2.0.0-beta.1")).reason._tag, "UnsupportedVersion")
      assert.strictEqual((yield* judged("1.0.0", ">=one")).reason._tag, "UnparsableVersion")
    }))

  it.effect("a version that the range names", () =>
    withAnswers(() => Effect.succeed(json({ healthy: true, version: "local" })), () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* find(forwardTo(1), { range: "1.x || local" })).version, "local")
      })))
})

const Real = Layer.provide(Discovery.layerNoDeps, nodeLoopbackHttp)

layer(Real, { excludeTestServices: true })("real servers", (it) => {
  const found = (routes: FakeServer.Routes, options: Partial<FindOptions> = {}) =>
    Effect.gen(function*() {
      const server = yield* FakeServer.http(routes)
      return { ...(yield* find(forwardTo(server.port), options)) }
    })

  const refused = (routes: FakeServer.Routes, options: Partial<FindOptions> = {}) =>
    Effect.gen(function*() {
      const server = yield* FakeServer.http(routes)
      return yield* missed(forwardTo(server.port), options)
    })

  it.effect("each generation by its own route", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* found(FakeServer.v1("1.18.33")), {
        generation: "v1",
        version: "1.18.33",
        path: "/global/health",
        secured: false
      })
      for (const path of ["/api/info", "/api/status", "/api/health"] as const) {
        assert.deepStrictEqual(yield* found(FakeServer.v2("2.0.22", path, 4711)), {
          generation: "v2",
          version: "2.0.22",
          path,
          pid: 4711,
          secured: false
        })
      }
      assert.deepStrictEqual(
        yield* found({ "GET /health": { body: { status: "pass", version: "1.0.0" } }, "*": FakeServer.html }),
        { generation: "generic", version: "1.0.0", path: "/health", secured: false }
      )
    }))

  it.effect("with a password: none, a wrong one, the right one", () =>
    Effect.gen(function*() {
      for (const routes of [FakeServer.v1("1.18.33"), FakeServer.v2("2.0.4", "/api/status")]) {
        const guarded = FakeServer.guarded("opencode", "pw", routes)
        const none = yield* refused(guarded)
        assert.isTrue(none._tag === "Unauthorized" && none.credentials === "none")
        const wrong = new Credentials({ username: "opencode", password: Redacted.make("wrong") })
        const wrongly = yield* refused(guarded, { credentials: wrong })
        assert.isTrue(wrongly._tag === "Unauthorized" && wrongly.credentials === "refused")
        assert.isTrue((yield* found(guarded, { credentials })).secured)
        assert.isFalse((yield* found(routes, { credentials })).secured)
      }
    }))

  it.effect("other web servers are told apart from OpenCode, with a detail that helps", () =>
    Effect.gen(function*() {
      const detailOf = (routes: FakeServer.Routes) =>
        Effect.map(refused(routes), (reason) => reason._tag === "NotAnOpencodeServer" ? reason.detail : reason._tag)
      assert.strictEqual(yield* detailOf({ "*": FakeServer.html }), "it serves web pages, titled \"A web app\"")
      assert.include(yield* detailOf({ "*": { body: { database: "ok", version: "10.0.0" } } }), "JSON")
      assert.include(yield* detailOf({}), "none of OpenCode's health endpoints")
      assert.include(yield* detailOf({ "*": { status: 302, headers: { location: "/login" } } }), "redirects")
      assert.include(yield* detailOf({ "*": { body: "ok", headers: { "content-type": "text/plain" } } }), "text/plain")
      const big = { status: 200, headers: { "content-type": "application/json" }, body: `"${"x".repeat(70_000)}"` }
      assert.include(yield* detailOf({ "*": big }), "more than a health answer can hold")
      assert.include(yield* detailOf({ "*": { ...big, endless: true } }), "more than a health answer can hold")
      // V1's answer there, without anything else of V1: no version, so it is not V2 either.
      assert.include(yield* detailOf({ "/api/health": { body: { healthy: true } } }), "JSON")
    }))

  it.effect("statuses, and servers that say that they are ill", () =>
    Effect.gen(function*() {
      const starting = yield* refused({
        "GET /api/info": { status: 503, body: { version: "2.0.0", pid: 1 } },
        "*": FakeServer.html
      })
      assert.isTrue(starting._tag === "UnexpectedStatus" && starting.status === 503 && starting.path === "/api/info")
      const forbidden = yield* refused({ "*": { status: 403 } })
      assert.isTrue(forbidden._tag === "UnexpectedStatus" && forbidden.status === 403)
      assert.strictEqual((yield* refused({ "/global/health": { body: { healthy: false } } }))._tag, "Unhealthy")
      assert.strictEqual(
        (yield* refused({ "/health": { body: { status: "fail", version: "1.0.0" } }, "*": FakeServer.html }))._tag,
        "Unhealthy"
      )
    }))

  it.effect("what does not speak HTTP is named; what hangs up gave no answer", () =>
    Effect.gen(function*() {
      const spoken = (speak: Parameters<typeof FakeServer.tcp>[0]) =>
        Effect.gen(function*() {
          const server = yield* FakeServer.tcp(speak)
          return yield* missed(forwardTo(server.port))
        })
      const ssh = yield* spoken((socket) => socket.write("SSH-2.0-OpenSSH_9.2p1\r\n"))
      assert.isTrue(ssh._tag === "NotAnOpencodeServer" && ssh.detail.includes("SSH-2.0-OpenSSH_9.2p1"))
      const tls = yield* spoken((socket) => socket.once("data", () => socket.end(Uint8Array.of(21, 3, 1, 0, 2, 2, 70))))
      assert.isTrue(tls._tag === "NotAnOpencodeServer" && tls.detail.includes("does not speak HTTP"))
      // A TLS server that closes without a word what is not TLS: only its own protocol gets an answer.
      const wantsTls = yield* spoken((socket) =>
        socket.once("data", (bytes) => socket.end(bytes[0] === 22 ? Uint8Array.of(21, 3, 3, 0, 2, 2, 40) : ""))
      )
      assert.isTrue(wantsTls._tag === "NotAnOpencodeServer" && wantsTls.detail === "it wants TLS (https)")
      const hangsUp = yield* spoken((socket) => socket.destroy())
      assert.isTrue(hangsUp._tag === "NoAnswer" && hangsUp.waited < 10_000)
    }))

  it.effect("leaves no connection behind", () =>
    Effect.gen(function*() {
      const gone = yield* Deferred.make<void>()
      const open = { now: 0, ever: 0 }
      const server = yield* FakeServer.tcp((socket) => {
        open.now += 1
        open.ever += 1
        socket.once("close", () => {
          open.now -= 1
          if (open.ever === 7 && open.now === 0) Deferred.doneUnsafe(gone, Exit.void)
        })
        socket.once("data", (bytes) => {
          if (!bytes.toString("utf8").startsWith("GET /global/health ")) return
          const body = "{\"healthy\":true,\"version\":\"1.0.0\"}"
          socket.write(
            `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
          )
        })
      })
      yield* find(forwardTo(server.port), { credentials })
      yield* Deferred.await(gone)
    }))
})

const Impatient = Layer.provide(Real, Layer.succeed(Timing, { ...Timing.defaults, discovery: Duration.millis(200) }))

layer(Impatient, { excludeTestServices: true })("a real server that is silent", (it) => {
  it.effect("gave no answer within the budget, and its connections are closed", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.http({ "*": { silent: true } })
      const reason = yield* missed(forwardTo(server.port))
      assert.isTrue(reason._tag === "NoAnswer" && reason.waited >= 200 && reason.detail === undefined)
    }))
})
