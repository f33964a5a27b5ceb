import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Credentials } from "@opencode-ai/ssh-tunnel/Credentials"
import { Door } from "@opencode-ai/ssh-tunnel/Door"
import { ConfigProvider, Effect, Fiber, FileSystem, Redacted, Ref } from "effect"
import * as Browser from "../src/Browser.ts"
import { connected, makeWorld, signals } from "./harness.ts"

const url = "http://127.0.0.1:9/ticket"

describe("the commands to try", () => {
  const commands = (surroundings: Partial<Browser.Surroundings>) =>
    Browser.openers({ platform: "linux", browser: "", display: false, ...surroundings }).map((opener) => opener(url))

  it("by platform", () => {
    assert.deepStrictEqual(commands({}), [])
    assert.deepStrictEqual(commands({ display: true }), [["xdg-open", url], ["wslview", url]])
    assert.deepStrictEqual(commands({ platform: "darwin" }), [["open", url]])
    assert.deepStrictEqual(commands({ platform: "win32" }), [["cmd.exe", "/d", "/c", "start", "", url]])
  })

  it("BROWSER comes first, and may say where the URL goes", () => {
    assert.deepStrictEqual(commands({ browser: "firefox --new-tab %s: w3m :", display: true }), [
      ["firefox", "--new-tab", url],
      ["w3m", url],
      ["xdg-open", url],
      ["wslview", url]
    ])
    assert.deepStrictEqual(commands({ browser: "none", display: true }), [])
  })
})

/** A directory with programs that write down what they were called with. */
const withPrograms = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped()
  const program = (name: string, exitCode: number) => {
    const path = `${directory}/${name}`
    const text =
      `#!/bin/sh\necho "${name} $* \${OPENCODE_SERVER_PASSWORD-none}" >> ${directory}/calls\nexit ${exitCode}\n`
    return Effect.as(fs.writeFileString(path, text, { mode: 0o755 }), path)
  }
  const calls = Effect.orElseSucceed(fs.readFileString(`${directory}/calls`), () => "")
  return { program, calls }
})

const environment = (env: Record<string, string>) => ConfigProvider.layer(ConfigProvider.fromEnv({ env }))

it.live("tries one after the other until one works", () =>
  Effect.gen(function*() {
    const { calls, program } = yield* withPrograms
    const [bad, good, never] = [yield* program("bad", 1), yield* program("good", 0), yield* program("never", 0)]
    const opened = yield* Browser.open(Redacted.make(url), "linux").pipe(
      Effect.provide(environment({ BROWSER: `/no/such/thing:${bad} -x:${good}:${never}` }))
    )
    assert.isTrue(opened)
    assert.strictEqual(yield* calls, `bad -x ${url} none\ngood ${url} none\n`)
    assert.isFalse(
      yield* Browser.open(Redacted.make(url), "linux").pipe(Effect.provide(environment({ BROWSER: bad })))
    )
  }).pipe(Effect.provide(NodeServices.layer)))

it.live("connect --open gives the ticket to the opener and shows it nowhere", () =>
  Effect.gen(function*() {
    const { calls, program } = yield* withPrograms
    const sent = yield* signals
    const opened = yield* Ref.make(0)
    const script = {
      states: [connected()],
      credentials: new Credentials({ username: "opencode", password: Redacted.make("s3cret") })
    }
    const door = Door.layerMock(() =>
      Effect.as(Ref.update(opened, (count) => count + 1), { url, closed: Effect.succeed("used" as const) })
    )
    const { cli } = yield* makeWorld({
      script,
      door,
      signals: sent.layer,
      env: { BROWSER: yield* program("browser", 0) }
    })
    const running = yield* Effect.forkChild(cli("connect", "box", "--open"))
    yield* calls.pipe(Effect.delay(5), Effect.repeat({ until: (text) => text !== "" }))
    yield* sent.send("SIGINT")
    const { code, stderr, stdout } = yield* Fiber.join(running)
    assert.strictEqual(code, 0)
    assert.strictEqual(yield* calls, `browser ${url} none\n`)
    assert.strictEqual(yield* Ref.get(opened), 1)
    assert.deepStrictEqual(stdout, ["http://127.0.0.1:41234"])
    assert.notInclude(stderr.join("\n"), "ticket")
    assert.notInclude(stderr.join("\n"), "s3cret")
  }).pipe(Effect.provide(NodeServices.layer)))

it.live("connect --open without any browser says where the server is, and stays connected", () =>
  Effect.gen(function*() {
    const sent = yield* signals
    const { cli, stderrIs } = yield* makeWorld({
      script: { states: [connected()] },
      door: Door.layerMock(() => Effect.succeed({ url, closed: Effect.succeed("used") })),
      signals: sent.layer,
      env: { BROWSER: "none" }
    })
    const running = yield* Effect.forkChild(cli("connect", "box", "--open"))
    yield* stderrIs((lines) => lines.some((line) => line.includes("no browser")))
    yield* sent.send("SIGINT")
    const { code, stderr, stdout } = yield* Fiber.join(running)
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(stdout, ["http://127.0.0.1:41234"])
    assert.isTrue(stderr.some((line) => line.includes("no browser could be opened")))
    assert.notInclude(stderr.join("\n"), "ticket")
  }))
