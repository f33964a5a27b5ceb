/** What went wrong before a window was there to be told. Some errors are told once only: a corrupt file of profiles, say. */
import type { ConfigurationError } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import { Context, Effect, Layer, Option, Ref } from "effect"

/** See the module. */
export class Unheard extends Context.Service<Unheard, {
  /** Keeps the last error for the next window. */
  readonly keep: (error: ConfigurationError) => Effect.Effect<void>
  /** The error, which nobody else is told then. */
  readonly take: Effect.Effect<Option.Option<ConfigurationError>>
}>()("@opencode-ai/desktop-bridge/Unheard") {
  static readonly layer: Layer.Layer<Unheard> = Layer.effect(
    Unheard,
    Effect.map(Ref.make(Option.none<ConfigurationError>()), (kept) => ({
      keep: (error) => Ref.set(kept, Option.some(error)),
      take: Ref.getAndSet(kept, Option.none())
    }))
  )
}
