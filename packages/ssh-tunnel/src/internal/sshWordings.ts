/**
 * The one place that knows OpenSSH's texts: each row is a whole line of ssh's
 * stderr at LogLevel DEBUG1 and the fact it tells. Nothing else in this
 * package matches a text of ssh.
 *
 * Source: OpenSSH's own sources, V_8_2 to V_10_2 (ssh.c, sshconnect.c,
 * sshconnect2.c, readconf.c, packet.c, kex.c, channels.c, clientloop.c, mux.c),
 * and the recorded transcripts in `test/fixtures/stderr`.
 */

/** What one line of ssh's stderr tells. */
export type Fact =
  // How far a connection has come.
  | { readonly _tag: "ProxyCommand"; readonly command: string; readonly hop?: string }
  | { readonly _tag: "Connecting"; readonly host: string; readonly port: number }
  | { readonly _tag: "Connected" }
  | { readonly _tag: "Identified"; readonly software: string }
  | { readonly _tag: "Authenticating"; readonly host: string; readonly port: number; readonly user: string }
  | { readonly _tag: "ServerKey"; readonly algorithm: string; readonly fingerprint: string }
  | { readonly _tag: "KeysAgreed" }
  | { readonly _tag: "WillAttempt"; readonly key: PublicKey }
  | { readonly _tag: "ServiceAccepted" }
  | { readonly _tag: "MethodsLeft"; readonly methods: ReadonlyArray<string> }
  | { readonly _tag: "Trying"; readonly file: string }
  | { readonly _tag: "Offering"; readonly key: PublicKey }
  | { readonly _tag: "Accepted"; readonly key: PublicKey }
  | { readonly _tag: "PartialSuccess"; readonly method?: string }
  | { readonly _tag: "Authenticated"; readonly host: string; readonly via: "tcp" | "proxy" }
  // Forwards of this connection.
  | { readonly _tag: "Listening"; readonly port: number }
  | { readonly _tag: "Bound" }
  | { readonly _tag: "ForwardRequested"; readonly localPort: number; readonly remotePort: number }
  | { readonly _tag: "ForwardOpening"; readonly channel: number }
  | { readonly _tag: "ChannelOpening"; readonly channel: number; readonly type: string }
  | {
    readonly _tag: "ChannelFailed"
    readonly channel: number
    readonly reason: ChannelReason
    readonly detail: string
  }
  | { readonly _tag: "ChannelFreed"; readonly channel: number }
  | { readonly _tag: "BindFailed"; readonly port: number; readonly detail: string }
  // Identity files.
  | { readonly _tag: "IdentityUnusable"; readonly file: string; readonly problem: IdentityProblem }
  | { readonly _tag: "SigningFailed"; readonly file: string; readonly agent: boolean; readonly detail: string }
  | { readonly _tag: "PinNeeded"; readonly file: string }
  // Failures.
  | Failure

/** A line that tells why ssh ends. */
export type Failure =
  | { readonly _tag: "ConfigLine"; readonly file: string; readonly line?: number; readonly detail: string }
  | { readonly _tag: "NotResolved"; readonly hostName: string; readonly detail: string }
  | {
    readonly _tag: "ConnectFailed"
    readonly port: number
    readonly problem: "refused" | "timed-out" | "unreachable" | "other"
    readonly detail: string
  }
  | { readonly _tag: "BannerTimedOut" }
  | { readonly _tag: "TimedOut"; readonly detail: string }
  | { readonly _tag: "Closed"; readonly detail: string }
  | { readonly _tag: "NotSsh"; readonly detail: string }
  | { readonly _tag: "NoCommon"; readonly kind: string; readonly offered: string }
  | { readonly _tag: "KeyUnknown"; readonly keyType: string; readonly name: string }
  | { readonly _tag: "KeyChanged" }
  | { readonly _tag: "KeyOffending"; readonly keyType: string; readonly file: string; readonly line: number }
  | { readonly _tag: "KeyChangedName"; readonly name: string }
  | { readonly _tag: "KeyRevoked"; readonly keyType: string; readonly name: string }
  | { readonly _tag: "KeyRevokedByFile"; readonly keyType: string; readonly fingerprint: string; readonly file: string }
  | { readonly _tag: "RevokedKeysUnreadable"; readonly file: string; readonly detail: string }
  | { readonly _tag: "VerificationFailed" }
  | {
    readonly _tag: "PermissionDenied"
    readonly user: string
    readonly host: string
    readonly methods: ReadonlyArray<string>
  }
  | { readonly _tag: "Disconnected"; readonly code: number; readonly detail: string }
  | { readonly _tag: "NotResponding" }
  | { readonly _tag: "LostByPeer"; readonly detail: string }
  | { readonly _tag: "NotPassedOn"; readonly reason: ChannelReason; readonly detail: string }
  | { readonly _tag: "BindRefused"; readonly port: number; readonly detail: string }
  | { readonly _tag: "StdioForwardFailed" }
  | { readonly _tag: "LocalForwardFailed" }
  | { readonly _tag: "SocketFailed"; readonly path: string; readonly detail: string }
  | { readonly _tag: "SessionRefused" }
  | { readonly _tag: "CommandMissing"; readonly detail: string }

export type ChannelReason = "connect-failed" | "prohibited" | "other"

export type IdentityProblem = "missing" | "permissions" | "malformed" | "public-key" | "unreadable"

/** A key as ssh names it when it offers it. `explicit`: named by an IdentityFile; `agent`: held by the agent. */
export interface PublicKey {
  readonly file: string
  readonly type: string
  readonly fingerprint: string
  readonly explicit: boolean
  readonly agent: boolean
}

export interface Wording {
  /** The line's beginning up to its first variable part; it selects the rows to try. */
  readonly prefix: string
  readonly pattern: RegExp
  readonly fact: (groups: ReadonlyArray<string>) => Fact | undefined
}

const row = (
  prefix: string,
  pattern: RegExp,
  fact: (groups: ReadonlyArray<string>) => Fact | undefined
): Wording => ({ prefix, pattern, fact })

const at = (groups: ReadonlyArray<string>, index: number): string => groups[index] ?? ""
const list = (text: string): ReadonlyArray<string> => text.split(",").filter((word) => word !== "")

/** ` explicit`, ` agent`, ` token`, ` authenticator` after a key (format_identity in sshconnect2.c). */
const publicKey = (text: string): PublicKey | undefined => {
  const match = /^(.*) (\S+) ((?:SHA256|MD5|SHA1|SHA384|SHA512):\S+)((?: [a-z]+)*)$/.exec(text)
  if (match === null) return undefined
  const words = at(match, 4).split(" ")
  return {
    file: at(match, 1),
    type: at(match, 2),
    fingerprint: at(match, 3),
    explicit: words.includes("explicit"),
    agent: words.includes("agent")
  }
}

const keyFact = (tag: "Offering" | "Accepted") => (groups: ReadonlyArray<string>): Fact | undefined => {
  const key = publicKey(at(groups, 1))
  return key === undefined ? undefined : { _tag: tag, key }
}

const connectProblem = (detail: string): "refused" | "timed-out" | "unreachable" | "other" => {
  switch (detail) {
    case "Connection refused":
      return "refused"
    case "Connection timed out":
    case "Operation timed out":
      return "timed-out"
    case "Network is unreachable":
    case "No route to host":
    case "Permission denied":
    case "Network is down":
    case "Host is down":
    case "Can't assign requested address":
    case "Cannot assign requested address":
      return "unreachable"
    default:
      return "other"
  }
}

const channelReason = (text: string): ChannelReason =>
  text === "connect failed" ? "connect-failed" : text === "administratively prohibited" ? "prohibited" : "other"

/** The rows. */
export const wordings: ReadonlyArray<Wording> = [
  row("debug1: Executing proxy", /^debug1: Executing proxy (?:dialer )?command: exec (.*)$/, (g) => {
    const command = at(g, 1)
    const jump = / -W '\[[^' ]*\]:\d+' (\S+)$/.exec(command)
    return { _tag: "ProxyCommand", command, ...(jump === null ? undefined : { hop: at(jump, 1) }) }
  }),
  row("debug1: Connecting to", /^debug1: Connecting to (\S+) \[[^\]]*\] port (\d+)\.$/, (g) => ({
    _tag: "Connecting",
    host: at(g, 1),
    port: Number(at(g, 2))
  })),
  row("debug1: Connection established.", /^debug1: Connection established\.$/, () => ({ _tag: "Connected" })),
  row(
    "debug1: Remote protocol version",
    /^debug1: Remote protocol version [\d.]+, remote software version (.*)$/,
    (g) => ({ _tag: "Identified", software: at(g, 1) })
  ),
  row("debug1: Authenticating to", /^debug1: Authenticating to (.+):(\d+) as '(.*)'$/, (g) => ({
    _tag: "Authenticating",
    host: at(g, 1),
    port: Number(at(g, 2)),
    user: at(g, 3)
  })),
  row("debug1: Server host key:", /^debug1: Server host key: (\S+) (\S+)$/, (g) => ({
    _tag: "ServerKey",
    algorithm: at(g, 1),
    fingerprint: at(g, 2)
  })),
  row("debug1: SSH2_MSG_NEWKEYS", /^debug1: SSH2_MSG_NEWKEYS received$/, () => ({ _tag: "KeysAgreed" })),
  row("debug1: Will attempt", /^debug1: Will attempt key: (.*)$/, (g) => {
    const words = /^(.*?) ?((?: (?:explicit|agent|token|authenticator))*)$/.exec(at(g, 1))
    const key = publicKey(at(g, 1)) ??
      {
        file: at(words ?? [], 1),
        type: "",
        fingerprint: "",
        explicit: at(words ?? [], 2).includes("explicit"),
        agent: at(words ?? [], 2).includes("agent")
      }
    return { _tag: "WillAttempt", key }
  }),
  row(
    "debug1: SSH2_MSG_SERVICE_ACCEPT",
    /^debug1: SSH2_MSG_SERVICE_ACCEPT received$/,
    () => ({ _tag: "ServiceAccepted" })
  ),
  row("debug1: Authentications that", /^debug1: Authentications that can continue: (.*)$/, (g) => ({
    _tag: "MethodsLeft",
    methods: list(at(g, 1))
  })),
  row("debug1: Trying private", /^debug1: Trying private key: (.*)$/, (g) => ({ _tag: "Trying", file: at(g, 1) })),
  row("debug1: Offering public", /^debug1: Offering public key: (.*)$/, keyFact("Offering")),
  row("debug1: Server accepts", /^debug1: Server accepts key: (.*)$/, keyFact("Accepted")),
  row("Authenticated using", /^Authenticated using "([^"]*)" with partial success\.$/, (g) => ({
    _tag: "PartialSuccess",
    method: at(g, 1)
  })),
  row("Authenticated with", /^Authenticated with partial success\.$/, () => ({ _tag: "PartialSuccess" })),
  row("Authenticated to", /^Authenticated to (\S+) \((via proxy|\[[^\]]*\]:\d+)\) using "[^"]*"\.$/, (g) => ({
    _tag: "Authenticated",
    host: at(g, 1),
    via: at(g, 2) === "via proxy" ? "proxy" : "tcp"
  })),

  row("debug1: Local forwarding", /^debug1: Local forwarding listening on \S+ port (\d+)\.$/, (g) => ({
    _tag: "Listening",
    port: Number(at(g, 1))
  })),
  row("debug1: Connection to", /^debug1: Connection to port (\d+) forwarding to .+ port (\d+) requested\.$/, (g) => ({
    _tag: "ForwardRequested",
    localPort: Number(at(g, 1)),
    remotePort: Number(at(g, 2))
  })),
  row("debug1: channel", /^debug1: channel (\d+): new (?:(\S+) )?\[(.*)\](?: \(inactive timeout: \d+\))?$/, (g) => {
    const channel = Number(at(g, 1))
    const type = at(g, 2) === "" ? at(g, 3) : at(g, 2)
    if (type === "direct-tcpip") return { _tag: "ForwardOpening", channel }
    if (type === "port-listener" || type === "port listener") return { _tag: "Bound" }
    return { _tag: "ChannelOpening", channel, type }
  }),
  row(
    "debug1: channel",
    /^debug1: channel (\d+): free: /,
    (g) => ({ _tag: "ChannelFreed", channel: Number(at(g, 1)) })
  ),
  row(
    "channel",
    /^channel (\d+): open failed: (connect failed|administratively prohibited|unknown channel type|resource shortage|unknown reason)(?:: ([^]*))?$/,
    (g) => ({
      _tag: "ChannelFailed",
      channel: Number(at(g, 1)),
      reason: channelReason(at(g, 2)),
      detail: at(g, 3) === "" ? at(g, 2) : at(g, 3)
    })
  ),
  row("bind", /^bind \[[^\]]*\]:(\d+): (.*)$/, (g) => ({
    _tag: "BindFailed",
    port: Number(at(g, 1)),
    detail: at(g, 2)
  })),

  row("Warning: Identity", /^Warning: Identity file (.*) not accessible: .*\.$/, (g) => ({
    _tag: "IdentityUnusable",
    file: at(g, 1),
    problem: "missing"
  })),
  row("no such", /^no such identity: (.*): [^:]*$/, (g) => ({
    _tag: "IdentityUnusable",
    file: at(g, 1),
    problem: "missing"
  })),
  row("Load key", /^Load key "(.*)": (.*)$/, (g) => ({
    _tag: "IdentityUnusable",
    file: at(g, 1),
    problem: at(g, 2) === "bad permissions"
      ? "permissions"
      : at(g, 2) === "Permission denied"
      ? "unreadable"
      : "malformed"
  })),
  row(
    "sign_and_send_pubkey:",
    /^sign_and_send_pubkey: signing failed for \S+ "(.*)"( from agent)?: (.*)$/,
    (g) => ({ _tag: "SigningFailed", file: at(g, 1), agent: at(g, 2) !== "", detail: at(g, 3) })
  ),

  row("ssh: Could", /^ssh: Could not resolve hostname (\S+): (.*)$/, (g) => ({
    _tag: "NotResolved",
    hostName: at(g, 1),
    detail: at(g, 2)
  })),
  row("ssh: connect", /^ssh: connect to host \S+ port (\d+): (.*)$/, (g) => ({
    _tag: "ConnectFailed",
    port: Number(at(g, 1)),
    problem: connectProblem(at(g, 2)),
    detail: at(g, 2)
  })),
  row("Connection timed", /^Connection timed out during banner exchange$/, () => ({ _tag: "BannerTimedOut" })),
  row("Connection to", /^Connection to \S+ port \d+ timed out$/, (g) => ({ _tag: "TimedOut", detail: at(g, 0) })),
  row(
    "Connection to",
    /^Connection to \S+ closed by remote host\.$/,
    (g) => ({ _tag: "LostByPeer", detail: at(g, 0) })
  ),
  row("Connection closed", /^Connection closed by \S+ port \d+$/, (g) => ({ _tag: "Closed", detail: at(g, 0) })),
  row("Connection reset", /^Connection reset by \S+ port \d+$/, (g) => ({ _tag: "Closed", detail: at(g, 0) })),
  row(
    "kex_exchange_identification:",
    /^kex_exchange_identification: (?:Connection closed by remote host|read: Connection reset by peer)$/,
    (g) => ({ _tag: "Closed", detail: at(g, 0) })
  ),
  row(
    "Unable to",
    /^Unable to negotiate with \S+ port \d+: no matching (.*?) found\. Their offer: (.*)$/,
    (g) => ({ _tag: "NoCommon", kind: at(g, 1), offered: at(g, 2) })
  ),
  row("No", /^No (\S+) host key is known for (\S+) and you have requested strict checking\.$/, (g) => ({
    _tag: "KeyUnknown",
    keyType: at(g, 1),
    name: at(g, 2)
  })),
  row("@", /^@ {4}WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! {5}@$/, () => ({ _tag: "KeyChanged" })),
  row("Offending", /^Offending (\S+) key in (.*):(\d+)$/, (g) => ({
    _tag: "KeyOffending",
    keyType: at(g, 1),
    file: at(g, 2),
    line: Number(at(g, 3))
  })),
  row("Host key", /^Host key for (\S+) has changed and you have requested strict checking\.$/, (g) => ({
    _tag: "KeyChangedName",
    name: at(g, 1)
  })),
  row("The", /^The (\S+) host key for (\S+) is marked as revoked\.$/, (g) => ({
    _tag: "KeyRevoked",
    keyType: at(g, 1),
    name: at(g, 2)
  })),
  row("Host key", /^Host key (\S+) (\S+) revoked by file (.*)$/, (g) => ({
    _tag: "KeyRevokedByFile",
    keyType: at(g, 1),
    fingerprint: at(g, 2),
    file: at(g, 3)
  })),
  row("Error checking", /^Error checking host key \S+ \S+ in revoked keys file (.*): ([^:]*)$/, (g) => ({
    _tag: "RevokedKeysUnreadable",
    file: at(g, 1),
    detail: at(g, 2)
  })),
  row("Host key", /^Host key verification failed\.$/, () => ({ _tag: "VerificationFailed" })),
  row("Received disconnect", /^Received disconnect from \S+ port \d+:(\d+): ([^]*)$/, (g) => ({
    _tag: "Disconnected",
    code: Number(at(g, 1)),
    detail: at(g, 2)
  })),
  row("Timeout, server", /^Timeout, server \S+ not responding\.$/, () => ({ _tag: "NotResponding" })),
  row("client_loop: send", /^client_loop: send disconnect: (.*)$/, (g) => ({ _tag: "LostByPeer", detail: at(g, 1) })),
  row("stdio forwarding", /^stdio forwarding failed$/, () => ({ _tag: "StdioForwardFailed" })),
  row("Could not", /^Could not request local forwarding\.$/, () => ({ _tag: "LocalForwardFailed" })),
  row(
    "mux_client_request_session:",
    /^mux_client_request_session: session request failed: Session open refused by peer$/,
    () => ({ _tag: "SessionRefused" })
  ),
  row("Can't open", /^Can't open user config file (.*): ([^:]*)$/, (g) => ({
    _tag: "ConfigLine",
    file: at(g, 1),
    detail: at(g, 2)
  })),
  row(
    "unix_listener:",
    /^unix_listener: (?:cannot bind to path|path) "?(.*?)"?:? (too long for Unix domain socket|[^:]*)$/,
    (g) => ({
      _tag: "SocketFailed",
      path: at(g, 1),
      detail: at(g, 2)
    })
  ),
  row("Bad owner", /^(Bad owner or permissions) on (.*)$/, (g) => ({
    _tag: "ConfigLine",
    file: at(g, 2),
    detail: at(g, 1)
  }))
]

/** Rows whose line begins with something variable; tried on lines that no {@link wordings} row takes. */
export const variableWordings: ReadonlyArray<Wording> = [
  row("", /^(\S+)@(\S+): Permission denied \(([a-z0-9,@.-]*)\)\.$/, (g) => ({
    _tag: "PermissionDenied",
    user: at(g, 1),
    host: at(g, 2),
    methods: list(at(g, 3))
  })),
  row("", /^(.+?):? line (\d+): (.+)$/, (g) => ({
    _tag: "ConfigLine",
    file: at(g, 1),
    line: Number(at(g, 2)),
    detail: at(g, 3)
  })),
  row("", /^\S+: (?:line )?\d+: (?:exec: )?(.+: (?:not found|command not found|No such file or directory))$/, (g) => ({
    _tag: "CommandMissing",
    detail: at(g, 1)
  }))
]

const keyOf = (line: string): string => {
  const start = line.startsWith("debug1: ") ? "debug1: ".length : 0
  const end = line.indexOf(" ", start)
  return end === -1 ? line : line.slice(0, end)
}

const byKey: ReadonlyMap<string, ReadonlyArray<Wording>> = wordings.reduce((map, wording) => {
  const key = keyOf(wording.prefix)
  return map.set(key, [...(map.get(key) ?? []), wording])
}, new Map<string, ReadonlyArray<Wording>>())

/** The rows that are tried on a line, in order: a handful, whatever the line. */
export const candidates = (line: string): ReadonlyArray<Wording> => {
  const rows = byKey.get(keyOf(line)) ?? []
  return line.startsWith("debug1: ") ? rows : [...rows, ...variableWordings]
}

/** What a whole line (without its end) tells, if anything. */
export const read = (line: string): Fact | undefined => {
  for (const { fact, pattern } of candidates(line)) {
    const match = pattern.exec(line)
    if (match !== null) return fact(match)
  }
  return undefined
}
