import { assert, describe, it } from "@effect/vitest"
import * as Port from "@opencode-ai/ssh-lab/Port"
import { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { DiscoveryError, NothingListening } from "@opencode-ai/ssh-tunnel/DiscoveryError"
import { Effect } from "effect"
import { introduction, type Options, parse } from "../demo/options.ts"
import { summarize } from "../demo/pages.ts"
import { missing } from "../demo/requirements.ts"
import * as Screen from "../demo/screen.ts"
import * as Timeline from "../demo/timeline.ts"
import { listenersOn, stillListening } from "../demo/traces.ts"

const parsed = (...args: ReadonlyArray<string>): Options => {
  const options = parse(args)
  if (typeof options === "string") throw new Error(options)
  return options
}

describe("the demo's options", () => {
  const embedded: Options = { once: false, bootstrap: false, remotePort: undefined, host: [] }

  it("without a host it makes a machine", () => {
    assert.deepStrictEqual(parsed(), embedded)
    assert.deepStrictEqual(parsed("--once"), { ...embedded, once: true })
    assert.deepStrictEqual(parsed("--", "--once"), { ...embedded, once: true })
  })

  it("hands ssh's words on as they are", () => {
    const words = ["-F", "a b", "-o", "HostName=x", "me@box"]
    assert.deepStrictEqual(parsed(...words, "--bootstrap", "--remote-port=5000"), {
      ...embedded,
      bootstrap: true,
      remotePort: 5000,
      host: words
    })
  })

  it("refuses what it does not know, and what would have no effect", () => {
    assert.strictEqual(parse(["--wat"]), "there is no option --wat")
    assert.strictEqual(parse(["--bootstrap"]), "--bootstrap is for a host of your own: add it")
    for (const port of ["0", "65536", "x", ""]) assert.include(parse(["box", "--remote-port", port]), "--remote-port")
    assert.include(parse(["box", "--remote-port"]), "--remote-port")
    assert.strictEqual(parse(["box", "--help"]), "help")
  })

  it("says before it connects whether something may be started", () => {
    assert.include(introduction(parsed("box")), "Nothing is started or stopped there")
    assert.include(introduction(parsed("box", "--bootstrap")), "one is started; it ends with this demo")
  })
})

const terminal = (environment: Record<string, string> = {}, isTTY = true) => {
  const written: Array<string> = []
  const out = { isTTY, write: (text: string) => written.push(text) }
  return { screen: Screen.make(out, environment), text: () => written.join("") }
}

describe("the demo's screen", () => {
  it("has colours only on a terminal that wants them", () => {
    const painted = (environment: Record<string, string>, isTTY: boolean) =>
      terminal(environment, isTTY).screen.paint("red", "x")
    assert.strictEqual(painted({}, true), "\u001b[31mx\u001b[0m")
    assert.strictEqual(painted({ NO_COLOR: "" }, true), "\u001b[31mx\u001b[0m")
    assert.strictEqual(painted({ NO_COLOR: "1" }, true), "x")
    assert.strictEqual(painted({ TERM: "dumb" }, true), "x")
    assert.strictEqual(painted({}, false), "x")
  })

  it("shows when each state began, and how long it took", () => {
    const { screen, text } = terminal({}, false)
    const show = Timeline.make(screen, "box")
    show(ConnectionState.cases.Connecting.make({ step: "authenticating", since: "" }), 1)
    show(ConnectionState.cases.Discovering.make({ since: "" }), 151)
    screen.line("an interruption")
    const error = new DiscoveryError({ reason: new NothingListening({ remotePort: 4096 }) })
    show(ConnectionState.cases.Failed.make({ error }), 160.4)
    assert.deepStrictEqual(text().split("\n"), [
      "     1 ms  Connecting     Logging in at box                                150 ms",
      "   151 ms  Discovering    Looking for the OpenCode server               ",
      "an interruption",
      "   160 ms  Failed         NothingListening",
      ""
    ])
  })

  it("makes what a server says harmless", () => {
    assert.strictEqual(summarize("<html><title>\u001b[2JOpen</title>"), "\"\\u001b[2JOpen\", 29 bytes")
    assert.strictEqual(summarize(`<title lang="en"> Ä </title>${" ".repeat(2000)}`), "\"Ä\", 2.0 KiB")
    assert.strictEqual(summarize("{\"healthy\":true}\n"), "{\"healthy\":true}")
    assert.strictEqual(summarize("\u001b]0;x\u0007"), "\\x1b]0;x\\x07")
  })
})

describe("what the demo needs and leaves", () => {
  it("is said with a command", () => {
    const machine = { platform: "linux", arch: "x64", sshd: true, opencode: true }
    assert.isUndefined(missing(machine))
    assert.include(missing({ ...machine, sshd: false }), "sshd is missing")
    assert.include(missing({ ...machine, opencode: false }), "npm install -g opencode-ai")
  })

  it.live("a port counts as left only while the same socket listens", () =>
    Effect.gen(function*() {
      const { before, port } = yield* Effect.scoped(Effect.gen(function*() {
        const port = yield* Port.hold()
        const before = yield* listenersOn([port])
        assert.deepStrictEqual(before.map((each) => each.port), [port])
        assert.deepStrictEqual(yield* stillListening(before), before)
        return { before, port }
      }))
      assert.deepStrictEqual(yield* stillListening(before), [])
      if (before[0]?.inode === undefined) return
      // Somebody else may get the same port.
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Port.hold(port)
        assert.strictEqual((yield* listenersOn([port])).length, 1)
        assert.deepStrictEqual(yield* stillListening(before), [])
      }))
    }))
})
