import { assert, describe, it } from "@effect/vitest"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Context, Effect, Option, Redacted } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Connections } from "../../src/Connections.ts"
import { Credentials } from "../../src/Credentials.ts"
import { CredentialStore } from "../../src/CredentialStore.ts"
import { toJson, toMarkdown } from "../../src/DiagnosticReport.ts"
import { Diagnostics, type ReportOptions } from "../../src/Diagnostics.ts"
import { type Profile, ProfileId } from "../../src/Profile.ts"
import { profile, readMarkdown } from "../DiagnosticsFixtures.ts"
import * as Workstation from "./support/Workstation.ts"

const alias = "prod-db.corp.internal"

/** A remote machine whose start-up files talk, known to the ssh config by a telling name. */
const machine = Effect.fnUntraced(function*(options: Sshd.Options = {}, host: Partial<SshClient.Host> = {}) {
  const sshd = yield* Sshd.make(options)
  const client = yield* SshClient.make({ hosts: { [alias]: { sshd, ...host } } })
  const workstation = yield* Workstation.make({ environment: { ACME_API_KEY: "local-secret-0815" } })
  const connection = (fields: Partial<Workstation.Fields> = {}) =>
    workstation.profile({
      id: ProfileId.make("farm"),
      name: "Carols farm",
      host: alias,
      sshConfig: client.configFile,
      ...fields
    })
  // The live layers have it; the workstation's type does not say so.
  const diagnostics = Context.get(workstation.services as unknown as Context.Context<Diagnostics>, Diagnostics)
  const report = Effect.fnUntraced(function*(which: ProfileId | Profile, options?: ReportOptions) {
    const made = yield* diagnostics.report(which, options)
    const markdown = toMarkdown(made)
    return { report: made, markdown, json: toJson(made), sections: readMarkdown(markdown) }
  })
  return { sshd, client, workstation, connection, report }
})

const missing = (texts: ReadonlyArray<string>, secrets: ReadonlyArray<string>) => {
  for (const text of texts) {
    for (const secret of secrets) assert.notInclude(text, secret)
  }
}

const people = [
  alias,
  "Carols farm",
  Os.homedir(),
  ...(Os.userInfo().username === "root" ? [] : [Os.userInfo().username])
]

describe.skipIf(!Sshd.available || !Opencode.available)("a report, with real ssh and a real server", () => {
  it.live("of a connection that bootstrap made, live and after it was ended", () =>
    Effect.gen(function*() {
      const { connection, report, sshd, workstation } = yield* machine()
      yield* Opencode.install(sshd.home)
      Fs.writeFileSync(
        Path.join(sshd.home, ".profile"),
        "echo 'PROVIDER_API_KEY=rc-secret-4711 of carol@laptop.corp.internal'; echo \"\\033[31mlocal-secret-0815\\033[0m\" >&2\n"
      )
      Fs.writeFileSync(Path.join(sshd.home, ".bashrc"), "echo 'token: rc-secret-4711'\n")
      const box = yield* connection({
        remotePort: yield* Port.free,
        bootstrap: { enabled: true, lifetime: "session" }
      })
      const connected = yield* box.connected
      const connections = Context.get(workstation.services, Connections)
      const endpoint = Option.getOrThrow(yield* connections.endpoint(box.id))
      const credentials = Option.getOrThrow(endpoint.credentials)
      const password = Redacted.value(credentials.password)
      const secrets = [
        password,
        Buffer.from(password).toString("base64").slice(0, -4),
        Redacted.value(credentials.authorization).slice(-20),
        "rc-secret-4711",
        "local-secret-0815",
        ...people,
        sshd.home
      ]

      const live = yield* report(box.id)
      missing([live.markdown, live.json], secrets)
      assert.strictEqual(live.report.state, "Connected")
      assert.deepStrictEqual(live.report.strategy, { asked: "auto", used: "master" })
      assert.deepStrictEqual(live.report.errors, [])
      assert.match(live.report.versions.ssh, /^OpenSSH_/)
      assert.match(live.report.versions.runtime, /^(?:node|bun) \d/)
      assert.match(
        live.report.command,
        new RegExp(`^ssh -N -L 127.0.0.1:${connected.localPort}:127.0.0.1:${connected.remotePort} -F \\S+ -- host-1$`)
      )
      const keywords = live.report.parameters.values.map(({ keyword, value }) => `${keyword} ${value}`)
      assert.include(keywords, "host host-1")
      assert.include(keywords, `port ${sshd.port}`)
      assert.include(keywords, "batchmode yes")
      const states = live.report.timeline.states.map(({ state }) => state)
      assert.deepStrictEqual([...new Set(states)], ["Connecting", "Discovering", "Bootstrapping", "Connected"])
      assert.isTrue(live.report.timeline.states.every(({ lasted }) => lasted >= 0 && lasted < 60_000))
      assert.deepStrictEqual(
        live.report.bootstrap.candidates.map(({ path, version }) => `${path} ${version}`),
        ["~/.opencode/bin/opencode 1.18.33"]
      )
      assert.include(
        live.report.probes.map(({ answer, path }) => `${path} ${answer}`),
        "/global/health OpenCode 1.18.33 (v1)"
      )
      const [ssh] = live.sections["Output of ssh"] ?? []
      assert.match(ssh ?? "", /^debug1: Connecting to 127\.0\.0\.1 /m)
      assert.match(ssh ?? "", /^Authenticated to 127\.0\.0\.1 /m)
      assert.match(live.sections["Remote stdout"]?.join("\n") ?? "", /"password":"<redacted>"/)

      const shown = yield* report(box.id, { pseudonyms: false })
      missing([shown.markdown, shown.json], secrets.slice(0, 5))
      assert.include(shown.report.command, alias)
      assert.include(shown.markdown, "Carols farm")

      yield* box.disconnect
      const ended = yield* report(box.id)
      missing([ended.markdown, ended.json], secrets)
      assert.strictEqual(ended.report.state, "Disconnected")
      assert.strictEqual(ended.report.timeline.states.at(-1)?.state, "Disconnected")
    }))

  it.live("of a connection with a known password that was refused", () =>
    Effect.gen(function*() {
      const secret = "wrong horse \"battery\" stäple"
      const server = yield* Opencode.serve({ port: yield* Port.free, password: "the right one" })
      const { connection, report, workstation } = yield* machine()
      const box = yield* connection({ remotePort: server.port })
      yield* Context.get(workstation.services, CredentialStore).set(
        box.id,
        new Credentials({ username: "opencode", password: Redacted.make(secret) })
      )
      yield* Effect.flip(box.connected)
      const failed = yield* report(box.id)
      missing([failed.markdown, failed.json], [secret, "battery", ...people])
      const [error] = failed.report.errors
      assert.strictEqual(`${error?.class}/${error?.reason}`, "DiscoveryError/Unauthorized")
      assert.include(error?.remedy.text ?? "", "OPENCODE_SERVER_PASSWORD")
      assert.include(failed.report.probes.map(({ answer }) => answer), "401: it asks for a password")
    }))

  it.live("of a login that failed: which key, what ssh said, and what to do", () =>
    Effect.gen(function*() {
      const { connection, report } = yield* machine({}, { known: false })
      const box = yield* connection({ user: "carol.danvers" })
      yield* Effect.flip(box.connected)
      const failed = yield* report(box.id)
      missing([failed.markdown, failed.json], [...people, "danvers"])
      assert.strictEqual(failed.report.state, "Failed")
      const [error] = failed.report.errors
      assert.strictEqual(error?.reason, "HostKeyUnknown")
      assert.match(error?.message ?? "", /^The host key of host-1 is not known yet: \S+ SHA256:/)
      assert.match(
        error?.remedy.command ?? "",
        /^ssh -S none -o StrictHostKeyChecking=ask -F \S+ -l user-1 host-1 true$/
      )
      assert.match(failed.sections["Output of ssh"]?.[0] ?? "", /Host key verification failed/)
      assert.strictEqual(failed.report.timeline.states.at(-1)?.detail, "TransportError/HostKeyUnknown")
    }))

  it.live("of a profile that never connected, also when ssh cannot read its config", () =>
    Effect.gen(function*() {
      const { client, connection, report } = yield* machine()
      const box = yield* connection()
      const fresh = yield* report(box.id)
      assert.strictEqual(fresh.report.state, "Disconnected")
      assert.deepStrictEqual(fresh.report.timeline.states, [])
      assert.isUndefined(fresh.report.parameters.problem)
      missing([fresh.markdown], people)

      const broken = yield* report(profile({ sshConfig: Path.join(client.directory, "missing") }))
      assert.include(broken.report.parameters.problem ?? "", "No such file")
      missing([broken.markdown], ["alice", "corp.internal", "jumper"])

      const unknown = yield* Effect.flip(report(ProfileId.make("nobody-there")))
      assert.strictEqual(unknown.reason._tag, "ProfileNotFound")
    }))
})
