/** Puts texts on the clipboard, and says so when that fails. */
import type { News } from "./News.ts"

export interface Clipboard {
  /** Resolves with whether it worked. */
  readonly copy: (text: string) => Promise<boolean>
}

export const makeClipboard = (hook: ((text: string) => Promise<void>) | undefined, news: News): Clipboard => ({
  copy: async (text) => {
    try {
      await (hook === undefined ? navigator.clipboard.writeText(text) : hook(text))
      return true
    } catch {
      news.copyFailed()
      return false
    }
  }
})
