import { Effect, type Scope } from "effect"
import * as Net from "node:net"
import { LabError } from "./LabError.ts"

/** The way to a port of 127.0.0.1, which can die without a word: no byte arrives any more, and no end of a stream. */
export interface Link {
  readonly port: number
  /** Connections stay open and nothing comes through; new ones are accepted and lead nowhere. */
  readonly die: Effect.Effect<void>
  /** What was sent meanwhile arrives, and everything goes on. */
  readonly recover: Effect.Effect<void>
}

/** A loopback TCP proxy that hands everything on at once, until it is told to die. Ends with the scope. */
export const make: (options: { readonly to: number }) => Effect.Effect<Link, LabError, Scope.Scope> = Effect.fn(
  "Link.make"
)(function*({ to }: { readonly to: number }) {
  const waiting: Array<() => void> = []
  const sockets = new Set<Net.Socket>()
  let dead = false

  /** Now, or once the link lives again. */
  const whenAlive = (run: () => void) => {
    if (dead) waiting.push(run)
    else run()
  }
  const relay = (from: Net.Socket, target: Net.Socket) => {
    sockets.add(from)
    from.setNoDelay(true)
    from.on("data", (chunk: Buffer) => whenAlive(() => target.write(chunk)))
    from.on("end", () => whenAlive(() => target.end()))
    from.on("error", () => whenAlive(() => target.destroy()))
    from.on("close", () => sockets.delete(from))
  }
  const carry = (client: Net.Socket) => {
    const server = new Net.Socket({ allowHalfOpen: true })
    relay(client, server)
    relay(server, client)
    whenAlive(() => server.connect({ host: "127.0.0.1", port: to }))
  }
  const listener = yield* Effect.acquireRelease(
    Effect.callback<Net.Server, LabError>((resume) => {
      const server = Net.createServer({ allowHalfOpen: true, noDelay: true }, carry)
      server.once("error", (cause) => resume(Effect.fail(new LabError({ message: "the link cannot listen", cause }))))
      server.listen({ host: "127.0.0.1", port: 0 }, () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback((resume) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resume(Effect.void))
      })
  )
  const address = listener.address()
  return {
    port: address === null || typeof address === "string" ? 0 : address.port,
    die: Effect.sync(() => {
      dead = true
    }),
    recover: Effect.sync(() => {
      dead = false
      for (const run of waiting.splice(0)) run()
    })
  } satisfies Link
})
