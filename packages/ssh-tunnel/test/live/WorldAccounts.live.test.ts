/** Bootstrap through a real sshd, for accounts with their real login shells and start-up files (test/world/loginShells.ts). */
import { assert, describe, it } from "@effect/vitest"
import * as Namespace from "@opencode-ai/ssh-lab/Namespace"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Context, Duration, Effect, Exit, Layer, Option, Redacted, Scope } from "effect"
import * as Fs from "node:fs"
import * as Http from "node:http"
import { afterAll, beforeAll } from "vitest"
import { Bootstrap } from "../../src/Bootstrap.ts"
import { Destination } from "../../src/Destination.ts"
import { layerRemote } from "../../src/node/index.ts"
import { Timing } from "../../src/Schedules.ts"
import { Tunnel } from "../../src/Tunnel.ts"
import * as Machine from "../remote/Machine.ts"
import * as Accounts from "../world/Accounts.ts"
import { accounts } from "../world/loginShells.ts"

const possible = Sshd.available && Namespace.isRoot()
if (!possible) console.warn("SKIPPED: accounts with other login shells need sshd, and root on Linux")

const offered = accounts.filter(({ real, shell }) =>
  Machine.available(shell) && (real !== true || Opencode.available || process.env["CI"] === "true")
)
for (const { name } of accounts) {
  if (!offered.some((account) => account.name === name)) console.warn(`SKIPPED: ${name} needs its shell, or opencode`)
}

const health = (port: number, authorization: string) =>
  Effect.callback<number, Error>((resume) => {
    const options = { host: "127.0.0.1", port, path: "/global/health", agent: false, headers: { authorization } }
    Http.get(options, (response) => {
      response.resume()
      resume(Effect.succeed(response.statusCode ?? 0))
    }).on("error", (error) => resume(Effect.fail(error)))
  })

describe.skipIf(!possible).concurrent("an account", () => {
  const scope = Scope.makeUnsafe()
  let machine: Effect.Success<ReturnType<typeof Accounts.make>>
  beforeAll(async () => {
    machine = await Effect.runPromise(Accounts.make(offered).pipe(Scope.provide(scope)))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  it.live.each(offered.map((account) => [account.name, account] as const))(
    "%s",
    ([, account]) =>
      Effect.gen(function*() {
        const services = yield* Layer.build(layerRemote).pipe(
          Effect.provideService(Timing, {
            ...Timing.defaults,
            ...(account.patience === undefined ? {} : { bootstrap: Duration.seconds(account.patience) })
          })
        )
        const bootstrap = Context.get(services, Bootstrap)
        const destination = new Destination({ host: account.name, sshConfig: machine.client.configFile })
        const tunnel = yield* Context.get(services, Tunnel).open(destination)
        const outcome = yield* Effect.result(
          bootstrap.ensure(tunnel, { mode: "ensure", lifetime: "persistent", range: ">=1.0.0 <3.0.0" })
        )
        if (outcome._tag === "Failure") {
          const error = outcome.failure
          return assert.strictEqual("reason" in error ? error.reason._tag : error, account.expected, error.message)
        }
        const server = Option.getOrThrow(outcome.success)
        assert.strictEqual(server.origin, account.expected)
        const { localPort } = yield* tunnel.forward(server.port)
        const authorization = server.credentials === undefined ? "" : Redacted.value(server.credentials.authorization)
        assert.strictEqual(yield* health(localPort, authorization), 200)
        assert.strictEqual(yield* health(localPort, "Basic bm9ib2R5Og=="), 401)
        // It runs as that account, with what is its own in files of its own.
        const home = Fs.statSync(`${machine.homeOf(account.name)}/.local/state/opencode-ssh`)
        assert.strictEqual(Fs.statSync(`/proc/${server.pid}`).uid, home.uid)
        assert.strictEqual(home.mode & 0o777, 0o700)
        assert.strictEqual((yield* bootstrap.stop(tunnel)).pid, server.pid)
      })
  )
})
