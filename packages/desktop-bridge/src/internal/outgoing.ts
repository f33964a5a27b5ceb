/**
 * What leaves for a window: secrets that this process knows are hidden, and texts of strangers cannot act. Words stay
 * what they are, so that errors arrive as instances of their classes.
 */
import { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import type { Credentials } from "@opencode-ai/ssh-tunnel/Credentials"
import { CredentialStore } from "@opencode-ai/ssh-tunnel/CredentialStore"
import { DoctorStep } from "@opencode-ai/ssh-tunnel/DoctorStep"
import { FlightRecorder } from "@opencode-ai/ssh-tunnel/FlightRecorder"
import type { ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import * as Redaction from "@opencode-ai/ssh-tunnel/Redaction"
import { Effect, Equal, Option, Redacted, Ref, Schema } from "effect"
import { BridgeError } from "../BridgeError.ts"
import * as Sanitize from "../Sanitize.ts"

/** Makes one text fit to be shown. */
export type Clean = (text: string) => string

/** Nobody reads a longer line. */
const longestLine = 4096

/** Every string of plain data, but not the names of things. */
const mapTexts = (value: unknown, clean: Clean): unknown => {
  if (typeof value === "string") return clean(value)
  if (Array.isArray(value)) return value.map((item: unknown) => mapTexts(item, clean))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]: [string, unknown]) => [key, key === "_tag" ? item : mapTexts(item, clean)])
  )
}

/**
 * The same value with its texts cleaned. The schemas that are used here hold texts of strangers in plain strings, which
 * may become any other string.
 */
const through = <S extends Schema.Codec<unknown, unknown>>(schema: S) => {
  const encode = Schema.encodeSync(schema)
  const decode = Schema.decodeUnknownSync(schema)
  return (value: S["Type"], clean: Clean): S["Type"] => decode(mapTexts(encode(value), clean))
}

/** See the module. */
export const state = through(ConnectionState)
export const step = through(DoctorStep)
export const error = through(BridgeError)

/** A line of a log. */
export const logLine = (text: string, clean: Clean): string =>
  Sanitize.line(clean(text.slice(0, longestLine)), longestLine)

/** Plain data that is all texts of strangers. */
export const plain = <A>(value: A, clean: Clean): A => mapTexts(value, clean) as A

const secretsOf = ({ authorization, password }: Credentials): ReadonlyArray<Redacted.Redacted<string>> => [
  password,
  Redacted.make(Redacted.value(authorization).replace(/^Basic /, ""))
]

/** Knows the secrets of this process as they are when it is asked. */
export const make = Effect.gen(function*() {
  const recorder = yield* FlightRecorder
  const credentials = yield* CredentialStore
  const compiled = yield* Ref.make<{ readonly of: ReadonlyArray<Redacted.Redacted<string>>; readonly clean: Clean }>({
    of: [],
    clean: Sanitize.lines
  })

  /** How texts about this profile are cleaned; without one, about none in particular. */
  const cleaner = Effect.fnUntraced(function*(id?: ProfileId) {
    const stored = id === undefined ? Option.none<Credentials>() : yield* credentials.get(id)
    const secrets = [...yield* recorder.secrets, ...Option.toArray(stored).flatMap(secretsOf)]
    const known = yield* Ref.get(compiled)
    const isSame = known.of.length === secrets.length &&
      known.of.every((secret, index) => Equal.equals(secret, secrets[index]))
    if (isSame && secrets.length > 0) return known.clean
    const context = Redaction.context({ secrets, pseudonyms: false })
    const clean: Clean = (text) => Sanitize.lines(Redaction.redactText(text, context))
    yield* Ref.set(compiled, { of: secrets, clean })
    return clean
  })

  return { cleaner }
})
