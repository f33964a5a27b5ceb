/** From a profile to a working URL, and back: the part of the demo that an app would do. */
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Bootstrap } from "@opencode-ai/ssh-tunnel/Bootstrap"
import { Connections, type ServerEndpoint } from "@opencode-ai/ssh-tunnel/Connections"
import type { Connected } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { DataDirectory } from "@opencode-ai/ssh-tunnel/DataDirectory"
import { Door } from "@opencode-ai/ssh-tunnel/Door"
import { LocalPorts } from "@opencode-ai/ssh-tunnel/LocalPorts"
import { layerConnections, layerOpenSsh, layerPlatform } from "@opencode-ai/ssh-tunnel/node"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { shellLine } from "@opencode-ai/ssh-tunnel/Remedy"
import { RuntimeDirectory } from "@opencode-ai/ssh-tunnel/RuntimeDirectory"
import { Tunnel } from "@opencode-ai/ssh-tunnel/Tunnel"
import { Effect, Fiber, HashMap, Layer, Option, Queue, Ref, Schema, Stream } from "effect"
import { createInterface } from "node:readline"
import * as ExitCode from "../../packages/cli/src/ExitCode.ts"
import * as Sanitize from "../../packages/cli/src/Sanitize.ts"
import * as Browser from "./browser.ts"
import * as Pages from "./pages.ts"
import type { Remote } from "./remote.ts"
import type { Screen } from "./screen.ts"
import * as Timeline from "./timeline.ts"
import { listenersOn, type Traces } from "./traces.ts"

/** A signal asked for the end. */
export class Quit extends Schema.TaggedError<Quit>()("Quit", { signal: Schema.String }) {}

export interface Visit {
  readonly remote: Remote
  readonly screen: Screen
  readonly once: boolean
  readonly quit: Effect.Effect<never, Quit>
  readonly traces: Ref.Ref<Traces>
}

/** The live services, with the profiles in a directory of the demo. `layerOpenSsh` is shared with the connections. */
const engine = ({ credentials }: Remote, directory: string) =>
  Layer.merge(layerConnections, layerOpenSsh).pipe(
    Layer.provideMerge(credentials),
    Layer.provideMerge(Layer.merge(ProfileRepo.layerNoDeps, LocalPorts.layerNoDeps)),
    Layer.provide(DataDirectory.layerAt(directory)),
    Layer.provideMerge(layerPlatform)
  )

/** What the person types, line by line; nothing when there is nobody. */
const typed = Effect.gen(function*() {
  const lines = yield* Queue.unbounded<string>()
  yield* Effect.acquireRelease(
    Effect.sync(() => createInterface({ input: process.stdin }).on("line", (line) => Queue.offerUnsafe(lines, line))),
    (input) => Effect.sync(() => input.close())
  )
  return lines
})

const fact = ({ line, paint }: Screen, name: string, value: string, milliseconds?: number): void =>
  line(
    `  ${paint("dim", name.padEnd(8))} ${value}${
      milliseconds === undefined ? "" : paint("dim", `  ${Math.round(milliseconds)} ms`)
    }`
  )

/** Shows what is behind the URL; whether all of it answered as OpenCode does. */
const show = Effect.fnUntraced(function*(screen: Screen, state: Connected, endpoint: ServerEndpoint) {
  const { app, health } = yield* Pages.visit(state, endpoint)
  screen.line()
  fact(screen, "URL", screen.paint("bold", state.url))
  fact(
    screen,
    "server",
    Sanitize.line(`OpenCode ${state.serverVersion}, ${state.secured ? "with a password" : "OPEN"}`)
  )
  fact(screen, "health", `${health.status} ${health.summary}`, health.milliseconds)
  fact(screen, "web app", `${app.status} ${app.summary}`, app.milliseconds)
  if (!state.secured) {
    screen.line(
      `${screen.paint("yellow", "warning:")} it has no password: every local user there and web pages here can use it`
    )
  }
  return health.status === 200 && app.status === 200
})

/** Makes an address that signs a browser in once, and opens it or prints it. */
const openDoor = Effect.fnUntraced(function*(screen: Screen, endpoint: ServerEndpoint, how: "open" | "print") {
  const door = yield* Door
  const { closed, url } = yield* door.open(endpoint)
  if (how === "open" && (yield* Browser.open(url))) {
    screen.line("Opened in your browser.")
  } else {
    if (how === "open") screen.line("No browser could be started here (set BROWSER).")
    screen.line(`${Option.isSome(endpoint.credentials) ? "Good for one visit" : "It needs no password"}: ${url}`)
  }
  if (Option.isNone(endpoint.credentials)) return
  yield* closed.pipe(
    Effect.tap((end) =>
      Effect.sync(() => screen.line(end === "used" ? "A browser has signed in." : "The link has expired."))
    ),
    Effect.forkScoped
  )
})

export const visit = Effect.fnUntraced(function*(options: Visit) {
  const directory = yield* TempDirectory.make()
  return yield* Effect.provide(Effect.scoped(visitIn(directory, options)), engine(options.remote, directory))
})

const visitIn = Effect.fnUntraced(function*(directory: string, { once, quit, remote, screen, traces }: Visit) {
  const connections = yield* Connections
  const runtimeDirectory = yield* (yield* RuntimeDirectory).path
  yield* Ref.update(traces, (all) => ({ ...all, directories: [runtimeDirectory] }))
  const { profile } = remote
  yield* (yield* ProfileRepo).save(profile)

  const begun = performance.now()
  const timeline = Timeline.make(screen, remote.label)
  const watching = yield* connections.states.pipe(
    Stream.map(HashMap.get(profile.id)),
    Stream.filter(Option.isSome),
    Stream.map(({ value }) => value),
    Stream.changes,
    Stream.takeUntil(({ _tag }) => _tag === "Failed" || _tag === "Disconnected"),
    Stream.tap((state) => Effect.sync(() => timeline(state, performance.now() - begun))),
    Stream.runDrain,
    Effect.forkScoped({ startImmediately: true })
  )
  const isOver = Fiber.await(watching)
  const disconnect = Effect.andThen(connections.disconnect(profile.id), isOver)

  yield* connections.connect(profile.id)
  const state = yield* Effect.raceFirst(connections.settled(profile.id), quit).pipe(
    Effect.tapError((error) => error._tag === "Quit" ? disconnect : isOver)
  )
  const endpoint = Option.getOrThrow(yield* connections.endpoint(profile.id))
  const listeners = yield* listenersOn([state.localPort, ...remote.ports])
  yield* Ref.update(traces, (all) => ({ ...all, listeners }))

  const answered = yield* Effect.raceFirst(show(screen, state, endpoint), quit)
  screen.line()
  if (once) {
    screen.line("Without --once the connection stays, and o + Enter opens it in your browser, signed in.")
  } else {
    yield* hold({ directory, remote, screen, quit, over: isOver })
    const end = yield* connections.state(profile.id)
    if (end._tag === "Failed") return yield* end.error
  }
  screen.line()
  yield* disconnect
  if (remote.isOurs && state.bootstrapped !== false) yield* stopServer(remote, screen)
  return answered || !remote.isOurs ? ExitCode.ok : ExitCode.unexpected
})

/** Waits for a signal, for `q`, or for the end of the connection; opens doors meanwhile. */
const hold = Effect.fnUntraced(function*({ directory, over, quit, remote, screen }: {
  readonly directory: string
  readonly over: Effect.Effect<unknown>
  readonly quit: Effect.Effect<never, Quit>
  readonly remote: Remote
  readonly screen: Screen
}) {
  const connections = yield* Connections
  const { line, paint } = screen
  line(`${paint("bold", "o")} + Enter opens it in your browser, signed in (${paint("bold", "p")} prints the link).`)
  if (remote.isOurs) {
    const program = shellLine(["env", `OPENCODE_SSH_DATA_DIR=${directory}`, "bin/opencode-ssh", "connect", "demo"])
    line(`Or from another terminal: ${program} --open`)
  }
  line(`${paint("bold", "Ctrl-C")} disconnects and cleans up.`)
  const lines = yield* typed
  const answer = Effect.fnUntraced(function*(text: string) {
    const endpoint = yield* connections.endpoint(remote.profile.id)
    if (Option.isNone(endpoint)) return line("It is not connected now.")
    yield* openDoor(screen, endpoint.value, text === "o" ? "open" : "print")
  })
  const typing = Effect.gen(function*() {
    while (true) {
      const text = (yield* Queue.take(lines)).trim().toLowerCase()
      if (text === "q") return
      if (text === "o" || text === "p") {
        yield* answer(text).pipe(Effect.catch(({ detail }) => Effect.sync(() => line(`No page: ${detail}`))))
      }
    }
  })
  yield* Effect.raceAllFirst([typing, over, Effect.ignore(quit)])
})

/** A persistent server outlives its connections; this is what `opencode-ssh server stop` does. */
const stopServer = Effect.fnUntraced(function*({ profile }: Remote, { begin, complete, paint }: Screen) {
  const tunnels = yield* Tunnel
  const bootstrap = yield* Bootstrap
  const begun = performance.now()
  begin(`The server goes on there without us, so that agents can finish. Stopping it: `)
  const { pid } = yield* Effect.flatMap(tunnels.open(profile.destination), bootstrap.stop)
  complete(`process ${pid} ended ${paint("dim", `(${Math.round(performance.now() - begun)} ms)`)}`)
}, Effect.scoped)
