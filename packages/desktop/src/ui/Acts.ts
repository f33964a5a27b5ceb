/** What a person can do with a connection, as one list for buttons, keys and menus. */
import type { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import type { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { createSignal } from "solid-js"
import { useWindow } from "./Context.ts"
import { isActive, isWorking } from "./StateView.ts"
import { notices } from "./Strings.ts"

/** What the main button of a connection does in this state. */
export type Main = "connect" | "again" | "cancel" | "open" | "retry" | "wait"

export const main = (state: ConnectionState): Main => {
  if (isWorking(state)) return "cancel"
  switch (state._tag) {
    case "Connected":
      return "open"
    case "Reconnecting":
      return "retry"
    case "Failed":
      return "again"
    case "Disconnecting":
      return "wait"
    default:
      return "connect"
  }
}

export interface Acts {
  readonly connect: (profile: Profile) => void
  readonly disconnect: (profile: Profile) => void
  /** Connects, or ends what there is. */
  readonly toggle: (profile: Profile) => void
  readonly retry: (profile: Profile) => void
  readonly open: (profile: Profile) => void
  readonly opening: () => boolean
  readonly duplicate: (profile: Profile) => void
  readonly copyUrl: (profile: Profile) => void
  readonly copySsh: (profile: Profile) => void
}

export const useActs = (): Acts => {
  const { store } = useWindow()
  const { bridge, news } = store
  const [opening, setOpening] = createSignal(false)

  const copied = async (text: string, title: string) => {
    if (await store.clipboard.copy(text)) news.say({ tone: "neutral", title, text })
  }

  const connect: Acts["connect"] = ({ id }) => void store.run(bridge.connect({ id }))
  const disconnect: Acts["disconnect"] = ({ id }) => void store.run(bridge.disconnect({ id }))
  return {
    connect,
    disconnect,
    toggle: (profile) => isActive(store.state(profile.id)) ? disconnect(profile) : connect(profile),
    retry: ({ id }) => void store.run(bridge.retryNow({ id })),
    open: ({ id }) => {
      if (opening()) return
      setOpening(true)
      store.run(bridge.open({ id }), {
        success: ({ url }) => url !== undefined && store.openUrl(url),
        done: () => setOpening(false)
      })
    },
    opening,
    duplicate: ({ id }) =>
      void store.run(bridge.duplicateProfile({ id }), { success: (copy) => store.select(copy.id) }),
    copyUrl: ({ id }) => {
      const state = store.state(id)
      if (state._tag === "Connected") void copied(state.url, notices.urlCopied)
    },
    copySsh: ({ id }) =>
      void store.run(bridge.sshCommand({ id }), { success: (line) => void copied(line, notices.sshCopied) })
  }
}
