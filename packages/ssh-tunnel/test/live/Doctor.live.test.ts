import { assert, describe, it } from "@effect/vitest"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Context, Effect, Layer, Option, Redacted, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Bootstrap } from "../../src/Bootstrap.ts"
import { Credentials } from "../../src/Credentials.ts"
import { Doctor } from "../../src/Doctor.ts"
import { type DoctorStep, StepId } from "../../src/DoctorStep.ts"
import { layerDoctor } from "../../src/node/index.ts"
import { defaultVersionRange, noBootstrap, Profile, ProfileId } from "../../src/Profile.ts"
import { Tunnel } from "../../src/Tunnel.ts"
import * as Workstation from "./support/Workstation.ts"

const signs = { ok: "+", failed: "x", warning: "!", skipped: "-" } as const

/** One character for each step. */
const picture = (steps: ReadonlyArray<DoctorStep>): string => steps.map(({ status }) => signs[status]).join("")

const step = (steps: ReadonlyArray<DoctorStep>, id: StepId): DoctorStep => {
  const found = steps.find((step) => step.id === id)
  return found ?? assert.fail(`there is no step ${id}`)
}

/**
 * Every file and directory, and of the files what would show that somebody wrote them: but not of OpenCode's own, which
 * a server that is asked for its health may write.
 */
const tree = (directory: string): ReadonlyArray<string> =>
  Fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).sort().map((name) => {
    const stat = Fs.lstatSync(Path.join(directory, name))
    return stat.isDirectory() || name.startsWith(".local/share/opencode/")
      ? name
      : `${name} ${stat.size} ${stat.mtimeMs}`
  })

/** A remote machine, a workstation that knows it as `box`, and the doctor there. */
const makeWorld = Effect.fnUntraced(function*(options: {
  readonly sshd?: Sshd.Options
  readonly host?: (sshd: Sshd.Sshd) => Partial<SshClient.Host>
  readonly opencode?: boolean
  readonly hosts?: (sshd: Sshd.Sshd) => Readonly<Record<string, SshClient.Host | Sshd.Sshd>>
} = {}) {
  const sshd = yield* Sshd.make(options.sshd)
  if (options.opencode === true) yield* Opencode.install(sshd.home)
  const client = yield* SshClient.make({
    hosts: { box: { sshd, ...options.host?.(sshd) }, ...options.hosts?.(sshd) }
  })
  const workstation = yield* Workstation.make()
  const doctor = Context.get(yield* Layer.build(layerDoctor), Doctor)
  const profile = (fields: Partial<Profile> = {}) =>
    new Profile({
      id: ProfileId.make("box"),
      name: "Box",
      host: "box",
      sshConfig: client.configFile,
      bootstrap: noBootstrap,
      ...fields
    })
  /** Examines, and sees to it that nothing has changed: over there, here, and in the ssh files (SshClient does). */
  const examine = Effect.fnUntraced(function*(fields: Partial<Profile>, credentials?: Credentials) {
    const logins = yield* sshd.authentications
    const before = tree(sshd.home)
    const steps = yield* Stream.runCollect(doctor.examine(profile(fields), credentials))
    assert.deepStrictEqual(steps.map(({ id }) => id), [...StepId.literals])
    assert.deepStrictEqual(tree(sshd.home), before)
    assert.deepStrictEqual(yield* workstation.sshProcesses, [])
    assert.isFalse(Fs.existsSync(Path.join(workstation.dataDirectory, "ssh-state.json")))
    return { steps, logins: (yield* sshd.authentications) - logins }
  })
  return { sshd, client, workstation, profile, examine }
})

describe.skipIf(!Sshd.available || !Opencode.available)("a good host", () => {
  it.live("with a server that has no password", () =>
    Effect.gen(function*() {
      const { examine, sshd } = yield* makeWorld({ opencode: true })
      const server = yield* Opencode.serve({ port: yield* Port.free })
      const { logins, steps } = yield* examine({ remotePort: server.port })
      assert.strictEqual(picture(steps), "++++++++++++!", JSON.stringify(steps))
      assert.strictEqual(logins, 1)
      assert.strictEqual(
        step(steps, "opencode").detail,
        `1.18.33 at ${sshd.home}/.opencode/bin/opencode`
      )
      assert.strictEqual(step(steps, "server").detail, `OpenCode 1.18.33 on port ${server.port}`)
      assert.match(step(steps, "host-key").detail, /^ssh-ed25519 SHA256:\S{43}$/)
      assert.include(step(steps, "authentication").detail, sshd.key.file)
    }), 90_000)

  it.live("with a server that has a password", () =>
    Effect.gen(function*() {
      const { examine } = yield* makeWorld()
      const password = "s3cret"
      const server = yield* Opencode.serve({ port: yield* Port.free, password })
      const none = yield* examine({ remotePort: server.port })
      assert.strictEqual(picture(none.steps), "+++++++++!x-+")
      assert.strictEqual(step(none.steps, "server").error?.reason._tag, "Unauthorized")
      assert.strictEqual(step(none.steps, "opencode").error?.reason._tag, "OpencodeNotFound")
      const given = new Credentials({ username: "opencode", password: Redacted.make(password) })
      const { logins, steps } = yield* examine({ remotePort: server.port }, given)
      assert.strictEqual(picture(steps), "+++++++++!+++")
      assert.strictEqual(logins, 1)
      assert.notInclude(JSON.stringify(steps), password)
    }), 90_000)

  it.live("without a server: one would be started, and is found once it was", () =>
    Effect.gen(function*() {
      const { examine, profile, workstation } = yield* makeWorld({ opencode: true })
      const remotePort = yield* Port.free
      const fields = { remotePort, bootstrap: { enabled: true, lifetime: "persistent" } } as const
      const before = yield* examine(fields)
      assert.strictEqual(picture(before.steps), "++++++++++-+-", JSON.stringify(before.steps))
      assert.match(step(before.steps, "server").detail, /^none runs; connecting starts 1\.18\.33 \(/)
      assert.isFalse(yield* Port.isListening(remotePort))

      const bootstrap = Context.get(workstation.services, Bootstrap)
      const tunnels = Context.get(workstation.services, Tunnel)
      const port = yield* Port.free
      const started = yield* Effect.scoped(Effect.flatMap(
        tunnels.open(profile().destination),
        (tunnel) =>
          bootstrap.ensure(tunnel, { mode: "ensure", port, lifetime: "persistent", range: defaultVersionRange })
      ))
      const { logins, steps } = yield* examine(fields)
      assert.strictEqual(picture(steps), "+++++++++++++", JSON.stringify(steps))
      assert.include(step(steps, "server").detail, `OpenCode 1.18.33 on port ${port}, started by bootstrap at `)
      assert.strictEqual(logins, 1)
      const password = Redacted.value(Option.getOrThrow(started).credentials?.password ?? Redacted.make(""))
      assert.isNotEmpty(password)
      assert.notInclude(JSON.stringify(steps), password)
    }), 120_000)
})

describe.skipIf(!Sshd.available)("a host with a fault", () => {
  it.live("an unknown host key", () =>
    Effect.gen(function*() {
      const { examine } = yield* makeWorld({ host: () => ({ known: false }) })
      const { logins, steps } = yield* examine({})
      assert.strictEqual(picture(steps), "+++++x-------")
      const { error } = step(steps, "host-key")
      assert.strictEqual(error?.reason._tag, "HostKeyUnknown")
      assert.match(error?.remedy.command ?? "", /^ssh -S none -o StrictHostKeyChecking=ask .* box true$/)
      assert.strictEqual(logins, 0)
    }))

  it.live("a key that is not accepted", () =>
    Effect.gen(function*() {
      // A key that sshd does not know: its own.
      const { examine } = yield* makeWorld({ host: ({ hostKeys }) => ({ identityFile: hostKeys[0]?.file ?? false }) })
      const { logins, steps } = yield* examine({})
      assert.strictEqual(picture(steps), "++++++x------")
      assert.strictEqual(step(steps, "authentication").error?.reason._tag, "AuthenticationFailed")
      assert.strictEqual(logins, 0)
    }))

  it.live("forwarding that is forbidden: the account is looked at all the same", () =>
    Effect.gen(function*() {
      const { examine, sshd } = yield* makeWorld({ sshd: { config: ["AllowTcpForwarding no"] } })
      const { logins, steps } = yield* examine({ remotePort: yield* Port.free })
      assert.strictEqual(picture(steps), "+++++++x+!---")
      assert.strictEqual(step(steps, "forwarding").error?.reason._tag, "ForwardingDenied")
      assert.include(step(steps, "shell").detail, `HOME ${sshd.home}`)
      assert.strictEqual(logins, 1)
    }))

  it.live("no opencode, where one is needed", () =>
    Effect.gen(function*() {
      const { examine } = yield* makeWorld()
      const bootstrap = { enabled: true, lifetime: "persistent" } as const
      const { logins, steps } = yield* examine({ remotePort: yield* Port.free, bootstrap })
      assert.strictEqual(picture(steps), "+++++++++x---")
      const reason = step(steps, "opencode").error?.reason
      assert.isTrue(reason?._tag === "OpencodeNotFound" && reason.searched.length > 10)
      assert.strictEqual(logins, 1)
    }))

  it.live("no command may be run", () =>
    Effect.gen(function*() {
      const { examine } = yield* makeWorld({ sshd: { config: ["ForceCommand echo no commands for you"] } })
      const bootstrap = { enabled: true, lifetime: "persistent" } as const
      const { logins, steps } = yield* examine({ remotePort: yield* Port.free, bootstrap })
      assert.strictEqual(picture(steps), "++++++++x----")
      assert.strictEqual(step(steps, "shell").error?.reason._tag, "CommandRefused")
      assert.strictEqual(logins, 1)
    }))

  it.live("a jump host with an unknown key; then one that is known", () =>
    Effect.gen(function*() {
      const bastion = yield* Sshd.make()
      const { examine } = yield* makeWorld({
        host: () => ({ lines: ["ProxyJump bastion"] }),
        hosts: () => ({ bastion: { sshd: bastion, known: false } })
      })
      const unknown = yield* examine({})
      assert.strictEqual(picture(unknown.steps), "+++++x-------")
      assert.include(step(unknown.steps, "host-key").error?.message, "the jump host bastion")
      assert.strictEqual(step(unknown.steps, "name").detail, "bastion, the jump host; names behind it are its business")
      assert.strictEqual(yield* bastion.authentications, 0)
    }))

  it.live("everything through a jump host", () =>
    Effect.gen(function*() {
      const bastion = yield* Sshd.make()
      const { examine } = yield* makeWorld({
        host: () => ({ lines: ["ProxyJump bastion"] }),
        hosts: () => ({ bastion })
      })
      const { logins, steps } = yield* examine({ remotePort: yield* Port.free })
      assert.strictEqual(picture(steps), "+++++++++!x--")
      assert.include(step(steps, "parameters").detail, "through bastion")
      assert.match(step(steps, "authentication").detail, /^bastion: as \S+ with .*\n127\.0\.0\.1: as \S+ with /)
      assert.deepStrictEqual([logins, yield* bastion.authentications], [1, 1])
    }))
})
