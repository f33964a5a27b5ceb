/** What the bridge needs to know of the application that it is part of. */
import { Context, type Effect, Layer, type Redacted } from "effect"
import type { About } from "./BridgeApi.ts"

/** See the module. */
export class BridgeHost extends Context.Service<BridgeHost, {
  readonly about: About
  /**
   * Shows an address in the user's browser (Electron's `shell.openExternal`). The address is good for one visit, and as
   * good as a password until then. Absent: the window gets it, and goes there in a new tab.
   */
  readonly open?: (url: Redacted.Redacted<string>) => Effect.Effect<void, { readonly detail: string }>
}>()("@opencode-ai/desktop-bridge/BridgeHost") {
  /** An application without a browser of its own; what is not given is made up. */
  static readonly layerMock = (host: Partial<BridgeHost["Service"]> = {}): Layer.Layer<BridgeHost> =>
    Layer.succeed(BridgeHost, {
      about: { application: "OpenCode Desktop 1.18.33", supportedVersions: ">=1.0.0 <2.0.0", notifications: false },
      ...host
    })
}
