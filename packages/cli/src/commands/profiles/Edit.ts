/** `opencode-ssh profiles edit` */
import { type Profile, ProfileName } from "@opencode-ai/ssh-tunnel/Profile"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { Effect, Option } from "effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { UsageError } from "../../CliFailure.ts"
import * as ProfileFlags from "../../ProfileFlags.ts"
import * as Target from "../../Target.ts"
import { json, profile } from "../shared.ts"
import { encode, type Encoded, host, printProfile, requireFreeName, withProfiles } from "./common.ts"

/** Options whose value can be taken away again; the rest of a profile always has one. */
const unsettable = [
  "user",
  "port",
  "identity-file",
  "proxy-jump",
  "ssh-config",
  "strategy",
  "remote-port",
  "local-port",
  "bootstrap-port",
  "version-range",
  "username"
] as const

const fieldOf: Readonly<Record<Exclude<(typeof unsettable)[number], "bootstrap-port">, keyof Profile>> = {
  "user": "user",
  "port": "port",
  "identity-file": "identityFile",
  "proxy-jump": "proxyJump",
  "ssh-config": "sshConfig",
  "strategy": "strategy",
  "remote-port": "remotePort",
  "local-port": "localPort",
  "version-range": "versionRange",
  "username": "username"
}

const unset = (profile: Profile, names: ReadonlyArray<(typeof unsettable)[number]>) => {
  const { port, ...bootstrap } = profile.bootstrap
  const fields: ReadonlyArray<string> = names.flatMap((name) => name === "bootstrap-port" ? [] : [fieldOf[name]])
  return Target.profileFrom({
    ...Object.fromEntries(Object.entries(encode(profile)).filter(([key]) => !fields.includes(key))) as Encoded,
    bootstrap: { ...bootstrap, ...(port === undefined || names.includes("bootstrap-port") ? undefined : { port }) }
  })
}

export const edit = Command.make(
  "edit",
  {
    profile,
    name: Flag.String("name").pipe(
      Flag.withMetavar("NAME"),
      Flag.withSchema(ProfileName),
      Flag.withDescription("Call it otherwise; its id stays"),
      Flag.optional
    ),
    host: Flag.optional(host),
    ...ProfileFlags.target,
    ...ProfileFlags.server,
    unset: Flag.Literals("unset", unsettable).pipe(
      Flag.withMetavar("OPTION"),
      Flag.withDescription("Take this option's value away, so that ssh's config or the default decides; repeatable"),
      Flag.atLeast(0),
      Flag.withDefault([])
    ),
    json
  },
  Effect.fn("profiles edit")(
    function*(input) {
      const repo = yield* ProfileRepo
      const before = yield* Target.getProfile(input.profile)
      const contradiction = input.unset.find((option) =>
        option === "bootstrap-port" ? Option.isSome(input.bootstrapPort) : Option.isSome(
          Option.fromUndefinedOr(
            (input as unknown as Record<string, Option.Option<unknown> | undefined>)[fieldOf[option]]
          ).pipe(Option.flatten)
        )
      )
      if (contradiction !== undefined) {
        return yield* new UsageError({
          message: `--${contradiction} is both set and unset`,
          help: ["profiles", "edit"]
        })
      }
      if (Option.isSome(input.name)) yield* requireFreeName(input.name.value, before.id)
      const reduced = yield* unset(before, input.unset)
      const named = yield* Target.profileFrom({
        ...encode(reduced),
        ...Option.getOrUndefined(input.host),
        ...Option.match(input.name, { onNone: () => undefined, onSome: (name) => ({ name }) })
      })
      const profile = yield* Target.override(named, input)
      yield* repo.save(profile)
      yield* printProfile(profile, input.json)
    },
    withProfiles
  )
).pipe(
  Command.withDescription("Change values of a profile"),
  Command.withExamples([
    {
      command: "opencode-ssh profiles edit work --remote-port 4097 --unset proxy-jump",
      description: "Set one, unset one"
    }
  ])
)
