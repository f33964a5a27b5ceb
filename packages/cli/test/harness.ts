/** Runs the command line in this process against a fake engine. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Bootstrap } from "@opencode-ai/ssh-tunnel/Bootstrap"
import type { ConnectionError } from "@opencode-ai/ssh-tunnel/ConnectionError"
import { Connections, type ServerEndpoint, type States } from "@opencode-ai/ssh-tunnel/Connections"
import { type Connected, ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import type { Credentials } from "@opencode-ai/ssh-tunnel/Credentials"
import { Diagnostics } from "@opencode-ai/ssh-tunnel/Diagnostics"
import { Doctor } from "@opencode-ai/ssh-tunnel/Doctor"
import { Door } from "@opencode-ai/ssh-tunnel/Door"
import { noBootstrap, Profile, type ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import type { ProfileProblem } from "@opencode-ai/ssh-tunnel/ProfileFile"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { SshConfig } from "@opencode-ai/ssh-tunnel/SshConfig"
import { Tunnel } from "@opencode-ai/ssh-tunnel/Tunnel"
import {
  ConfigProvider,
  Console,
  Effect,
  HashMap,
  Layer,
  Option,
  Queue,
  Ref,
  Schema,
  Sink,
  Stdio,
  Stream,
  SubscriptionRef,
  Terminal
} from "effect"
import { TestConsole } from "effect/testing"
import { run } from "../src/Cli.ts"
import { Engine } from "../src/Engine.ts"
import * as JsonLines from "../src/JsonLines.ts"
import { Output } from "../src/Output.ts"
import { type Signal, Signals } from "../src/Signals.ts"

/** A saved profile, by its name as its id. */
export const profile = (
  values: Partial<(typeof Profile)["Encoded"]> & { readonly name: string }
): Profile => Schema.decodeSync(Profile)({ id: values.name, host: "box", bootstrap: noBootstrap, ...values })

/** How one of the engine's connections behaves: what happens after `connect`, and what the server's credentials are. */
export interface Script {
  /** Shown one after the other; the fake waits for nothing between them. */
  readonly states: ReadonlyArray<ConnectionState>
  readonly credentials?: Credentials
}

/** What the commands asked of the engine. */
export interface Asked {
  readonly profile: Profile
  readonly credentials: Option.Option<Credentials>
}

export const connecting = (step: "starting" | "connecting" | "authenticating", hop?: string) =>
  ConnectionState.cases.Connecting.make({ step, since, ...(hop === undefined ? undefined : { hop }) })

export const since = "2026-01-31T09:26:53.589Z"

export const discovering = ConnectionState.cases.Discovering.make({ since })

export const connected = (values: Partial<Connected> = {}) =>
  ConnectionState.cases.Connected.make({
    url: "http://127.0.0.1:41234",
    localPort: 41234,
    remotePort: 4096,
    serverVersion: "1.18.33",
    generation: "v1",
    secured: true,
    bootstrapped: false,
    strategy: "master",
    since,
    ...values
  })

export const failed = (error: ConnectionError) => ConnectionState.cases.Failed.make({ error })

const disconnected = ConnectionState.cases.Disconnected.make({})

/** An engine that acts out a script, and tells what it was asked for. */
export const fakeConnections = (script: Script, asked: Ref.Ref<ReadonlyArray<Asked>>) =>
(
  profile: Profile,
  credentials: Option.Option<Credentials>
): Layer.Layer<Connections> =>
  Layer.effect(
    Connections,
    Effect.gen(function*() {
      yield* Ref.update(asked, (before) => [...before, { profile, credentials }])
      const states = yield* SubscriptionRef.make<States>(HashMap.empty())
      const set = (id: ProfileId, state: ConnectionState) => SubscriptionRef.update(states, HashMap.set(id, state))
      const state = (id: ProfileId) =>
        Effect.map(
          SubscriptionRef.get(states),
          (map) => Option.getOrElse(HashMap.get(map, id), () => disconnected)
        )
      return Connections.of({
        connect: (id) =>
          id === profile.id
            ? Effect.forEach(script.states, (next) => Effect.andThen(set(id, next), Effect.yieldNow), { discard: true })
            : Effect.die(`asked to connect ${id}`),
        disconnect: (id) =>
          Effect.flatMap(state(id), (now) =>
            now._tag === "Disconnected"
              ? Effect.void
              : Effect.andThen(set(id, ConnectionState.cases.Disconnecting.make({})), set(id, disconnected))),
        retryNow: () => Effect.void,
        states: SubscriptionRef.changes(states),
        state,
        settled: (id) =>
          SubscriptionRef.changes(states).pipe(
            Stream.map((map) => Option.getOrElse(HashMap.get(map, id), () => disconnected)),
            Stream.filter((now) => ["Connected", "Failed"].includes(now._tag)),
            Stream.runHead,
            Effect.map(Option.getOrThrow),
            Effect.flatMap((now) =>
              now._tag === "Connected"
                ? Effect.succeed(now)
                : now._tag === "Failed"
                ? Effect.fail(now.error)
                : Effect.never
            )
          ),
        endpoint: (id) =>
          Effect.map(state(id), (now) =>
            now._tag === "Connected"
              ? Option.some<ServerEndpoint>({
                url: now.url,
                credentials: Option.fromUndefinedOr(script.credentials)
              })
              : Option.none()),
        tunnel: () => Effect.succeedNone,
        networkChanged: Effect.void
      })
    })
  )

/** A way to signal the program, and to see which signals it took. */
export const signals = Effect.gen(function*() {
  const queue = yield* Queue.unbounded<Signal>()
  return {
    send: (signal: Signal) => Queue.offer(queue, signal),
    layer: Layer.succeed(Signals, Signals.of({ next: Queue.take(queue), abandon: () => Effect.never }))
  }
})

export interface World {
  readonly profiles?: ReadonlyArray<Profile>
  /** Entries of the profile file that are no valid profiles. */
  readonly problems?: ReadonlyArray<ProfileProblem>
  readonly hosts?: ReadonlyArray<string>
  readonly script?: Script
  readonly door?: Layer.Layer<Door>
  readonly tunnel?: Layer.Layer<Tunnel>
  readonly bootstrap?: Layer.Layer<Bootstrap>
  readonly doctor?: Layer.Layer<Doctor>
  readonly diagnostics?: Layer.Layer<Diagnostics>
  readonly env?: Readonly<Record<string, string>>
  /** Whether stdout and stderr are terminals. */
  readonly terminal?: boolean
  readonly signals?: Layer.Layer<Signals>
}

/** One world for several runs: profiles that one saves are there for the next. */
export const makeWorld = Effect.fnUntraced(function*(world: World = {}) {
  const asked = yield* Ref.make<ReadonlyArray<Asked>>([])
  const stderr = yield* Ref.make("")
  const console = yield* TestConsole.make
  const memory = yield* Effect.provide(ProfileRepo, ProfileRepo.layerMemory(world.profiles ?? []))
  const removed = yield* Ref.make<ReadonlyArray<string>>([])
  const repo = ProfileRepo.of({
    ...memory,
    problems: Effect.map(
      Ref.get(removed),
      (ids) => (world.problems ?? []).filter(({ id }) => id === undefined || !ids.includes(id))
    ),
    remove: (id) =>
      (world.problems ?? []).some((problem) => problem.id === id)
        ? Ref.update(removed, (ids) => [...ids, id])
        : memory.remove(id)
  })
  const hosts = (world.hosts ?? []).map((name, index) => ({ name, file: "/home/me/.ssh/config", line: index + 1 }))
  const door = world.door ?? Door.layerMock()
  const engine = Layer.succeed(
    Engine,
    Engine.of({
      profiles: Layer.succeed(ProfileRepo, repo),
      sshConfig: SshConfig.layerMock({ hosts: () => Effect.succeed(hosts) }),
      remote: Layer.merge(world.tunnel ?? Tunnel.layerMock({}), world.bootstrap ?? Bootstrap.layerMock({})),
      doctor: world.doctor ?? Doctor.layerMock({}),
      connections: (profile, credentials) =>
        Layer.mergeAll(
          fakeConnections(world.script ?? { states: [] }, asked)(profile, credentials),
          door,
          world.diagnostics ?? Diagnostics.layerMock({})
        )
    })
  )
  const isTerminal = Effect.succeed(world.terminal ?? false)
  const terminal = Terminal.make({
    columns: Effect.succeed(world.terminal === true ? 100 : 0),
    rows: Effect.succeed(24),
    size: Effect.die("not used"),
    readInput: Effect.die("not used"),
    readLine: Effect.die("not used"),
    display: () => Effect.void
  })

  /** Runs one command line; the lines are those of this run. */
  const cli = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
    const outBefore = (yield* console.logLines).length
    const errBefore = (yield* console.errorLines).length
    const stdio = Stdio.layerTest({
      args: Effect.succeed(args),
      stdoutIsTerminal: isTerminal,
      stderrIsTerminal: isTerminal,
      stderr: () =>
        Sink.forEach((chunk: string | Uint8Array) =>
          Ref.update(stderr, (text) => text + (typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk)))
        )
    })
    const services = Layer.mergeAll(
      NodeServices.layer,
      stdio,
      Layer.succeed(Terminal.Terminal, terminal),
      Layer.succeed(Console.Console, console),
      ConfigProvider.layer(ConfigProvider.fromEnv({ env: { ...world.env } }))
    )
    const code = yield* run.pipe(
      Effect.provide(
        Layer.mergeAll(
          engine,
          world.signals ?? Signals.layerQuiet,
          Output.layer
        ).pipe(Layer.provideMerge(services))
      )
    )
    return {
      code,
      stdout: (yield* console.logLines).slice(outBefore).map(String),
      stderr: (yield* console.errorLines).slice(errBefore).map(String)
    }
  })
  const printed = (lines: Effect.Effect<ReadonlyArray<unknown>>, found: (lines: ReadonlyArray<string>) => boolean) =>
    lines.pipe(
      Effect.map((lines) => lines.map(String)),
      Effect.tap(pause),
      Effect.repeat({ until: found }),
      Effect.asVoid
    )
  return {
    cli,
    asked: Ref.get(asked),
    repo,
    rawStderr: Ref.get(stderr),
    /** Waits until stdout, of all runs together, is as it should be. */
    stdoutIs: (found: (lines: ReadonlyArray<string>) => boolean) => printed(console.logLines, found),
    /** The same for stderr. */
    stderrIs: (found: (lines: ReadonlyArray<string>) => boolean) => printed(console.errorLines, found)
  }
})

/** Lets other fibers and the event loop work, also where the clock stands still. */
export const pause = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

const decodeLine = Schema.decodeUnknownSync(JsonLines.Line)

/** Lines of `--json` by their schema; anything else on stdout fails the test. */
export const jsonLines = (stdout: ReadonlyArray<string>): ReadonlyArray<JsonLines.Line> =>
  stdout.map((line) => decodeLine(JSON.parse(line)))
