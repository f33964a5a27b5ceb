/** Tunnels without ssh, for tests: every destination can be reached, until the test cuts it off. */
import { Context, Effect, Layer, PubSub, Ref, Stream } from "effect"
import { ConnectionLost, TransportError } from "./TransportError.ts"
import { type OpenTunnel, Tunnel } from "./Tunnel.ts"

/** What a test may do to the tunnels of {@link MemoryTunnels.layer}, and see of them. */
export class MemoryTunnels extends Context.Service<MemoryTunnels, {
  /** Ends every open tunnel as a dead link does: `closed` fails with `ConnectionLost`. */
  readonly cut: Effect.Effect<void>
  /** How many tunnels were opened so far. */
  readonly opened: Effect.Effect<number>
  /** How many are open now. */
  readonly open: Effect.Effect<number>
}>()("@opencode-ai/ssh-tunnel/MemoryTunnels") {
  /**
   * Provides {@link Tunnel} and the control over it. A forward gets the local
   * port that it asks for, else `localPort` (default 50000); nothing listens
   * there. A remote command dies: give a mock of `Bootstrap` instead.
   */
  static readonly layer = (options: { readonly localPort?: number } = {}): Layer.Layer<MemoryTunnels | Tunnel> =>
    Layer.effectContext(Effect.gen(function*() {
      const cuts = yield* PubSub.unbounded<void>()
      const opened = yield* Ref.make(0)
      const open = yield* Ref.make(0)
      const tunnels = Tunnel.of({
        open: Effect.fn("Tunnel.open")(function*({ host }) {
          yield* Ref.update(opened, (count) => count + 1)
          yield* Effect.acquireRelease(
            Ref.update(open, (count) => count + 1),
            () => Ref.update(open, (count) => count - 1)
          )
          const cut = yield* PubSub.subscribe(cuts)
          const lost = new TransportError({
            reason: new ConnectionLost({ target: { host, options: [] }, detail: "the link was cut" })
          })
          // Whoever asks, and however often, hears of the same end.
          const closed = yield* Effect.cached(Effect.andThen(PubSub.take(cut), Effect.fail(lost)))
          const tunnel: OpenTunnel = {
            strategy: "master",
            forward: (remotePort, choice) =>
              Effect.succeed({
                localPort: choice === undefined || choice._tag === "Any" ? options.localPort ?? 50_000 : choice.port,
                remotePort,
                rejections: Stream.never,
                cancel: Effect.void
              }),
            exec: () => Effect.die("memory tunnels run no remote commands"),
            capabilities: Effect.succeed({ sessions: "allowed" }),
            closed,
            stderr: Effect.succeed("")
          }
          return tunnel
        })
      })
      return Context.make(Tunnel, tunnels).pipe(
        Context.add(MemoryTunnels, {
          cut: Effect.asVoid(PubSub.publish(cuts, undefined)),
          opened: Ref.get(opened),
          open: Ref.get(open)
        })
      )
    }))
}
