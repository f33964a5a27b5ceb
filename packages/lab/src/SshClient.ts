import { Effect, type Scope } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { LabError } from "./LabError.ts"
import * as Process from "./Process.ts"
import type { Sshd } from "./Sshd.ts"
import * as TempDirectory from "./TempDirectory.ts"

/** One host of the user's ssh config. */
export interface Host {
  readonly sshd: Sshd
  /** Lines of its block; they stand first, and ssh takes the first value of an option. */
  readonly lines?: ReadonlyArray<string>
  /** Whether known_hosts knows its keys; default true. */
  readonly known?: boolean
  /** Its IdentityFile; default the key that the sshd accepts, `false` for none. */
  readonly identityFile?: string | false
}

export interface Options {
  /** The hosts by alias. */
  readonly hosts?: Readonly<Record<string, Host | Sshd>>
  /** Text before and after the hosts' blocks. */
  readonly before?: string
  readonly after?: string
  /** More lines of known_hosts. */
  readonly knownHosts?: ReadonlyArray<string>
  /** More files beside the config, by relative name (they are watched too). */
  readonly files?: Readonly<Record<string, string>>
  /** The name of the directory, e.g. with spaces or `$()`. */
  readonly directoryName?: string
}

/** A user's ssh config and known_hosts, in files of their own: to be used with `-F`, as ssh takes `~` from passwd. */
export interface SshClient {
  /** The directory of these files; what appears, vanishes or changes in it fails the test. */
  readonly directory: string
  readonly configFile: string
  readonly knownHostsFile: string
  /** Runs `ssh -F <config> <args>` without a terminal; any exit code is a success. */
  readonly ssh: (...args: ReadonlyArray<string>) => Effect.Effect<Process.Result, LabError>
  /** The test itself changes a file (relative name): what holds from now on. */
  readonly write: (file: string, content: string) => Effect.Effect<void>
}

/** Quotes a word of ssh_config. Its `%` and `${}` keep their meaning. */
export const quote = (text: string): string => `"${text.replaceAll("\\", "\\\\").replaceAll("\"", "\\\"")}"`

const snapshot = (directory: string): Record<string, string> =>
  Object.fromEntries(
    Fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).sort().flatMap((name) => {
      const path = Path.join(directory, name)
      const stat = Fs.lstatSync(path)
      if (!stat.isFile()) return [[name, "not a file"]]
      return [[name, `${(stat.mode & 0o777).toString(8)} ${Fs.readFileSync(path, "base64")}`]]
    })
  )

const changes = (before: Record<string, string>, after: Record<string, string>): ReadonlyArray<string> =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().flatMap((name) =>
    before[name] === after[name]
      ? []
      : [before[name] === undefined ? `new: ${name}` : after[name] === undefined ? `gone: ${name}` : `changed: ${name}`]
  )

const isSshd = (host: Host | Sshd): host is Sshd => "log" in host

const block = (alias: string, { identityFile, lines, sshd }: Host): string =>
  [
    `Host ${alias}`,
    ...lines ?? [],
    "HostName 127.0.0.1",
    `Port ${sshd.port}`,
    `User ${sshd.user}`,
    ...(identityFile === false ? [] : [`IdentityFile ${quote(identityFile ?? sshd.key.file)}`]),
    "IdentitiesOnly yes"
  ].join("\n  ")

/**
 * Writes a user's ssh config and known_hosts. When the scope ends, every file must be byte-identical and nothing may
 * have been added: else the scope, and so the test, fails.
 */
export const make: (options?: Options) => Effect.Effect<SshClient, never, Scope.Scope> = Effect.fn("SshClient.make")(
  function*(options: Options = {}) {
    const directory = yield* TempDirectory.make(
      options.directoryName === undefined ? {} : { name: options.directoryName }
    )
    const configFile = Path.join(directory, "config")
    const knownHostsFile = Path.join(directory, "known_hosts")
    const hosts = Object.entries(options.hosts ?? {}).map(([alias, host]) =>
      [alias, isSshd(host) ? { sshd: host } : host] as const
    )
    const write = (file: string, content: string) => {
      const path = Path.join(directory, file)
      Fs.mkdirSync(Path.dirname(path), { recursive: true, mode: 0o700 })
      Fs.writeFileSync(path, content, { mode: 0o600 })
    }
    write(
      "known_hosts",
      [
        ...hosts.flatMap(([, { known, sshd }]) => known === false ? [] : sshd.knownHosts),
        ...options.knownHosts ?? [],
        ""
      ].join("\n")
    )
    write(
      "config",
      [
        ...(options.before === undefined ? [] : [options.before]),
        ...hosts.map(([alias, host]) => block(alias, host)),
        ...(options.after === undefined ? [] : [options.after]),
        ["Host *", `UserKnownHostsFile ${quote(knownHostsFile)}`, "GlobalKnownHostsFile /dev/null"].join("\n  "),
        ""
      ].join("\n")
    )
    for (const [name, content] of Object.entries(options.files ?? {})) write(name, content)
    let before = snapshot(directory)
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        const differences = changes(before, snapshot(directory))
        return differences.length === 0
          ? Effect.void
          : Effect.die(new LabError({ message: `the user's ssh files were touched: ${differences.join(", ")}` }))
      })
    )
    const client: SshClient = {
      directory,
      configFile,
      knownHostsFile,
      ssh: (...args) => Process.run("ssh", ["-F", configFile, ...args]),
      write: (file, content) =>
        Effect.sync(() => {
          write(file, content)
          before = snapshot(directory)
        })
    }
    return client
  }
)
