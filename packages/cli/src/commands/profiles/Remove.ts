/** `opencode-ssh profiles remove` */
import type { ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { Effect } from "effect"
import * as Command from "effect/cli/Command"
import * as JsonLines from "../../JsonLines.ts"
import { Output } from "../../Output.ts"
import * as Sanitize from "../../Sanitize.ts"
import * as Target from "../../Target.ts"
import { json, profile } from "../shared.ts"
import { withProfiles } from "./common.ts"

export const remove = Command.make(
  "remove",
  { profile, json },
  Effect.fn("profiles remove")(
    function*(input) {
      const output = yield* Output
      const repo = yield* ProfileRepo
      const broken = (yield* repo.problems).find(({ id }) => id === input.profile)
      if (broken?.id !== undefined) {
        yield* repo.remove(broken.id as ProfileId)
        return yield* output.note(Sanitize.line(`Removed ${broken.name ?? broken.id}.`))
      }
      const profile = yield* Target.getProfile(input.profile)
      yield* repo.remove(profile.id)
      if (input.json) return yield* JsonLines.print({ type: "profile", profile })
      yield* output.note(`Removed ${Sanitize.line(profile.name)}.`)
    },
    withProfiles
  )
).pipe(Command.withAlias("rm"), Command.withDescription("Delete a profile"))
