/** What is recorded: one ssh in a world of its own, to its end. */
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import type * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import type * as SshKey from "@opencode-ai/ssh-lab/SshKey"
import { Effect, type Scope } from "effect"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Argv from "../../packages/ssh-tunnel/src/internal/argv.ts"
import {
  environment,
  hostBlock,
  makeUser,
  optionsFor,
  server,
  type ServerOptions,
  type User,
  writeConfig,
  writeOverlay
} from "./user.ts"

export interface Recorded {
  readonly command: string
  readonly exit: string
  readonly stderr: string
}

export type Recording = Effect.Effect<Recorded, unknown, Scope.Scope>

export const exitOf = ({ code, signal }: Process.Exit): string => signal ?? String(code)

export const connecting = (user: User, host: string) => ({
  config: "overlay",
  destination: { host } as Parameters<typeof Argv.master>[0]["destination"],
  home: user.home
})

export interface Running {
  readonly ssh: Process.Process
  readonly record: Effect.Effect<Recorded, unknown>
}

export const start = Effect.fn("start")(function*(
  user: User,
  words: ReadonlyArray<string>,
  env: Readonly<Record<string, string | undefined>> = {},
  inNamespace?: string
) {
  const [command, args] = inNamespace === undefined
    ? ["ssh", words] as const
    : ["unshare", ["-rn", "sh", "-c", `${inNamespace}; exec ssh "$@"`, "sh", ...words]] as const
  const ssh = yield* Process.spawn(command, args, { cwd: user.home, env: { ...environment, ...env } })
  const running: Running = {
    ssh,
    record: Effect.gen(function*() {
      const exit = yield* ssh.exit
      yield* ssh.stderr.ended.pipe(Effect.timeoutOption(500))
      return {
        command: user.neutral(`ssh ${words.join(" ")}`),
        exit: exitOf(exit),
        stderr: user.neutral(yield* ssh.stderr.text)
      }
    })
  }
  return running
})

/** Runs the master that the product would run, to its end. */
export const run = Effect.fn("run")(function*(
  user: User,
  host: string,
  options: {
    readonly env?: Readonly<Record<string, string | undefined>>
    readonly words?: ReadonlyArray<string>
    /** Shell commands that set up a network namespace of its own. */
    readonly inNamespace?: string
  } = {}
) {
  const words = Argv.master({ ...connecting(user, host), socket: "c1" })
  const running = yield* start(user, [...(options.words ?? []), ...words], options.env, options.inNamespace)
  yield* running.ssh.exit.pipe(Effect.timeoutOrElse({
    duration: "20 seconds",
    orElse: () => running.ssh.kill("SIGTERM", "group")
  }))
  return yield* running.record
})

export const ready = "Entering interactive session."

/** The master, up and ready. */
export const up = Effect.fn("up")(function*(user: User, host: string) {
  const running = yield* start(user, Argv.master({ ...connecting(user, host), socket: "c1" }))
  yield* running.ssh.stderr.waitFor((line) => line.includes(ready), 1)
  return running
})

export const control = (user: User, words: ReadonlyArray<string>) =>
  Process.run("ssh", words, { cwd: user.home, env: environment })

/** Connects and waits for the end that the other side makes. */
export const touch = (port: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ host: "127.0.0.1", port })
    const done = () => resume(Effect.void)
    socket.on("error", done).on("close", done).resume()
    return Effect.sync(() => socket.destroy())
  })

/** A listener that does something else than ssh. */
export const listener = (behave: (socket: Net.Socket) => void): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: Net.Server; readonly sockets: Set<Net.Socket> }>((resume) => {
      const sockets = new Set<Net.Socket>()
      const server = Net.createServer((socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
        behave(socket)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, sockets })))
    }),
    ({ server, sockets }) =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
  ).pipe(Effect.map(({ server }) => (server.address() as Net.AddressInfo).port))

/** A listener that accepts nothing, and whose queue is full. */
export const fullListener = Effect.gen(function*() {
  const program = [
    "import socket, sys",
    "s = socket.socket()",
    "s.bind(('127.0.0.1', 0))",
    "s.listen(0)",
    "held = []",
    "for _ in range(4):",
    "  c = socket.socket()",
    "  c.setblocking(False)",
    "  c.connect_ex(s.getsockname())",
    "  held.append(c)",
    "print(s.getsockname()[1], flush=True)",
    "sys.stdin.read()"
  ]
  const python = yield* Process.spawn("python3", ["-c", program.join("\n")])
  return Number(yield* python.stdout.waitFor(/^\d+$/))
})

/** A user, one server that knows the user's key, and a config; `setUp` spoils something. */
export const withBox = (
  setUp: (user: User, box: Sshd.Sshd) => Effect.Effect<void, unknown> | void,
  options: {
    readonly server?: ServerOptions
    readonly known?: boolean
    readonly authorized?: boolean
    readonly lines?: ReadonlyArray<string>
    readonly env?: Readonly<Record<string, string | undefined>>
  } = {}
): Recording =>
  Effect.gen(function*() {
    const user = yield* makeUser
    const key = yield* user.key("id_ed25519")
    const box = yield* server(user, "box", optionsFor(user, options.server))
    if (options.authorized !== false) yield* box.authorize(key.publicKey)
    if (options.known !== false) user.know(...box.knownHosts)
    writeConfig(user, hostBlock("box", box.port, ...options.lines ?? []))
    writeOverlay(user)
    const effect = setUp(user, box)
    if (effect !== undefined) yield* effect
    return yield* run(user, "box", options.env === undefined ? {} : { env: options.env })
  })

/** A port behind which no sshd is. */
export const withPort = (
  port: (user: User) => Effect.Effect<number, unknown, Scope.Scope>,
  ...lines: ReadonlyArray<string>
): Recording =>
  Effect.gen(function*() {
    const user = yield* makeUser
    yield* user.key("id_ed25519")
    const number = yield* port(user)
    user.replace(String(number), "2201")
    writeConfig(user, hostBlock("box", number, ...lines))
    writeOverlay(user)
    return yield* run(user, "box")
  })

/** A broken config and no server: ssh ends before it connects. */
export const withConfig = (setUp: (user: User) => void): Recording =>
  Effect.gen(function*() {
    const user = yield* makeUser
    yield* user.key("id_ed25519")
    writeConfig(user, hostBlock("box", 1))
    writeOverlay(user)
    setUp(user)
    return yield* run(user, "box")
  })

/** A jump host and a server behind it. */
export const withJump = (
  setUp: (
    user: User,
    servers: { readonly bastion: Sshd.Sshd; readonly inner: Sshd.Sshd; readonly key: SshKey.SshKey }
  ) => Effect.Effect<void, unknown, Scope.Scope> | void,
  options: {
    readonly bastion?: ServerOptions
    readonly inner?: ServerOptions
    readonly config?: (user: User, ports: { readonly bastion: number; readonly inner: number }) => ReadonlyArray<string>
    readonly authorized?: ReadonlyArray<"bastion" | "inner">
    readonly known?: ReadonlyArray<"bastion" | "inner">
    readonly act?: (
      running: Running,
      servers: { readonly bastion: Sshd.Sshd; readonly inner: Sshd.Sshd }
    ) => Effect.Effect<
      void,
      unknown,
      Scope.Scope
    >
  } = {}
): Recording =>
  Effect.gen(function*() {
    const user = yield* makeUser
    const key = yield* user.key("id_ed25519")
    const bastion = yield* server(user, "bastion", optionsFor(user, options.bastion))
    const inner = yield* server(user, "inner", optionsFor(user, options.inner))
    for (const [name, sshd] of [["bastion", bastion], ["inner", inner]] as const) {
      if ((options.authorized ?? ["bastion", "inner"]).includes(name)) yield* sshd.authorize(key.publicKey)
      if ((options.known ?? ["bastion", "inner"]).includes(name)) user.know(...sshd.knownHosts)
    }
    writeConfig(
      user,
      ...options.config?.(user, { bastion: bastion.port, inner: inner.port }) ?? [
        hostBlock("bastion", bastion.port),
        hostBlock("inner", inner.port, "ProxyJump bastion")
      ]
    )
    writeOverlay(user)
    const effect = setUp(user, { bastion, inner, key })
    if (effect !== undefined) yield* effect
    if (options.act === undefined) return yield* run(user, "inner")
    const running = yield* start(user, Argv.master({ ...connecting(user, "inner"), socket: "c1" }))
    yield* running.ssh.stderr.waitFor((line) => line.includes("(via proxy)"))
    yield* running.ssh.stderr.waitFor((line) => line.includes(ready), 2)
    yield* options.act(running, { bastion, inner })
    return yield* running.record
  })

/** A connection that is up, and what happens to it then. */
export const established = (
  act: (running: Running, box: Sshd.Sshd, user: User) => Effect.Effect<void, unknown, Scope.Scope>,
  options: {
    readonly server?: ServerOptions
    readonly lines?: ReadonlyArray<string>
    readonly overlay?: (text: string) => string
  } = {}
): Recording =>
  Effect.gen(function*() {
    const user = yield* makeUser
    const key = yield* user.key("id_ed25519")
    const box = yield* server(user, "box", optionsFor(user, options.server))
    yield* box.authorize(key.publicKey)
    user.know(...box.knownHosts)
    writeConfig(user, hostBlock("box", box.port, ...options.lines ?? []))
    writeOverlay(user)
    if (options.overlay !== undefined) {
      user.write("overlay", options.overlay(Fs.readFileSync(user.path("overlay"), "utf8")))
    }
    const running = yield* up(user, "box")
    yield* act(running, box, user)
    return yield* running.record
  })

export const waitForLine = (running: Running, text: string, occurrence = 1) =>
  running.ssh.stderr.waitFor((line) => line.includes(text), occurrence)

/** Adds a forward to the master; its local port becomes 40001, 40002, … and its remote port 9001, … in the fixture. */
export const forward = Effect.fn("forward")(
  function*(user: User, index: number, remotePort?: number, localPort?: number) {
    const local = localPort ?? (yield* Port.free)
    const remote = remotePort ?? (yield* Port.free)
    user.replace(String(local), String(40000 + index))
    user.replace(String(remote), String(9000 + index))
    const result = yield* control(user, Argv.controlForward({ socket: "c1", localPort: local, remotePort: remote }))
    return { local, remote, result }
  }
)

export interface Scenario {
  readonly about: string
  readonly recording: Recording
}

/** Scenarios by the names of their fixtures. */
export type Scenarios = Readonly<Record<string, Scenario>>
