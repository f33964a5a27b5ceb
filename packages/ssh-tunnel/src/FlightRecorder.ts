/**
 * What happened on the connections of this process, kept for reports: in
 * memory, bounded, and as it was seen. Redact before showing.
 */
import { Clock, Context, Effect, Equal, HashMap, Layer, Option, type Redacted, Ref } from "effect"
import type { ConnectionState } from "./ConnectionState.ts"
import type { ProfileId } from "./Profile.ts"

/** A state, and when it began (milliseconds since 1970). */
export interface RecordedState {
  readonly at: number
  readonly state: ConnectionState
}

/** An answer to a request for a health endpoint. */
export interface RecordedProbe {
  readonly at: number
  readonly remotePort: number
  readonly path: string
  /** What it means, in words. */
  readonly answer: string
}

/** An `opencode` that bootstrap found on the remote machine. */
export interface RecordedCandidate {
  readonly at: number
  readonly path: string
  readonly version?: string
}

/** Whose output: ssh's own stderr, or that of a remote command. */
export type OutputSource = "ssh" | "remote stdout" | "remote stderr"

/** What one process printed. */
export interface RecordedOutput {
  readonly id: number
  readonly at: number
  readonly source: OutputSource
  /** The end of it, of any content. */
  readonly text: string
  /** Whether its beginning was forgotten. */
  readonly cut: boolean
}

/** Everything that is still known of one profile's connection, oldest first. */
export interface History {
  readonly states: ReadonlyArray<RecordedState>
  /** How many states are forgotten. */
  readonly forgotten: number
  readonly probes: ReadonlyArray<RecordedProbe>
  readonly candidates: ReadonlyArray<RecordedCandidate>
  readonly outputs: ReadonlyArray<RecordedOutput>
}

/** Nothing happened. */
export const emptyHistory: History = { states: [], forgotten: 0, probes: [], candidates: [], outputs: [] }

const maxStates = 100
const maxProbes = 40
const maxCandidates = 20
/** Per source. */
const maxOutputs = 6
/** More passwords than any person's machines have. */
const maxSecrets = 1000

/**
 * How much of one source is kept at least, in UTF-16 units: what a report
 * shows (16 KiB), and as much before it as is needed to recognise what the
 * report's edge cuts.
 */
export const keptOutput = 24 * 1024

/** Where the parts of a connection write down what they see. None of it ever fails or waits. */
export interface Recorder {
  readonly state: (state: ConnectionState) => Effect.Effect<void>
  readonly probe: (probe: Omit<RecordedProbe, "at">) => Effect.Effect<void>
  readonly candidate: (candidate: Omit<RecordedCandidate, "at">) => Effect.Effect<void>
  /** For one process: the result takes its output in chunks, cut anywhere. */
  readonly output: (source: OutputSource) => Effect.Effect<(chunk: string) => Effect.Effect<void>>
  /** A secret that was made or received, so that reports never show it. */
  readonly secret: (secret: Redacted.Redacted<string>) => Effect.Effect<void>
}

/**
 * The recorder of the connection that the current fiber works for; outside of a
 * connection it forgets everything.
 */
export class Recording extends Context.Reference<Recorder>("@opencode-ai/ssh-tunnel/FlightRecorder/Recording", {
  defaultValue: (): Recorder => ({
    state: () => Effect.void,
    probe: () => Effect.void,
    candidate: () => Effect.void,
    output: () => Effect.succeed(() => Effect.void),
    secret: () => Effect.void
  })
}) {}

const pushed = <A>(items: ReadonlyArray<A>, item: A, max: number): ReadonlyArray<A> =>
  items.length < max ? [...items, item] : [...items.slice(1 - max), item]

/** A copy that does not keep the long text alive from which it was cut (engines share the memory of substrings). */
const detached = (text: string): string => ` ${text}`.slice(1)

/** Cuts only now and then, so that many small chunks cost no more than their length. */
const appended = (output: RecordedOutput, chunk: string): RecordedOutput => {
  const text = chunk.length >= keptOutput ? chunk.slice(-keptOutput) : output.text + chunk
  return text.length > 2 * keptOutput
    ? { ...output, text: detached(text.slice(-keptOutput)), cut: true }
    : { ...output, text, cut: output.cut || text.length < output.text.length + chunk.length }
}

const opened = (history: History, output: RecordedOutput): History => {
  const same = history.outputs.filter(({ source }) => source === output.source)
  const oldest = same.length < maxOutputs ? undefined : same[0]?.id
  return { ...history, outputs: [...history.outputs.filter(({ id }) => id !== oldest), output] }
}

/** See the module. */
export class FlightRecorder extends Context.Service<FlightRecorder, {
  /** The recorder of a profile's connection; put it in the way by `Effect.provideService(Recording, …)`. */
  readonly recorder: (id: ProfileId) => Recorder
  readonly history: (id: ProfileId) => Effect.Effect<History>
  /** The secrets that the connections told of, each once. */
  readonly secrets: Effect.Effect<ReadonlyArray<Redacted.Redacted<string>>>
}>()("@opencode-ai/ssh-tunnel/FlightRecorder") {
  static readonly layer: Layer.Layer<FlightRecorder> = Layer.effect(
    FlightRecorder,
    Effect.gen(function*() {
      const histories = yield* Ref.make(HashMap.empty<ProfileId, History>())
      const outputs = yield* Ref.make(0)
      const secrets = yield* Ref.make<ReadonlyArray<Redacted.Redacted<string>>>([])

      const historyIn = (all: HashMap.HashMap<ProfileId, History>, id: ProfileId) =>
        Option.getOrElse(HashMap.get(all, id), () => emptyHistory)

      const recorder = (id: ProfileId): Recorder => {
        const update = (change: (history: History, at: number) => History) =>
          Effect.flatMap(
            Clock.currentTimeMillis,
            (at) => Ref.update(histories, (all) => HashMap.set(all, id, change(historyIn(all, id), at)))
          )
        return {
          state: (state) =>
            update((history, at) => ({
              ...history,
              states: pushed(history.states, { at, state }, maxStates),
              forgotten: history.forgotten + (history.states.length < maxStates ? 0 : 1)
            })),
          probe: (probe) =>
            update((history, at) => ({ ...history, probes: pushed(history.probes, { at, ...probe }, maxProbes) })),
          candidate: (candidate) =>
            update((history, at) => ({
              ...history,
              candidates: pushed(history.candidates, { at, ...candidate }, maxCandidates)
            })),
          output: Effect.fnUntraced(function*(source: OutputSource) {
            const number = yield* Ref.updateAndGet(outputs, (count) => count + 1)
            yield* update((history, at) => opened(history, { id: number, at, source, text: "", cut: false }))
            return (chunk: string) =>
              update((history) => ({
                ...history,
                outputs: history.outputs.map((output) => output.id === number ? appended(output, chunk) : output)
              }))
          }),
          secret: (secret) =>
            Ref.update(
              secrets,
              (all) => all.some((known) => Equal.equals(known, secret)) ? all : pushed(all, secret, maxSecrets)
            )
        }
      }

      return FlightRecorder.of({
        recorder,
        history: (id) => Effect.map(Ref.get(histories), (all) => historyIn(all, id)),
        secrets: Ref.get(secrets)
      })
    })
  )
}
