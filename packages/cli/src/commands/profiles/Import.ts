/** `opencode-ssh profiles import`: of ssh config hosts, or of what `profiles export` printed. */
import type { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { draftProfiles, fromDraft } from "@opencode-ai/ssh-tunnel/ProfileDraft"
import { contents, parse } from "@opencode-ai/ssh-tunnel/ProfileFile"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { Array as Arr, Effect, FileSystem, Option, Result } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { UsageError } from "../../CliFailure.ts"
import * as JsonLines from "../../JsonLines.ts"
import { Output } from "../../Output.ts"
import * as ProfileFlags from "../../ProfileFlags.ts"
import * as Sanitize from "../../Sanitize.ts"
import { configuredHosts, json } from "../shared.ts"
import { freshId, withProfiles } from "./common.ts"

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

export const importCommand = Command.make(
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
