/** ssh could not make the connection, or lost it. Each reason says where on the path it happened. */
import { Schema } from "effect"
import { type Explained, interactively, Remedy, remedy, shellLine, SshTarget } from "./Remedy.ts"

/**
 * `target` is the host that failed, in ssh's words; `hop` is set when that is
 * a jump host and not the destination itself.
 */
const place = { target: SshTarget, hop: Schema.optionalKey(Schema.String) }

const at = (self: { readonly target: SshTarget; readonly hop?: string }): string =>
  self.hop === undefined ? self.target.host : `the jump host ${self.hop}`

/** Key type, SHA256 fingerprint (`SHA256:…`) and the known_hosts entry that a host key was compared with. */
const hostKey = {
  keyType: Schema.optionalKey(Schema.String),
  fingerprint: Schema.optionalKey(Schema.String),
  knownHostsFile: Schema.optionalKey(Schema.String),
  knownHostsLine: Schema.optionalKey(Schema.Int),
  /** The name that known_hosts uses for this host, e.g. `[127.0.0.1]:2222`. */
  knownHostsName: Schema.optionalKey(Schema.String)
}

/** Removes the entries that a host key was compared with. */
const forget = (
  self: { readonly target: SshTarget; readonly knownHostsFile?: string; readonly knownHostsName?: string }
): ReadonlyArray<string> => [
  "ssh-keygen",
  "-R",
  self.knownHostsName ?? self.target.host,
  ...(self.knownHostsFile === undefined ? [] : ["-f", self.knownHostsFile])
]

/** The name has no address: NXDOMAIN, no DNS, or an alias that the ssh config does not define. */
export class HostNameNotResolved extends Schema.TaggedError<HostNameNotResolved>()("HostNameNotResolved", {
  ...place,
  hostName: Schema.String,
  detail: Schema.String
}) implements Explained {
  override get message() {
    return `The host name ${this.hostName} could not be resolved: ${this.detail}`
  }
  get retryable() {
    return true
  }
  get remedy() {
    return remedy("Check the spelling, the Host entry in your ssh config, and whether the network or VPN is up.")
  }
}

/** The machine answered, but nothing listens on its ssh port. */
export class ConnectionRefused extends Schema.TaggedError<ConnectionRefused>()("ConnectionRefused", {
  ...place,
  port: Schema.optionalKey(Schema.Int)
}) implements Explained {
  override get message() {
    return `${at(this)} refused the connection${this.port === undefined ? "" : ` on port ${this.port}`}`
  }
  get retryable() {
    return true
  }
  get remedy() {
    return remedy("Check that sshd runs there and that the port is right.")
  }
}

/**
 * No answer to TCP, no banner, or key exchange that stalled; `login` is the
 * login at a jump host that the next ssh did not wait for any longer. `phase`
 * says how far it came.
 */
export class ConnectionTimedOut extends Schema.TaggedError<ConnectionTimedOut>()("ConnectionTimedOut", {
  ...place,
  phase: Schema.Literals(["connect", "banner", "key-exchange", "login"])
}) implements Explained {
  override get message() {
    const what = {
      "connect": "did not answer",
      "banner": "accepted the connection but never spoke ssh",
      "key-exchange": "stopped answering while the connection was being made",
      "login": "did not finish the login in time"
    }[this.phase]
    return `${at(this)} ${what}`
  }
  get retryable() {
    return true
  }
  get remedy() {
    return remedy("Check the network, the VPN, a firewall in between, and whether the machine is up.")
  }
}

/** This machine has no route there, or a local firewall forbids it. */
export class NetworkUnreachable extends Schema.TaggedError<NetworkUnreachable>()("NetworkUnreachable", {
  ...place,
  detail: Schema.String
}) implements Explained {
  override get message() {
    return `${at(this)} cannot be reached from this machine: ${this.detail}`
  }
  get retryable() {
    return true
  }
  get remedy() {
    return remedy("Check the network and the VPN.")
  }
}

/**
 * known_hosts has no key of this type for the host. ssh's question is never
 * asked in the app. `knownKeyTypes` are the types that it does have: ssh then
 * refuses to accept another one before the old entry is forgotten.
 */
export class HostKeyUnknown extends Schema.TaggedError<HostKeyUnknown>()("HostKeyUnknown", {
  ...place,
  ...hostKey,
  knownKeyTypes: Schema.optionalKey(Schema.Array(Schema.String)),
  /** `false` when known_hosts is switched off (`UserKnownHostsFile /dev/null`): accepting would not be remembered. */
  rememberable: Schema.Boolean
}) implements Explained {
  override get message() {
    return `The host key of ${at(this)} is not known yet${
      this.fingerprint === undefined
        ? ""
        : `: ${this.keyType === undefined ? "" : `${this.keyType} `}${this.fingerprint}`
    }`
  }
  get retryable() {
    return false
  }
  get remedy() {
    const accept = interactively(this.target, ["-o", "StrictHostKeyChecking=ask"])
    if (this.knownKeyTypes !== undefined && this.knownKeyTypes.length > 0) {
      return new Remedy({
        text: `known_hosts has only another type of key for this host (${
          this.knownKeyTypes.join(", ")
        }). Compare the fingerprint with the one that the machine's owner gives. Only if it is right, forget the old entry and accept the new key in a terminal:`,
        command: `${shellLine(forget(this))} && ${shellLine(accept)}`
      })
    }
    return this.rememberable
      ? remedy(
        "Compare the fingerprint with the one that the machine's owner gives, then accept it once in a terminal:",
        accept
      )
      : remedy(
        "Your ssh config sets UserKnownHostsFile to /dev/null for this host, so an accepted key can't be remembered. Give the host a real known_hosts file first."
      )
  }
}

/** The host shows another key than the one in known_hosts: a reinstalled machine, or somebody in between. */
export class HostKeyChanged extends Schema.TaggedError<HostKeyChanged>()("HostKeyChanged", {
  ...place,
  ...hostKey
}) implements Explained {
  override get message() {
    return `DANGER: the host key of ${at(this)} has changed${
      this.fingerprint === undefined ? "" : ` to ${this.fingerprint}`
    }. Somebody may be intercepting the connection`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy(
      "Ask the machine's owner whether its key was replaced, and compare the new fingerprint. Only if that is so, forget the old key, then connect once in a terminal:",
      forget(this)
    )
  }
}

/** The key is marked `@revoked` in known_hosts or listed in RevokedHostKeys. */
export class HostKeyRevoked extends Schema.TaggedError<HostKeyRevoked>()("HostKeyRevoked", {
  ...place,
  ...hostKey
}) implements Explained {
  override get message() {
    return `DANGER: the host key of ${at(this)} is revoked${
      this.knownHostsFile === undefined ? "" : ` by ${this.knownHostsFile}`
    }`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Do not connect. Ask the machine's owner for its new key.")
  }
}

/**
 * sshd refused every key that was offered. `alsoAccepts` lists what it would
 * still take, `offered` counts the keys: 0 when there was none to offer.
 */
export class AuthenticationFailed extends Schema.TaggedError<AuthenticationFailed>()("AuthenticationFailed", {
  ...place,
  user: Schema.optionalKey(Schema.String),
  alsoAccepts: Schema.Array(Schema.String),
  offered: Schema.optionalKey(Schema.Int),
  /** A key was good, and sshd wants another one beside it. */
  partial: Schema.optionalKey(Schema.Literal(true))
}) implements Explained {
  override get message() {
    if (this.partial === true) return `${at(this)} accepts one of your keys and asks for another one beside it`
    return this.offered === 0
      ? `There is no key to log in with at ${at(this)}`
      : `${at(this)} accepts none of your keys${this.user === undefined ? "" : ` for the user ${this.user}`}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy(
      "Check the user name and the identity file, or put your public key there. Try it in a terminal:",
      interactively(this.target, [])
    )
  }
}

/** Login did not end within the deadline: a hung agent, server or key. `waited` is in milliseconds. */
export class AuthenticationTimedOut extends Schema.TaggedError<AuthenticationTimedOut>()("AuthenticationTimedOut", {
  ...place,
  waited: Schema.Int,
  waitingFor: Schema.optionalKey(Schema.Literal("security-key"))
}) implements Explained {
  override get message() {
    return `Logging in at ${at(this)} did not finish within ${Math.round(this.waited / 1000)} s${
      this.waitingFor === undefined ? "" : "; the security key was waiting for a touch"
    }`
  }
  get retryable() {
    return true
  }
  get remedy() {
    return this.waitingFor === undefined
      ? remedy("Your ssh agent or the server may hang. Try it in a terminal:", interactively(this.target, []))
      : remedy("Connect again and touch the security key when it blinks.")
  }
}

/**
 * ssh would have to ask a person, and the app never asks. `what` is what it would ask for. For a password or a
 * question, `key` says why a key does not spare it: sshd wants it beside a key that it `accepted`, or takes no keys
 * (`unsupported`).
 */
export class InteractionRequired extends Schema.TaggedError<InteractionRequired>()("InteractionRequired", {
  ...place,
  what: Schema.Literals(["passphrase", "password", "keyboard-interactive", "pin", "security-key", "confirmation"]),
  identityFile: Schema.optionalKey(Schema.String),
  key: Schema.optionalKey(Schema.Literals(["accepted", "unsupported"]))
}) implements Explained {
  override get message() {
    const beside = this.key === "accepted" ? " beside the key" : ""
    const what = {
      "passphrase": `The key ${this.identityFile ?? ""} is locked with a passphrase`.replace("  ", " "),
      "password": `${at(this)} asks for a password${beside}`,
      "keyboard-interactive": `${at(this)} asks a question (keyboard-interactive, such as a one-time code)${beside}`,
      "pin": "The security key asks for its PIN",
      "security-key": "The security key was not there or was not touched",
      "confirmation": "The ssh agent asks for a confirmation that was not given"
    }[this.what]
    return this.what === "security-key" ? what : `${what}; the app never asks for secrets`
  }
  get retryable() {
    return false
  }
  get remedy() {
    switch (this.what) {
      case "passphrase":
        return remedy("Unlock the key once in a terminal, then connect again:", [
          "ssh-add",
          ...(this.identityFile === undefined ? [] : [this.identityFile])
        ])
      case "security-key":
        return remedy("Plug the security key in, connect again, and touch it when it blinks.")
      case "confirmation":
        return remedy(
          "Confirm in the agent's own dialog while you connect, or add the key again without confirmation:",
          ["ssh-add"]
        )
      case "pin":
        return remedy("Add the key to the agent in a terminal, where it can ask for the PIN, then connect again:", [
          "ssh-add",
          ...(this.identityFile === undefined ? [] : [this.identityFile])
        ])
      default:
        if (this.key === "accepted") {
          return remedy("Ask the server's owner to let your key log in alone (AuthenticationMethods).")
        }
        if (this.key === "unsupported") {
          return remedy("Ask the server's owner to accept keys for your account (PubkeyAuthentication).")
        }
        return remedy("Set up a key for this account, then connect again:", [
          "ssh-copy-id",
          ...this.target.options,
          this.target.host
        ])
    }
  }
}

/** sshd closed the login after MaxAuthTries keys; an agent full of keys is the usual cause. */
export class TooManyAuthenticationFailures
  extends Schema.TaggedError<TooManyAuthenticationFailures>()("TooManyAuthenticationFailures", place)
  implements Explained
{
  override get message() {
    return `${at(this)} ended the login because too many keys were tried`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Name the right identity file in the profile: then only that key is offered.")
  }
}

/** Client and server share no cipher, key exchange, host key type or MAC. */
export class NoCommonAlgorithm extends Schema.TaggedError<NoCommonAlgorithm>()("NoCommonAlgorithm", {
  ...place,
  kind: Schema.String,
  offered: Schema.String
}) implements Explained {
  override get message() {
    return `This ssh and ${at(this)} share no ${this.kind}; it offers ${this.offered}`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("Update the older side, or allow one of these algorithms for this host in your ssh config.")
  }
}

/**
 * The jump host could not pass the connection on: forwarding forbidden there,
 * or the next host unreachable from it. For a ProxyCommand that failed
 * (`problem` is then `proxy-command`) there is a `command` instead of a `hop`.
 */
export class ProxyJumpFailed extends Schema.TaggedError<ProxyJumpFailed>()("ProxyJumpFailed", {
  target: SshTarget,
  hop: Schema.optionalKey(Schema.String),
  command: Schema.optionalKey(Schema.String),
  problem: Schema.Literals(["prohibited", "refused", "not-resolved", "unreachable", "proxy-command", "unknown"]),
  detail: Schema.String
}) implements Explained {
  override get message() {
    const what = {
      "prohibited": "forbids passing connections on",
      "refused": "found the next host's ssh port closed",
      "not-resolved": "cannot resolve the next host's name",
      "unreachable": "cannot reach the next host",
      "proxy-command": "could not be used",
      "unknown": "did not pass the connection on"
    }[this.problem]
    return this.problem === "proxy-command"
      ? `The ProxyCommand of ${this.target.host} failed: ${this.detail}`
      : `The jump host${this.hop === undefined ? "" : ` ${this.hop}`} ${what}: ${this.detail}`
  }
  get retryable() {
    return this.problem === "refused" || this.problem === "unreachable" || this.problem === "not-resolved" ||
      this.problem === "unknown"
  }
  get remedy() {
    return this.problem === "prohibited"
      ? remedy("Ask the jump host's owner to allow TCP forwarding for your account (AllowTcpForwarding, PermitOpen).")
      : this.problem === "proxy-command"
      ? remedy(
        "Correct the ProxyCommand of this host in your ssh config. A terminal shows the same:",
        interactively(this.target, [])
      )
      : remedy("Check the host and port as the jump host sees them:", interactively(this.target, []))
  }
}

/** The local port that the profile pins is taken. */
export class LocalPortInUse extends Schema.TaggedError<LocalPortInUse>()("LocalPortInUse", {
  port: Schema.Int
}) implements Explained {
  override get message() {
    return `Port ${this.port} of this machine, which the profile asks for, is used by another program`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy("End the program that uses it, or remove the local port from the profile to let one be chosen.")
  }
}

/** sshd forbids the forward: AllowTcpForwarding, PermitOpen, DisableForwarding, or `restrict` on the key. */
export class ForwardingDenied extends Schema.TaggedError<ForwardingDenied>()("ForwardingDenied", {
  target: SshTarget,
  remotePort: Schema.Int
}) implements Explained {
  override get message() {
    return `${this.target.host} forbids forwarding to its port ${this.remotePort} (administratively prohibited)`
  }
  get retryable() {
    return false
  }
  get remedy() {
    return remedy(
      "Ask the server's owner to allow TCP forwarding for your account (AllowTcpForwarding, PermitOpen, no `restrict` on the key)."
    )
  }
}

/** The other side closed the connection before login ended: MaxStartups, a penalty, a firewall, or no ssh server at all. */
export class ConnectionClosed extends Schema.TaggedError<ConnectionClosed>()("ConnectionClosed", {
  ...place,
  detail: Schema.String
}) implements Explained {
  override get message() {
    return `${at(this)} closed the connection before login: ${this.detail}`
  }
  get retryable() {
    return true
  }
  get remedy() {
    return remedy(
      "The server may be overloaded or refuse this address for a while: wait a little, then try again. If it stays so, check that the port is the one of sshd."
    )
  }
}

/** A connection that was up is gone. */
export class ConnectionLost extends Schema.TaggedError<ConnectionLost>()("ConnectionLost", {
  ...place,
  detail: Schema.String
}) implements Explained {
  override get message() {
    return `The connection to ${at(this)} was lost: ${this.detail}`
  }
  get retryable() {
    return true
  }
  get remedy() {
    return remedy("A connection that worked is made again by itself when the network allows; else connect again.")
  }
}

/** ssh ended with a text that no rule knows; the text is kept, never guessed at. */
export class Unclassified extends Schema.TaggedError<Unclassified>()("Unclassified", {
  ...place,
  exitCode: Schema.optionalKey(Schema.Int),
  signal: Schema.optionalKey(Schema.String),
  stderr: Schema.String
}) implements Explained {
  override get message() {
    const first = this.stderr.split("\n").filter((line) => line.trim() !== "").at(-1)
    return `ssh ended unexpectedly (${this.signal ?? `exit code ${this.exitCode ?? "unknown"}`})${
      first === undefined ? "" : `: ${first.trim()}`
    }`
  }
  get retryable() {
    return true
  }
  get remedy() {
    return remedy("Try the same in a terminal, where ssh shows more:", interactively(this.target, ["-v"]))
  }
}

/** Every reason of {@link TransportError}. */
export const TransportReason = Schema.Union([
  HostNameNotResolved,
  ConnectionRefused,
  ConnectionTimedOut,
  NetworkUnreachable,
  HostKeyUnknown,
  HostKeyChanged,
  HostKeyRevoked,
  AuthenticationFailed,
  AuthenticationTimedOut,
  InteractionRequired,
  TooManyAuthenticationFailures,
  NoCommonAlgorithm,
  ProxyJumpFailed,
  LocalPortInUse,
  ForwardingDenied,
  ConnectionClosed,
  ConnectionLost,
  Unclassified
])
export type TransportReason = typeof TransportReason.Type

/** ssh failed (see the module). */
export class TransportError extends Schema.TaggedError<TransportError>()("TransportError", {
  reason: TransportReason
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
