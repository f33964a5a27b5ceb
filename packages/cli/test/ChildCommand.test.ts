import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Credentials } from "@opencode-ai/ssh-tunnel/Credentials"
import { DiscoveryError, NothingListening } from "@opencode-ai/ssh-tunnel/DiscoveryError"
import { Effect, Fiber, FileSystem, Redacted } from "effect"
import { connected, failed, jsonLines, makeWorld, signals } from "./harness.ts"

const credentials = new Credentials({ username: "opencode", password: Redacted.make("s3cret") })
const script = { states: [connected()], credentials }

const withDirectory = <A, E, R>(test: (directory: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    return yield* test(yield* fs.makeTempDirectoryScoped())
  }).pipe(Effect.provide(NodeFileSystem.layer))

/** Waits for a file that a child writes. */
const awaitFile = Effect.fnUntraced(function*(path: string) {
  const fs = yield* FileSystem.FileSystem
  yield* fs.exists(path).pipe(Effect.delay(5), Effect.repeat({ until: (exists) => exists }))
})

describe("exit codes", () => {
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>, number]> = [
    ["its own", ["sh", "-c", "exit 7"], 7],
    ["0", ["true"], 0],
    ["255", ["sh", "-c", "exit 255"], 255],
    ["128 + n when a signal ended it", ["sh", "-c", "kill -KILL $$"], 137],
    ["127 when there is none", ["/no/such/program"], 127],
    ["126 when it is no program", ["/etc/passwd"], 126]
  ]
  for (const [name, command, exitCode] of cases) {
    it.live(name, () =>
      Effect.gen(function*() {
        const { cli } = yield* makeWorld({ script })
        const { code, stdout } = yield* cli("connect", "box", "--", ...command)
        assert.strictEqual(code, exitCode)
        assert.deepStrictEqual(stdout, [])
      }))
  }

  it.live("the connection's, when there never was one: the command is not started", () =>
    withDirectory((directory) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const error = new DiscoveryError({ reason: new NothingListening({ remotePort: 4096 }) })
        const { cli } = yield* makeWorld({ script: { states: [failed(error)] } })
        assert.strictEqual((yield* cli("connect", "box", "--", "touch", `${directory}/ran`)).code, 12)
        assert.isFalse(yield* fs.exists(`${directory}/ran`))
      })
    ))
})

it.live("it gets the words as they are, and the server in its environment", () =>
  withDirectory((directory) =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const { cli } = yield* makeWorld({ script })
      const write = `printf '%s\\n' "$OPENCODE_SERVER_URL" "$OPENCODE_SERVER_USERNAME" "$OPENCODE_SERVER_PASSWORD" "$@"`
      const { code } = yield* cli(
        "connect",
        "box",
        "--",
        "sh",
        "-c",
        `{ ${write}; } > ${directory}/out`,
        "sh",
        "--json",
        "-x",
        "a b",
        "--",
        ""
      )
      assert.strictEqual(code, 0)
      assert.deepStrictEqual((yield* fs.readFileString(`${directory}/out`)).split("\n"), [
        "http://127.0.0.1:41234",
        "opencode",
        "s3cret",
        "--json",
        "-x",
        "a b",
        "--",
        "",
        ""
      ])
    })
  ))

it.live("credentials meant for another server are not passed on", () =>
  withDirectory((directory) =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const { cli } = yield* makeWorld({ script: { states: [connected({ secured: false })] } })
      const before = process.env["OPENCODE_SERVER_PASSWORD"]
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          process.env["OPENCODE_SERVER_PASSWORD"] = "other"
        }),
        () =>
          Effect.sync(() => {
            if (before === undefined) delete process.env["OPENCODE_SERVER_PASSWORD"]
            else process.env["OPENCODE_SERVER_PASSWORD"] = before
          })
      )
      yield* cli("connect", "box", "--", "sh", "-c", `echo "\${OPENCODE_SERVER_PASSWORD-none}" > ${directory}/out`)
      assert.strictEqual(yield* fs.readFileString(`${directory}/out`), "none\n")
    })
  ))

it.live("with --json its output goes to stderr, so that stdout stays NDJSON", () =>
  Effect.gen(function*() {
    const { cli, rawStderr } = yield* makeWorld({ script })
    const { code, stdout } = yield* cli("connect", "box", "--json", "--", "sh", "-c", "echo one; echo two; exit 3")
    assert.strictEqual(code, 3)
    assert.strictEqual(yield* rawStderr, "one\ntwo\n")
    assert.deepStrictEqual(
      jsonLines(stdout).map((line) => line.type === "state" ? line.state._tag : line.type),
      ["Connected", "Disconnecting", "Disconnected"]
    )
  }))

describe("signals", () => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    it.live(`${signal} is passed on, and the command decides`, () =>
      withDirectory((directory) =>
        Effect.gen(function*() {
          const sent = yield* signals
          const { cli } = yield* makeWorld({ script, signals: sent.layer })
          const command = `trap 'exit 9' ${signal.slice(3)}; touch ${directory}/ready; while :; do sleep 0.02; done`
          const running = yield* Effect.forkChild(cli("connect", "box", "--", "sh", "-c", command))
          yield* awaitFile(`${directory}/ready`)
          yield* sent.send(signal)
          assert.strictEqual((yield* Fiber.join(running)).code, 9)
        })
      ))
  }

  it.live("one that ends the command shows in the exit code", () =>
    withDirectory((directory) =>
      Effect.gen(function*() {
        const sent = yield* signals
        const { cli } = yield* makeWorld({ script, signals: sent.layer })
        const command = `touch ${directory}/ready; exec sleep 30`
        const running = yield* Effect.forkChild(cli("connect", "box", "--", "sh", "-c", command))
        yield* awaitFile(`${directory}/ready`)
        yield* sent.send("SIGTERM")
        assert.strictEqual((yield* Fiber.join(running)).code, 143)
      })
    ))

  it.live("on a terminal SIGINT has reached it already: it is not passed on a second time", () =>
    withDirectory((directory) =>
      Effect.gen(function*() {
        const sent = yield* signals
        const { cli } = yield* makeWorld({ script, terminal: true, signals: sent.layer })
        const command = `trap 'exit 9' INT; trap 'exit 4' TERM; touch ${directory}/ready; while :; do sleep 0.02; done`
        const running = yield* Effect.forkChild(cli("connect", "box", "--", "sh", "-c", command))
        yield* awaitFile(`${directory}/ready`)
        yield* sent.send("SIGINT")
        yield* sent.send("SIGTERM")
        assert.strictEqual((yield* Fiber.join(running)).code, 4)
      })
    ))
})
