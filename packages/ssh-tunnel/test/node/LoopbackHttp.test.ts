import { assert, describe, it, layer } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Redacted, Scope } from "effect"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Tls from "node:tls"
import { fileURLToPath } from "node:url"
import { LoopbackHttp, type LoopbackHttpError, type LoopbackReply } from "../../src/LoopbackHttp.ts"
import { layer as nodeLayer } from "../../src/node/LoopbackHttp.ts"
import { Timing } from "../../src/Schedules.ts"

const get = (port: number, path = "/", maxBytes?: number) =>
  Effect.flatMap(
    LoopbackHttp,
    (http) => http.get({ port, path, ...(maxBytes === undefined ? undefined : { maxBytes }) })
  )

/** A server that says these bytes to whatever is asked, and then does `end`. */
const says = (bytes: string | Uint8Array, end: "stay" | "fin" | "reset" = "stay") =>
  FakeServer.tcp((socket) => {
    socket.once("data", () =>
      socket.write(bytes, () => {
        if (end === "fin") socket.end()
        if (end === "reset") socket.resetAndDestroy()
      }))
  })

/** What a raw client gets until the connection is closed; `write` runs once it is open. */
const talk = (port: number, write: (socket: Net.Socket) => void): Effect.Effect<string> =>
  Effect.callback((resume) => {
    let received = ""
    const socket = Net.connect({ host: "127.0.0.1", port }, () => write(socket))
    socket.setEncoding("utf8").on("data", (chunk) => (received += chunk)).on("error", () => {})
    socket.once("close", () => resume(Effect.succeed(received)))
    return Effect.sync(() => socket.destroy())
  })

layer(nodeLayer, { excludeTestServices: true })("get", (it) => {
  it.effect("asks once, with a Host of loopback and the given credentials, and reads the answer", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.http((request) => ({
        status: 203,
        headers: { "X-Test": "1" },
        body: { ü: request.url }
      }))
      const http = yield* LoopbackHttp
      const answer = yield* http.get({
        port: server.port,
        path: "/a?b=c",
        authorization: Redacted.make("Basic b3A6cHc=")
      })
      assert.strictEqual(answer.status, 203)
      assert.strictEqual(answer.headers["x-test"], "1")
      assert.strictEqual(answer.body, "{\"ü\":\"/a?b=c\"}")
      assert.isFalse(answer.truncated)
      const [request, ...more] = yield* server.requests
      assert.deepStrictEqual(more, [])
      assert.strictEqual(request?.method, "GET")
      assert.strictEqual(request?.headers.host, `127.0.0.1:${server.port}`)
      assert.strictEqual(request?.headers.authorization, "Basic b3A6cHc=")
      yield* get(server.port)
      assert.isUndefined((yield* server.awaitRequest(2)).headers.authorization)
    }))

  it.effect("follows no redirect, and takes an upgrade for an answer", () =>
    Effect.gen(function*() {
      const target = yield* FakeServer.http({ "*": {} })
      const redirecting = yield* FakeServer.http({ "*": { status: 302, headers: { location: `${target.url}/x` } } })
      assert.strictEqual((yield* get(redirecting.port)).status, 302)
      assert.deepStrictEqual(yield* target.requests, [])
      const upgrading = yield* says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
      assert.strictEqual((yield* get(upgrading.port)).status, 101)
    }))

  it.effect("reads a body to its limit and closes the connection then", () =>
    Effect.gen(function*() {
      const exact = yield* FakeServer.http({ "*": { body: "x".repeat(64 * 1024) } })
      const whole = yield* get(exact.port)
      assert.strictEqual(whole.body.length, 64 * 1024)
      assert.isFalse(whole.truncated)
      const cut = yield* get(exact.port, "/", 10)
      assert.deepStrictEqual([cut.body, cut.truncated], ["x".repeat(10), true])

      const gone = yield* Deferred.make<void>()
      const endless = yield* FakeServer.tcp((socket) => {
        socket.once("close", () => Deferred.doneUnsafe(gone, Exit.void))
        socket.write("HTTP/1.1 200 OK\r\n\r\n")
        const pump = () => {
          while (!socket.destroyed && socket.write("y".repeat(10_000))) {
            // As fast as it is read.
          }
        }
        socket.on("drain", pump)
        pump()
      })
      const answer = yield* get(endless.port)
      assert.deepStrictEqual([answer.body.length, answer.truncated], [64 * 1024, true])
      yield* Deferred.await(gone)
    }))

  it.effect("reads chunks, an answer that ends with the connection, and one after early hints", () =>
    Effect.gen(function*() {
      const bodyOf = (bytes: string, end: "stay" | "fin" = "stay") =>
        Effect.gen(function*() {
          const server = yield* says(bytes, end)
          return (yield* get(server.port)).body
        })
      const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
      assert.strictEqual(yield* bodyOf(chunked), "{}")
      assert.strictEqual(yield* bodyOf("HTTP/1.0 200 OK\r\n\r\n{}", "fin"), "{}")
      const hints = "HTTP/1.1 103 Early Hints\r\n\r\n"
      assert.strictEqual(yield* bodyOf(`${hints}${hints}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}`), "{}")
    }))

  const failureOf = (port: number) => Effect.flip(get(port, "/x"))

  const problemOf = (bytes: string | Uint8Array, end?: "stay" | "fin" | "reset") =>
    Effect.gen(function*() {
      const server = yield* says(bytes, end)
      const error = yield* failureOf(server.port)
      assert.strictEqual(error.port, server.port)
      assert.strictEqual(error.path, "/x")
      return error.problem
    })

  it.effect("refused, closed and malformed are told apart", () =>
    Effect.gen(function*() {
      const free = yield* Port.free
      assert.strictEqual((yield* failureOf(free)).problem, "refused")
      const atOnce = yield* FakeServer.tcp((socket) => socket.destroy())
      assert.strictEqual((yield* failureOf(atOnce.port)).problem, "closed")
      const reset = yield* FakeServer.tcp((socket) => socket.resetAndDestroy())
      assert.strictEqual((yield* failureOf(reset.port)).problem, "closed")
      assert.strictEqual(yield* problemOf("", "fin"), "closed")
      assert.strictEqual(yield* problemOf("HTTP/1.1 200 OK\r\nContent-Le", "fin"), "closed")
      assert.strictEqual(yield* problemOf("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "fin"), "closed")
      assert.strictEqual(yield* problemOf("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "reset"), "closed")
      assert.strictEqual(yield* problemOf("-ERR unknown command 'GET'\r\n"), "malformed")
      assert.strictEqual(yield* problemOf("<html>hi</html>", "fin"), "malformed")
      assert.strictEqual(yield* problemOf(Uint8Array.of(0x15, 3, 1, 0, 2, 2, 70), "fin"), "malformed")
      assert.strictEqual(yield* problemOf(`HTTP/1.1 200 OK\r\nX: ${"a".repeat(100_000)}\r\n\r\n`), "malformed")
      assert.strictEqual(
        yield* problemOf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        "malformed"
      )
    }))

  it.effect("names what spoke instead of HTTP", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.tcp((socket) => socket.write("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"))
      const error = yield* failureOf(server.port)
      assert.strictEqual(error.problem, "malformed")
      assert.include(error.detail, "\"SSH-2.0-OpenSSH_9.2p1 Debian-2\"")
      const binary = yield* FakeServer.tcp((socket) => socket.write(Uint8Array.of(0x4a, 0, 0, 0, 0x0a, 0x38, 0x2e)))
      assert.notInclude((yield* failureOf(binary.port)).detail, "it sent")
    }))

  it.effect("interrupting a request closes its connection", () =>
    Effect.gen(function*() {
      const asked = yield* Deferred.make<void>()
      const gone = yield* Deferred.make<void>()
      const server = yield* FakeServer.tcp((socket) => {
        socket.once("data", () => Deferred.doneUnsafe(asked, Exit.void))
        socket.once("close", () => Deferred.doneUnsafe(gone, Exit.void))
      })
      const request = yield* Effect.forkChild(get(server.port))
      yield* Deferred.await(asked)
      yield* Fiber.interrupt(request)
      yield* Deferred.await(gone)
    }))

  it.effect("a connection of its own for each request", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.http({ "*": { body: {} } })
      yield* Effect.all(Array.from({ length: 20 }, () => get(server.port)), { concurrency: "unbounded" })
      assert.strictEqual(yield* server.connections, 20)
    }))
})

layer(nodeLayer, { excludeTestServices: true })("speaksTls", (it) => {
  it.effect("is true for a TLS server, with a certificate or not, and for nothing else", () =>
    Effect.gen(function*() {
      const { speaksTls } = yield* LoopbackHttp
      const tls = yield* Effect.acquireRelease(
        Effect.callback<Tls.Server>((resume) => {
          const server = Tls.createServer().on("tlsClientError", () => {})
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      assert.isTrue(yield* speaksTls((tls.address() as Net.AddressInfo).port))
      const serverHello = yield* FakeServer.tcp((socket) => socket.once("data", () => socket.write("\x16\x03\x03")))
      assert.isTrue(yield* speaksTls(serverHello.port))
      const others: ReadonlyArray<Parameters<typeof FakeServer.tcp>[0]> = [
        (socket) => socket.end(),
        (socket) => socket.resetAndDestroy(),
        (socket) => socket.write("SSH-2.0-OpenSSH_9.2p1\r\n"),
        (socket) => socket.write("\x16")
      ]
      for (const speak of others) {
        const { port } = yield* FakeServer.tcp(speak)
        assert.isFalse(yield* speaksTls(port))
      }
      assert.isFalse(yield* speaksTls((yield* FakeServer.http({})).port))
      assert.isFalse(yield* speaksTls(yield* Port.free))
    }))
})

layer(nodeLayer, { excludeTestServices: true })("hold", (it) => {
  /** A connection that is answered, and then at the test's disposal. */
  const held = Effect.gen(function*() {
    const opened = yield* Deferred.make<Net.Socket>()
    const server = yield* FakeServer.tcp((socket) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\n{}")
        Deferred.doneUnsafe(opened, Exit.succeed(socket))
      })
    })
    const http = yield* LoopbackHttp
    const { closed, response } = yield* http.hold({ port: server.port, path: "/" })
    assert.strictEqual(response.body, "{}")
    return { closed, peer: yield* Deferred.await(opened), connections: server.connections }
  })

  const pending = (effect: Effect.Effect<void>) =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
      // Enough turns of the event loop for an end that was on its way.
      for (let turn = 0; turn < 20; turn++) {
        yield* Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
      }
      const state = fiber.pollUnsafe()
      yield* Fiber.interrupt(fiber)
      return state === undefined
    })

  it.effect("stays, whatever the server hints, until the other end closes", () =>
    Effect.gen(function*() {
      const { closed, connections, peer } = yield* held
      assert.isTrue(yield* pending(closed))
      peer.end()
      yield* closed
      assert.strictEqual(yield* connections, 1)
    }))

  it.effect("sees a reset, and an end behind last words that nobody asked for", () =>
    Effect.gen(function*() {
      const first = yield* held
      first.peer.resetAndDestroy()
      yield* first.closed
      const second = yield* held
      second.peer.end("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
      yield* second.closed
    }))

  it.effect("completes at once where the server does not keep connections", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.http({ "*": { headers: { connection: "close" } } })
      const http = yield* LoopbackHttp
      const { closed } = yield* http.hold({ port: server.port, path: "/" })
      yield* closed
    }))

  it.effect("the end of the scope closes the connection, also while the answer is awaited", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { closed, peer } = yield* held.pipe(Scope.provide(scope))
      const gone = new Promise<void>((resolve) => peer.once("close", () => resolve()))
      peer.resume()
      yield* Scope.close(scope, Exit.void)
      yield* Effect.promise(() => gone)
      yield* closed

      const asked = yield* Deferred.make<Net.Socket>()
      const silent = yield* FakeServer.tcp((socket) =>
        socket.once("data", () => Deferred.doneUnsafe(asked, Exit.succeed(socket)))
      )
      const http = yield* LoopbackHttp
      const waiting = yield* Effect.forkChild(Effect.scoped(http.hold({ port: silent.port, path: "/" })))
      const socket = yield* Deferred.await(asked)
      const left = new Promise<void>((resolve) => socket.once("close", () => resolve()))
      yield* Fiber.interrupt(waiting)
      yield* Effect.promise(() => left)
    }))
})

describe("serve", () => {
  const quick = Layer.provide(
    nodeLayer,
    Layer.succeed(Timing, { ...Timing.defaults, pageRequest: Duration.millis(200) })
  )

  const serving = (
    handler: (path: string, headers: Readonly<Record<string, string>>) => Effect.Effect<LoopbackReply>
  ): Effect.Effect<number, LoopbackHttpError, LoopbackHttp | Scope.Scope> =>
    Effect.gen(function*() {
      const http = yield* LoopbackHttp
      const { port } = yield* http.serve(({ headers, path }) => handler(path, headers))
      return port
    })

  const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])

  layer(nodeLayer, { excludeTestServices: true })((it) => {
    it.effect("hands over path and headers, and sends status, headers and body", () =>
      Effect.gen(function*() {
        const port = yield* serving((path, headers) =>
          Effect.succeed({ status: 302, headers: { location: `/${headers["accept"]}` }, body: `ü ${path}` })
        )
        const answer = yield* get(port, "/ticket?a=b")
        assert.strictEqual(answer.status, 302)
        assert.strictEqual(answer.headers["location"], "/application/json")
        assert.strictEqual(answer.body, "ü /ticket?a=b")
        const raw = yield* talk(port, (socket) => socket.write(`GET /x HTTP/1.1\r\nHost: LOCALHOST:${port}\r\n\r\n`))
        assert.strictEqual(statusOf(raw), 302)
      }))

    it.effect("passes on only GET requests for its own address", () =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        const port = yield* serving((path) => {
          seen.push(path)
          return Effect.succeed({ status: 200 })
        })
        const ask = (head: string) => Effect.map(talk(port, (socket) => socket.write(`${head}\r\n\r\n`)), statusOf)
        const own = `Host: 127.0.0.1:${port}`
        for (
          const host of [
            `attacker.example:${port}`,
            "attacker.example",
            "127.0.0.1",
            `127.0.0.1:${port + 1}`,
            `127.0.0.1:${port}.attacker.example`,
            `[::1]:${port}`,
            ""
          ]
        ) {
          assert.strictEqual(yield* ask(`GET /secret HTTP/1.1\r\nHost: ${host}`), 421, host)
        }
        assert.strictEqual(yield* ask(`GET /secret HTTP/1.1\r\n${own}\r\nHost: attacker.example`), 421)
        assert.strictEqual(yield* ask(`GET /secret HTTP/1.1\r\nHost: attacker.example\r\n${own}`), 421)
        assert.strictEqual(yield* ask(`GET http://attacker.example/secret HTTP/1.1\r\n${own}`), 421)
        assert.strictEqual(yield* ask("GET /secret HTTP/1.0"), 421)
        assert.oneOf(yield* ask("GET /secret HTTP/1.1"), [400, 421])
        for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"]) {
          assert.strictEqual(yield* ask(`${method} /secret HTTP/1.1\r\n${own}`), 405, method)
        }
        assert.deepStrictEqual(seen, [])
        assert.strictEqual(yield* ask(`GET /secret HTTP/1.1\r\n${own}`), 200)
        assert.deepStrictEqual(seen, ["/secret"])
      }))

    it.effect("refuses a head that is too long", () =>
      Effect.gen(function*() {
        const port = yield* serving(() => Effect.succeed({ status: 200 }))
        const head = `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX: ${"x".repeat(20_000)}\r\n\r\n`
        const answer = yield* talk(port, (socket) => socket.write(head))
        assert.notStrictEqual(statusOf(answer), 200)
      }))

    it.effect("a handler that dies, or replies with what is no header, is an answer of 500 and no more", () =>
      Effect.gen(function*() {
        const port = yield* serving((path) =>
          path === "/die"
            ? Effect.die(new Error("a secret"))
            : Effect.succeed({ status: 200, headers: { "x-a": "b\r\nx-injected: c" } })
        )
        const died = yield* get(port, "/die")
        assert.strictEqual(died.status, 500)
        assert.notInclude(died.body, "secret")
        const injected = yield* get(port, "/inject")
        assert.strictEqual(injected.status, 500)
        assert.isUndefined(injected.headers["x-injected"])
      }))

    it.effect("a client that goes away interrupts the handler", () =>
      Effect.gen(function*() {
        const asked = yield* Deferred.make<void>()
        const interrupted = yield* Deferred.make<void>()
        const port = yield* serving(() =>
          Deferred.succeed(asked, undefined).pipe(
            Effect.andThen(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
          )
        )
        const client = yield* Effect.forkChild(get(port))
        yield* Deferred.await(asked)
        yield* Fiber.interrupt(client)
        yield* Deferred.await(interrupted)
      }))

    it.effect("the end of the scope frees the port and cuts every connection", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const asked = yield* Deferred.make<void>()
        const port = yield* serving(() => Deferred.succeed(asked, undefined).pipe(Effect.andThen(Effect.never))).pipe(
          Scope.provide(scope)
        )
        const connected = yield* Deferred.make<void>()
        const idle = yield* Effect.forkChild(talk(port, () => Deferred.doneUnsafe(connected, Exit.void)))
        const waiting = yield* Effect.forkChild(Effect.flip(get(port)))
        yield* Deferred.await(asked)
        yield* Deferred.await(connected)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* Fiber.join(idle), "")
        assert.strictEqual((yield* Fiber.join(waiting)).problem, "closed")
        assert.isFalse(yield* Port.isListening(port))
      }))
  })

  layer(quick, { excludeTestServices: true })((it) => {
    it.effect("does not wait for ever: for a word, for the head, for a handler", () =>
      Effect.gen(function*() {
        const port = yield* serving((path) => path === "/slow" ? Effect.never : Effect.succeed({ status: 200 }))
        const drip = (head: string) => (socket: Net.Socket) => {
          socket.write(head)
          const timer = setInterval(() => socket.write("x: y\r\n"), 20)
          socket.once("close", () => clearInterval(timer))
        }
        const own = `HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`
        const answers = yield* Effect.all([
          talk(port, () => {}),
          talk(port, drip(`GET / ${own}`)),
          talk(port, drip(`GET /slow ${own}Content-Length: 100000\r\n\r\n`)),
          talk(port, (socket) => socket.write(`GET /slow ${own}\r\n`))
        ], { concurrency: "unbounded" })
        for (const answer of answers) assert.notStrictEqual(statusOf(answer), 200)
      }))
  })
})

/** Runs a module's text in a process of this runtime, with a proxy in its environment. */
const script = (lines: ReadonlyArray<string>, proxy: number, ...args: ReadonlyArray<string | number>) => {
  const packageDirectory = Path.resolve(Path.dirname(fileURLToPath(import.meta.url)), "../..")
  const url = `http://127.0.0.1:${proxy}`
  const text = [
    "import { Effect, Redacted } from 'effect'",
    "import * as Http from 'node:http'",
    "import { LoopbackHttp } from './src/LoopbackHttp.ts'",
    "import { layer } from './src/node/LoopbackHttp.ts'",
    "const args = process.argv.slice(process.argv.indexOf('--') + 1)",
    "const authorization = Redacted.make('Basic c2VjcmV0')",
    "const run = (use) => Effect.runPromise(",
    "  Effect.scoped(Effect.flatMap(LoopbackHttp, use)).pipe(Effect.provide(layer)))",
    ...lines
  ].join("\n")
  const isBun = process.versions["bun"] !== undefined
  return Process.spawn(
    process.execPath,
    [...(isBun ? [] : ["--no-warnings", "--input-type=module"]), "-e", text, "--", "--", ...args.map(String)],
    {
      cwd: packageDirectory,
      env: {
        HTTP_PROXY: url,
        http_proxy: url,
        HTTPS_PROXY: url,
        https_proxy: url,
        ALL_PROXY: url,
        all_proxy: url,
        NO_PROXY: undefined,
        no_proxy: undefined,
        NODE_USE_ENV_PROXY: "1"
      }
    }
  )
}

describe("in a process of its own", () => {
  it.live("no proxy of the environment sees a byte, though other clients go there", () =>
    Effect.gen(function*() {
      const caught: Array<string> = []
      const proxy = yield* FakeServer.tcp((socket) => {
        socket.once("data", (bytes) => {
          caught.push(bytes.toString("utf8"))
          socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
        })
      })
      const target = yield* FakeServer.http((request) => ({ body: { path: request.url } }))
      const child = yield* script(
        [
          "const port = Number(args[0])",
          "const bodies = await run((http) => Effect.gen(function*() {",
          "  const got = yield* http.get({ port, path: '/get', authorization })",
          "  const { response } = yield* http.hold({ port, path: '/hold', authorization })",
          "  const { port: own } = yield* http.serve(() => Effect.succeed({ status: 200, body: 'own' }))",
          "  const served = yield* http.get({ port: own, path: '/' })",
          "  return [got.body, response.body, served.body]",
          "}))",
          "console.log(JSON.stringify(bodies))",
          "const url = 'http://127.0.0.1:' + port + '/control'",
          "if (process.versions.bun) await fetch(url).catch(() => {})",
          "else await new Promise((done) => Http.get(url, done).on('error', done))",
          "process.exit(0)"
        ],
        proxy.port,
        target.port
      )
      assert.strictEqual(
        yield* child.stdout.waitFor("/get"),
        JSON.stringify(["{\"path\":\"/get\"}", "{\"path\":\"/hold\"}", "own"])
      )
      assert.strictEqual((yield* child.exit).code, 0)
      assert.strictEqual(caught.length, 1, "the catcher must catch the ordinary client, or this test proves nothing")
      assert.include(caught[0], "/control")
      assert.strictEqual(yield* proxy.connections, 1)
      assert.deepStrictEqual((yield* target.requests).map(({ url }) => url), ["/get", "/hold"])
    }))

  it.live("a held connection keeps the process alive, and its end lets it go", () =>
    Effect.gen(function*() {
      const server = yield* FakeServer.http({ "*": { body: {} } })
      const child = yield* script(
        [
          "await run((http) => Effect.gen(function*() {",
          "  const { closed } = yield* http.hold({ port: Number(args[0]), path: '/' })",
          "  console.log('held')",
          "  yield* closed",
          "  console.log('closed')",
          "}))"
        ],
        server.port,
        server.port
      )
      yield* child.stdout.waitFor("held")
      yield* server.stop
      yield* child.stdout.waitFor("closed")
      assert.deepStrictEqual(yield* child.exit, { code: 0, signal: undefined })
    }))
})
