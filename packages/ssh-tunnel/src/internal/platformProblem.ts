/** What went wrong with a file, in the platform's words. */
import { type PlatformError, Predicate } from "effect"

const causeOf = ({ reason }: PlatformError.PlatformError): unknown => "cause" in reason ? reason.cause : undefined

/** The errno name (`ENOSPC`), where the platform gave one. */
export const errorCode = (error: PlatformError.PlatformError): string | undefined => {
  const cause = causeOf(error)
  return Predicate.hasProperty(cause, "code") && Predicate.isString(cause.code) ? cause.code : undefined
}

/** Such as `ENOSPC: no space left on device, write`. */
export const problemOf = (error: PlatformError.PlatformError): string => {
  const cause = causeOf(error)
  return Predicate.isError(cause) ? cause.message : error.message
}

export const isNotFound = ({ reason }: PlatformError.PlatformError): boolean => reason._tag === "NotFound"
