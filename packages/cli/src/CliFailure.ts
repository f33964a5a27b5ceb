/** The two ways in which a command ends badly beside the connection errors of ssh-tunnel. */
import { Data } from "effect"

/** The command line asks for something that makes no sense; exit code 2. `help` is the command whose `--help` tells more. */
export class UsageError extends Data.TaggedError("UsageError")<{
  readonly message: string
  readonly help?: ReadonlyArray<string>
}> {}

/**
 * The user has been told everything already, or there is nothing to tell:
 * only the exit code is left. Also carries the exit code of `-- CMD`.
 */
export class Ended extends Data.TaggedError("Ended")<{ readonly exitCode: number }> {}
