/** What a person does by hand: `ssh -N -L`, then asking the port until the server answers. The yardstick, = 1.0. */
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import { Effect } from "effect"
import * as Http from "node:http"

/** Instead of a status: nothing answered. */
const noAnswer = 0

/** One GET on a connection of its own: the status, or 0 when there was no answer. */
export const get = (port: number, path: string) =>
  Effect.callback<number>((resume) => {
    const request = Http.get({ host: "127.0.0.1", port, path, agent: false }, (response) => {
      response.resume()
      response.on("end", () => resume(Effect.succeed(response.statusCode ?? noAnswer)))
      response.on("error", () => resume(Effect.succeed(noAnswer)))
    })
    request.on("error", () => resume(Effect.succeed(noAnswer)))
    return Effect.sync(() => request.destroy())
  })

/** Looks every 2 ms: less would burn the processor that ssh needs, more would add to its time. */
const untilHealthy = (port: number): Effect.Effect<void> =>
  Effect.flatMap(
    get(port, "/global/health"),
    (status) => status === 200 ? Effect.void : Effect.andThen(Effect.sleep(2), untilHealthy(port))
  )

/** Starts the tunnel and returns when the first good answer came; it lives as long as the scope. */
export const tunnel = Effect.fnUntraced(function*(configFile: string, host: string, remotePort: number) {
  const port = yield* Port.free
  const ssh = yield* Process.spawn("ssh", [
    "-F",
    configFile,
    "-o",
    "BatchMode=yes",
    "-o",
    "ExitOnForwardFailure=yes",
    "-N",
    "-L",
    `127.0.0.1:${port}:127.0.0.1:${remotePort}`,
    host
  ])
  yield* untilHealthy(port)
  return { port, ssh }
})
