/** The one remote command that finds or starts a server could not do its work. */
import { Schema } from "effect"
import { type Explained, type Remedy, remedy } from "./Remedy.ts"

/** The last lines of a remote program's output, as text of unknown content: redact before showing. At most 8 KiB. */
const outputTail = Schema.String

/** No `opencode` in the login shell's PATH nor in the usual places; `searched` lists them in order. */
export class OpencodeNotFound extends Schema.TaggedError<OpencodeNotFound>()("OpencodeNotFound", {
  searched: Schema.Array(Schema.String)
}) implements Explained {
  override get message() {
    return "OpenCode is not installed on the remote machine, or it is in no place where we look"
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Install OpenCode there, for example by:", ["npm", "install", "--global", "opencode-ai"])
  }
}

/** An `opencode` was found that cannot run: wrong architecture, not executable, an invalid `opencode.json`, a crash. */
export class OpencodeUnusable extends Schema.TaggedError<OpencodeUnusable>()("OpencodeUnusable", {
  path: Schema.String,
  problem: Schema.Literals(["architecture", "mode", "configuration", "crash"]),
  detail: outputTail
}) implements Explained {
  override get message() {
    const what = {
      architecture: "is built for another kind of machine",
      mode: "is not executable",
      configuration: "rejects its configuration",
      crash: "fails when it is started"
    }[this.problem]
    return `The remote OpenCode${this.path === "" ? "" : ` (${this.path})`} ${what}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return this.problem === "configuration"
      ? remedy("Correct opencode.json on the remote machine; the details name the file.")
      : remedy("Reinstall OpenCode on the remote machine; the details hold what it printed.")
  }
}

/** The server forbids running a command: ForceCommand, a nologin shell, MaxSessions 0, sftp only. */
export class CommandRefused extends Schema.TaggedError<CommandRefused>()("CommandRefused", {
  detail: outputTail
}) implements Explained {
  override get message() {
    return "The remote account may forward ports but not run commands, so no server can be started there"
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Start OpenCode on the remote machine by other means, then connect without bootstrap.")
  }
}

/** The remote disk is full, read-only or not ours where the registration and the log must go. */
export class RemoteNotWritable extends Schema.TaggedError<RemoteNotWritable>()("RemoteNotWritable", {
  path: Schema.String,
  problem: Schema.Literals(["full", "read-only", "denied", "unsafe"])
}) implements Explained {
  override get message() {
    const what = {
      "full": "the disk is full",
      "read-only": "the file system is read-only",
      "denied": "permission is denied",
      "unsafe": "others may write it or it belongs to somebody else"
    }[this.problem]
    return `The remote machine cannot keep the server's state in ${this.path}: ${what}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Free space or correct the permissions of this directory on the remote machine.")
  }
}

/** A program that isn't a server of ours holds the port that the server should use. */
export class PortInUse extends Schema.TaggedError<PortInUse>()("PortInUse", {
  port: Schema.Int
}) implements Explained {
  override get message() {
    return `Port ${this.port} of the remote machine is used by another program`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Choose another bootstrap port in the profile, or end the program that holds it.")
  }
}

/** The server died while it was starting; `log` is the end of what it printed. */
export class ServerExited extends Schema.TaggedError<ServerExited>()("ServerExited", {
  exitCode: Schema.optionalKey(Schema.Int),
  log: outputTail
}) implements Explained {
  override get message() {
    return `The remote OpenCode server ended while it was starting${
      this.exitCode === undefined ? "" : ` (exit code ${this.exitCode})`
    }`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("The details hold the end of its log. Try it by hand on the remote machine:", [
      "opencode",
      "serve",
      "--hostname",
      "127.0.0.1"
    ])
  }
}

/** The server was started and lives, but did not answer in time. `waited` is in milliseconds. */
export class StartTimedOut extends Schema.TaggedError<StartTimedOut>()("StartTimedOut", {
  waited: Schema.Int,
  log: outputTail
}) implements Explained {
  override get message() {
    return `The remote OpenCode server did not answer within ${Math.round(this.waited / 1000)} s of being started`
  }
  get retryable() {
    return true
  }
  get remedy() {
    return remedy("The remote machine may be slow or busy: try again, and look at the log in the details.")
  }
}

/** The remote command ended without the answer it owes, or with one that makes no sense. */
export class InvalidOutput extends Schema.TaggedError<InvalidOutput>()("InvalidOutput", {
  exitCode: Schema.optionalKey(Schema.Int),
  output: outputTail
}) implements Explained {
  override get message() {
    return `The remote command gave no usable answer${
      this.exitCode === undefined ? "" : ` (exit code ${this.exitCode})`
    }`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("The details hold what it printed. The login shell's start-up files may end the session early.")
  }
}

/** The remote machine lacks something that the script cannot do without (no POSIX `sh`, for one). */
export class UnsupportedRemote extends Schema.TaggedError<UnsupportedRemote>()("UnsupportedRemote", {
  detail: Schema.String
}) implements Explained {
  override get message() {
    return `OpenCode cannot be started on this remote machine: ${this.detail}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Start OpenCode on the remote machine by hand, then connect without bootstrap.")
  }
}

/** There is no server there that bootstrap registered, so there is none that we may stop. */
export class NotOurs extends Schema.TaggedError<NotOurs>()("NotOurs", {
  detail: Schema.String
}) implements Explained {
  override get message() {
    return `No server that we started runs there: ${this.detail}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("A server that somebody else started must be ended on the remote machine itself.")
  }
}

/** Every reason of {@link BootstrapError}. */
export const BootstrapReason = Schema.Union([
  OpencodeNotFound,
  OpencodeUnusable,
  CommandRefused,
  RemoteNotWritable,
  PortInUse,
  ServerExited,
  StartTimedOut,
  InvalidOutput,
  UnsupportedRemote,
  NotOurs
])
export type BootstrapReason = typeof BootstrapReason.Type

/** Bootstrap failed (see the module). */
export class BootstrapError extends Schema.TaggedError<BootstrapError>()("BootstrapError", {
  reason: BootstrapReason
}) implements Explained {
  override get message(): string {
    return this.reason.message
  }
  get retryable(): boolean {
    return this.reason.retryable
  }
  get remedy(): Remedy {
    return this.reason.remedy
  }
}
