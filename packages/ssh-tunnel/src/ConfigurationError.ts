/** Something on this machine is set up in a way that cannot work: fix it, then connect. Never retryable. */
import { Schema } from "effect"
import { type Explained, type Remedy, remedy } from "./Remedy.ts"

/** A profile's value breaks a rule of {@link Profile}; `path` names the field. */
export class InvalidProfile extends Schema.TaggedError<InvalidProfile>()("InvalidProfile", {
  path: Schema.String,
  detail: Schema.String
}) implements Explained {
  override get message() {
    return `The profile's ${this.path === "" ? "content" : this.path} is not valid: ${this.detail}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Edit the profile and correct this value.")
  }
}

/** No profile has this id or name. */
export class ProfileNotFound extends Schema.TaggedError<ProfileNotFound>()("ProfileNotFound", {
  profile: Schema.String
}) implements Explained {
  override get message() {
    return `There is no profile ${JSON.stringify(this.profile)}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("List the profiles, or write ssh://HOST to mean a destination.", ["opencode-ssh", "profiles", "list"])
  }
}

/** ssh could not read its configuration: a missing `-F` file, an unknown keyword, bad permissions. */
export class SshConfigInvalid extends Schema.TaggedError<SshConfigInvalid>()("SshConfigInvalid", {
  file: Schema.String,
  configLine: Schema.optionalKey(Schema.Int),
  detail: Schema.String
}) implements Explained {
  override get message() {
    return `ssh cannot use its configuration ${this.file}${
      this.configLine === undefined ? "" : ` (line ${this.configLine})`
    }: ${this.detail}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    // An option of ours or a value of the profile that this ssh does not take.
    if (this.file === "command-line") return remedy("Correct the profile's values, or update ssh.")
    // `ssh -G` does not follow jump hosts.
    if (/^jump ?hosts? l/.test(this.detail)) return remedy("Correct ProxyJump of these hosts: they lead to each other.")
    return /owner or permissions/.test(this.detail)
      ? remedy("The file must belong to you and be writable by nobody else.", ["chmod", "go-w", this.file])
      : remedy("Correct the file. ssh itself shows the same error:", ["ssh", "-G", "-F", this.file, "host"])
  }
}

/** The identity file of the profile (or config) cannot be used as a private key. */
export class IdentityFileUnusable extends Schema.TaggedError<IdentityFileUnusable>()("IdentityFileUnusable", {
  file: Schema.String,
  problem: Schema.Literals(["missing", "permissions", "malformed", "public-key", "unreadable"])
}) implements Explained {
  override get message() {
    const what = {
      "missing": "does not exist",
      "permissions": "can be read by others, so ssh refuses it",
      "malformed": "is not a private key that ssh can load",
      "public-key": "is a public key; ssh needs the private one",
      "unreadable": "cannot be read"
    }[this.problem]
    return `The identity file ${this.file} ${what}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    switch (this.problem) {
      case "permissions":
        return remedy("Make the key readable by you only.", ["chmod", "600", this.file])
      case "public-key":
        return remedy(`Name the private key instead, usually ${this.file.replace(/\.pub$/, "")}.`)
      case "missing":
        return remedy("Name a private key file that exists.")
      default:
        return remedy("Name a private key that ssh can load. This tells whether it can:", [
          "ssh-keygen",
          "-y",
          "-f",
          this.file
        ])
    }
  }
}

/** `RevokedHostKeys` names a file that ssh cannot read, so ssh refuses every host key. */
export class RevokedKeysUnreadable extends Schema.TaggedError<RevokedKeysUnreadable>()("RevokedKeysUnreadable", {
  file: Schema.String,
  detail: Schema.String
}) implements Explained {
  override get message() {
    return `ssh refuses every host key because it cannot read the RevokedHostKeys file ${this.file}: ${this.detail}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Restore the file, or correct RevokedHostKeys in your ssh config.")
  }
}

/** There is no ssh program, or it cannot be executed. */
export class SshNotFound extends Schema.TaggedError<SshNotFound>()("SshNotFound", {
  binary: Schema.String,
  detail: Schema.String
}) implements Explained {
  override get message() {
    return `The ssh program ${JSON.stringify(this.binary)} cannot be run: ${this.detail}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Install the OpenSSH client, or name another ssh in OPENCODE_SSH_BINARY.")
  }
}

/** The ssh program is older than what the connection needs. */
export class SshTooOld extends Schema.TaggedError<SshTooOld>()("SshTooOld", {
  found: Schema.String,
  needed: Schema.String
}) implements Explained {
  override get message() {
    return `This ssh is too old: found ${this.found}, needed ${this.needed}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Update OpenSSH, or name a newer ssh in OPENCODE_SSH_BINARY.")
  }
}

/** The private directory for sockets and generated config could not be made or is not safe to use. */
export class RuntimeDirectoryUnusable
  extends Schema.TaggedError<RuntimeDirectoryUnusable>()("RuntimeDirectoryUnusable", {
    path: Schema.String,
    detail: Schema.String
  })
  implements Explained
{
  override get message() {
    return `The directory for ssh's sockets cannot be used (${this.path}): ${this.detail}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy(
      "Set TMPDIR or XDG_RUNTIME_DIR to a directory of yours that can be written and is not cleaned up, then start again."
    )
  }
}

/** The profile file exists but cannot be read as profiles. A corrupt file is kept beside as `keptAs`. */
export class ProfileStoreUnreadable extends Schema.TaggedError<ProfileStoreUnreadable>()("ProfileStoreUnreadable", {
  path: Schema.String,
  detail: Schema.String,
  keptAs: Schema.optionalKey(Schema.String)
}) implements Explained {
  override get message() {
    return `The profiles in ${this.path} cannot be read: ${this.detail}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return this.keptAs === undefined
      ? remedy("Correct the file or its permissions.")
      : remedy(`The unreadable file was kept as ${this.keptAs}; mend it and move it back, or add the profiles again.`)
  }
}

/** The profile file could not be written; what was there before is unchanged. */
export class ProfileStoreUnwritable extends Schema.TaggedError<ProfileStoreUnwritable>()("ProfileStoreUnwritable", {
  path: Schema.String,
  detail: Schema.String
}) implements Explained {
  override get message() {
    return `The profiles could not be saved to ${this.path}: ${this.detail}. What was saved before is unchanged`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy(
      "Mend what the message names (space, permissions, another program that holds the file), then save again."
    )
  }
}

/** Every reason of {@link ConfigurationError}. */
export const ConfigurationReason = Schema.Union([
  InvalidProfile,
  ProfileNotFound,
  SshConfigInvalid,
  IdentityFileUnusable,
  RevokedKeysUnreadable,
  SshNotFound,
  SshTooOld,
  RuntimeDirectoryUnusable,
  ProfileStoreUnreadable,
  ProfileStoreUnwritable
])
export type ConfigurationReason = typeof ConfigurationReason.Type

/** The set-up of this machine cannot work (see the module). */
export class ConfigurationError extends Schema.TaggedError<ConfigurationError>()("ConfigurationError", {
  reason: ConfigurationReason
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
