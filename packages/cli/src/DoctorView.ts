/** What `doctor` shows: each step in a line as soon as it is decided, and what to do about the first that failed. */
import type { ConnectionError } from "@opencode-ai/ssh-tunnel/ConnectionError"
import { type DoctorStep, StepId, type StepStatus, titles } from "@opencode-ai/ssh-tunnel/DoctorStep"
import { Clock, Effect, Option, Ref, Schedule } from "effect"
import * as Failure from "./Failure.ts"
import * as JsonLines from "./JsonLines.ts"
import { Output, type Style } from "./Output.ts"
import * as Sanitize from "./Sanitize.ts"
import { spinnerInterval } from "./Schedules.ts"
import * as StateText from "./StateText.ts"

/** How an examination ended. */
export interface Summary {
  readonly warnings: number
  readonly durationMs: number
  /** The first step that failed; a failed step always has its error. */
  readonly failed: Option.Option<{ readonly step: DoctorStep; readonly error: ConnectionError }>
}

/** Adds up the steps of an examination. */
export const summaryOf = (steps: ReadonlyArray<DoctorStep>): Summary => {
  const failed = steps.find(({ error, status }) => status === "failed" && error !== undefined)
  return {
    warnings: steps.filter(({ status }) => status === "warning").length,
    durationMs: steps.reduce((sum, { durationMs }) => sum + durationMs, 0),
    failed: failed?.error === undefined ? Option.none() : Option.some({ step: failed, error: failed.error })
  }
}

/** Shows the steps in the order of their coming, then the summary. */
export interface DoctorView {
  readonly step: (step: DoctorStep) => Effect.Effect<void>
  readonly summary: (summary: Summary) => Effect.Effect<void>
}

/** NDJSON on stdout. */
export const json = (label: string): DoctorView => ({
  step: (step) =>
    Effect.flatMap(
      JsonLines.now,
      (at) => JsonLines.print({ type: "step", at, profile: label, step: JsonLines.stepJson(step) })
    ),
  summary: ({ durationMs, failed, warnings }) =>
    Effect.flatMap(JsonLines.now, (at) =>
      JsonLines.print({
        type: "examination",
        at,
        profile: label,
        status: Option.isSome(failed) ? "failed" : "ok",
        warnings,
        durationMs,
        failed: Option.isSome(failed) ? failed.value.step.id : null,
        ...(Option.isSome(failed) ? { error: JsonLines.errorJson(failed.value.error) } : undefined)
      }))
})

const signs: Readonly<Record<StepStatus, readonly [sign: string, style: Style]>> = {
  ok: ["✔", "green"],
  failed: ["✘", "red"],
  warning: ["!", "yellow"],
  skipped: ["–", "dim"]
}

const titleWidth = Math.max(...Object.values(titles).map((title) => title.length))

/** Milliseconds below a second: most steps take some ten of them. */
const elapsed = (millis: number): string => millis < 1000 ? `${millis} ms` : StateText.ofElapsed(millis)

const timeWidth = "999 ms".length

/**
 * A step as lines without colours: sign, title, time, then the error or the
 * detail; further lines stand below.
 */
const linesOf = ({ detail, durationMs, error, status, title }: DoctorStep) => {
  const texts = [...(error === undefined ? [] : [error.message]), ...detail.split("\n")].map(Sanitize.line)
    .filter((text) => text !== "")
  const [first = "", ...others] = texts
  const time = status === "skipped" ? "" : elapsed(durationMs)
  const indent = " ".repeat(2 + titleWidth + 2 + timeWidth + 2)
  return {
    head: `${title.padEnd(titleWidth)}  ${time.padStart(timeWidth)}  ${first}`.trimEnd(),
    below: others.map((text) => `${indent}${text}`)
  }
}

/** Lines on stdout, and on a terminal what is being looked at. The spinner lives as long as the scope. */
export const human = Effect.fn("DoctorView.human")(function*(label: string) {
  const output = yield* Output
  // The lines are the result, which may go to a file while stderr is a terminal.
  const paint = (style: Style, text: string) => output.stdoutIsTerminal ? output.paint(style, text) : text
  const current = yield* Ref.make({
    id: StepId.literals[0] as StepId | undefined,
    since: yield* Clock.currentTimeMillis
  })

  const draw = Effect.gen(function*() {
    const { id, since } = yield* Ref.get(current)
    if (id === undefined) return yield* output.status("")
    const now = yield* Clock.currentTimeMillis
    const frame = StateText.frames[Math.floor(now / 100) % StateText.frames.length]
    yield* output.status(`${frame} ${titles[id]}?  ${StateText.ofElapsed(now - since)}`)
  })
  if (output.animated) {
    yield* Effect.addFinalizer(() => output.status(""))
    yield* draw
    yield* Effect.forkScoped(Effect.repeat(draw, Schedule.spaced(spinnerInterval)))
  }

  const step = Effect.fnUntraced(function*(step: DoctorStep) {
    const [sign, style] = signs[step.status]
    const { below, head } = linesOf(step)
    yield* output.result(`${paint(style, sign)} ${step.status === "skipped" ? paint("dim", head) : head}`)
    for (const line of below) yield* output.result(step.status === "skipped" ? paint("dim", line) : line)
    const next = StepId.literals[StepId.literals.indexOf(step.id) + 1]
    yield* Ref.set(current, { id: next, since: yield* Clock.currentTimeMillis })
    yield* draw
  })

  const summary = Effect.fnUntraced(function*({ failed, warnings }: Summary) {
    yield* output.result("")
    if (Option.isNone(failed)) {
      const text = warnings === 0
        ? "nothing is wrong"
        : `it works; ${warnings === 1 ? "one warning" : `${warnings} warnings`}`
      return yield* output.result(`${Sanitize.line(label)}: ${text}`)
    }
    const { error } = failed.value
    const { command, text } = error.remedy
    yield* output.result(`${paint("red", "error:")} ${Sanitize.line(error.message)}`)
    for (const line of Failure.details(error)) yield* output.result(paint("dim", `  | ${line}`))
    yield* output.result(Sanitize.line(text))
    if (command === undefined) return
    yield* output.result("")
    yield* output.result(`  ${paint("bold", Sanitize.line(command))}`)
  })

  return { step, summary } satisfies DoctorView
})
