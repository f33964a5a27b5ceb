/** Why a call failed, for people. */
import type { BridgeError } from "@opencode-ai/desktop-bridge/BridgeError"
import type { ConnectionError } from "@opencode-ai/ssh-tunnel/ConnectionError"
import type { RpcClientError } from "effect/rpc/RpcClientError"
import { gone } from "./Strings.ts"

/** What a call of the window can fail with. */
export type CallError = BridgeError | RpcClientError

export interface Problem {
  readonly message: string
  readonly remedy?: string
  /** A line for a terminal. */
  readonly command?: string
  /** The application does not answer; there is a banner for it. */
  readonly gone: boolean
  /** An error of the five classes, for the failure panel. */
  readonly error?: ConnectionError
}

export const problem = (error: CallError): Problem => {
  if (error._tag === "RpcClientError") return { message: gone.call, gone: true }
  const { command, text } = error.remedy
  return {
    message: error.message,
    remedy: text,
    gone: false,
    ...(command === undefined ? undefined : { command }),
    ...("reason" in error ? { error } : undefined)
  }
}
