/**
 * One end of a channel between the main process and one window. It carries JSON
 * values both ways, in order, each once. The transports differ only in how they
 * make ports: see `BrowserPort`, `MemoryPort`, `WebSocketRpc` and, in
 * `src/node`, `NodePort`, `ElectronPort` and `WebSocketServer`.
 */

/**
 * Why a port ended.
 *
 * - `done`: this end or the other has closed it, or is gone;
 * - `malformed`: the other end sent what no message may be;
 * - `flooded`: the other end sent more than was worked off;
 * - `unread`: the other end does not read.
 */
export type PortEnd = "done" | "malformed" | "flooded" | "unread"

/** See the module. Nothing here throws. */
export interface Port {
  /** Sends one JSON value. Once the port has ended, it does nothing. */
  readonly post: (message: unknown) => void
  /**
   * Starts to receive. To be called once; what came before is kept until then.
   * A message that cannot be read at all is given as `undefined`.
   */
  readonly listen: (onMessage: (message: unknown) => void) => void
  /** Calls back once, when the port has ended at either end; at once when it already has. No message follows. */
  readonly onClose: (onClose: (end: PortEnd) => void) => void
  /** Ends the port for both ends; `done` when no reason is given. */
  readonly close: (end?: PortEnd) => void
}
