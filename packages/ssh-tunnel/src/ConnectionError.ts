/** The five error classes as one union, and their description for reports and the command line. */
import { Schema } from "effect"
import { BootstrapError } from "./BootstrapError.ts"
import { CompatibilityError } from "./CompatibilityError.ts"
import { ConfigurationError } from "./ConfigurationError.ts"
import { DiscoveryError } from "./DiscoveryError.ts"
import type { Remedy } from "./Remedy.ts"
import { TransportError } from "./TransportError.ts"

/** Any error of a connection; decodes back to instances, so `message`, `retryable` and `remedy` work after the wire. */
export const ConnectionError = Schema.Union([
  ConfigurationError,
  TransportError,
  DiscoveryError,
  BootstrapError,
  CompatibilityError
])
export type ConnectionError = typeof ConnectionError.Type

/** Whether a value is one of the five error classes. */
export const isConnectionError = Schema.is(ConnectionError)

const encode = Schema.encodeSync(ConnectionError)

/**
 * An error as reports and `--json` show it: the wire form and the derived
 * texts. `remedy.command` is absent where no command helps.
 */
export type Described = (typeof ConnectionError)["Encoded"] & {
  readonly message: string
  readonly retryable: boolean
  readonly remedy: (typeof Remedy)["Encoded"]
}

/** Adds the derived texts to an error's wire form. */
export const describe = (error: ConnectionError): Described => {
  const { command, text } = error.remedy
  return {
    ...encode(error),
    message: error.message,
    retryable: error.retryable,
    remedy: { text, ...(command === undefined ? undefined : { command }) }
  }
}
