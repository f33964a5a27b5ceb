/**
 * The one place that knows OpenSSH's texts: each row is a whole line of ssh's
 * stderr at LogLevel DEBUG1 and the fact it tells. Nothing else in this
 * package matches a text of ssh.
 *
 * Source: OpenSSH's own sources from 7.3 to 10.2 (ssh.c, sshconnect.c,
 * sshconnect2.c, readconf.c, packet.c, kex.c, authfile.c, channels.c,
 * clientloop.c, mux.c), and the transcripts in `test/fixtures/stderr`.
 *
 * The texts inside a line that are libc's and not ssh's (strerror, getaddrinfo)
 * are never localised, because ssh sets LC_CTYPE only; they differ between
 * systems. A text that is not listed tells nothing.
 */

/** A key as ssh names it. `explicit`: named by an IdentityFile; `agent`: held by the agent. */
export interface PublicKey {
  readonly file: string
  /** `ED25519`, `RSA-CERT`, `ED25519-SK`, …; empty when ssh has not read the key yet. */
  readonly type: string
  readonly fingerprint: string
  readonly explicit: boolean
  readonly agent: boolean
}

/** RFC 4254 §5.1, as far as it matters here. */
export type ChannelReason = "connect-failed" | "prohibited" | "other"

export type IdentityProblem = "missing" | "permissions" | "malformed" | "public-key" | "unreadable"

/** How far a connection has come: lines of ssh's normal course. */
export type Progress =
  | {
    /** `hop` is the jump host's name when this is how ssh itself carries out a ProxyJump. */
    readonly _tag: "ProxyCommand"
    readonly command: string
    readonly hop?: string
  }
  | { readonly _tag: "Connecting"; readonly host: string; readonly port: number }
  | { readonly _tag: "Connected" }
  | { readonly _tag: "IdentityFile"; readonly file: string }
  | { readonly _tag: "Identified" }
  | { readonly _tag: "Authenticating"; readonly host: string; readonly port: number; readonly user: string }
  | { readonly _tag: "HostKeyAlias"; readonly alias: string }
  | {
    readonly _tag: "ServerKey"
    readonly algorithm: string
    readonly fingerprint: string
    readonly certificate: boolean
  }
  | { readonly _tag: "KeysAgreed" }
  | { readonly _tag: "WillAttempt"; readonly key: PublicKey }
  | { readonly _tag: "ServiceAccepted" }
  | { readonly _tag: "MethodsLeft"; readonly methods: ReadonlyArray<string> }
  | { readonly _tag: "MethodsExhausted" }
  | { readonly _tag: "Trying"; readonly file: string }
  | { readonly _tag: "Offering"; readonly key: PublicKey }
  | { readonly _tag: "Accepted"; readonly key?: PublicKey }
  | { readonly _tag: "PartialSuccess" }
  | { readonly _tag: "Authenticated" }

/** Why ssh ends. */
export type Failure =
  | {
    /** `file` is absent where ssh names none; `line` 0 is an option of the command line. */
    readonly _tag: "ConfigInvalid"
    readonly file?: string
    readonly line?: number
    readonly detail: string
  }
  | { readonly _tag: "NotResolved"; readonly hostName: string; readonly detail: string }
  | {
    readonly _tag: "ConnectFailed"
    readonly port: number
    readonly problem: "refused" | "timed-out" | "unreachable" | "closed" | "other"
    readonly detail: string
  }
  | { readonly _tag: "BannerTimedOut" }
  | {
    /** Before the other side has said which ssh it is. `detail` is absent where only the connection's end is told. */
    readonly _tag: "NotIdentified"
    readonly detail: string
  }
  | { readonly _tag: "TimedOut"; readonly proxied: boolean; readonly detail: string }
  | { readonly _tag: "Closed"; readonly proxied: boolean; readonly detail: string }
  | { readonly _tag: "Disconnected"; readonly detail: string }
  | { readonly _tag: "DisconnectedFrom" }
  | { readonly _tag: "NoCommon"; readonly kind: string; readonly offered: string }
  | { readonly _tag: "KeyUnknown"; readonly keyType: string; readonly name: string }
  | { readonly _tag: "KeyOffending"; readonly keyType: string; readonly file: string; readonly line: number }
  | { readonly _tag: "KeyChanged"; readonly name: string }
  | { readonly _tag: "KeyRevoked"; readonly keyType: string; readonly name: string }
  | { readonly _tag: "KeyRevokedByFile"; readonly keyType: string; readonly fingerprint: string; readonly file: string }
  | { readonly _tag: "RevokedKeysUnreadable"; readonly file: string; readonly detail: string }
  | { readonly _tag: "VerificationFailed" }
  | { readonly _tag: "PermissionDenied"; readonly user: string; readonly methods: ReadonlyArray<string> }
  | { readonly _tag: "NotPassedOn"; readonly reason: ChannelReason; readonly detail: string }
  | { readonly _tag: "NotForwarded"; readonly port: number; readonly taken: boolean; readonly detail: string }
  | { readonly _tag: "SocketFailed"; readonly path: string; readonly detail: string }
  | { readonly _tag: "NotResponding"; readonly detail: string }
  | { readonly _tag: "Lost"; readonly detail: string }

/** What one line tells. */
export type Fact =
  | Progress
  | Failure
  // Forwards and sessions of a live connection.
  | { readonly _tag: "Listening"; readonly port: number }
  | { readonly _tag: "ForwardRequested"; readonly localPort: number; readonly remotePort: number }
  | { readonly _tag: "ChannelOpening"; readonly channel: number; readonly type: string }
  | {
    readonly _tag: "ChannelFailed"
    readonly channel: number
    readonly reason: ChannelReason
    readonly detail: string
  }
  | { readonly _tag: "ChannelFreed"; readonly channel: number }
  | { readonly _tag: "BindFailed"; readonly port: number; readonly taken: boolean; readonly detail: string }
  | { readonly _tag: "FamilyRefused" }
  | { readonly _tag: "ForwardingFailed" }
  | { readonly _tag: "SessionRefused" }
  // Keys of the user.
  | { readonly _tag: "IdentityUnusable"; readonly file: string; readonly problem: IdentityProblem }
  | { readonly _tag: "SigningFailed"; readonly problem: SigningProblem }
  // Words of the other side in front of which ssh's own begin; more lines may follow that are not ssh's.
  | { readonly _tag: "Quoted" }
  | { readonly _tag: "Forged" }
  // A warning or a consequence, whose text is not worth repeating.
  | { readonly _tag: "Noise" }

export type SigningProblem = "refused" | "pin" | "no-device" | "other"

/** One row of the table. */
export interface Wording {
  /** How the line begins, at least its first word; it selects the rows to try. */
  readonly prefix: string
  /** The whole line. */
  readonly pattern: RegExp
  /** The fact, from the pattern's groups; `undefined` when the groups make no sense. */
  readonly fact: (group: (index: number) => string) => Fact | undefined
}

const row = (prefix: string, pattern: RegExp, fact: Wording["fact"]): Wording => ({ prefix, pattern, fact })

const names = (text: string): ReadonlyArray<string> => text.split(",", 32).filter((word) => word !== "")

const keyPattern = /^(.*) (\S+) ((?:SHA256|MD5|SHA1|SHA384|SHA512):\S+)((?: [a-z]+)*)$/
/** Before 7.9 the file stands last. */
const oldKeyPattern = /^(\S+) ((?:SHA256|MD5|SHA1|SHA384|SHA512):\S+) (.+)$/
const keyWords: ReadonlyArray<string> = [" explicit", " agent", " token", " authenticator"]

/** format_identity() of sshconnect2.c: the file, and what is known of the key. */
const publicKey = (text: string): PublicKey => {
  const [, file = "", type = "", fingerprint = "", words = ""] = keyPattern.exec(text) ?? []
  if (fingerprint !== "") {
    return { file, type, fingerprint, explicit: words.includes("explicit"), agent: words.includes("agent") }
  }
  const old = oldKeyPattern.exec(text)
  if (old !== null) {
    return { file: old[3] ?? "", type: old[1] ?? "", fingerprint: old[2] ?? "", explicit: false, agent: false }
  }
  // ssh has not read the key: the file, a space for its type, and the words.
  let unread = text
  for (let word: string | undefined = ""; word !== undefined; word = keyWords.find((word) => unread.endsWith(word))) {
    unread = unread.slice(0, unread.length - word.length)
  }
  const more = text.slice(unread.length)
  return {
    file: unread.trimEnd(),
    type: "",
    fingerprint: "",
    explicit: more.includes("explicit"),
    agent: more.includes("agent")
  }
}

/** strerror(3) texts of connect(2), of glibc, musl, the BSDs and macOS. */
const connectProblems: Readonly<Record<string, Extract<Failure, { readonly _tag: "ConnectFailed" }>["problem"]>> = {
  "Connection refused": "refused",
  "Connection timed out": "timed-out",
  "Operation timed out": "timed-out",
  "Network is unreachable": "unreachable",
  "Network unreachable": "unreachable",
  "Network is down": "unreachable",
  "No route to host": "unreachable",
  "Host is unreachable": "unreachable",
  "Host is down": "unreachable",
  // A local firewall or a "prohibit" route.
  "Permission denied": "unreachable",
  "Operation not permitted": "unreachable",
  "Can't assign requested address": "unreachable",
  "Cannot assign requested address": "unreachable",
  "Address not available": "unreachable",
  "Connection reset by peer": "closed"
}

/** What sshd of a jump host reports of its own connect(2) and getaddrinfo(3). */
const passingProblems: Readonly<Record<string, "refused" | "not-resolved" | "unreachable">> = {
  "Connection refused": "refused",
  "Name or service not known": "not-resolved",
  "Temporary failure in name resolution": "not-resolved",
  "No address associated with hostname": "not-resolved",
  "Name does not resolve": "not-resolved",
  "nodename nor servname provided, or not known": "not-resolved",
  "hostname nor servname provided, or not known": "not-resolved",
  "no address associated with name": "not-resolved",
  "non-recoverable failure in name resolution": "not-resolved",
  "Non-recoverable failure in name resolution": "not-resolved",
  "Connection timed out": "unreachable",
  "Operation timed out": "unreachable",
  "Network is unreachable": "unreachable",
  "No route to host": "unreachable",
  "Host is unreachable": "unreachable",
  "Host is down": "unreachable"
}

/** Why a jump host could not reach the next host, by the words that its sshd sends along. */
export const passingProblem = (detail: string): "refused" | "not-resolved" | "unreachable" | undefined =>
  Object.hasOwn(passingProblems, detail) ? passingProblems[detail] : undefined

const loadProblems: Readonly<Record<string, IdentityProblem>> = {
  "bad permissions": "permissions",
  "Permission denied": "unreadable",
  "Operation not permitted": "unreadable",
  "Input/output error": "unreadable",
  "No such file or directory": "missing"
}

const signingProblems: Readonly<Record<string, SigningProblem>> = {
  "agent refused operation": "refused",
  // A security key's PIN that nobody typed (SSH_ERR_KEY_WRONG_PASSPHRASE).
  "incorrect passphrase supplied to decrypt private key": "pin",
  "device not found": "no-device",
  "requested feature not supported": "no-device"
}

const lookUp = <A>(table: Readonly<Record<string, A>>, key: string, otherwise: A): A =>
  Object.hasOwn(table, key) ? table[key] ?? otherwise : otherwise

const taken = (detail: string): boolean => detail === "Address already in use"

const closed: Wording["fact"] = (group) => ({
  _tag: "Closed",
  proxied: group(1) === "UNKNOWN",
  detail: group(0)
})

/** Rows whose first word is constant. */
export const wordings: ReadonlyArray<Wording> = [
  // --- The normal course (sshconnect.c, sshconnect2.c, kex.c) ---
  row("debug1: Executing", /^debug1: Executing proxy (?:dialer )?command: exec (.*)$/, (group) => {
    const command = group(1)
    const [, hop] = / -W '\[[^' ]*\]:\d+' (\S+)$/.exec(command) ?? []
    return { _tag: "ProxyCommand", command, ...(hop === undefined ? undefined : { hop }) }
  }),
  row("debug1: Connecting", /^debug1: Connecting to (\S+) \[[^\]]*\] port (\d+)\.$/, (group) => ({
    _tag: "Connecting",
    host: group(1),
    port: Number(group(2))
  })),
  row("debug1: Connection", /^debug1: Connection established\.$/, () => ({ _tag: "Connected" })),
  row("debug1: identity", /^debug1: identity file (.*) type -?\d+$/, (group) => ({
    _tag: "IdentityFile",
    file: group(1)
  })),
  row("debug1: Remote", /^debug1: Remote protocol version \d+\.\d+, remote software version .*$/, () => ({
    _tag: "Identified"
  })),
  // SSH_MSG_DEBUG: the other side's own words, newlines included.
  row("debug1: Remote:", /^debug1: Remote: [^]*$/, () => ({ _tag: "Quoted" })),
  row("debug1: Authenticating", /^debug1: Authenticating to (\S+):(\d+) as '(.*)'$/, (group) => ({
    _tag: "Authenticating",
    host: group(1),
    port: Number(group(2)),
    user: group(3)
  })),
  row("debug1: using", /^debug1: using hostkeyalias: (\S+)$/, (group) => ({
    _tag: "HostKeyAlias",
    alias: group(1)
  })),
  row("debug1: Server", /^debug1: Server host key: (\S+) (\S+)$/, (group) => ({
    _tag: "ServerKey",
    algorithm: group(1),
    fingerprint: group(2),
    certificate: false
  })),
  row(
    "debug1: Server",
    /^debug1: Server host certificate: (\S+) (\S+), serial \d+ ID ".*" CA \S+ \S+ valid .*$/,
    (group) => ({ _tag: "ServerKey", algorithm: group(1), fingerprint: group(2), certificate: true })
  ),
  // The certificate's ID holds a newline.
  row("debug1: Server", /^debug1: Server host certificate: .*$/, () => ({ _tag: "Forged" })),
  row("debug1: SSH2_MSG_NEWKEYS", /^debug1: SSH2_MSG_NEWKEYS received$/, () => ({ _tag: "KeysAgreed" })),
  row("debug1: SSH2_MSG_SERVICE_ACCEPT", /^debug1: SSH2_MSG_SERVICE_ACCEPT received$/, () => ({
    _tag: "ServiceAccepted"
  })),
  row("debug1: Will", /^debug1: Will attempt key: (.*)$/, (group) => ({
    _tag: "WillAttempt",
    key: publicKey(group(1))
  })),
  row("debug1: Authentications", /^debug1: Authentications that can continue: (.*)$/, (group) => ({
    _tag: "MethodsLeft",
    methods: names(group(1))
  })),
  row("debug1: No", /^debug1: No more authentication methods to try\.$/, () => ({ _tag: "MethodsExhausted" })),
  row("debug1: Trying", /^debug1: Trying private key: (.*)$/, (group) => ({ _tag: "Trying", file: group(1) })),
  row("debug1: Offering", /^debug1: Offering public key: (.*)$/, (group) => ({
    _tag: "Offering",
    key: publicKey(group(1))
  })),
  // Before 7.6.
  row("debug1: Offering", /^debug1: Offering (\S+) public key: (.*)$/, (group) => ({
    _tag: "Offering",
    key: { file: group(2), type: group(1), fingerprint: "", explicit: false, agent: false }
  })),
  // Before 7.9.
  row("debug1: Server", /^debug1: Server accepts key: pkalg \S+ blen \d+$/, () => ({ _tag: "Accepted" })),
  row("debug1: Server", /^debug1: Server accepts key: (.*)$/, (group) => ({
    _tag: "Accepted",
    key: publicKey(group(1))
  })),
  row("Authenticated", /^Authenticated (?:using "[^"]*" )?with partial success\.$/, () => ({ _tag: "PartialSuccess" })),
  row("Authenticated", /^Authenticated to \S+ \((?:via proxy|\[[^\]]*\]:\d+)\)(?: using "[^"]*")?\.$/, () => ({
    _tag: "Authenticated"
  })),

  // --- Forwards and sessions (channels.c, mux.c, ssh.c) ---
  row("debug1: Local", /^debug1: Local forwarding listening on \S+ port (\d+)\.$/, (group) => ({
    _tag: "Listening",
    port: Number(group(1))
  })),
  row("debug1: Connection", /^debug1: Connection to port (\d+) forwarding to \S+ port (\d+) requested\.$/, (group) => ({
    _tag: "ForwardRequested",
    localPort: Number(group(1)),
    remotePort: Number(group(2))
  })),
  // Since 9.2 with the kind before the brackets, until then only the name in them.
  row("debug1: channel", /^debug1: channel (\d+): new (\S+) \[.*\](?: \(inactive timeout: \d+\))?$/, (group) => ({
    _tag: "ChannelOpening",
    channel: Number(group(1)),
    type: group(2)
  })),
  row("debug1: channel", /^debug1: channel (\d+): new \[(.*)\]$/, (group) => ({
    _tag: "ChannelOpening",
    channel: Number(group(1)),
    type: group(2).replace(" ", "-")
  })),
  row("debug1: channel", /^debug1: channel (\d+): free: .*$/, (group) => ({
    _tag: "ChannelFreed",
    channel: Number(group(1))
  })),
  row(
    "channel",
    /^channel (\d+): open failed: (connect failed|administratively prohibited|unknown channel type|resource shortage|unknown reason)(?:: (.*))?$/,
    (group) => ({
      _tag: "ChannelFailed",
      channel: Number(group(1)),
      reason: group(2) === "connect failed"
        ? "connect-failed"
        : group(2) === "administratively prohibited"
        ? "prohibited"
        : "other",
      detail: group(3) === "" ? group(2) : group(3)
    })
  ),
  row("bind", /^bind \[[^\]]*\]:(\d+): (.*)$/, (group) => ({
    _tag: "BindFailed",
    port: Number(group(1)),
    taken: taken(group(2)),
    detail: group(2)
  })),
  // 127.0.0.1 cannot be resolved for one reason alone: the config wants addresses of another family.
  row(
    "channel_setup_fwd_listener_tcpip:",
    /^channel_setup_fwd_listener_tcpip: getaddrinfo\(127\.0\.0\.1\): .*$/,
    () => ({
      _tag: "FamilyRefused"
    })
  ),
  row("Could", /^Could not request local forwarding\.$/, () => ({ _tag: "ForwardingFailed" })),
  row(
    "mux_client_request_session:",
    /^mux_client_request_session: session request failed: Session open refused by peer$/,
    () => ({ _tag: "SessionRefused" })
  ),
  row(
    "unix_listener:",
    /^unix_listener: (?:cannot bind to|cannot listen on) path (.*): ([^:]*)$/,
    (group) => ({ _tag: "SocketFailed", path: group(1), detail: group(2) })
  ),
  row("unix_listener:", /^unix_listener: path "(.*)" (too long for Unix domain socket)$/, (group) => ({
    _tag: "SocketFailed",
    path: group(1),
    detail: group(2)
  })),
  row("ControlSocket", /^ControlSocket (.*) (already exists), disabling multiplexing$/, (group) => ({
    _tag: "SocketFailed",
    path: group(1),
    detail: group(2)
  })),

  // --- Keys of the user (sshconnect2.c, authfile.c, ssh.c) ---
  row("Warning:", /^Warning: Identity file (.*) not accessible: ([^:]*)\.$/, (group) => ({
    _tag: "IdentityUnusable",
    file: group(1),
    problem: group(2) === "No such file or directory" ? "missing" : "unreadable"
  })),
  row("no", /^no such identity: (.*): ([^:]*)$/, (group) => ({
    _tag: "IdentityUnusable",
    file: group(1),
    problem: group(2) === "No such file or directory" ? "missing" : "unreadable"
  })),
  row("Load", /^Load key "(.*)": ([^"]*)$/, (group) => ({
    _tag: "IdentityUnusable",
    file: group(1),
    problem: lookUp<IdentityProblem>(loadProblems, group(2), "malformed")
  })),
  row(
    "sign_and_send_pubkey:",
    /^sign_and_send_pubkey: signing failed(?: for \S+ ".*"(?: from agent)?)?: ([^"]*)$/,
    (group) => ({ _tag: "SigningFailed", problem: lookUp<SigningProblem>(signingProblems, group(1), "other") })
  ),

  // --- The end: the way there (ssh.c, sshconnect.c) ---
  row("ssh:", /^ssh: Could not resolve hostname (\S+): (.*)$/, (group) => ({
    _tag: "NotResolved",
    hostName: group(1),
    detail: group(2)
  })),
  row("ssh:", /^ssh: Could not resolve host "([^"]*)"$/, (group) => ({
    _tag: "NotResolved",
    hostName: group(1),
    detail: "no such host in any of the CanonicalDomains"
  })),
  row("ssh:", /^ssh: connect to host \S+ port (\d+): (.*)$/, (group) => ({
    _tag: "ConnectFailed",
    port: Number(group(1)),
    problem: lookUp<Extract<Failure, { readonly _tag: "ConnectFailed" }>["problem"]>(
      connectProblems,
      group(2),
      "other"
    ),
    detail: group(2)
  })),

  // --- The end: identification and key exchange (kex.c, packet.c) ---
  row("Connection", /^Connection timed out during banner exchange$/, () => ({ _tag: "BannerTimedOut" })),
  row("kex_exchange_identification:", /^kex_exchange_identification: (.*)$/, (group) => ({
    _tag: "NotIdentified",
    detail: group(1)
  })),
  // Before 8.2.
  row("ssh_exchange_identification:", /^ssh_exchange_identification: (.*)$/, (group) => ({
    _tag: "NotIdentified",
    detail: group(1)
  })),
  row("Connection", /^Connection (?:closed|reset) by (\S+) port \d+$/, closed),
  row("Connection", /^Connection to (\S+) port \d+ timed out$/, (group) => ({
    _tag: "TimedOut",
    proxied: group(1) === "UNKNOWN",
    detail: group(0)
  })),
  // Instead of kex_exchange_identification's line when the proxy is gone before ssh has written its own version.
  row("banner", /^banner exchange: Connection to UNKNOWN port \d+: (.*)$/, (group) => ({
    _tag: "NotIdentified",
    detail: group(1)
  })),
  // "read: Connection from 192.0.2.1 port 22: Software caused connection abort", and its like.
  row("banner", /^banner exchange: Connection to (\S+) port \d+: .*$/, closed),
  row("ssh_dispatch_run_fatal:", /^ssh_dispatch_run_fatal: Connection to (\S+) port \d+: .*$/, closed),
  row("Received", /^Received disconnect from \S+ port \d+:\d+: (.*)$/, (group) => ({
    _tag: "Disconnected",
    detail: group(1)
  })),
  row("Disconnected", /^Disconnected from \S+ port \d+$/, () => ({ _tag: "DisconnectedFrom" })),
  row(
    "Unable",
    /^Unable to negotiate with \S+ port \d+: no matching (.*) found\. Their offer: (.*)$/,
    (group) => ({ _tag: "NoCommon", kind: group(1), offered: group(2) })
  ),
  row("Protocol", /^Protocol major versions differ: 2 vs\. (\d+)$/, (group) => ({
    _tag: "NoCommon",
    kind: "protocol version",
    offered: `SSH ${group(1)}`
  })),

  // --- The end: host keys (sshconnect.c) ---
  row("No", /^No (\S+) host key is known for (\S+) and you have requested strict checking\.$/, (group) => ({
    _tag: "KeyUnknown",
    keyType: group(1),
    name: group(2)
  })),
  row("Offending", /^Offending (\S+) key in (.*):(\d+)$/, (group) => ({
    _tag: "KeyOffending",
    keyType: group(1),
    file: group(2),
    line: Number(group(3))
  })),
  row("Host", /^Host key for (\S+) has changed and you have requested strict checking\.$/, (group) => ({
    _tag: "KeyChanged",
    name: group(1)
  })),
  row("The", /^The (\S+) host key for (\S+) is marked as revoked\.$/, (group) => ({
    _tag: "KeyRevoked",
    keyType: group(1),
    name: group(2)
  })),
  row("Host", /^Host key (\S+) (\S+) revoked by file (.*)$/, (group) => ({
    _tag: "KeyRevokedByFile",
    keyType: group(1),
    fingerprint: group(2),
    file: group(3)
  })),
  row("Error", /^Error checking host key \S+ \S+ in revoked keys file (.*): ([^:]*)$/, (group) => ({
    _tag: "RevokedKeysUnreadable",
    file: group(1),
    detail: group(2)
  })),
  row("Host", /^Host key verification failed\.$/, () => ({ _tag: "VerificationFailed" })),

  // --- The end: a live connection (clientloop.c) ---
  row("Timeout,", /^Timeout, server \S+ not responding\.$/, (group) => ({ _tag: "NotResponding", detail: group(0) })),
  row("Connection", /^Connection to \S+ closed by remote host\.$/, (group) => ({ _tag: "Lost", detail: group(0) })),
  row("client_loop:", /^client_loop: send disconnect: (.*)$/, (group) => ({ _tag: "Lost", detail: group(0) })),
  row("Read", /^Read from remote host \S+: (.*)$/, (group) => ({ _tag: "Lost", detail: group(0) })),

  // --- The end: the configuration (readconf.c, ssh.c) ---
  row("Can't", /^Can't open user config file (.*): ([^:]*)$/, (group) => ({
    _tag: "ConfigInvalid",
    file: group(1),
    detail: group(2)
  })),
  row("Bad", /^Bad owner or permissions on (.*)$/, (group) => ({
    _tag: "ConfigInvalid",
    file: group(1),
    detail: "Bad owner or permissions"
  })),
  row("jumphost", /^jumphost loop via \S+$/, (group) => ({ _tag: "ConfigInvalid", detail: group(0) })),
  row("invalid", /^invalid environment variable expansion$/, (group) => ({ _tag: "ConfigInvalid", detail: group(0) })),
  row("inconsistent", /^inconsistent options: ProxyCommand\+ProxyJump$/, (group) => ({
    _tag: "ConfigInvalid",
    detail: group(0)
  })),
  row("Too", /^Too many recursive configuration includes$/, (group) => ({ _tag: "ConfigInvalid", detail: group(0) })),
  row("hostname", /^hostname contains invalid characters$/, (group) => ({ _tag: "ConfigInvalid", detail: group(0) })),
  row("remote", /^remote username contains invalid characters$/, (group) => ({
    _tag: "ConfigInvalid",
    detail: group(0)
  })),

  // --- Consequences and statistics ---
  row("Transferred:", /^Transferred: sent .*$/, () => ({ _tag: "Noise" })),
  row("Bytes", /^Bytes per second: sent .*$/, () => ({ _tag: "Noise" })),
  row("Killed", /^Killed by signal \d+\.$/, () => ({ _tag: "Noise" })),
  row("stdio", /^stdio forwarding failed$/, () => ({ _tag: "Noise" })),
  row("channel_setup_fwd_listener_tcpip:", /^channel_setup_fwd_listener_tcpip: cannot listen to port: \d+$/, () => ({
    _tag: "Noise"
  })),
  row("mux_master_process_open_fwd:", /^mux_master_process_open_fwd: .*$/, () => ({ _tag: "Noise" }))
]

/** Rows whose line begins with something variable; tried when no row of {@link wordings} has taken the line. */
export const variableWordings: ReadonlyArray<Wording> = [
  row("", /^(\S+)@[^\s@]+: Permission denied \(([A-Za-z0-9,@._-]*)\)\.$/, (group) => ({
    _tag: "PermissionDenied",
    user: group(1),
    methods: names(group(2))
  })),
  // Before 8.9.
  row("", /^\S+ host key for (\S+) has changed and you have requested strict checking\.$/, (group) => ({
    _tag: "KeyChanged",
    name: group(1)
  })),
  // A line of ours that includes a file of the user: the file is meant.
  row("", /^\S+ line \d+: Can't open user config file (.*): ([^:]*)$/, (group) => ({
    _tag: "ConfigInvalid",
    file: group(1),
    detail: group(2)
  })),
  // A warning, printed for each keyword that this ssh was built without.
  row("", /^.* line \d+: Unsupported option "[^"]*"$/, () => ({ _tag: "Noise" })),
  row("", /^(.+?):? line (\d+): (.+)$/, (group) => ({
    _tag: "ConfigInvalid",
    file: group(1),
    line: Number(group(2)),
    detail: group(3)
  })),
  row("", /^.*: terminating, \d+ bad configuration options$/, () => ({ _tag: "Noise" }))
]

const debug = "debug1: "

/** The line's first word, together with `debug1: `. */
const keyOf = (line: string): string => {
  const end = line.indexOf(" ", line.startsWith(debug) ? debug.length : 0)
  return end === -1 ? line : line.slice(0, end)
}

const byKey: ReadonlyMap<string, ReadonlyArray<Wording>> = (() => {
  const map = new Map<string, Array<Wording>>()
  for (const wording of wordings) {
    const key = keyOf(wording.prefix)
    const rows = map.get(key)
    if (rows === undefined) map.set(key, [wording])
    else rows.push(wording)
  }
  return map
})()

/** The rows that are tried on a line, in order: a handful, whatever the line. */
export const candidates = (line: string): ReadonlyArray<Wording> => {
  const rows = byKey.get(keyOf(line)) ?? []
  return line.startsWith(debug) ? rows : [...rows, ...variableWordings]
}

/** What a whole line (without its end) tells, if anything. */
export const read = (line: string): Fact | undefined => {
  for (const { fact, pattern } of candidates(line)) {
    const match = pattern.exec(line)
    if (match !== null) return fact((index) => match[index] ?? "")
  }
  return undefined
}
