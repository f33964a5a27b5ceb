/** What a person does by hand: `ssh -N -L`, then asking the port until the server answers. The yardstick, = 1.0. */
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import { Effect } from "effect"
import * as Http from "node:http"

/** Instead of a status: nothing answered. */
const noAnswer = 0

/** One GET, on a connection of its own unless an agent is given: the status, or 0 when there was no answer. */
export const get = (port: number, path: string, agent: Http.Agent | false = false) =>
  Effect.callback<number>((resume) => {
    const request = Http.get({ host: "127.0.0.1", port, path, agent }, (response) => {
      response.resume()
      response.on("end", () => resume(Effect.succeed(response.statusCode ?? noAnswer)))
      response.on("error", () => resume(Effect.succeed(noAnswer)))
    })
    request.on("error", () => resume(Effect.succeed(noAnswer)))
    return Effect.sync(() => request.destroy())
  })

const untilHealthy = (port: number, every: number): Effect.Effect<void> =>
  Effect.flatMap(
    get(port, "/global/health"),
    (status) => status === 200 ? Effect.void : Effect.andThen(Effect.sleep(every), untilHealthy(port, every))
  )

export interface Options {
  /** Default: a free one. */
  readonly port?: number
  /** Looks so often, in milliseconds: 2 by default; with many at once that would take the processor that ssh needs. */
  readonly every?: number
}

/** Starts the tunnel and returns when the first good answer came; it lives as long as the scope. */
export const tunnel = Effect.fnUntraced(
  function*(configFile: string, host: string, remotePort: number, options: Options = {}) {
    const port = options.port ?? (yield* Port.free)
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
    yield* untilHealthy(port, options.every ?? 2)
    return { port, ssh }
  }
)
