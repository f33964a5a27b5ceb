/** `opencode-ssh profiles list` */
import { joinAddress } from "@opencode-ai/ssh-tunnel/Destination"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { Effect } from "effect"
import * as Command from "effect/cli/Command"
import * as JsonLines from "../../JsonLines.ts"
import { Output } from "../../Output.ts"
import * as Sanitize from "../../Sanitize.ts"
import * as Table from "../../Table.ts"
import { json } from "../shared.ts"
import { withProfiles, yesNo } from "./common.ts"

export const list = Command.make(
  "list",
  { json },
  Effect.fn("profiles list")(
    function*(input) {
      const output = yield* Output
      const repo = yield* ProfileRepo
      const profiles = yield* repo.list
      if (input.json) {
        for (const profile of profiles) yield* JsonLines.print({ type: "profile", profile })
      } else if (profiles.length === 0) {
        yield* output.note("There are no profiles yet. Add one with: opencode-ssh profiles add NAME --host HOST")
      } else {
        const rows = profiles.map((profile) =>
          [
            profile.name,
            profile.id,
            joinAddress(profile),
            profile.proxyJump ?? "",
            String(profile.remotePort ?? ""),
            yesNo(profile.bootstrap.enabled)
          ].map(Sanitize.line)
        )
        const heading = ["NAME", "ID", "DESTINATION", "PROXY JUMP", "REMOTE PORT", "BOOTSTRAP"]
        for (const line of Table.lines([heading, ...rows])) yield* output.result(line)
      }
      for (const { id, index, name, reason } of yield* repo.problems) {
        yield* output.note(
          `${output.paint("yellow", "warning:")} ${
            Sanitize.line(
              `entry ${index + 1} (${name ?? id ?? "no name"}) of the profile file is left out: ${reason.message}`
            )
          }`
        )
      }
    },
    withProfiles
  )
).pipe(Command.withAlias("ls"), Command.withDescription("List the saved profiles"))
