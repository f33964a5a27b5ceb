import { assert, it } from "@effect/vitest"
import { BootstrapError, OpencodeNotFound, OpencodeUnusable } from "@opencode-ai/ssh-tunnel/BootstrapError"
import { CompatibilityError, UnsupportedVersion } from "@opencode-ai/ssh-tunnel/CompatibilityError"
import { ConfigurationError, SshConfigInvalid } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import type { ConnectionError } from "@opencode-ai/ssh-tunnel/ConnectionError"
import type { Credentials } from "@opencode-ai/ssh-tunnel/Credentials"
import { DiscoveryError, NothingListening } from "@opencode-ai/ssh-tunnel/DiscoveryError"
import { Doctor } from "@opencode-ai/ssh-tunnel/Doctor"
import { DoctorStep, StepId, type StepStatus, titles } from "@opencode-ai/ssh-tunnel/DoctorStep"
import type { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { HostKeyUnknown, TransportError } from "@opencode-ai/ssh-tunnel/TransportError"
import { Deferred, Effect, Fiber, Redacted, Ref, Stream } from "effect"
import { jsonLines, makeWorld, profile, signals } from "../harness.ts"

const target = { host: "box", options: ["-p", "2222"] }
const unknown = new TransportError({
  reason: new HostKeyUnknown({ target, keyType: "ED25519", fingerprint: "SHA256:abc", rememberable: true })
})

const step = (id: StepId, status: StepStatus, fields: Partial<DoctorStep> = {}) =>
  new DoctorStep({ id, title: titles[id], status, detail: "", durationMs: status === "skipped" ? 0 : 12, ...fields })

/** All steps: fine up to `failed`, and skipped behind it. */
const stepsUntil = (failed: StepId, error: ConnectionError): ReadonlyArray<DoctorStep> => {
  const at = StepId.literals.indexOf(failed)
  return StepId.literals.map((id, index) =>
    index < at ? step(id, "ok") : index > at ? step(id, "skipped") : step(id, "failed", { error })
  )
}

const doctor = (steps: ReadonlyArray<DoctorStep>) => Doctor.layerMock({ examine: () => Stream.fromIterable(steps) })

it.effect("each step with its sign and time, and what to do about the first that failed", () =>
  Effect.gen(function*() {
    const steps = stepsUntil("host-key", unknown).map((each) =>
      each.id === "parameters"
        ? step("parameters", "warning", { durationMs: 1_234, detail: "me at box\nthrough bas\u001b[2Jtion" })
        : each
    )
    const { cli } = yield* makeWorld({ doctor: doctor(steps) })
    const { code, stderr, stdout } = yield* cli("doctor", "box")
    assert.strictEqual(code, 11)
    assert.deepStrictEqual(stderr, [])
    assert.deepStrictEqual(stdout, [
      "✔ ssh is installed            12 ms",
      "✔ The ssh config is valid     12 ms",
      "! Effective parameters        1.2 s  me at box",
      "                                     through bas\\x1b[2Jtion",
      "✔ The host name resolves      12 ms",
      "✔ The ssh port answers        12 ms",
      "✘ The host key is known       12 ms  The host key of box is not known yet: ED25519 SHA256:abc",
      "– The login works",
      "– Forwarding is allowed",
      "– Shell and HOME are usable",
      "– OpenCode is installed",
      "– The server answers",
      "– The version is supported",
      "– The server is secured",
      "",
      "error: The host key of box is not known yet: ED25519 SHA256:abc",
      "Compare the fingerprint with the one that the machine's owner gives, then accept it once in a terminal:",
      "",
      "  ssh -S none -o StrictHostKeyChecking=ask -p 2222 box true"
    ])
  }))

it.effect("the same for a program", () =>
  Effect.gen(function*() {
    const { cli } = yield* makeWorld({
      profiles: [profile({ name: "work" })],
      doctor: doctor(stepsUntil("host-key", unknown))
    })
    const { code, stderr, stdout } = yield* cli("doctor", "work", "--json")
    assert.deepStrictEqual([code, stderr], [11, []])
    const lines = jsonLines(stdout)
    assert.deepStrictEqual(
      lines.map((line) => line.type === "step" ? line.step.id : line.type),
      [...StepId.literals, "examination"]
    )
    const [first] = lines
    assert.deepStrictEqual(first, {
      type: "step",
      at: "1970-01-01T00:00:00.000Z",
      profile: "work",
      step: { id: "ssh", title: "ssh is installed", status: "ok", detail: "", durationMs: 12 }
    })
    const last = lines.at(-1)
    assert.isTrue(last?.type === "examination")
    if (last?.type !== "examination") return
    assert.deepInclude(last, { profile: "work", status: "failed", failed: "host-key", warnings: 0, durationMs: 72 })
    assert.strictEqual(last.error?.reason._tag, "HostKeyUnknown")
    assert.match(last.error?.remedy.command ?? "", /StrictHostKeyChecking=ask/)
    const failed = lines.find((line) => line.type === "step" && line.step.status === "failed")
    assert.isTrue(failed?.type === "step" && failed.step.error?._tag === "TransportError")
  }))

it.effect("warnings do not fail", () =>
  Effect.gen(function*() {
    const error = new BootstrapError({ reason: new OpencodeNotFound({ searched: [] }) })
    const steps = StepId.literals.map((id) =>
      id === "opencode" ? step(id, "warning", { error }) : step(id, id === "server" ? "skipped" : "ok")
    )
    const { cli } = yield* makeWorld({ doctor: doctor(steps) })
    const plain = yield* cli("doctor", "box")
    assert.strictEqual(plain.code, 0)
    assert.strictEqual(plain.stdout.at(-1), "box: it works; one warning")
    assert.include(plain.stdout.join("\n"), "! OpenCode is installed       12 ms  OpenCode is not installed")
    const last = jsonLines((yield* cli("doctor", "box", "--json")).stdout).at(-1)
    assert.isTrue(last?.type === "examination" && last.status === "ok" && last.failed === null && last.warnings === 1)
  }))

it.effect("nothing is wrong", () =>
  Effect.gen(function*() {
    const { cli } = yield* makeWorld({ doctor: doctor(StepId.literals.map((id) => step(id, "ok"))) })
    const { code, stdout } = yield* cli("doctor", "box")
    assert.deepStrictEqual([code, stdout.at(-1)], [0, "box: nothing is wrong"])
  }))

it.effect.each<{ readonly id: StepId; readonly error: ConnectionError; readonly code: number }>([
  {
    id: "config",
    error: new ConfigurationError({ reason: new SshConfigInvalid({ file: "f", detail: "d" }) }),
    code: 10
  },
  { id: "host-key", error: unknown, code: 11 },
  { id: "server", error: new DiscoveryError({ reason: new NothingListening({ remotePort: 4096 }) }), code: 12 },
  {
    id: "opencode",
    error: new BootstrapError({
      reason: new OpencodeUnusable({ path: "/o", problem: "crash", detail: "its own\u001b[31m last words" })
    }),
    code: 13
  },
  {
    id: "version",
    error: new CompatibilityError({ reason: new UnsupportedVersion({ found: "9.0.0", supported: "1" }) }),
    code: 14
  }
])("the exit code is the class of what fails first: $code", ({ code, error, id }) =>
  Effect.gen(function*() {
    const { cli } = yield* makeWorld({ doctor: doctor(stepsUntil(id, error)) })
    const outcome = yield* cli("doctor", "box")
    assert.strictEqual(outcome.code, code)
    if (code === 13) assert.include(outcome.stdout, "  | its own\\x1b[31m last words")
    assert.strictEqual((yield* cli("doctor", "box", "--json")).code, code)
  }))

it.effect("it is asked about the profile with the options over it, and with the password of the environment", () =>
  Effect.gen(function*() {
    const asked = yield* Ref.make<ReadonlyArray<readonly [Profile, Credentials | undefined]>>([])
    const { cli } = yield* makeWorld({
      profiles: [profile({ name: "work", host: "far" })],
      env: { OPENCODE_SERVER_PASSWORD: "s3cret" },
      doctor: Doctor.layerMock({
        examine: (profile, credentials) =>
          Stream.unwrap(Effect.as(
            Ref.update(asked, (all) => [...all, [profile, credentials] as const]),
            Stream.fromIterable(StepId.literals.map((id) => step(id, "ok")))
          ))
      })
    })
    const { code } = yield* cli("doctor", "work", "--user", "dev", "--remote-port", "5000", "--bootstrap")
    assert.strictEqual(code, 0)
    const [[given, credentials] = []] = yield* Ref.get(asked)
    assert.deepStrictEqual(
      [given?.host, given?.user, given?.remotePort, given?.bootstrap.enabled],
      ["far", "dev", 5000, true]
    )
    assert.strictEqual(credentials && Redacted.value(credentials.password), "s3cret")
    assert.strictEqual((yield* cli("doctor")).code, 2)
    assert.strictEqual((yield* cli("doctor", "no such profile")).code, 10)
  }))

it.effect("on a terminal it shows what it looks at, with colours", () =>
  Effect.gen(function*() {
    const { cli, rawStderr } = yield* makeWorld({
      terminal: true,
      doctor: doctor(stepsUntil("host-key", unknown))
    })
    const { stdout } = yield* cli("doctor", "box")
    assert.strictEqual(stdout[0], "\u001b[32m✔\u001b[0m ssh is installed            12 ms")
    assert.include(stdout.join("\n"), "\u001b[31m✘\u001b[0m The host key is known")
    assert.include(yield* rawStderr, "⠋ ssh is installed?  0.0 s")
  }))

it.effect("a signal ends it", () =>
  Effect.gen(function*() {
    const { layer, send } = yield* signals
    const begun = yield* Deferred.make<void>()
    const { cli } = yield* makeWorld({
      signals: layer,
      doctor: Doctor.layerMock({
        examine: () => Stream.unwrap(Effect.as(Deferred.succeed(begun, undefined), Stream.never))
      })
    })
    const running = yield* Effect.forkChild(cli("doctor", "box"))
    yield* Deferred.await(begun)
    yield* send("SIGINT")
    assert.strictEqual((yield* Fiber.join(running)).code, 130)
  }))
