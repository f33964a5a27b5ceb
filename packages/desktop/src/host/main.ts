/**
 * `npm run desktop`: serves the Connections window on loopback and opens it.
 *
 *   npm run desktop [-- [--no-open | --app] [--port N]]
 */
import { Effect } from "effect"
import { parseArgs } from "node:util"
import * as Browser from "./Browser.ts"
import * as Desktop from "./Desktop.ts"
import * as WindowFiles from "./WindowFiles.ts"

const usage = `Shows the connections to OpenCode servers in a browser.

  npm run desktop [-- options]

  --no-open   print the address and open nothing
  --app       open a window of its own (Chromium, Chrome, Edge) instead of a tab
  --port N    listen there on 127.0.0.1, not on a free port

A server that asks for a password gets OPENCODE_SERVER_PASSWORD (and OPENCODE_SERVER_USERNAME) of the environment.
`

const say = (text: string) => Effect.sync(() => void process.stdout.write(`${text}\n`))

interface Arguments {
  readonly open: Browser.Kind | undefined
  readonly port: number
}

const read = (): Arguments | { readonly problem: string } => {
  try {
    const { values } = parseArgs({
      options: {
        "no-open": { type: "boolean" },
        app: { type: "boolean" },
        port: { type: "string" },
        help: { type: "boolean", short: "h" }
      }
    })
    if (values.help === true) return { problem: "" }
    const port = values.port === undefined ? 0 : Number(values.port)
    if (!Number.isInteger(port) || port < 0 || port > 65_535) return { problem: "--port: a port from 1 to 65535" }
    return { port, open: values["no-open"] === true ? undefined : values.app === true ? "app" : "tab" }
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) }
  }
}

const program = Effect.fnUntraced(function*({ open, port }: Arguments) {
  if (yield* WindowFiles.isStale) {
    yield* say("Building the window …")
    yield* WindowFiles.build()
  }
  const { mintUrl, url } = yield* Desktop.serve({ directory: WindowFiles.directory, port })
  yield* say(`The connections are at ${url}\nThe address is good for one visit. Ctrl-C ends this, and all connections.`)
  // Its own ticket: the printed one stays good.
  if (open !== undefined && !(yield* Browser.open(yield* mintUrl, open))) {
    yield* say("No browser could be opened here: visit the address.")
  }
  return yield* Effect.never
}, Effect.scoped)

const given = read()
if ("problem" in given) {
  const isHelp = given.problem === ""
  ;(isHelp ? process.stdout : process.stderr).write(isHelp ? usage : `${given.problem}\n\n${usage}`)
  process.exitCode = isHelp ? 0 : 2
} else {
  const asked = Promise.withResolvers<"asked">()
  // Closing a terminal (SIGHUP) is a quit, too. A second signal ends us at once.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => asked.resolve("asked"))
  }
  const untilAsked = Effect.promise(() => asked.promise)
  await Effect.runPromise(
    Effect.raceFirst(program(given), untilAsked).pipe(
      Effect.catch((error) =>
        Effect.sync(() => {
          process.stderr.write(`${error.message}\n`)
          process.exitCode = 1
        })
      )
    )
  )
  // What a browser keeps open must not keep us.
  process.exit()
}
