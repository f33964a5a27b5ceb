import { assert, describe, it } from "@effect/vitest"
import type { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { ConnectionLost, TransportError } from "@opencode-ai/ssh-tunnel/TransportError"
import { makeNews } from "../src/ui/News.ts"
import type { ConnectionNews } from "../src/ui/Window.ts"

const error = new TransportError({
  reason: new ConnectionLost({ target: { host: "box", options: [] }, detail: "gone" })
})
const connected = { _tag: "Connected" } as ConnectionState
const reconnecting: ConnectionState = { _tag: "Reconnecting", attempt: 1, nextAt: "", error }
const connecting: ConnectionState = { _tag: "Connecting", step: "starting", since: "" }
const failed: ConnectionState = { _tag: "Failed", error }
const disconnected: ConnectionState = { _tag: "Disconnected" }

const told = (...states: ReadonlyArray<ConnectionState>): ReadonlyArray<ConnectionNews["kind"]> => {
  const kinds: Array<ConnectionNews["kind"]> = []
  const news = makeNews(({ kind }) => kinds.push(kind))
  states.slice(1).forEach((state, index) => news.state("id", "box", states[index] ?? disconnected, state))
  assert.strictEqual(news.notices().length, new Set(kinds).size)
  return kinds
}

describe("news", () => {
  it("a connection is lost and back", () =>
    assert.deepStrictEqual(told(connected, reconnecting, connecting, reconnecting, connecting, connected), [
      "lost",
      "back"
    ]))
  it("a connection is lost for good", () =>
    assert.deepStrictEqual(told(connected, reconnecting, connecting, failed), ["lost", "failed"]))
  it("what a person does is no news", () => {
    assert.deepStrictEqual(told(disconnected, connecting, connected, disconnected), [])
    assert.deepStrictEqual(told(disconnected, connecting, failed), [])
    assert.deepStrictEqual(told(connected, reconnecting, disconnected, connecting, connected), ["lost"])
  })
  it("a connection that was not up was not lost", () =>
    assert.deepStrictEqual(told(disconnected, connecting, reconnecting, connecting, connected), []))

  it("the live region hears each state once", () => {
    const news = makeNews(undefined)
    news.state("id", "box", disconnected, connecting)
    assert.strictEqual(news.announced(), "box: Connecting")
    news.state("id", "box", connecting, failed)
    assert.strictEqual(news.announced(), `box: Failed, ${error.message}`)
  })

  it("a gone application is no notice, every other failed call is", () => {
    const news = makeNews(undefined)
    news.problem({ message: "gone", gone: true })
    news.problem({ message: "No", remedy: "Do this", command: "ssh box", gone: false })
    assert.deepStrictEqual(news.notices().map(({ command, text, title }) => [title, text, command]), [[
      "No",
      "Do this",
      "ssh box"
    ]])
  })
})
