/**
 * What a person pastes to name a host: `user@host`, `host:port`, `ssh://…`, or
 * a whole `ssh …` command line. The options that make a {@link Destination}
 * are taken over; what the app does anyway is noted; everything else is
 * refused with a reason, never dropped in silence.
 */
import { Result, Schema } from "effect"
import { Destination, Host, LocalPath, Port, ProxyJump, splitAddress, SshConfigFile, User } from "./Destination.ts"
import * as ShellWords from "./internal/shellWords.ts"
import * as SshConfigSyntax from "./internal/sshConfigSyntax.ts"
import * as SshOptions from "./internal/sshOptions.ts"

/** One word about one part of the line. `option` is as ssh(1) names it (`-L`, `-o HostName`), or `destination`, `command`, `line`. */
export const Explanation = Schema.Struct({
  option: Schema.String,
  explanation: Schema.String
})
export type Explanation = typeof Explanation.Type

/** The line asks for something that a connection of the app cannot have; every such part is named. */
export class SshCommandLineRefused extends Schema.TaggedError<SshCommandLineRefused>()("SshCommandLineRefused", {
  refusals: Schema.NonEmptyArray(Explanation)
}) {
  override get message() {
    return this.refusals.map(({ explanation, option }) => `${option}: ${explanation}`).join("\n")
  }
}

/** A line that was understood; `notes` name the options that change nothing here. */
export interface SshCommandLine {
  readonly destination: Destination
  readonly notes: ReadonlyArray<Explanation>
}

const inConfig = (setting: string): string =>
  `Write "${setting}" under this host in your ssh config; the app follows it`

interface Fields {
  user?: string
  port?: number
  identityFile?: string
  proxyJump?: string
  sshConfig?: string
  host?: string
}

/** Collects what the line says. As in ssh(1) the first value wins; it is mutable, and lives as long as one call of `parse`. */
class Reading {
  readonly fields: Fields = {}
  readonly notes: Array<Explanation> = []
  readonly refusals: Array<Explanation> = []

  note(option: string, explanation: string): void {
    if (!this.notes.some((note) => note.option === option)) this.notes.push({ option, explanation })
  }

  refuse(option: string, explanation: string): void {
    this.refusals.push({ option, explanation })
  }

  user(option: string, value: string): void {
    if (!Schema.is(User)(value)) this.refuse(option, `${show(value)} is not a user name`)
    else this.fields.user ??= value
  }

  port(option: string, value: string): void {
    const port = /^\d{1,5}$/.test(value) ? Number(value) : 0
    if (!Schema.is(Port)(port)) this.refuse(option, `${show(value)} is not a port from 1 to 65535`)
    else this.fields.port ??= port
  }

  identityFile(option: string, value: string): void {
    const path = value.replaceAll("%%", "%")
    if (/%/.test(value.replaceAll("%%", ""))) this.refuse(option, `Tokens (%…) in ${show(value)} are not expanded here`)
    else if (!Schema.is(LocalPath)(path)) this.refuse(option, notAPath(value))
    else if (this.fields.identityFile !== undefined && this.fields.identityFile !== path) {
      this.refuse(option, "One identity file is enough: write the others under this host in your ssh config")
    } else this.fields.identityFile = path
  }

  proxyJump(option: string, value: string): void {
    const jump = value.toLowerCase() === "none" ? "none" : value
    if (!Schema.is(ProxyJump)(jump)) {
      this.refuse(option, `${show(value)} is not a list of jump hosts: [user@]host[:port], separated by commas`)
    } else this.fields.proxyJump ??= jump
  }

  sshConfig(option: string, value: string): void {
    // Both mean no config at all.
    const file = value.toLowerCase() === "none" || value === "/dev/null" ? "none" : value
    if (!Schema.is(SshConfigFile)(file)) this.refuse(option, notAPath(value))
    // ssh's one option of which the last value wins.
    else this.fields.sshConfig = file
  }

  destination(value: string): void {
    const address = splitAddress(value)
    if (address === undefined || !Schema.is(Host)(address.host)) {
      return this.refuse(
        "destination",
        `${show(value)} is not a destination: [user@]host[:port] or ssh://[user@]host[:port]`
      )
    }
    this.fields.host = address.host
    if (address.user !== undefined) this.user("destination", address.user)
    if (address.port !== undefined) this.port("destination", String(address.port))
  }

  /** `-o`: a line of ssh_config(5). */
  setting(value: string): void {
    const parsed = SshConfigSyntax.keyword(value)
    const words = parsed === undefined ? undefined : SshConfigSyntax.words(parsed.rest)
    if (parsed === undefined || words === undefined || words.length === 0) {
      return this.refuse("-o", `${show(value)} is not a setting: Keyword=value`)
    }
    const single = words.length === 1 && words[0] !== ""
    const name = /^\s*"?(\w+)/.exec(value)?.[1] ?? parsed.keyword
    const option = `-o ${name}`
    const [first = ""] = words
    const fixed = lookUp(SshOptions.switchedOff, parsed.keyword)
    const ignored = lookUp(SshOptions.ignoredKeywords, parsed.keyword)
    if (SshOptions.takenOver.has(parsed.keyword) && !single) {
      this.refuse(option, `${show(parsed.rest)} is not one value`)
    } else if (parsed.keyword === "user") this.user(option, first)
    else if (parsed.keyword === "port") this.port(option, first)
    else if (parsed.keyword === "identityfile") this.identityFile(option, first)
    else if (parsed.keyword === "proxyjump") this.proxyJump(option, first)
    else if (parsed.keyword === "identitiesonly" && first.toLowerCase() === "yes") this.identitiesOnly = option
    else if (ignored !== undefined) this.note(option, ignored)
    else if (fixed !== undefined && fixed[0] === first.toLowerCase()) this.note(option, SshOptions.quiet)
    else this.refuse(option, fixed?.[1] ?? refusal(parsed.keyword) ?? inConfig(`${name} ${parsed.rest}`))
  }

  /** Where `IdentitiesOnly=yes` stood: an identity file implies it, but nothing else does. */
  private identitiesOnly: string | undefined

  option(letter: string, value: string): void {
    const option = `-${letter}`
    const ignored = lookUp(SshOptions.ignoredOptions, letter)
    const setting = lookUp(SshOptions.configOptions, letter)
    if (letter === "l") this.user(option, value)
    else if (letter === "p") this.port(option, value)
    else if (letter === "i") this.identityFile(option, value)
    else if (letter === "J") this.proxyJump(option, value)
    else if (letter === "F") this.sshConfig(option, value)
    else if (letter === "o") this.setting(value)
    else if (ignored !== undefined) this.note(option, ignored)
    else if (setting !== undefined) this.refuse(option, inConfig(`${setting} ${value}`.trimEnd()))
    else this.refuse(option, lookUp(SshOptions.refusedOptions, letter) ?? "ssh has no such option")
  }

  result(): Result.Result<SshCommandLine, SshCommandLineRefused> {
    const { host, ...fields } = this.fields
    if (this.identitiesOnly !== undefined && fields.identityFile === undefined) {
      this.refuse(this.identitiesOnly, inConfig("IdentitiesOnly yes"))
    }
    if (host === undefined && !this.refusals.some(({ option }) => option === "destination")) {
      this.refuse("destination", "The line names no host")
    }
    const [first, ...others] = this.refusals
    return first === undefined && host !== undefined
      ? Result.succeed({ destination: new Destination({ host, ...fields }), notes: this.notes })
      : refused(first ?? { option: "destination", explanation: "The line names no host" }, ...others)
  }
}

const lookUp = <A>(table: Readonly<Record<string, A>>, key: string): A | undefined =>
  Object.hasOwn(table, key) ? table[key] : undefined

const refusal = (keyword: string): string | undefined => lookUp(SshOptions.refusedKeywords, keyword)

const show = (value: string): string => JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)

const notAPath = (value: string): string => `${show(value)} is not a whole path: write one that begins with / or ~/`

const refused = (...refusals: readonly [Explanation, ...ReadonlyArray<Explanation>]) =>
  Result.fail(new SshCommandLineRefused({ refusals }))

/** getopt(3) as ssh(1) uses it: options may also stand between the destination and the command. */
const read = (words: ReadonlyArray<string>): Reading => {
  const reading = new Reading()
  let named = false
  let terminated = false
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? ""
    if (word === "--" && !terminated) terminated = true
    else if (!terminated && word.startsWith("-") && word !== "-") {
      for (let at = 1; at < word.length; at++) {
        const letter = word.charAt(at)
        if (!SshOptions.withArgument.has(letter)) {
          reading.option(letter, "")
          continue
        }
        const attached = word.slice(at + 1)
        const value = attached === "" ? words[++index] : attached
        if (value === undefined) reading.refuse(`-${letter}`, "Its value is missing")
        else reading.option(letter, value)
        break
      }
    } else if (!named) {
      named = true
      reading.destination(word)
    } else {
      reading.refuse(
        "command",
        `The app runs its own commands over there: leave out ${show(words.slice(index).join(" "))}`
      )
      break
    }
  }
  return reading
}

/**
 * Reads what a person has typed or pasted. Nothing is run and no file is
 * looked at; paths must be whole, because the app has another working
 * directory than the person's shell.
 *
 * **Gotchas**
 *
 * - `-i` with `%` tokens is refused, as a profile's path is literal; `%%` is `%`.
 * - A leading `ssh` and a shell's prompt (`$ `) are optional.
 */
export const parse = (text: string): Result.Result<SshCommandLine, SshCommandLineRefused> => {
  const words = ShellWords.split(text.trim().replace(/^[$%>]\s+/, ""))
  if (Result.isFailure(words)) return refused({ option: "line", explanation: words.failure })
  const [first = "", ...rest] = words.success
  return read(/^(?:.*[\\/])?ssh(?:\.exe)?$/i.test(first) ? rest : words.success).result()
}
