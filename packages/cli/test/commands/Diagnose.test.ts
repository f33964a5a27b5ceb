import { assert, it } from "@effect/vitest"
import type { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { DiagnosticReport } from "@opencode-ai/ssh-tunnel/DiagnosticReport"
import { Diagnostics, type ReportOptions } from "@opencode-ai/ssh-tunnel/Diagnostics"
import type { Profile, ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import { HostKeyUnknown, TransportError } from "@opencode-ai/ssh-tunnel/TransportError"
import { Effect, Fiber, Redacted, Ref } from "effect"
import { connected, connecting, discovering, failed, jsonLines, makeWorld, profile, signals } from "../harness.ts"

const at = "2026-01-31T09:26:53.589Z"

const unknown = new TransportError({
  reason: new HostKeyUnknown({ target: { host: "box", options: [] }, rememberable: true })
})

const report = (state: ConnectionState) =>
  new DiagnosticReport({
    format: 1,
    at,
    pseudonyms: true,
    versions: { application: "opencode-ssh 0", runtime: "node 24", system: "linux", ssh: "OpenSSH_9.2p1" },
    profile: [{ name: "host", value: "host-1" }],
    strategy: { asked: "auto" },
    state: state._tag,
    errors: state._tag !== "Failed" ? [] : [{
      class: state.error._tag,
      reason: state.error.reason._tag,
      message: "The host key of host-1 is not known yet",
      retryable: false,
      remedy: { text: "Compare the fingerprint." },
      details: [],
      at,
      count: 1
    }],
    command: "ssh host-1",
    parameters: { values: [] },
    timeline: { omitted: 0, states: [{ at, state: state._tag, detail: "", lasted: 1 }] },
    probes: [],
    bootstrap: { enabled: false, candidates: [] },
    output: { ssh: [], remoteStdout: [], remoteStderr: [] }
  })

interface Asked {
  readonly which: ProfileId | Profile
  readonly options: ReportOptions | undefined
}

const diagnostics = (state: ConnectionState, asked: Ref.Ref<ReadonlyArray<Asked>>) =>
  Diagnostics.layerMock({
    report: (which, options) => Effect.as(Ref.update(asked, (all) => [...all, { which, options }]), report(state))
  })

const noOne = Ref.make<ReadonlyArray<Asked>>([])

it.effect("a report of a connection that was made, on stdout and alone there", () =>
  Effect.gen(function*() {
    const asked = yield* noOne
    const { asked: connections, cli } = yield* makeWorld({
      profiles: [profile({ name: "work", host: "far" })],
      env: { OPENCODE_SERVER_PASSWORD: "s3cret" },
      script: { states: [connecting("starting"), discovering, connected()] },
      diagnostics: diagnostics(connected(), asked)
    })
    const { code, stderr, stdout } = yield* cli("diagnose", "work", "--remote-port", "5000")
    assert.strictEqual(code, 0)
    assert.match(stdout[0] ?? "", /^# .*\n/)
    assert.include(stdout.join("\n"), "ssh host-1")
    assert.strictEqual(stdout.length, 1)
    assert.deepStrictEqual(stderr, [
      "Read the report before you send it: only secrets that can be recognised are hidden."
    ])
    const [first] = yield* Ref.get(asked)
    assert.deepStrictEqual(first?.options, { pseudonyms: true })
    assert.isTrue(typeof first?.which !== "string" && first?.which.remotePort === 5000 && first.which.host === "far")
    const [connection] = yield* connections
    assert.isTrue(
      connection?.credentials._tag === "Some" && Redacted.value(connection.credentials.value.password) === "s3cret"
    )
  }))

it.effect("a report of a connection that failed is a report", () =>
  Effect.gen(function*() {
    const { cli } = yield* makeWorld({
      script: { states: [connecting("starting"), failed(unknown)] },
      diagnostics: diagnostics(failed(unknown), yield* noOne)
    })
    const { code, stderr, stdout } = yield* cli("diagnose", "box")
    assert.strictEqual(code, 0)
    assert.include(stdout.join("\n"), "The host key of host-1 is not known yet")
    assert.strictEqual(stderr[0], "The connection failed: The host key of host-1 is not known yet")
  }))

it.effect("the same for a program, and with the people and places as they are", () =>
  Effect.gen(function*() {
    const asked = yield* noOne
    const { cli } = yield* makeWorld({
      script: { states: [failed(unknown)] },
      diagnostics: diagnostics(failed(unknown), asked)
    })
    const { code, stderr, stdout } = yield* cli("diagnose", "dev@box", "--json", "--no-pseudonyms")
    assert.deepStrictEqual([code, stderr], [0, []])
    const [line, ...others] = jsonLines(stdout)
    assert.deepStrictEqual(others, [])
    assert.isTrue(line?.type === "report")
    if (line?.type !== "report") return
    assert.deepInclude(line, { profile: "dev@box", at: "1970-01-01T00:00:00.000Z" })
    assert.deepInclude(line.report, { format: 1, at, state: "Failed", command: "ssh host-1" })
    const [first] = yield* Ref.get(asked)
    assert.deepStrictEqual(first?.options, { pseudonyms: false })
  }))

it.effect("a signal ends the attempt, and the report tells how far it came", () =>
  Effect.gen(function*() {
    const { layer, send } = yield* signals
    const { cli, stderrIs } = yield* makeWorld({
      signals: layer,
      script: { states: [connecting("authenticating")] },
      diagnostics: diagnostics(connecting("authenticating"), yield* noOne)
    })
    const running = yield* Effect.forkChild(cli("diagnose", "box"))
    yield* send("SIGINT")
    const { code, stdout } = yield* Fiber.join(running)
    assert.strictEqual(code, 130)
    assert.include(stdout.join("\n"), "Connecting")
    yield* stderrIs((lines) => lines.length === 1)
  }))

it.effect("wrong usage connects to nothing", () =>
  Effect.gen(function*() {
    const { asked, cli } = yield* makeWorld()
    assert.strictEqual((yield* cli("diagnose")).code, 2)
    assert.strictEqual((yield* cli("diagnose", "box", "--pseudonyms")).code, 2)
    assert.strictEqual((yield* cli("diagnose", "no such profile")).code, 10)
    assert.deepStrictEqual(yield* asked, [])
  }))
