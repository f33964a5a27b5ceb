/**
 * The contract over ports: the main process serves any number of them, each of
 * them one window; a window calls over one.
 *
 * **Details**
 *
 * The messages are those of `effect/rpc`, with values in JSON. What a window
 * sends is judged first (see `TransportLimits` for all bounds):
 *
 * - a message that is none (not JSON, too large, too deep, an unknown kind, the
 *   id of a call that runs), and a flood of messages, end that window's port. No
 *   honest window sends one, and a call that nobody answers would hang;
 * - an unknown call, or one with a payload that its schema refuses, is answered
 *   with a defect. So is a call beyond the number of calls at a time;
 * - acknowledgements and interrupts for calls that do not run are ignored. Ids
 *   are looked up among the calls of the port that they came by, so one window
 *   cannot reach another's.
 *
 * A defect of a handler fails that call alone. A port that ends interrupts its
 * own calls, and nothing else. A stream sends its next items when the window
 * has taken the last ones: what a window does not read is not sent.
 */
import { Effect, type Layer, type Stream } from "effect"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcClient from "effect/rpc/RpcClient"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import { layerLinked } from "./internal/linkedClient.ts"
import { layerPorts } from "./internal/portServer.ts"
import type { Link } from "./Link.ts"
import type { Port } from "./Port.ts"

/** The protocol of a client, and the state of what it runs over. */
export const layerClient = (port: Port): Layer.Layer<RpcClient.Protocol | Link> =>
  layerLinked({ open: Effect.succeed(port), reopens: false })

/**
 * Serves a group over every port that the stream brings, for as long as the
 * layer lives; then the ports are closed. The stream may end: the ports that
 * it brought are served on.
 *
 * **Example**
 *
 * ```ts
 * MessagePortRpc.layerServer(BridgeApi, ports).pipe(Layer.provide(Handlers))
 * ```
 */
export const layerServer = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  ports: Stream.Stream<Port>
): Layer.Layer<never, never, Rpc.ToHandler<Rpcs> | Rpc.Middleware<Rpcs> | Rpc.ServicesServer<Rpcs>> =>
  layerPorts(group, ports)
