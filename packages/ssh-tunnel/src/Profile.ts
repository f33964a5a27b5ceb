/** What a person saves about a connection. Never a secret. */
import { Schema } from "effect"
import { Destination, Host, LocalPath, Port, ProxyJump, SshConfigFile, User } from "./Destination.ts"

/** A profile's identity: letters, digits, `.`, `_`, `-`; at most 64 characters. Given once, never changed. */
export const ProfileId = Schema.String.check(
  Schema.isPattern(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u, { expected: "a profile id" })
).pipe(Schema.brand("ProfileId"))
export type ProfileId = typeof ProfileId.Type

/**
 * How long a server that bootstrap started lives: `persistent` survives
 * disconnects, so that running agents go on; `session` ends with the
 * connection, for hosts that end background processes.
 */
export const Lifetime = Schema.Literals(["persistent", "session"])
export type Lifetime = typeof Lifetime.Type

/** Whether and how OpenCode may be started on the remote machine. */
export const BootstrapSettings = Schema.Struct({
  enabled: Schema.Boolean,
  /** Where the server should listen; else the profile's remote port; else OpenCode's own choice. */
  port: Schema.optionalKey(Port),
  lifetime: Lifetime
})
export type BootstrapSettings = typeof BootstrapSettings.Type

/** Bootstrap switched off, which is the default. */
export const noBootstrap: BootstrapSettings = { enabled: false, lifetime: "persistent" }

// eslint-disable-next-line no-control-regex -- control characters are what this refuses
const namePattern = /^[^\u0000-\u001f\u007f]{1,200}$/u

/** The text a person calls the profile by: 1 to 200 characters on one line. */
export const ProfileName = Schema.String.check(Schema.isPattern(namePattern, { expected: "a name on one line" }))

/** One connection profile; optional values are left to the ssh config. */
export class Profile extends Schema.Class<Profile>("@opencode-ai/ssh-tunnel/Profile")({
  id: ProfileId,
  name: ProfileName,
  host: Host,
  user: Schema.optionalKey(User),
  port: Schema.optionalKey(Port),
  identityFile: Schema.optionalKey(LocalPath),
  proxyJump: Schema.optionalKey(ProxyJump),
  /** Another ssh config than the user's, as `ssh -F`. */
  sshConfig: Schema.optionalKey(SshConfigFile),
  /** How ssh is run; `auto` (default) is `master` where ControlMaster exists and `plain` elsewhere. */
  strategy: Schema.optionalKey(Schema.Literals(["auto", "master", "plain"])),
  /** The port of the OpenCode server over there; 4096 when absent. */
  remotePort: Schema.optionalKey(Port),
  /** Pins the local port: when it is taken, connecting fails with `LocalPortInUse`. Absent: kept over restarts where possible. */
  localPort: Schema.optionalKey(Port),
  bootstrap: BootstrapSettings,
  /** Supported server versions in npm's range syntax, `||` may also name one version; absent: the host application's default. */
  versionRange: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(256))),
  /** The server's Basic user name; `opencode` when absent. Passwords live in the CredentialStore. */
  username: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^[^:\u0000-\u001f\u007f]{1,128}$/u)))
}) {
  /**
   * Names the server that the profile leads to, as far as the profile says that. A password belongs to one server:
   * when this is another text than before, it is not for whoever is there now.
   */
  get server(): string {
    const { bootstrap, host, port, proxyJump, remotePort, sshConfig, user } = this
    return JSON.stringify([host, user, port, proxyJump, sshConfig, remotePort, bootstrap.port])
  }

  /** The part of the profile that ssh needs. */
  get destination(): Destination {
    return new Destination({
      host: this.host,
      ...(this.user === undefined ? undefined : { user: this.user }),
      ...(this.port === undefined ? undefined : { port: this.port }),
      ...(this.identityFile === undefined ? undefined : { identityFile: this.identityFile }),
      ...(this.proxyJump === undefined ? undefined : { proxyJump: this.proxyJump }),
      ...(this.sshConfig === undefined ? undefined : { sshConfig: this.sshConfig })
    })
  }
}

/** The remote port that OpenCode tries first when nobody names one. */
export const defaultRemotePort = 4096

/** Server versions that the library and the command line support. */
export const defaultVersionRange = ">=1.0.0 <3.0.0"
