/** `opencode-ssh doctor`: looks for what is wrong on the way to a server. */
import { Doctor } from "@opencode-ai/ssh-tunnel/Doctor"
import { Effect, Option, Stream } from "effect"
import * as Command from "effect/cli/Command"
import { Ended } from "../CliFailure.ts"
import * as DoctorView from "../DoctorView.ts"
import { Engine } from "../Engine.ts"
import { environmentCredentials } from "../EnvironmentCredentials.ts"
import * as ExitCode from "../ExitCode.ts"
import { Operands } from "../Presenter.ts"
import * as ProfileFlags from "../ProfileFlags.ts"
import * as Target from "../Target.ts"
import { destination, interruptible, json } from "./shared.ts"

export const doctor = Command.make(
  "doctor",
  { destination, ...ProfileFlags.target, ...ProfileFlags.server, json },
  Effect.fn("doctor")(
    function*(given) {
      const engine = yield* Engine
      const { label, profile } = yield* Effect.provide(Target.resolve(given.destination, given), engine.profiles)
      const credentials = yield* environmentCredentials(profile)
      const { failed } = yield* Effect.gen(function*() {
        const doctor = yield* Doctor
        const view = given.json ? DoctorView.json(label) : yield* DoctorView.human(label)
        const steps = yield* doctor.examine(profile, Option.getOrUndefined(credentials)).pipe(
          Stream.tap(view.step),
          Stream.runCollect
        )
        const summary = DoctorView.summaryOf(steps)
        yield* view.summary(summary)
        return summary
      }).pipe(Effect.scoped, Effect.provide(engine.doctor))
      if (Option.isSome(failed)) return yield* new Ended({ exitCode: ExitCode.ofError(failed.value.error) })
    },
    interruptible
  )
).pipe(
  Command.withShortDescription("Look for what is wrong on the way to an OpenCode server"),
  Command.withDescription(
    "Walk the way to an OpenCode server step by step: ssh, its config, the network, host key, login, forwarding, the account, OpenCode and its server. Logs in once, starts nothing and changes nothing."
  ),
  Command.annotate(Operands, "<profile|destination> [flags]"),
  Command.withExamples([
    { command: "opencode-ssh doctor dev@box", description: "What works and what does not, each with its time" },
    {
      command: "opencode-ssh doctor work --json",
      description: "The same for a program; the exit code is the class of what fails first"
    }
  ])
)
