/** Hands out the steps of an examination: in order, each once, with its share of the time. */
import { type Cause, Clock, Effect, Queue, Ref } from "effect"
import type { ConnectionError } from "../ConnectionError.ts"
import { DoctorStep, StepId, type StepStatus, titles } from "../DoctorStep.ts"

/** What is found out about a step. */
export interface Finding {
  readonly status: StepStatus
  readonly detail?: string | undefined
  readonly error?: ConnectionError | undefined
}

/** See the module. */
export interface Walk {
  /**
   * Tells a step. Steps before it that were not told are skipped; a step that
   * was told stays as it was.
   */
  readonly tell: (id: StepId, finding: Finding) => Effect.Effect<void>
  /** Skips what is left. */
  readonly skipRest: (detail?: string) => Effect.Effect<void>
  /** The step that is next to be told; `undefined` when all were. */
  readonly next: Effect.Effect<StepId | undefined>
}

const order = StepId.literals

/** Whether a step comes before another one. */
export const isBefore = (id: StepId, other: StepId): boolean => order.indexOf(id) < order.indexOf(other)

/** A walk from its beginning, whose steps go to the queue. */
export const make = Effect.fnUntraced(function*(queue: Queue.Enqueue<DoctorStep, Cause.Done>) {
  const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)
  const at = yield* Ref.make({ index: 0, since: yield* now })

  const tell = Effect.fnUntraced(function*(id: StepId, { detail, error, status }: Finding) {
    const time = yield* now
    const { index, since } = yield* Ref.get(at)
    const own = order.indexOf(id)
    if (own < index) return
    for (const skipped of order.slice(index, own)) {
      yield* Queue.offer(
        queue,
        new DoctorStep({ id: skipped, title: titles[skipped], status: "skipped", detail: "", durationMs: 0 })
      )
    }
    // The fractions that rounding drops belong to the steps to come.
    const durationMs = status === "skipped" ? 0 : Math.max(0, Math.round(time - since))
    yield* Ref.set(at, { index: own + 1, since: since + durationMs })
    yield* Queue.offer(
      queue,
      new DoctorStep({
        id,
        title: titles[id],
        status,
        detail: detail ?? "",
        durationMs,
        ...(error === undefined ? undefined : { error })
      })
    )
  }, Effect.uninterruptible)

  const next = Effect.map(Ref.get(at), ({ index }) => order[index])
  const walk: Walk = {
    tell,
    next,
    skipRest: Effect.fnUntraced(function*(detail = "") {
      const from = yield* Ref.get(at)
      for (const id of order.slice(from.index)) yield* tell(id, { status: "skipped", detail })
    })
  }
  return walk
})
