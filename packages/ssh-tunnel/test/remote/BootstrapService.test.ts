import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted, Scope, Stream } from "effect"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import { vi } from "vitest"
import { Bootstrap, type EnsureOptions } from "../../src/Bootstrap.ts"
import { LocalHost } from "../../src/LocalHost.ts"
import * as LocalTunnel from "./LocalTunnel.ts"
import * as Machine from "./Machine.ts"

// Each test waits for dozens of processes, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

const layer = Bootstrap.layerNoDeps.pipe(
  Layer.provide(
    LocalHost.layerMock({ randomBytes: (length) => Effect.sync(() => new Uint8Array(Crypto.randomBytes(length))) })
  )
)

const options: EnsureOptions = { mode: "ensure", lifetime: "persistent", range: ">=1.0.0 <3.0.0" }

describe.concurrent.each(Machine.shells)("the service and the script, in %s", (_, shell) => {
  it.live("start, find, show the log of, and stop a server", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const tunnel = LocalTunnel.make(machine, shell)
      const bootstrap = yield* Bootstrap
      const look = { ...options, mode: "look" } as const
      assert.isTrue(Option.isNone(yield* bootstrap.ensure(tunnel, look)))
      assert.isTrue(Option.isNone(yield* bootstrap.status(tunnel)))
      const steps: Array<string> = []
      const started = Option.getOrThrow(
        yield* bootstrap.ensure(tunnel, { ...options, onStep: (step) => Effect.sync(() => void steps.push(step)) })
      )
      assert.deepStrictEqual(steps, ["looking", "starting", "waiting"])
      assert.strictEqual(started.origin, "started")
      const password = started.credentials && Redacted.value(started.credentials.password)
      assert.strictEqual(password, machine.served().env["OPENCODE_SERVER_PASSWORD"])
      const found = Option.getOrThrow(yield* bootstrap.ensure(tunnel, look))
      assert.deepInclude({ ...found }, { origin: "reused", pid: started.pid })
      assert.strictEqual(found.credentials && Redacted.value(found.credentials.password), password)
      const status = Option.getOrThrow(yield* bootstrap.status(tunnel))
      assert.strictEqual(status.pid, started.pid)
      assert.isUndefined(status.credentials)

      const log = yield* Stream.runCollect(bootstrap.log(tunnel))
      assert.deepStrictEqual(log, [`opencode server listening on http://127.0.0.1:${started.port}\n`])
      Fs.appendFileSync(started.logFile ?? "", "more\n")
      const followed = yield* bootstrap.log(tunnel, { follow: true }).pipe(Stream.take(2), Stream.runCollect)
      assert.strictEqual(followed[1], "more\n")

      assert.strictEqual((yield* bootstrap.stop(tunnel)).pid, started.pid)
      assert.isFalse(Machine.lives(started.pid))
      const error = yield* Effect.flip(bootstrap.stop(tunnel))
      assert.strictEqual(error._tag === "BootstrapError" && error.reason._tag, "NotOurs")
    }).pipe(Effect.provide(layer)))

  it.live("end a session's server with the scope", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const tunnel = LocalTunnel.make(machine, shell)
      const bootstrap = yield* Bootstrap
      const scope = yield* Scope.make()
      const server = Option.getOrThrow(
        yield* bootstrap.ensure(tunnel, { ...options, lifetime: "session" }).pipe(Scope.provide(scope))
      )
      assert.strictEqual(server.lifetime, "session")
      assert.isTrue(Machine.lives(server.pid))
      yield* Scope.close(scope, yield* Effect.exit(Effect.void))
      assert.isFalse(Machine.lives(server.pid))
    }).pipe(Effect.provide(layer)))

  it.live("say what is wrong over there", () =>
    Effect.gen(function*() {
      const bootstrap = yield* Bootstrap
      const reason = (machine: Machine.Machine, range = options.range) =>
        Effect.map(
          Effect.flip(bootstrap.ensure(LocalTunnel.make(machine, shell), { ...options, range })),
          (error) => "reason" in error ? error.reason._tag : error
        )
      assert.strictEqual(yield* reason(yield* Machine.make({ fake: false })), "OpencodeNotFound")
      assert.strictEqual(yield* reason(yield* Machine.make(), "^2"), "UnsupportedVersion")
      assert.strictEqual(yield* reason(yield* Machine.make({ fake: { version: "local" } })), "UnparsableVersion")
      const exits = yield* Machine.make({ fake: { serve: "exit", serveCode: 3, serveError: "x" } })
      assert.strictEqual(yield* reason(exits), "ServerExited")
      const named = yield* Machine.make({ fake: { version: "local" } })
      const server = yield* bootstrap.ensure(LocalTunnel.make(named, shell), { ...options, range: "1.x || local" })
      assert.strictEqual(Option.getOrThrow(server).version, "local")
    }).pipe(Effect.provide(layer)))
})
