/**
 * What the commands need of the connection layer, each part built only by the
 * command that uses it: `--help` starts nothing, and `profiles list` no reaper.
 */
import type { Bootstrap } from "@opencode-ai/ssh-tunnel/Bootstrap"
import type { ConnectionError } from "@opencode-ai/ssh-tunnel/ConnectionError"
import type { Connections } from "@opencode-ai/ssh-tunnel/Connections"
import type { Credentials } from "@opencode-ai/ssh-tunnel/Credentials"
import type { Diagnostics } from "@opencode-ai/ssh-tunnel/Diagnostics"
import type { Doctor } from "@opencode-ai/ssh-tunnel/Doctor"
import type { Door } from "@opencode-ai/ssh-tunnel/Door"
import type { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import type { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import type { SshConfig } from "@opencode-ai/ssh-tunnel/SshConfig"
import type { Tunnel } from "@opencode-ai/ssh-tunnel/Tunnel"
import { Context, type Layer, type Option } from "effect"

/** See the module. `Layers` has the live one; tests give their own. */
export class Engine extends Context.Service<Engine, {
  /** The user's saved profiles. */
  readonly profiles: Layer.Layer<ProfileRepo, ConnectionError>
  /** The user's ssh config. */
  readonly sshConfig: Layer.Layer<SshConfig, ConnectionError>
  /** Tunnels and remote servers, for the `server` commands. */
  readonly remote: Layer.Layer<Tunnel | Bootstrap, ConnectionError>
  /** The doctor. */
  readonly doctor: Layer.Layer<Doctor, ConnectionError>
  /**
   * Connections that know exactly this profile, saved or not, and the
   * credentials that the user gave for its server; and reports about them.
   */
  readonly connections: (
    profile: Profile,
    credentials: Option.Option<Credentials>
  ) => Layer.Layer<Connections | Diagnostics | Door, ConnectionError>
}>()("@opencode-ai/ssh-cli/Engine") {}
