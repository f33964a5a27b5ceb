/** `opencode-ssh server …`: the OpenCode server that bootstrap registered on the remote machine. */
import { Bootstrap, type RemoteServer } from "@opencode-ai/ssh-tunnel/Bootstrap"
import { type OpenTunnel, Tunnel } from "@opencode-ai/ssh-tunnel/Tunnel"
import { Effect, Option, Stream } from "effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { Ended } from "../CliFailure.ts"
import { Engine } from "../Engine.ts"
import * as ExitCode from "../ExitCode.ts"
import * as JsonLines from "../JsonLines.ts"
import { Output } from "../Output.ts"
import { Operands } from "../Presenter.ts"
import * as ProfileFlags from "../ProfileFlags.ts"
import * as Sanitize from "../Sanitize.ts"
import { untilSignal } from "../Signals.ts"
import * as Target from "../Target.ts"
import { destination, interruptible, json } from "./shared.ts"

const input = { destination, ...ProfileFlags.target, json }
type Input = Command.Command.Config.Infer<typeof input>

/** Opens an ssh connection to the target for one piece of work. */
const withTunnel = Effect.fnUntraced(function*<A, E, R>(
  given: Input,
  work: (tunnel: OpenTunnel, bootstrap: Bootstrap["Service"], label: string) => Effect.Effect<A, E, R>
) {
  const engine = yield* Engine
  const output = yield* Output
  const { label, profile } = yield* Target.resolve(given.destination, { ...ProfileFlags.nothing, ...given }).pipe(
    Effect.provide(engine.profiles)
  )
  return yield* Effect.gen(function*() {
    const tunnels = yield* Tunnel
    const bootstrap = yield* Bootstrap
    if (!given.json) yield* output.status(Sanitize.line(`Connecting to ${label}`))
    const tunnel = yield* tunnels.open(profile.destination, {
      ...(profile.strategy === undefined ? undefined : { strategy: profile.strategy })
    })
    yield* output.status("")
    // A connection that is lost ends the work with the reason, whatever it waits for.
    return yield* Effect.raceFirst(work(tunnel, bootstrap, label), tunnel.closed)
  }).pipe(
    Effect.ensuring(output.status("")),
    Effect.scoped,
    Effect.provide(engine.remote)
  )
})

const describe = (server: RemoteServer): string =>
  Sanitize.line(
    `OpenCode ${server.version} on remote port ${server.port}, pid ${server.pid}${
      server.startedAt === undefined ? "" : `, since ${server.startedAt}`
    }${server.owner === "opencode" ? ", OpenCode's own service" : ""}${
      server.lifetime === "session" ? ", ends with its connection" : ""
    }`
  )

const tell = Effect.fnUntraced(function*(
  asJson: boolean,
  label: string,
  status: "running" | "stopped" | "none",
  server: Option.Option<RemoteServer>,
  text: string
) {
  const output = yield* Output
  if (!asJson) return yield* output.result(text)
  yield* JsonLines.print({
    type: "server",
    at: yield* JsonLines.now,
    profile: label,
    status,
    server: Option.getOrNull(Option.map(server, JsonLines.serverJson))
  })
})

const operands = "<profile|destination> [flags]"

const status = Command.make(
  "status",
  input,
  Effect.fn("server status")(
    function*(given) {
      yield* withTunnel(
        given,
        (tunnel, bootstrap, label) =>
          Effect.flatMap(bootstrap.status(tunnel), (server) =>
            Option.isSome(server)
              ? tell(given.json, label, "running", server, `running: ${describe(server.value)}`)
              : tell(given.json, label, "none", server, "none: no server that we started runs there"))
      )
    },
    interruptible
  )
).pipe(Command.withDescription("Show the server that bootstrap started there"), Command.annotate(Operands, operands))

const stop = Command.make(
  "stop",
  input,
  Effect.fn("server stop")(
    function*(given) {
      yield* withTunnel(
        given,
        (tunnel, bootstrap, label) =>
          Effect.flatMap(
            bootstrap.stop(tunnel),
            (server) => tell(given.json, label, "stopped", Option.some(server), `stopped: ${describe(server)}`)
          )
      )
    },
    interruptible
  )
).pipe(
  Command.withDescription("End the server that bootstrap started there, and no other"),
  Command.annotate(Operands, operands)
)

const log = Command.make(
  "log",
  {
    ...input,
    follow: Flag.Boolean("follow").pipe(
      Flag.withDescription("Go on printing what comes until Ctrl-C"),
      Flag.withDefault(false),
      Flag.withoutNegation
    )
  },
  Effect.fn("server log")(function*(given) {
    const output = yield* Output
    // Bytes for a file or a pipe stay what they are; a terminal would obey them.
    const shown = (line: string) => output.stdoutIsTerminal ? Sanitize.logLine(line) : line
    const print = withTunnel(given, (tunnel, bootstrap, label) =>
      bootstrap.log(tunnel, { follow: given.follow }).pipe(
        Stream.splitLines,
        Stream.runForEach((line) =>
          given.json ? JsonLines.print({ type: "log", profile: label, line }) : output.result(shown(line))
        )
      ))
    yield* untilSignal(print, (signal) =>
      // The only end that following has.
      given.follow ? Effect.void : Effect.fail(new Ended({ exitCode: ExitCode.ofSignal(signal) })))
  })
).pipe(
  Command.withDescription("Print the log of the server that bootstrap started there"),
  Command.annotate(Operands, operands)
)

export const server = Command.make("server").pipe(
  Command.withShortDescription("Look after the server that bootstrap started"),
  Command.withDescription(
    "Look after the OpenCode server that a connection with --bootstrap started on the remote machine."
  ),
  Command.withSubcommands([status, stop, log])
)
