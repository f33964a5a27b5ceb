/** Every duration of the main process's side, each with the reason for its value; those of the transports are in `TransportLimits`. */
import { Context, Duration } from "effect"

/** The named durations; see each field. */
export interface BridgeTimings {
  /**
   * For everything to end when the application quits: an ssh that ignores SIGTERM is killed after 2 s, all of them at
   * once. What is left then is ended by the reaper as soon as the process is gone.
   */
  readonly quit: Duration.Duration
}

const defaults: BridgeTimings = {
  quit: Duration.seconds(4)
}

/** The durations in force; override by providing another value. */
export class BridgeTiming extends Context.Reference<BridgeTimings>("@opencode-ai/desktop-bridge/BridgeTiming", {
  defaultValue: () => defaults
}) {
  static readonly defaults: BridgeTimings = defaults
}
