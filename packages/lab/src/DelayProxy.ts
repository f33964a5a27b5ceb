import { Effect, type Scope } from "effect"
import * as Net from "node:net"
import { LabError } from "./LabError.ts"

export interface Options {
  /** The port of 127.0.0.1 that it leads to. */
  readonly to: number
  /** One way, in milliseconds: half of the round trip that is added. */
  readonly delay: number
}

export interface DelayProxy {
  readonly port: number
  /** Connections accepted so far. */
  readonly connections: Effect.Effect<number>
}

/** Does things `delay` ms after they were asked for, in the order in which they were. */
const delayLine = (delay: number) => {
  const queue: Array<{ readonly due: number; readonly run: () => void }> = []
  let timer: NodeJS.Timeout | undefined
  const deliver = () => {
    timer = undefined
    for (let first = queue[0]; first !== undefined && first.due <= performance.now(); first = queue[0]) {
      queue.shift()
      first.run()
    }
    arm()
  }
  const arm = () => {
    const first = queue[0]
    if (timer === undefined && first !== undefined) {
      timer = setTimeout(deliver, Math.max(0, Math.ceil(first.due - performance.now())))
    }
  }
  return {
    push: (run: () => void, more: number = 0) => {
      queue.push({ due: Math.max(performance.now() + delay + more, queue.at(-1)?.due ?? 0), run })
      arm()
    },
    clear: () => {
      queue.length = 0
      clearTimeout(timer)
    }
  }
}

/**
 * A loopback TCP proxy that makes the way longer: every byte, and every end of a stream, arrives `delay` ms later, in
 * order and without a limit on bandwidth. The TCP handshake costs what it would there too: the server sees the
 * connection 1.5 round trips after it was begun. (The kernels this is for have no `tc netem`.)
 */
export const make: (options: Options) => Effect.Effect<DelayProxy, LabError, Scope.Scope> = Effect.fn(
  "DelayProxy.make"
)(function*({ delay, to }: Options) {
  const open = new Set<() => void>()
  let connections = 0
  const carry = (client: Net.Socket) => {
    connections += 1
    const forth = delayLine(delay)
    const back = delayLine(delay)
    const server = new Net.Socket({ allowHalfOpen: true })
    const cut = () => {
      open.delete(cut)
      forth.clear()
      back.clear()
      client.destroy()
      server.destroy()
    }
    open.add(cut)
    const relay = (from: Net.Socket, line: typeof forth, target: Net.Socket) => {
      from.setNoDelay(true)
      from.on("data", (chunk: Buffer) => line.push(() => target.write(chunk)))
      from.on("end", () => line.push(() => target.end()))
      from.on("error", () => line.push(cut))
      from.on("close", () => {
        if (client.destroyed && server.destroyed) cut()
      })
    }
    relay(client, forth, server)
    // SYN, SYN-ACK and ACK each take their time; what the client has sent meanwhile queues up behind them.
    forth.push(() => {
      server.connect({ host: "127.0.0.1", port: to })
      relay(server, back, client)
    }, 2 * delay)
  }
  const listener = yield* Effect.acquireRelease(
    Effect.callback<Net.Server, LabError>((resume) => {
      const server = Net.createServer({ allowHalfOpen: true, noDelay: true }, carry)
      server.once("error", (cause) => resume(Effect.fail(new LabError({ message: "the proxy cannot listen", cause }))))
      server.listen({ host: "127.0.0.1", port: 0 }, () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback((resume) => {
        for (const cut of open) cut()
        server.close(() => resume(Effect.void))
      })
  )
  const address = listener.address()
  const proxy: DelayProxy = {
    port: address === null || typeof address === "string" ? 0 : address.port,
    connections: Effect.sync(() => connections)
  }
  return proxy
})
