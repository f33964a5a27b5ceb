import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { ConfigurationError, ConnectionError, TransportError } from "../../src/index.ts"
import { classify, configurationError, type Ended, expired, knownHostsQuery } from "../../src/internal/classify.ts"
import { append, empty, isAuthenticated, type SshLog } from "../../src/internal/sshLog.ts"
import { read } from "../../src/internal/sshWordings.ts"
import { AnyText, textOf, transcript, transcripts } from "./transcripts.ts"

const logOf = (stderr: string): SshLog => append(empty, stderr)[1]

const target = { host: "box", options: [] }
const hops = (host: string) => ({ host, options: ["-F", "hop"] })

const endedOf = (stderr: string, more: Partial<Ended> = {}): Ended => ({
  log: logOf(stderr),
  exit: { code: 255 },
  phase: "opening",
  target,
  hops,
  ...more
})

/** What went wrong, as a record without the texts that depend on the whole transcript. */
const reasonOf = (error: TransportError | ConfigurationError): Record<string, unknown> => {
  const wire: Record<string, unknown> = { ...Schema.encodeSync(ConnectionError)(error).reason }
  for (const name of ["target", "stderr", "exitCode", "signal"]) delete wire[name]
  return wire
}

const fingerprints = {
  box: "SHA256:box+ed2551900000000000000000000000000000000",
  bastion: "SHA256:bastion+ed255190000000000000000000000000000",
  inner: "SHA256:inner+ed25519000000000000000000000000000000"
}

/** Each transcript and the reason that it must give; see the transcripts' first lines for what happened. */
const expected: Record<string, Record<string, unknown>> = {
  "agent-gone": { _tag: "AuthenticationFailed", user: "me", alsoAccepts: ["publickey"], offered: 1 },
  "agent-refuses": { _tag: "InteractionRequired", what: "confirmation" },
  "banner-crlf-then-refused": { _tag: "AuthenticationFailed", user: "me", alsoAccepts: ["publickey"], offered: 1 },
  "banner-crlf-then-up": { _tag: "ConnectionLost", detail: "ssh ended (SIGTERM)" },
  "banner-never": { _tag: "ConnectionTimedOut", phase: "banner" },
  "banner-then-refused": { _tag: "AuthenticationFailed", user: "me", alsoAccepts: ["publickey"], offered: 1 },
  "closed-after-banner": { _tag: "ConnectionClosed", detail: "Connection closed by 127.0.0.1 port 2201" },
  "closed-at-accept": { _tag: "ConnectionClosed", detail: "Connection closed by remote host" },
  "config-agent-variable": {
    _tag: "SshConfigInvalid",
    file: "/home/me/.ssh/config",
    configLine: 2,
    detail: "Invalid environment expansion ${NO_SUCH_VARIABLE}."
  },
  "config-bad-algorithms": {
    _tag: "SshConfigInvalid",
    file: "/home/me/.ssh/config",
    configLine: 2,
    detail: "Bad SSH2 cipher spec 'rot13'."
  },
  "config-bad-jump": { _tag: "SshConfigInvalid", file: "~/.ssh/config", detail: "jumphost loop via a" },
  "config-bad-match": {
    _tag: "SshConfigInvalid",
    file: "/home/me/.ssh/config",
    configLine: 1,
    detail: "Bad Match condition"
  },
  "config-bad-option": { _tag: "SshConfigInvalid", file: "command-line", detail: "Bad configuration option: foobar" },
  "config-bad-quotes": {
    _tag: "SshConfigInvalid",
    file: "/home/me/.ssh/config",
    configLine: 2,
    detail: "invalid quotes"
  },
  "config-bad-time": {
    _tag: "SshConfigInvalid",
    file: "/home/me/.ssh/config",
    configLine: 2,
    detail: "invalid time value."
  },
  "config-bad-value": {
    _tag: "SshConfigInvalid",
    file: "/home/me/.ssh/config",
    configLine: 2,
    detail: "Bad port 'abc'."
  },
  "config-bad-yes-no": {
    _tag: "SshConfigInvalid",
    file: "/home/me/.ssh/config",
    configLine: 2,
    detail: "unsupported option \"perhaps\"."
  },
  "config-deprecated-option": {
    _tag: "HostNameNotResolved",
    hostName: "no-such-host.invalid",
    detail: "Name or service not known"
  },
  "config-directory": { _tag: "HostNameNotResolved", hostName: "box", detail: "Name or service not known" },
  "config-extra-argument": {
    _tag: "SshConfigInvalid",
    file: "/home/me/.ssh/config",
    configLine: 2,
    detail: "keyword port extra arguments at end of line"
  },
  "config-included-bad": {
    _tag: "SshConfigInvalid",
    file: "/home/me/.ssh/work",
    configLine: 2,
    detail: "Bad configuration option: foobar"
  },
  "config-included-permissions": {
    _tag: "SshConfigInvalid",
    file: "/home/me/.ssh/work",
    detail: "Bad owner or permissions"
  },
  "config-included-unreadable": {
    _tag: "SshConfigInvalid",
    file: "/home/me/.ssh/work",
    detail: "Too many levels of symbolic links"
  },
  "config-jump-loop": { _tag: "SshConfigInvalid", file: "~/.ssh/config", detail: "jumphost loop via a" },
  "config-missing-argument": {
    _tag: "SshConfigInvalid",
    file: "/home/me/.ssh/config",
    configLine: 2,
    detail: "no argument after keyword \"port\""
  },
  "config-missing-f": { _tag: "SshConfigInvalid", file: "/home/me/.ssh/gone", detail: "No such file or directory" },
  "config-permissions": { _tag: "SshConfigInvalid", file: "/home/me/.ssh/config", detail: "Bad owner or permissions" },
  "config-unknown-keyword": {
    _tag: "SshConfigInvalid",
    file: "/home/me/.ssh/config",
    configLine: 2,
    detail: "Bad configuration option: foobar"
  },
  "config-unreadable": {
    _tag: "SshConfigInvalid",
    file: "/home/me/.ssh/config",
    detail: "Too many levels of symbolic links"
  },
  "config-unsupported-option": {
    _tag: "HostNameNotResolved",
    hostName: "no-such-host.invalid",
    detail: "Name or service not known"
  },
  "control-socket-directory-missing": {
    _tag: "RuntimeDirectoryUnusable",
    path: "gone/c1",
    detail: "No such file or directory"
  },
  "control-socket-too-long": {
    _tag: "RuntimeDirectoryUnusable",
    path: "c".repeat(120),
    detail: "too long for Unix domain socket"
  },
  "debug-message-forged": { _tag: "Unclassified" },
  "disconnect-message-forged": { _tag: "ConnectionClosed", detail: "go away" },
  "forward-local-port-taken": { _tag: "ConnectionLost", detail: "ssh ended (exit code 0)" },
  "forward-prohibited": { _tag: "ConnectionLost", detail: "ssh ended (exit code 0)" },
  "forward-refused-and-prohibited": { _tag: "ConnectionLost", detail: "ssh ended (exit code 0)" },
  "host-certificate-unknown-authority": {
    _tag: "HostKeyUnknown",
    keyType: "ED25519",
    fingerprint: fingerprints.box,
    knownHostsName: "[127.0.0.1]:2201",
    rememberable: true
  },
  "host-key-changed-alias": {
    _tag: "HostKeyChanged",
    keyType: "ED25519",
    fingerprint: fingerprints.box,
    knownHostsFile: "/home/me/.ssh/known_hosts",
    knownHostsLine: 1,
    knownHostsName: "the-box"
  },
  "host-key-changed-two-types": {
    _tag: "HostKeyChanged",
    keyType: "ED25519",
    fingerprint: fingerprints.box,
    knownHostsFile: "/home/me/.ssh/known_hosts",
    knownHostsLine: 2,
    knownHostsName: "[127.0.0.1]:2201"
  },
  "host-key-changed": {
    _tag: "HostKeyChanged",
    keyType: "ED25519",
    fingerprint: fingerprints.box,
    knownHostsFile: "/home/me/.ssh/known_hosts",
    knownHostsLine: 1,
    knownHostsName: "[127.0.0.1]:2201"
  },
  "host-key-other-type-known": {
    _tag: "HostKeyChanged",
    keyType: "ED25519",
    fingerprint: fingerprints.box,
    knownHostsFile: "/home/me/.ssh/known_hosts",
    knownHostsLine: 1,
    knownHostsName: "[127.0.0.1]:2201"
  },
  "host-key-revoked-krl-malformed": {
    _tag: "RevokedKeysUnreadable",
    file: "/home/me/.ssh/revoked",
    detail: "invalid format"
  },
  "host-key-revoked-krl-missing": {
    _tag: "RevokedKeysUnreadable",
    file: "/home/me/.ssh/revoked",
    detail: "No such file or directory"
  },
  "host-key-revoked-krl": {
    _tag: "HostKeyRevoked",
    keyType: "ED25519",
    fingerprint: fingerprints.box,
    knownHostsFile: "/home/me/.ssh/revoked"
  },
  "host-key-revoked-marker": {
    _tag: "HostKeyRevoked",
    keyType: "ED25519",
    fingerprint: fingerprints.box,
    knownHostsName: "[127.0.0.1]:2201"
  },
  "host-key-unknown-dev-null": {
    _tag: "HostKeyUnknown",
    keyType: "ED25519",
    fingerprint: fingerprints.box,
    knownHostsName: "[127.0.0.1]:2201",
    rememberable: true
  },
  "host-key-unknown-missing-file": {
    _tag: "HostKeyUnknown",
    keyType: "ED25519",
    fingerprint: fingerprints.box,
    knownHostsName: "[127.0.0.1]:2201",
    rememberable: true
  },
  "host-key-unknown": {
    _tag: "HostKeyUnknown",
    keyType: "ED25519",
    fingerprint: fingerprints.box,
    knownHostsName: "[127.0.0.1]:2201",
    rememberable: true
  },
  "identity-directory": { _tag: "IdentityFileUnusable", file: "/home/me/.ssh/id_ed25519", problem: "malformed" },
  "identity-empty": { _tag: "IdentityFileUnusable", file: "/home/me/.ssh/id_ed25519", problem: "malformed" },
  "identity-malformed-beside-public": {
    _tag: "IdentityFileUnusable",
    file: "/home/me/.ssh/id_ed25519",
    problem: "malformed"
  },
  "identity-malformed": { _tag: "IdentityFileUnusable", file: "/home/me/.ssh/id_ed25519", problem: "malformed" },
  "identity-missing-i": { _tag: "IdentityFileUnusable", file: "/home/me/.ssh/id_other", problem: "missing" },
  "identity-missing-other-refused": {
    _tag: "AuthenticationFailed",
    user: "me",
    alsoAccepts: ["publickey"],
    offered: 1
  },
  "identity-missing": { _tag: "IdentityFileUnusable", file: "/home/me/.ssh/id_ed25519", problem: "missing" },
  "identity-permissions-without-public": {
    _tag: "IdentityFileUnusable",
    file: "/home/me/.ssh/id_ed25519",
    problem: "permissions"
  },
  "identity-permissions": { _tag: "IdentityFileUnusable", file: "/home/me/.ssh/id_ed25519", problem: "permissions" },
  "identity-private-missing": { _tag: "IdentityFileUnusable", file: "/home/me/.ssh/id_ed25519", problem: "missing" },
  "identity-public-0600": { _tag: "IdentityFileUnusable", file: "/home/me/.ssh/id_ed25519.pub", problem: "public-key" },
  "identity-public": { _tag: "IdentityFileUnusable", file: "/home/me/.ssh/id_ed25519.pub", problem: "public-key" },
  "identity-truncated": { _tag: "IdentityFileUnusable", file: "/home/me/.ssh/id_ed25519", problem: "malformed" },
  "jump-banner-crlf-then-target-refused": {
    _tag: "AuthenticationFailed",
    user: "me",
    alsoAccepts: ["publickey"],
    offered: 1
  },
  "jump-config-broken-only-there": {
    _tag: "SshConfigInvalid",
    file: "~/.ssh/config",
    detail: "invalid environment variable expansion"
  },
  "jump-host-key-changed": {
    _tag: "HostKeyChanged",
    hop: "bastion",
    keyType: "ED25519",
    fingerprint: fingerprints.bastion,
    knownHostsFile: "/home/me/.ssh/known_hosts",
    knownHostsLine: 2,
    knownHostsName: "[127.0.0.1]:2202"
  },
  "jump-host-key-unknown": {
    _tag: "HostKeyUnknown",
    hop: "bastion",
    keyType: "ED25519",
    fingerprint: fingerprints.bastion,
    knownHostsName: "[127.0.0.1]:2202",
    rememberable: true
  },
  "jump-key-refused": {
    _tag: "AuthenticationFailed",
    hop: "bastion",
    user: "me",
    alsoAccepts: ["publickey"],
    offered: 1
  },
  "jump-login-slow": { _tag: "ConnectionTimedOut", hop: "bastion", phase: "login" },
  "jump-not-resolved": {
    _tag: "HostNameNotResolved",
    hop: "no-such-host.invalid",
    hostName: "no-such-host.invalid",
    detail: "Name or service not known"
  },
  "jump-password-only": { _tag: "InteractionRequired", hop: "bastion", what: "password", key: "unsupported" },
  "jump-prohibited": { _tag: "ProxyJumpFailed", hop: "bastion", problem: "prohibited", detail: "open failed" },
  "jump-refused": { _tag: "ConnectionRefused", hop: "bastion", port: 2202 },
  "jump-silent": { _tag: "ConnectionTimedOut", hop: "bastion", phase: "banner" },
  "jump-target-closes": { _tag: "ConnectionClosed", detail: "Connection closed by remote host" },
  "jump-target-key-refused": { _tag: "AuthenticationFailed", user: "me", alsoAccepts: ["publickey"], offered: 1 },
  "jump-target-key-unknown": {
    _tag: "HostKeyUnknown",
    keyType: "ED25519",
    fingerprint: fingerprints.inner,
    knownHostsName: "[127.0.0.1]:2203",
    rememberable: true
  },
  "jump-target-not-resolved": {
    _tag: "ProxyJumpFailed",
    hop: "bastion",
    problem: "not-resolved",
    detail: "Name or service not known"
  },
  "jump-target-refused": { _tag: "ProxyJumpFailed", hop: "bastion", problem: "refused", detail: "Connection refused" },
  "jump-target-silent": { _tag: "ConnectionTimedOut", phase: "banner" },
  "jump-target-unreachable": { _tag: "ProxyJumpFailed", hop: "bastion", problem: "unknown", detail: "open failed" },
  "jump-through-users-master-prohibited": {
    _tag: "ProxyJumpFailed",
    hop: "bastion",
    problem: "unknown",
    detail: "Stdio forwarding request failed: Session open refused by peer"
  },
  "jump-through-users-master": { _tag: "AuthenticationFailed", user: "me", alsoAccepts: ["publickey"], offered: 1 },
  "jump-two-first-key-unknown": {
    _tag: "HostKeyUnknown",
    hop: "bastion",
    keyType: "ED25519",
    fingerprint: fingerprints.bastion,
    knownHostsName: "[127.0.0.1]:2202",
    rememberable: true
  },
  "jump-two-first-prohibits": { _tag: "ProxyJumpFailed", hop: "bastion", problem: "prohibited", detail: "open failed" },
  "jump-two-second-refuses-key": {
    _tag: "AuthenticationFailed",
    hop: "box",
    user: "me",
    alsoAccepts: ["publickey"],
    offered: 1
  },
  "jump-up": { _tag: "ConnectionLost", detail: "ssh ended (exit code 0)" },
  "key-exchange-stalls": { _tag: "ConnectionTimedOut", phase: "key-exchange" },
  "key-locked-refused": { _tag: "AuthenticationFailed", user: "me", alsoAccepts: ["publickey"], offered: 1 },
  "key-locked-without-public": {
    _tag: "InteractionRequired",
    what: "passphrase",
    identityFile: "/home/me/.ssh/id_rsa"
  },
  "key-locked": { _tag: "InteractionRequired", what: "passphrase", identityFile: "/home/me/.ssh/id_ed25519" },
  "key-one-refused-one-locked": {
    _tag: "InteractionRequired",
    what: "passphrase",
    identityFile: "/home/me/.ssh/id_locked"
  },
  "key-refused-password-left": {
    _tag: "AuthenticationFailed",
    user: "me",
    alsoAccepts: ["publickey", "password"],
    offered: 1
  },
  "key-refused": { _tag: "AuthenticationFailed", user: "me", alsoAccepts: ["publickey"], offered: 1 },
  "key-then-key": {
    _tag: "AuthenticationFailed",
    user: "me",
    alsoAccepts: ["publickey"],
    offered: 2,
    partial: true
  },
  "key-then-keyboard-interactive": { _tag: "InteractionRequired", what: "keyboard-interactive", key: "accepted" },
  "key-then-password": { _tag: "InteractionRequired", what: "password", key: "accepted" },
  "key-without-public": { _tag: "AuthenticationFailed", user: "me", alsoAccepts: ["publickey"], offered: 1 },
  "keyboard-interactive-only": { _tag: "InteractionRequired", what: "keyboard-interactive", key: "unsupported" },
  "lost-exit-request": { _tag: "ConnectionLost", detail: "ssh ended (exit code 255)" },
  "lost-jump-session-killed": {
    _tag: "ConnectionLost",
    hop: "bastion",
    detail: "Connection to 127.0.0.1 closed by remote host."
  },
  "lost-killed": { _tag: "ConnectionLost", detail: "ssh ended (SIGKILL)" },
  "lost-server-silent": { _tag: "ConnectionLost", detail: "Timeout, server 127.0.0.1 not responding." },
  "lost-session-killed": { _tag: "ConnectionLost", detail: "Connection to 127.0.0.1 closed by remote host." },
  "lost-target-session-killed-behind-jump": {
    _tag: "ConnectionLost",
    detail: "Connection to 127.0.0.1 closed by remote host."
  },
  "max-startups": { _tag: "ConnectionClosed", detail: "Connection closed by remote host" },
  "mux-exec-master-gone": { _tag: "ConnectionClosed", detail: "Connection closed by remote host" },
  "mux-exec-sessions-refused": { _tag: "ConnectionClosed", detail: "Connection closed by remote host" },
  "mux-forward-master-gone": { _tag: "Unclassified" },
  "mux-forward-taken": { _tag: "Unclassified" },
  "mux-sessions-refused": { _tag: "ConnectionLost", detail: "ssh ended (exit code 0)" },
  "name-not-found": {
    _tag: "HostNameNotResolved",
    hostName: "no-such-host.invalid",
    detail: "Name or service not known"
  },
  "name-resolver-down": {
    _tag: "HostNameNotResolved",
    hostName: "host.example",
    detail: "Temporary failure in name resolution"
  },
  "no-common-cipher": { _tag: "NoCommonAlgorithm", kind: "cipher", offered: "aes128-ctr" },
  "no-common-host-key": { _tag: "NoCommonAlgorithm", kind: "host key type", offered: "ssh-ed25519" },
  "no-common-key-exchange": {
    _tag: "NoCommonAlgorithm",
    kind: "key exchange method",
    offered: "ecdh-sha2-nistp521,kex-strict-s-v00@openssh.com"
  },
  "no-common-mac": { _tag: "NoCommonAlgorithm", kind: "MAC", offered: "hmac-sha2-256" },
  "no-default-key": { _tag: "AuthenticationFailed", user: "me", alsoAccepts: ["publickey"], offered: 0 },
  "no-key-to-offer": { _tag: "AuthenticationFailed", user: "me", alsoAccepts: ["publickey"], offered: 0 },
  "no-route": { _tag: "NetworkUnreachable", detail: "No route to host" },
  "not-ssh-binary": { _tag: "ConnectionClosed", detail: "banner line contains invalid characters" },
  "not-ssh-endless": { _tag: "ConnectionClosed", detail: "No SSH version received in first 1024 lines from server" },
  "not-ssh-http": { _tag: "ConnectionClosed", detail: "Connection closed by remote host" },
  "password-and-keyboard-interactive": { _tag: "InteractionRequired", what: "password", key: "unsupported" },
  "password-only": { _tag: "InteractionRequired", what: "password", key: "unsupported" },
  "plain-exec-sessions-refused": { _tag: "Unclassified" },
  "plain-local-port-taken": { _tag: "LocalPortInUse", port: 40001 },
  "plain-privileged-port": { _tag: "Unclassified" },
  "plain-up": { _tag: "ConnectionLost", detail: "ssh ended (exit code 0)" },
  "prohibited-locally": { _tag: "NetworkUnreachable", detail: "Permission denied" },
  "protocol-1": { _tag: "NoCommonAlgorithm", kind: "protocol version", offered: "SSH 1" },
  "proxy-command-fails": {
    _tag: "ProxyJumpFailed",
    command: "sh -c 'echo proxy: no route to 127.0.0.1 >&2; exit 1'",
    problem: "proxy-command",
    detail: "proxy: no route to 127.0.0.1"
  },
  "proxy-command-missing": {
    _tag: "ProxyJumpFailed",
    command: "/opt/no-such-program 127.0.0.1 2201",
    problem: "proxy-command",
    detail: "/opt/no-such-program: No such file or directory"
  },
  "proxy-command-ssh-refused": {
    _tag: "ProxyJumpFailed",
    command:
      "ssh -F none -o BatchMode=yes -o UserKnownHostsFile=/home/me/.ssh/known_hosts -i /home/me/.ssh/id_ed25519 -p 2202 -W 127.0.0.1:2203 127.0.0.1",
    problem: "proxy-command",
    detail: "me@127.0.0.1: Permission denied (publickey)."
  },
  "proxy-command-ssh-target-key-unknown": {
    _tag: "HostKeyUnknown",
    keyType: "ED25519",
    fingerprint: fingerprints.inner,
    knownHostsName: "[127.0.0.1]:2203",
    rememberable: true
  },
  refused: { _tag: "ConnectionRefused", port: 2201 },
  "reset-at-accept": { _tag: "ConnectionClosed", detail: "read: Connection reset by peer" },
  "source-10.2-key-refused": { _tag: "AuthenticationFailed", user: "me", alsoAccepts: ["publickey"], offered: 1 },
  "source-7.3-closed-at-accept": { _tag: "ConnectionClosed", detail: "Connection closed by remote host" },
  "source-7.3-key-locked": {
    _tag: "InteractionRequired",
    what: "passphrase",
    identityFile: "/home/me/.ssh/id_ed25519"
  },
  "source-7.3-key-refused": { _tag: "AuthenticationFailed", user: "me", alsoAccepts: ["publickey"], offered: 1 },
  "source-7.6-key-locked": {
    _tag: "InteractionRequired",
    what: "passphrase",
    identityFile: "/home/me/.ssh/id_ed25519"
  },
  "source-9.6-agent-refuses": { _tag: "InteractionRequired", what: "confirmation" },
  "source-9.6-identity-missing": { _tag: "IdentityFileUnusable", file: "/home/me/.ssh/id_ed25519", problem: "missing" },
  "source-9.6-key-locked": {
    _tag: "InteractionRequired",
    what: "passphrase",
    identityFile: "/home/me/.ssh/id_ed25519"
  },
  "source-9.6-key-locked-without-public": {
    _tag: "InteractionRequired",
    what: "passphrase",
    identityFile: "/home/me/.ssh/id_rsa"
  },
  "source-8.2-forwards": { _tag: "ConnectionLost", detail: "ssh ended (exit code 0)" },
  "source-8.2-host-key-changed": {
    _tag: "HostKeyChanged",
    keyType: "ED25519",
    fingerprint: fingerprints.box,
    knownHostsFile: "/home/me/.ssh/known_hosts",
    knownHostsLine: 1,
    knownHostsName: "[127.0.0.1]:2201"
  },
  "source-8.2-key-then-password": { _tag: "InteractionRequired", what: "password", key: "accepted" },
  "source-localised-denied": { _tag: "Unclassified" },
  "source-localised": { _tag: "Unclassified" },
  "source-macos-name-not-found": {
    _tag: "HostNameNotResolved",
    hostName: "no-such-host.invalid",
    detail: "nodename nor servname provided, or not known"
  },
  "source-macos-timed-out": { _tag: "ConnectionTimedOut", phase: "connect" },
  "source-other-client": { _tag: "Unclassified" },
  "source-security-key-absent": {
    _tag: "InteractionRequired",
    what: "security-key",
    identityFile: "/home/me/.ssh/id_ed25519_sk"
  },
  "source-security-key-agent-refused": { _tag: "InteractionRequired", what: "security-key" },
  "source-security-key-agent-waiting": { _tag: "Unclassified" },
  "source-security-key-error": { _tag: "Unclassified" },
  "source-security-key-pin": { _tag: "InteractionRequired", what: "pin", identityFile: "/home/me/.ssh/id_ed25519_sk" },
  "source-security-key-waiting": { _tag: "Unclassified" },
  "source-unknown-connect-error": { _tag: "Unclassified" },
  "source-unsupported-option-then-host-key-unknown": {
    _tag: "HostKeyUnknown",
    keyType: "ED25519",
    fingerprint: fingerprints.box,
    knownHostsName: "[127.0.0.1]:2201",
    rememberable: true
  },
  "timed-out": { _tag: "ConnectionTimedOut", phase: "connect" },
  "too-many-failures-agent": { _tag: "TooManyAuthenticationFailures" },
  "too-many-failures": { _tag: "TooManyAuthenticationFailures" },
  "two-addresses-refused": { _tag: "ConnectionRefused", port: 2201 },
  unreachable: { _tag: "NetworkUnreachable", detail: "Network is unreachable" },
  up: { _tag: "ConnectionLost", detail: "ssh ended (SIGTERM)" }
}

/** These were ready before they ended. */
const established: ReadonlySet<string> = new Set([
  "banner-crlf-then-up",
  "forward-local-port-taken",
  "forward-prohibited",
  "forward-refused-and-prohibited",
  "jump-up",
  "lost-exit-request",
  "lost-jump-session-killed",
  "lost-killed",
  "lost-server-silent",
  "lost-session-killed",
  "lost-target-session-killed-behind-jump",
  "mux-sessions-refused",
  "plain-up",
  "source-8.2-forwards",
  "up"
])

const phaseOf = (name: string) => established.has(name) ? "established" as const : "opening" as const

const classified = (name: string, more: Partial<Ended> = {}) => {
  const { exit, stderr } = transcript(name)
  return classify(endedOf(stderr, { exit, phase: phaseOf(name), ...more }))
}

describe("what the real ssh printed", () => {
  it("every transcript has its expectation, and every expectation its transcript", () => {
    assert.deepStrictEqual(transcripts.map(({ name }) => name).sort(), Object.keys(expected).sort())
  })

  for (const { about, name } of transcripts) {
    it(`${name}: ${about}`, () => {
      const error = classified(name)
      assert.deepStrictEqual(reasonOf(error), expected[name])
      assert.isFalse(JSON.stringify(reasonOf(error)).includes("evil"))
    })
  }

  it("nothing of an unclassified text is lost", () => {
    for (const { name, stderr } of transcripts) {
      const { reason } = classified(name)
      if (reason._tag === "Unclassified") assert.strictEqual(reason.stderr, stderr)
    }
  })

  it("a jump host's failure has the jump host's target, the destination's has its own", () => {
    const hop = classified("jump-key-refused").reason
    assert.deepStrictEqual("target" in hop ? hop.target : undefined, hops("bastion"))
    const own = classified("jump-target-key-refused").reason
    assert.deepStrictEqual("target" in own ? own.target : undefined, target)
  })
})

describe("what ssh's text alone can't tell", () => {
  it("a host known only by another type of key is unknown, if known_hosts says so", () => {
    const { log } = endedOf(transcript("host-key-other-type-known").stderr)
    assert.deepStrictEqual(knownHostsQuery(log), {
      name: "[127.0.0.1]:2201",
      file: "/home/me/.ssh/known_hosts"
    })
    const { reason } = classified("host-key-other-type-known", { knownKeyTypes: ["RSA", "RSA"] })
    assert.strictEqual(reason._tag, "HostKeyUnknown")
    assert.deepStrictEqual(reason._tag === "HostKeyUnknown" ? reason.knownKeyTypes : undefined, ["RSA"])
    assert.strictEqual(
      reason.remedy.command,
      "ssh-keygen -R '[127.0.0.1]:2201' -f /home/me/.ssh/known_hosts && ssh -S none -o StrictHostKeyChecking=ask box true"
    )
  })

  it("a changed key stays changed: of the same type, among several types, and when nothing is known", () => {
    for (const knownKeyTypes of [[], ["RSA"]]) {
      assert.strictEqual(classified("host-key-changed", { knownKeyTypes }).reason._tag, "HostKeyChanged")
    }
    assert.isUndefined(knownHostsQuery(logOf(transcript("host-key-changed").stderr)))
    for (const knownKeyTypes of [[], ["ED25519", "RSA"]]) {
      assert.strictEqual(classified("host-key-changed-two-types", { knownKeyTypes }).reason._tag, "HostKeyChanged")
    }
  })

  it("a key that can't be remembered has a remedy of its own", () => {
    const { reason } = classified("host-key-unknown-dev-null", { rememberable: () => false })
    assert.include(reason.remedy.text, "/dev/null")
    assert.isUndefined(reason.remedy.command)
    assert.isDefined(classified("host-key-unknown").remedy.command)
  })

  it("asks about the jump host by its name", () => {
    const asked: Array<string | undefined> = []
    const rememberable = (hop: string | undefined) => {
      asked.push(hop)
      return true
    }
    classified("jump-host-key-unknown", { rememberable })
    classified("jump-target-key-unknown", { rememberable })
    assert.deepStrictEqual(asked, ["bastion", undefined])
  })

  it("the profile's identity file is the cause when it is unusable, another one only when no key was refused", () => {
    assert.strictEqual(classified("identity-missing-other-refused").reason._tag, "AuthenticationFailed")
    const { reason } = classified("identity-missing-other-refused", { identityFile: "/home/me/.ssh/id_gone" })
    assert.strictEqual(reason._tag, "IdentityFileUnusable")
  })

  it("errors without a file name the user's config", () => {
    const { reason } = classified("config-jump-loop", { configFile: "/etc/other" })
    assert.strictEqual(reason._tag === "SshConfigInvalid" ? reason.file : undefined, "/etc/other")
  })
})

describe("structure", () => {
  it("a program that never ran", () => {
    const error = classify(endedOf("", { exit: { spawnError: "ENOENT" }, binary: "/opt/ssh" }))
    assert.deepStrictEqual(reasonOf(error), { _tag: "SshNotFound", binary: "/opt/ssh", detail: "ENOENT" })
  })

  it("whatever ends a connection that was up, it is lost", () => {
    for (const { name, stderr } of transcripts) {
      assert.strictEqual(classify(endedOf(stderr, { phase: "established" })).reason._tag, "ConnectionLost", name)
    }
  })

  it("a deadline names the jump host and the security key that it waited for", () => {
    const ended = (name: string) =>
      reasonOf(expired({ log: logOf(transcript(name).stderr), target, hops, waited: 30_000.4 }))
    assert.deepStrictEqual(ended("source-security-key-waiting"), {
      _tag: "AuthenticationTimedOut",
      waitingFor: "security-key",
      waited: 30_000
    })
    assert.deepStrictEqual(ended("jump-login-slow"), { _tag: "AuthenticationTimedOut", hop: "bastion", waited: 30_000 })
    assert.deepStrictEqual(ended("banner-never"), { _tag: "AuthenticationTimedOut", waited: 30_000 })
  })

  it("ssh -G: the file and line, else the last words", () => {
    assert.deepStrictEqual(
      reasonOf(configurationError(transcript("config-included-bad").stderr, "~/.ssh/config")),
      expected["config-included-bad"]
    )
    assert.deepStrictEqual(reasonOf(configurationError("something new\r\n", "~/.ssh/config")), {
      _tag: "SshConfigInvalid",
      file: "~/.ssh/config",
      detail: "something new"
    })
    assert.strictEqual(configurationError("", "~/.ssh/config").reason._tag, "SshConfigInvalid")
  })
})

/** Where the other side may begin to speak: ssh prints the banner as it comes. */
const opening = "debug1: SSH2_MSG_SERVICE_ACCEPT received\r\n"

const withBanner = (stderr: string, banner: string): string => stderr.replace(opening, () => opening + banner)

/** A course of a login that a server can bring about by itself, so that it needs no banner to fake it. */
const isOfLogin = (line: string): boolean => {
  switch (read(line.replace(/\r$/, ""))?._tag) {
    case "WillAttempt":
    case "MethodsLeft":
    case "MethodsExhausted":
    case "Trying":
    case "Offering":
    case "Accepted":
    case "PartialSuccess":
    case "Authenticated":
    case "IdentityUnusable":
    case "SigningFailed":
      return true
    default:
      return false
  }
}

describe("a server that lies", () => {
  const loggingIn = transcripts.filter(({ name, stderr }) => stderr.includes(opening) && phaseOf(name) === "opening")
  const LoggingIn = Schema.Literals(loggingIn.map(({ name }) => name))

  it("there are such transcripts", () => {
    assert.isAbove(loggingIn.length, 30)
  })

  it.effect.prop(
    "no banner changes what is said about a login",
    [LoggingIn, AnyText],
    ([name, lines]) =>
      Effect.sync(() => {
        const { stderr } = transcript(name)
        const text = textOf(lines).split("\n").filter((line) => !isOfLogin(line)).join("\n") + "\n"
        const error = classify(endedOf(withBanner(stderr, text)))
        assert.deepStrictEqual(reasonOf(error), expected[name])
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "no banner makes up host keys, files, names, networks or local ports",
    [LoggingIn, AnyText],
    ([name, lines]) =>
      Effect.sync(() => {
        const { stderr } = transcript(name)
        const text = `${textOf(lines)}\n`
        const error = classify(endedOf(withBanner(stderr, text)))
        const { reason } = error
        const ofTheLogin = [
          "AuthenticationFailed",
          "InteractionRequired",
          "TooManyAuthenticationFailures",
          "ConnectionClosed",
          "ConnectionLost",
          "Unclassified"
        ]
        if (!ofTheLogin.includes(reason._tag) && reason._tag !== "IdentityFileUnusable") {
          assert.deepStrictEqual(reasonOf(error), expected[name])
        }
        const file = reason._tag === "IdentityFileUnusable"
          ? reason.file
          : reason._tag === "InteractionRequired"
          ? reason.identityFile
          : undefined
        if (file !== undefined) assert.include(stderr, file)
      }),
    { arbitrary: { runs: 500 } }
  )

  it("a proxy that is gone before ssh has written its version is the same failure, in other words", () => {
    const read = /kex_exchange_identification: .*\r\nConnection closed by UNKNOWN port 65535\r\n$/
    // Recorded from OpenSSH 9.2 with a ProxyCommand whose program does not exist; which it is, is a race.
    const written = "debug1: kex_exchange_identification: write: Broken pipe\r\n" +
      "banner exchange: Connection to UNKNOWN port 65535: Broken pipe\r\n"
    const early = transcripts.filter(({ name, stderr }) =>
      read.test(stderr) && phaseOf(name) === "opening" && !stderr.includes("(via proxy)")
    )
    assert.isAtLeast(early.length, 10)
    for (const { name, stderr } of early) {
      const same = expected[name]?.["_tag"] === "ConnectionClosed" ? { detail: "Broken pipe" } : {}
      const reason = reasonOf(classify(endedOf(stderr.replace(read, written))))
      assert.deepStrictEqual(reason, { ...expected[name], ...same }, name)
    }
  })

  it("what ends a login is said last, after any banner", () => {
    const { stderr } = transcript("key-refused")
    const login = stderr.slice(0, stderr.indexOf(opening) + opening.length)
    const banner = "Received disconnect from 127.0.0.1 port 2201:2: Too many authentication failures\r\n" +
      "me@127.0.0.1: Permission denied (password).\r\nConnection to 127.0.0.1 port 2201 timed out\r\n"
    const end = (lines: string) => reasonOf(classify(endedOf(login + banner + lines)))
    assert.deepStrictEqual(end("Connection closed by 127.0.0.1 port 2201\r\n"), {
      _tag: "ConnectionClosed",
      detail: "Connection closed by 127.0.0.1 port 2201"
    })
    assert.deepStrictEqual(
      end(
        "Received disconnect from 127.0.0.1 port 2201:2: go away\r\nDisconnected from 127.0.0.1 port 2201\r\n"
      ),
      { _tag: "ConnectionClosed", detail: "go away" }
    )
  })

  it("an impostor that quotes a host-key failure and hangs up is not believed", () => {
    const stderr = transcript("host-key-unknown").stderr
    assert.strictEqual(
      classify(endedOf(`${stderr}Connection closed by 127.0.0.1 port 2201\r\n`)).reason._tag,
      "Unclassified"
    )
    const other = stderr.replace("known for [127.0.0.1]:2201", "known for [192.0.2.1]:22")
    assert.strictEqual(classify(endedOf(other)).reason._tag, "Unclassified")
    const twice = stderr.replace(
      /(debug1: Server host key: .*\r\n)/,
      "debug1: Server host key: ssh-ed25519 SHA256:x\r\n$1"
    )
    assert.strictEqual(classify(endedOf(twice)).reason._tag, "Unclassified")
    const certificate = stderr.replace(
      /(debug1: Server host key: .*\r\n)/,
      "debug1: Server host certificate: ssh-ed25519-cert-v01@openssh.com SHA256:x, serial 0 ID \"a\r\n$1"
    )
    assert.strictEqual(classify(endedOf(certificate)).reason._tag, "Unclassified")
  })
})

describe("any text", () => {
  const Exit = Schema.Struct({
    code: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))),
    signal: Schema.optionalKey(Schema.Literals(["SIGTERM", "SIGKILL"]))
  })

  it.effect.prop(
    "gives an error that survives the wire",
    [AnyText, Exit, Schema.Literals(["opening", "established"])],
    ([lines, exit, phase]) =>
      Effect.gen(function*() {
        const stderr = textOf(lines)
        const error = classify(endedOf(stderr, { exit, phase }))
        assert.isTrue(error instanceof TransportError || error instanceof ConfigurationError)
        const wire = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(ConnectionError)(error)))
        const back = yield* Schema.decodeUnknownEffect(ConnectionError)(wire)
        assert.strictEqual(back.message, error.message)
        if (phase === "established") assert.strictEqual(error.reason._tag, "ConnectionLost")
        if (!isAuthenticated(logOf(stderr)) && phase === "opening") {
          assert.notStrictEqual(error.reason._tag, "LocalPortInUse")
        }
      }),
    { arbitrary: { runs: 1000 } }
  )
})
