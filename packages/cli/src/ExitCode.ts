/** What the process says to whoever started it. Stable: scripts depend on these numbers. */
import type { ConnectionError } from "@opencode-ai/ssh-tunnel/ConnectionError"

export const ok = 0

/** A defect of ours: nothing that the user or the network did. */
export const unexpected = 1

/** Wrong usage: an unknown option, a value that is not valid, options that exclude each other. */
export const usage = 2

const byClass = {
  ConfigurationError: 10,
  TransportError: 11,
  DiscoveryError: 12,
  BootstrapError: 13,
  CompatibilityError: 14
} as const satisfies Record<ConnectionError["_tag"], number>

/** One exit code for each class of errors. */
export const ofError = (error: ConnectionError): number => byClass[error._tag]

/** `-- CMD` names a program that exists but cannot be run; the code that shells and env(1) use. */
export const notExecutable = 126

/** `-- CMD` names no program; the code that shells and env(1) use. */
export const notFound = 127

const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15
}

/** What shells report for a program that a signal ended: 128 + its number (Linux numbering). */
export const ofSignal = (signal: string): number => 128 + (signalNumbers[signal] ?? 0)
