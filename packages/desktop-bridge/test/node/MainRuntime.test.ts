import { assert, describe, it } from "@effect/vitest"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { ConfigurationError } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import { layerPlatformWith } from "@opencode-ai/ssh-tunnel/node"
import { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { Duration, Effect, Layer, Schema } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { isLinkError } from "../../src/Link.ts"
import * as MemoryPort from "../../src/MemoryPort.ts"
import * as MainRuntime from "../../src/node/MainRuntime.ts"
import * as Window from "../../src/Window.ts"

/** An application that connects to nothing: an ssh that is none, and files of its own. */
const start = Effect.fnUntraced(
  function*(options: Partial<MainRuntime.Options> = {}, more: Layer.Layer<never> = Layer.empty) {
    const directory = yield* TempDirectory.make()
    const place = (name: string) => {
      const path = Path.join(directory, name)
      Fs.mkdirSync(path, { mode: 0o700 })
      return path
    }
    const environment = {
      OPENCODE_SSH_BINARY: "/nonexistent/ssh",
      XDG_RUNTIME_DIR: place("run"),
      PATH: process.env["PATH"]
    }
    const home = place("home")
    const dataDirectory = place("data")
    const logged: Array<string> = []
    const runtime = yield* Effect.acquireRelease(
      Effect.sync(() =>
        MainRuntime.make({
          application: "Test 1.0.0",
          origins: ["oc://renderer"],
          dataDirectory,
          log: ({ level, text }) => void logged.push(`${level} ${text}`),
          platform: Layer.merge(layerPlatformWith({ home, environment }), more),
          ...options
        })
      ),
      (runtime) => Effect.promise(() => runtime.dispose())
    )
    return { runtime, dataDirectory, logged }
  }
)

const profile = { id: "box", name: "Box", host: "box", bootstrap: { enabled: false, lifetime: "persistent" } }
const decodeProfile = Schema.decodeUnknownSync(Profile)
const write = (directory: string, profiles: ReadonlyArray<unknown>) =>
  Fs.writeFileSync(Path.join(directory, "ssh-profiles.json"), JSON.stringify({ version: 1, profiles }))

const rejection = (promise: Promise<unknown>) =>
  Effect.promise(() => promise.then(() => undefined, (error: unknown) => error))

describe("a main process without Effect", () => {
  it.live("hears of profiles and states, also when a listener throws", () =>
    Effect.gen(function*() {
      const { dataDirectory, logged, runtime } = yield* start()
      const seen = Promise.withResolvers<ReadonlyArray<Profile>>()
      const first = Promise.withResolvers<void>()
      const end = runtime.onProfiles((profiles) => {
        first.resolve()
        if (profiles.length === 0) throw new Error("a bug of the application")
        seen.resolve(profiles)
      })
      yield* Effect.promise(() => first.promise)
      write(dataDirectory, [profile])
      assert.deepStrictEqual((yield* Effect.promise(() => seen.promise)).map(({ id }) => id), ["box"])
      end()
      assert.isTrue(logged.some((line) => line.startsWith("Error ") && line.includes("a bug of the application")))
      const failed = Promise.withResolvers<string>()
      runtime.onStates((states) => {
        for (const [id, state] of states) {
          if (state._tag === "Failed") failed.resolve(`${id}: ${state.error.reason._tag}`)
        }
      })
      yield* Effect.promise(() => runtime.connect("box"))
      assert.strictEqual(yield* Effect.promise(() => failed.promise), "box: SshNotFound")
      const settled = yield* rejection(runtime.settled("box"))
      assert.instanceOf(settled, ConfigurationError)
      assert.include(settled.remedy.text, "ssh")
      assert.instanceOf(yield* rejection(runtime.connect("nobody")), ConfigurationError)
      assert.instanceOf(yield* rejection(runtime.connect("-oProxyCommand=x")), ConfigurationError)
      assert.strictEqual(yield* Effect.promise(() => runtime.endpoint("box")), undefined)
      runtime.networkChanged()
    }))

  it.live("the one telling of a corrupt file reaches a person, also when the restoring met it first", () =>
    Effect.gen(function*() {
      for (const connected of [[], ["box"]]) {
        const dataDirectory = yield* TempDirectory.make()
        Fs.writeFileSync(Path.join(dataDirectory, "ssh-profiles.json"), "{")
        Fs.writeFileSync(Path.join(dataDirectory, "ssh-connected.json"), JSON.stringify({ version: 1, connected }))
        const { runtime } = yield* start({ dataDirectory })
        const [main, page] = MemoryPort.makePair()
        runtime.serve(main)
        const window = yield* Effect.promise(() => Window.open(page))
        const told = Promise.withResolvers<string>()
        window.servers.subscribe(({ problem }) => problem === undefined ? undefined : told.resolve(problem))
        assert.include(yield* Effect.promise(() => told.promise), "ssh-profiles.json.corrupt-")
        // It goes on without them.
        assert.deepStrictEqual((yield* Effect.promise(() => window.servers.getState())).servers, [])
        yield* Effect.promise(() =>
          window.run(window.client.addProfile({
            draft: { name: "New", host: "box", bootstrap: { enabled: false, lifetime: "persistent" } }
          }))
        )
        assert.strictEqual((yield* Effect.promise(() => runtime.profiles())).length, 1)
        yield* Effect.promise(() => window.close())
      }
    }))

  it.live("serves windows that come and go, and tells those that are left when it ends", () =>
    Effect.gen(function*() {
      const { runtime } = yield* start({ notifications: true, supportedVersions: "^1.18.0" })
      const [main, page] = MemoryPort.makePair()
      runtime.serve(main)
      const window = yield* Effect.promise(() => Window.open(page))
      assert.deepStrictEqual(yield* Effect.promise(() => window.run(window.client.about())), {
        application: "Test 1.0.0",
        supportedVersions: "^1.18.0",
        notifications: true
      })
      const [mainOfOther, other] = MemoryPort.makePair()
      runtime.serve(mainOfOther)
      const gone = yield* Effect.promise(() => Window.open(other))
      yield* Effect.promise(() => gone.close())
      assert.deepStrictEqual((yield* Effect.promise(() => window.servers.getState())).servers, [])
      const ended = Promise.withResolvers<string>()
      page.onClose(ended.resolve)
      yield* Effect.promise(() => runtime.dispose())
      assert.strictEqual(yield* Effect.promise(() => ended.promise), "done")
      yield* Effect.promise(() => window.close())

      // From here on it does nothing, and nobody waits.
      const [late, latePage] = MemoryPort.makePair()
      const refused = Promise.withResolvers<string>()
      latePage.onClose(refused.resolve)
      runtime.serve(late)
      assert.strictEqual(yield* Effect.promise(() => refused.promise), "done")
      assert.isDefined(yield* rejection(runtime.profiles()))
      const headers = yield* Effect.promise(() =>
        new Promise((resolve) =>
          runtime.onBeforeSendHeaders({ url: "http://127.0.0.1:1/", method: "GET", requestHeaders: {} }, resolve)
        )
      )
      assert.deepStrictEqual(headers, {})
      yield* Effect.promise(() => runtime.dispose())
    }))

  it.live("no window waits for a main process that could not start, or ended before it had", () =>
    Effect.gen(function*() {
      const open = (runtime: MainRuntime.MainRuntime) => {
        const [main, page] = MemoryPort.makePair()
        runtime.serve(main)
        return Effect.promise(() => Window.open(page))
      }
      const gone = (window: Window.BridgeWindow) =>
        Effect.map(rejection(window.run(window.client.about())), (error) => assert.isTrue(isLinkError(error)))

      const broken = yield* start({}, Layer.effectDiscard(Effect.die(new Error("a bug"))))
      const early = yield* open(broken.runtime)
      yield* gone(early)
      yield* gone(yield* open(broken.runtime))
      assert.match(String(yield* rejection(broken.runtime.profiles())), /a bug/)
      assert.isTrue(broken.logged.some((line) => line.includes("a bug")), broken.logged.join())

      const hasty = yield* start()
      const window = yield* open(hasty.runtime)
      const listed = rejection(hasty.runtime.profiles())
      yield* Effect.promise(() => hasty.runtime.dispose())
      yield* gone(window)
      assert.isDefined(yield* listed)
    }))

  it.live("the application's pages load while it starts, however long that takes", () =>
    Effect.gen(function*() {
      const { runtime } = yield* start({}, Layer.effectDiscard(Effect.never))
      const headers = yield* Effect.promise(() =>
        new Promise((resolve) =>
          runtime.onBeforeSendHeaders({ url: "oc://renderer/", method: "GET", requestHeaders: {} }, resolve)
        )
      )
      assert.deepStrictEqual(headers, {})
      const answer = yield* Effect.promise(() =>
        new Promise((resolve) =>
          runtime.login(
            { url: "http://127.0.0.1:1/", isProxy: false, scheme: "basic", host: "127.0.0.1", port: 1, page: "" },
            (...given) => resolve(given)
          )
        )
      )
      assert.deepStrictEqual(answer, [])
    }))

  it.live("ends in its time, whatever hangs; the application then quits", () =>
    Effect.gen(function*() {
      const { runtime } = yield* start(
        { timing: { quit: Duration.millis(200) } },
        Layer.effectDiscard(Effect.addFinalizer(() => Effect.never))
      )
      yield* Effect.promise(() => runtime.profiles())
      const events: Array<string> = []
      const quitted = Promise.withResolvers<void>()
      let listener: (event: { preventDefault(): void }) => void = () => {}
      const app = {
        on: (_: "before-quit", given: typeof listener) => void (listener = given),
        quit: () => {
          let prevented = false
          listener({ preventDefault: () => void (prevented = true) })
          events.push(prevented ? "held up" : "quit")
          if (!prevented) quitted.resolve()
        }
      }
      runtime.quitWith(app)
      app.quit()
      app.quit()
      yield* Effect.promise(() => quitted.promise)
      assert.deepStrictEqual(events.slice(0, 3), ["held up", "held up", "quit"])
    }))

  it.live("keeps a password over restarts, encrypted", () =>
    Effect.gen(function*() {
      const turned = (bytes: Buffer): Buffer => Buffer.from(bytes.map((byte) => byte ^ 0xff))
      const safeStorage: MainRuntime.ElectronSafeStorage = {
        isEncryptionAvailable: () => true,
        encryptString: (text) => turned(Buffer.from(text)),
        // Electron takes Buffers only.
        decryptString: (bytes) => {
          assert.isTrue(Buffer.isBuffer(bytes))
          return turned(bytes).toString()
        }
      }
      const { dataDirectory, runtime } = yield* start({ safeStorage })
      yield* Effect.promise(() => runtime.setPassword(decodeProfile(profile), "correct horse"))
      const files = Fs.readdirSync(dataDirectory, { recursive: true, withFileTypes: true }).filter((file) =>
        file.isFile()
      )
      assert.strictEqual(files.length, 1)
      for (const { name, parentPath } of files) {
        const bytes = Fs.readFileSync(Path.join(parentPath, name))
        assert.notInclude(bytes.toString("latin1"), "horse")
        // For no other server than the one that the person was told.
        assert.strictEqual(JSON.parse(turned(bytes).toString()).server, decodeProfile(profile).server)
      }
      yield* Effect.promise(() => runtime.removePassword("box"))
      assert.deepStrictEqual(Fs.readdirSync(Path.join(dataDirectory, "ssh-credentials")), [])
    }))
})
