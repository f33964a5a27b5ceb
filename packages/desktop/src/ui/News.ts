/** What the window tells by itself: notices that go away, and the words of the live region. */
import type { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { type Accessor, createSignal } from "solid-js"
import type { Problem } from "./Problem.ts"
import { announcement, view } from "./StateView.ts"
import { notices } from "./Strings.ts"
import type { ConnectionNews } from "./Window.ts"

export interface Notice {
  readonly key: number
  readonly tone: "good" | "warning" | "bad" | "neutral"
  readonly title: string
  readonly text: string
  readonly command?: string
  readonly link?: string
}

export interface News {
  readonly notices: Accessor<ReadonlyArray<Notice>>
  readonly close: (key: number) => void
  /** The latest words for the live region. */
  readonly announced: Accessor<string>
  readonly say: (notice: Omit<Notice, "key">) => void
  readonly problem: (problem: Problem) => void
  readonly copyFailed: () => void
  readonly blocked: (url: string) => void
  /** A state has changed while somebody was looking. */
  readonly state: (id: string, name: string, before: ConnectionState, after: ConnectionState) => void
}

/** More at once would cover the window; the oldest goes. */
const most = 4

export const makeNews = (notify: ((news: ConnectionNews) => void) | undefined): News => {
  const [all, setAll] = createSignal<ReadonlyArray<Notice>>([])
  const [announced, announce] = createSignal("")
  /** Connections that were up and are being made again. */
  const lost = new Set<string>()
  let keys = 0

  const say: News["say"] = (notice) => {
    const key = ++keys
    // The same sentence twice is one notice.
    setAll((before) => [
      ...before.filter(({ text, title }) => title !== notice.title || text !== notice.text).slice(1 - most),
      { ...notice, key }
    ])
  }

  const tell = (tone: Notice["tone"], news: ConnectionNews): void => {
    say({ tone, title: news.title, text: news.text })
    notify?.(news)
  }

  return {
    notices: all,
    close: (key) => setAll((before) => before.filter((notice) => notice.key !== key)),
    announced,
    say,
    problem: ({ command, gone, message, remedy }) => {
      // There is a banner for it.
      if (gone) return
      say({
        tone: "bad",
        title: message,
        text: remedy ?? notices.callFailed,
        ...(command === undefined ? undefined : { command })
      })
    },
    copyFailed: () => say({ tone: "bad", title: notices.copyFailed, text: "" }),
    blocked: (url) => say({ tone: "warning", title: notices.blocked, text: "", link: url }),
    state: (id, name, before, after) => {
      if (before._tag !== after._tag) announce(notices.announce(name, view(after).word, announcement(after)))
      switch (after._tag) {
        case "Reconnecting": {
          // Restored at start and not reached yet: nothing was lost.
          if (before._tag !== "Connected") return
          lost.add(id)
          return tell("warning", { kind: "lost", title: notices.lost(name), text: notices.lostText })
        }
        case "Connected": {
          if (lost.delete(id)) tell("good", { kind: "back", title: notices.back(name), text: "" })
          return
        }
        case "Failed": {
          if (lost.delete(id)) tell("bad", { kind: "failed", title: notices.failed(name), text: after.error.message })
          return
        }
        case "Disconnected": {
          lost.delete(id)
        }
      }
    }
  }
}
