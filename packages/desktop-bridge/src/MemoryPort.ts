/** A channel inside one JavaScript realm, for hosts that are their own window, and for tests. */
import { makePortEnding } from "./internal/portEnding.ts"
import type { Port } from "./Port.ts"

/**
 * Two ends of a new channel. Messages are copied by structured clone and arrive
 * in a later task, as with a real port.
 */
export const makePair = (): readonly [Port, Port] => {
  const ends = [makeEnd(), makeEnd()] as const
  return [connect(ends[0], ends[1]), connect(ends[1], ends[0])]
}

interface End {
  readonly ending: ReturnType<typeof makePortEnding>
  readonly receive: (message: unknown) => void
  readonly listen: Port["listen"]
}

const makeEnd = (): End => {
  const early: Array<unknown> = []
  let listener: ((message: unknown) => void) | undefined
  const ending = makePortEnding()
  ending.onClose(() => early.splice(0))
  return {
    ending,
    receive: (message) => {
      if (ending.hasEnded()) return
      if (listener === undefined) early.push(message)
      else listener(message)
    },
    listen: (onMessage) => {
      listener = onMessage
      for (const message of early.splice(0)) onMessage(message)
    }
  }
}

const copyOf = (message: unknown): unknown => {
  try {
    return structuredClone(message)
  } catch {
    return undefined
  }
}

const connect = (here: End, there: End): Port => ({
  post: (message) => {
    if (here.ending.hasEnded()) return
    const copy = copyOf(message)
    queueMicrotask(() => there.receive(copy))
  },
  listen: here.listen,
  onClose: here.ending.onClose,
  close: (end = "done") => {
    here.ending.end(end)
    queueMicrotask(() => there.ending.end("done"))
  }
})
