/** The words of an examination: its steps, and what is found out about each. */
import { Schema } from "effect"
import { ConnectionError } from "./ConnectionError.ts"

/** The steps in their order, each by a statement that holds when it is fine. */
export const titles = {
  "ssh": "ssh is installed",
  "config": "The ssh config is valid",
  "parameters": "Effective parameters",
  "name": "The host name resolves",
  "port": "The ssh port answers",
  "host-key": "The host key is known",
  "authentication": "The login works",
  "forwarding": "Forwarding is allowed",
  "shell": "Shell and HOME are usable",
  "opencode": "OpenCode is installed",
  "server": "The server answers",
  "version": "The version is supported",
  "secured": "The server is secured"
} as const satisfies Record<string, string>

/** The steps in their order. */
export const StepId = Schema.Literals(
  [
    "ssh",
    "config",
    "parameters",
    "name",
    "port",
    "host-key",
    "authentication",
    "forwarding",
    "shell",
    "opencode",
    "server",
    "version",
    "secured"
  ]
)
export type StepId = typeof StepId.Type

/**
 * `ok`; `failed`: a connection cannot be made because of it; `warning`: one
 * can, but somebody should look at it; `skipped`: it could not be told, or
 * there is nothing to tell. The detail says why.
 */
export const StepStatus = Schema.Literals(["ok", "failed", "warning", "skipped"])
export type StepStatus = typeof StepStatus.Type

/** One step of an examination. */
export class DoctorStep extends Schema.Class<DoctorStep>("@opencode-ai/ssh-tunnel/DoctorStep")({
  id: StepId,
  title: Schema.String,
  status: StepStatus,
  /** What was seen, in one or several lines; may be empty. Text of the other machine is in it: redact and sanitize. */
  detail: Schema.String,
  /** Milliseconds since the step before it was decided: together they are the time of the examination. */
  durationMs: Schema.Int,
  /** Why, and what to do: there whenever a step has failed, and where a warning has a cause of the five classes. */
  error: Schema.optionalKey(ConnectionError)
}) {}
