import { assert, describe, it } from "@effect/vitest"
import { type Cause, Effect, Fiber, Layer, Option, Queue, Redacted, Ref, Schema, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Bootstrap, type EnsureOptions, RemoteServer } from "../src/Bootstrap.ts"
import { BootstrapError } from "../src/BootstrapError.ts"
import { CompatibilityError } from "../src/CompatibilityError.ts"
import { Recording } from "../src/FlightRecorder.ts"
import { LocalHost } from "../src/LocalHost.ts"
import { Timing } from "../src/Schedules.ts"
import { ConnectionClosed, TransportError } from "../src/TransportError.ts"
import type { OpenTunnel } from "../src/Tunnel.ts"

/** A remote side that says what the test lets it say. */
const makeRemote = Effect.gen(function*() {
  const stdout = yield* Queue.unbounded<string, Cause.Done>()
  const exit = yield* Queue.unbounded<number>()
  const scripts = yield* Ref.make<ReadonlyArray<string>>([])
  const closed = yield* Ref.make(0)
  const tunnel: OpenTunnel = {
    strategy: "master",
    forward: () => Effect.die("no forward here"),
    exec: (script) =>
      Effect.gen(function*() {
        yield* Ref.update(scripts, (all) => [...all, Redacted.value(script)])
        yield* Effect.addFinalizer(() => Ref.update(closed, (count) => count + 1))
        return { stdout: Stream.fromQueue(stdout), stderr: Stream.empty, exitCode: Queue.take(exit) }
      }),
    capabilities: Effect.succeed({ sessions: "allowed" }),
    closed: Effect.never,
    stderr: Effect.succeed("")
  }
  const script = Effect.map(Ref.get(scripts), (all) => all.at(-1) ?? "")
  return {
    tunnel,
    script,
    closed: Ref.get(closed),
    /** An assignment of the last script. */
    assigned: (name: string) =>
      Effect.map(script, (text) => new RegExp(`^ocs_${name}='([^']*)'$`, "m").exec(text)?.[1]),
    say: (text: string) => Queue.offer(stdout, text),
    answer: (value: unknown) =>
      Effect.flatMap(
        script,
        (text) => Queue.offer(stdout, `\n${/ocs_nonce='(\w+)'/.exec(text)?.[1]} result ${JSON.stringify(value)}\n`)
      ),
    step: (step: string) =>
      Effect.flatMap(script, (text) => Queue.offer(stdout, `\n${/ocs_nonce='(\w+)'/.exec(text)?.[1]} step ${step}\n`)),
    exit: (code: number) => Effect.andThen(Queue.end(stdout), Queue.offer(exit, code))
  }
})

const layer = Bootstrap.layerNoDeps.pipe(
  Layer.provide(LocalHost.layerMock({ randomBytes: (length) => Effect.succeed(new Uint8Array(length).fill(0xab)) }))
)

const options: EnsureOptions = { mode: "ensure", lifetime: "persistent", range: ">=1.0.0 <3.0.0" }

const server = {
  origin: "started",
  owner: "ours",
  generation: "v1",
  pid: 17,
  port: 4096,
  version: "1.18.33",
  lifetime: "persistent",
  startedAt: "2026-11-22T17:00:00Z",
  username: "opencode",
  password: "s3cret",
  id: "ab",
  logFile: "/home/me/log"
}

/** Runs `ensure` against a remote side that `act` plays. */
const ensure = (
  act: (remote: Effect.Success<typeof makeRemote>) => Effect.Effect<unknown>,
  more: Partial<EnsureOptions> = {}
) =>
  Effect.gen(function*() {
    const remote = yield* makeRemote
    const bootstrap = yield* Bootstrap
    const fiber = yield* Effect.forkChild(Effect.result(bootstrap.ensure(remote.tunnel, { ...options, ...more })))
    yield* Effect.yieldNow.pipe(Effect.repeat({ until: () => Effect.map(remote.script, (text) => text !== "") }))
    yield* act(remote)
    return { remote, result: yield* Fiber.join(fiber) }
  })

const reasonOf = (result: Effect.Success<ReturnType<typeof ensure>>["result"]) => {
  assert.strictEqual(result._tag, "Failure")
  if (result._tag !== "Failure") throw new Error("unreachable")
  const error = result.failure
  // What travels to a window comes back as it was.
  if (error instanceof BootstrapError) {
    const codec = Schema.toCodecJson(BootstrapError)
    assert.deepStrictEqual(Schema.decodeSync(codec)(Schema.encodeSync(codec)(error)), error)
  }
  return "reason" in error ? { ...error.reason } : error
}

describe("Bootstrap", () => {
  it.effect("asks with a random password and gives the server with its credentials", () =>
    Effect.gen(function*() {
      const steps: Array<string> = []
      const { remote, result } = yield* ensure(
        (remote) =>
          Effect.gen(function*() {
            yield* remote.say("Welcome! ")
            yield* remote.step("looking")
            yield* remote.step("starting")
            yield* remote.step("dancing")
            yield* remote.answer({ server, ignored: [] })
          }),
        { port: 4999, onStep: (step) => Effect.sync(() => void steps.push(step)) }
      )
      assert.strictEqual(result._tag, "Success")
      if (result._tag !== "Success") return
      const found = Option.getOrThrow(result.success)
      assert.instanceOf(found, RemoteServer)
      assert.strictEqual(found.port, 4096)
      assert.strictEqual(found.credentials && Redacted.value(found.credentials.password), "s3cret")
      assert.notInclude(String(found.credentials?.password), "s3cret")
      assert.deepStrictEqual(steps, ["looking", "starting"])
      assert.strictEqual(yield* remote.assigned("action"), "ensure")
      assert.strictEqual(yield* remote.assigned("port"), "4999")
      assert.strictEqual(yield* remote.assigned("lifetime"), "persistent")
      assert.strictEqual(yield* remote.assigned("ranges"), "1.0.0:3.0.0")
      assert.match(yield* Effect.map(remote.assigned("password"), String), /^[A-Za-z0-9_-]{43}$/)
      assert.strictEqual(yield* remote.assigned("seconds"), "27")
      // Nothing of it stays.
      assert.strictEqual(yield* remote.closed, 1)
    }).pipe(Effect.provide(layer)))

  it.effect("only looks when it is told so, and sends no password then", () =>
    Effect.gen(function*() {
      const { remote, result } = yield* ensure((remote) => remote.answer({ server: null, ignored: [] }), {
        mode: "look"
      })
      assert.isTrue(result._tag === "Success" && Option.isNone(result.success))
      assert.strictEqual(yield* remote.assigned("action"), "look")
      assert.strictEqual(yield* remote.assigned("password"), "")
    }).pipe(Effect.provide(layer)))

  it.effect("holds no command that only looked", () =>
    Effect.gen(function*() {
      const { remote, result } = yield* ensure((remote) => remote.answer({ server, ignored: [] }), {
        lifetime: "session",
        mode: "look"
      })
      assert.strictEqual(result._tag, "Success")
      assert.strictEqual(yield* remote.closed, 1)
    }).pipe(Effect.provide(layer)))

  it.effect("a look makes no password: it would push those that are used out of what reports must not show", () =>
    Effect.gen(function*() {
      const secrets = yield* Ref.make(0)
      const recorder = { ...(yield* Recording), secret: () => Ref.update(secrets, (count) => count + 1) }
      yield* ensure((remote) => remote.answer({ server: null, ignored: [] }), { mode: "look" }).pipe(
        Effect.provideService(Recording, recorder)
      )
      assert.strictEqual(yield* Ref.get(secrets), 0)
      yield* ensure((remote) => remote.answer({ server, ignored: [] })).pipe(Effect.provideService(Recording, recorder))
      assert.strictEqual(yield* Ref.get(secrets), 1)
    }).pipe(Effect.provide(layer)))

  it.effect("holds the command of a session until its scope closes", () =>
    Effect.gen(function*() {
      const remote = yield* makeRemote
      const bootstrap = yield* Bootstrap
      const scope = yield* Scope.make()
      const fiber = yield* bootstrap.ensure(remote.tunnel, { ...options, lifetime: "session" }).pipe(
        Scope.provide(scope),
        Effect.forkChild
      )
      yield* Effect.yieldNow.pipe(Effect.repeat({ until: () => Effect.map(remote.script, (text) => text !== "") }))
      yield* remote.answer({ server: { ...server, lifetime: "session" } })
      yield* Fiber.join(fiber)
      assert.strictEqual(yield* remote.closed, 0)
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      assert.strictEqual(yield* remote.closed, 1)
    }).pipe(Effect.provide(layer)))

  it.effect.each(
    [
      [{ _tag: "OpencodeNotFound", searched: ["/a", "/b"] }, { searched: ["/a", "/b"] }],
      [{ _tag: "OpencodeUnusable", path: "/x", problem: "architecture", detail: "arm" }, {
        path: "/x",
        problem: "architecture",
        detail: "arm"
      }],
      [{ _tag: "OpencodeUnusable", path: "/x", problem: "cosmic", detail: "rays" }, {
        path: "/x",
        problem: "crash",
        detail: "rays"
      }],
      [{ _tag: "RemoteNotWritable", path: "/x", problem: "full" }, { path: "/x", problem: "full" }],
      [{ _tag: "PortInUse", port: 4096 }, { port: 4096 }],
      [{ _tag: "ServerExited", exitCode: 1, log: "boom" }, { exitCode: 1, log: "boom" }],
      [{ _tag: "ServerExited", log: "boom" }, { log: "boom" }],
      [{ _tag: "StartTimedOut", waited: 27000, log: "…" }, { waited: 27000, log: "…" }],
      [{ _tag: "UnsupportedRemote", detail: "it has no awk" }, { detail: "it has no awk" }],
      [{ _tag: "NotOurs", detail: "none" }, { detail: "none" }]
    ] as const
  )("passes on what the script says: %j", ([error, members]) =>
    Effect.gen(function*() {
      const { result } = yield* ensure((remote) => remote.answer({ error }))
      const reason = reasonOf(result)
      assert.strictEqual(reason._tag, error._tag)
      assert.deepInclude({ ...reason }, { ...members })
    }).pipe(Effect.provide(layer)))

  it.effect("judges a refused version by the same rules as discovery", () =>
    Effect.gen(function*() {
      for (const [found, tag] of [["3.1.0", "UnsupportedVersion"], ["local", "UnparsableVersion"]] as const) {
        const { result } = yield* ensure((remote) => remote.answer({ error: { _tag: "UnsupportedVersion", found } }))
        assert.strictEqual(result._tag, "Failure")
        if (result._tag !== "Failure") return
        assert.instanceOf(result.failure, CompatibilityError)
        assert.deepInclude({ ...reasonOf(result) }, { _tag: tag, found, supported: ">=1.0.0 <3.0.0" })
      }
    }).pipe(Effect.provide(layer)))

  it.effect("refuses a range that cannot be read before it asks anything", () =>
    Effect.gen(function*() {
      const remote = yield* makeRemote
      const bootstrap = yield* Bootstrap
      const error = yield* Effect.flip(bootstrap.ensure(remote.tunnel, { ...options, range: "not a range" }))
      assert.strictEqual(error._tag, "ConfigurationError")
      assert.strictEqual(yield* remote.script, "")
    }).pipe(Effect.provide(layer)))

  it.effect.each([
    { what: "a nologin shell", exitCode: 1, said: "This account is currently not available.\n", tag: "CommandRefused" },
    { what: "a forced command", exitCode: 0, said: "only backups here\n", tag: "CommandRefused" },
    { what: "a shell that is /bin/false", exitCode: 1, said: "", tag: "CommandRefused" },
    { what: "no session", exitCode: 255, said: "", tag: "CommandRefused" },
    { what: "a start-up file that ends it", exitCode: 0, said: "", tag: "InvalidOutput" },
    { what: "no sh", exitCode: 127, said: "bash: exec: sh: not found\n", tag: "UnsupportedRemote" },
    {
      what: "Windows",
      exitCode: 1,
      said: "'exec' is not recognized as an internal or external command,\r\n",
      tag: "UnsupportedRemote"
    },
    {
      what: "another language",
      exitCode: 2,
      said: "sh: line 3: syntax error near unexpected token\n",
      tag: "UnsupportedRemote"
    }
  ])("takes the silence of the script for $what", ({ exitCode, said, tag }) =>
    Effect.gen(function*() {
      const { result } = yield* ensure((remote) => Effect.andThen(remote.say(said), remote.exit(exitCode)))
      const reason = reasonOf(result)
      assert.strictEqual(reason._tag, tag)
      if (said !== "") assert.include(JSON.stringify(reason), said.trim().slice(0, 10))
    }).pipe(Effect.provide(layer)))

  it.effect("hears what was said on standard error, also when that comes after the end", () =>
    Effect.gen(function*() {
      const remote = yield* makeRemote
      const bootstrap = yield* Bootstrap
      const tunnel: OpenTunnel = {
        ...remote.tunnel,
        exec: () =>
          Effect.succeed({
            stdout: Stream.empty,
            stderr: Stream.fromEffect(Effect.as(Effect.sleep("100 millis"), "bash: exec: sh: not found\n")),
            exitCode: Effect.succeed(127)
          })
      }
      const asked = yield* Effect.forkChild(Effect.result(bootstrap.ensure(tunnel, options)))
      yield* TestClock.adjust("100 millis")
      const reason = reasonOf(yield* Fiber.join(asked))
      assert.deepInclude(reason, { detail: "it has no POSIX shell (bash: exec: sh: not found)" })
    }).pipe(Effect.provide(layer)))

  it.effect("loses no line of a log that is read slowly, and goes on", () =>
    Effect.gen(function*() {
      const remote = yield* makeRemote
      const bootstrap = yield* Bootstrap
      const slowly = bootstrap.log(remote.tunnel).pipe(Stream.tap(() => Effect.sleep("10 seconds")), Stream.runCollect)
      const reading = yield* Effect.forkChild(slowly)
      yield* Effect.yieldNow.pipe(Effect.repeat({ until: () => Effect.map(remote.script, (text) => text !== "") }))
      const nonce = yield* remote.assigned("nonce")
      const lines = Array.from({ length: 200 }, (_, index) => `line ${index}\n`)
      for (const line of lines) yield* remote.say(`${nonce} log ${line}`)
      yield* remote.answer({ log: { path: "/home/me/log" } })
      yield* remote.exit(0)
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* Fiber.join(reading), lines)
    }).pipe(Effect.provide(layer)))

  it.effect("does not show what it cannot read: it may hold the password", () =>
    Effect.gen(function*() {
      const answers: ReadonlyArray<unknown> = [
        { server: { ...server, port: 0 } },
        { server: { ...server, port: "4096" } },
        { server: [] },
        { stopped: server },
        { error: { _tag: "Wonder", detail: "s3cret" } },
        [],
        null
      ]
      for (const answer of answers) {
        const { result } = yield* ensure((remote) =>
          Effect.gen(function*() {
            yield* remote.say("noise\n")
            yield* remote.answer(answer)
          })
        )
        const reason = reasonOf(result)
        assert.strictEqual(reason._tag, "InvalidOutput")
        assert.notInclude(JSON.stringify(reason), "s3cret")
      }
      const { result } = yield* ensure((remote) => remote.answer({ server: null }))
      assert.strictEqual(reasonOf(result)._tag, "InvalidOutput")
    }).pipe(Effect.provide(layer)))

  it.effect("gives up in time, with what was printed", () =>
    Effect.gen(function*() {
      const { result } = yield* ensure((remote) =>
        Effect.gen(function*() {
          yield* remote.say("still reading .bashrc\n")
          yield* remote.step("looking")
          yield* TestClock.adjust(Timing.defaults.bootstrap)
        })
      )
      const reason = reasonOf(result)
      assert.deepInclude({ ...reason }, { _tag: "StartTimedOut", waited: 30_000 })
      assert.include(JSON.stringify(reason), "still reading")
    }).pipe(Effect.provide(layer)))

  it.effect("gives up in time where nobody has run the script", () =>
    Effect.gen(function*() {
      const { result } = yield* ensure((remote) =>
        Effect.andThen(remote.say("welcome to another shell\n"), TestClock.adjust(Timing.defaults.bootstrap))
      )
      const reason = reasonOf(result)
      assert.strictEqual(reason._tag, "InvalidOutput")
      assert.include(JSON.stringify(reason), "another shell")
    }).pipe(Effect.provide(layer)))

  it.effect("fails as the connection does", () =>
    Effect.gen(function*() {
      const remote = yield* makeRemote
      const bootstrap = yield* Bootstrap
      const lost = new TransportError({
        reason: new ConnectionClosed({ target: { host: "box", options: [] }, detail: "" })
      })
      const tunnel: OpenTunnel = {
        ...remote.tunnel,
        exec: () => Effect.succeed({ stdout: Stream.never, stderr: Stream.never, exitCode: Effect.fail(lost) })
      }
      for (const asked of [bootstrap.status(tunnel), bootstrap.stop(tunnel), Stream.runDrain(bootstrap.log(tunnel))]) {
        const fiber = yield* Effect.forkChild(Effect.flip<unknown, unknown, never>(asked))
        yield* TestClock.adjust(Timing.defaults.lastWords)
        assert.strictEqual(yield* Fiber.join(fiber), lost)
      }
    }).pipe(Effect.provide(layer)))
})

describe("Bootstrap.layerMemory", () => {
  it.effect("starts, finds and stops its server", () =>
    Effect.gen(function*() {
      const bootstrap = yield* Bootstrap
      const { tunnel } = yield* makeRemote
      assert.isTrue(Option.isNone(yield* bootstrap.ensure(tunnel, { ...options, mode: "look" })))
      assert.strictEqual(Option.getOrThrow(yield* bootstrap.ensure(tunnel, options)).origin, "started")
      assert.strictEqual(Option.getOrThrow(yield* bootstrap.ensure(tunnel, options)).origin, "reused")
      assert.isTrue(Option.isSome(yield* bootstrap.status(tunnel)))
      assert.deepStrictEqual(yield* Stream.runCollect(bootstrap.log(tunnel)), ["one\n"])
      assert.strictEqual((yield* bootstrap.stop(tunnel)).pid, 17)
      const error = yield* Effect.flip(bootstrap.stop(tunnel))
      assert.strictEqual(error._tag === "BootstrapError" && error.reason._tag, "NotOurs")
    }).pipe(
      Effect.provide(
        Bootstrap.layerMemory(
          new RemoteServer({
            port: 4096,
            pid: 17,
            version: "1.18.33",
            origin: "started",
            owner: "ours",
            lifetime: "persistent"
          }),
          ["one"]
        )
      )
    ))
})
