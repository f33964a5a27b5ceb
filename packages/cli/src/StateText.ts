/** A connection's states in words. */
import type { Connected, ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import * as Sanitize from "./Sanitize.ts"

const connecting = (state: Extract<ConnectionState, { _tag: "Connecting" }>, label: string): string => {
  const place = state.hop === undefined ? label : `jump host ${state.hop}`
  if (state.waitingFor !== undefined) return `Touch your security key to log in at ${place}`
  switch (state.step) {
    case "starting":
      return "Starting ssh"
    case "connecting":
      return `Connecting to ${place}`
    case "authenticating":
      return `Logging in at ${place}`
  }
}

/** What is going on, in one harmless line without a full stop. */
export const ofState = (state: ConnectionState, label: string): string => {
  switch (state._tag) {
    case "Disconnected":
      return "Disconnected"
    case "Connecting":
      return Sanitize.line(connecting(state, label))
    case "Discovering":
      return "Looking for the OpenCode server"
    case "Bootstrapping":
      return {
        looking: "Looking for OpenCode on the remote machine",
        starting: "Starting OpenCode there",
        waiting: "Waiting for OpenCode to answer"
      }[state.step]
    case "Connected":
      return Sanitize.line(`Connected to ${label}`)
    case "Reconnecting":
      return Sanitize.line(`Not connected: ${state.error.message}`)
    case "Failed":
      return Sanitize.line(`Failed: ${state.error.message}`)
    case "Disconnecting":
      return "Disconnecting"
  }
}

/** The server behind a connection, in one harmless line. */
export const ofServer = (state: Connected): string =>
  Sanitize.line(
    `OpenCode ${state.serverVersion} on remote port ${state.remotePort}${
      state.bootstrapped === "started" ? ", just started" : state.bootstrapped === "reused" ? ", started earlier" : ""
    }`
  )

/** The pictures of the spinner, each shown for a tenth of a second. */
export const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]

/** Time spent, for a person: tenths of a second below a minute. */
export const ofElapsed = (millis: number): string => {
  const seconds = millis / 1000
  return seconds < 60
    ? `${seconds.toFixed(1)} s`
    : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`
}
