import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Redacted, Ref, Stream } from "effect"
import { TestClock } from "effect/testing"
import { CompatibilityError, UnsupportedVersion } from "../src/CompatibilityError.ts"
import { ConfigurationError, SshConfigInvalid, SshNotFound } from "../src/ConfigurationError.ts"
import type { ConnectionError } from "../src/ConnectionError.ts"
import { Credentials } from "../src/Credentials.ts"
import { Discovery, type FindOptions } from "../src/Discovery.ts"
import { DiscoveryError, NoAnswer, NothingListening, Unauthorized } from "../src/DiscoveryError.ts"
import { Doctor } from "../src/Doctor.ts"
import { type DoctorStep, StepId } from "../src/DoctorStep.ts"
import { append, empty } from "../src/internal/sshLog.ts"
import { LocalHost } from "../src/LocalHost.ts"
import { OpenSsh } from "../src/OpenSsh.ts"
import { noBootstrap, Profile, ProfileId } from "../src/Profile.ts"
import { ServerInfo } from "../src/ServerInfo.ts"
import { EffectiveParameters, SshConfig } from "../src/SshConfig.ts"
import {
  AuthenticationFailed,
  ConnectionLost,
  ConnectionRefused,
  ForwardingDenied,
  HostKeyUnknown,
  HostNameNotResolved,
  ProxyJumpFailed,
  TransportError
} from "../src/TransportError.ts"
import { type Forward, type OpenTunnel, Tunnel } from "../src/Tunnel.ts"
import { transcript } from "./internal/transcripts.ts"

const target = { host: "box", options: [] }
const transport = (reason: TransportError["reason"]) => new TransportError({ reason })
const refused = new DiscoveryError({ reason: new NothingListening({ remotePort: 4096 }) })
const locked = new DiscoveryError({ reason: new Unauthorized({ remotePort: 4096, credentials: "none" }) })
const denied = transport(new ForwardingDenied({ target, remotePort: 4096 }))
const incompatible = new CompatibilityError({
  reason: new UnsupportedVersion({ found: "3.1.0", supported: ">=1.0.0 <3.0.0" })
})
const info = new ServerInfo({ generation: "v1", version: "1.18.33", path: "/global/health", secured: true })

const profile = (fields: Partial<Profile> = {}) =>
  new Profile({ id: ProfileId.make("box"), name: "Box", host: "box", bootstrap: noBootstrap, ...fields })
const bootstrapping = (fields: Partial<Profile> = {}) =>
  profile({ bootstrap: { enabled: true, lifetime: "persistent" }, ...fields })

const parameters = new EffectiveParameters({
  host: "box",
  hostname: "box.example",
  user: "me",
  port: 22,
  identityFiles: ["~/.ssh/id_rsa", "~/.ssh/id_ed25519"],
  identitiesOnly: false,
  parameters: []
})

// --- What the remote script says -------------------------------------------------------------------------------------

const account = {
  shell: "/usr/bin/zsh",
  home: "/home/me",
  system: "Linux x86_64",
  state: "/home/me/.local/state/opencode-ssh",
  problem: "",
  path: "/home/me/.local/state",
  free: 50 * 1024 * 1024
}
const server = {
  origin: "reused",
  owner: "ours",
  generation: "v1",
  pid: 4711,
  port: 5000,
  version: "1.18.33",
  lifetime: "persistent",
  startedAt: "2026-01-31T09:26:53Z",
  username: "opencode",
  password: "s3cret"
}
const candidate = {
  path: "/home/me/.opencode/bin/opencode",
  executable: true,
  version: "1.18.33",
  generation: "v1",
  problem: "",
  detail: ""
}
const nowhere = { searched: ["/usr/bin/opencode"], candidates: [] }

interface Said {
  readonly account?: object
  readonly registered?: object
  readonly listener?: string
  readonly candidates?: object
  readonly result?: object
}

const script = (said: Said = {}): ReadonlyArray<string> => [
  ...(said.account === null ? [] : [`found ${JSON.stringify({ account: said.account ?? account })}`]),
  `found ${JSON.stringify({ registered: said.registered ?? { server: null, state: "", ignored: [] } })}`,
  `found ${JSON.stringify({ listener: said.listener ?? "none" })}`,
  `found {"login":"interactive"}`,
  `found ${JSON.stringify(said.candidates ?? { searched: [candidate.path], candidates: [candidate] })}`,
  `result ${JSON.stringify(said.result ?? { examined: true })}`
]

// --- A world in which every part does what the test says -------------------------------------------------------------

interface World {
  readonly version?: ConfigurationError
  readonly effective?: ConfigurationError | EffectiveParameters
  /** ssh's stderr on the way to the login. */
  readonly log?: string
  readonly open?: TransportError | ConfigurationError
  readonly forward?: TransportError
  readonly closed?: TransportError
  /** By remote port; else `info`. */
  readonly find?: (
    options: FindOptions
  ) => Effect.Effect<ServerInfo, DiscoveryError | CompatibilityError | TransportError>
  readonly remote?: Said
  /** Instead of the script's answer: what the command prints, and its exit code. */
  readonly command?: { readonly stdout?: string; readonly stderr?: string; readonly exitCode: number }
  readonly freePorts?: boolean
}

const nonce = "00".repeat(16)

const examine = Effect.fnUntraced(function*(
  world: World,
  asked: Profile = profile(),
  credentials?: Credentials
) {
  const scripts = yield* Ref.make<ReadonlyArray<string>>([])
  const forwards = yield* Ref.make<ReadonlyArray<string>>([])
  const open = yield* Ref.make(0)
  const closed = yield* Deferred.make<never, TransportError>()
  const never = Effect.never
  const tunnel: OpenTunnel = {
    strategy: "master",
    forward: (remotePort, choice) =>
      Effect.gen(function*() {
        const localPort = choice?._tag === "Pinned" ? choice.port : 50_000
        yield* Ref.update(forwards, (all) => [...all, `${choice?._tag} ${localPort}:${remotePort}`])
        if (world.forward !== undefined) return yield* world.forward
        return { localPort, remotePort, rejections: Stream.never, cancel: Effect.void } satisfies Forward
      }),
    exec: (text) =>
      Effect.gen(function*() {
        yield* Ref.update(scripts, (all) => [...all, Redacted.value(text)])
        const lines = script(world.remote).map((line) => `noise\n${nonce} ${line}\n`)
        return {
          stdout: world.command === undefined ? Stream.fromIterable(lines) : Stream.make(world.command.stdout ?? ""),
          stderr: Stream.make(world.command?.stderr ?? ""),
          exitCode: world.closed === undefined
            ? Effect.succeed(world.command?.exitCode ?? 0)
            : Effect.andThen(Deferred.fail(closed, world.closed), never)
        }
      }),
    capabilities: Effect.succeed({ sessions: "allowed" }),
    closed: Deferred.await(closed),
    stderr: Effect.succeed("")
  }
  const layer = Doctor.layerNoDeps.pipe(Layer.provide(Layer.mergeAll(
    OpenSsh.layerMock(world.version === undefined ? {} : { version: Effect.fail(world.version) }),
    SshConfig.layerMock({
      effective: () =>
        world.effective instanceof ConfigurationError
          ? Effect.fail(world.effective)
          : Effect.succeed(world.effective ?? parameters)
    }),
    Tunnel.layerMock({
      open: (_destination, options) =>
        Effect.gen(function*() {
          let log = empty
          for (const line of (world.log ?? transcript("up").stderr).split(/(?<=\n)/)) {
            // A millisecond for each line of ssh.
            yield* TestClock.adjust("1 millis")
            log = append(log, line)[1]
            yield* options?.onLog?.(log) ?? Effect.void
          }
          if (world.open !== undefined) return yield* world.open
          yield* Effect.acquireRelease(Ref.update(open, (count) => count + 1), () =>
            Ref.update(open, (count) => count - 1))
          return tunnel
        })
    }),
    Discovery.layerMock({ find: world.find ?? (() => Effect.succeed(info)) }),
    LocalHost.layerMock({
      randomBytes: (length) => Effect.succeed(new Uint8Array(length)),
      isPortFree: () => Effect.succeed(world.freePorts ?? true)
    })
  )))
  const steps = yield* Doctor.use((doctor) => Stream.runCollect(doctor.examine(asked, credentials))).pipe(
    Effect.provide(layer)
  )
  assert.deepStrictEqual(steps.map(({ id }) => id), [...StepId.literals])
  assert.strictEqual(yield* Ref.get(open), 0, "the connection is closed before the stream ends")
  for (const step of steps) if (step.status === "failed") assert.isDefined(step.error, step.id)
  return { steps, forwards: yield* Ref.get(forwards), scripts: yield* Ref.get(scripts) }
})

const signs = { ok: "+", failed: "x", warning: "!", skipped: "-" } as const

/** One character for each step. */
const picture = (steps: ReadonlyArray<DoctorStep>): string => steps.map(({ status }) => signs[status]).join("")

const firstFailure = (steps: ReadonlyArray<DoctorStep>) => steps.find(({ status }) => status === "failed")

const step = (steps: ReadonlyArray<DoctorStep>, id: StepId): DoctorStep => {
  const found = steps.find((step) => step.id === id)
  if (found === undefined) return assert.fail(`there is no step ${id}`)
  return found
}

const failing = (error: ConnectionError) => () => Effect.fail(error as DiscoveryError)

describe("a step that fails", () => {
  it.effect.each<{
    readonly what: string
    readonly world: World
    readonly profile?: Profile
    readonly expected: string
    readonly failed: readonly [StepId, reason: string]
  }>([
    {
      what: "no ssh",
      world: { version: new ConfigurationError({ reason: new SshNotFound({ binary: "ssh", detail: "none" }) }) },
      expected: "x------------",
      failed: ["ssh", "SshNotFound"]
    },
    {
      what: "a broken ssh config",
      world: {
        effective: new ConfigurationError({ reason: new SshConfigInvalid({ file: "f", detail: "line 3" }) })
      },
      expected: "+x-----------",
      failed: ["config", "SshConfigInvalid"]
    },
    {
      what: "a name without an address",
      world: {
        log: transcript("name-not-found").stderr,
        open: transport(new HostNameNotResolved({ target, hostName: "box", detail: "no" }))
      },
      expected: "+++x---------",
      failed: ["name", "HostNameNotResolved"]
    },
    {
      what: "a closed port",
      world: { log: transcript("refused").stderr, open: transport(new ConnectionRefused({ target, port: 22 })) },
      expected: "++++x--------",
      failed: ["port", "ConnectionRefused"]
    },
    {
      what: "a jump host that cannot resolve the next name",
      world: {
        log: transcript("jump-target-not-resolved").stderr,
        open: transport(
          new ProxyJumpFailed({ target, hop: "bastion", problem: "not-resolved", detail: "Name or service not known" })
        )
      },
      expected: "++++x--------",
      failed: ["port", "ProxyJumpFailed"]
    },
    {
      what: "an unknown host key",
      world: {
        log: transcript("host-key-unknown").stderr,
        open: transport(new HostKeyUnknown({ target, rememberable: true }))
      },
      expected: "+++++x-------",
      failed: ["host-key", "HostKeyUnknown"]
    },
    {
      what: "an unknown host key of a jump host",
      world: {
        log: transcript("jump-host-key-unknown").stderr,
        open: transport(new HostKeyUnknown({ target, hop: "bastion", rememberable: true }))
      },
      expected: "+++++x-------",
      failed: ["host-key", "HostKeyUnknown"]
    },
    {
      what: "a refused key",
      world: {
        log: transcript("key-refused").stderr,
        open: transport(new AuthenticationFailed({ target, alsoAccepts: [] }))
      },
      expected: "++++++x------",
      failed: ["authentication", "AuthenticationFailed"]
    },
    {
      what: "a config that only a jump host's ssh finds broken",
      world: {
        log: transcript("jump-config-broken-only-there").stderr,
        open: new ConfigurationError({ reason: new SshConfigInvalid({ file: "f", detail: "bad" }) })
      },
      expected: "+++x---------",
      failed: ["name", "SshConfigInvalid"]
    },
    {
      what: "forwarding that is forbidden",
      world: { find: failing(denied) },
      expected: "+++++++x++---",
      failed: ["forwarding", "ForwardingDenied"]
    },
    {
      what: "a forward that cannot be made",
      world: { forward: transport(new ConnectionLost({ target, detail: "no" })) },
      expected: "+++++++x++---",
      failed: ["forwarding", "ConnectionLost"]
    },
    {
      what: "a command that is refused, though one is needed",
      world: { find: failing(refused), command: { stdout: "This account is not available.\n", exitCode: 1 } },
      profile: bootstrapping(),
      expected: "++++++++x----",
      failed: ["shell", "CommandRefused"]
    },
    {
      what: "a read-only HOME, though a server must be started",
      world: { find: failing(refused), remote: { account: { ...account, problem: "read-only" } } },
      profile: bootstrapping(),
      expected: "++++++++x+-+-",
      failed: ["shell", "RemoteNotWritable"]
    },
    {
      what: "no opencode, though a server must be started",
      world: { find: failing(refused), remote: { candidates: nowhere } },
      profile: bootstrapping(),
      expected: "+++++++++x---",
      failed: ["opencode", "OpencodeNotFound"]
    },
    {
      what: "an opencode for another machine, though a server must be started",
      world: {
        find: failing(refused),
        remote: {
          candidates: {
            searched: [],
            candidates: [{ ...candidate, version: "", problem: "architecture" }, { ...candidate, path: "/b" }]
          }
        }
      },
      profile: bootstrapping(),
      expected: "+++++++++x---",
      failed: ["opencode", "OpencodeUnusable"]
    },
    {
      what: "no server, and none may be started",
      world: { find: failing(refused) },
      expected: "++++++++++x--",
      failed: ["server", "NothingListening"]
    },
    {
      what: "a server with a password that nobody knows",
      world: { find: failing(locked) },
      expected: "++++++++++x-+",
      failed: ["server", "Unauthorized"]
    },
    {
      what: "a stranger on the port where a server must be started",
      world: { find: failing(refused), remote: { listener: "other" } },
      profile: bootstrapping({ bootstrap: { enabled: true, lifetime: "persistent", port: 5000 } }),
      expected: "++++++++++x--",
      failed: ["server", "PortInUse"]
    },
    {
      what: "a server of another version",
      world: { find: failing(incompatible) },
      expected: "+++++++++++x-",
      failed: ["version", "UnsupportedVersion"]
    },
    {
      what: "an opencode of another version, which a connection would start",
      world: {
        find: failing(refused),
        remote: { candidates: { searched: [], candidates: [{ ...candidate, version: "3.0.0" }] } }
      },
      profile: bootstrapping(),
      expected: "++++++++++-x-",
      failed: ["version", "UnsupportedVersion"]
    },
    {
      what: "a connection that is lost meanwhile",
      world: {
        closed: transport(new ConnectionLost({ target, detail: "gone" })),
        command: { exitCode: 255 },
        find: () => Effect.never
      },
      expected: "+++++++x-----",
      failed: ["forwarding", "ConnectionLost"]
    }
  ])("$what", ({ expected, failed, profile, world }) =>
    Effect.gen(function*() {
      const { steps } = yield* examine(world, profile)
      assert.strictEqual(picture(steps), expected)
      const first = firstFailure(steps)
      assert.deepStrictEqual([first?.id, first?.error?.reason._tag], [...failed])
      assert.isNotEmpty(first?.error?.remedy.text)
    }))
})

describe("what is no failure", () => {
  it.effect("a server that answers", () =>
    Effect.gen(function*() {
      const { forwards, scripts, steps } = yield* examine({})
      assert.strictEqual(picture(steps), "+++++++++++++")
      assert.strictEqual(step(steps, "parameters").detail, "me at box.example, port 22")
      assert.strictEqual(
        step(steps, "authentication").detail,
        "as me with the ED25519 key /home/me/.ssh/id_ed25519"
      )
      assert.strictEqual(step(steps, "shell").detail, "zsh, HOME /home/me, 50.0 GiB free, Linux x86_64")
      assert.strictEqual(step(steps, "opencode").detail, `1.18.33 at ${candidate.path}`)
      assert.strictEqual(step(steps, "server").detail, "OpenCode 1.18.33 on port 4096")
      assert.deepStrictEqual(forwards, ["Any 50000:4096"])
      assert.strictEqual(scripts.length, 1)
      // Without bootstrap, nobody's password is asked for.
      assert.include(scripts[0], "\nocs_secret=''\n")
    }))

  it.effect("its steps take the whole time together, each its own share", () =>
    Effect.gen(function*() {
      const { steps } = yield* examine({})
      const times = Object.fromEntries(steps.map(({ durationMs, id }) => [id, durationMs]))
      const lines = transcript("up").stderr.trimEnd().split("\n").length
      assert.isAbove(times["authentication"] ?? 0, 0)
      assert.strictEqual(steps.reduce((sum, { durationMs }) => sum + durationMs, 0), lines)
    }))

  it.effect("warnings: nothing that a connection needs is missing", () =>
    Effect.gen(function*() {
      const open = new ServerInfo({ ...info, secured: false })
      const { steps } = yield* examine({
        effective: new EffectiveParameters({ ...parameters, proxyCommand: "ssh -W %h:%p secret@bastion" }),
        find: () => Effect.succeed(open),
        remote: { account: { ...account, free: 5 * 1024 }, candidates: nowhere },
        freePorts: false
      }, profile({ localPort: 50_123 }))
      assert.strictEqual(picture(steps), "++!++++!!!++!")
      assert.notInclude(step(steps, "parameters").detail, "secret")
      assert.strictEqual(step(steps, "forwarding").error?.reason._tag, "LocalPortInUse")
      assert.include(step(steps, "shell").detail, "Only 5 MiB are left")
      assert.strictEqual(step(steps, "opencode").error?.reason._tag, "OpencodeNotFound")
    }))

  it.effect("no command may be run where a server answers", () =>
    Effect.gen(function*() {
      const { steps } = yield* examine({
        command: { stderr: "exec request failed on channel 2\n", exitCode: 255 }
      }, bootstrapping())
      assert.strictEqual(picture(steps), "++++++++!-+++")
      assert.strictEqual(step(steps, "shell").error?.reason._tag, "CommandRefused")
    }))

  it.effect("no server, and a connection would start one", () =>
    Effect.gen(function*() {
      const { steps } = yield* examine({
        find: failing(refused),
        remote: {
          candidates: {
            searched: [],
            candidates: [
              { ...candidate, path: "/closed", executable: false, version: "", problem: "mode" },
              candidate,
              { ...candidate, path: "/old", version: "0.9.0" }
            ]
          }
        }
      }, bootstrapping({ remotePort: 4321 }))
      assert.strictEqual(picture(steps), "++++++++++-+-")
      assert.strictEqual(
        step(steps, "opencode").detail,
        `1.18.33 at ${candidate.path}\nalso /closed is not executable\nalso 0.9.0 at /old`
      )
      assert.strictEqual(
        step(steps, "server").detail,
        `none runs; connecting starts 1.18.33 (${candidate.path}) on port 4321`
      )
    }))

  it.effect("a pinned local port is the one that is tried", () =>
    Effect.gen(function*() {
      const { forwards } = yield* examine({}, profile({ localPort: 50_123 }))
      assert.deepStrictEqual(forwards, ["Pinned 50123:4096"])
    }))

  it.effect("a hung server does not pass for a forward that is forbidden", () =>
    Effect.gen(function*() {
      const hung = new DiscoveryError({ reason: new NoAnswer({ remotePort: 4096, waited: 10_000 }) })
      yield* Effect.forkChild(Effect.forever(Effect.andThen(TestClock.adjust("50 millis"), Effect.yieldNow)))
      const { steps } = yield* examine({ find: () => Effect.andThen(Effect.sleep("10 seconds"), Effect.fail(hung)) })
      assert.strictEqual(picture(steps), "++++++++++x--")
      assert.isBelow(step(steps, "forwarding").durationMs, 2_000)
      assert.isAbove(step(steps, "server").durationMs, 7_000)
    }))
})

describe("a server that bootstrap has started elsewhere", () => {
  const registered = { server, ignored: [{ path: "/x", why: "a symbolic link" }] }

  it.effect("is asked with its own password, where bootstrap is allowed", () =>
    Effect.gen(function*() {
      const asked = yield* Ref.make<ReadonlyArray<FindOptions>>([])
      const { forwards, scripts, steps } = yield* examine({
        find: (options) =>
          Ref.update(asked, (all) => [...all, options]).pipe(
            Effect.andThen(options.forward.remotePort === 5000 ? Effect.succeed(info) : Effect.fail(refused))
          ),
        remote: { registered }
      }, bootstrapping())
      assert.strictEqual(picture(steps), "+++++++++++++")
      assert.include(step(steps, "server").detail, "on port 5000, started by bootstrap at 2026-01-31T09:26:53Z")
      assert.include(step(steps, "server").detail, "The registration /x is ignored: a symbolic link.")
      assert.deepStrictEqual(forwards, ["Any 50000:4096", "Any 50000:5000"])
      const [, second] = yield* Ref.get(asked)
      assert.strictEqual(second?.credentials && Redacted.value(second.credentials.password), "s3cret")
      assert.include(scripts[0], "\nocs_secret='1'\n")
    }))

  it.effect("is only told of, where it is not", () =>
    Effect.gen(function*() {
      const { forwards, steps } = yield* examine({ find: failing(refused), remote: { registered } })
      assert.strictEqual(picture(steps), "++++++++++x--")
      assert.include(step(steps, "server").detail, "One that bootstrap started listens on port 5000 (1.18.33).")
      assert.strictEqual(forwards.length, 1)
    }))

  it.effect("on the very port: whoever may not bootstrap lacks its password", () =>
    Effect.gen(function*() {
      const { steps } = yield* examine({
        find: failing(locked),
        remote: { registered: { ...registered, server: { ...server, port: 4096 } } }
      })
      assert.include(step(steps, "server").detail, "a connection that allows bootstrap knows its password")
    }))

  it.effect("the given password is used for the first question only", () =>
    Effect.gen(function*() {
      const asked = yield* Ref.make<ReadonlyArray<string | undefined>>([])
      const given = new Credentials({ username: "opencode", password: Redacted.make("given") })
      yield* examine(
        {
          find: ({ credentials }) =>
            Ref.update(asked, (all) => [...all, credentials && Redacted.value(credentials.password)]).pipe(
              Effect.andThen(Effect.fail(locked))
            ),
          remote: { registered }
        },
        bootstrapping(),
        given
      )
      assert.deepStrictEqual(yield* Ref.get(asked), ["given", "s3cret"])
    }))
})

describe("an answer from over there", () => {
  it.effect("that ends early leaves what it has told", () =>
    Effect.gen(function*() {
      const lines = script().slice(0, 2).map((line) => `${nonce} ${line}\n`).join("")
      const { steps } = yield* examine({ command: { stdout: lines, exitCode: 1 } })
      assert.strictEqual(picture(steps), "+++++++++!+++")
      assert.strictEqual(step(steps, "opencode").error?.reason._tag, "InvalidOutput")
    }))

  it.effect("that is no fact is ignored", () =>
    Effect.gen(function*() {
      const bad = `${nonce} found {"account":{"home":7}}\n${nonce} found [1]\n${nonce} found garbage\n`
      const lines = script().map((line) => `${nonce} ${line}\n`).join("")
      const { steps } = yield* examine({ command: { stdout: bad + lines, exitCode: 0 } })
      assert.strictEqual(picture(steps), "+++++++++++++")
    }))

  it.effect("that is an error is that error", () =>
    Effect.gen(function*() {
      const text = `${nonce} result {"error":{"_tag":"UnsupportedRemote","detail":"it has no awk"}}\n`
      const { steps } = yield* examine({ command: { stdout: text, exitCode: 0 } })
      assert.strictEqual(step(steps, "shell").error?.reason._tag, "UnsupportedRemote")
    }))
})
