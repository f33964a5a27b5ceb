import { assert, describe, it } from "@effect/vitest"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as FreePort from "@opencode-ai/ssh-lab/Port"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { ConfigurationError } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { Duration, Effect, Option, Stream } from "effect"
import type { WebRequest } from "../../src/Authorization.ts"
import type { StatesUpdate } from "../../src/BridgeApi.ts"
import type { MainRuntime } from "../../src/node/MainRuntime.ts"
import { BridgeTiming } from "../../src/Schedules.ts"
import * as Desktop from "./support/Desktop.ts"

const tags = (update: StatesUpdate): ReadonlyArray<string> =>
  update._tag === "All" ? update.states.map(({ state }) => state._tag) : [update.state._tag]

/** The states that a window sees from now on, up to the first with this tag; promised, so that nothing waits for it. */
const seen = (window: Desktop.Recorded, last: string) => {
  const first = Promise.withResolvers<void>()
  const states = window.run(
    window.client.watchStates().pipe(
      Stream.tap(() => Effect.sync(first.resolve)),
      Stream.map(tags),
      Stream.takeUntil((now) => now.includes(last)),
      Stream.runCollect,
      Effect.map((all) => all.flat())
    )
  )
  return first.promise.then(() => ({ states }))
}

/** What Electron asks about a request before it is sent. */
const headers = (runtime: MainRuntime, request: Partial<WebRequest> & Pick<WebRequest, "url">) =>
  new Promise<Record<string, string | Array<string>>>((resolve) => {
    const details: WebRequest = {
      method: "GET",
      resourceType: "xhr",
      requestHeaders: { Origin: Desktop.page },
      frame: { url: `${Desktop.page}/index.html`, origin: Desktop.page, parent: null },
      ...request
    }
    runtime.onBeforeSendHeaders(
      details,
      ({ requestHeaders }) => resolve(requestHeaders ?? { ...details.requestHeaders })
    )
  })

const sshProcesses = Effect.map(
  ProcessTable.find({ ancestor: process.pid }),
  (found) => found.filter(({ command }) => /^(?:\S*\/)?ssh /.test(command))
)

/** Every form in which a password could be in a text. */
const forms = (password: string, authorization: string): ReadonlyArray<string> => {
  const bytes = Buffer.from(password)
  const shifted = [0, 1, 2].map((shift) =>
    Buffer.concat([Buffer.alloc(shift, "x"), bytes]).toString("base64").slice(shift === 0 ? 0 : 4, -4)
  )
  return [
    password,
    encodeURIComponent(password),
    JSON.stringify(password).slice(1, -1),
    authorization,
    authorization.replace("Basic ", ""),
    bytes.toString("base64"),
    bytes.toString("base64url"),
    bytes.toString("hex"),
    ...shifted
  ]
}

describe.skipIf(!Sshd.available || !Opencode.available)("a desktop application", () => {
  it.live(
    "adds a profile, connects with bootstrap in two windows, quits, restores, stops the server",
    () =>
      Effect.gen(function*() {
        const sshd = yield* Sshd.make()
        yield* Opencode.install(sshd.home)
        const client = yield* SshClient.make({ hosts: { box: sshd } })
        const machine = yield* Desktop.machine(client)
        const remotePort = yield* FreePort.free
        const runtime = yield* machine.start()
        const one = yield* Desktop.window(runtime, "electron")
        const two = yield* Desktop.window(runtime, "worker")

        // A person adds a profile in one window, and the other one shows it.
        const { run } = one
        assert.deepStrictEqual((yield* Effect.promise(() => run(one.client.hosts()))).map(({ name }) => name), ["box"])
        const shown = two.run(
          Stream.runHead(Stream.filter(two.client.watchProfiles(), ({ profiles }) => profiles.length === 1))
        )
        const profile = yield* Effect.promise(() =>
          run(one.client.addProfile({
            draft: { name: "Box", host: "box", remotePort, bootstrap: { enabled: true, lifetime: "persistent" } }
          }))
        )
        const { id } = profile
        assert.strictEqual(Option.getOrThrow(yield* Effect.promise(() => shown)).profiles[0]?.id, id)

        // It connects; both see how.
        const [inOne, inTwo] = yield* Effect.promise(() =>
          Promise.all([seen(one, "Connected"), seen(two, "Connected")])
        )
        yield* Effect.promise(() => run(one.client.connect({ id })))
        for (const { states } of [inOne, inTwo]) {
          const words = yield* Effect.promise(() => states)
          // What passes quickly may be left out; starting a server lasts for seconds.
          for (const word of ["Bootstrapping", "Connected"]) assert.include(words, word)
        }
        assert.strictEqual(yield* sshd.authentications, 1, "one connection for both")
        const { bootstrapped, url } = yield* Effect.promise(() => runtime.settled(id))
        assert.strictEqual(bootstrapped, "started")
        assert.deepStrictEqual(yield* Effect.promise(() => two.run(two.client.endpoint({ id }))), { url })
        assert.strictEqual(yield* Effect.promise(() => runtime.endpoint(id)), url)

        // The window's own requests get the password, a stranger's do not.
        const request = async (details: Partial<WebRequest>) => {
          const given = await headers(runtime, { url: `${url}/path`, ...details })
          const response = await fetch(`${url}/path`, { headers: given as Record<string, string> })
          return { status: response.status, authorization: String(given["Authorization"]) }
        }
        const own = yield* Effect.promise(() => request({}))
        assert.strictEqual(own.status, 200)
        const challenge = Effect.promise(() =>
          new Promise<ReadonlyArray<string | undefined>>((resolve) =>
            runtime.login({
              url: `${url}/path`,
              isProxy: false,
              scheme: "basic",
              host: "127.0.0.1",
              port: Number(new URL(url).port),
              page: `${Desktop.page}/index.html`
            }, (username, password) => resolve(username === undefined ? [] : [username, password]))
          )
        )
        const answered = yield* challenge
        const password = answered[1] ?? ""
        assert.strictEqual(own.authorization, `Basic ${btoa(`opencode:${password}`)}`)
        assert.isAtLeast(password.length, 32)
        const strange = yield* Effect.promise(() =>
          request({ requestHeaders: {}, frame: { url: "https://evil.example/", origin: "https://evil.example" } })
        )
        assert.deepStrictEqual(strange, { status: 401, authorization: "undefined" })
        assert.deepStrictEqual(yield* challenge, [], "whose request met it, nobody knows from here on")

        // Everything that can be asked about it.
        const server = yield* Effect.promise(() => two.run(two.client.serverStatus({ id })))
        assert.deepStrictEqual([server.server?.port, server.server?.owner], [remotePort, "ours"])
        assert.strictEqual(yield* sshd.authentications, 1, "over the same connection")
        const log = yield* Effect.promise(() => two.run(Stream.runCollect(two.client.serverLog({ id, follow: false }))))
        assert.include(log.join("\n"), "listening")
        for (const format of ["markdown", "json"] as const) {
          const report = yield* Effect.promise(() => two.run(two.client.diagnostics({ id, format, pseudonyms: false })))
          assert.include(report, "Connected")
        }
        assert.match(yield* Effect.promise(() => two.run(two.client.sshCommand({ id }))), /^ssh .* box$/)
        const steps = yield* Effect.promise(() => two.run(Stream.runCollect(two.client.examine({ id }))))
        assert.deepStrictEqual(steps.filter(({ status }) => status === "failed").map(({ id }) => id), [])
        const door = yield* Effect.promise(() => two.run(two.client.open({ id })))
        assert.match(door.url ?? "", /^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{64}$/)
        const visit = yield* Effect.promise(() => fetch(door.url ?? "", { redirect: "manual" }))
        assert.include(visit.headers.get("location") ?? "", password, "the browser is signed in, the window is not")

        // One window crashes, and nothing else happens.
        one.crash()
        yield* Effect.promise(() => one.close())
        assert.deepStrictEqual(yield* Effect.promise(() => two.run(two.client.endpoint({ id }))), { url })

        // The other disconnects, and connects again: the same server, the same address.
        yield* Effect.promise(() => two.run(two.client.disconnect({ id })))
        assert.deepStrictEqual(yield* Effect.promise(() => two.run(two.client.endpoint({ id }))), {})
        const late = yield* Effect.promise(() => request({}).catch(() => "refused"))
        assert.strictEqual(late, "refused")
        assert.strictEqual(
          (yield* Effect.promise(() => headers(runtime, { url: `${url}/path` })))["Authorization"],
          undefined
        )
        assert.deepStrictEqual((yield* sshProcesses).map(({ command }) => command), [])
        yield* Effect.promise(() => runtime.connect(id))
        const again = yield* Effect.promise(() => runtime.settled(id))
        assert.deepStrictEqual([again.bootstrapped, again.url], ["reused", url])

        // The profile is edited to lead elsewhere and learns a password: not the server that it led to.
        yield* Effect.promise(() =>
          two.run(two.client.editProfile({ profile: new Profile({ ...profile, remotePort: remotePort + 1 }) }))
        )
        assert.strictEqual(yield* Effect.promise(() => runtime.endpoint(id)), url, "it goes on as it was made")
        yield* Effect.promise(() => runtime.setPassword(id, "for another server"))
        assert.strictEqual(yield* Effect.promise(() => runtime.endpoint(id)), undefined)
        assert.deepStrictEqual((yield* sshProcesses).map(({ command }) => command), [])
        yield* Effect.promise(() => two.run(two.client.editProfile({ profile })))
        yield* Effect.promise(() => runtime.connect(id))
        yield* Effect.promise(() => runtime.settled(id))
        const stranger = yield* Effect.promise(() => runtime.connect("nobody").catch((error: unknown) => error))
        assert.instanceOf(stranger, ConfigurationError)

        // Quitting leaves nothing here, and the server there.
        const app = Desktop.makeApp()
        runtime.quitWith(app)
        const [quitting] = yield* Effect.timed(Effect.promise(() => {
          app.quit()
          return app.quitted
        }))
        assert.isTrue(Duration.isLessThan(quitting, Duration.sum(BridgeTiming.defaults.quit, Duration.seconds(1))))
        assert.deepStrictEqual((yield* sshProcesses).map(({ command }) => command), [])
        assert.deepStrictEqual(yield* machine.runtimeFiles, [])
        const gone = yield* Effect.promise(() => two.run(two.client.about()).then(() => "answered", () => "gone"))
        assert.strictEqual(gone, "gone")
        assert.strictEqual(
          yield* Effect.promise(() => runtime.endpoint(id).then(() => "answered", () => "gone")),
          "gone"
        )

        // The next start connects it by itself; then the server is stopped, and stays so.
        const next = yield* machine.start()
        const restored = yield* Effect.promise(() => next.settled(id))
        assert.deepStrictEqual([restored.bootstrapped, restored.url], ["reused", url])
        const three = yield* Desktop.window(next, "electron")
        const stopped = yield* Effect.promise(() => three.run(three.client.serverStop({ id })))
        assert.strictEqual(stopped.server?.pid, server.server?.pid)
        assert.deepStrictEqual((yield* sshd.processes).filter(({ command }) => / serve(?: |$)/.test(command)), [])
        const after = yield* Effect.promise(() => three.servers.getState())
        assert.deepStrictEqual(after.servers.map(({ stage }) => stage), ["disconnected"])

        // No window was told the password, in any form.
        for (const [name, window] of Object.entries({ one, two, three })) {
          const received = window.received()
          assert.include(received, url, name)
          for (const form of forms(password, own.authorization)) {
            assert.notInclude(received, form, `${name} received the password`)
          }
        }
      }),
    60_000
  )
})
