/** `opencode-ssh connect`: makes a connection and holds it. */
import { Connections, type ServerEndpoint } from "@opencode-ai/ssh-tunnel/Connections"
import type { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { Door } from "@opencode-ai/ssh-tunnel/Door"
import { Deferred, Effect, Fiber, HashMap, Option, Redacted, Stdio, Stream } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Browser from "../Browser.ts"
import * as ChildCommand from "../ChildCommand.ts"
import { Ended, UsageError } from "../CliFailure.ts"
import * as ConnectView from "../ConnectView.ts"
import * as CredentialsFile from "../CredentialsFile.ts"
import { Engine } from "../Engine.ts"
import { environmentCredentials } from "../EnvironmentCredentials.ts"
import * as ExitCode from "../ExitCode.ts"
import * as Failure from "../Failure.ts"
import { Output } from "../Output.ts"
import { Operands } from "../Presenter.ts"
import { platform } from "../Process.ts"
import * as ProfileFlags from "../ProfileFlags.ts"
import * as Sanitize from "../Sanitize.ts"
import { lastStates } from "../Schedules.ts"
import { insist, type Signal, Signals } from "../Signals.ts"
import * as Target from "../Target.ts"
import { destination, json } from "./shared.ts"

type Words = readonly [string, ...Array<string>]

/** What to do with a connection. */
interface Request {
  readonly target: Target.Target
  readonly json: boolean
  readonly once: boolean
  readonly open: boolean
  readonly credentialsFile: Option.Option<string>
  readonly command: Option.Option<Words>
}

const help = ["connect"]

/**
 * The words behind `--`. effect/cli takes them for arguments like any other:
 * without `--` they would be a typing error, and with nothing but them there
 * would be no destination.
 */
const commandOf = Effect.fnUntraced(function*(words: ReadonlyArray<string>) {
  const args = yield* (yield* Stdio.Stdio).args
  const dashes = args.indexOf("--")
  const behind = dashes === -1 ? [] : args.slice(dashes + 1)
  if (behind.length > words.length) {
    return yield* new UsageError({ message: "a profile or destination must stand before --", help })
  }
  if (behind.length < words.length) {
    return yield* new UsageError({ message: `unexpected argument ${words[0]}; a command stands behind --`, help })
  }
  const [program, ...rest] = words
  if (dashes !== -1 && program === undefined) {
    return yield* new UsageError({ message: "the command behind -- is missing", help })
  }
  return program === undefined ? Option.none<Words>() : Option.some<Words>([program, ...rest])
})

const isOver = (state: ConnectionState) => state._tag === "Failed" || state._tag === "Disconnected"

const openInBrowser = Effect.fnUntraced(function*(endpoint: ServerEndpoint) {
  const door = yield* Door
  const output = yield* Output
  const warn = (problem: string) =>
    output.note(`${output.paint("yellow", "warning:")} ${problem}; the server is at ${Sanitize.line(endpoint.url)}`)
  yield* door.open(endpoint).pipe(
    Effect.flatMap(({ url }) => Browser.open(Redacted.make(url), platform)),
    Effect.flatMap((opened) => opened ? Effect.void : warn("no browser could be opened (set BROWSER)")),
    Effect.catch((error) => warn(`the sign-in page could not be served (${Sanitize.line(error.detail)})`))
  )
})

/** Connects, and holds the connection as long as the request says; returns the exit code. */
const hold = Effect.fn("connect.hold")(function*(request: Request) {
  const connections = yield* Connections
  const signals = yield* Signals
  const output = yield* Output
  const { label, profile } = request.target
  const { id } = profile
  const view = request.json ? ConnectView.json(label) : yield* ConnectView.human({
    label,
    urlToStderr: Option.isSome(request.command),
    hints: Option.isNone(request.command) && !request.once && !request.open
  })
  const file = yield* Effect.transposeOption(Option.map(request.credentialsFile, CredentialsFile.make))
  const first = yield* Deferred.make<ServerEndpoint>()

  /** The file is there before anybody is told that the connection is. */
  const updateFile = Effect.fnUntraced(function*(endpoint: ServerEndpoint) {
    if (Option.isNone(file)) return
    const write = file.value.write(endpoint)
    if (!(yield* Deferred.isDone(first))) return yield* write
    // The connection, and a command that uses it, do not end because of it.
    yield* write.pipe(Effect.catch((error) => output.note(Sanitize.line(error.message))))
  })

  const onState = Effect.fnUntraced(function*(state: ConnectionState) {
    const endpoint = state._tag === "Connected" ? yield* connections.endpoint(id) : Option.none()
    if (Option.isSome(endpoint)) yield* updateFile(endpoint.value)
    yield* view.state(state)
    if (Option.isSome(endpoint)) yield* Deferred.succeed(first, endpoint.value)
  })

  const watching = yield* connections.states.pipe(
    Stream.map(HashMap.get(id)),
    Stream.filter(Option.isSome),
    Stream.map((state) => state.value),
    Stream.changes,
    // The picture before the connection began.
    Stream.dropWhile((state) => state._tag === "Disconnected"),
    Stream.takeUntil(isOver),
    Stream.tap(onState),
    Stream.runLast,
    Effect.forkScoped({ startImmediately: true })
  )
  yield* connections.connect(id, { origin: "user" })

  const disconnect = Effect.gen(function*() {
    yield* Effect.forkScoped(insist(signals))
    yield* connections.disconnect(id)
    yield* Effect.timeoutOption(Fiber.await(watching), lastStates)
  })

  const over = Effect.map(Fiber.join(watching), (state) => ({ _tag: "Over", state }) as const)
  const signalled = Effect.map(signals.next, (signal) => ({ _tag: "Signal", signal }) as const)

  const conclude = (state: Option.Option<ConnectionState>) =>
    Option.isSome(state) && state.value._tag === "Failed"
      // The state line has told a program already.
      ? request.json
        ? Effect.fail(new Ended({ exitCode: ExitCode.ofError(state.value.error) }))
        : Effect.fail(state.value.error)
      : Effect.succeed(ExitCode.ok)

  const quit = (signal: Signal, exitCode: number) =>
    Effect.as(disconnect, exitCode).pipe(Effect.annotateLogs({ signal }))

  const beginning = yield* Effect.raceAllFirst([
    Effect.map(Deferred.await(first), (endpoint) => ({ _tag: "Connected", endpoint }) as const),
    over,
    signalled
  ])
  if (beginning._tag === "Over") return yield* conclude(beginning.state)
  if (beginning._tag === "Signal") {
    // Whoever waits for a connection or a command must not believe that there was one.
    const unfulfilled = request.once || Option.isSome(request.command)
    return yield* quit(beginning.signal, unfulfilled ? ExitCode.ofSignal(beginning.signal) : ExitCode.ok)
  }

  if (request.once) return ExitCode.ok
  if (request.open) yield* openInBrowser(beginning.endpoint)

  if (Option.isSome(request.command)) {
    // A connection that fails for good leaves the command alone: it lives as long as it likes.
    yield* Effect.forkScoped(
      Effect.flatMap(
        Fiber.join(watching),
        (state) =>
          Option.isSome(state) && state.value._tag === "Failed" && !request.json
            ? Failure.explain(state.value.error)
            : Effect.void
      )
    )
    const code = yield* ChildCommand.run(request.command.value, beginning.endpoint, { stdoutToStderr: request.json })
    yield* disconnect
    return code
  }

  const end = yield* Effect.raceFirst(over, signalled)
  return end._tag === "Over" ? yield* conclude(end.state) : yield* quit(end.signal, ExitCode.ok)
})

export const connect = Command.make(
  "connect",
  {
    destination,
    ...ProfileFlags.target,
    ...ProfileFlags.server,
    credentialsFile: Flag.String("credentials-file").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Write URL, user name and password to this file (JSON, mode 0600) while connected"),
      Flag.optional
    ),
    open: Flag.Boolean("open").pipe(
      Flag.withDescription("Open it in the browser, signed in"),
      Flag.withDefault(false)
    ),
    once: Flag.Boolean("once").pipe(
      Flag.withDescription("End with exit code 0 as soon as it is connected"),
      Flag.withDefault(false)
    ),
    json,
    command: Argument.String("command").pipe(
      Argument.withDescription(
        "Run this while connected and exit with its code; it gets OPENCODE_SERVER_URL, _USERNAME and _PASSWORD"
      ),
      Argument.variadic()
    )
  },
  Effect.fn("connect")(function*(input) {
    const command = yield* commandOf(input.command)
    if (input.once && (input.open || Option.isSome(command))) {
      return yield* new UsageError({
        message: "--once ends the connection at once: leave out --open and the command",
        help
      })
    }
    const engine = yield* Engine
    const target = yield* Effect.provide(Target.resolve(input.destination, input), engine.profiles)
    const credentials = yield* environmentCredentials(target.profile)
    const code = yield* hold({ ...input, target, command }).pipe(
      Effect.scoped,
      Effect.provide(engine.connections(target.profile, credentials))
    )
    if (code !== ExitCode.ok) return yield* new Ended({ exitCode: code })
  })
).pipe(
  Command.withShortDescription("Connect to an OpenCode server over ssh and hold the connection"),
  Command.withDescription(
    "Connect to an OpenCode server over ssh and hold the connection until Ctrl-C. Prints the server's URL on this machine."
  ),
  Command.annotate(Operands, "<profile|destination> [flags] [-- <command...>]"),
  Command.withExamples([
    {
      command: "opencode-ssh connect dev@box --bootstrap --open",
      description: "Start OpenCode on box if needed and open it"
    },
    { command: "opencode-ssh connect work --json", description: "Each state as a line of JSON, for scripts" },
    { command: "opencode-ssh connect work -- node report.mjs", description: "Run a command while connected" }
  ])
)
