import { assert, it } from "@effect/vitest"
import { Arbitrary, Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { ConfigurationError, SshConfigInvalid, SshNotFound } from "../src/ConfigurationError.ts"
import { Connections } from "../src/Connections.ts"
import { Credentials } from "../src/Credentials.ts"
import { CredentialStore } from "../src/CredentialStore.ts"
import { toJson, toMarkdown } from "../src/DiagnosticReport.ts"
import { Application, Diagnostics } from "../src/Diagnostics.ts"
import { FlightRecorder } from "../src/FlightRecorder.ts"
import { LocalHost } from "../src/LocalHost.ts"
import { OpenSsh } from "../src/OpenSsh.ts"
import { ProfileId } from "../src/Profile.ts"
import { ProfileRepo } from "../src/ProfileRepo.ts"
import { SshConfig } from "../src/SshConfig.ts"
import { effective, profile, readMarkdown } from "./DiagnosticsFixtures.ts"
import { assertAbsent, encodings, index, Password } from "./RedactionFixtures.ts"

const one = profile()
const other = profile({ id: ProfileId.make("other"), name: "Other" })
const credentials = (password: string) => new Credentials({ username: "dora", password: Redacted.make(password) })
const stored = credentials("stored-with-the-other")

const ssh = Layer.mock(OpenSsh, { version: Effect.succeed({ text: "OpenSSH_9.2p1", major: 9, minor: 2 }) })

/** Everything around Diagnostics, without ssh and files; `recorder` is where the history is. */
const world = (
  sshLayer: Layer.Layer<OpenSsh> = ssh,
  config = SshConfig.layerMock({ effective: () => Effect.succeed(effective) })
) =>
  Diagnostics.layerNoDeps.pipe(
    Layer.provide([
      sshLayer,
      config,
      ProfileRepo.layerMemory([one, other]),
      CredentialStore.layerMemory([[other.id, stored]]),
      LocalHost.layerMock({ home: "/home/alice", username: "alice" })
    ]),
    Layer.provideMerge(FlightRecorder.layer)
  )

it.effect("reports a saved profile, one that is not saved, and fails for one that is not there", () =>
  Effect.gen(function*() {
    const diagnostics = yield* Diagnostics
    const saved = yield* diagnostics.report(one.id)
    assert.strictEqual(saved.versions.application, "OpenCode Desktop 2")
    assert.strictEqual(saved.versions.ssh, "OpenSSH_9.2p1")
    assert.strictEqual(saved.versions.runtime, "node 24.0.0")
    assert.strictEqual(saved.state, "Disconnected")
    assert.include(saved.command, "-l user-1")
    const shown = yield* diagnostics.report(profile({ id: ProfileId.make("new") }), { pseudonyms: false })
    assert.include(shown.command, "-l alice")
    assert.isFalse(shown.pseudonyms)
    const error = yield* Effect.flip(diagnostics.report(ProfileId.make("gone")))
    assert.strictEqual(error.reason._tag, "ProfileNotFound")
  }).pipe(Effect.provide(world()), Effect.provideService(Application, "OpenCode Desktop 2")))

it.effect("says why ssh gave no answers", () =>
  Effect.gen(function*() {
    const { parameters, versions } = yield* Effect.flatMap(Diagnostics, ({ report }) => report(one.id))
    assert.include(versions.ssh, "no such program")
    assert.include(parameters.problem ?? "", "~/.ssh/config (line 3): Bad configuration option")
  }).pipe(Effect.provide(world(
    Layer.mock(OpenSsh, {
      version: Effect.fail(
        new ConfigurationError({ reason: new SshNotFound({ binary: "ssh", detail: "there is no such program" }) })
      )
    }),
    SshConfig.layerMock({
      effective: () =>
        Effect.fail(
          new ConfigurationError({
            reason: new SshConfigInvalid({
              file: "/home/alice/.ssh/config",
              configLine: 3,
              detail: "Bad configuration option: x"
            })
          })
        )
    })
  ))))

const forms = Object.values(encodings)

it.effect.prop(
  "hides what any connection knows, however the output was cut into chunks",
  {
    secret: Password,
    form: index(forms.length),
    whose: index(3),
    cuts: Arbitrary.array(index(80), { minLength: 0, maxLength: 6 })
  },
  ({ cuts, form, secret, whose }) =>
    Effect.gen(function*() {
      const { recorder } = yield* FlightRecorder
      const diagnostics = yield* Diagnostics
      const known = ["stored-with-the-other", secret, "of-another-profile"][whose] ?? ""
      yield* recorder(one.id).secret(Redacted.make(secret))
      yield* recorder(other.id).secret(Redacted.make("of-another-profile"))
      const encoded = forms[form]?.(known) ?? ""
      const text = `before ${encoded} behind\n${Redacted.value(credentials(known).authorization)}\n`
      const edges = [...new Set([0, ...cuts.filter((cut) => cut < text.length), text.length])].sort((a, b) => a - b)
      const append = yield* recorder(one.id).output("remote stdout")
      yield* Effect.forEach(edges.slice(1), (end, number) => append(text.slice(edges[number], end)))
      const report = yield* diagnostics.report(one.id)
      for (const output of [toMarkdown(report), toJson(report)]) {
        for (const leak of [known, encoded, Buffer.from(known).toString("base64")]) assertAbsent(output, leak)
      }
      assert.include(report.output.remoteStdout[0]?.text, "before ")
    }).pipe(Effect.provide(world())),
  { arbitrary: { runs: 300 }, timeout: 60_000 }
)

it.effect("tells the story of a connection", () =>
  Effect.gen(function*() {
    const connections = yield* Connections
    const diagnostics = yield* Diagnostics
    yield* connections.connect(one.id)
    yield* connections.settled(one.id)
    yield* TestClock.adjust("90 seconds")
    const report = yield* diagnostics.report(one.id)
    assert.strictEqual(report.state, "Connected")
    assert.deepStrictEqual(report.timeline.states.map(({ state }) => state), ["Connecting", "Discovering", "Connected"])
    assert.strictEqual(report.timeline.states.at(-1)?.lasted, 90_000)
    assert.deepStrictEqual(report.strategy, { asked: "auto", used: "master" })
    assert.include(readMarkdown(toMarkdown(report))["Timeline"]?.[0], "1 min 30 s  Connected: http://127.0.0.1:50123")
    yield* connections.disconnect(one.id)
    assert.strictEqual((yield* diagnostics.report(one.id)).state, "Disconnected")
  }).pipe(
    Effect.provide(
      Layer.mergeAll(Connections.layerMemory({ profiles: [one], localPort: 50123 }), world())
    )
  ))
