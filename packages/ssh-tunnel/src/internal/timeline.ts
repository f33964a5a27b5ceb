/** The states of a connection as lines for people: what began when, and how long it lasted. */
import { DateTime } from "effect"
import type { ConnectionState } from "../ConnectionState.ts"
import type { RecordedState } from "../FlightRecorder.ts"

/** One state of the timeline; texts as they were seen. */
export interface TimelineEntry {
  readonly at: string
  readonly state: ConnectionState["_tag"]
  readonly detail: string
  /** Milliseconds until the next state, or until the report for the last one. */
  readonly lasted: number
}

/** Milliseconds since 1970 as ISO 8601 text. */
export const instant = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis))

const detailOf = (state: ConnectionState): string => {
  switch (state._tag) {
    case "Disconnected":
    case "Discovering":
    case "Disconnecting":
      return ""
    case "Connecting":
      return [
        state.step,
        ...(state.hop === undefined ? [] : [`at the jump host ${state.hop}`]),
        ...(state.waitingFor === undefined ? [] : [`waiting for a touch of the ${state.waitingFor}`])
      ].join(", ")
    case "Bootstrapping":
      return state.step
    case "Connected":
      return [
        `${state.url} to remote port ${state.remotePort}`,
        `OpenCode ${state.serverVersion} (${state.generation})`,
        state.secured ? "with a password" : "without a password",
        ...(state.bootstrapped === false ? [] : [`${state.bootstrapped} by bootstrap`]),
        `strategy ${state.strategy}`
      ].join(", ")
    case "Reconnecting":
      return `attempt ${state.attempt} at ${state.nextAt} after ${state.error._tag}/${state.error.reason._tag}`
    case "Failed":
      return `${state.error._tag}/${state.error.reason._tag}`
  }
}

/** `now`: when the report is made. */
export const timeline = (states: ReadonlyArray<RecordedState>, now: number): ReadonlyArray<TimelineEntry> =>
  states.map(({ at, state }, index) => ({
    at: instant(at),
    state: state._tag,
    detail: detailOf(state),
    lasted: Math.max(0, (states[index + 1]?.at ?? now) - at)
  }))

/** Milliseconds for people. */
export const span = (millis: number): string => {
  if (millis < 10_000) return `${(millis / 1000).toFixed(3)} s`
  const seconds = Math.round(millis / 1000)
  const parts = [[Math.floor(seconds / 3600), "h"], [Math.floor(seconds / 60) % 60, "min"], [
    seconds % 60,
    "s"
  ]] as const
  return parts.filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}`).join(" ")
}
