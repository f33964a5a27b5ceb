/**
 * The config file that we hand to ssh with `-F`. ssh keeps the first value it
 * reads (ssh_config(5)), so our policy comes first, then the user's and the
 * system's files, then our defaults. Unlike `-o`, a `-F` file also reaches the
 * jump hosts of ProxyJump.
 */
import { Result } from "effect"
import { SshConfigInvalid } from "../ConfigurationError.ts"
import type { SshConfigFile } from "../Destination.ts"

/** What `ssh -V` said; later fields of the version do not matter here. */
export interface SshVersion {
  readonly major: number
  readonly minor: number
}

/** What the overlay depends on. */
export interface OverlayInput {
  /** As `ssh -F`: a file replaces both default files, `none` means neither; absent means both defaults. */
  readonly userConfig?: SshConfigFile | undefined
  /** The home directory of the passwd entry, which is what ssh means by `~`. */
  readonly home: string
  /** Another system-wide file than the platform's; `none` leaves it out (ssh ignores a system file that it cannot read). */
  readonly systemConfig?: string | undefined
  /** Absent: only what every version understands is written. */
  readonly sshVersion?: SshVersion | undefined
  /** `posix` when absent. */
  readonly platform?: "posix" | "windows" | undefined
}

/** Ours for every host on the path, whatever the user's config says. */
const policy: ReadonlyArray<readonly [keyword: string, value: string]> = [
  // Nothing may ask: there is no terminal, and a dialog would come from nowhere.
  ["BatchMode", "yes"],
  ["StrictHostKeyChecking", "yes"],
  // Else an unknown key on 127.0.0.1 is accepted in spite of StrictHostKeyChecking.
  ["NoHostAuthenticationForLocalhost", "no"],
  // These two write known_hosts, even when checking is strict.
  ["CheckHostIP", "no"],
  ["UpdateHostKeys", "no"],
  ["AddKeysToAgent", "no"],
  // What would run something, or take our session or its streams away.
  ["RemoteCommand", "none"],
  ["RequestTTY", "no"],
  ["PermitLocalCommand", "no"],
  ["Tunnel", "no"],
  ["ForwardAgent", "no"],
  ["ForwardX11", "no"],
  // Hops may use a master of the user, but none may be left behind.
  ["ControlMaster", "no"],
  ["GatewayPorts", "no"],
  ["VisualHostKey", "no"],
  // A dead link is noticed after 20 s at most.
  ["ServerAliveInterval", "5"],
  ["ServerAliveCountMax", "3"],
  // The only level that tells a locked key from a refused one and shows the server key's fingerprint.
  ["LogLevel", "DEBUG1"]
]

/** Keywords that OpenSSH before 8.5 does not know and would refuse. */
const policySince8_5: typeof policy = [
  // It puts names of functions in front of the lines that we read.
  ["LogVerbose", "none"]
]

/** The same before 8.7. */
const policySince8_7: typeof policy = [
  ["SessionType", "default"],
  ["StdinNull", "no"],
  ["ForkAfterAuthentication", "no"]
]

/** Where the user's config says nothing. */
const defaults: typeof policy = [
  ["ConnectTimeout", "10"]
]

/** The system-wide file of OpenSSH; on Windows the port's own name for `%ProgramData%`. */
const systemConfigOf = (platform: "posix" | "windows"): string =>
  platform === "windows" ? "__PROGRAMDATA__/ssh/ssh_config" : "/etc/ssh/ssh_config"

const isSince = (version: SshVersion | undefined, major: number, minor: number): boolean =>
  version !== undefined && (version.major > major || (version.major === major && version.minor >= minor))

/** OpenSSH 8.7 brought escapes to quoted words, and three of the keywords above. */
const since8_7 = (version: SshVersion | undefined): boolean => isSince(version, 8, 7)

const since8_5 = (version: SshVersion | undefined): boolean => isSince(version, 8, 5)

/** OpenSSH 9.9 brought `%` tokens and `${VAR}` to `Include`. */
const since9_9 = (version: SshVersion | undefined): boolean => isSince(version, 9, 9)

// eslint-disable-next-line no-control-regex -- control characters are what this refuses
const controlCharacter = /[\u0000-\u001f\u007f]/

/** ssh takes a longer pattern for one that matches nothing; macOS's PATH_MAX is the smallest. */
const maxPatternBytes = 1023

/** Replaces a leading `~` by the home directory of the passwd entry. `~name` is left alone. */
export const expandHome = (path: string, home: string): string =>
  path === "~" || path.startsWith("~/") ? home + path.slice(1) : path

/**
 * `Include` takes patterns: brackets make `*`, `?`, `[` and the `{` of `${`
 * literal in every version. A backslash, a quotation mark and `%` are read
 * differently from version to version, so an unknown version cannot have them.
 */
const includeWord = (path: string, version: SshVersion | undefined): Result.Result<string, string> => {
  if (controlCharacter.test(path)) return Result.fail("Its path holds a control character, which ssh cannot read")
  if (path.includes("\"") && !since8_7(version)) {
    return Result.fail("Its path holds a quotation mark, which OpenSSH before 8.7 cannot read")
  }
  if (/[\\%]/.test(path) && version === undefined) {
    return Result.fail("Its path holds a backslash or %, which OpenSSH versions read differently")
  }
  const literal = path.replace(/[*?[{]/g, "[$&]").replaceAll("\\", "\\\\")
  const pattern = since9_9(version) ? literal.replaceAll("%", "%%") : literal
  if (new TextEncoder().encode(pattern).length > maxPatternBytes) return Result.fail("Its path is too long for ssh")
  return Result.succeed(`"${since8_7(version) ? pattern.replace(/[\\"]/g, "\\$&") : pattern}"`)
}

const block = (entries: typeof policy): string =>
  ["Match all", ...entries.map(([keyword, value]) => `  ${keyword} ${value}`)].join("\n")

/**
 * The text of the overlay. Fails when a path cannot be written in ssh's
 * syntax: ssh ignores an `Include` that matches nothing, so the user's config
 * would be lost without a word.
 *
 * **Gotchas**
 *
 * - An `Include` of a missing file is ignored by ssh: check `-F FILE` first.
 * - ssh refuses an included file that others may write or that it cannot read,
 *   also the `-F FILE` and the system's file that it would not have checked.
 * - A relative `Include` of the system's file is looked for in `~/.ssh`, and no
 *   longer in `/etc/ssh`, because a `-F` file counts as the user's.
 */
export const overlay = (input: OverlayInput): Result.Result<string, SshConfigInvalid> =>
  Result.gen(function*() {
    const platform = input.platform ?? "posix"
    // Who says /dev/null means none; as an included file it would be refused, because others may write it.
    const files = input.userConfig === "none" || input.userConfig === "/dev/null"
      ? []
      : input.userConfig !== undefined
      ? [expandHome(input.userConfig, input.home)]
      : [
        `${input.home}/.ssh/config`,
        ...(input.systemConfig === "none" ? [] : [input.systemConfig ?? systemConfigOf(platform)])
      ]
    const includes: Array<string> = []
    for (const file of files) {
      const path = platform === "windows" ? file.replaceAll("\\", "/") : file
      const word = yield* Result.mapError(
        includeWord(path, input.sshVersion),
        (detail) => new SshConfigInvalid({ file, detail })
      )
      includes.push(`Include ${word}`)
    }
    return [
      block([
        ...policy,
        ...(since8_5(input.sshVersion) ? policySince8_5 : []),
        ...(since8_7(input.sshVersion) ? policySince8_7 : [])
      ]),
      ...includes,
      block(defaults),
      ""
    ].join("\n")
  })
