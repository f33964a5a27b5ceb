/**
 * How the main process of an Electron app holds its connections: one runtime for the life of the app, promises
 * everywhere else. Runs without Electron as well: node examples/electron-main.ts <id of a saved profile>
 */
import { Connections, type ConnectionState, Credentials, CredentialStore, ProfileId } from "@opencode-ai/ssh-tunnel"
import { layer } from "@opencode-ai/ssh-tunnel/node"
import { Effect, HashMap, ManagedRuntime, Option, Redacted, Stream } from "effect"

/** What is used of Electron: `import { app } from "electron"` fits. */
export interface App {
  readonly on: (event: "before-quit", listener: (event: { readonly preventDefault: () => void }) => void) => unknown
  readonly exit: () => void
}

// #region connect
/** The services are built at the first use and shared by all calls: two runtimes would be two sets of connections. */
const runtime = ManagedRuntime.make(layer)
// #endregion

/** Calls back with the state of each profile, now and whenever it changes, e.g. to send it to the window. */
export const onStates = (listener: (id: ProfileId, state: ConnectionState) => void): () => void =>
  runtime.runCallback(Connections.use(({ states }) =>
    states.pipe(
      Stream.changes,
      Stream.runForEach((all) => Effect.sync(() => HashMap.forEach(all, (state, id) => listener(id, state))))
    )
  ))

/** For servers that bootstrap did not start. A real app has a `CredentialStore` over Electron's `safeStorage`. */
export const setPassword = (id: ProfileId, password: string): Promise<void> =>
  runtime.runPromise(
    CredentialStore.use(({ set }) =>
      set(id, new Credentials({ username: "opencode", password: Redacted.make(password) }))
    )
  )

// #region connect
/** Resolves to the server's URL. Rejects with an error that has a `message`, a `remedy`, and says if it is `retryable`. */
export const connect = (id: ProfileId): Promise<string> =>
  runtime.runPromise(Connections.use((connections) =>
    Effect.gen(function*() {
      yield* connections.connect(id)
      const { url } = yield* connections.settled(id)
      return url
    })
  ))
// #endregion

/** The `Authorization` of the window's requests to the server; there is one exactly while it is connected. */
export const authorization = async (id: ProfileId): Promise<string | undefined> => {
  const endpoint = await runtime.runPromise(Connections.use(({ endpoint }) => endpoint(id)))
  return Option.flatMap(endpoint, ({ credentials }) => credentials).pipe(
    Option.map(({ authorization }) => Redacted.value(authorization)),
    Option.getOrUndefined
  )
}

// #region connect
/** Quitting waits until every ssh is gone. Disposing twice is harmless. */
export const quitCleanly = (app: App): unknown =>
  app.on("before-quit", (event) => {
    event.preventDefault()
    void runtime.dispose().finally(() => app.exit())
  })
// #endregion

if (import.meta.main) {
  // Stands for Electron's app: a signal asks to quit.
  quitCleanly({
    on: (_, listener) => process.once("SIGTERM", () => listener({ preventDefault: () => {} })),
    exit: () => process.exit()
  })
  const id = ProfileId.make(process.argv[2] ?? "")
  const password = process.env["OPENCODE_SERVER_PASSWORD"]
  if (password !== undefined) await setPassword(id, password)
  onStates((id, state) => console.log(`${id}: ${state._tag}`))
  console.log(`The window shows ${await connect(id)}`)
}
