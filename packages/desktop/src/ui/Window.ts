/** What a host gives the window: the bridge, and hooks for what only a host can do. */
import type { BridgeClient } from "@opencode-ai/desktop-bridge/BridgeApi"
import type { LinkState } from "@opencode-ai/desktop-bridge/Link"
import type { Stream } from "effect"

/** News about a connection that was up, for a host's own notifications. */
export interface ConnectionNews {
  readonly kind: "lost" | "back" | "failed"
  readonly title: string
  readonly text: string
}

export interface WindowOptions {
  /** The client of the bridge. Its streams may end when the transport does: the window asks again. */
  readonly bridge: BridgeClient
  /** The state of the transport (`Link.changes`). Without, the window sees it in its streams. */
  readonly link?: Stream.Stream<LinkState>
  /** Shows an address; without, a new tab of the browser does. */
  readonly openUrl?: (url: string) => void
  /** Beside the notice in the page: a native notification. */
  readonly notify?: (news: ConnectionNews) => void
  /** Puts a text on the clipboard; without, the browser's. */
  readonly copy?: (text: string) => Promise<void>
  /** Instead of the system's colour scheme. */
  readonly scheme?: "light" | "dark"
}
