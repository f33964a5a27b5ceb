/**
 * The words after `ssh` of every ssh that we run, and of those that we show to
 * people. No word is ever read by a shell of ours, and values of a
 * destination are either an option's own argument or stand behind `--`, so
 * none of them can become an option (ssh(1), getopt(3)).
 */
import { type Destination, splitAddress } from "../Destination.ts"
import type { SshTarget } from "../Remedy.ts"
import { expandHome } from "./overlay.ts"

type Words = ReadonlyArray<string>

/** What every ssh that connects needs to know. */
export interface Connecting {
  /** The overlay, relative to ssh's working directory: ProxyJump hands it to a shell unquoted. A plain word. */
  readonly config: string
  readonly destination: Destination
  /** The home directory of the passwd entry. */
  readonly home: string
}

/** What an ssh that listens needs to know, too. */
export interface Listening {
  /**
   * Over any family of addresses, whatever the ssh config says: with `AddressFamily inet6` ssh cannot listen on
   * 127.0.0.1 either.
   */
  readonly anyFamily?: boolean
}

/** A control socket of ours, relative to ssh's working directory. A plain word. */
export interface Controlling {
  readonly socket: string
}

/** Both ends are on 127.0.0.1. */
export interface Ports {
  readonly localPort: number
  readonly remotePort: number
}

const localForward = ({ localPort, remotePort }: Ports): string => `127.0.0.1:${localPort}:127.0.0.1:${remotePort}`

/**
 * A path as a value of `-o IdentityFile`. `-i` would drop a missing file and
 * offer the default keys instead, and expands `%`. A backslash is doubled only
 * where it would escape something, because OpenSSH before 8.7 keeps all of them.
 */
const identityFileOption = (path: string): string =>
  `IdentityFile="${path.replaceAll("%", "%%").replace(/\\(?=[\\"']|$)/g, "\\\\").replaceAll("\"", "\\\"")}"`

/** `[user@]host[:port]` of each hop. ssh(1) reads IPv6 only in brackets here, and a user of a URI differently. */
const jumpHosts = (proxyJump: string): ReadonlyArray<{ readonly text: string; readonly host: string }> =>
  proxyJump.split(",").flatMap((hop) => {
    const address = splitAddress(hop)
    if (address === undefined) return []
    const { host, port, user } = address
    const text = [
      user === undefined ? "" : `${user}@`,
      host.includes(":") ? `[${host}]` : host,
      port === undefined ? "" : `:${port}`
    ]
    return [{ text: text.join(""), host }]
  })

const jumpWord = (proxyJump: string): string =>
  proxyJump === "none" ? "none" : jumpHosts(proxyJump).map(({ text }) => text).join(",")

const family = ({ anyFamily = false }: Listening): Words => anyFamily ? ["-o", "AddressFamily=any"] : []

/** The values of the destination that win over the config (ssh_config(5): the command line comes first), and the host. */
const profile = (
  { destination: { host, identityFile, port, proxyJump, user }, home }: Connecting,
  command: Words = []
): Words => [
  ...(user === undefined ? [] : ["-l", user]),
  ...(port === undefined ? [] : ["-p", String(port)]),
  ...(identityFile === undefined
    ? []
    : ["-o", identityFileOption(expandHome(identityFile, home)), "-o", "IdentitiesOnly=yes"]),
  ...(proxyJump === undefined ? [] : ["-J", jumpWord(proxyJump)]),
  "--",
  host,
  ...command
]

/** What runs remotely: any login shell reads it, and a POSIX shell reads the script from stdin. */
export const remoteShell = "exec sh -s"

/**
 * The private foreground master. The user's own forwards stay out: one whose
 * port is taken would end the connection.
 */
export const master = (input: Connecting & Controlling & Listening): Words => [
  "-F",
  input.config,
  "-M",
  "-N",
  "-T",
  "-S",
  input.socket,
  "-o",
  "ControlPersist=no",
  "-o",
  "ClearAllForwardings=yes",
  ...family(input),
  ...profile(input)
]

/**
 * One ssh for one forward.
 *
 * **Gotchas**
 *
 * The user's own forwards come along, because `ClearAllForwardings` would clear
 * ours too. One whose port is taken must not end the connection: a second
 * forward of ours, or the user's own ssh, has it. So whether ours could be
 * made is known by ssh's words alone.
 */
export const plainForward = (input: Connecting & Ports & Listening): Words => [
  "-F",
  input.config,
  "-N",
  "-T",
  "-S",
  "none",
  "-o",
  "ExitOnForwardFailure=no",
  "-o",
  "ClearAllForwardings=no",
  ...family(input),
  "-L",
  localForward(input),
  ...profile(input)
]

/** One ssh for one remote command that reads its script from stdin. */
export const plainExec = (input: Connecting): Words => [
  "-F",
  input.config,
  "-T",
  "-S",
  "none",
  "-o",
  "ClearAllForwardings=yes",
  ...profile(input, [remoteShell])
]

/**
 * `ssh -G`: the effective parameters.
 *
 * **Gotchas**
 *
 * Runs the user's `Match exec` and may ask DNS.
 */
export const resolve = (input: Connecting): Words => ["-F", input.config, "-T", "-G", ...profile(input)]

/** `ssh -V`: the version, on stderr. */
export const version: Words = ["-V"]

/**
 * A client of our master. Without the user's config, which would add its
 * forwards again, and with a proxy that fails, because a client that finds no
 * master connects by itself.
 */
const client = ({ socket }: Controlling, words: Words, command: Words = []): Words => [
  "-F",
  "none",
  "-o",
  "ProxyCommand=false",
  "-S",
  socket,
  ...words,
  "--",
  "master",
  ...command
]

/** Adds a forward to the master; exits with 255 when the local port is taken. */
export const controlForward = (input: Controlling & Ports): Words =>
  client(input, ["-O", "forward", "-L", localForward(input)])

/** Takes a forward from the master; its open connections go on. */
export const controlCancel = (input: Controlling & Ports): Words =>
  client(input, ["-O", "cancel", "-L", localForward(input)])

/** Asks whether the master lives; prints its pid. */
export const controlCheck = (input: Controlling): Words => client(input, ["-O", "check"])

/** Runs a command over the master; `command` is read by the login shell over there. */
export const controlExec = (input: Controlling & { readonly command: string }): Words =>
  client(input, ["-T"], [input.command])

/**
 * The options that a person would type for the same destination; the host is
 * not among them. For remedies, reports and "equivalent ssh command" lines.
 */
export const userOptions = (
  { identityFile, port, proxyJump, sshConfig, user }: Omit<Destination, "host">,
  home: string
): Words => {
  const key = identityFile === undefined ? undefined : expandHome(identityFile, home)
  return [
    ...(sshConfig === undefined ? [] : ["-F", expandHome(sshConfig, home)]),
    ...(port === undefined ? [] : ["-p", String(port)]),
    ...(user === undefined ? [] : ["-l", user]),
    ...(key === undefined
      ? []
      : [...(key.includes("%") ? ["-o", identityFileOption(key)] : ["-i", key]), "-o", "IdentitiesOnly=yes"]),
    ...(proxyJump === undefined ? [] : ["-J", jumpWord(proxyJump)])
  ]
}

/** The destination as a remedy names it. */
export const target = (destination: Destination, home: string): SshTarget => ({
  host: destination.host,
  options: userOptions(destination, home)
})

/**
 * A jump host as a remedy names it: with the same `-F`, with user and port as
 * the list of jump hosts gives them, and through the hops before it. The
 * destination's own user, port and key are not used for hops, by ssh neither.
 *
 * `proxyJump` is the list in force, e.g. from `ssh -G`, when it comes from the
 * ssh config; a hop that is not in it is taken as a plain name.
 */
export const hopTarget = (
  destination: Destination,
  hop: string,
  home: string,
  proxyJump: string | undefined = destination.proxyJump
): SshTarget => {
  const hops = proxyJump === undefined || proxyJump === "none" ? [] : jumpHosts(proxyJump)
  const index = hops.findIndex(({ host }) => host.toLowerCase() === hop.toLowerCase())
  const found = splitAddress(hops[index]?.text ?? "")
  const before = hops.slice(0, Math.max(index, 0)).map(({ text }) => text)
  return {
    host: found?.host ?? hop,
    options: userOptions({
      ...(destination.sshConfig === undefined ? undefined : { sshConfig: destination.sshConfig }),
      ...(found?.user === undefined ? undefined : { user: found.user }),
      ...(found?.port === undefined ? undefined : { port: found.port }),
      ...(before.length === 0 ? undefined : { proxyJump: before.join(",") })
    }, home)
  }
}
