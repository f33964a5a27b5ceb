/** The text that bootstrap and doctor feed to the remote `sh`: quoted assignments, then the fixed program. */
import { doctor, doctorLauncher, launcher, program } from "./remoteScript.generated.ts"

/**
 * Everything that goes into the program; its meaning stands at the top of `remote/opencode-ssh.sh` and
 * `remote/opencode-doctor.sh`.
 */
export interface Assignments {
  /** Hexadecimal. */
  readonly nonce: string
  readonly action: "ensure" | "look" | "status" | "stop" | "log" | "doctor"
  readonly port?: number | undefined
  /** Letters, digits, `-` and `_`. */
  readonly password?: string | undefined
  readonly username?: string | undefined
  readonly lifetime?: "persistent" | "session" | undefined
  /** See `versionIntervals`. */
  readonly ranges?: string | undefined
  readonly names?: string | undefined
  readonly seconds: number
  readonly shellSeconds: number
  readonly killSeconds: number
  readonly lines?: number | undefined
  readonly follow?: boolean | undefined
  /** Whether doctor may tell the password of a registered server. */
  readonly secret?: boolean | undefined
  /** Another place for `/proc`, for tests of systems without one. */
  readonly proc?: string | undefined
}

/** One word for a POSIX shell, whatever it holds (but NUL, which no shell can). */
export const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

const words = {
  nonce: /^[0-9a-f]{8,64}$/,
  password: /^[A-Za-z0-9_-]*$/,
  username: /^[A-Za-z0-9._-]*$/,
  ranges: /^[0-9A-Za-z.,:-]*$/,
  names: /^[0-9A-Za-z.+,_-]*$/
}

const word = (name: keyof typeof words, value: string): string => {
  if (!words[name].test(value)) throw new Error(`not a valid ${name} for the remote script`)
  return quote(value)
}

const whole = (name: string, value: number): string => {
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`not a valid ${name} for the remote script`)
  return quote(String(value))
}

/** Puts functions in front of a program's last line, which runs it. */
const withFunctions = (text: string, functions: string): string => {
  const end = text.lastIndexOf("\n")
  return `${text.slice(0, end)}\n${functions}${text.slice(end)}`
}

/** What the login shell runs, for the actions that need its environment. */
const launchers: { readonly [Action in Assignments["action"]]?: string } = {
  ensure: launcher,
  stop: launcher,
  doctor: withFunctions(launcher, doctorLauncher)
}

/**
 * The script for `exec sh -s`. It holds the password, so treat it as a secret.
 *
 * **Gotchas**
 *
 * Throws for words that the caller should never have let through: nothing but
 * these few patterns may become part of a remote program.
 */
export const assemble = (options: Assignments): string => {
  const assignments: Record<string, string> = {
    nonce: word("nonce", options.nonce),
    action: quote(options.action),
    port: options.port === undefined ? "''" : whole("port", options.port),
    password: word("password", options.password ?? ""),
    username: word("username", options.username ?? ""),
    lifetime: quote(options.lifetime ?? "persistent"),
    ranges: word("ranges", options.ranges ?? ""),
    names: word("names", options.names ?? ""),
    seconds: whole("limit", options.seconds),
    shell_seconds: whole("limit", options.shellSeconds),
    kill_seconds: whole("limit", options.killSeconds),
    lines: whole("number of lines", options.lines ?? 200),
    follow: options.follow === true ? "'1'" : "''",
    secret: options.secret === true ? "'1'" : "''",
    proc: quote(options.proc ?? "/proc"),
    launch: quote(launchers[options.action] ?? "")
  }
  const text = options.action === "doctor" ? withFunctions(program, doctor) : program
  return Object.entries(assignments).map(([name, value]) => `ocs_${name}=${value}\n`).join("") + text + "\n"
}
