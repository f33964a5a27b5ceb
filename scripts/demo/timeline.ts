/** Shows each state of a connection as it happens: when it began, and how long it took once it is over. */
import type { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import * as Sanitize from "../../packages/cli/src/Sanitize.ts"
import * as StateText from "../../packages/cli/src/StateText.ts"
import type { Screen } from "./screen.ts"

/** Milliseconds as a right-aligned column. */
export const column = (milliseconds: number): string => `${Math.round(milliseconds)} ms`.padStart(9)

const wordsWidth = 46

const wordsOf = (state: ConnectionState, label: string): string => {
  switch (state._tag) {
    case "Connected":
      return StateText.ofServer(state)
    case "Reconnecting":
      return Sanitize.line(`attempt ${state.attempt}: ${state.error.message}`)
    case "Failed":
      return Sanitize.line(state.error.reason._tag)
    case "Disconnecting":
    case "Disconnected":
      return ""
    default:
      return StateText.ofState(state, label)
  }
}

/** States that last: nobody waits for their end. */
const isResting = ({ _tag }: ConnectionState): boolean => ["Connected", "Failed", "Disconnected"].includes(_tag)

/** Takes each state with its time, in milliseconds since the connect. */
export const make = ({ begin, complete, line, paint }: Screen, label: string) => {
  let since = 0
  return (state: ConnectionState, now: number): void => {
    complete(paint("dim", column(now - since)))
    const name = state._tag.padEnd(13)
    const sign = state._tag === "Failed" ? "red" : state._tag === "Connected" ? "green" : "bold"
    const start = `${column(now)}  ${paint(sign, name)} `
    const words = wordsOf(state, label)
    if (isResting(state)) line(`${start} ${words}`.trimEnd())
    else begin(`${start} ${words.padEnd(wordsWidth)}`)
    since = now
  }
}
