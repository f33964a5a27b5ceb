/** A host for the window without Electron: the main process's side of the bridge, and a server on loopback that shows it. */
import { MainRuntime, WebSocketServer } from "@opencode-ai/desktop-bridge/node"
import { Effect, Stream } from "effect"
import packageJson from "../../package.json" with { type: "json" }

/** What the window and the reports call this host. */
export const application = `OpenCode Connections ${packageJson.version}`

export interface DesktopOptions {
  /** The built window; see `WindowFiles`. */
  readonly directory: string
  /** On 127.0.0.1; absent or 0: a free one. */
  readonly port?: number
  /** What else `MainRuntime` can be told, for tests. */
  readonly runtime?: Partial<MainRuntime.Options>
}

/**
 * Serves the window until the scope closes; then every connection ends, and
 * what the user had connected is remembered for the next start.
 *
 * `url` is an address for one visit, as good as the window itself until then.
 */
export const serve = Effect.fn("Desktop.serve")(function*({ directory, port, runtime }: DesktopOptions) {
  const main = yield* Effect.acquireRelease(
    Effect.sync(() => MainRuntime.make({ application, origins: [], environmentPassword: true, ...runtime })),
    (main) => Effect.promise(() => main.dispose())
  )
  const server = yield* WebSocketServer.make({ directory, ...(port === undefined ? undefined : { port }) })
  yield* Effect.forkScoped(
    Stream.runForEach(server.ports, (port) => Effect.sync(() => main.serve(port))).pipe(
      Effect.tapCause(Effect.logError)
    )
  )
  const url = yield* server.mintUrl
  return { main, origin: server.origin, clients: server.clients, mintUrl: server.mintUrl, url }
})
