/** What a state looks like: its colour, its icon, and what is worth saying about it in one line. */
import type { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { detail, duration, steps, words } from "./Strings.ts"

/** Names of colours, not colours: the tokens know those. */
export type Tone = "neutral" | "busy" | "good" | "warning" | "bad"

export type StateIcon = "circle" | "spinner" | "check" | "retry" | "cross"

export interface StateView {
  readonly word: string
  readonly tone: Tone
  readonly icon: StateIcon
}

const views: { readonly [Tag in ConnectionState["_tag"]]: StateView } = {
  Disconnected: { word: words.Disconnected, tone: "neutral", icon: "circle" },
  Connecting: { word: words.Connecting, tone: "busy", icon: "spinner" },
  Discovering: { word: words.Discovering, tone: "busy", icon: "spinner" },
  Bootstrapping: { word: words.Bootstrapping, tone: "busy", icon: "spinner" },
  Connected: { word: words.Connected, tone: "good", icon: "check" },
  Reconnecting: { word: words.Reconnecting, tone: "warning", icon: "retry" },
  Failed: { word: words.Failed, tone: "bad", icon: "cross" },
  Disconnecting: { word: words.Disconnecting, tone: "busy", icon: "spinner" }
}

export const view = (state: ConnectionState): StateView => views[state._tag]

/** A connection is being made. */
export const isWorking = (state: ConnectionState): boolean =>
  state._tag === "Connecting" || state._tag === "Discovering" || state._tag === "Bootstrapping"

/** There is something to disconnect or cancel. */
export const isActive = (state: ConnectionState): boolean =>
  isWorking(state) || state._tag === "Connected" || state._tag === "Reconnecting"

/** Whether its line changes as time passes. */
export const isTicking = (state: ConnectionState): boolean => isActive(state)

/** What is being done right now; empty when nothing is. */
export const step = (state: ConnectionState): string => {
  switch (state._tag) {
    case "Connecting":
      return state.waitingFor === "security-key" ? steps.securityKey : steps.at(state.step, state.hop)
    case "Discovering":
      return steps.discovering
    case "Bootstrapping":
      return { looking: steps.looking, starting: steps.starting, waiting: steps.waiting }[state.step]
    case "Disconnecting":
      return steps.disconnecting
    default:
      return ""
  }
}

/** Seconds since an instant, at `now` (milliseconds of the epoch); 0 when the clocks disagree or the text is no instant. */
export const secondsSince = (since: string, now: number): number => {
  const seconds = (now - Date.parse(since)) / 1000
  return seconds > 0 ? Math.floor(seconds) : 0
}

/** Whole seconds until an instant, at least 0. */
export const secondsUntil = (instant: string, now: number): number => {
  const seconds = (Date.parse(instant) - now) / 1000
  return seconds > 0 ? Math.ceil(seconds) : 0
}

/** How long this state lasts already; `undefined` where that says nothing. */
export const elapsed = (state: ConnectionState, now: number): string | undefined =>
  isWorking(state) || state._tag === "Connected"
    ? duration(secondsSince((state as { readonly since: string }).since, now))
    : undefined

/** The small grey words behind the pill in the list. */
export const summary = (state: ConnectionState, now: number): string => {
  switch (state._tag) {
    case "Connected":
      return `${state.serverVersion} · :${state.localPort}`
    case "Reconnecting":
      return detail.in(secondsUntil(state.nextAt, now))
    case "Failed":
      return state.error.message
    case "Connecting":
    case "Discovering":
    case "Bootstrapping":
      return `${elapsed(state, now) ?? ""} · ${step(state)}`
    default:
      return ""
  }
}

/** What the live region adds to the word. Never a time: it would be read out every second. */
export const announcement = (state: ConnectionState): string =>
  state._tag === "Failed" || state._tag === "Reconnecting"
    ? state.error.message
    : state._tag === "Connecting" && state.waitingFor !== undefined
    ? steps.securityKey
    : ""
