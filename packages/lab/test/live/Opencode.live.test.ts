import { assert, describe, it } from "@effect/vitest"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import { Effect } from "effect"

const health = (url: string, headers: Record<string, string> = {}) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/global/health`, { headers })
    return { status: response.status, body: await response.text() }
  })

describe.skipIf(!Opencode.available)("Opencode", () => {
  it.live("serves the real opencode on a given port, with a password", () =>
    Effect.gen(function*() {
      const port = yield* Port.free
      const server = yield* Opencode.serve({ port, password: "a secret" })
      assert.strictEqual(server.url, `http://127.0.0.1:${port}`)
      assert.strictEqual((yield* health(server.url)).status, 401)
      const authorization = `Basic ${Buffer.from("opencode:a secret").toString("base64")}`
      const answer = yield* health(server.url, { authorization })
      assert.strictEqual(answer.status, 200)
      assert.isTrue(JSON.parse(answer.body).healthy)
      yield* server.stop
      assert.isFalse(yield* Port.isListening(port))
    }))

  it.live("says why it did not start", () =>
    Effect.gen(function*() {
      const port = yield* Port.hold()
      const error = yield* Opencode.serve({ port }).pipe(Effect.flip)
      assert.include(error.message, "ServeError")
    }))
})
