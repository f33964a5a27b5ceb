import { assert, describe, it } from "@effect/vitest"
import { BootstrapError, ServerExited } from "@opencode-ai/ssh-tunnel/BootstrapError"
import { CompatibilityError, UnsupportedVersion } from "@opencode-ai/ssh-tunnel/CompatibilityError"
import { ConfigurationError, SshNotFound } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import { type ConnectionError, ConnectionError as ConnectionErrorSchema } from "@opencode-ai/ssh-tunnel/ConnectionError"
import { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { DiscoveryError, NothingListening } from "@opencode-ai/ssh-tunnel/DiscoveryError"
import { ConnectionLost, HostKeyUnknown, TransportError } from "@opencode-ai/ssh-tunnel/TransportError"
import { Effect, Fiber, Option, Redacted, Schema } from "effect"
import {
  connected,
  connecting,
  discovering,
  failed,
  jsonLines,
  makeWorld,
  profile,
  signals,
  since
} from "../harness.ts"

const hostKeyUnknown = new TransportError({
  reason: new HostKeyUnknown({
    target: { host: "box", options: [] },
    keyType: "ED25519",
    fingerprint: "SHA256:abc",
    rememberable: true
  })
})

const errors: ReadonlyArray<readonly [ConnectionError, number]> = [
  [new ConfigurationError({ reason: new SshNotFound({ binary: "ssh", detail: "not found" }) }), 10],
  [hostKeyUnknown, 11],
  [new DiscoveryError({ reason: new NothingListening({ remotePort: 4096 }) }), 12],
  [new BootstrapError({ reason: new ServerExited({ exitCode: 1, log: "boom\n\u001b[2Jno config\n" }) }), 13],
  [new CompatibilityError({ reason: new UnsupportedVersion({ found: "3.1.0", supported: "<3.0.0" }) }), 14]
]

const steps = [connecting("starting"), connecting("connecting"), connecting("authenticating", "bastion"), discovering]

describe("--json", () => {
  it.effect("prints each state in the stable shape, and ends with 0 once it is connected", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeWorld({ script: { states: [...steps, connected()] } })
      const { code, stderr, stdout } = yield* cli("connect", "me@box", "--json", "--once")
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(stderr, [])
      const lines = jsonLines(stdout)
      assert.deepStrictEqual(
        lines.map((line) => line.type === "state" ? [line.at, line.profile, line.state._tag] : line),
        ["Connecting", "Connecting", "Connecting", "Discovering", "Connected"].map((
          tag
        ) => ["1970-01-01T00:00:00.000Z", "me@box", tag])
      )
      assert.deepStrictEqual(JSON.parse(stdout[2] ?? ""), {
        type: "state",
        at: "1970-01-01T00:00:00.000Z",
        profile: "me@box",
        state: { _tag: "Connecting", step: "authenticating", hop: "bastion", since }
      })
      const state: unknown = JSON.parse(stdout[4] ?? "").state
      assert.deepStrictEqual(yield* Schema.decodeUnknownEffect(ConnectionState)(state), connected())
    }))

  for (const [error, exitCode] of errors) {
    it.effect(`${error.reason._tag}: Failed says it all, exit code ${exitCode}`, () =>
      Effect.gen(function*() {
        const { cli } = yield* makeWorld({ script: { states: [...steps, failed(error)] } })
        const { code, stderr, stdout } = yield* cli("connect", "box", "--json")
        assert.strictEqual(code, exitCode)
        assert.deepStrictEqual(stderr, [])
        const last = jsonLines(stdout).at(-1)
        assert.isTrue(last?.type === "state" && last.state._tag === "Failed")
        const shown = JSON.parse(stdout.at(-1) ?? "").state.error
        assert.strictEqual(shown._tag, error._tag)
        assert.strictEqual(shown.reason._tag, error.reason._tag)
        assert.strictEqual(shown.message, error.message)
        assert.strictEqual(shown.retryable, error.retryable)
        assert.strictEqual(shown.remedy.text, error.remedy.text)
        assert.strictEqual(shown.remedy.command, error.remedy.command)
        assert.strictEqual((yield* Schema.decodeUnknownEffect(ConnectionErrorSchema)(shown)).message, error.message)
      }))
  }

  it.effect("an error of Reconnecting has its texts, too", () =>
    Effect.gen(function*() {
      const error = new TransportError({
        reason: new ConnectionLost({ target: { host: "box", options: [] }, detail: "timed out" })
      })
      const { cli } = yield* makeWorld({
        script: {
          states: [
            connected(),
            ConnectionState.cases.Reconnecting.make({ attempt: 1, nextAt: since, error, url: connected().url }),
            failed(hostKeyUnknown)
          ]
        }
      })
      const { code, stdout } = yield* cli("connect", "box", "--json")
      assert.strictEqual(code, 11)
      const shown = JSON.parse(stdout[1] ?? "").state
      assert.strictEqual(shown._tag, "Reconnecting")
      assert.strictEqual(shown.attempt, 1)
      assert.strictEqual(shown.error.message, error.message)
      assert.isTrue(shown.error.retryable)
    }))

  it.effect("an error before any state is one line of its own", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeWorld()
      const unknown = yield* cli("connect", "no such profile", "--json")
      assert.strictEqual(unknown.code, 10)
      const [line, ...more] = jsonLines(unknown.stdout)
      assert.deepStrictEqual(more, [])
      assert.isTrue(line?.type === "error" && line.error.reason._tag === "ProfileNotFound")

      const wrong = yield* cli("connect", "box", "--json", "--port", "70000")
      assert.strictEqual(wrong.code, 2)
      assert.deepStrictEqual(wrong.stderr, [])
      const [usage, ...others] = jsonLines(wrong.stdout)
      assert.deepStrictEqual(others, [])
      assert.isTrue(usage?.type === "error" && usage.error._tag === "UsageError")
    }))
})

describe("for a person", () => {
  it.effect("without a terminal: plain lines on stderr, the URL alone on stdout", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeWorld({ script: { states: [...steps, connected({ bootstrapped: "started" })] } })
      const { code, stderr, stdout } = yield* cli("connect", "me@box", "--once")
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(stdout, ["http://127.0.0.1:41234"])
      assert.deepStrictEqual(stderr, [
        "Starting ssh",
        "Connecting to me@box",
        "Logging in at jump host bastion",
        "Looking for the OpenCode server",
        "✓ Connected to me@box: OpenCode 1.18.33 on remote port 4096, just started  0.0 s"
      ])
    }))

  it.effect("warns of a server without a password", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeWorld({ script: { states: [connected({ secured: false })] } })
      const { stderr } = yield* cli("connect", "box", "--once")
      assert.isTrue(stderr.some((line) => line.startsWith("warning: this server has no password")))
    }))

  it.effect("says why the URL is another one than before", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeWorld({ script: { states: [connected({ movedFrom: 40001 })] } })
      const { stderr } = yield* cli("connect", "box", "--once")
      assert.isTrue(stderr.some((line) => line.startsWith("warning: another program holds the local port 40001")))
    }))

  for (const [error, exitCode] of errors) {
    it.effect(`${error.reason._tag}: message, remedy, and its command on a line of its own`, () =>
      Effect.gen(function*() {
        const { cli } = yield* makeWorld({ script: { states: [...steps, failed(error)] } })
        const { code, stderr, stdout } = yield* cli("connect", "box")
        assert.strictEqual(code, exitCode)
        assert.deepStrictEqual(stdout, [])
        assert.include(stderr, `error: ${error.message}`)
        assert.include(stderr, error.remedy.text)
        if (error.remedy.command !== undefined) assert.strictEqual(stderr.at(-1), `  ${error.remedy.command}`)
      }))
  }

  it.effect("shows the end of a remote log without obeying it", () =>
    Effect.gen(function*() {
      const error = errors[3]?.[0]
      assert.isDefined(error)
      const { cli } = yield* makeWorld({ terminal: true, script: { states: [failed(error)] } })
      const { stderr } = yield* cli("connect", "box")
      assert.isTrue(stderr.some((line) => line.includes("| \\x1b[2Jno config")))
    }))

  it.effect("a hostile version cannot drive the terminal", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeWorld({ script: { states: [connected({ serverVersion: "1.0\u001b]0;x\u0007" })] } })
      const { stderr } = yield* cli("connect", "box", "--once")
      assert.isTrue(stderr.some((line) => line.includes("OpenCode 1.0\\x1b]0;x\\x07 on")))
    }))

  it.effect("on a terminal: colours and a spinner; with NO_COLOR no colours", () =>
    Effect.gen(function*() {
      const script = { states: [...steps, connected({ secured: false })] }
      const colour = /\u001b\[\d+m/
      const plain = yield* makeWorld({ terminal: true, env: { NO_COLOR: "1" }, script })
      const without = yield* plain.cli("connect", "box", "--once")
      assert.isFalse(colour.test(without.stderr.join("\n") + (yield* plain.rawStderr)))
      assert.isTrue(/⠋ Connecting to box {2}0\.0 s/.test(yield* plain.rawStderr))
      assert.isTrue(without.stderr.some((line) => line === "✓ Connecting to box  0.0 s"))

      const coloured = yield* makeWorld({ terminal: true, script })
      const shown = yield* coloured.cli("connect", "box", "--once")
      assert.isTrue(colour.test(shown.stderr.join("\n")))

      const dumb = yield* makeWorld({ terminal: true, env: { TERM: "dumb" }, script })
      const still = yield* dumb.cli("connect", "box", "--once")
      assert.strictEqual(yield* dumb.rawStderr, "")
      assert.isFalse(still.stderr.join("\n").includes("\u001b"))
    }))

  it.effect("prints the URL again only when it has changed", () =>
    Effect.gen(function*() {
      const lost = ConnectionState.cases.Reconnecting.make({ attempt: 1, nextAt: since, error: hostKeyUnknown })
      const { cli } = yield* makeWorld({
        script: {
          states: [
            connected(),
            lost,
            connected(),
            lost,
            connected({ url: "http://127.0.0.1:5" }),
            failed(hostKeyUnknown)
          ]
        }
      })
      const { stdout } = yield* cli("connect", "box")
      assert.deepStrictEqual(stdout, ["http://127.0.0.1:41234", "http://127.0.0.1:5"])
    }))
})

describe("the end", () => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    it.effect(`${signal} disconnects and ends with 0`, () =>
      Effect.gen(function*() {
        const sent = yield* signals
        const { cli, stdoutIs } = yield* makeWorld({ script: { states: [connected()] }, signals: sent.layer })
        const running = yield* Effect.forkChild(cli("connect", "box", "--json"))
        yield* stdoutIs((lines) => lines.length === 1)
        yield* sent.send(signal)
        const { code, stdout } = yield* Fiber.join(running)
        assert.strictEqual(code, 0)
        assert.deepStrictEqual(
          jsonLines(stdout).map((line) => line.type === "state" ? line.state._tag : line.type),
          ["Connected", "Disconnecting", "Disconnected"]
        )
      }))
  }

  it.effect("before the connection is there: 0, but 128 + n for those who wait for it", () =>
    Effect.gen(function*() {
      const codeOf = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
        const sent = yield* signals
        const { cli } = yield* makeWorld({ script: { states: [connecting("connecting")] }, signals: sent.layer })
        yield* sent.send("SIGTERM")
        return (yield* cli("connect", "box", ...args)).code
      })
      assert.strictEqual(yield* codeOf(), 0)
      assert.strictEqual(yield* codeOf("--once"), 143)
      assert.strictEqual(yield* codeOf("--", "true"), 143)
    }))
})

describe("who is meant", () => {
  const askedFor = Effect.fnUntraced(function*(
    world: Parameters<typeof makeWorld>[0],
    ...args: ReadonlyArray<string>
  ) {
    const { asked, cli } = yield* makeWorld({ ...world, script: { states: [connected()] } })
    const { code, stderr, stdout } = yield* cli("connect", ...args, "--once", "--json")
    assert.strictEqual(code, 0, stderr.join("\n"))
    const [line] = jsonLines(stdout)
    const [one] = yield* asked
    assert.isDefined(one)
    return { ...one, label: line?.type === "state" ? line.profile : undefined }
  })

  it.effect("a profile of that name or id wins, ssh:// forces a destination", () =>
    Effect.gen(function*() {
      const profiles = [profile({ name: "work", id: "w1", host: "far", user: "dev" })]
      assert.strictEqual((yield* askedFor({ profiles }, "work")).profile.host, "far")
      assert.strictEqual((yield* askedFor({ profiles }, "w1")).label, "work")
      const forced = yield* askedFor({ profiles }, "ssh://work")
      assert.strictEqual(forced.profile.host, "work")
      assert.strictEqual(forced.label, "ssh://work")
    }))

  it.effect("options override the profile for this run", () =>
    Effect.gen(function*() {
      const saved = profile({
        name: "work",
        host: "far",
        user: "dev",
        port: 22,
        remotePort: 4096,
        bootstrap: { enabled: true, lifetime: "persistent" }
      })
      const { profile: used } = yield* askedFor(
        { profiles: [saved] },
        "work",
        "--user",
        "root",
        "--remote-port",
        "5000",
        "--no-bootstrap",
        "-F",
        "none",
        "--strategy",
        "plain"
      )
      assert.strictEqual(used.id, saved.id)
      assert.strictEqual(used.user, "root")
      assert.strictEqual(used.port, 22)
      assert.strictEqual(used.remotePort, 5000)
      assert.strictEqual(used.sshConfig, "none")
      assert.strictEqual(used.strategy, "plain")
      assert.isFalse(used.bootstrap.enabled)
    }))

  it.effect("a destination has an id that stays, and another one for another server", () =>
    Effect.gen(function*() {
      const first = yield* askedFor({}, "me@box:2222", "--bootstrap")
      const again = yield* askedFor({}, "me@box:2222")
      const other = yield* askedFor({}, "me@box:2222", "--remote-port", "5000")
      assert.strictEqual(first.profile.id, "adhoc-a1bd6f896a63b9eb")
      assert.strictEqual(first.profile.id, again.profile.id)
      assert.notStrictEqual(first.profile.id, other.profile.id)
      assert.deepStrictEqual([first.profile.user, first.profile.host, first.profile.port], ["me", "box", 2222])
    }))

  it.effect("the password comes from the environment, the user name from option, profile or environment", () =>
    Effect.gen(function*() {
      const env = { OPENCODE_SERVER_PASSWORD: "s3cret", OPENCODE_SERVER_USERNAME: "eve" }
      const named = Option.getOrThrow((yield* askedFor({ env }, "box")).credentials)
      assert.strictEqual(Redacted.value(named.password), "s3cret")
      assert.strictEqual(named.username, "eve")
      const given = yield* askedFor({ env }, "box", "--username", "bob")
      assert.strictEqual(Option.getOrThrow(given.credentials).username, "bob")
      assert.isTrue(Option.isNone((yield* askedFor({ env: { OPENCODE_SERVER_PASSWORD: "" } }, "box")).credentials))
    }))
})

describe("wrong usage ends with 2", () => {
  const wrong: ReadonlyArray<ReadonlyArray<string>> = [
    [],
    ["box", "extra"],
    ["--", "true"],
    ["box", "--"],
    ["box", "--nonsense"],
    ["-oProxyCommand=x"],
    ["ssh://a b"],
    ["ssh://"],
    ["box:0"],
    ["$(id)@box"],
    ["box", "--port", "0"],
    ["box", "--remote-port", "x"],
    ["box", "--user", "-l"],
    ["box", "--user", "$(id)"],
    ["box", "--proxy-jump", "a;b"],
    ["box", "--lifetime", "eternal", "--bootstrap"],
    ["box", "--bootstrap-port", "5000"],
    ["box", "--lifetime", "session"],
    ["box", "--version-range", "new"],
    ["box", "--once", "--", "true"],
    ["box", "--once", "--open"]
  ]
  for (const args of wrong) {
    it.effect(`connect ${args.join(" ")}`, () =>
      Effect.gen(function*() {
        const { asked, cli } = yield* makeWorld({ script: { states: [connected()] } })
        const { code, stderr, stdout } = yield* cli("connect", ...args)
        assert.strictEqual(code, 2, stderr.join("\n"))
        assert.deepStrictEqual(stdout, [])
        assert.isTrue(stderr.some((line) => line.startsWith("error: ")), stderr.join("\n"))
        assert.include(stderr.at(-1), "--help")
        assert.deepStrictEqual(yield* asked, [])
      }))
  }
})
