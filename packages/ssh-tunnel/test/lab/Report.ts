/** What the product said in a scenario, for a person at a terminal. */
import { describe } from "../../src/ConnectionError.ts"
import type { ConnectionState } from "../../src/ConnectionState.ts"
import { missing, type Outcome, type Step } from "./Run.ts"
import type { Failure, Scenario } from "./Scenario.ts"
import { groups } from "./scenarios.ts"

/** A state in a few words. */
const stateText = (state: ConnectionState): string => {
  switch (state._tag) {
    case "Connecting": {
      const { hop, step, waitingFor } = state
      return `Connecting, ${step}${hop === undefined ? "" : ` at ${hop}`}${
        waitingFor === undefined ? "" : `, waiting for the ${waitingFor}`
      }`
    }
    case "Bootstrapping":
      return `Bootstrapping, ${state.step}`
    case "Connected":
      return `Connected to ${state.generation} ${state.serverVersion} at ${state.url}${
        state.bootstrapped === false ? "" : `, ${state.bootstrapped}`
      }`
    case "Reconnecting":
      return `Reconnecting, attempt ${state.attempt}`
    default:
      return state._tag
  }
}

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`

const stepText = ({ at, state }: Step): string => `${seconds(at).padStart(9)}  ${stateText(state)}`

/** `Class.Reason`, with the jump host when it is at one. */
const failureText = ({ error, hop, reason }: Pick<Failure, "error" | "reason" | "hop">): string =>
  `${error}.${reason}${hop === undefined ? "" : ` at the jump host ${hop}`}`

/** What one run of a scenario has shown. */
export const describeOutcome = (scenario: Scenario, { error, steps }: Outcome): string => {
  const { expected } = scenario
  const head = [
    scenario.name,
    `  ${scenario.about}${scenario.origin === "transcript" ? " (A stand-in for ssh prints a transcript.)" : ""}`,
    ...steps.map(stepText)
  ]
  if (error === undefined) {
    return [...head, `  connected; expected: ${expected === "Connected" ? "the same" : failureText(expected)}`].join(
      "\n"
    )
  }
  const { _tag, message, reason, remedy, retryable } = describe(error)
  const { _tag: name, ...fields } = reason
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["error", `${_tag}.${name}`],
    ["expected", expected === "Connected" ? "none" : failureText(expected)],
    ["message", message],
    ["remedy", remedy.text],
    ...(remedy.command === undefined ? [] : [["command", remedy.command] as const]),
    ["retryable", retryable ? "yes" : "no"],
    ...Object.entries(fields).map(([field, value]) => [`.${field}`, JSON.stringify(value)] as const)
  ]
  return [...head, ...rows.map(([label, text]) => `  ${label.padEnd(10)} ${text}`)].join("\n")
}

/** All scenarios by group, one a line. */
export const listing = (): string => {
  const width = Math.max(...groups.flatMap((group) => group.scenarios).map(({ name }) => name.length))
  return groups.map(({ scenarios, title }) =>
    [
      title,
      ...scenarios.map((scenario) => {
        const absent = missing(scenario)
        return `  ${scenario.name.padEnd(width)}  ${scenario.about}${
          absent.length === 0 ? "" : ` [needs ${absent.join(", ")}]`
        }`
      })
    ].join("\n")
  ).join("\n\n")
}
