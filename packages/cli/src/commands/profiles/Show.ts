/** `opencode-ssh profiles show` */
import { Effect } from "effect"
import * as Command from "effect/cli/Command"
import * as Target from "../../Target.ts"
import { json, profile } from "../shared.ts"
import { printProfile, withProfiles } from "./common.ts"

export const show = Command.make(
  "show",
  { profile, json },
  Effect.fn("profiles show")(
    function*(input) {
      yield* printProfile(yield* Target.getProfile(input.profile), input.json)
    },
    withProfiles
  )
).pipe(Command.withDescription("Show every value of a profile"))
