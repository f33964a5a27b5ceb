import { assert, describe, it, layer } from "@effect/vitest"
import { createOpencodeClient } from "@opencode-ai/sdk"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Context, Duration, Effect, Fiber, Layer, Option, Redacted } from "effect"
import { Connections } from "../../src/Connections.ts"
import { Credentials } from "../../src/Credentials.ts"
import { CredentialStore } from "../../src/CredentialStore.ts"
import * as Terminal from "./support/Terminal.ts"
import * as Workstation from "./support/Workstation.ts"

const password = "a: secret \"ü\" $(id)"
const credentials = (password: string) => new Credentials({ username: "opencode", password: Redacted.make(password) })

/** An sshd, and a workstation whose ssh config knows it as `box`. */
const remote = (config: ReadonlyArray<string> = []) =>
  Effect.gen(function*() {
    const sshd = yield* Sshd.make({ config })
    const client = yield* SshClient.make({ hosts: { box: sshd } })
    const workstation = yield* Workstation.make()
    const profile = (fields: Partial<Workstation.Fields> = {}) =>
      workstation.profile({ host: "box", sshConfig: client.configFile, ...fields })
    return { sshd, client, workstation, profile }
  })

/** A remote machine with a real OpenCode server, and a connection to it that several tests share. */
class Remote extends Context.Service<Remote, {
  readonly server: Opencode.Opencode
  readonly sshd: Sshd.Sshd
  readonly workstation: Workstation.Workstation
  readonly box: Workstation.Connection
}>()("test/Remote") {
  static readonly layer = (options: Opencode.Options = {}) =>
    Layer.effect(
      Remote,
      Effect.gen(function*() {
        const server = yield* Opencode.serve({ port: yield* Port.free, ...options })
        const { profile, sshd, workstation } = yield* remote()
        return { server, sshd, workstation, box: yield* profile({ remotePort: server.port }) }
      }).pipe(Effect.orDie)
    )
}

/** The types of the server-sent events of a URL, up to the first `last`; `onEvent` is told each. */
const eventsUntil = (url: string, last: string, onEvent: (type: string) => void = () => {}) =>
  Effect.tryPromise(async (signal) => {
    const response = await fetch(url, { signal, headers: { accept: "text/event-stream" } })
    assert.strictEqual(response.headers.get("content-type"), "text/event-stream")
    const types: Array<string> = []
    const decoder = new TextDecoder()
    let rest = ""
    for await (const chunk of response.body ?? []) {
      const blocks = (rest + decoder.decode(chunk, { stream: true })).split("\n\n")
      rest = blocks.pop() ?? ""
      for (const block of blocks) {
        const { type } = JSON.parse(block.replace(/^data: /, "")) as { readonly type: string }
        types.push(type)
        onEvent(type)
        if (type === last) return types
      }
    }
    return types
  })

describe.skipIf(!Sshd.available || !Opencode.available)("a real OpenCode server", () => {
  layer(Remote.layer(), { excludeTestServices: true, timeout: "90 seconds" })("without a password", (it) => {
    it.effect("is found, and known to be open to everybody there", () =>
      Effect.gen(function*() {
        const { box, server, sshd } = yield* Remote
        const connected = yield* box.connected
        assert.deepStrictEqual(connected, {
          _tag: "Connected",
          url: `http://127.0.0.1:${connected.localPort}`,
          localPort: connected.localPort,
          remotePort: server.port,
          serverVersion: "1.18.33",
          generation: "v1",
          secured: false,
          bootstrapped: false,
          strategy: "master",
          since: connected.since
        })
        assert.notStrictEqual(connected.localPort, server.port)
        assert.strictEqual(yield* sshd.authentications, 1)
      }))

    it.effect("sends its events through the URL, and what happens there becomes an event", () =>
      Effect.gen(function*() {
        const { box } = yield* Remote
        const { url } = yield* box.connected
        const sdk = createOpencodeClient({ baseUrl: url })
        const types = yield* eventsUntil(`${url}/event`, "session.created", (type) => {
          if (type === "server.connected") void sdk.session.create()
        })
        assert.deepStrictEqual([types[0], types.at(-1)], ["server.connected", "session.created"])
      }))

    it.effect("opens a terminal through the URL", () =>
      Effect.gen(function*() {
        const { box, server } = yield* Remote
        const { url } = yield* box.connected
        const shown = yield* Terminal.run(url, server.home, "echo $((6 * 7))-through-ssh", "42-through-ssh")
        assert.include(shown, "42-through-ssh")
      }))

    it.effect("serves the official SDK through the URL", () =>
      Effect.gen(function*() {
        const { box, server } = yield* Remote
        const { url } = yield* box.connected
        const sdk = createOpencodeClient({ baseUrl: url, throwOnError: true })
        const { data: path } = yield* Effect.promise(() => sdk.path.get())
        assert.strictEqual(path?.directory, server.home)
        const { data: session } = yield* Effect.promise(() => sdk.session.create({ body: { title: "over ssh" } }))
        const { data: sessions } = yield* Effect.promise(() => sdk.session.list())
        assert.strictEqual(sessions?.find(({ id }) => id === session?.id)?.title, "over ssh")
      }))

    it.effect("connecting twice is one connection, and one login", () =>
      Effect.gen(function*() {
        const { box, sshd, workstation } = yield* Remote
        const first = yield* box.connected
        const [second, third] = yield* Effect.all([box.connected, box.connected], { concurrency: "unbounded" })
        assert.deepStrictEqual([second, third], [first, first])
        assert.strictEqual((yield* workstation.masters).length, 1)
        assert.strictEqual(yield* sshd.authentications, 1)
      }))
  })

  layer(Remote.layer({ password }), { excludeTestServices: true, timeout: "90 seconds" })("with a password", (it) => {
    it.effect("is refused without credentials, and with wrong ones", () =>
      Effect.gen(function*() {
        const { box, server, workstation } = yield* Remote
        const none = yield* Effect.flip(box.connected)
        assert.deepStrictEqual(
          none._tag === "DiscoveryError" && { ...none.reason },
          { _tag: "Unauthorized", remotePort: server.port, credentials: "none" } as never
        )
        assert.strictEqual((yield* box.state)._tag, "Failed")
        yield* Context.get(workstation.services, CredentialStore).set(box.id, credentials("wrong"))
        const refused = yield* Effect.flip(box.connected)
        assert.isTrue(refused._tag === "DiscoveryError" && refused.reason._tag === "Unauthorized")
        assert.include(refused.message, "refused the user name or password")
        assert.deepStrictEqual(yield* workstation.sshProcesses, [])
      }))

    it.effect("is connected to with them, and the endpoint has them", () =>
      Effect.gen(function*() {
        const { box, workstation } = yield* Remote
        yield* Context.get(workstation.services, CredentialStore).set(box.id, credentials(password))
        const { secured, url } = yield* box.connected
        assert.isTrue(secured)
        const endpoint = Option.getOrThrow(
          yield* Context.get(workstation.services, Connections).endpoint(box.id)
        )
        assert.strictEqual(endpoint.url, url)
        const authorization = Option.getOrThrow(endpoint.credentials).authorization
        const sdk = createOpencodeClient({
          baseUrl: url,
          throwOnError: true,
          headers: { authorization: Redacted.value(authorization) }
        })
        assert.isDefined((yield* Effect.promise(() => sdk.path.get())).data)
      }))
  })
})

describe.skipIf(!Sshd.available)("no OpenCode server", () => {
  it.live("nothing listens: known at once", () =>
    Effect.gen(function*() {
      const { profile, workstation } = yield* remote()
      const remotePort = yield* Port.free
      const box = yield* profile({ remotePort })
      const [took, error] = yield* Effect.timed(Effect.flip(box.connected))
      assert.isTrue(error._tag === "DiscoveryError" && error.reason._tag === "NothingListening")
      assert.include(error.message, String(remotePort))
      // Far below the budget of a round of probes, which is 10 s.
      assert.isBelow(Duration.toMillis(took), 5_000)
      assert.deepStrictEqual(yield* workstation.sshProcesses, [])
    }))

  it.live("forwarding is forbidden: another error than that", () =>
    Effect.gen(function*() {
      const { profile } = yield* remote(["AllowTcpForwarding no"])
      const box = yield* profile({ remotePort: yield* Port.free })
      const error = yield* Effect.flip(box.connected)
      assert.isTrue(error._tag === "TransportError" && error.reason._tag === "ForwardingDenied")
    }))

  it.live("a web page for every path is no OpenCode server", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.http({ "*": FakeServer.html })
      const { profile } = yield* remote()
      const error = yield* Effect.flip((yield* profile({ remotePort: server.port })).connected)
      assert.isTrue(error._tag === "DiscoveryError" && error.reason._tag === "NotAnOpencodeServer")
      assert.isFalse(error.retryable)
    }))

  it.live("another major version is incompatible, and the error names both sides", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.http(FakeServer.v1("3.0.0"))
      const { profile } = yield* remote()
      const newer = yield* Effect.flip((yield* profile({ remotePort: server.port })).connected)
      assert.strictEqual(newer._tag, "CompatibilityError")
      assert.include(newer.message, "3.0.0")
      assert.include(newer.message, ">=1.0.0 <3.0.0")
      const box = yield* profile({ remotePort: server.port, versionRange: "^3.0.0" })
      assert.strictEqual((yield* box.connected).serverVersion, "3.0.0")
    }))
})

describe.skipIf(!Sshd.available)("a connection", () => {
  /** Connected to a server that costs nothing. */
  const connected = Effect.gen(function*() {
    const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
    const { profile, sshd, workstation } = yield* remote()
    const box = yield* profile({ remotePort: server.port })
    return { server, sshd, workstation, box, before: yield* box.connected }
  })

  it.live("comes back with the same URL after its session was cut", () =>
    Effect.gen(function*() {
      const { before, box, sshd, workstation } = yield* connected
      // It may be back before the last of the old sessions is gone.
      const losing = yield* Effect.forkChild(box.awaitState("Reconnecting"), { startImmediately: true })
      yield* sshd.dropSessions
      const lost = yield* Fiber.join(losing)
      assert.isTrue(lost.error._tag === "TransportError" && lost.error.reason._tag === "ConnectionLost")
      assert.strictEqual(lost.url, before.url)
      const after = yield* box.awaitState("Connected")
      assert.strictEqual(after.url, before.url)
      assert.strictEqual(yield* sshd.authentications, 2)
      assert.strictEqual((yield* workstation.masters).length, 1)
    }))

  it.live("comes back with the same URL after the machine was away", () =>
    Effect.gen(function*() {
      const { before, box, sshd } = yield* connected
      yield* sshd.stop
      yield* box.awaitState(
        "Reconnecting",
        ({ attempt, error }) => attempt > 1 && error.reason._tag === "ConnectionRefused"
      )
      yield* sshd.start
      assert.strictEqual((yield* box.awaitState("Connected")).url, before.url)
    }))

  it.live("outlives the server behind it, without a new login", () =>
    Effect.gen(function*() {
      const { before, box, server, sshd } = yield* connected
      yield* server.stop
      const lost = yield* box.awaitState("Reconnecting")
      assert.strictEqual(lost.error._tag, "DiscoveryError")
      yield* FakeServer.http(FakeServer.v1("1.18.34"), { port: server.port })
      const after = yield* box.awaitState("Connected")
      assert.deepStrictEqual([after.url, after.serverVersion], [before.url, "1.18.34"])
      assert.strictEqual(yield* sshd.authentications, 1)
    }))

  it.live("leaves no ssh, no listener and no socket when it is disconnected", () =>
    Effect.gen(function*() {
      const { before, box, sshd, workstation } = yield* connected
      assert.strictEqual((yield* workstation.masters).length, 1)
      assert.isTrue((yield* workstation.runtimeFiles).some((name) => /\/c\d+$/.test(name)))
      yield* box.disconnect
      assert.strictEqual((yield* box.state)._tag, "Disconnected")
      assert.deepStrictEqual(yield* workstation.sshProcesses, [])
      assert.isFalse(yield* Port.isListening(before.localPort))
      const left = (name: RegExp) =>
        Effect.map(workstation.runtimeFiles, (files) => files.filter((file) => name.test(file)))
      assert.deepStrictEqual(yield* left(/\/c\d+$/), [])
      // The disconnect does not wait for this one.
      yield* Effect.repeat(left(/\/group-\d+\.json$/), { until: (files) => files.length === 0 })
      assert.isTrue(
        Option.isNone(yield* Context.get(workstation.services, Connections).endpoint(box.id))
      )
      yield* box.disconnect
      // And the next one gets the URL that it had.
      assert.strictEqual((yield* box.connected).url, before.url)
      assert.strictEqual(yield* sshd.authentications, 2)
    }))

  it.live("is disconnected at any moment of connecting", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
      const { profile, workstation } = yield* remote()
      const box = yield* profile({ remotePort: server.port })
      for (const step of ["Connecting", "Discovering", "Connected"] as const) {
        yield* box.connect
        yield* box.awaitState(step)
        yield* box.disconnect
        assert.strictEqual((yield* box.state)._tag, "Disconnected")
        assert.deepStrictEqual(yield* workstation.sshProcesses, [])
      }
    }))
})
