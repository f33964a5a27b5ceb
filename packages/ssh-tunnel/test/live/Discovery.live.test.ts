import { assert, describe, it } from "@effect/vitest"
import * as Leftovers from "@opencode-ai/ssh-lab/Leftovers"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Duration, Effect, Layer, Redacted, Stream } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Credentials } from "../../src/Credentials.ts"
import { Discovery, type FindOptions } from "../../src/Discovery.ts"
import { layer as nodeLoopbackHttp } from "../../src/node/LoopbackHttp.ts"
import { defaultVersionRange } from "../../src/Profile.ts"
import type { Forward, Rejection } from "../../src/Tunnel.ts"

const Live = Layer.provide(Discovery.layerNoDeps, nodeLoopbackHttp)

const find = (
  forward: Pick<Forward, "localPort"> & Partial<Forward>,
  options: Partial<FindOptions> = {}
) =>
  Effect.flatMap(Discovery, (discovery) =>
    discovery.find({
      forward: { remotePort: forward.localPort, rejections: Stream.never, cancel: Effect.void, ...forward },
      range: defaultVersionRange,
      target: { host: "box", options: [] },
      ...options
    })).pipe(Effect.provide(Live))

const credentials = (password: string) => new Credentials({ username: "opencode", password: Redacted.make(password) })

/** The test leaves no process, listener or directory behind. */
const tidy = <A, E, R>(test: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const baseline = yield* Leftovers.begin
    const result = yield* Effect.scoped(test)
    yield* Leftovers.check(baseline)
    return result
  })

describe.skipIf(!Opencode.available)("a real OpenCode server", () => {
  it.live("without a password: found, and known to be open to everybody there", () =>
    tidy(Effect.gen(function*() {
      const server = yield* Opencode.serve({ port: yield* Port.free })
      const info = yield* find({ localPort: server.port })
      assert.strictEqual(info.generation, "v1")
      assert.match(info.version, /^1\.\d+\.\d+$/)
      assert.strictEqual(info.path, "/global/health")
      assert.isFalse(info.secured)
      assert.isFalse((yield* find({ localPort: server.port }, { credentials: credentials("any") })).secured)
      const error = yield* Effect.flip(find({ localPort: server.port }, { range: "^2.0.0" }))
      assert.strictEqual(error.reason._tag, "UnsupportedVersion")
      assert.include(error.message, info.version)
    })))

  it.live("with a password: refused without it, found and secured with it", () =>
    tidy(Effect.gen(function*() {
      const server = yield* Opencode.serve({ port: yield* Port.free, password: "a: secret \"ü\"" })
      const none = (yield* Effect.flip(find({ localPort: server.port }))).reason
      assert.isTrue(none._tag === "Unauthorized" && none.credentials === "none")
      const wrong = { credentials: credentials("wrong") }
      const refused = (yield* Effect.flip(find({ localPort: server.port }, wrong))).reason
      assert.isTrue(refused._tag === "Unauthorized" && refused.credentials === "refused")
      const info = yield* find({ localPort: server.port }, { credentials: credentials("a: secret \"ü\"") })
      assert.isTrue(info.secured)
    })))
})

describe.skipIf(!Sshd.available)("a real sshd that opens no connection", () => {
  /** A plain `ssh -N -L` to a port on which nobody listens, and what it says of each connection. */
  const forwarding = (config: ReadonlyArray<string>) =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make({ config })
      const [localPort = 0, remotePort = 0] = yield* Port.freeMany(2)
      const knownHosts = Path.join(sshd.directory, "client_known_hosts")
      Fs.writeFileSync(knownHosts, `${sshd.knownHosts.join("\n")}\n`)
      const options = ["BatchMode=yes", "IdentitiesOnly=yes", `UserKnownHostsFile=${knownHosts}`]
      const ssh = yield* Process.spawn("ssh", [
        "-F",
        "none",
        "-N",
        "-v",
        `-p${sshd.port}`,
        `-i${sshd.key.file}`,
        `-L127.0.0.1:${localPort}:127.0.0.1:${remotePort}`,
        ...options.map((option) => `-o${option}`),
        `${sshd.user}@127.0.0.1`
      ])
      yield* ssh.stderr.waitFor("Entering interactive session")
      const rejections = Stream.fromEffect(ssh.stderr.waitFor("open failed:")).pipe(
        Stream.map((line): Rejection => line.includes("administratively prohibited") ? "prohibited" : "connect-failed"),
        Stream.orDie
      )
      return { localPort, remotePort, rejections }
    })

  it.live("nothing listens: known at once", () =>
    tidy(Effect.gen(function*() {
      const forward = yield* forwarding([])
      const [took, error] = yield* Effect.timed(Effect.flip(find(forward)))
      assert.isTrue(error.reason._tag === "NothingListening" && error.reason.remotePort === forward.remotePort)
      assert.isBelow(Duration.toMillis(took), 1_000)
    })))

  it.live("forwarding is forbidden: told apart from that", () =>
    tidy(Effect.gen(function*() {
      const forward = yield* forwarding(["AllowTcpForwarding no"])
      const [took, error] = yield* Effect.timed(Effect.flip(find(forward)))
      assert.strictEqual(error.reason._tag, "ForwardingDenied")
      assert.isBelow(Duration.toMillis(took), 1_000)
    })))
})
