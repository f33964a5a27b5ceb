import { Effect } from "effect"
import { LabError } from "./LabError.ts"

/** What matches a line: a text it contains, a pattern, or a predicate. */
export type Matcher = string | RegExp | ((line: string) => boolean)

/** The lines that a process has written so far, and the ones to come as events. */
export interface Log {
  /** All lines so far. */
  readonly lines: Effect.Effect<ReadonlyArray<string>>
  /** All text so far, as it was written. */
  readonly text: Effect.Effect<string>
  /** How many of the lines so far match. */
  readonly count: (matcher: Matcher) => Effect.Effect<number>
  /**
   * The `occurrence`-th (default: first) matching line, lines already written included; waits for it as an event.
   * Fails when the process ends without having written it.
   */
  readonly waitFor: (matcher: Matcher, occurrence?: number) => Effect.Effect<string, LabError>
  /** Waits until nobody can write any more. */
  readonly ended: Effect.Effect<void>
}

/** The writing end of a {@link Log}. */
export interface Writer extends Log {
  readonly write: (chunk: string) => void
  readonly end: () => void
}

const matches = (matcher: Matcher, line: string): boolean =>
  typeof matcher === "string"
    ? line.includes(matcher)
    : matcher instanceof RegExp
    ? line.search(matcher) >= 0
    : matcher(line)

/** A log that is fed by chunks of text; `name` appears in failures. */
export const make = (name: string): Writer => {
  const lines: Array<string> = []
  const watchers = new Set<() => void>()
  let all = ""
  let rest = ""
  let ended = false
  const notify = () => {
    for (const watcher of watchers) watcher()
  }
  return {
    write: (chunk) => {
      all += chunk
      const parts = (rest + chunk).split(/\r?\n/)
      rest = parts.pop() ?? ""
      if (parts.length === 0) return
      lines.push(...parts)
      notify()
    },
    end: () => {
      if (ended) return
      if (rest !== "") lines.push(rest)
      rest = ""
      ended = true
      notify()
    },
    ended: Effect.callback((resume) => {
      const look = () => {
        if (!ended) return
        watchers.delete(look)
        resume(Effect.void)
      }
      watchers.add(look)
      look()
      return Effect.sync(() => watchers.delete(look))
    }),
    lines: Effect.sync(() => [...lines]),
    text: Effect.sync(() => all),
    count: (matcher) => Effect.sync(() => lines.filter((line) => matches(matcher, line)).length),
    waitFor: (matcher, occurrence = 1) =>
      Effect.callback((resume) => {
        let next = 0
        let seen = 0
        const look = () => {
          for (; next < lines.length; next++) {
            const line = lines[next] ?? ""
            if (!matches(matcher, line)) continue
            seen += 1
            if (seen < occurrence) continue
            watchers.delete(look)
            return resume(Effect.succeed(line))
          }
          if (!ended) return
          watchers.delete(look)
          const tail = lines.slice(-20).join("\n")
          resume(Effect.fail(new LabError({ message: `${name} ended without writing ${String(matcher)}:\n${tail}` })))
        }
        watchers.add(look)
        look()
        return Effect.sync(() => watchers.delete(look))
      })
  }
}
