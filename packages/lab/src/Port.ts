import { Effect, type Scope } from "effect"
import * as Net from "node:net"
import { LabError } from "./LabError.ts"

const listen = (port: number): Effect.Effect<Net.Server, LabError> =>
  Effect.callback((resume) => {
    const server = Net.createServer((socket) => socket.destroy())
    server.once("error", (cause) => resume(Effect.fail(new LabError({ message: `cannot listen on ${port}`, cause }))))
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => resume(Effect.succeed(server)))
  })

const close = (server: Net.Server): Effect.Effect<void> =>
  Effect.callback((resume) => {
    server.close(() => resume(Effect.void))
  })

const portOf = (server: Net.Server): number => {
  const address = server.address()
  return address === null || typeof address === "string" ? 0 : address.port
}

/** A TCP port of 127.0.0.1 on which nobody listens right now. Somebody else may take it before you do. */
export const free: Effect.Effect<number, LabError> = Effect.acquireUseRelease(
  listen(0),
  (server) => Effect.sync(() => portOf(server)),
  close
)

/** `count` different free ports, see {@link free}. */
export const freeMany = (count: number): Effect.Effect<ReadonlyArray<number>, LabError> =>
  Effect.scoped(
    Effect.forEach(
      Array.from({ length: count }),
      () => Effect.acquireRelease(listen(0), close).pipe(Effect.map(portOf))
    )
  )

/** Holds a port of 127.0.0.1 (0: any) until the scope ends; whoever connects is dropped at once. */
export const hold = Effect.fn("Port.hold")(function*(port: number = 0) {
  const server = yield* Effect.acquireRelease(listen(port), close)
  return portOf(server)
})

/** Whether somebody accepts TCP connections on this port of 127.0.0.1. */
export const isListening = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ host: "127.0.0.1", port })
    const answer = (value: boolean) => {
      socket.destroy()
      resume(Effect.succeed(value))
    }
    socket.once("connect", () => answer(true))
    socket.once("error", () => answer(false))
    return Effect.sync(() => socket.destroy())
  })

/**
 * Connects to a port of 127.0.0.1 and says nothing, until the scope ends; done when the other side has said its first
 * word.
 */
export const occupy = (port: number): Effect.Effect<void, LabError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Net.Socket, LabError>((resume) => {
      const socket = Net.connect({ host: "127.0.0.1", port })
      const fail = (cause?: Error) =>
        resume(Effect.fail(new LabError({ message: `nobody speaks on port ${port}`, ...(cause && { cause }) })))
      socket.once("data", () => resume(Effect.succeed(socket)))
      socket.on("error", fail).on("end", () => fail())
      return Effect.sync(() => socket.destroy())
    }),
    (socket) => Effect.sync(() => socket.destroy())
  ).pipe(Effect.asVoid)
