/** `opencode-ssh profiles export` */
import { exportProfiles } from "@opencode-ai/ssh-tunnel/ProfileFile"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { Effect } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import { Output } from "../../Output.ts"
import * as Target from "../../Target.ts"
import { json } from "../shared.ts"
import { withProfiles } from "./common.ts"

export const exportCommand = Command.make(
  "export",
  {
    profiles: Argument.String("profile").pipe(
      Argument.withDescription("Names or ids; all profiles when none is given"),
      Argument.variadic()
    ),
    json
  },
  Effect.fn("profiles export")(
    function*(input) {
      const output = yield* Output
      const repo = yield* ProfileRepo
      const profiles = input.profiles.length === 0
        ? yield* repo.list
        : yield* Effect.forEach(input.profiles, Target.getProfile)
      const text = exportProfiles(profiles)
      yield* output.result(input.json ? JSON.stringify(JSON.parse(text)) : text.trimEnd())
    },
    withProfiles
  )
).pipe(
  Command.withDescription("Print profiles as JSON, for \"profiles import --file\"; they hold no secrets"),
  Command.withExamples([
    { command: "opencode-ssh profiles export work > team.json", description: "Share a profile" }
  ])
)
