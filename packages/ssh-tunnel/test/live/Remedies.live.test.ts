/** The commands that errors suggest are typed into a terminal, as a person does who pastes them; then it works. */
import { assert, describe, it } from "@effect/vitest"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshAgent from "@opencode-ai/ssh-lab/SshAgent"
import type * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import * as Terminal from "@opencode-ai/ssh-lab/Terminal"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { ConnectionError } from "../../src/ConnectionError.ts"
import { box, boxWith, host, jumpWith, keys } from "../lab/places.ts"
import * as Product from "../lab/Product.ts"
import { connect } from "../lab/Run.ts"
import type { Situation } from "../lab/Scenario.ts"

/** Nobody's agent and no window: a terminal is all there is. */
const environment = {
  SSH_AUTH_SOCK: undefined,
  SSH_ASKPASS: undefined,
  DISPLAY: undefined,
  WAYLAND_DISPLAY: undefined,
  LC_ALL: "C"
}

/** Connects, and connects again: one app that goes on running. */
const app = (situation: Situation) =>
  Effect.map(Product.make(situation), (product) => ({
    connects: Effect.map(connect(product, situation), (error) => assert.isUndefined(error, String(error))),
    fails: Effect.map(connect(product, situation), (error) => error ?? assert.fail("it is connected"))
  }))

const commandOf = (error: ConnectionError): string =>
  error.remedy.command ?? assert.fail(`no command: ${error.message}`)

/** Pastes the suggested command. */
const follow = (
  error: ConnectionError,
  answers: ReadonlyArray<Terminal.Answer> = [],
  env: Readonly<Record<string, string | undefined>> = {}
) => Terminal.run(commandOf(error), answers, { env: { ...environment, ...env } })

const question = /Are you sure you want to continue connecting \(yes\/no\/\[fingerprint\]\)\? $/

const yes: Terminal.Answer = { when: question, type: "yes" }

/** What the person's own commands have written is theirs; after it, nothing may change again. */
const acceptChanges = (client: SshClient.SshClient) =>
  Effect.forEach(
    ["known_hosts", "known_hosts.old"].filter((name) => Fs.existsSync(Path.join(client.directory, name))),
    (name) => client.write(name, Fs.readFileSync(Path.join(client.directory, name), "utf8")),
    { discard: true }
  )

const fingerprintOf = ({ reason }: ConnectionError): string =>
  "fingerprint" in reason && reason.fingerprint !== undefined ? reason.fingerprint : assert.fail("no fingerprint")

/** Another key of that type in known_hosts. */
const anotherKey = Effect.fnUntraced(function*(
  client: SshClient.SshClient,
  sshd: Sshd.Sshd,
  type: "ed25519" | "rsa"
) {
  const user = yield* keys
  const { publicKey } = yield* user.make("another", { type })
  yield* client.write("known_hosts", `[127.0.0.1]:${sshd.port} ${publicKey}\n`)
})

describe.skipIf(!Sshd.available).concurrent("the suggested command", () => {
  it.live("for an unknown key asks once in a terminal, and shows the same fingerprint", () =>
    Effect.gen(function*() {
      const { client, situation } = yield* box({ host: { known: false } })
      const { connects, fails } = yield* app(situation)
      const error = yield* fails
      assert.strictEqual(error.reason._tag, "HostKeyUnknown")
      const { code, shown } = yield* follow(error, [yes])
      assert.strictEqual(code, 0, shown)
      assert.include(shown, fingerprintOf(error))
      yield* acceptChanges(client)
      yield* connects
    }))

  it.live("for an unknown key leaves it unknown when the person says no", () =>
    Effect.gen(function*() {
      const { situation } = yield* box({ host: { known: false } })
      const { fails } = yield* app(situation)
      const { code, shown } = yield* follow(yield* fails, [{ when: question, type: "no" }])
      assert.strictEqual(code, 255, shown)
      assert.strictEqual((yield* fails).reason._tag, "HostKeyUnknown")
    }))

  it.live("for the unknown key of a jump host is about that, and then for the host behind it", () =>
    Effect.gen(function*() {
      const files: Array<SshClient.SshClient> = []
      const situation = yield* jumpWith({ jumpHost: { known: false }, boxHost: { known: false } }, ({ client }) => {
        files.push(client)
        return {}
      })
      const { connects, fails } = yield* app(situation)
      for (const hop of ["jump", undefined]) {
        const error = yield* fails
        assert.isTrue(error.reason._tag === "HostKeyUnknown" && error.reason.hop === hop, error.message)
        const { code, shown } = yield* follow(error, [yes])
        assert.strictEqual(code, 0, shown)
        assert.include(shown, fingerprintOf(error))
        yield* Effect.forEach(files, acceptChanges)
      }
      yield* connects
    }))

  it.live("for a changed key forgets the old one; then the new one is unknown", () =>
    Effect.gen(function*() {
      const { client, situation, sshd } = yield* box({ host: { known: false } })
      yield* anotherKey(client, sshd, "ed25519")
      const { connects, fails } = yield* app(situation)
      const changed = yield* fails
      assert.strictEqual(changed.reason._tag, "HostKeyChanged")
      assert.match(commandOf(changed), /^ssh-keygen -R /)
      const forgotten = yield* follow(changed)
      assert.strictEqual(forgotten.code, 0, forgotten.shown)
      yield* acceptChanges(client)
      const unknown = yield* fails
      assert.strictEqual(unknown.reason._tag, "HostKeyUnknown")
      assert.strictEqual(fingerprintOf(unknown), fingerprintOf(changed))
      const accepted = yield* follow(unknown, [yes])
      assert.strictEqual(accepted.code, 0, accepted.shown)
      yield* acceptChanges(client)
      yield* connects
    }))

  it.live("for a key of a new type forgets the old one, and accepts the new one", () =>
    Effect.gen(function*() {
      const { client, situation, sshd } = yield* box({ host: { known: false } })
      yield* anotherKey(client, sshd, "rsa")
      const { connects, fails } = yield* app(situation)
      const error = yield* fails
      assert.isTrue(error.reason._tag === "HostKeyUnknown" && error.reason.knownKeyTypes?.includes("RSA"))
      const { code, shown } = yield* follow(error, [yes])
      assert.strictEqual(code, 0, shown)
      yield* acceptChanges(client)
      yield* connects
    }))

  it.live("for a locked key gives it to the agent, which is asked for the passphrase in the terminal", () =>
    Effect.gen(function*() {
      const user = yield* keys
      const agent = yield* SshAgent.make()
      const key = yield* user.make("id with spaces", { passphrase: "open sesame" })
      const { situation } = yield* box({
        sshd: { authorizedKeys: [key.publicKey] },
        host: { identityFile: key.file }
      })
      const env = { SSH_AUTH_SOCK: agent.socket }
      const { connects, fails } = yield* app({ ...situation, environment: env })
      const error = yield* fails
      assert.isTrue(error.reason._tag === "InteractionRequired" && error.reason.what === "passphrase")
      const passphrase = { when: /Enter passphrase for .*: $/, type: "open sesame" }
      const { code, shown } = yield* follow(error, [passphrase], env)
      assert.strictEqual(code, 0, shown)
      assert.include(shown, "Identity added")
      yield* connects
    }))

  it.live("for a key that others may read closes it", () =>
    Effect.gen(function*() {
      const user = yield* keys
      const key = yield* user.make("id_ed25519")
      Fs.chmodSync(key.file, 0o644)
      const { situation } = yield* box({
        sshd: { authorizedKeys: [key.publicKey] },
        host: { identityFile: key.file }
      })
      const { connects, fails } = yield* app(situation)
      const error = yield* fails
      assert.isTrue(error.reason._tag === "IdentityFileUnusable" && error.reason.problem === "permissions")
      assert.strictEqual((yield* follow(error)).code, 0)
      yield* connects
    }))

  it.live("for an ssh config that others may write closes it", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make()
      const config = Path.join(directory, "config of mine")
      const situation = yield* boxWith({}, ({ client, situation }) => {
        Fs.writeFileSync(config, `${host("*", "ConnectTimeout 5")}\nInclude ${client.configFile}\n`)
        Fs.chmodSync(config, 0o666)
        return { profile: { ...situation.profile, sshConfig: config } }
      })
      const { connects, fails } = yield* app(situation)
      const error = yield* fails
      assert.strictEqual(error.reason._tag, "SshConfigInvalid")
      assert.strictEqual((yield* follow(error)).code, 0)
      yield* connects
    }))

  it.live("for a refused key shows in a terminal what ssh says", () =>
    Effect.gen(function*() {
      const user = yield* keys
      const key = yield* user.make("id_ed25519")
      const { situation } = yield* box({ host: { identityFile: key.file } })
      const { fails } = yield* app(situation)
      const error = yield* fails
      assert.strictEqual(error.reason._tag, "AuthenticationFailed")
      const { code, shown } = yield* follow(error)
      assert.strictEqual(code, 255)
      assert.include(shown, "Permission denied (publickey)")
    }))

  it.live("for an ssh config with a mistake shows the same line", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make()
      const config = Path.join(directory, "config")
      Fs.writeFileSync(config, `${host("*", "Foobar yes")}\n`)
      const { fails } = yield* app({ profile: { host: "box", sshConfig: config } })
      const { code, shown } = yield* follow(yield* fails)
      assert.strictEqual(code, 255)
      assert.include(shown, `${config}: line 2: Bad configuration option: foobar`)
    }))

  it.live.skipIf(!Opencode.available)(
    "for a port on which nothing listens starts a server there",
    () =>
      Effect.gen(function*() {
        const { situation } = yield* box({ remotePort: yield* Port.free })
        const { connects, fails } = yield* app(situation)
        const error = yield* fails
        assert.strictEqual(error.reason._tag, "NothingListening")
        const home = yield* TempDirectory.make()
        yield* Opencode.install(home)
        // On the remote machine, which is this one.
        const server = yield* Process.spawn("sh", ["-c", commandOf(error)], {
          cwd: home,
          env: { ...Sshd.isolation(home), PATH: `${home}/.opencode/bin:${process.env["PATH"]}` }
        })
        yield* server.stdout.waitFor("listening on")
        yield* connects
      })
  )
})
