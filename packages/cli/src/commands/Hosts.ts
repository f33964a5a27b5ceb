/** `opencode-ssh hosts`: the Host names of the ssh config, which can be connected to as they are. */
import { Effect } from "effect"
import * as Command from "effect/cli/Command"
import * as JsonLines from "../JsonLines.ts"
import { Output } from "../Output.ts"
import * as ProfileFlags from "../ProfileFlags.ts"
import * as Sanitize from "../Sanitize.ts"
import { configuredHosts, interruptible, json } from "./shared.ts"

export const hosts = Command.make(
  "hosts",
  { sshConfig: ProfileFlags.target.sshConfig, json },
  Effect.fn("hosts")(
    function*(input) {
      const output = yield* Output
      const found = yield* configuredHosts(input.sshConfig)
      for (const { name, ...place } of found) {
        yield* input.json
          ? JsonLines.print({ type: "host", host: name, ...place })
          : output.result(Sanitize.line(name))
      }
      if (!input.json && found.length === 0) yield* output.note("The ssh config names no hosts.")
    },
    interruptible
  )
).pipe(
  Command.withDescription("List the Host names of your ssh config"),
  Command.withExamples([{ command: "opencode-ssh hosts", description: "What connect takes without any profile" }])
)
