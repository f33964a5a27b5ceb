/** The end of a port: it comes once, and who asks later is told as well. */
import type { Port, PortEnd } from "../Port.ts"

/** Keeps the end of one port. */
export interface PortEnding {
  readonly onClose: Port["onClose"]
  readonly hasEnded: () => boolean
  /** Says that the port has ended; true for the first one to say so. */
  readonly end: (reason: PortEnd) => boolean
}

export const makePortEnding = (): PortEnding => {
  const listeners = new Set<(end: PortEnd) => void>()
  let ended: PortEnd | undefined
  return {
    onClose: (onClose) => {
      if (ended === undefined) listeners.add(onClose)
      else onClose(ended)
    },
    hasEnded: () => ended !== undefined,
    end: (reason) => {
      if (ended !== undefined) return false
      ended = reason
      for (const listener of listeners) listener(reason)
      listeners.clear()
      return true
    }
  }
}
