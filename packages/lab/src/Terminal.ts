import { Effect } from "effect"
import { LabError } from "./LabError.ts"
import * as Process from "./Process.ts"

/** What a person types when the screen shows something. */
export interface Answer {
  readonly when: RegExp
  readonly type: string
}

export interface Result {
  readonly code: number | undefined
  /** Everything that the terminal has shown. */
  readonly shown: string
}

/** How long a command in a terminal may take (milliseconds). */
const limit = 20_000

/**
 * Runs a line for a POSIX shell in a terminal of its own (script(1)), as a person who pastes it: each answer is typed
 * once, when what is new on the screen matches.
 */
export const run = Effect.fn("Terminal.run")(function*(
  line: string,
  answers: ReadonlyArray<Answer> = [],
  options: Process.Options = {}
) {
  const words = process.platform === "linux"
    ? ["-qefc", line, "/dev/null"]
    : ["-qe", "/dev/null", "/bin/sh", "-c", line]
  let shown = ""
  let unanswered = ""
  const left = [...answers]
  let type: (text: string) => void = () => {}
  const look = (chunk: string) => {
    shown += chunk
    unanswered += chunk
    const next = left[0]
    if (next === undefined || !next.when.test(unanswered)) return
    left.shift()
    unanswered = ""
    type(`${next.type}\r`)
  }
  return yield* Effect.scoped(Effect.gen(function*() {
    const child = yield* Process.spawn("script", words, { ...options, onStdout: (chunk) => look(chunk) })
    // Called by the stream's own callback, outside of any fiber.
    // @effect-diagnostics-next-line runEffectInsideEffect:off
    type = (text) => Effect.runSync(child.write(text))
    look("")
    const exit = yield* child.exit.pipe(
      Effect.timeoutOrElse({
        duration: limit,
        orElse: () => Effect.fail(new LabError({ message: `${line}: it does not end; the terminal shows:\n${shown}` }))
      })
    )
    yield* child.stdout.ended
    const result: Result = { code: exit.code, shown }
    return result
  }))
})
