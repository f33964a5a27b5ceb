/** `opencode-ssh profiles …`: the saved profiles. */
import { ConfigurationError, InvalidProfile } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import { DestinationFromString, joinAddress } from "@opencode-ai/ssh-tunnel/Destination"
import { noBootstrap, Profile, ProfileName } from "@opencode-ai/ssh-tunnel/Profile"
import { draftProfiles, fromDraft, newProfileId } from "@opencode-ai/ssh-tunnel/ProfileDraft"
import { contents, exportProfiles, parse } from "@opencode-ai/ssh-tunnel/ProfileFile"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { Array as Arr, Effect, FileSystem, Option, Random, Result, Schema } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { UsageError } from "../CliFailure.ts"
import { Engine } from "../Engine.ts"
import * as JsonLines from "../JsonLines.ts"
import { Output } from "../Output.ts"
import * as ProfileFlags from "../ProfileFlags.ts"
import * as Sanitize from "../Sanitize.ts"
import * as Table from "../Table.ts"
import * as Target from "../Target.ts"
import { configuredHosts, interruptible, json, profile } from "./shared.ts"

/** Runs a command's work with the saved profiles, until it is done or a signal ends it. */
const withProfiles = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  interruptible(Effect.flatMap(Engine, (engine) => Effect.provide(work, engine.profiles)))

const encode = Schema.encodeSync(Profile)
type Encoded = (typeof Profile)["Encoded"]

const yesNo = (value: boolean) => value ? "yes" : "no"

/** A profile's values by the names of the options that set them, in their order; what is not set is left out. */
const values = (profile: Profile): ReadonlyArray<readonly [string, string]> => {
  const { bootstrap } = profile
  const rows: ReadonlyArray<readonly [string, string | number | undefined]> = [
    ["name", profile.name],
    ["id", profile.id],
    ["host", profile.host],
    ["user", profile.user],
    ["port", profile.port],
    ["identity-file", profile.identityFile],
    ["proxy-jump", profile.proxyJump],
    ["ssh-config", profile.sshConfig],
    ["strategy", profile.strategy],
    ["remote-port", profile.remotePort],
    ["local-port", profile.localPort],
    ["bootstrap", yesNo(bootstrap.enabled)],
    ["bootstrap-port", bootstrap.port],
    ["lifetime", bootstrap.enabled ? bootstrap.lifetime : undefined],
    ["version-range", profile.versionRange],
    ["username", profile.username]
  ]
  return rows.flatMap(([name, value]) => value === undefined ? [] : [[name, Sanitize.line(String(value))]])
}

const printProfile = Effect.fnUntraced(function*(profile: Profile, asJson: boolean) {
  const output = yield* Output
  if (asJson) return yield* JsonLines.print({ type: "profile", profile })
  for (const line of Table.lines(values(profile))) yield* output.result(line)
})

const list = Command.make(
  "list",
  { json },
  Effect.fn("profiles list")(
    function*(input) {
      const output = yield* Output
      const repo = yield* ProfileRepo
      const profiles = yield* repo.list
      if (input.json) {
        for (const profile of profiles) yield* JsonLines.print({ type: "profile", profile })
      } else if (profiles.length === 0) {
        yield* output.note("There are no profiles yet. Add one with: opencode-ssh profiles add NAME --host HOST")
      } else {
        const rows = profiles.map((profile) =>
          [
            profile.name,
            profile.id,
            joinAddress(profile),
            profile.proxyJump ?? "",
            String(profile.remotePort ?? ""),
            yesNo(profile.bootstrap.enabled)
          ].map(Sanitize.line)
        )
        const heading = ["NAME", "ID", "DESTINATION", "PROXY JUMP", "REMOTE PORT", "BOOTSTRAP"]
        for (const line of Table.lines([heading, ...rows])) yield* output.result(line)
      }
      for (const { id, index, name, reason } of yield* repo.problems) {
        yield* output.note(
          `${output.paint("yellow", "warning:")} ${
            Sanitize.line(
              `entry ${index + 1} (${name ?? id ?? "no name"}) of the profile file is left out: ${reason.message}`
            )
          }`
        )
      }
    },
    withProfiles
  )
).pipe(Command.withAlias("ls"), Command.withDescription("List the saved profiles"))

const show = Command.make(
  "show",
  { profile, json },
  Effect.fn("profiles show")(
    function*(input) {
      yield* printProfile(yield* Target.getProfile(input.profile), input.json)
    },
    withProfiles
  )
).pipe(Command.withDescription("Show every value of a profile"))

const name = (flag: Flag.Flag<string>) => flag.pipe(Flag.withMetavar("NAME"), Flag.withSchema(ProfileName))

/** Two profiles of one name could not be told apart by it. */
const requireFreeName = Effect.fnUntraced(function*(name: string, besides?: string) {
  const repo = yield* ProfileRepo
  const taken = (yield* repo.list).find((profile) =>
    (profile.name === name || profile.id === name) && profile.id !== besides
  )
  if (taken !== undefined) {
    return yield* new ConfigurationError({
      reason: new InvalidProfile({ path: "name", detail: `there is a profile ${JSON.stringify(name)} already` })
    })
  }
})

const freshId = Effect.fnUntraced(function*(name: string) {
  const bytes = yield* Effect.replicateEffect(Random.nextIntBetween(0, 256), 6)
  return newProfileId(name, Uint8Array.from(bytes))
})

/** A host may be given as a destination: `--host me@box:2222`. The single options win over its parts. */
const host = Flag.String("host").pipe(
  Flag.withMetavar("[USER@]HOST[:PORT]"),
  Flag.withDescription("Host name of the ssh config, DNS name or address"),
  Flag.withSchema(DestinationFromString)
)

const add = Command.make(
  "add",
  {
    name: Argument.String("name").pipe(
      Argument.withDescription("What to call the profile"),
      Argument.withSchema(ProfileName)
    ),
    host,
    ...ProfileFlags.target,
    ...ProfileFlags.server,
    json
  },
  Effect.fn("profiles add")(
    function*(input) {
      const repo = yield* ProfileRepo
      yield* requireFreeName(input.name)
      const plain = yield* Target.profileFrom({
        ...input.host,
        id: yield* freshId(input.name),
        name: input.name,
        bootstrap: noBootstrap
      })
      const profile = yield* Target.override(plain, input)
      yield* repo.save(profile)
      yield* printProfile(profile, input.json)
    },
    withProfiles
  )
).pipe(
  Command.withDescription("Save a new profile"),
  Command.withExamples([{
    command: "opencode-ssh profiles add work --host dev@box --proxy-jump bastion --bootstrap",
    description: "OpenCode on box, reached through bastion and started there if needed"
  }])
)

/** Options whose value can be taken away again; the rest of a profile always has one. */
const unsettable = [
  "user",
  "port",
  "identity-file",
  "proxy-jump",
  "ssh-config",
  "strategy",
  "remote-port",
  "local-port",
  "bootstrap-port",
  "version-range",
  "username"
] as const

const fieldOf: Readonly<Record<Exclude<(typeof unsettable)[number], "bootstrap-port">, keyof Profile>> = {
  "user": "user",
  "port": "port",
  "identity-file": "identityFile",
  "proxy-jump": "proxyJump",
  "ssh-config": "sshConfig",
  "strategy": "strategy",
  "remote-port": "remotePort",
  "local-port": "localPort",
  "version-range": "versionRange",
  "username": "username"
}

const unset = (profile: Profile, names: ReadonlyArray<(typeof unsettable)[number]>) => {
  const { port, ...bootstrap } = profile.bootstrap
  const fields: ReadonlyArray<string> = names.flatMap((name) => name === "bootstrap-port" ? [] : [fieldOf[name]])
  return Target.profileFrom({
    ...Object.fromEntries(Object.entries(encode(profile)).filter(([key]) => !fields.includes(key))) as Encoded,
    bootstrap: { ...bootstrap, ...(port === undefined || names.includes("bootstrap-port") ? undefined : { port }) }
  })
}

const edit = Command.make(
  "edit",
  {
    profile,
    name: name(Flag.String("name")).pipe(Flag.withDescription("Call it otherwise; its id stays"), Flag.optional),
    host: Flag.optional(host),
    ...ProfileFlags.target,
    ...ProfileFlags.server,
    unset: Flag.Literals("unset", unsettable).pipe(
      Flag.withMetavar("OPTION"),
      Flag.withDescription("Take this option's value away, so that ssh's config or the default decides; repeatable"),
      Flag.atLeast(0),
      Flag.withDefault([])
    ),
    json
  },
  Effect.fn("profiles edit")(
    function*(input) {
      const repo = yield* ProfileRepo
      const before = yield* Target.getProfile(input.profile)
      const contradiction = input.unset.find((option) =>
        option === "bootstrap-port" ? Option.isSome(input.bootstrapPort) : Option.isSome(
          Option.fromUndefinedOr(
            (input as unknown as Record<string, Option.Option<unknown> | undefined>)[fieldOf[option]]
          ).pipe(Option.flatten)
        )
      )
      if (contradiction !== undefined) {
        return yield* new UsageError({
          message: `--${contradiction} is both set and unset`,
          help: ["profiles", "edit"]
        })
      }
      if (Option.isSome(input.name)) yield* requireFreeName(input.name.value, before.id)
      const reduced = yield* unset(before, input.unset)
      const named = yield* Target.profileFrom({
        ...encode(reduced),
        ...Option.getOrUndefined(input.host),
        ...Option.match(input.name, { onNone: () => undefined, onSome: (name) => ({ name }) })
      })
      const profile = yield* Target.override(named, input)
      yield* repo.save(profile)
      yield* printProfile(profile, input.json)
    },
    withProfiles
  )
).pipe(
  Command.withDescription("Change values of a profile"),
  Command.withExamples([
    {
      command: "opencode-ssh profiles edit work --remote-port 4097 --unset proxy-jump",
      description: "Set one, unset one"
    }
  ])
)

const remove = Command.make(
  "remove",
  { profile, json },
  Effect.fn("profiles remove")(
    function*(input) {
      const output = yield* Output
      const repo = yield* ProfileRepo
      const profile = yield* Target.getProfile(input.profile)
      yield* repo.remove(profile.id)
      if (input.json) return yield* JsonLines.print({ type: "profile", profile })
      yield* output.note(`Removed ${Sanitize.line(profile.name)}.`)
    },
    withProfiles
  )
).pipe(Command.withAlias("rm"), Command.withDescription("Delete a profile"))

const importCommand = Command.make(
  "import",
  {
    hosts: Argument.String("host").pipe(
      Argument.withDescription("Host names of the ssh config; all of them when none is given"),
      Argument.variadic()
    ),
    sshConfig: ProfileFlags.target.sshConfig,
    file: Flag.String("file").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "Read the profiles from this file, which \"profiles export\" wrote, instead of the ssh config"
      ),
      Flag.optional
    ),
    json
  },
  Effect.fn("profiles import")(
    function*(input) {
      const output = yield* Output
      const repo = yield* ProfileRepo
      if (Option.isSome(input.file) && (input.hosts.length > 0 || Option.isSome(input.sshConfig))) {
        return yield* new UsageError({
          message: "--file stands alone: hosts and --ssh-config are for importing from an ssh config",
          help: ["profiles", "import"]
        })
      }
      const existing = yield* repo.list
      const found = Option.isSome(input.file)
        ? yield* fromFile(input.file.value, existing)
        : yield* fromSshConfig(input.hosts, input.sshConfig, existing)
      for (const profile of found.profiles) {
        yield* repo.save(profile)
        yield* input.json
          ? JsonLines.print({ type: "profile", profile })
          : output.result(Sanitize.line(profile.name))
      }
      for (const { detail, name } of found.skipped) yield* output.note(Sanitize.line(`${name} is left out: ${detail}`))
      if (!input.json) {
        const count = found.profiles.length
        yield* output.note(`Imported ${count} ${count === 1 ? "profile" : "profiles"}.`)
      }
    },
    withProfiles
  )
).pipe(
  Command.withDescription("Save a profile for each Host of your ssh config, or the profiles of an exported file"),
  Command.withExamples([
    { command: "opencode-ssh profiles import box bastion", description: "Two hosts of ~/.ssh/config" },
    { command: "opencode-ssh profiles import --file team.json", description: "What somebody exported" }
  ])
)

/** Profiles to save, and what is left out, with the reason. */
interface Found {
  readonly profiles: ReadonlyArray<Profile>
  readonly skipped: ReadonlyArray<{ readonly name: string; readonly detail: string }>
}

const fromSshConfig = Effect.fnUntraced(function*(
  wanted: ReadonlyArray<string>,
  sshConfig: Option.Option<string>,
  existing: ReadonlyArray<Profile>
) {
  const names = (yield* configuredHosts(sshConfig)).map(({ name }) => name)
  const missing = wanted.find((name) => !names.includes(name))
  if (missing !== undefined) {
    return yield* new UsageError({
      message: `the ssh config names no host ${JSON.stringify(missing)}`,
      help: ["hosts"]
    })
  }
  const chosen = wanted.length === 0 ? names : Arr.dedupe(wanted)
  const { drafts, skipped } = draftProfiles(chosen.map((name) => ({ name })), existing)
  const profiles = yield* Effect.forEach(
    drafts,
    (draft) =>
      Effect.map(
        freshId(draft.name),
        (id) => fromDraft(Option.isSome(sshConfig) ? { ...draft, sshConfig: sshConfig.value } : draft, id)
      )
  )
  return { profiles, skipped } satisfies Found
})

const fromFile = Effect.fnUntraced(function*(file: string, existing: ReadonlyArray<Profile>) {
  const fs = yield* FileSystem.FileSystem
  const problem = (message: string) => new UsageError({ message: `${file}: ${message}`, help: ["profiles", "import"] })
  const text = yield* Effect.mapError(fs.readFileString(file), (error) => problem(error.message))
  const document = yield* Effect.mapError(Effect.fromResult(parse(text)), (error) => problem(error.message))
  const { problems, profiles } = contents(document)
  const [kept, known] = Arr.partition(
    profiles,
    (profile) =>
      existing.some(({ id, name }) => id === profile.id || name === profile.name)
        ? Result.fail({ name: profile.name, detail: "there is a profile of this name or id already" })
        : Result.succeed(profile)
  )
  return {
    profiles: kept,
    skipped: [
      ...known,
      ...problems.map(({ id, index, name, reason }) => ({
        name: name ?? id ?? `entry ${index + 1}`,
        detail: reason.message
      }))
    ]
  } satisfies Found
})

const exportCommand = Command.make(
  "export",
  {
    profiles: Argument.String("profile").pipe(
      Argument.withDescription("Names or ids; all profiles when none is given"),
      Argument.variadic()
    ),
    json
  },
  Effect.fn("profiles export")(
    function*(input) {
      const output = yield* Output
      const repo = yield* ProfileRepo
      const profiles = input.profiles.length === 0
        ? yield* repo.list
        : yield* Effect.forEach(input.profiles, Target.getProfile)
      const text = exportProfiles(profiles)
      yield* output.result(input.json ? JSON.stringify(JSON.parse(text)) : text.trimEnd())
    },
    withProfiles
  )
).pipe(
  Command.withDescription("Print profiles as JSON, for \"profiles import --file\"; they hold no secrets"),
  Command.withExamples([
    { command: "opencode-ssh profiles export work > team.json", description: "Share a profile" }
  ])
)

export const profiles = Command.make("profiles").pipe(
  Command.withShortDescription("Manage saved profiles"),
  Command.withDescription("Save what belongs to a connection under a name, for this command line and the desktop app."),
  Command.withSubcommands([list, show, add, edit, remove, importCommand, exportCommand])
)
