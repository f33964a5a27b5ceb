/** Reports on connections, from what happened in this process and what ssh says now. */
import { Clock, Context, Effect, Layer, Option, Redacted, Result } from "effect"
import type { ConfigurationError } from "./ConfigurationError.ts"
import { CredentialStore } from "./CredentialStore.ts"
import type { DiagnosticReport } from "./DiagnosticReport.ts"
import { FlightRecorder } from "./FlightRecorder.ts"
import { assemble } from "./internal/report.ts"
import { LocalHost } from "./LocalHost.ts"
import { OpenSsh } from "./OpenSsh.ts"
import type { Profile, ProfileId } from "./Profile.ts"
import { ProfileRepo } from "./ProfileRepo.ts"
import { SshConfig } from "./SshConfig.ts"

/** The application that uses this library, with its version, for reports; e.g. `OpenCode Desktop 1.18.33`. */
export class Application extends Context.Reference<string>("@opencode-ai/ssh-tunnel/Application", {
  defaultValue: () => "unknown"
}) {}

/** Options of {@link Diagnostics}`.report`. */
export interface ReportOptions {
  /** `false` shows people and places as they are; secrets are hidden all the same. Default `true`. */
  readonly pseudonyms?: boolean
}

/** See the module. */
export class Diagnostics extends Context.Service<Diagnostics, {
  /**
   * Makes a report: of a live connection, after a failure, or of a profile that
   * never connected. Fails only when there is no such profile; whatever else
   * cannot be found out is said in the report.
   *
   * **Gotchas**
   *
   * Asks `ssh -V` and `ssh -G`, which runs the user's `Match exec` and may ask
   * DNS: only when a person wants a report. Connects to nothing.
   */
  readonly report: (
    profile: ProfileId | Profile,
    options?: ReportOptions
  ) => Effect.Effect<DiagnosticReport, ConfigurationError>
}>()("@opencode-ai/ssh-tunnel/Diagnostics") {
  static readonly layerMock = (service: Partial<Diagnostics["Service"]>): Layer.Layer<Diagnostics> =>
    Layer.mock(Diagnostics, service)

  /** Needs FlightRecorder (the one that Connections writes to), OpenSsh, SshConfig, ProfileRepo, CredentialStore and LocalHost. */
  static readonly layerNoDeps: Layer.Layer<
    Diagnostics,
    never,
    FlightRecorder | OpenSsh | SshConfig | ProfileRepo | CredentialStore | LocalHost
  > = Layer.effect(
    Diagnostics,
    Effect.gen(function*() {
      const recorder = yield* FlightRecorder
      const ssh = yield* OpenSsh
      const config = yield* SshConfig
      const profiles = yield* ProfileRepo
      const credentials = yield* CredentialStore
      const host = yield* LocalHost
      const application = yield* Application

      /** The credentials of every profile: what belongs to another one must not be shown either. */
      const stored = Effect.fnUntraced(function*(id: ProfileId) {
        const all = yield* Effect.orElseSucceed(profiles.list, (): ReadonlyArray<Profile> => [])
        const found = yield* Effect.forEach(new Set([id, ...all.map((profile) => profile.id)]), credentials.get)
        return found.flatMap(Option.toArray)
      })

      const report = Effect.fn("Diagnostics.report")(
        function*(which: ProfileId | Profile, { pseudonyms = true }: ReportOptions = {}) {
          const profile = typeof which === "string" ? yield* profiles.get(which) : which
          const [version, effective, history, known, secrets] = yield* Effect.all([
            Effect.result(ssh.version),
            Effect.result(config.effective(profile.destination)),
            recorder.history(profile.id),
            stored(profile.id),
            recorder.secrets
          ], { concurrency: "unbounded" })
          return assemble({
            at: yield* Clock.currentTimeMillis,
            application,
            runtime: host.runtime,
            system: host.system,
            ssh: Result.map(version, ({ text }) => text),
            profile,
            effective,
            history,
            secrets: [
              ...secrets,
              ...known.flatMap(({ authorization, password }) => [
                password,
                Redacted.make(Redacted.value(authorization).replace(/^Basic /, ""))
              ])
            ],
            home: host.home,
            username: host.username,
            environment: host.environment,
            usernames: known.map(({ username }) => username),
            pseudonyms
          })
        }
      )

      return Diagnostics.of({ report })
    })
  )
}
