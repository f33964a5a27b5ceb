/** What goes through the tunnel, against raw `ssh -N -L` to the same server: nothing of ours is in the path of the data. */
import { Effect } from "effect"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import type { Figure } from "./figures.ts"
import { get, tunnel } from "./rawSsh.ts"
import { median, pairedRatio } from "./statistics.ts"
import * as World from "./world.ts"

const newConnections = 300
const requests = 300
const mebibytes = 128
const rounds = 5
/** Above this a new connection waited for a delayed ACK (Linux: 40 ms at least). */
const stalled = 35

/** A health endpoint, and as many bytes as are asked for. */
const bulkServer = Effect.acquireRelease(
  Effect.callback<Http.Server>((resume) => {
    const chunk = Buffer.alloc(256 * 1024)
    const server = Http.createServer((request, response) => {
      if (request.url !== "/bulk") {
        response.setHeader("content-type", "application/json")
        return void response.end("{\"healthy\":true,\"version\":\"1.18.33\"}")
      }
      let left = mebibytes * 1024 * 1024
      const pump = () => {
        while (left > 0) {
          left -= chunk.length
          if (!response.write(chunk)) return void response.once("drain", pump)
        }
        response.end()
      }
      pump()
    })
    server.listen({ host: "127.0.0.1", port: 0 }, () => resume(Effect.succeed(server)))
  }),
  (server) =>
    Effect.callback<void>((resume) => {
      server.closeAllConnections()
      server.close(() => resume(Effect.void))
    })
)

const stalls = (port: number) =>
  Effect.map(
    Effect.replicateEffect(World.timed(get(port, "/global/health")), newConnections),
    (all) => all.filter(({ ms }) => ms > stalled).length
  )

/** Median of one request after the other on one connection, in milliseconds. */
const latency = (port: number) =>
  Effect.acquireUseRelease(
    Effect.sync(() => new Http.Agent({ keepAlive: true, maxSockets: 1 })),
    (agent) =>
      Effect.map(
        Effect.replicateEffect(World.timed(get(port, "/global/health", agent)), requests),
        (all) => median(all.map(({ ms }) => ms))
      ),
    (agent) => Effect.sync(() => agent.destroy())
  )

/** Mebibytes per second of one download. */
const throughput = (port: number) => Effect.map(World.timed(get(port, "/bulk")), ({ ms }) => mebibytes / (ms / 1000))

export const traffic = Effect.gen(function*() {
  const world = yield* World.make()
  const server = yield* bulkServer
  const remotePort = (server.address() as AddressInfo).port
  const raw = yield* tunnel(world.client.configFile, "box", remotePort)
  return yield* World.withConnections(world, (connections) =>
    Effect.gen(function*() {
      yield* connections.connect(World.id)
      const { localPort } = yield* connections.settled(World.id)
      const inTurn = Effect.fnUntraced(function*(measure: (port: number) => Effect.Effect<number>) {
        const theirs: Array<number> = []
        const mine: Array<number> = []
        for (let round = 0; round < rounds; round++) {
          theirs.push(yield* measure(raw.port))
          mine.push(yield* measure(localPort))
        }
        return { theirs, mine }
      })
      const slow = { raw: yield* stalls(raw.port), ours: yield* stalls(localPort) }
      const wait = yield* inTurn(latency)
      const speed = yield* inTurn(throughput)
      const waitRatio = pairedRatio(wait.mine, wait.theirs)
      const speedRatio = pairedRatio(speed.mine, speed.theirs)
      const figures: ReadonlyArray<Figure> = [
        {
          what: `of ${newConnections} new connections, slower than ${stalled} ms`,
          byHand: String(slow.raw),
          ours: String(slow.ours),
          goal: "0",
          met: slow.ours === 0
        },
        {
          what: "a request on an open connection, ms",
          byHand: median(wait.theirs).toFixed(2),
          ours: median(wait.mine).toFixed(2),
          ratio: waitRatio,
          goal: "≤ 1.1",
          met: waitRatio <= 1.1
        },
        {
          what: "throughput, MiB/s",
          byHand: median(speed.theirs).toFixed(0),
          ours: median(speed.mine).toFixed(0),
          ratio: speedRatio,
          goal: "≥ 0.9",
          met: speedRatio >= 0.9
        }
      ]
      return figures
    }), remotePort)
}).pipe(Effect.scoped)
