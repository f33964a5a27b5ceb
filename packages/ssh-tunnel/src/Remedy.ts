/** What a person can do about a failure: a sentence, and where one exists the command that does it. */
import { Schema } from "effect"
import * as CommandLine from "effect/process/CommandLine"

/**
 * `text` is one or two plain sentences; `command` is a line for a POSIX shell
 * on this machine, quoted so that it can be pasted as it is.
 */
export class Remedy extends Schema.Class<Remedy>("@opencode-ai/ssh-tunnel/Remedy")({
  text: Schema.String,
  command: Schema.optionalKey(Schema.String)
}) {}

/** Words that need no quotes in a POSIX shell; everything else is quoted by `CommandLine`. */
const plainWord = /^[\w@%+=:,./-]+$/

/** Words as one line that a POSIX shell splits into the same words. */
export const shellLine = (words: ReadonlyArray<string>): string =>
  words.map((word) => plainWord.test(word) ? word : CommandLine.display([word])).join(" ")

/** Builds a {@link Remedy}; the words of the command are quoted for a POSIX shell. */
export const remedy = (text: string, command?: ReadonlyArray<string>): Remedy =>
  new Remedy({ text, ...(command === undefined ? undefined : { command: shellLine(command) }) })

/**
 * The connection that a reason speaks of, so that a remedy can name it to ssh:
 * the words a user would put on their own `ssh` command line.
 *
 * `host` is the destination or the jump host; `options` are words such as
 * `-F file`, `-p 2222`, `-J jump`; never ours (no overlay, no control socket).
 */
export const SshTarget = Schema.Struct({
  host: Schema.String,
  options: Schema.Array(Schema.String)
})
export type SshTarget = typeof SshTarget.Type

/**
 * A command that asks what we never ask in the app, run once in a terminal.
 * `-S none` keeps a live ControlMaster of the user from answering instead.
 */
export const interactively = (target: SshTarget, options: ReadonlyArray<string>): ReadonlyArray<string> => [
  "ssh",
  "-S",
  "none",
  ...options,
  ...target.options,
  target.host,
  "true"
]

/** What every reason of the five error classes can tell about itself. */
export interface Explained {
  readonly message: string
  /** Whether the same attempt may succeed later without anybody doing anything. */
  readonly retryable: boolean
  readonly remedy: Remedy
}
