/** Every wait of the command line, each with the reason for its value. Connections have theirs in ssh-tunnel's Schedules. */
import { Duration } from "effect"

/** Between two pictures of the spinner: smooth for a person, next to nothing for the machine. */
export const spinnerInterval = Duration.millis(100)

/** After a disconnect, for the last states to reach the output; they are there already unless the engine is stuck. */
export const lastStates = Duration.seconds(1)

/** A browser opener that fails does so at once; one that still runs after this time *is* the browser, or has one. */
export const openerGrace = Duration.seconds(3)

/** SIGTERM, then this long, then SIGKILL, for a command whose run ends abnormally (never while it is being waited for). */
export const killAfter = Duration.seconds(2)

/** After the end of a command whose output we copy, for its last bytes; a grandchild may hold the pipe for ever. */
export const lastOutput = Duration.millis(250)
