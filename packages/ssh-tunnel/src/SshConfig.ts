/**
 * The user's ssh config, read and never written: the hosts that a person has
 * given names, and what ssh makes of a destination.
 */
import { Context, Effect, FileSystem, Layer, Option, Path, type PlatformError, Schema } from "effect"
import { ConfigurationError, SshConfigInvalid } from "./ConfigurationError.ts"
import { type Destination, Host, Port, type SshConfigFile } from "./Destination.ts"
import { expandHome } from "./internal/overlay.ts"
import * as SshConfigSyntax from "./internal/sshConfigSyntax.ts"
import * as SshEffective from "./internal/sshEffective.ts"
import { LocalHost } from "./LocalHost.ts"
import { OpenSsh } from "./OpenSsh.ts"
import { Reaper } from "./Reaper.ts"
import { RuntimeDirectory } from "./RuntimeDirectory.ts"

/** A host of the ssh config, and where it was first named. `line` counts from 1. */
export const ConfigHost = Schema.Struct({
  name: Host,
  file: Schema.String,
  line: Schema.Int
})
export type ConfigHost = typeof ConfigHost.Type

/**
 * What ssh would use for a destination: the answer of `ssh -G`, our policy
 * included. Keywords and values are ssh's own words.
 *
 * **Gotchas**
 *
 * Hops of `proxyJump` have parameters of their own: ask for each hop.
 */
export class EffectiveParameters
  extends Schema.Class<EffectiveParameters>("@opencode-ai/ssh-tunnel/EffectiveParameters")({
    /** The destination's host as it was given. */
    host: Schema.String,
    /** Where ssh connects to: `HostName`, else the host; lower-case. */
    hostname: Schema.String,
    user: Schema.String,
    port: Port,
    /** In the order of trying; `%` tokens and `~` are as they stand in the config. */
    identityFiles: Schema.Array(Schema.String),
    identitiesOnly: Schema.Boolean,
    proxyJump: Schema.optionalKey(Schema.String),
    /** May hold a secret: not for reports. */
    proxyCommand: Schema.optionalKey(Schema.String),
    identityAgent: Schema.optionalKey(Schema.String),
    /** One or more paths, separated by spaces; a path with spaces cannot be told apart. */
    userKnownHostsFile: Schema.optionalKey(Schema.String),
    /** What a report may show: an allow-list of keywords, in ssh's order; some come more than once. */
    parameters: Schema.Array(Schema.Struct({ keyword: Schema.String, value: Schema.String }))
  })
{}

/** `READCONF_MAX_DEPTH` of OpenSSH. */
const maxDepth = 16

const invalid = (file: string, detail: string, line?: number): ConfigurationError =>
  new ConfigurationError({
    reason: new SshConfigInvalid({ file, detail, ...(line === undefined ? undefined : { configLine: line }) })
  })

const detailOf = (error: PlatformError.PlatformError): string =>
  error.reason._tag === "NotFound"
    ? "No such file or directory"
    : error.reason._tag === "PermissionDenied"
    ? "Permission denied"
    : error.message

/** See the module. */
export class SshConfig extends Context.Service<SshConfig, {
  /**
   * The hosts that the config names: words of `Host` lines, and of
   * `originalhost` in `Match` lines, that have no wildcard and are not negated,
   * in order of appearance and each once. The user's config, then the system's;
   * with `file` only that one, as `ssh -F` (`none`: none).
   *
   * Fails when a file that ssh would need cannot be read. A missing user config
   * is no error, a missing `file` is one, as for ssh.
   *
   * **Gotchas**
   *
   * - Nothing is run and no name is looked up. `Match exec`, `user`, … count as
   *   "may hold"; names in `Match host` are HostNames, not what a person types.
   * - Names that {@link Host} refuses (`a/b`, `.host`) are left out.
   * - `Include` is followed as ssh does, also in blocks (whose condition then
   *   counts), except where it depends on the host (`%h`) or on another user's
   *   home (`~name`).
   * - Lines that ssh would refuse are skipped; `effective` reports them.
   */
  readonly hosts: (
    options?: { readonly file?: SshConfigFile }
  ) => Effect.Effect<ReadonlyArray<ConfigHost>, ConfigurationError>
  /**
   * What ssh would use for this destination, by `ssh -G`.
   *
   * **Gotchas**
   *
   * Runs the user's `Match exec` and may ask DNS: only when a person has asked
   * for it, and debounced while they type.
   */
  readonly effective: (destination: Destination) => Effect.Effect<EffectiveParameters, ConfigurationError>
}>()("@opencode-ai/ssh-tunnel/SshConfig") {
  /** Needs OpenSsh, and of the platform its files. */
  static readonly layerNoDeps: Layer.Layer<
    SshConfig,
    never,
    OpenSsh | LocalHost | FileSystem.FileSystem | Path.Path
  > = Layer.effect(
    SshConfig,
    Effect.gen(function*() {
      const openSsh = yield* OpenSsh
      const files = yield* FileSystem.FileSystem
      const path = yield* Path.Path
      const machine = yield* LocalHost
      const windows = machine.platform === "windows"

      const user = {
        file: path.join(machine.home, ".ssh", "config"),
        // Relative patterns become `~/.ssh/…`, and that `~` is glob(3)'s.
        base: path.join(machine.environment["HOME"] ?? machine.home, ".ssh")
      }
      const systemDirectory = windows ? path.join(machine.environment["ProgramData"] ?? "", "ssh") : "/etc/ssh"
      const system = { file: path.join(systemDirectory, "ssh_config"), base: systemDirectory }

      /** `None`: there is no such file. Directories and devices, which patterns may match, are empty. */
      const read = Effect.fnUntraced(
        function*(file: string) {
          const { type } = yield* files.stat(file)
          return Option.some(type === "File" ? yield* files.readFileString(file) : "")
        },
        Effect.catchIf((error) => error.reason._tag === "NotFound", () => Effect.succeed(Option.none<string>()))
      )

      /** The paths that a pattern may mean, sorted as glob(3) does; one without wildcards need not exist. */
      const expand = Effect.fnUntraced(function*(pattern: string) {
        const [root, ...rest] = SshConfigSyntax.components(windows ? pattern.replaceAll("\\", "/") : pattern)
        let found: ReadonlyArray<string> = typeof root === "string" ? [root] : []
        for (const component of rest) {
          found = typeof component === "string"
            ? found.map((directory) => `${directory}/${component}`)
            : yield* Effect.map(
              Effect.forEach(found, (directory) =>
                Effect.map(
                  Effect.orElseSucceed(files.readDirectory(directory === "" ? "/" : directory), () => []),
                  (names) => names.filter(component).map((name) => `${directory}/${name}`)
                )),
              (lists) => lists.flat()
            )
        }
        return found.toSorted((a, b) => a < b ? -1 : a > b ? 1 : 0)
      })

      const namesIn = (
        file: string,
        text: string,
        base: string,
        when: SshConfigSyntax.Condition,
        depth: number
      ): Effect.Effect<ReadonlyArray<ConfigHost>, ConfigurationError> =>
        Effect.map(
          Effect.forEach(SshConfigSyntax.entries(text), (entry) => {
            if (entry._tag === "Name") {
              return Effect.succeed(
                Schema.is(Host)(entry.name) && when(entry.name) ? [{ name: entry.name, file, line: entry.line }] : []
              )
            }
            const pattern = SshConfigSyntax.includePattern(entry.path, { ...machine, base })
            if (pattern === undefined) return Effect.succeed([])
            return Effect.gen(function*() {
              const found = yield* Effect.forEach(yield* expand(pattern), (included) =>
                Effect.gen(function*() {
                  const content = yield* Effect.mapError(
                    read(included),
                    (error) => invalid(included, `Can't open user config file: ${detailOf(error)}`)
                  )
                  if (Option.isNone(content)) return []
                  if (depth === maxDepth) {
                    return yield* invalid(file, "Too many recursive configuration includes", entry.line)
                  }
                  const both: SshConfigSyntax.Condition = (name) => when(name) && entry.when(name)
                  return yield* namesIn(included, content.value, base, both, depth + 1)
                }))
              return found.flat()
            })
          }),
          (lists) => lists.flat()
        )

      const namesOf = Effect.fnUntraced(function*({ base, file }: typeof user, content: Option.Option<string>) {
        return Option.isNone(content) ? [] : yield* namesIn(file, content.value, base, () => true, 0)
      })

      const hosts = Effect.fn("SshConfig.hosts")(function*(options: { readonly file?: SshConfigFile } = {}) {
        if (options.file === "none") return []
        if (options.file !== undefined) {
          const file = expandHome(options.file, machine.home)
          const content = yield* Effect.mapError(read(file), (error) => invalid(file, detailOf(error)))
          if (Option.isNone(content)) return yield* invalid(file, "No such file or directory")
          return firstOfEach(yield* namesOf({ ...user, file }, content))
        }
        const own = yield* Effect.mapError(read(user.file), (error) => invalid(user.file, detailOf(error)))
        // ssh goes on without a system config that it cannot read.
        const shared = yield* Effect.orElseSucceed(read(system.file), () => Option.none<string>())
        return firstOfEach([...yield* namesOf(user, own), ...yield* namesOf(system, shared)])
      })

      const effective = Effect.fn("SshConfig.effective")(function*(destination: Destination) {
        const parsed = SshEffective.parse(yield* openSsh.resolve(destination))
        if (Option.isNone(parsed)) {
          return yield* invalid(destination.sshConfig ?? user.file, "ssh -G did not print its parameters")
        }
        return new EffectiveParameters(parsed.value)
      })

      return SshConfig.of({ hosts, effective })
    })
  )

  /** With an ssh of its own. */
  static readonly layer = SshConfig.layerNoDeps.pipe(
    Layer.provide(OpenSsh.layerNoDeps),
    Layer.provide(Reaper.layer),
    Layer.provide(RuntimeDirectory.layer)
  )

  /** A service of which only the given methods work. */
  static readonly layerMock = (service: Partial<SshConfig["Service"]>): Layer.Layer<SshConfig> =>
    Layer.mock(SshConfig, service)
}

const firstOfEach = (hosts: ReadonlyArray<ConfigHost>): ReadonlyArray<ConfigHost> =>
  [
    ...Map.groupBy(hosts, ({ name }) => name).values()
  ].flatMap((same) => same.slice(0, 1))
