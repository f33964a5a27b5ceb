/** A server's protocol over any number of ports. */
import {
  type Cause,
  Effect,
  FiberSet,
  HashMap,
  HashSet,
  Layer,
  MutableRef,
  Option,
  Queue,
  Ref,
  Schema,
  Stream
} from "effect"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import type { FromClientEncoded, FromServerEncoded } from "effect/rpc/RpcMessage"
import * as RpcServer from "effect/rpc/RpcServer"
import type { Port } from "../Port.ts"
import { TransportLimits } from "../TransportLimits.ts"
import { type Incoming, readIncoming } from "./incoming.ts"

/** See `MessagePortRpc.layerServer`. */
export const layerPorts = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  ports: Stream.Stream<Port>
): Layer.Layer<never, never, Rpc.ToHandler<Rpcs> | Rpc.Middleware<Rpcs> | Rpc.ServicesServer<Rpcs>> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const { closeAll, protocol } = yield* makeProtocol(ports)
    yield* RpcServer.make(group, { disableFatalDefects: true }).pipe(
      Effect.provideService(RpcServer.Protocol, protocol),
      Effect.forkScoped
    )
    // Before the server interrupts its calls: a window then knows that the link is lost, and no call looks interrupted.
    yield* Effect.addFinalizer(() => closeAll)
  }))

/** One port, and the ids of its calls. */
interface Client {
  readonly port: Port
  readonly calls: Ref.Ref<HashSet.HashSet<string | number>>
}

type Handle = (clientId: number, message: FromClientEncoded) => Effect.Effect<void>

const makeProtocol = Effect.fnUntraced(function*(ports: Stream.Stream<Port>) {
  const clients = yield* Ref.make(HashMap.empty<number, Client>())
  const closeAll = Effect.map(Ref.get(clients), (all) => HashMap.forEach(all, ({ port }) => port.close()))
  const disconnects = yield* Queue.unbounded<number>()
  const ids = yield* Ref.make(0)
  const limits = yield* TransportLimits

  const protocol = yield* RpcServer.Protocol.make(Effect.fnUntraced(function*(handle: Handle) {
    const serve = Effect.fnUntraced(function*(port: Port) {
      const id = yield* Ref.getAndUpdate(ids, (last) => last + 1)
      const client: Client = { port, calls: yield* Ref.make(HashSet.empty<string | number>()) }
      yield* Effect.acquireUseRelease(
        Ref.update(clients, HashMap.set(id, client)),
        () => runClient(client, (message) => handle(id, message)),
        () =>
          Effect.gen(function*() {
            yield* Ref.update(clients, HashMap.remove(id))
            yield* Queue.offer(disconnects, id)
            port.close()
          })
      )
    })

    const runClient = Effect.fnUntraced(
      function*(client: Client, handle: (message: FromClientEncoded) => Effect.Effect<void>) {
        const { calls, port } = client
        const inbox = yield* Queue.unbounded<Incoming, Cause.Done>()
        const waiting = MutableRef.make(0)
        port.onClose(() => Queue.endUnsafe(inbox))
        port.listen((value) => {
          const incoming = readIncoming(value, limits)
          if (incoming === undefined) return port.close("malformed")
          if (MutableRef.updateAndGet(waiting, (bytes) => bytes + incoming.bytes) > limits.waitingBytes) {
            return port.close("flooded")
          }
          Queue.offerUnsafe(inbox, incoming)
        })
        const act = Effect.fnUntraced(function*({ bytes, message }: Incoming) {
          MutableRef.update(waiting, (all) => all - bytes)
          const running = yield* Ref.get(calls)
          switch (message._tag) {
            case "Request": {
              if (HashSet.has(running, message.id)) return port.close("malformed")
              if (HashSet.size(running) >= limits.calls) return port.post(died(message.id, "Too many calls at a time"))
              yield* Ref.set(calls, HashSet.add(running, message.id))
              return yield* handle(message)
            }
            case "Ack":
            case "Interrupt":
              return HashSet.has(running, message.requestId) ? yield* handle(message) : undefined
            default:
              return yield* handle(message)
          }
        })
        yield* Stream.fromQueue(inbox).pipe(Stream.runForEach(act))
      }
    )

    const send = Effect.fnUntraced(function*(id: number, response: FromServerEncoded) {
      const client = HashMap.get(yield* Ref.get(clients), id)
      if (Option.isNone(client)) return
      const { calls, port } = client.value
      if (response._tag !== "Exit") return port.post(response)
      yield* Ref.update(calls, HashSet.remove(response.requestId))
      port.post(isInterrupted(response) ? died(response.requestId, "The call was interrupted") : response)
    })

    const serving = yield* FiberSet.make()
    yield* ports.pipe(
      Stream.runForEach((port) =>
        FiberSet.run(serving, serve(port).pipe(Effect.tapCause((cause) => Effect.logError(cause))))
      ),
      Effect.forkScoped
    )
    return {
      disconnects,
      send,
      end: () => Effect.void,
      clientIds: Effect.map(Ref.get(clients), (all) => new Set(HashMap.keys(all))),
      initialMessage: Effect.succeedNone,
      supportsAck: true,
      supportsTransferables: false,
      supportsSpanPropagation: false,
      supportsNotifications: false,
      codecFor: Schema.toCodecJson
    }
  }))
  return { protocol, closeAll }
})

type ExitEncoded = Extract<FromServerEncoded, { readonly _tag: "Exit" }>

/**
 * A call that its handler interrupts itself. In the window this would be the
 * interruption of whoever called; the window's own interrupts it has forgotten.
 */
const isInterrupted = ({ exit }: ExitEncoded): boolean =>
  exit._tag === "Failure" && exit.cause.every(({ _tag }) => _tag === "Interrupt")

const encodeDefect = Schema.encodeSync(Schema.toCodecJson(Schema.Defect()))

const died = (requestId: string | number, message: string): ExitEncoded => ({
  _tag: "Exit",
  requestId,
  exit: { _tag: "Failure", cause: [{ _tag: "Die", defect: encodeDefect(new Error(message)) }] }
})
