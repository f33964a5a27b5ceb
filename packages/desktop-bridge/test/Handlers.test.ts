import { assert, describe, it } from "@effect/vitest"
import { BootstrapError, NotOurs } from "@opencode-ai/ssh-tunnel/BootstrapError"
import { ConfigurationError, ProfileNotFound } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import { Connections } from "@opencode-ai/ssh-tunnel/Connections"
import { Credentials } from "@opencode-ai/ssh-tunnel/Credentials"
import { CredentialStore } from "@opencode-ai/ssh-tunnel/CredentialStore"
import { DiscoveryError, NothingListening, UnexpectedStatus } from "@opencode-ai/ssh-tunnel/DiscoveryError"
import { DoctorStep } from "@opencode-ai/ssh-tunnel/DoctorStep"
import { MemoryTunnels } from "@opencode-ai/ssh-tunnel/MemoryTunnels"
import type { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import type { ProfileDraft } from "@opencode-ai/ssh-tunnel/ProfileDraft"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { RemoteServer } from "@opencode-ai/ssh-tunnel/RemoteServer"
import { EffectiveParameters } from "@opencode-ai/ssh-tunnel/SshConfig"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, Option, Redacted, Ref, Stream } from "effect"
import { BridgeDefect, BridgeNotConnected } from "../src/BridgeError.ts"
import * as World from "./support/World.ts"

const { client, id, layer, profile } = World

const secret = "sw0rdfish-of-the-server"
const credentials = new Credentials({ username: "opencode", password: Redacted.make(secret) })
const draft = (fields: Partial<ProfileDraft> = {}): ProfileDraft => {
  const { id: _, ...rest } = profile()
  return { ...rest, name: "New", ...fields }
}

const server = new RemoteServer({
  port: 4096,
  pid: 7,
  version: "1.18.33",
  credentials,
  origin: "reused",
  owner: "ours",
  lifetime: "persistent",
  logFile: "/home/me/log"
})

const invalidField = (error: unknown): string =>
  error instanceof ConfigurationError && error.reason._tag === "InvalidProfile" ? error.reason.path : `${error}`

describe("profiles", () => {
  it.effect("a draft becomes a profile with an id of its own, and everybody is told", () =>
    Effect.gen(function*() {
      const window = yield* client
      const seen = yield* Ref.make<ReadonlyArray<number>>([])
      const first = yield* Deferred.make<void>()
      const watching = yield* window.watchProfiles().pipe(
        Stream.tap(({ profiles }) =>
          Effect.andThen(Ref.update(seen, (all) => [...all, profiles.length]), Deferred.succeed(first, undefined))
        ),
        Stream.takeUntil(({ profiles }) => profiles.length === 2),
        Stream.runDrain,
        Effect.forkScoped
      )
      yield* Deferred.await(first)
      const added = yield* window.addProfile({ draft: draft() })
      yield* Fiber.join(watching)
      assert.deepStrictEqual(yield* Ref.get(seen), [1, 2])
      assert.match(added.id, /^new-[0-9a-f]{12}$/)
      assert.deepStrictEqual((yield* (yield* ProfileRepo).get(added.id)).name, "New")
    }).pipe(Effect.provide(layer())))

  it.effect("a window cannot choose an ssh config file, which could make ssh run programs", () =>
    Effect.gen(function*() {
      const window = yield* client
      const evil = draft({ sshConfig: "/home/me/Downloads/config" })
      assert.strictEqual(invalidField(yield* Effect.flip(window.addProfile({ draft: evil }))), "sshConfig")
      const box = yield* (yield* ProfileRepo).get(id("box"))
      const edited = profile({ ...box, sshConfig: "/home/me/Downloads/config" })
      assert.strictEqual(invalidField(yield* Effect.flip(window.editProfile({ profile: edited }))), "sshConfig")
      const examined = yield* Effect.flip(Stream.runDrain(window.examineDraft({ draft: evil })))
      assert.strictEqual(invalidField(examined), "sshConfig")
      // What a person has put into the file stays, and may be taken away.
      const kept = yield* window.editProfile({ profile: profile({ id: id("own"), name: "Other", sshConfig: "/own" }) })
      assert.strictEqual(kept.sshConfig, "/own")
      yield* window.editProfile({ profile: profile({ id: id("own"), name: "Other" }) })
      assert.strictEqual(
        invalidField(
          yield* Effect.flip(window.editProfile({ profile: profile({ id: id("own"), sshConfig: "/own" }) }))
        ),
        "sshConfig"
      )
      assert.strictEqual((yield* window.addProfile({ draft: draft({ sshConfig: "none" }) })).sshConfig, "none")
      assert.strictEqual((yield* (yield* ProfileRepo).list).length, 3)
    }).pipe(
      Effect.provide(layer({ profiles: [profile(), profile({ id: id("own"), name: "Own", sshConfig: "/own" })] }))
    ))

  it.effect("a stored password goes nowhere else: an edit of where the profile leads forgets it", () =>
    Effect.gen(function*() {
      const window = yield* client
      const store = yield* CredentialStore
      const box = profile()
      const edits: ReadonlyArray<Partial<Profile>> = [
        { host: "elsewhere" },
        { user: "mallory" },
        { port: 2222 },
        { proxyJump: "jump" },
        { remotePort: 9999 },
        { sshConfig: "none" },
        { bootstrap: { enabled: false, lifetime: "persistent", port: 9999 } }
      ]
      for (const edit of edits) {
        yield* window.editProfile({ profile: box })
        yield* store.set(box.id, credentials)
        yield* window.editProfile({ profile: profile({ ...box, name: "Renamed", localPort: 5000 }) })
        assert.isTrue(Option.isSome(yield* store.get(box.id)), "a new name changes nothing")
        yield* window.editProfile({ profile: profile({ ...box, ...edit }) })
        assert.isTrue(Option.isNone(yield* store.get(box.id)), JSON.stringify(edit))
      }
    }).pipe(Effect.provide(layer())))

  it.effect("names are unique; a copy gets a free one, an id of its own, no pinned port and no password", () =>
    Effect.gen(function*() {
      const window = yield* client
      assert.strictEqual(invalidField(yield* Effect.flip(window.addProfile({ draft: draft({ name: "Box" }) }))), "name")
      const copy = yield* window.duplicateProfile({ id: id("box") })
      const again = yield* window.duplicateProfile({ id: copy.id })
      assert.deepStrictEqual([copy.name, again.name], ["Box 2", "Box 3"])
      assert.strictEqual(copy.localPort, undefined)
      assert.notStrictEqual(copy.id, id("box"))
      assert.isTrue(Option.isNone(yield* (yield* CredentialStore).get(copy.id)))
    }).pipe(
      Effect.provide(layer({ profiles: [profile({ localPort: 5000 })], passwords: [[id("box"), credentials]] }))
    ))

  it.effect("removing ends the connection first and forgets the password", () =>
    Effect.gen(function*() {
      const window = yield* client
      const connections = yield* Connections
      yield* window.connect({ id: id("box") })
      yield* connections.settled(id("box"))
      yield* window.removeProfile({ id: "box" })
      assert.strictEqual(yield* (yield* MemoryTunnels).open, 0)
      assert.strictEqual((yield* connections.state(id("box")))._tag, "Disconnected")
      assert.isTrue(Option.isNone(yield* (yield* CredentialStore).get(id("box"))))
      const gone = yield* Effect.flip(window.removeProfile({ id: "box" }))
      assert.instanceOf(gone, ConfigurationError)
      assert.strictEqual(gone.reason._tag, "ProfileNotFound")
    }).pipe(Effect.provide(layer({ passwords: [[id("box"), credentials]] }))))

  it.effect("imports named hosts only, and says why others became none", () =>
    Effect.gen(function*() {
      const window = yield* client
      const { added, skipped } = yield* window.importHosts({ names: ["box", "lab", "lab", "unknown"] })
      assert.deepStrictEqual(added.map(({ host }) => host), ["lab"])
      assert.deepStrictEqual(skipped.map(({ name }) => name).sort(), ["box", "unknown"])
      const exported = yield* window.exportProfiles({ ids: added.map(({ id }) => id) })
      assert.deepStrictEqual(JSON.parse(exported).profiles.map(({ host }: Profile) => host), ["lab"])
      assert.strictEqual(JSON.parse(yield* window.exportProfiles({})).profiles.length, 2)
    }).pipe(Effect.provide(layer({
      config: {
        hosts: () => Effect.succeed(["box", "lab"].map((name, line) => ({ name, file: "/home/me/.ssh/config", line })))
      }
    }))))

  it.effect("the effective parameters come without ProxyCommand", () =>
    Effect.gen(function*() {
      const window = yield* client
      const effective = yield* window.effective({ host: "box", user: "me" })
      assert.strictEqual(effective.hostname, "10.0.0.1")
      assert.notInclude(JSON.stringify(effective), "token")
    }).pipe(Effect.provide(layer({
      config: {
        effective: ({ host, sshConfig, user }) =>
          Effect.succeed(
            new EffectiveParameters({
              host,
              hostname: sshConfig ?? "10.0.0.1",
              user: user ?? "?",
              port: 22,
              identityFiles: [],
              identitiesOnly: false,
              proxyCommand: "nc --token abc",
              parameters: [{ keyword: "hostname", value: "10.0.0.1" }]
            })
          )
      }
    }))))
})

describe("connections", () => {
  it.effect("an endpoint is there while its profile is connected, and belongs to no other", () =>
    Effect.gen(function*() {
      const window = yield* client
      assert.deepStrictEqual(yield* window.endpoint({ id: id("box") }), {})
      yield* window.connect({ id: id("box") })
      const { url } = yield* (yield* Connections).settled(id("box"))
      assert.deepStrictEqual(yield* window.endpoint({ id: id("box") }), { url })
      assert.deepStrictEqual(yield* window.endpoint({ id: id("other") }), {})
      const refused = yield* Effect.flip(window.open({ id: id("other") }))
      assert.instanceOf(refused, BridgeNotConnected)
      yield* window.disconnect({ id: id("box") })
      assert.deepStrictEqual(yield* window.endpoint({ id: id("box") }), {})
    }).pipe(Effect.provide(layer({ profiles: [profile(), profile({ id: id("other"), name: "Other" })] }))))

  it.effect("connecting what is no profile fails, and leaves no state behind", () =>
    Effect.gen(function*() {
      const window = yield* client
      const error = yield* Effect.flip(window.connect({ id: id("ghost") }))
      assert.instanceOf(error, ConfigurationError)
      assert.instanceOf(error.reason, ProfileNotFound)
      const states = yield* Stream.runHead(window.watchStates())
      assert.deepStrictEqual(states, Option.some({ _tag: "All", states: [] }))
    }).pipe(Effect.provide(layer())))

  it.effect("opening: the page goes when it was used; the host may show it, and the window gets no address then", () => {
    const closed = Deferred.makeUnsafe<"used" | "expired">()
    const released = Ref.makeUnsafe(false)
    const opened = Ref.makeUnsafe("")
    return Effect.gen(function*() {
      const window = yield* client
      yield* window.connect({ id: id("box") })
      yield* (yield* Connections).settled(id("box"))
      assert.deepStrictEqual(yield* window.open({ id: id("box") }), {})
      assert.strictEqual(yield* Ref.get(opened), "http://127.0.0.1:1/ticket")
      assert.isFalse(yield* Ref.get(released), "the page outlives the call")
      yield* Deferred.succeed(closed, "used")
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      assert.isTrue(yield* Ref.get(released))
    }).pipe(Effect.provide(layer({
      door: () =>
        Effect.as(Effect.addFinalizer(() => Ref.set(released, true)), {
          url: "http://127.0.0.1:1/ticket",
          closed: Deferred.await(closed)
        }),
      host: { open: (url) => Ref.set(opened, Redacted.value(url)) }
    })))
  })
})

describe("pages of the door", () => {
  it.effect("a window that opens and opens has a bounded number of them, the latest", () => {
    const open = Ref.makeUnsafe<ReadonlyArray<number>>([])
    const count = Ref.makeUnsafe(0)
    return Effect.gen(function*() {
      const window = yield* client
      yield* window.connect({ id: id("box") })
      yield* (yield* Connections).settled(id("box"))
      for (let times = 0; times < 20; times++) yield* window.open({ id: id("box") })
      assert.deepStrictEqual(yield* Ref.get(open), [12, 13, 14, 15, 16, 17, 18, 19])
    }).pipe(Effect.provide(layer({
      door: () =>
        Effect.gen(function*() {
          const number = yield* Ref.getAndUpdate(count, (before) => before + 1)
          yield* Effect.acquireRelease(
            Ref.update(open, (all) => [...all, number]),
            () => Ref.update(open, (all) => all.filter((other) => other !== number))
          )
          return { url: `http://127.0.0.1:1/${number}`, closed: Effect.never }
        })
    })))
  })
})

describe("what a window is told", () => {
  it.effect("secrets of this process are hidden, and texts of strangers do nothing", () =>
    Effect.gen(function*() {
      const window = yield* client
      yield* window.connect({ id: id("box") })
      const failed = yield* window.watchStates().pipe(
        Stream.filter((update) => JSON.stringify(update).includes("Failed")),
        Stream.runHead
      )
      const text = JSON.stringify(failed)
      assert.notInclude(text, secret)
      assert.notInclude(text, btoa(`opencode:${secret}`))
      assert.include(text, "<U+202E>")
      assert.notInclude(text, "\u202e")
      const update = Option.getOrThrow(failed)
      const state = update._tag === "All" ? update.states[0]?.state : update.state
      if (state?._tag !== "Failed") return assert.fail(text)
      assert.instanceOf(state.error, DiscoveryError)
      assert.strictEqual(state.error.retryable, true)
    }).pipe(Effect.provide(layer({
      passwords: [[id("box"), credentials]],
      discovery: {
        find: () =>
          Effect.fail(
            new DiscoveryError({
              reason: new UnexpectedStatus({
                path: `/global/health?\u202e${secret}&${btoa(`opencode:${secret}`)}`,
                status: 500,
                remotePort: 4096
              })
            })
          )
      }
    }))))

  it.effect("steps of an examination too, as instances", () =>
    Effect.gen(function*() {
      const window = yield* client
      const steps = yield* Stream.runCollect(window.examine({ id: id("box") }))
      const [step] = steps
      assert.instanceOf(step, DoctorStep)
      assert.instanceOf(step.error, DiscoveryError)
      assert.include(step.detail, "<U+001B>")
      assert.notInclude(step.detail, secret)
    }).pipe(Effect.provide(layer({
      passwords: [[id("box"), credentials]],
      doctor: {
        examine: () =>
          Stream.succeed(
            new DoctorStep({
              id: "server",
              title: "The server answers",
              status: "failed",
              detail: `\u001b]0;title\u0007 said ${secret}`,
              durationMs: 1,
              error: new DiscoveryError({ reason: new NothingListening({ remotePort: 4096 }) })
            })
          )
      }
    }))))

  it.effect("a bug ends its own call and no other, and says nothing about itself", () => {
    const logged: Array<string> = []
    return Effect.gen(function*() {
      const window = yield* client
      const first = yield* Deferred.make<void>()
      const other = yield* window.watchStates().pipe(
        Stream.tap(() => Deferred.succeed(first, undefined)),
        Stream.drop(1),
        Stream.runHead,
        Effect.forkScoped
      )
      yield* Deferred.await(first)
      for (
        const died of [
          Effect.flip(window.diagnostics({ id: id("box"), format: "json", pseudonyms: true })),
          Effect.flip(window.hosts()),
          Effect.flip(Stream.runDrain(window.examine({ id: id("box") })))
        ]
      ) {
        const error = yield* died
        assert.instanceOf(error, BridgeDefect)
        assert.notInclude(JSON.stringify(error) + error.message + error.stack, secret)
      }
      assert.strictEqual(other.pollUnsafe(), undefined)
      yield* window.connect({ id: id("box") })
      assert.isTrue(Option.isSome(yield* Fiber.join(other)), "it goes on")
      assert.isTrue(logged.some((text) => text.includes("died of a defect")))
    }).pipe(
      Effect.provide(
        layer({
          diagnostics: { report: () => Effect.die(new Error(secret)) },
          config: {
            hosts: () => {
              throw new Error(secret)
            }
          },
          doctor: { examine: () => Stream.die(new Error(secret)) }
        }).pipe(Layer.provideMerge(Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))])))
      )
    )
  })
})

describe("the remote server", () => {
  it.effect("is told without its password, over the connection that is there", () =>
    Effect.gen(function*() {
      const window = yield* client
      const tunnels = yield* MemoryTunnels
      yield* window.connect({ id: id("box") })
      yield* (yield* Connections).settled(id("box"))
      const status = yield* window.serverStatus({ id: id("box") })
      assert.deepStrictEqual(status.server?.pid, 7)
      assert.notInclude(JSON.stringify(status), secret)
      assert.strictEqual(yield* tunnels.opened, 1, "no second login")
      yield* window.disconnect({ id: id("box") })
      yield* window.serverStatus({ id: id("box") })
      assert.deepStrictEqual([yield* tunnels.opened, yield* tunnels.open], [2, 0], "one of its own, and closed")
    }).pipe(Effect.provide(layer({ bootstrap: { status: () => Effect.succeedSome(server) } }))))

  it.effect("stopping it ends the connection first, which would start it again", () => {
    const seen = Deferred.makeUnsafe<string>()
    const known = Deferred.makeUnsafe<Connections["Service"]>()
    return Effect.gen(function*() {
      const window = yield* client
      const connections = yield* Connections
      yield* Deferred.succeed(known, connections)
      yield* window.connect({ id: id("box") })
      yield* connections.settled(id("box"))
      const answer = yield* window.serverStop({ id: id("box") })
      assert.strictEqual(answer.server?.pid, 7)
      assert.strictEqual(yield* Deferred.await(seen), "Disconnected")
      assert.strictEqual((yield* connections.state(id("box")))._tag, "Disconnected")
      assert.strictEqual(yield* (yield* MemoryTunnels).open, 0)
    }).pipe(Effect.provide(layer({
      bootstrap: {
        status: () => Effect.succeedSome(server),
        stop: () =>
          Effect.gen(function*() {
            const { _tag } = yield* (yield* Deferred.await(known)).state(id("box"))
            yield* Deferred.succeed(seen, _tag)
            return server
          })
      }
    })))
  })

  it.effect("a server that is not ours is not stopped, and its connection stays", () =>
    Effect.gen(function*() {
      const window = yield* client
      const connections = yield* Connections
      yield* window.connect({ id: id("box") })
      yield* connections.settled(id("box"))
      const error = yield* Effect.flip(window.serverStop({ id: id("box") }))
      assert.instanceOf(error, BootstrapError)
      assert.strictEqual((yield* connections.state(id("box")))._tag, "Connected")
    }).pipe(Effect.provide(layer({
      bootstrap: {
        status: () => Effect.succeedNone,
        stop: () => Effect.fail(new BootstrapError({ reason: new NotOurs({ detail: "none is registered" }) }))
      }
    }))))

  it.effect("its log is lines of harmless text, and ends with the connection", () =>
    Effect.gen(function*() {
      const window = yield* client
      yield* window.connect({ id: id("box") })
      yield* (yield* Connections).settled(id("box"))
      const lines = yield* Ref.make<ReadonlyArray<string>>([])
      const two = yield* Deferred.make<void>()
      const following = yield* window.serverLog({ id: id("box"), follow: true }).pipe(
        Stream.runForEach((line) =>
          Effect.flatMap(Ref.updateAndGet(lines, (all) => [...all, line]), (all) =>
            all.length === 2 ? Deferred.succeed(two, undefined) : Effect.void)
        ),
        Effect.exit,
        Effect.forkScoped
      )
      yield* Deferred.await(two)
      assert.deepStrictEqual(yield* Ref.get(lines), ["red <U+0007>", "password=<redacted>"])
      yield* (yield* MemoryTunnels).cut
      assert.isTrue(Exit.isFailure(yield* Fiber.join(following)))
    }).pipe(Effect.provide(layer({
      passwords: [[id("box"), credentials]],
      bootstrap: {
        log: () =>
          Stream.concat(Stream.make("\u001b[31mred\u001b[0m \u0007\npass", `word=${secret}\n`), Stream.never)
      }
    }))))
})
