/**
 * Every wait, deadline and retry of this package, each with the reason for its
 * value. Nothing else in the sources names a duration.
 *
 * The values are one `Context.Reference`, so that a host or a test overrides
 * them in one place:
 * `Effect.provideService(Timing, { ...Timing.defaults, deadline: Duration.seconds(5) })`.
 */
import { Context, Duration, Schedule } from "effect"

/** The named durations; see each field. */
export interface Timings {
  /** From the start of ssh to "ready". ssh itself has no limit for authentication: a hung agent or server hangs for ever. */
  readonly deadline: Duration.Duration
  /** The same while a security key may be waiting for a touch. */
  readonly deadlineWithSecurityKey: Duration.Duration
  /** SIGTERM, then this long, then SIGKILL. */
  readonly killAfter: Duration.Duration
  /** Between looks whether a process group that is being ended still has a member that runs. */
  readonly groupCheck: Duration.Duration
  /** The reaper's SIGTERM, then this long, then SIGKILL; with it nothing of ours is left a second after a crash. */
  readonly reaperGrace: Duration.Duration
  /** A runtime directory without an owner is swept when it is older than this: its maker needs a moment to sign it. */
  readonly unsignedDirectory: Duration.Duration
  /** After ssh's exit, for its last lines to arrive: a child that holds the pipe may delay its end. */
  readonly lastWords: Duration.Duration
  /** One control command (`-O forward`, `-O cancel`): local work of some 10 ms, unless the master is stopped. */
  readonly control: Duration.Duration
  /** `ssh -G` and `ssh -V`: may run the user's `Match exec` and ask DNS. */
  readonly query: Duration.Duration
  /** All probes of one round of discovery together. */
  readonly discovery: Duration.Duration
  /** After connections through a forward were closed unanswered, for sshd's word about them: it comes by another way, within some 10 ms. */
  readonly rejectionGrace: Duration.Duration
  /** For a server that closes every connection without a word to say hello in TLS, which tells why. */
  readonly tls: Duration.Duration
  /** From the first valid answer until the twin request without a password must have told whether one is needed. */
  readonly securedGrace: Duration.Duration
  /** The whole remote command of bootstrap. */
  readonly bootstrap: Duration.Duration
  /** The remote script gives up so much earlier than we, so that its own words arrive. */
  readonly scriptMargin: Duration.Duration
  /** The start-up files of the remote login shell: as an interactive one, then once more as a plain one, then without. */
  readonly loginShell: Duration.Duration
  /** status, stop and log of the remote server. */
  readonly remoteControl: Duration.Duration
  /** Between health probes of a live connection. A probe's connection stays as the idle one whose end tells of the server's death. */
  readonly healthInterval: Duration.Duration
  /** One health probe of a live connection. One without an answer is a slow server, two in a row are a hung one. */
  readonly healthTimeout: Duration.Duration
  /** Connected for so long, a connection counts as healthy, and its next loss as a new outage. Longer than it takes to notice one that was dead from its beginning. */
  readonly healthyAfter: Duration.Duration
  /** A lost connection is tried again at once, then after this long; each further wait is twice the one before, 20 % more or less. */
  readonly retryAfter: Duration.Duration
  /** No wait before an attempt is longer. */
  readonly retryAtMost: Duration.Duration
  /** For so long an outage is tried to be mended. A wake-up or a change of the network begins a new one. */
  readonly retryFor: Duration.Duration
  /** Between looks at the wall clock; when more time than this has passed meanwhile, the machine slept. */
  readonly wakeUpInterval: Duration.Duration
  /** So much more time than the interval counts as sleep; a busy machine is late too, and only costs a probe. */
  readonly wakeUpJump: Duration.Duration
  /** For a client of a page that we serve on loopback to send its request and take the answer. */
  readonly pageRequest: Duration.Duration
  /** How long a ticket of the door is good. */
  readonly doorTicket: Duration.Duration
  /** How long to wait for the lock of a file that several processes write. */
  readonly fileLock: Duration.Duration
  /** Between looks at such a lock that nobody announces: its owner died. Also how long a dead owner's lock must have stayed. */
  readonly fileLockCheck: Duration.Duration
  /** A file that is gone or unreadable after a change is looked at again after this: its writer may not be done. */
  readonly fileSettle: Duration.Duration
  /** How long the door stays after its ticket was used, so that the answer arrives and a second use is told so. */
  readonly doorLinger: Duration.Duration
}

const defaults: Timings = {
  deadline: Duration.seconds(30),
  deadlineWithSecurityKey: Duration.seconds(120),
  killAfter: Duration.seconds(2),
  groupCheck: Duration.millis(50),
  reaperGrace: Duration.millis(500),
  unsignedDirectory: Duration.minutes(1),
  lastWords: Duration.millis(250),
  control: Duration.seconds(5),
  query: Duration.seconds(10),
  discovery: Duration.seconds(10),
  rejectionGrace: Duration.millis(250),
  tls: Duration.seconds(1),
  securedGrace: Duration.seconds(1),
  bootstrap: Duration.seconds(30),
  scriptMargin: Duration.seconds(3),
  loginShell: Duration.seconds(8),
  remoteControl: Duration.seconds(20),
  healthInterval: Duration.seconds(10),
  healthTimeout: Duration.seconds(5),
  healthyAfter: Duration.seconds(30),
  retryAfter: Duration.millis(500),
  retryAtMost: Duration.seconds(30),
  retryFor: Duration.hours(3),
  wakeUpInterval: Duration.seconds(5),
  wakeUpJump: Duration.seconds(10),
  pageRequest: Duration.seconds(10),
  doorTicket: Duration.seconds(60),
  fileLock: Duration.seconds(10),
  fileLockCheck: Duration.millis(250),
  fileSettle: Duration.millis(100),
  doorLinger: Duration.seconds(1)
}

/** The durations in force; override by providing another value. */
export class Timing extends Context.Reference<Timings>("@opencode-ai/ssh-tunnel/Schedules/Timing", {
  defaultValue: () => defaults
}) {
  static readonly defaults: Timings = defaults
}

/** Another local port when the chosen one was taken between choosing and binding. */
export const localPortRace = Schedule.recurs(8)
