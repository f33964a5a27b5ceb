/**
 * SSH connections in OpenCode's own app: the list of servers that its `ServerProvider` takes, and the platform that its
 * pages for ssh servers call. The types below are the app's own, as far as they matter here.
 */
import type * as OpencodeServers from "@opencode-ai/desktop-bridge/OpencodeServers"

/** `ServerConnection.Ssh` of packages/app. */
export interface ServerConnectionSsh {
  readonly type: "ssh"
  readonly id?: string
  readonly host: string
  readonly displayName?: string
  readonly http: { readonly url: string; readonly username?: string; readonly password?: string }
  readonly stage?: string
}

/** The app's `SshPlatform`. */
export interface SshPlatform {
  getState(): Promise<{ readonly servers: ReadonlyArray<OpencodeServers.SshItem> }>
  subscribe(callback: (state: { readonly servers: ReadonlyArray<OpencodeServers.SshItem> }) => void): () => void
  hosts(): Promise<ReadonlyArray<string>>
  start(input: { readonly id: string; readonly target: string; readonly name: string }): Promise<void>
  resolve(id: string): Promise<{ readonly url: string; readonly password?: string } | null>
  respond(id: string, prompt: string, value: string): Promise<void>
  disconnect(id: string): Promise<void>
  cancel(id: string): Promise<void>
  forget(id: string): Promise<void>
}

// #region servers
/** For `<ServerProvider servers={…}>`: those that can be used now. Their URLs stay the same over reconnects. */
export const serversOf = ({ connections }: OpencodeServers.State): ReadonlyArray<ServerConnectionSsh> =>
  connections.filter(({ stage }) => stage === "ready")
// #endregion

// #region platform
/** For the app's pages of ssh servers. */
export const sshPlatform = (servers: OpencodeServers.OpencodeServers): SshPlatform => ({
  ...servers,
  start: async (input) => {
    await servers.start(input)
  },
  // Nothing is ever asked in the app: where ssh would ask, the connection fails and says what to run in a terminal.
  respond: () => Promise.resolve()
})
// #endregion
