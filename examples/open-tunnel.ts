/**
 * Opens a tunnel to a machine on which an OpenCode server runs, finds the server, and calls its API with OpenCode's
 * own SDK. Takes what ssh takes:
 *
 *   bun examples/open-tunnel.ts [-F config] [-p port] [-J jump] [-i key] [user@]host
 *
 * `OPENCODE_SERVER_PASSWORD` is the server's password, if it has one; `REMOTE_PORT` its port (4096). `Tunnel` and
 * `Discovery` are the two lower services: a connection that comes back by itself, or that starts the server, is what
 * `Connections` is for (see electron-main.ts).
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { createOpencodeClient } from "@opencode-ai/sdk"
import {
  Credentials,
  defaultRemotePort,
  defaultUsername,
  defaultVersionRange,
  Discovery,
  isConnectionError,
  shellLine,
  SshCommandLine,
  Tunnel
} from "@opencode-ai/ssh-tunnel"
import { layerPlatform, layerRemote } from "@opencode-ai/ssh-tunnel/node"
import { Config, Console, Effect, Layer, Option, Redacted } from "effect"

// Bun's fetch would hand the Authorization header to HTTP_PROXY, even for 127.0.0.1.
process.env["NO_PROXY"] = ["127.0.0.1", process.env["NO_PROXY"] ?? ""].join(",")

/** The password stays `Redacted`: it can be logged by mistake without being shown. */
const credentialsOf = Effect.gen(function*() {
  const password = yield* Config.option(Config.Redacted("OPENCODE_SERVER_PASSWORD"))
  return Option.map(password, (password) => new Credentials({ username: defaultUsername, password }))
})

const program = Effect.gen(function*() {
  const { destination } = yield* Effect.fromResult(SshCommandLine.parse(shellLine(process.argv.slice(2))))
  const remotePort = yield* Config.withDefault(Config.Port("REMOTE_PORT"), defaultRemotePort)
  const credentials = Option.getOrUndefined(yield* credentialsOf)

  // #region tunnel
  // One login. Tunnel and forward live as long as the scope, here: this program.
  const tunnels = yield* Tunnel
  const tunnel = yield* tunnels.open(destination)
  const forward = yield* tunnel.forward(remotePort)

  // Tells an OpenCode server from anything else, and refuses versions that we do not know.
  const discovery = yield* Discovery
  const server = yield* discovery.find({
    forward,
    credentials,
    range: defaultVersionRange,
    target: { host: destination.toString(), options: [] }
  })
  const url = `http://127.0.0.1:${forward.localPort}`
  // #endregion
  yield* Console.log(`OpenCode ${server.version} of ${destination} is at ${url}`)

  // From here on it is a server like any other. This client speaks OpenCode 1; `@opencode-ai/sdk/v2` speaks 2.
  const client = createOpencodeClient({
    baseUrl: url,
    ...(credentials === undefined ? {} : { headers: { authorization: Redacted.value(credentials.authorization) } }),
    throwOnError: true
  })
  const { directory } = (yield* Effect.promise(() => client.path.get({ throwOnError: true }))).data
  const sessions = (yield* Effect.promise(() => client.session.list({ throwOnError: true }))).data
  yield* Console.log(`${sessions.length} sessions in ${directory}`)
  for (const { title } of sessions) yield* Console.log(`- ${title}`)
}).pipe(
  Effect.scoped,
  // Each error says what happened and what helps.
  Effect.tapError((error) =>
    Console.error(isConnectionError(error) ? `${error.message}\n${error.remedy.text}` : error.message)
  ),
  Effect.provide([layerRemote, Layer.provide(Discovery.layerNoDeps, layerPlatform)])
)

// Ctrl-C closes the scope: no ssh process is left.
NodeRuntime.runMain(program, { disableErrorReporting: true })
