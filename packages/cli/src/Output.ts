/**
 * What a person reads. Results go to stdout, everything about how they come
 * about goes to stderr, so that `url=$(opencode-ssh connect … | head -1)` works.
 */
import { Config, Console, Context, Effect, Layer, Option, Ref, Stdio, Stream, Terminal } from "effect"

/** A way to emphasise a piece of text. */
export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan"

const codes: Readonly<Record<Style, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 }

/** See the module. The text must be harmless already (Sanitize). */
export class Output extends Context.Service<Output, {
  /** Whether somebody watches stderr: spinner and elapsed time instead of plain lines. */
  readonly animated: boolean
  /** Whether stdout is a terminal, which obeys escape sequences. */
  readonly stdoutIsTerminal: boolean
  /** Decorates a piece of text for stderr, unless colours are off (`NO_COLOR`, no terminal, `TERM=dumb`). */
  readonly paint: (style: Style, text: string) => string
  /** A line of the result, to stdout. */
  readonly result: (text: string) => Effect.Effect<void>
  /** A line about what happens, to stderr. */
  readonly note: (text: string) => Effect.Effect<void>
  /** The line below everything else that is drawn again and again, cut to the terminal's width; empty text takes it away. Nothing unless `animated`. */
  readonly status: (text: string) => Effect.Effect<void>
}>()("@opencode-ai/ssh-cli/Output") {
  static readonly layer: Layer.Layer<Output, never, Stdio.Stdio | Terminal.Terminal> = Layer.effect(
    Output,
    Effect.gen(function*() {
      const stdio = yield* Stdio.Stdio
      const terminal = yield* Terminal.Terminal
      const environment = yield* environmentOf
      const stderrIsTerminal = yield* stdio.stderrIsTerminal
      const stdoutIsTerminal = yield* stdio.stdoutIsTerminal
      const isDumb = environment.term === "dumb"
      const animated = stderrIsTerminal && !isDumb
      const colours = !isDumb && environment.noColor === "" &&
        (stderrIsTerminal || !["", "0", "false"].includes(environment.forceColor))
      const drawn = yield* Ref.make("")

      const write = (text: string) => Stream.run(Stream.make(text), stdio.stderr()).pipe(Effect.ignore)
      const erase = "\r\u001b[2K"
      /** Lines go above the status line: it is taken away, and drawn again below them. */
      const above = (print: Effect.Effect<void>) =>
        Effect.gen(function*() {
          const status = yield* Ref.get(drawn)
          if (status === "") return yield* print
          yield* write(erase)
          yield* print
          yield* write(status)
        })

      return Output.of({
        animated,
        stdoutIsTerminal,
        paint: (style, text) => colours ? `\u001b[${codes[style]}m${text}\u001b[0m` : text,
        result: (text) => above(Console.log(text)),
        note: (text) => above(Console.error(text)),
        status: Effect.fnUntraced(function*(text) {
          if (!animated) return
          // A line that wraps could not be taken away again.
          const columns = (yield* terminal.columns) || 80
          const fitting = Array.from(text).slice(0, columns - 1).join("")
          const before = yield* Ref.getAndSet(drawn, fitting)
          if (before !== "" || fitting !== "") yield* write(`${erase}${fitting}`)
        })
      })
    })
  )
}

const variable = (name: string) => Effect.map(Config.option(Config.String(name)), Option.getOrElse(() => ""))

/** The variables that terminals and people use to say what they can and want to see; see no-color.org. */
const environmentOf = Effect.orDie(Effect.all({
  noColor: variable("NO_COLOR"),
  forceColor: variable("FORCE_COLOR"),
  term: variable("TERM")
}))
