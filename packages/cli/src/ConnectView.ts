/** What `connect` shows while it works: states as they happen, for a person or for a program. */
import type { Connected, ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { Clock, DateTime, Effect, Option, Ref, Schedule } from "effect"
import * as JsonLines from "./JsonLines.ts"
import { Output } from "./Output.ts"
import * as Sanitize from "./Sanitize.ts"
import { spinnerInterval } from "./Schedules.ts"
import * as StateText from "./StateText.ts"

/** Shows states in the order of their happening. */
export interface ConnectView {
  readonly state: (state: ConnectionState) => Effect.Effect<void>
}

/** NDJSON on stdout. */
export const json = (label: string): ConnectView => ({
  state: (state) =>
    Effect.flatMap(
      JsonLines.now,
      (at) => JsonLines.print({ type: "state", at, profile: label, state: JsonLines.stateJson(state) })
    )
})

/** Something that takes time: its words now (they may count down), and when it began, in ms. */
interface Step {
  readonly text: (now: number) => string
  readonly since: number
}

const unsecured =
  "this server has no password. Every local user of the remote machine can use it, and so can web pages in your " +
  "browser. Start it with OPENCODE_SERVER_PASSWORD set, or let bootstrap start one."

const moved = (port: number): string =>
  `another program holds the local port ${port} that this connection had, so the URL is a new one: what a browser ` +
  "stored under the old one is not seen there."

/** How the person will use the connection; decides where the URL goes and which hints help. */
export interface HumanOptions {
  readonly label: string
  /** stdout belongs to somebody else (`-- CMD`): the URL goes to stderr. */
  readonly urlToStderr: boolean
  /** The connection stays until Ctrl-C: tell how to use and how to end it. */
  readonly hints: boolean
}

/** Lines and a spinner on stderr, the URL on stdout. The spinner lives as long as the scope. */
export const human = Effect.fn("ConnectView.human")(function*(options: HumanOptions) {
  const output = yield* Output
  const { note, paint } = output
  const begun = yield* Clock.currentTimeMillis
  const step = yield* Ref.make(Option.none<Step>())
  /** The last `Connected`, to tell a first one from one after a loss. */
  const last = yield* Ref.make(Option.none<Connected>())

  const draw = Effect.fnUntraced(function*(frame: number) {
    const current = yield* Ref.get(step)
    if (Option.isNone(current)) return
    const now = yield* Clock.currentTimeMillis
    const { since, text } = current.value
    yield* output.status(
      `${StateText.frames[frame % StateText.frames.length]} ${text(now)}  ${StateText.ofElapsed(now - since)}`
    )
  })

  if (output.animated) {
    yield* Effect.addFinalizer(() => output.status(""))
    yield* Effect.forkScoped(
      Effect.repeat(
        Effect.suspend(() => Effect.flatMap(Clock.currentTimeMillis, (now) => draw(Math.floor(now / 100)))),
        Schedule.spaced(spinnerInterval)
      )
    )
  }

  /** Ends the step that is under way and keeps a line of it, with the time it took. */
  const finish = Effect.fnUntraced(function*(sign: string) {
    const before = yield* Ref.getAndSet(step, Option.none())
    if (!output.animated || Option.isNone(before)) return
    yield* output.status("")
    if (sign === "") return
    const now = yield* Clock.currentTimeMillis
    const took = StateText.ofElapsed(now - before.value.since)
    yield* note(`${sign} ${before.value.text(now)}  ${paint("dim", took)}`)
  })

  const done = paint("green", "✓")
  const failed = paint("red", "✗")

  const begin = Effect.fnUntraced(function*(text: (now: number) => string, sign: string) {
    const now = yield* Clock.currentTimeMillis
    const current = yield* Ref.get(step)
    if (Option.isSome(current) && current.value.text(now) === text(now)) return
    yield* finish(sign)
    yield* Ref.set(step, Option.some({ text, since: now }))
    if (output.animated) yield* draw(0)
    else yield* note(text(now))
  })

  const connected = Effect.fnUntraced(function*(state: Connected) {
    const before = yield* Ref.getAndSet(last, Option.some(state))
    const now = yield* Clock.currentTimeMillis
    const took = Option.isNone(before) ? paint("dim", `  ${StateText.ofElapsed(now - begun)}`) : ""
    yield* note(
      `${done} ${paint("bold", StateText.ofState(state, options.label))}: ${StateText.ofServer(state)}${took}`
    )
    if (!Option.exists(before, ({ url }) => url === state.url)) {
      yield* (options.urlToStderr ? note : output.result)(Sanitize.line(state.url))
    }
    if (state.movedFrom !== undefined) yield* note(`${paint("yellow", "warning:")} ${moved(state.movedFrom)}`)
    if (!state.secured && !Option.exists(before, ({ secured }) => !secured)) {
      yield* note(`${paint("yellow", "warning:")} ${unsecured}`)
    }
    if (options.hints && Option.isNone(before)) {
      yield* note(
        paint(
          "dim",
          state.secured
            ? "To open it signed in, add --open; for a script, add -- COMMAND. Ctrl-C disconnects."
            : "Open it in a browser, or add --open. Ctrl-C disconnects."
        )
      )
    }
  })

  const state = Effect.fnUntraced(function*(state: ConnectionState) {
    switch (state._tag) {
      case "Connected":
        yield* finish(done)
        return yield* connected(state)
      case "Reconnecting": {
        yield* finish(failed)
        yield* note(`${paint("yellow", "!")} ${StateText.ofState(state, options.label)}`)
        const at = Option.match(DateTime.make(state.nextAt), {
          onNone: () => 0,
          onSome: DateTime.toEpochMillis
        })
        return yield* begin((now) => {
          const wait = Math.max(0, Math.ceil((at - now) / 1000))
          return `Trying again${wait === 0 ? "" : ` in ${wait} s`} (attempt ${state.attempt})`
        }, "")
      }
      case "Failed":
        return yield* finish(failed)
      case "Disconnecting":
        yield* finish("")
        return yield* begin(() => StateText.ofState(state, options.label), "")
      case "Disconnected":
        yield* finish("")
        return yield* note(StateText.ofState(state, options.label))
      default:
        return yield* begin(() => StateText.ofState(state, options.label), done)
    }
  })

  return { state } satisfies ConnectView
})
