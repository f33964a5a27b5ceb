/** What the words of a command line mean: a saved profile or a destination, with the options that override it. */
import { ConfigurationError, ProfileNotFound } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import { Destination, Host, joinAddress, splitAddress } from "@opencode-ai/ssh-tunnel/Destination"
import { type BootstrapSettings, noBootstrap, Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { resolveProfile } from "@opencode-ai/ssh-tunnel/ProfileDraft"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { Effect, Option, Record, Result, Schema } from "effect"
import { UsageError } from "./CliFailure.ts"
import type { Given } from "./ProfileFlags.ts"

/** A profile to connect with, and what to call it: its name, or the destination as it was given. */
export interface Target {
  readonly profile: Profile
  readonly label: string
}

type Encoded = (typeof Profile)["Encoded"]

const decodeProfile = Schema.decodeUnknownEffect(Profile)
const encodeProfile = Schema.encodeSync(Profile)
const isHost = Schema.is(Host)
const isDestination = Schema.decodeUnknownResult(Destination)

/** A profile from values that a person typed; what is wrong with them is wrong usage. */
export const profileFrom = (values: Encoded): Effect.Effect<Profile, UsageError> =>
  Effect.mapError(decodeProfile(values), (error) => new UsageError({ message: error.message }))

const bootstrapFrom = (before: BootstrapSettings, given: Given): BootstrapSettings => ({
  ...before,
  ...Option.match(given.bootstrap, { onNone: () => undefined, onSome: (enabled) => ({ enabled }) }),
  ...Option.match(given.bootstrapPort, { onNone: () => undefined, onSome: (port) => ({ port }) }),
  ...Option.match(given.lifetime, { onNone: () => undefined, onSome: (lifetime) => ({ lifetime }) })
})

/** Puts the given options over a profile's values. */
export const override = (profile: Profile, given: Given): Effect.Effect<Profile, UsageError> =>
  profileFrom({
    ...encodeProfile(profile),
    // One by one: the options of a command are more than these.
    ...Record.getSomes<string, string | number>({
      sshConfig: given.sshConfig,
      user: given.user,
      port: given.port,
      identityFile: given.identityFile,
      proxyJump: given.proxyJump,
      remotePort: given.remotePort,
      localPort: given.localPort,
      username: given.username,
      versionRange: given.versionRange,
      strategy: given.strategy
    }),
    bootstrap: bootstrapFrom(profile.bootstrap, given)
  })

/** FNV-1a, 64 bits: the same text has the same hash for ever, on every machine. */
const hash = (text: string): string =>
  new TextEncoder().encode(text)
    .reduce((value, byte) => BigInt.asUintN(64, (value ^ BigInt(byte)) * 0x100000001b3n), 0xcbf29ce484222325n)
    .toString(16)
    .padStart(16, "0")

/**
 * The identity of a destination that nobody saved: the same for the same
 * server, so that it gets the local port of last time, and with it the same
 * URL and browser storage.
 */
const adHocId = (destination: string, given: Given): string =>
  `adhoc-${
    hash(JSON.stringify([
      destination,
      ...[given.user, given.port, given.proxyJump, given.sshConfig, given.remotePort].map((value) =>
        Option.getOrNull<string | number>(value)
      )
    ]))
  }`

const destinationTarget = Effect.fnUntraced(function*(text: string, given: Given) {
  const address = splitAddress(text)
  const forced = text.startsWith("ssh://")
  if (!forced && !(address !== undefined && isHost(address.host))) {
    // Rather a profile's name with a typing error than a host.
    return yield* new ConfigurationError({ reason: new ProfileNotFound({ profile: text }) })
  }
  if (address === undefined) {
    return yield* new UsageError({ message: `${text}: expected ssh://[user@]host[:port]` })
  }
  const valid = isDestination(address)
  if (Result.isFailure(valid)) {
    return yield* new UsageError({ message: `${text} is not a destination: ${valid.failure.message}` })
  }
  const profile = yield* profileFrom({
    ...address,
    id: adHocId(joinAddress(address), given),
    name: text.slice(0, 200),
    bootstrap: noBootstrap
  })
  return { profile: yield* override(profile, given), label: text } satisfies Target
})

/** The saved profile with this id or name; fails with `ProfileNotFound`, or when several have the name or it is broken. */
export const getProfile = Effect.fn("Target.getProfile")(function*(text: string) {
  const repo = yield* ProfileRepo
  return yield* Effect.fromResult(resolveProfile(yield* repo.list, text, yield* repo.problems))
})

const findProfile = (text: string) =>
  getProfile(text).pipe(
    Effect.asSome,
    Effect.catchReason("ConfigurationError", "ProfileNotFound", () => Effect.succeed(Option.none<Profile>()))
  )

/**
 * A profile of that name or id wins; `ssh://` forces a destination. Options
 * that could have no effect are refused rather than ignored.
 */
export const resolve = Effect.fn("Target.resolve")(function*(text: string, given: Given) {
  const saved = text.startsWith("ssh://") ? Option.none() : yield* findProfile(text)
  const target: Target = Option.isSome(saved)
    ? { profile: yield* override(saved.value, given), label: saved.value.name }
    : yield* destinationTarget(text, given)
  if (!target.profile.bootstrap.enabled) {
    const idle = Option.isSome(given.bootstrapPort)
      ? "--bootstrap-port"
      : Option.isSome(given.lifetime)
      ? "--lifetime"
      : undefined
    if (idle !== undefined) return yield* new UsageError({ message: `${idle} has no effect without --bootstrap` })
  }
  return target
})
