/** The time of day, as a signal that ticks only while somebody looks at it. */
import { type Accessor, createSignal, onCleanup } from "solid-js"
import * as Timing from "./Timing.ts"

export interface Clock {
  /** Milliseconds of the epoch. Call it in a tracking scope that has called `watch`. */
  readonly now: Accessor<number>
  /** Keeps the clock going until the calling owner is disposed of. */
  readonly watch: () => void
}

export const makeClock = (): Clock => {
  const [now, setNow] = createSignal(Date.now())
  let watchers = 0
  let timer: ReturnType<typeof setInterval> | undefined
  return {
    now,
    watch: () => {
      watchers++
      setNow(Date.now())
      timer ??= setInterval(() => setNow(Date.now()), Timing.tick)
      onCleanup(() => {
        watchers--
        if (watchers > 0) return
        clearInterval(timer)
        timer = undefined
      })
    }
  }
}
