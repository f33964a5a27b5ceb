/** A bridge without a main process: the whole contract in memory, and a script that decides what happens. */
import {
  type About,
  BridgeApi,
  type BridgeClient,
  type RemoteServerInfo,
  type StatesUpdate
} from "@opencode-ai/desktop-bridge/BridgeApi"
import { BridgeError } from "@opencode-ai/desktop-bridge/BridgeError"
import type { LinkState } from "@opencode-ai/desktop-bridge/Link"
import { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { DoctorStep } from "@opencode-ai/ssh-tunnel/DoctorStep"
import { Profile, ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import { Deferred, Effect, PubSub, Queue, Schema, Stream, SubscriptionRef } from "effect"
import { RpcClientError } from "effect/rpc/RpcClientError"
import * as RpcTest from "effect/rpc/RpcTest"
import { SocketCloseError } from "effect/socket/Socket"

const decodeProfiles = Schema.decodeUnknownSync(Schema.Array(Profile))
const decodeState = Schema.decodeUnknownSync(ConnectionState)
const decodeError = Schema.decodeUnknownSync(BridgeError)
const decodeStep = Schema.decodeUnknownSync(DoctorStep)

/** Everything here is JSON, so that a test can send it into the page. */
export interface World {
  readonly profiles: (
    profiles: ReadonlyArray<unknown>,
    problems?: ReadonlyArray<{ id?: string; name?: string; message: string }>
  ) => void
  readonly state: (id: string, state: unknown) => void
  readonly states: (states: ReadonlyArray<readonly [string, unknown]>) => void
  readonly hosts: (names: ReadonlyArray<string>) => void
  readonly effective: (answer: unknown) => void
  /** The next call of this name fails with this error. */
  readonly fail: (call: string, error: unknown) => void
  readonly report: (text: string) => void
  readonly server: (server: unknown) => void
  readonly log: (lines: ReadonlyArray<string>) => void
  /** One more step of the examination that runs. */
  readonly step: (step: unknown) => void
  readonly endExamination: () => void
  readonly url: (url: string | undefined) => void
  /** Whether the main process answers. */
  readonly link: (up: boolean) => void
  /** The calls so far: name and payload. */
  readonly calls: () => ReadonlyArray<readonly [string, unknown]>
  readonly copied: () => ReadonlyArray<string>
  readonly opened: () => ReadonlyArray<string>
  readonly told: () => ReadonlyArray<unknown>
}

const about: About = {
  application: "OpenCode Desktop 1.18.33",
  supportedVersions: ">=1.0.0 <2.0.0",
  notifications: false
}

const gone = new RpcClientError({ reason: new SocketCloseError({ code: 1006, closeReason: "gone" }) })

export interface Made {
  readonly bridge: BridgeClient
  readonly link: Stream.Stream<LinkState>
  readonly world: Omit<World, "copied" | "opened" | "told">
}

export const make = Effect.gen(function*() {
  const list = yield* SubscriptionRef.make<
    { profiles: ReadonlyArray<Profile>; problems: ReadonlyArray<{ message: string }> }
  >({
    profiles: [],
    problems: []
  })
  const states = new Map<ProfileId, ConnectionState>()
  const changes = yield* PubSub.unbounded<StatesUpdate>()
  const linkState = yield* SubscriptionRef.make<LinkState>({ _tag: "Online", since: new Date().toISOString() })
  let down = yield* Deferred.make<never, RpcClientError>()
  const lines = yield* PubSub.unbounded<string>({ replay: 200 })
  let examination = yield* Queue.unbounded<DoctorStep | undefined>()
  let hosts: ReadonlyArray<string> = []
  let effective: unknown
  let report = "# Report"
  let server: RemoteServerInfo | undefined
  let url: string | undefined = "about:blank#opened"
  const failures = new Map<string, BridgeError>()
  const calls: Array<readonly [string, unknown]> = []

  const call = <A>(
    name: string,
    payload: unknown,
    effect: Effect.Effect<A, BridgeError>
  ): Effect.Effect<A, BridgeError> =>
    Effect.suspend(() => {
      calls.push([name, payload === undefined ? undefined : JSON.parse(JSON.stringify(payload))])
      const failure = failures.get(name)
      failures.delete(name)
      return failure === undefined ? effect : Effect.fail(failure)
    })
  const publish = (id: ProfileId, state: ConnectionState) => {
    states.set(id, state)
    return Effect.asVoid(PubSub.publish(changes, { _tag: "Changed", id, state }))
  }
  const save = (change: (profiles: ReadonlyArray<Profile>) => ReadonlyArray<Profile>) =>
    SubscriptionRef.update(list, (now) => ({ ...now, profiles: change(now.profiles) }))
  const examine = Stream.suspend(() => Stream.fromQueue(examination)).pipe(
    Stream.takeWhile((step) => step !== undefined),
    Stream.map((step) => step as DoctorStep)
  )
  let made = 0

  const handlers = BridgeApi.toLayer({
    watchProfiles: () => SubscriptionRef.changes(list),
    watchStates: () =>
      Stream.concat(
        Stream.suspend(() =>
          Stream.succeed<StatesUpdate>({ _tag: "All", states: [...states].map(([id, state]) => ({ id, state })) })
        ),
        Stream.fromPubSub(changes)
      ),
    addProfile: ({ draft }) =>
      call(
        "addProfile",
        draft,
        Effect.suspend(() => {
          const profile = new Profile({ ...draft, id: ProfileId.make(`added-${++made}`) })
          return Effect.as(save((all) => [...all, profile]), profile)
        })
      ),
    editProfile: ({ profile }) =>
      call(
        "editProfile",
        profile,
        Effect.as(save((all) => all.map((one) => one.id === profile.id ? profile : one)), profile)
      ),
    removeProfile: ({ id }) => call("removeProfile", { id }, save((all) => all.filter((one) => one.id !== id))),
    duplicateProfile: ({ id }) =>
      call(
        "duplicateProfile",
        { id },
        Effect.gen(function*() {
          const { profiles } = yield* SubscriptionRef.get(list)
          const one = profiles.find((profile) => profile.id === id)!
          const copy = new Profile({ ...one, id: ProfileId.make(`copy-${++made}`), name: `${one.name} copy` })
          yield* save((all) => [...all, copy])
          return copy
        })
      ),
    hosts: () =>
      call(
        "hosts",
        undefined,
        Effect.sync(() => hosts.map((name, line) => ({ name, file: "~/.ssh/config", line: line * 4 + 1 })))
      ),
    importHosts: () => Effect.succeed({ added: [], skipped: [] }),
    exportProfiles: () => Effect.succeed("{}"),
    effective: (target) =>
      call(
        "effective",
        target,
        Effect.sync(() =>
          (effective ?? {
            hostname: `${target.host}.example.com`,
            user: target.user ?? "dev",
            port: target.port ?? 22,
            identityFiles: target.identityFile === undefined ? ["~/.ssh/id_ed25519"] : [target.identityFile],
            identitiesOnly: target.identityFile !== undefined,
            ...(target.proxyJump === undefined ? {} : { proxyJump: target.proxyJump }),
            parameters: [{ keyword: "hostname", value: `${target.host}.example.com` }, {
              keyword: "serveraliveinterval",
              value: "5"
            }]
          }) as never
        )
      ),
    connect: ({ id }) =>
      call("connect", { id }, publish(id, { _tag: "Connecting", step: "starting", since: new Date().toISOString() })),
    disconnect: ({ id }) => call("disconnect", { id }, publish(id, { _tag: "Disconnected" })),
    retryNow: ({ id }) =>
      call("retryNow", { id }, publish(id, { _tag: "Connecting", step: "starting", since: new Date().toISOString() })),
    endpoint: () => Effect.succeed({}),
    open: ({ id }) => call("open", { id }, Effect.sync(() => url === undefined ? {} : { url })),
    sshCommand: ({ id }) => call("sshCommand", { id }, Effect.succeed(`ssh -N -L 4096:127.0.0.1:4096 ${id}`)),
    diagnostics: ({ format, id, pseudonyms }) =>
      call(
        "diagnostics",
        { id, format, pseudonyms },
        Effect.sync(() => pseudonyms ? report.replaceAll("devbox", "host-1") : report)
      ),
    examine: () => examine,
    examineDraft: ({ draft }) => Stream.unwrap(Effect.as(call("examineDraft", draft, Effect.void), examine)),
    serverStatus: ({ id }) => call("serverStatus", { id }, Effect.sync(() => server === undefined ? {} : { server })),
    serverStop: ({ id }) =>
      call(
        "serverStop",
        { id },
        Effect.sync(() => {
          const stopped = server
          server = undefined
          return stopped === undefined ? {} : { server: stopped }
        })
      ),
    serverLog: ({ follow, id }) =>
      Stream.unwrap(Effect.as(call("serverLog", { id, follow }, Effect.void), Stream.fromPubSub(lines))),
    about: () => Effect.succeed(about)
  })

  const client = yield* RpcTest.makeClient(BridgeApi).pipe(Effect.provide(handlers))
  /** Calls and streams of a main process that is gone fail at once. */
  const bridge = new Proxy(client, {
    get: (methods, name) => {
      const method = Reflect.get(methods, name) as (...args: ReadonlyArray<unknown>) => unknown
      if (typeof method !== "function") return method
      return (...args: ReadonlyArray<unknown>) => {
        const result = method(...args)
        return Stream.isStream(result)
          ? Stream.interruptWhen(result, Effect.suspend(() => Deferred.await(down)))
          : Effect.raceFirst(Effect.suspend(() => Deferred.await(down)), result as Effect.Effect<unknown>)
      }
    }
  }) as unknown as BridgeClient

  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  const run = <A>(effect: Effect.Effect<A>) => void runFork(effect)
  const result: Made = {
    bridge,
    link: SubscriptionRef.changes(linkState),
    world: {
      profiles: (profiles, problems = []) =>
        run(SubscriptionRef.set(list, { profiles: decodeProfiles(profiles), problems })),
      state: (id, state) => run(publish(ProfileId.make(id), decodeState(state))),
      states: (all) => {
        states.clear()
        for (const [id, state] of all) states.set(ProfileId.make(id), decodeState(state))
        run(PubSub.publish(changes, { _tag: "All", states: [...states].map(([id, state]) => ({ id, state })) }))
      },
      hosts: (names) => {
        hosts = names
      },
      effective: (answer) => {
        effective = answer
      },
      fail: (name, error) => {
        failures.set(name, decodeError(error))
      },
      report: (text) => {
        report = text
      },
      server: (info) => {
        server = info as RemoteServerInfo | undefined
      },
      log: (all) => run(PubSub.publishAll(lines, all)),
      step: (step) => run(Queue.offer(examination, decodeStep(step))),
      endExamination: () =>
        run(Effect.gen(function*() {
          yield* Queue.offer(examination, undefined)
          examination = yield* Queue.unbounded<DoctorStep | undefined>()
        })),
      url: (next) => {
        url = next
      },
      link: (up) =>
        run(Effect.gen(function*() {
          const state: LinkState = { _tag: up ? "Online" : "Offline", since: new Date().toISOString() }
          yield* SubscriptionRef.set(linkState, state)
          if (up) down = yield* Deferred.make<never, RpcClientError>()
          else yield* Deferred.fail(down, gone)
        })),
      calls: () => calls
    }
  }
  return result
})
