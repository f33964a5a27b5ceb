/**
 * The output of `ssh -G`: one lower-case `keyword value` a line; keywords that
 * may be given several times are repeated, and what is not set is absent.
 * Nothing is quoted.
 */
import { Option } from "effect"

/** One line of `ssh -G`. */
export interface Parameter {
  readonly keyword: string
  readonly value: string
}

/** What is asked of `ssh -G` by name. */
export interface Effective {
  /** The destination as it was given. */
  readonly host: string
  /** Where ssh connects to: `HostName`, else the destination; lower-case. */
  readonly hostname: string
  readonly user: string
  readonly port: number
  /** In the order of trying. `%` tokens and a `~` of the config are not expanded yet. */
  readonly identityFiles: ReadonlyArray<string>
  readonly identitiesOnly: boolean
  readonly proxyJump?: string
  readonly proxyCommand?: string
  readonly identityAgent?: string
  /** One or more paths, separated by spaces; a path with spaces cannot be told apart. */
  readonly userKnownHostsFile?: string
  /** As above. */
  readonly globalKnownHostsFile?: string
  /** The lines that a report may show, in ssh's order. */
  readonly parameters: ReadonlyArray<Parameter>
}

/**
 * What helps to understand a connection and holds no secret by its nature.
 * Not here: commands (`proxycommand`, `localcommand`, `knownhostscommand`, …),
 * `setenv`, forwards, and whatever a later ssh adds.
 */
const shown: ReadonlySet<string> = new Set([
  "addkeystoagent",
  "addressfamily",
  "batchmode",
  "bindaddress",
  "bindinterface",
  "canonicaldomains",
  "canonicalizefallbacklocal",
  "canonicalizehostname",
  "canonicalizemaxdots",
  "casignaturealgorithms",
  "certificatefile",
  "checkhostip",
  "ciphers",
  "clearallforwardings",
  "compression",
  "connectionattempts",
  "connecttimeout",
  "controlmaster",
  "controlpath",
  "controlpersist",
  "exitonforwardfailure",
  "forkafterauthentication",
  "forwardagent",
  "forwardx11",
  "gatewayports",
  "globalknownhostsfile",
  "gssapiauthentication",
  "hashknownhosts",
  "host",
  "hostbasedauthentication",
  "hostkeyalgorithms",
  "hostkeyalias",
  "hostname",
  "identitiesonly",
  "identityagent",
  "identityfile",
  "ipqos",
  "kbdinteractiveauthentication",
  "kexalgorithms",
  "loglevel",
  "macs",
  "nohostauthenticationforlocalhost",
  "numberofpasswordprompts",
  "passwordauthentication",
  "permitlocalcommand",
  "pkcs11provider",
  "port",
  "preferredauthentications",
  "proxyjump",
  "proxyusefdpass",
  "pubkeyacceptedalgorithms",
  "pubkeyauthentication",
  "rekeylimit",
  "requesttty",
  "requiredrsasize",
  "revokedhostkeys",
  "securitykeyprovider",
  "serveralivecountmax",
  "serveraliveinterval",
  "sessiontype",
  "stdinnull",
  "stricthostkeychecking",
  "tcpkeepalive",
  "tunnel",
  "updatehostkeys",
  "user",
  "userknownhostsfile",
  "verifyhostkeydns",
  "visualhostkey"
])

/** Reads `ssh -G`'s output; `None` when it is not one: there is always a hostname, a user and a port. */
export const parse = (output: string): Option.Option<Effective> => {
  const lines = output.split("\n").flatMap((line): ReadonlyArray<Parameter> => {
    const match = /^([a-z0-9]+) (.*?)\r?$/i.exec(line)
    return match === null ? [] : [{ keyword: (match[1] ?? "").toLowerCase(), value: match[2] ?? "" }]
  })
  const all = (keyword: string) => lines.filter((line) => line.keyword === keyword).map(({ value }) => value)
  const first = (keyword: string) => all(keyword)[0]
  const [hostname, user, port] = [first("hostname"), first("user"), Number(first("port"))]
  if (hostname === undefined || user === undefined || !Number.isInteger(port)) return Option.none()
  const [proxyJump, proxyCommand] = [first("proxyjump"), first("proxycommand")]
  const identityAgent = first("identityagent")
  const [userKnownHostsFile, globalKnownHostsFile] = [first("userknownhostsfile"), first("globalknownhostsfile")]
  return Option.some({
    host: first("host") ?? hostname,
    hostname,
    user,
    port,
    identityFiles: all("identityfile"),
    identitiesOnly: first("identitiesonly") === "yes",
    ...(proxyJump === undefined ? undefined : { proxyJump }),
    ...(proxyCommand === undefined ? undefined : { proxyCommand }),
    ...(identityAgent === undefined ? undefined : { identityAgent }),
    ...(userKnownHostsFile === undefined ? undefined : { userKnownHostsFile }),
    ...(globalKnownHostsFile === undefined ? undefined : { globalKnownHostsFile }),
    parameters: lines.filter(({ keyword }) => shown.has(keyword))
  })
}
