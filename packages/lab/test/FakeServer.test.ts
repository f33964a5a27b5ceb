import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Port from "@opencode-ai/ssh-lab/Port"
import { Effect, Fiber } from "effect"
import * as Http from "node:http"

interface Reply {
  readonly status: number
  readonly type: string
  readonly body: string
}

const get = (url: string, headers: Http.OutgoingHttpHeaders = {}): Effect.Effect<Reply, Error> =>
  Effect.callback((resume) => {
    const request = Http.get(url, { agent: false, headers }, (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (chunk) => (body += chunk)).on("end", () =>
        resume(
          Effect.succeed({ status: response.statusCode ?? 0, type: response.headers["content-type"] ?? "", body })
        ))
    })
    request.on("error", (error) => resume(Effect.fail(error)))
    return Effect.sync(() => request.destroy())
  })

describe("FakeServer", () => {
  it.live("answers as a V1 server does, and remembers what it was asked", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
      const health = yield* get(`${server.url}/global/health`, { "x-test": "1" })
      assert.deepStrictEqual(health, {
        status: 200,
        type: "application/json",
        body: "{\"healthy\":true,\"version\":\"1.18.33\"}"
      })
      assert.include((yield* get(`${server.url}/anything`)).type, "text/html")
      const requests = yield* server.requests
      assert.deepStrictEqual(requests.map(({ method, url }) => `${method} ${url}`), [
        "GET /global/health",
        "GET /anything"
      ])
      assert.strictEqual((yield* server.awaitRequest(1)).headers["x-test"], "1")
      assert.strictEqual(yield* server.connections, 2)
    }))

  it.live("guards, drops, and changes its mind", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.http(FakeServer.guarded("opencode", "pw", FakeServer.v2("2.0.4", "/api/status")))
      assert.strictEqual((yield* get(`${server.url}/api/status`)).status, 401)
      const authorization = `Basic ${Buffer.from("opencode:pw").toString("base64")}`
      assert.include((yield* get(`${server.url}/api/status`, { authorization })).body, "2.0.4")
      assert.strictEqual((yield* get(`${server.url}/api/info`, { authorization })).status, 404)
      yield* server.setRoutes({ "*": { drop: true } })
      assert.instanceOf(yield* get(server.url).pipe(Effect.flip), Error)
    }))

  it.live("stays silent, and cuts the silence when it ends", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.http({ "*": { silent: true } })
      const client = yield* get(server.url).pipe(Effect.flip, Effect.forkChild({ startImmediately: true }))
      yield* server.awaitRequest(1)
      assert.strictEqual(yield* server.openConnections, 1)
      yield* server.stop
      assert.instanceOf(yield* Fiber.join(client), Error)
      assert.isFalse(yield* Port.isListening(server.port))
    }))
})
