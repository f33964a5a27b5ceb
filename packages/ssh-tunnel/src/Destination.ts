/**
 * Where ssh is asked to connect, in the words of ssh(1): a destination is
 * `[user@]host[:port]` or `ssh://[user@]host[:port]`, and a few options that
 * belong to it. Everything here is validated so that no value can become an
 * option of ssh or a word of a shell, because ssh itself hands host, user and
 * jump hosts to shells (`ProxyCommand`, `Match exec`, `%h`, `%r`).
 */
import { Effect, Schema, SchemaIssue, SchemaTransformation } from "effect"

const ipv6 = "(?=[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:)[0-9A-Fa-f:]{2,39}(?:\\d{1,3}(?:\\.\\d{1,3}){3})?"
const ipv6Pattern = new RegExp(`^${ipv6}$`)
const hostPattern = new RegExp(`^(?:[\\p{L}\\p{N}_][\\p{L}\\p{M}\\p{N}._-]{0,254}|${ipv6})$`, "u")
// After an `@` no `-`: whoever splits there would have an option in the place of a host.
const userPattern = /^[\p{L}\p{N}_](?:[\p{L}\p{M}\p{N}._+-]|@(?!-)|\\(?=[\p{L}\p{N}_])){0,63}$/u

/**
 * A `Host` name of the ssh config, a DNS name, or an IP address (IPv6 without
 * brackets and without a zone).
 *
 * **Gotchas**
 *
 * ssh(1) accepts more (`%h`, `a/b`, `a*b`, URIs): those reach shells or
 * patterns and are refused here. A zone (`fe80::1%eth0`) needs a `Host` entry.
 */
export const Host = Schema.String.check(
  Schema.isPattern(hostPattern, { expected: "a host name, an ssh config Host, or an IP address" })
)
export type Host = typeof Host.Type

/** A remote user name; `DOMAIN\user` and `user@domain` are allowed, shell and percent characters are not. At most 64 characters. */
export const User = Schema.String.check(Schema.isPattern(userPattern, { expected: "a user name" }))
export type User = typeof User.Type

/** A TCP port, 1 to 65535. */
export const Port = Schema.Int.check(
  Schema.isBetween({ minimum: 1, maximum: 65535 }, { expected: "a port from 1 to 65535" })
)
export type Port = typeof Port.Type

// Those of C1 and the separators of lines and paragraphs are shown escaped, so a remedy's command would name another file.
// eslint-disable-next-line no-control-regex -- control characters are what this refuses
const controlCharacter = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/

const isPlainPath = (value: string): boolean =>
  value.length > 0 && value.length <= 4096 && !controlCharacter.test(value) && !value.startsWith("-") &&
  !value.includes("${")

/**
 * A path of this machine, absolute or beginning with `~/`. `~` is expanded by
 * us to the home of the passwd entry, as ssh does; `%` is literal.
 *
 * **Gotchas**
 *
 * `${VAR}` is refused: ssh would expand it (ssh_config(5), TOKENS).
 */
export const LocalPath = Schema.String.check(
  Schema.makeFilter(
    (value) => isPlainPath(value) && (value === "~" || /^(~?\/|[A-Za-z]:[\\/])/.test(value)),
    { expected: "an absolute path or one that begins with ~/" }
  )
)
export type LocalPath = typeof LocalPath.Type

/** A user's ssh config file as `ssh -F` takes it; `none` means neither the user's nor the system's. */
export const SshConfigFile = Schema.Union([Schema.Literal("none"), LocalPath])
export type SshConfigFile = typeof SshConfigFile.Type

/** `user`, `host` and `port` of a destination as a person writes it. */
export interface Address {
  readonly host: string
  readonly user?: string
  readonly port?: number
}

/**
 * Splits `[user@]host[:port]` or `ssh://[user@]host[:port]`, without judging
 * the parts. Bare IPv6 is a host; IPv6 with a port needs brackets, as in
 * ssh(1)'s URI form. Returns `undefined` when the text has another shape.
 */
export const splitAddress = (text: string): Address | undefined => {
  const uri = text.startsWith("ssh://")
  const rest = uri ? text.slice("ssh://".length).replace(/\/$/, "") : text
  const at = rest.lastIndexOf("@")
  const user = at === -1 ? undefined : rest.slice(0, at)
  const hostPort = rest.slice(at + 1)
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(hostPort)
  const host = match?.[1] ?? match?.[2] ?? (ipv6Pattern.test(hostPort) ? hostPort : undefined)
  if (host === undefined || user === "") return undefined
  const port = match?.[3]
  return {
    host,
    ...(user === undefined ? undefined : { user }),
    ...(port === undefined ? undefined : { port: Number(port) })
  }
}

/** Writes an {@link Address} the way {@link splitAddress} reads it. */
export const joinAddress = ({ host, port, user }: Address): string =>
  `${user === undefined ? "" : `${user}@`}${host.includes(":") && port !== undefined ? `[${host}]` : host}${
    port === undefined ? "" : `:${port}`
  }`

const isAddress = Schema.is(Schema.Struct({
  host: Host,
  user: Schema.optionalKey(User),
  port: Schema.optionalKey(Port)
}))

/**
 * Jump hosts as `ssh -J` takes them: a comma-separated list of
 * `[user@]host[:port]`, visited in order; `none` switches off a `ProxyJump` of
 * the ssh config.
 */
export const ProxyJump = Schema.String.check(
  Schema.makeFilter(
    (value) =>
      value === "none" ||
      (value.length <= 1024 && value.split(",").every((hop) => {
        const address = splitAddress(hop)
        return address !== undefined && isAddress(address)
      })),
    { expected: "jump hosts: [user@]host[:port], separated by commas" }
  )
)
export type ProxyJump = typeof ProxyJump.Type

/**
 * What to connect to and how to log in there; every field but `host` may be
 * left to the user's ssh config. Values given here win over the config
 * (ssh_config(5): the command line comes first).
 */
export class Destination extends Schema.Class<Destination>("@opencode-ai/ssh-tunnel/Destination")({
  host: Host,
  user: Schema.optionalKey(User),
  port: Schema.optionalKey(Port),
  /** Implies `IdentitiesOnly=yes`: keys are additive, and an agent full of keys would use up MaxAuthTries first. */
  identityFile: Schema.optionalKey(LocalPath),
  proxyJump: Schema.optionalKey(ProxyJump),
  /** Instead of the user's and the system's config files, as `ssh -F`. */
  sshConfig: Schema.optionalKey(SshConfigFile)
}) {
  /** `[user@]host[:port]`, the form that a person types. */
  override toString(): string {
    return joinAddress(this)
  }
}

/**
 * Decodes `[user@]host[:port]` and `ssh://[user@]host[:port]` into a
 * {@link Destination}, and encodes it back.
 *
 * **Gotchas**
 *
 * Encoding keeps only user, host and port.
 */
export const DestinationFromString = Schema.String.pipe(
  Schema.decodeTo(
    Destination,
    SchemaTransformation.transformEffect({
      decode: (text, options) => {
        const address = splitAddress(text)
        return address === undefined
          ? Effect.fail(
            new SchemaIssue.InvalidValue(
              { message: "Expected [user@]host[:port] or ssh://[user@]host[:port]" },
              text,
              options
            )
          )
          : Effect.succeed(address)
      },
      encode: (address) => Effect.succeed(joinAddress(address))
    })
  )
)
