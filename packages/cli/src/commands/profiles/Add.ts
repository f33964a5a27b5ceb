/** `opencode-ssh profiles add` */
import { noBootstrap, ProfileName } from "@opencode-ai/ssh-tunnel/Profile"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { Effect } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as ProfileFlags from "../../ProfileFlags.ts"
import * as Target from "../../Target.ts"
import { json } from "../shared.ts"
import { freshId, host, printProfile, requireFreeName, withProfiles } from "./common.ts"

export const add = Command.make(
  "add",
  {
    name: Argument.String("name").pipe(
      Argument.withDescription("What to call the profile"),
      Argument.withSchema(ProfileName)
    ),
    host,
    ...ProfileFlags.target,
    ...ProfileFlags.server,
    json
  },
  Effect.fn("profiles add")(
    function*(input) {
      const repo = yield* ProfileRepo
      yield* requireFreeName(input.name)
      const plain = yield* Target.profileFrom({
        ...input.host,
        id: yield* freshId(input.name),
        name: input.name,
        bootstrap: noBootstrap
      })
      const profile = yield* Target.override(plain, input)
      yield* repo.save(profile)
      yield* printProfile(profile, input.json)
    },
    withProfiles
  )
).pipe(
  Command.withDescription("Save a new profile"),
  Command.withExamples([{
    command: "opencode-ssh profiles add work --host dev@box --proxy-jump bastion --bootstrap",
    description: "OpenCode on box, reached through bastion and started there if needed"
  }])
)
