/** What the `profiles` commands have in common. */
import { ConfigurationError, InvalidProfile } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import { DestinationFromString } from "@opencode-ai/ssh-tunnel/Destination"
import { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { newProfileId } from "@opencode-ai/ssh-tunnel/ProfileDraft"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { Effect, Random, Schema } from "effect"
import * as Flag from "effect/cli/Flag"
import { Engine } from "../../Engine.ts"
import * as JsonLines from "../../JsonLines.ts"
import { Output } from "../../Output.ts"
import * as Sanitize from "../../Sanitize.ts"
import * as Table from "../../Table.ts"
import { interruptible } from "../shared.ts"

/** Runs a command's work with the saved profiles, until it is done or a signal ends it. */
export const withProfiles = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  interruptible(Effect.flatMap(Engine, (engine) => Effect.provide(work, engine.profiles)))

/** A profile as plain values. */
export const encode = Schema.encodeSync(Profile)
export type Encoded = (typeof Profile)["Encoded"]

export const yesNo = (value: boolean) => value ? "yes" : "no"

/** A profile's values by the names of the options that set them, in their order; what is not set is left out. */
const values = (profile: Profile): ReadonlyArray<readonly [string, string]> => {
  const { bootstrap } = profile
  const rows: ReadonlyArray<readonly [string, string | number | undefined]> = [
    ["name", profile.name],
    ["id", profile.id],
    ["host", profile.host],
    ["user", profile.user],
    ["port", profile.port],
    ["identity-file", profile.identityFile],
    ["proxy-jump", profile.proxyJump],
    ["ssh-config", profile.sshConfig],
    ["strategy", profile.strategy],
    ["remote-port", profile.remotePort],
    ["local-port", profile.localPort],
    ["bootstrap", yesNo(bootstrap.enabled)],
    ["bootstrap-port", bootstrap.port],
    ["lifetime", bootstrap.enabled ? bootstrap.lifetime : undefined],
    ["version-range", profile.versionRange],
    ["username", profile.username]
  ]
  return rows.flatMap(([name, value]) => value === undefined ? [] : [[name, Sanitize.line(String(value))]])
}

/** Shows one profile: a line of JSON, or its values in two columns. */
export const printProfile = Effect.fnUntraced(function*(profile: Profile, asJson: boolean) {
  const output = yield* Output
  if (asJson) return yield* JsonLines.print({ type: "profile", profile })
  for (const line of Table.lines(values(profile))) yield* output.result(line)
})

/** Two profiles of one name could not be told apart by it. */
export const requireFreeName = Effect.fnUntraced(function*(name: string, besides?: string) {
  const repo = yield* ProfileRepo
  const taken = (yield* repo.list).find((profile) =>
    (profile.name === name || profile.id === name) && profile.id !== besides
  )
  if (taken !== undefined) {
    return yield* new ConfigurationError({
      reason: new InvalidProfile({ path: "name", detail: `there is a profile ${JSON.stringify(name)} already` })
    })
  }
})

/** An id for a new profile. */
export const freshId = Effect.fnUntraced(function*(name: string) {
  const bytes = yield* Effect.replicateEffect(Random.nextIntBetween(0, 256), 6)
  return newProfileId(name, Uint8Array.from(bytes))
})

/** A host may be given as a destination: `--host me@box:2222`. The single options win over its parts. */
export const host = Flag.String("host").pipe(
  Flag.withMetavar("[USER@]HOST[:PORT]"),
  Flag.withDescription("Host name of the ssh config, DNS name or address"),
  Flag.withSchema(DestinationFromString)
)
