/** Connects through the product in the world of an entry, and looks at what came of it. */
import { assert } from "@effect/vitest"
import { LabError } from "@opencode-ai/ssh-lab/LabError"
import * as Namespace from "@opencode-ai/ssh-lab/Namespace"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Context, Effect, Redacted, Schema, type Scope, Stream } from "effect"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { type ConnectionError, describe } from "../../src/ConnectionError.ts"
import { Connections } from "../../src/Connections.ts"
import { type Connected, ConnectionState } from "../../src/ConnectionState.ts"
import { noBootstrap, Profile, ProfileId } from "../../src/Profile.ts"
import { ProfileRepo } from "../../src/ProfileRepo.ts"
import { Tunnel } from "../../src/Tunnel.ts"
import * as Product from "../lab/Product.ts"
import type * as Entry from "./Entry.ts"
import { hasIpv6, type Machine, type Machines } from "./Machines.ts"

const present: Readonly<Record<Entry.Requirement, { readonly holds: () => boolean; readonly what: string }>> = {
  namespaces: { holds: Namespace.available, what: "Linux with namespaces for this user" },
  ipv6: { holds: hasIpv6, what: "an IPv6 loopback address" },
  linux: { holds: () => process.platform === "linux", what: "Linux" }
}

/** What this machine does not offer; empty when the entry can run. */
export const missing = ({ requires = [] }: Entry.Entry): ReadonlyArray<string> => [
  ...(Sshd.available ? [] : ["sshd"]),
  ...requires.filter((requirement) => !present[requirement].holds()).map((requirement) => present[requirement].what)
]

/** Bundles. */
const bun = fileURLToPath(new URL("../../../../node_modules/.bin/bun", import.meta.url))

/** What all entries of a run share. */
export interface World {
  readonly machines: Machines
  /** The product with the environment of this process. */
  readonly product: Product.Product
  /** The product as a program. */
  readonly host: string
}

/** What came of one connection, while it lasts. */
interface Reached {
  /** Absent: it failed. */
  readonly url: string | undefined
  readonly error: ConnectionError | undefined
  /** Runs a script in a session of its own. */
  readonly run: Entry.Connected["run"]
  readonly end: Effect.Effect<void, unknown>
}

/** The text with the names' values; what is no name stays. */
const filler = (names: Entry.Names) => (text: string): string =>
  text.replaceAll(/(?<!\$)\{([a-z0-9]+)\}/g, (whole, name: string) => String(names[name] ?? whole))

const write = (directory: string, files: Readonly<Record<string, string>>, fill: (text: string) => string): void => {
  for (const [name, text] of Object.entries(files)) {
    const file = Path.join(directory, name)
    Fs.mkdirSync(Path.dirname(file), { recursive: true, mode: 0o700 })
    // A script says so.
    Fs.writeFileSync(file, fill(text), { mode: text.startsWith("#!") ? 0o700 : 0o600 })
  }
}

/** The user's files, and the entry's own directory. */
const settle = Effect.fnUntraced(function*(entry: Entry.Entry, machines: Machines) {
  const box = yield* machines[(entry.machine ?? "plain") as Machine]
  const jump = entry.jump === undefined ? undefined : yield* machines.jump
  const server = yield* machines.server
  const dir = yield* TempDirectory.make()
  const [free = 0] = yield* Port.freeMany(1)
  const names: Record<string, string | number> = {
    dir,
    free,
    port: box.port,
    user: box.user,
    key: box.key.file,
    server: server.port,
    ...(jump === undefined ? {} : { jumpport: jump.port, jumpkey: jump.key.file })
  }
  const place: Entry.Place = { machines, names, fill: (text) => filler(names)(text) }
  Object.assign(names, yield* entry.prepare?.(place) ?? Effect.void)
  write(dir, entry.files ?? {}, place.fill)
  const lines = (texts: ReadonlyArray<string> = []) => texts.map(place.fill)
  const client = yield* SshClient.make({
    ...(entry.directoryName === undefined ? {} : { directoryName: entry.directoryName }),
    before: lines(entry.before).join("\n"),
    after: lines(entry.after).join("\n"),
    knownHosts: lines(entry.knownHosts),
    hosts: {
      box: {
        sshd: box,
        lines: lines(entry.box),
        known: entry.known ?? true,
        ...(entry.identityFile === undefined ? {} : { identityFile: entry.identityFile })
      },
      ...(jump === undefined ? {} : { jump: { sshd: jump, lines: lines(entry.jump) } })
    }
  })
  names["ssh"] = client.directory
  for (const [name, text] of Object.entries(entry.sshFiles ?? {})) yield* client.write(name, place.fill(text))
  // The config's own directory is known only now.
  const config = place.fill(Fs.readFileSync(client.configFile, "utf8"))
  yield* client.write("config", (entry.rewrite ?? ((text) => text))(config))
  yield* entry.arrange?.(place) ?? Effect.void
  return { client, place, profile: { host: "box", sshConfig: client.configFile, remotePort: server.port } as const }
})

const before = (directory: string): ReadonlyArray<string> => Fs.readdirSync(directory).sort()

const toProfile = (
  entry: Entry.Entry,
  fields: Pick<Profile, "host">,
  strategy: "master" | "plain",
  fill: (text: string) => string
) =>
  new Profile({
    id: ProfileId.make(`${entry.name}-${strategy}`),
    name: "Box",
    bootstrap: noBootstrap,
    strategy,
    ...fields,
    ...Object.fromEntries(
      Object.entries(entry.profile ?? {}).map((
        [name, value]
      ) => [name, typeof value === "string" ? fill(value) : value])
    )
  })

/** In this process. */
const inside = Effect.fnUntraced(function*({ services }: Product.Product, profile: Profile) {
  const connections = Context.get(services, Connections)
  yield* Context.get(services, ProfileRepo).save(profile)
  yield* connections.connect(profile.id)
  const state = yield* Effect.result(connections.settled(profile.id))
  const reached: Reached = {
    url: state._tag === "Success" ? (state.success as Connected).url : undefined,
    error: state._tag === "Failure" ? state.failure : undefined,
    run: (script) =>
      Effect.scoped(Effect.gen(function*() {
        const tunnel = yield* Context.get(services, Tunnel).open(profile.destination, {
          strategy: profile.strategy ?? "auto"
        })
        const command = yield* tunnel.exec(Redacted.make(`${script}\nexit 0\n`))
        return yield* Stream.mkString(command.stdout)
      })),
    end: connections.disconnect(profile.id)
  }
  return reached
})

/** `host.ts` in one file: it starts in a quarter of the time. */
export const bundled = Effect.gen(function*() {
  const file = Path.join(yield* TempDirectory.make(), "host.mjs")
  const source = fileURLToPath(new URL("host.ts", import.meta.url))
  yield* Process.output(bun, ["build", source, "--target=node", `--outfile=${file}`])
  return file
})
const encodeProfile = Schema.encodeEffect(Schema.fromJsonString(Schema.toCodecJson(Profile)))
const decodeState = Schema.decodeEffect(Schema.fromJsonString(Schema.toCodecJson(ConnectionState)))

/** In a process of its own. */
const outside = Effect.fnUntraced(function*(
  host: string,
  profile: Profile,
  { nowhere = false, umask = "022" }: Entry.Program,
  environment: Readonly<Record<string, string | undefined>>
) {
  const directory = yield* TempDirectory.make()
  const gone = Path.join(directory, "gone")
  Fs.mkdirSync(gone)
  Fs.mkdirSync(Path.join(directory, "run"), { mode: 0o700 })
  const program = `umask ${umask}; ${nowhere ? "cd \"$1\" && rmdir \"$1\"; " : ""}shift; exec "$@"`
  const words = ["-c", program, "sh", gone, process.execPath, host, yield* encodeProfile(profile)]
  const child = yield* Process.spawn("/bin/sh", words, {
    env: {
      SSH_AUTH_SOCK: undefined,
      OPENCODE_SERVER_PASSWORD: undefined,
      OPENCODE_SSH_BINARY: undefined,
      NODE_OPTIONS: undefined,
      LC_ALL: "C",
      OPENCODE_SSH_DATA_DIR: Path.join(directory, "data"),
      XDG_RUNTIME_DIR: Path.join(directory, "run"),
      ...environment
    }
  })
  const line = yield* child.stdout.waitFor(/"_tag":"(?:Connected|Failed|Reconnecting)"/).pipe(
    Effect.catch((error) =>
      Effect.flatMap(
        child.stderr.text,
        (text) => Effect.fail(new LabError({ message: `${error.message}\n${text}`, cause: error }))
      )
    )
  )
  const state = yield* decodeState(line)
  const reached: Reached = {
    url: state._tag === "Connected" ? state.url : undefined,
    error: "error" in state ? state.error : undefined,
    run: () => Effect.die("not there"),
    end: child.stop
  }
  return reached
})

/** The body of an answer behind the URL. */
const fetch = (url: string): Effect.Effect<string, LabError> =>
  Effect.callback((resume) => {
    const request = Http.get(`${url}/global/health`, { agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk) => (text += chunk)).on("end", () => resume(Effect.succeed(text)))
    })
    request.on("error", (cause) => resume(Effect.fail(new LabError({ message: `no answer behind ${url}`, cause }))))
  })

/** The addresses (as the kernel writes them) on which anybody listens at a port. */
const listeners = (port: number): ReadonlyArray<string> =>
  ["tcp", "tcp6"].flatMap((table) =>
    Fs.readFileSync(`/proc/net/${table}`, "utf8").split("\n").slice(1).flatMap((line) => {
      const [, local = "", , state] = line.trim().split(/\s+/)
      const [address = "", hex = ""] = local.split(":")
      return state === "0A" && Number.parseInt(hex, 16) === port ? [address] : []
    })
  )

const loopback = "0100007F"

/** Waits for something that no event tells. */
const soon = (condition: Effect.Effect<boolean>, what: string) =>
  Effect.gen(function*() {
    for (let turn = 0; turn < 250; turn++) {
      if (yield* condition) return
      yield* Effect.sleep(20)
    }
    return yield* new LabError({ message: `not within 5 s: ${what}` })
  })

const check = ({ expected }: Entry.Entry, { error, url }: Reached): void => {
  if (expected === "Connected") {
    assert.isUndefined(error, String(error))
    return
  }
  if (error === undefined) {
    return assert.fail(`it is connected at ${url}, instead of ${expected.error}.${expected.reason}`)
  }
  const { message, reason: { _tag, ...fields }, remedy, retryable } = describe(error)
  assert.strictEqual(`${error._tag}.${_tag}`, `${expected.error}.${expected.reason}`, message)
  assert.strictEqual("hop" in fields ? fields.hop : undefined, expected.hop)
  assert.deepInclude(fields, expected.fields)
  assert.strictEqual(retryable, expected.retryable)
  assert.isAbove(remedy.text.length, 10)
}

/** Runs an entry: connects, lets bytes pass, ends it, and looks for what should not be there. */
export const run = Effect.fn("World.run")(function*(
  entry: Entry.Entry,
  strategy: "master" | "plain",
  world: World
): Effect.fn.Return<void, unknown, Scope.Scope> {
  const { place, profile: fields } = yield* settle(entry, world.machines)
  const { dir } = place.names
  const own = String(dir)
  const there = before(own)
  const profile = toProfile(entry, fields, strategy, place.fill)
  const environment = Object.fromEntries(
    Object.entries(entry.environment ?? {}).map(([name, value]) => [name, value && place.fill(value)])
  )
  yield* Effect.scoped(Effect.gen(function*() {
    const reached = entry.program !== undefined
      ? yield* outside(world.host, profile, entry.program, environment)
      : yield* inside(
        entry.environment === undefined ? world.product : yield* Product.make({ environment }),
        profile
      )
    check(entry, reached)
    if (reached.url !== undefined) {
      const localPort = Number(new URL(reached.url).port)
      assert.include(yield* fetch(reached.url), "\"healthy\":true")
      if (process.platform === "linux") assert.deepStrictEqual(listeners(localPort), [loopback])
      yield* entry.connected?.({ ...place, localPort, run: reached.run }) ?? Effect.void
      yield* reached.end
      yield* soon(Effect.map(Port.isListening(localPort), (listening) => !listening), `port ${localPort} is free`)
    }
  }))
  // What a config makes ssh start has the directory among its arguments.
  yield* soon(
    Effect.map(ProcessTable.find({ directory: own }), (found) => found.length === 0),
    "nothing of it runs"
  )
  const appeared = before(own).filter((name) => !there.includes(name))
  assert.deepStrictEqual(appeared, [...entry.leaves ?? []].sort())
  yield* entry.afterwards?.(place) ?? Effect.void
})

/** What the product is run with, for entries that change nothing of it. */
export const make = (machines: Machines) =>
  Effect.all([Product.make(), bundled]).pipe(
    Effect.map(([product, host]): World => ({ machines, product, host }))
  )
