/**
 * Records what the real ssh prints in situations that really occur, as fixtures of the classifier:
 *
 *     node scripts/record-transcripts.ts [NAME…]     all scenarios, or those whose name contains a NAME
 *
 * Everything happens on 127.0.0.1 with throw-away servers and keys. Paths, ports, fingerprints and the user's name are
 * replaced by neutral ones; nothing else is changed.
 */
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as SshKey from "@opencode-ai/ssh-lab/SshKey"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, Result, type Scope } from "effect"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import * as Argv from "../packages/ssh-tunnel/src/internal/argv.ts"
import { overlay } from "../packages/ssh-tunnel/src/internal/overlay.ts"

const directory = Path.join(import.meta.dirname, "..", "packages", "ssh-tunnel", "test", "fixtures", "stderr")

// ---------------------------------------------------------------------------------------------------------------------
// A user's ssh, as the product runs it: the overlay by -F, in a directory of its own.

interface User {
  /** `/home/me/.ssh` in the fixtures. */
  readonly home: string
  readonly path: (name: string) => string
  readonly write: (name: string, text: string, mode?: number) => string
  readonly key: (name: string, options?: Parameters<typeof SshKey.make>[1]) => Effect.Effect<SshKey.SshKey, unknown>
  /** Appends to known_hosts. */
  readonly know: (...lines: ReadonlyArray<string>) => void
  /** Texts that are replaced in the fixture. */
  readonly replace: (from: string, to: string) => void
  readonly neutral: (text: string) => string
}

const environment = {
  SSH_AUTH_SOCK: undefined,
  SSH_ASKPASS: undefined,
  DISPLAY: undefined,
  WAYLAND_DISPLAY: undefined,
  SSH_ASKPASS_REQUIRE: "never",
  LC_ALL: "C"
}

const makeUser = Effect.gen(function*() {
  const home = yield* TempDirectory.make()
  const replacements: Array<readonly [string, string]> = [[home, "/home/me/.ssh"]]
  const write = (name: string, text: string, mode = 0o600) => {
    const file = Path.join(home, name)
    Fs.writeFileSync(file, text)
    Fs.chmodSync(file, mode)
    return file
  }
  write("known_hosts", "")
  const fingerprint = (key: SshKey.SshKey, name: string) => {
    const neutral = `SHA256:${name.replace(/[^A-Za-z0-9]/g, "+")}`.padEnd("SHA256:".length + 43, "0")
    replacements.push([key.fingerprint, neutral])
  }
  const user: User = {
    home,
    path: (name) => Path.join(home, name),
    write,
    key: (name, options) =>
      SshKey.make(Path.join(home, name), { comment: "me@laptop", ...options }).pipe(
        Effect.tap((key) => Effect.sync(() => fingerprint(key, name)))
      ),
    know: (...lines) => Fs.appendFileSync(Path.join(home, "known_hosts"), lines.map((line) => `${line}\n`).join("")),
    replace: (from, to) => void replacements.push([from, to]),
    neutral: (text) => {
      const name = Os.userInfo().username
      const neutral = [...replacements].sort(([a], [b]) => b.length - a.length)
        .reduce((text, [from, to]) => text.replaceAll(from, to), text)
      return neutral
        .replaceAll(`${Os.userInfo().homedir}/`, "/home/me/")
        .replaceAll(`'${name}'`, "'me'")
        .replaceAll(`${name}@`, "me@")
    }
  }
  return user
})

/** A server with its neutral name: its port, key and files are replaced in the fixture. */
const server = Effect.fn("server")(function*(
  user: User,
  name: "box" | "bastion" | "inner",
  options?: Parameters<typeof Sshd.make>[0]
) {
  const sshd = yield* Sshd.make(options)
  user.replace(sshd.directory, `/etc/${name}`)
  user.replace(String(sshd.port), { box: "2201", bastion: "2202", inner: "2203" }[name])
  for (const key of sshd.hostKeys) {
    user.replace(key.fingerprint, `SHA256:${name}+${key.type}`.padEnd("SHA256:".length + 43, "0"))
  }
  user.replace(sshd.key.fingerprint, `SHA256:${name}+client`.padEnd("SHA256:".length + 43, "0"))
  return sshd
})

type ServerOptions = Parameters<typeof Sshd.make>[0] | ((user: User) => Parameters<typeof Sshd.make>[0])

const optionsFor = (user: User, options: ServerOptions): Parameters<typeof Sshd.make>[0] =>
  typeof options === "function" ? options(user) : options

const hostBlock = (name: string, port: number, ...lines: ReadonlyArray<string>): string =>
  [`Host ${name}`, ...lines, "HostName 127.0.0.1", `Port ${port}`, ""].join("\n")

/** The user's ssh config, complete: no file of the real user is read. */
const writeConfig = (user: User, ...blocks: ReadonlyArray<string>): void => {
  user.write(
    "config",
    [
      ...blocks,
      "Host *",
      `  UserKnownHostsFile "${user.path("known_hosts")}"`,
      "  GlobalKnownHostsFile /dev/null",
      "  IdentitiesOnly yes",
      // Identity files add up; a host that names its own has no other.
      ...(blocks.some((block) => /^ *IdentityFile /m.test(block))
        ? []
        : [`  IdentityFile "${user.path("id_ed25519")}"`]),
      ""
    ].join("\n")
  )
}

const writeOverlay = (user: User, userConfig: string = user.path("config")): void => {
  const text = overlay({
    userConfig,
    home: Os.userInfo().homedir,
    systemConfig: "none",
    sshVersion: { major: 9, minor: 2 }
  })
  user.write("overlay", Result.getOrThrow(text))
}

// ---------------------------------------------------------------------------------------------------------------------

interface Recorded {
  readonly command: string
  readonly exit: string
  readonly stderr: string
}

type Recording = Effect.Effect<Recorded, unknown, Scope.Scope>

const exitOf = ({ code, signal }: Process.Exit): string => signal ?? String(code)

const connecting = (user: User, host: string) => ({
  config: "overlay",
  destination: { host } as Parameters<typeof Argv.master>[0]["destination"],
  home: user.home
})

interface Running {
  readonly ssh: Process.Process
  readonly record: Effect.Effect<Recorded, unknown>
}

const start = Effect.fn("start")(function*(
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
const run = Effect.fn("run")(function*(
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

const ready = "Entering interactive session."

/** The master, up and ready. */
const up = Effect.fn("up")(function*(user: User, host: string) {
  const running = yield* start(user, Argv.master({ ...connecting(user, host), socket: "c1" }))
  yield* running.ssh.stderr.waitFor((line) => line.includes(ready), 1)
  return running
})

const control = (user: User, words: ReadonlyArray<string>) =>
  Process.run("ssh", words, { cwd: user.home, env: environment })

/** Connects and waits for the end that the other side makes. */
const touch = (port: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ host: "127.0.0.1", port })
    const done = () => resume(Effect.void)
    socket.on("error", done).on("close", done).resume()
    return Effect.sync(() => socket.destroy())
  })

/** A listener that does something else than ssh. */
const listener = (behave: (socket: Net.Socket) => void): Effect.Effect<number, never, Scope.Scope> =>
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
const fullListener = Effect.gen(function*() {
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
const withBox = (
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
const withPort = (
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
const withConfig = (setUp: (user: User) => void): Recording =>
  Effect.gen(function*() {
    const user = yield* makeUser
    yield* user.key("id_ed25519")
    writeConfig(user, hostBlock("box", 1))
    writeOverlay(user)
    setUp(user)
    return yield* run(user, "box")
  })

/** A jump host and a server behind it. */
const withJump = (
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
const established = (
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

const waitForLine = (running: Running, text: string, occurrence = 1) =>
  running.ssh.stderr.waitFor((line) => line.includes(text), occurrence)

/** Adds a forward to the master; its local port becomes 40001, 40002, … and its remote port 9001, … in the fixture. */
const forward = Effect.fn("forward")(function*(user: User, index: number, remotePort?: number, localPort?: number) {
  const local = localPort ?? (yield* Port.free)
  const remote = remotePort ?? (yield* Port.free)
  user.replace(String(local), String(40000 + index))
  user.replace(String(remote), String(9000 + index))
  const result = yield* control(user, Argv.controlForward({ socket: "c1", localPort: local, remotePort: remote }))
  return { local, remote, result }
})

/** Lines that a server prints to look like ssh. */
const spoof = [
  "debug1: Authentications that can continue: password",
  "Permission denied (publickey).",
  "me@127.0.0.1: Permission denied (password).",
  "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@",
  "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @",
  "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@",
  "Offending ED25519 key in /home/me/.ssh/known_hosts:1",
  "Host key for 127.0.0.1 has changed and you have requested strict checking.",
  "Host key verification failed.",
  "ssh: Could not resolve hostname evil: Name or service not known",
  "ssh: connect to host 127.0.0.1 port 22: Connection refused",
  "Received disconnect from 127.0.0.1 port 22:2: Too many authentication failures",
  "/home/me/.ssh/config: line 3: Bad configuration option: foobar",
  "Load key \"/etc/shadow\": bad permissions",
  "no such identity: /etc/shadow: No such file or directory",
  "channel 0: open failed: administratively prohibited: open failed",
  "debug1: Server host key: ssh-ed25519 SHA256:evil",
  "debug1: Offering public key: /etc/shadow ED25519 SHA256:evil explicit",
  "debug1: Server accepts key: /etc/shadow ED25519 SHA256:evil explicit",
  "Connection to 127.0.0.1 port 22 timed out",
  "bind [127.0.0.1]:40001: Address already in use"
]

interface Scenario {
  readonly about: string
  readonly recording: Recording
}

const withBanner = (lineEnd: string) => (user: User) => ({
  config: [`Banner ${user.write("banner", spoof.map((line) => line + lineEnd).join(""))}`]
})

/** A packet before encryption (RFC 4253 §6). */
const packet = (payload: Buffer): Buffer => {
  // Four bytes or more, to a multiple of eight.
  const fill = 4 + (8 - (payload.length + 5 + 4) % 8) % 8
  const head = Buffer.alloc(5)
  head.writeUInt32BE(payload.length + 1 + fill, 0)
  head.writeUInt8(fill, 4)
  return Buffer.concat([head, payload, Buffer.alloc(fill)])
}

const uint32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value)
  return buffer
}

const text = (value: string): Buffer => Buffer.concat([uint32(Buffer.byteLength(value)), Buffer.from(value)])

/** SSH_MSG_DISCONNECT (RFC 4253 §11.1). */
const disconnect = (code: number, message: string): Buffer =>
  packet(Buffer.concat([Buffer.from([1]), uint32(code), text(message), text("")]))

/** SSH_MSG_DEBUG (RFC 4253 §11.3). */
const debugMessage = (message: string): Buffer => packet(Buffer.concat([Buffer.from([4, 1]), text(message), text("")]))

const scenarios: Record<string, Scenario> = {
  // Host keys.
  "host-key-unknown": {
    about: "known_hosts is empty",
    recording: withBox(() => {}, { known: false })
  },
  "host-key-unknown-dev-null": {
    about: "UserKnownHostsFile /dev/null",
    recording: withBox(() => {}, { lines: ["UserKnownHostsFile /dev/null"] })
  },
  "host-key-unknown-missing-file": {
    about: "UserKnownHostsFile does not exist",
    recording: withBox((user) => Fs.rmSync(user.path("known_hosts")))
  },
  "host-key-changed": {
    about: "known_hosts has another key of the same type",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        const old = yield* user.key("old_host_key")
        user.know(`[127.0.0.1]:${box.port} ${old.publicKey}`)
      }), { known: false })
  },
  "host-key-changed-two-types": {
    about: "known_hosts has another ed25519 key and, after it, an rsa key: ssh names the last",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        const old = yield* user.key("old_host_key")
        const rsa = yield* user.key("old_host_rsa", { type: "rsa" })
        user.know(`[127.0.0.1]:${box.port} ${old.publicKey}`, `[127.0.0.1]:${box.port} ${rsa.publicKey}`)
      }), { known: false })
  },
  "host-key-other-type-known": {
    about: "known_hosts has only an rsa key, the server only an ed25519 key",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        const rsa = yield* user.key("old_host_rsa", { type: "rsa" })
        user.know(`[127.0.0.1]:${box.port} ${rsa.publicKey}`)
      }), { known: false })
  },
  "host-key-changed-alias": {
    about: "another key, with a HostKeyAlias",
    recording: withBox((user) =>
      Effect.gen(function*() {
        const old = yield* user.key("old_host_key")
        user.know(`the-box ${old.publicKey}`)
      }), { known: false, lines: ["HostKeyAlias the-box"] })
  },
  "host-key-revoked-marker": {
    about: "@revoked in known_hosts",
    recording: withBox((user, box) => user.know(...box.knownHosts.map((line) => `@revoked ${line}`)))
  },
  "host-key-revoked-krl": {
    about: "RevokedHostKeys is a KRL with this key",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        writeConfig(user, hostBlock("box", box.port, `RevokedHostKeys ${user.path("revoked")}`))
        yield* Process.output("ssh-keygen", ["-q", "-k", "-f", user.path("revoked"), `${box.hostKeys[0]?.file}.pub`])
      })
    )
  },
  "host-key-revoked-krl-missing": {
    about: "RevokedHostKeys names a file that does not exist",
    recording: withBox((user, box) =>
      writeConfig(user, hostBlock("box", box.port, `RevokedHostKeys ${user.path("revoked")}`))
    )
  },
  "host-key-revoked-krl-malformed": {
    about: "RevokedHostKeys names a file that is no KRL",
    recording: withBox((user, box) => {
      user.write("revoked", "no list of keys\n")
      writeConfig(user, hostBlock("box", box.port, `RevokedHostKeys ${user.path("revoked")}`))
    })
  },
  "host-certificate-unknown-authority": {
    about: "the server shows a certificate, known_hosts has neither its authority nor its key",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        const authority = yield* user.key("authority")
        const host = box.hostKeys[0]?.file ?? ""
        Fs.copyFileSync(`${host}.pub`, user.path("host.pub"))
        yield* Process.output("ssh-keygen", ["-q", "-s", authority.file, "-I", "box", "-h", user.path("host.pub")])
        yield* box.stop
        yield* box.start
      }), {
      known: false,
      server: (user) => ({ config: [`HostCertificate ${user.path("host-cert.pub")}`] })
    })
  },

  // Authentication.
  "key-refused": {
    about: "the server does not know the key",
    recording: withBox(() => {}, { authorized: false })
  },
  "key-refused-password-left": {
    about: "the server does not know the key and would take a password",
    recording: withBox(() => {}, { authorized: false, server: { config: ["PasswordAuthentication yes"] } })
  },
  "no-key-to-offer": {
    about: "IdentityFile none, no agent",
    recording: withBox((user, box) => writeConfig(user, hostBlock("box", box.port, "IdentityFile none")))
  },
  "no-default-key": {
    about: "no IdentityFile, no agent, no default key",
    recording: withBox((user, box) =>
      void user.write(
        "config",
        [
          hostBlock("box", box.port),
          "Host *",
          `  UserKnownHostsFile ${user.path("known_hosts")}`,
          "  GlobalKnownHostsFile /dev/null",
          ""
        ].join("\n")
      )
    )
  },
  "key-locked": {
    about: "the key has a passphrase, the server accepts it",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        Fs.rmSync(user.path("id_ed25519"))
        Fs.rmSync(user.path("id_ed25519.pub"))
        const key = yield* user.key("id_ed25519", { passphrase: "secret" })
        yield* box.authorize(key.publicKey)
      })
    )
  },
  "key-locked-refused": {
    about: "the key has a passphrase, the server does not know it",
    recording: withBox((user) =>
      Effect.gen(function*() {
        Fs.rmSync(user.path("id_ed25519"))
        Fs.rmSync(user.path("id_ed25519.pub"))
        yield* user.key("id_ed25519", { passphrase: "secret" })
      }), { authorized: false })
  },
  "key-locked-without-public": {
    about: "the key has a passphrase, in the PEM format that hides the public half; no .pub beside it",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        Fs.rmSync(user.path("id_ed25519"))
        Fs.rmSync(user.path("id_ed25519.pub"))
        const key = yield* user.key("id_rsa", { type: "rsa" })
        yield* Process.output("ssh-keygen", ["-q", "-p", "-m", "PEM", "-f", key.file, "-N", "secret"])
        Fs.rmSync(`${key.file}.pub`)
        yield* box.authorize(key.publicKey)
        writeConfig(user, hostBlock("box", box.port, `IdentityFile ${key.file}`))
      })
    )
  },
  "key-without-public": {
    about: "a PEM key without passphrase and without .pub, refused",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        Fs.rmSync(user.path("id_ed25519"))
        Fs.rmSync(user.path("id_ed25519.pub"))
        const key = yield* user.key("id_rsa", { type: "rsa" })
        yield* Process.output("ssh-keygen", ["-q", "-p", "-m", "PEM", "-f", key.file, "-N", ""])
        Fs.rmSync(`${key.file}.pub`)
        writeConfig(user, hostBlock("box", box.port, `IdentityFile ${key.file}`))
      })
    )
  },
  "key-one-refused-one-locked": {
    about: "one key is refused, another is accepted but locked",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        const locked = yield* user.key("id_locked", { passphrase: "secret" })
        yield* box.authorize(locked.publicKey)
        writeConfig(
          user,
          hostBlock("box", box.port, `IdentityFile ${user.path("id_ed25519")}`, `IdentityFile ${locked.file}`)
        )
      }), { authorized: false })
  },
  "password-only": {
    about: "the server takes passwords only",
    recording: withBox(() => {}, { server: { config: ["PasswordAuthentication yes", "PubkeyAuthentication no"] } })
  },
  "keyboard-interactive-only": {
    about: "the server takes keyboard-interactive only",
    recording: withBox(() => {}, {
      server: { config: ["KbdInteractiveAuthentication yes", "PubkeyAuthentication no", "UsePAM yes"] }
    })
  },
  "password-and-keyboard-interactive": {
    about: "the server takes both",
    recording: withBox(() => {}, {
      server: {
        config: [
          "KbdInteractiveAuthentication yes",
          "PasswordAuthentication yes",
          "PubkeyAuthentication no",
          "UsePAM yes"
        ]
      }
    })
  },
  "key-then-password": {
    about: "AuthenticationMethods publickey,password",
    recording: withBox(() => {}, {
      server: { config: ["PasswordAuthentication yes", "AuthenticationMethods publickey,password"] }
    })
  },
  "key-then-keyboard-interactive": {
    about: "AuthenticationMethods publickey,keyboard-interactive",
    recording: withBox(() => {}, {
      server: {
        config: [
          "KbdInteractiveAuthentication yes",
          "UsePAM yes",
          "AuthenticationMethods publickey,keyboard-interactive"
        ]
      }
    })
  },
  "key-then-key": {
    about: "AuthenticationMethods publickey,publickey with one key",
    recording: withBox(() => {}, { server: { config: ["AuthenticationMethods publickey,publickey"] } })
  },
  "too-many-failures": {
    about: "eight identity files, none of them known; MaxAuthTries 6",
    recording: withBox((user, box) =>
      Effect.gen(function*() {
        const keys = yield* Effect.forEach(Array.from({ length: 8 }, (_, i) => `id_${i}`), (name) => user.key(name))
        writeConfig(user, hostBlock("box", box.port, ...keys.map(({ file }) => `IdentityFile ${file}`)))
      }), { authorized: false })
  },
  "too-many-failures-agent": {
    about: "an agent with eight keys, none of them known",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const box = yield* server(user, "box")
      user.know(...box.knownHosts)
      const socket = user.path("agent")
      const agent = yield* Process.spawn("ssh-agent", ["-D", "-a", socket])
      yield* agent.stdout.waitFor("SSH_AUTH_SOCK")
      for (let i = 0; i < 8; i++) {
        const key = yield* user.key(`id_${i}`)
        yield* Process.output("ssh-add", ["-q", key.file], { env: { SSH_AUTH_SOCK: socket } })
      }
      writeConfig(user, hostBlock("box", box.port, "IdentitiesOnly no"))
      writeOverlay(user)
      return yield* run(user, "box", { env: { SSH_AUTH_SOCK: socket } })
    })
  },
  "agent-refuses": {
    about: "the agent wants a confirmation (ssh-add -c) that nobody gives",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const box = yield* server(user, "box")
      user.know(...box.knownHosts)
      const key = yield* user.key("id_confirm")
      yield* box.authorize(key.publicKey)
      const socket = user.path("agent")
      const agent = yield* Process.spawn("ssh-agent", ["-D", "-a", socket], {
        env: { SSH_ASKPASS: "/bin/false", DISPLAY: undefined, SSH_ASKPASS_REQUIRE: "force" }
      })
      yield* agent.stdout.waitFor("SSH_AUTH_SOCK")
      yield* Process.output("ssh-add", ["-q", "-c", key.file], { env: { SSH_AUTH_SOCK: socket } })
      Fs.rmSync(key.file)
      writeConfig(user, hostBlock("box", box.port, "IdentitiesOnly no"))
      writeOverlay(user)
      return yield* run(user, "box", { env: { SSH_AUTH_SOCK: socket } })
    })
  },
  "agent-gone": {
    about: "SSH_AUTH_SOCK names a socket behind which nobody is; the key file is refused",
    recording: withBox(
      (user, box) =>
        writeConfig(user, hostBlock("box", box.port, "IdentitiesOnly no", `IdentityAgent ${user.path("nobody")}`)),
      {
        authorized: false
      }
    )
  },

  // Identity files.
  "identity-missing": {
    about: "IdentityFile does not exist",
    recording: withBox((user) => {
      Fs.rmSync(user.path("id_ed25519"))
      Fs.rmSync(user.path("id_ed25519.pub"))
    })
  },
  "identity-private-missing": {
    about: "only the .pub is there, and the server accepts it",
    recording: withBox((user) => Fs.rmSync(user.path("id_ed25519")))
  },
  "identity-missing-i": {
    about: "ssh -i FILE that does not exist, and no default key",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const box = yield* server(user, "box")
      user.know(...box.knownHosts)
      writeConfig(user, hostBlock("box", box.port))
      writeOverlay(user)
      return yield* run(user, "box", { words: ["-i", user.path("id_other")] })
    })
  },
  "identity-permissions": {
    about: "IdentityFile has mode 0644",
    recording: withBox((user) => Fs.chmodSync(user.path("id_ed25519"), 0o644))
  },
  "identity-permissions-without-public": {
    about: "IdentityFile has mode 0644, no .pub beside it",
    recording: withBox((user) => {
      Fs.chmodSync(user.path("id_ed25519"), 0o644)
      Fs.rmSync(user.path("id_ed25519.pub"))
    })
  },
  "identity-malformed": {
    about: "IdentityFile holds something else",
    recording: withBox((user) => {
      user.write("id_ed25519", "this is no key\n")
      Fs.rmSync(user.path("id_ed25519.pub"))
    })
  },
  "identity-malformed-beside-public": {
    about: "IdentityFile holds something else, the .pub beside it is good",
    recording: withBox((user) => void user.write("id_ed25519", "this is no key\n"))
  },
  "identity-truncated": {
    about: "IdentityFile has lost its second half, the .pub beside it is good",
    recording: withBox((user) => {
      const text = Fs.readFileSync(user.path("id_ed25519"), "utf8")
      user.write("id_ed25519", text.slice(0, text.length / 2))
    })
  },
  "identity-empty": {
    about: "IdentityFile is empty, no .pub beside it",
    recording: withBox((user) => {
      user.write("id_ed25519", "")
      Fs.rmSync(user.path("id_ed25519.pub"))
    })
  },
  "identity-directory": {
    about: "IdentityFile is a directory",
    recording: withBox((user) => {
      Fs.rmSync(user.path("id_ed25519"))
      Fs.rmSync(user.path("id_ed25519.pub"))
      Fs.mkdirSync(user.path("id_ed25519"), { mode: 0o700 })
    })
  },
  "identity-public": {
    about: "IdentityFile names the .pub (0644)",
    recording: withBox((user, box) =>
      writeConfig(user, hostBlock("box", box.port, `IdentityFile ${user.path("id_ed25519.pub")}`))
    )
  },
  "identity-public-0600": {
    about: "IdentityFile names the .pub, with mode 0600",
    recording: withBox((user, box) => {
      Fs.chmodSync(user.path("id_ed25519.pub"), 0o600)
      writeConfig(user, hostBlock("box", box.port, `IdentityFile ${user.path("id_ed25519.pub")}`))
    })
  },
  "identity-missing-other-refused": {
    about: "one IdentityFile does not exist, another is refused",
    recording: withBox((user, box) =>
      writeConfig(
        user,
        hostBlock("box", box.port, `IdentityFile ${user.path("id_gone")}`, `IdentityFile ${user.path("id_ed25519")}`)
      ), { authorized: false })
  },

  // Reaching the server.
  "name-not-found": {
    about: "the resolver knows no such name",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      yield* user.key("id_ed25519")
      writeConfig(user)
      writeOverlay(user)
      return yield* run(user, "no-such-host.invalid")
    })
  },
  "refused": {
    about: "nobody listens on the port",
    recording: withPort(() => Port.free)
  },
  "timed-out": {
    about: "the network swallows every packet (a blackhole); ConnectTimeout 1",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      yield* user.key("id_ed25519")
      // A listener whose queue of connections is full: the kernel drops what comes more.
      const port = yield* fullListener
      user.replace(String(port), "2201")
      writeConfig(user, hostBlock("box", port, "ConnectTimeout 1"))
      writeOverlay(user)
      return yield* run(user, "box")
    })
  },
  "unreachable": {
    about: "a destination for which this machine has no way",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      yield* user.key("id_ed25519")
      writeConfig(user, ["Host box", "HostName 255.255.255.255", "Port 2201", ""].join("\n"))
      writeOverlay(user)
      return yield* run(user, "box")
    })
  },
  "name-resolver-down": {
    about: "no network at all: no name server can be asked",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      writeConfig(user)
      writeOverlay(user)
      return yield* run(user, "host.example", { inNamespace: ":" })
    })
  },
  "no-route": {
    about: "a route of type unreachable, as a router's answer",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      writeConfig(user, ["Host box", "HostName 192.0.2.1", ""].join("\n"))
      writeOverlay(user)
      return yield* run(user, "box", { inNamespace: "ip link set lo up; ip route add unreachable 192.0.2.1" })
    })
  },
  "prohibited-locally": {
    about: "a route of type prohibit, as a firewall of this machine",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      writeConfig(user, ["Host box", "HostName 192.0.2.1", ""].join("\n"))
      writeOverlay(user)
      return yield* run(user, "box", { inNamespace: "ip link set lo up; ip route add prohibit 192.0.2.1" })
    })
  },
  "two-addresses-refused": {
    about: "a name with two addresses; nobody listens at either",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      yield* user.key("id_ed25519")
      const port = yield* Port.free
      user.replace(String(port), "2201")
      writeConfig(user, ["Host box", "HostName localhost", `Port ${port}`, ""].join("\n"))
      writeOverlay(user)
      return yield* run(user, "box")
    })
  },
  "banner-never": {
    about: "the port is open, nobody speaks; ConnectTimeout 1",
    recording: withPort(() => listener(() => {}), "ConnectTimeout 1")
  },
  "key-exchange-stalls": {
    about: "a banner, then silence; ServerAliveInterval as the product's, shortened",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      yield* user.key("id_ed25519")
      const port = yield* listener((socket) => void socket.write("SSH-2.0-OpenSSH_9.2p1\r\n"))
      user.replace(String(port), "2201")
      writeConfig(user, hostBlock("box", port))
      writeOverlay(user)
      const text = Fs.readFileSync(user.path("overlay"), "utf8")
      user.write("overlay", text.replace("ServerAliveInterval 5", "ServerAliveInterval 1"))
      return yield* run(user, "box")
    })
  },
  "closed-at-accept": {
    about: "the port closes each connection at once",
    recording: withPort(() => listener((socket) => void socket.end()))
  },
  "reset-at-accept": {
    about: "the port resets each connection at once",
    recording: withPort(() => listener((socket) => void socket.resetAndDestroy()))
  },
  "closed-after-banner": {
    about: "a banner, then the end",
    recording: withPort(() => listener((socket) => void socket.end("SSH-2.0-OpenSSH_9.2p1\r\n")))
  },
  "not-ssh-http": {
    about: "an HTTP server",
    recording: withPort(() =>
      listener((socket) =>
        void socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"))
      )
    )
  },
  "not-ssh-binary": {
    about: "a server that speaks something else first (TLS alert bytes)",
    recording: withPort(() => listener((socket) => void socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 70, 0, 255, 10]))))
  },
  "not-ssh-endless": {
    about: "a server that sends lines without end before its version",
    recording: withPort(() => listener((socket) => void socket.write("hello\r\n".repeat(2000))))
  },
  "protocol-1": {
    about: "a server with protocol 1 only",
    recording: withPort(() => listener((socket) => void socket.write("SSH-1.5-OldServer\r\n")))
  },
  "max-startups": {
    about: "MaxStartups 1 is used up by a client that does not log in",
    recording: withBox((_, box) =>
      Effect.promise(() =>
        new Promise<void>((resolve) => {
          const socket = Net.connect(box.port, "127.0.0.1")
          socket.once("data", () => resolve()).on("error", () => {})
          socket.unref()
        })
      ), { server: { config: ["MaxStartups 1"] } })
  },
  "no-common-cipher": {
    about: "the server has other ciphers only",
    recording: withBox(() => {}, { server: { config: ["Ciphers aes128-ctr"] }, lines: ["Ciphers aes256-ctr"] })
  },
  "no-common-key-exchange": {
    about: "the server has other key exchange methods only",
    recording: withBox(() => {}, {
      server: { config: ["KexAlgorithms ecdh-sha2-nistp521"] },
      lines: ["KexAlgorithms curve25519-sha256"]
    })
  },
  "no-common-host-key": {
    about: "the server has other host key types only",
    recording: withBox(() => {}, { lines: ["HostKeyAlgorithms rsa-sha2-512"] })
  },
  "no-common-mac": {
    about: "the server has other MACs only",
    recording: withBox(() => {}, {
      server: { config: ["Ciphers aes128-ctr", "MACs hmac-sha2-256"] },
      lines: ["Ciphers aes128-ctr", "MACs hmac-sha2-512"]
    })
  },

  // The user's configuration.
  "config-unknown-keyword": {
    about: "line 2 has a keyword that ssh does not know",
    recording: withConfig((user) => void user.write("config", "Host *\n  Foobar yes\n"))
  },
  "config-bad-value": {
    about: "line 2 has a bad port",
    recording: withConfig((user) => void user.write("config", "Host *\n  Port abc\n"))
  },
  "config-bad-time": {
    about: "line 2 has a bad time",
    recording: withConfig((user) => void user.write("config", "Host *\n  ConnectTimeout soon\n"))
  },
  "config-bad-yes-no": {
    about: "line 2 has another word than yes or no",
    recording: withConfig((user) => void user.write("config", "Host *\n  Compression perhaps\n"))
  },
  "config-bad-quotes": {
    about: "line 2 has an open quote",
    recording: withConfig((user) => void user.write("config", "Host *\n  User \"me\n"))
  },
  "config-extra-argument": {
    about: "line 2 has a word too much",
    recording: withConfig((user) => void user.write("config", "Host *\n  Port 22 23\n"))
  },
  "config-missing-argument": {
    about: "line 2 has a keyword without value",
    recording: withConfig((user) => void user.write("config", "Host *\n  Port\n"))
  },
  "config-bad-match": {
    about: "line 1 is a Match with a word that does not exist",
    recording: withConfig((user) => void user.write("config", "Match weather sunny\n  Port 22\n"))
  },
  "config-bad-jump": {
    about: "line 2 has a ProxyJump that is none",
    recording: withConfig((user) => void user.write("config", "Host *\n  ProxyJump a b\n"))
  },
  "config-unsupported-option": {
    about: "line 2 has a keyword that this ssh was built without: a warning, and the host does not exist",
    recording: withConfig((user) =>
      void user.write("config", "Host *\n  SmartcardDevice 1\n  HostName no-such-host.invalid\n")
    )
  },
  "config-deprecated-option": {
    about: "line 2 has a keyword of long ago: a note, and the host does not exist",
    recording: withConfig((user) =>
      void user.write("config", "Host *\n  Protocol 2\n  HostName no-such-host.invalid\n")
    )
  },
  "config-unreadable": {
    about: "the config file cannot be opened (a symbolic link to itself)",
    recording: withConfig((user) => {
      Fs.rmSync(user.path("config"))
      Fs.symlinkSync("config", user.path("config"))
    })
  },
  "config-included-unreadable": {
    about: "an included file cannot be opened (a symbolic link to itself)",
    recording: withConfig((user) => {
      Fs.symlinkSync("work", user.path("work"))
      user.write("config", `Include ${user.path("work")}\n`)
    })
  },
  "config-jump-loop": {
    about: "a host that jumps over itself",
    recording: withConfig((user) => void user.write("config", "Host a\n  ProxyJump a\nHost *\n  ProxyJump a\n"))
  },
  "config-bad-algorithms": {
    about: "line 2 has a cipher that does not exist",
    recording: withConfig((user) => void user.write("config", "Host *\n  Ciphers rot13\n"))
  },
  "config-included-bad": {
    about: "an included file has an unknown keyword",
    recording: withConfig((user) => {
      user.write("work", "# work\nFoobar yes\n")
      user.write("config", `Include ${user.path("work")}\n`)
    })
  },
  "config-permissions": {
    about: "the config file has mode 0666",
    recording: withConfig((user) => Fs.chmodSync(user.path("config"), 0o666))
  },
  "config-included-permissions": {
    about: "an included file has mode 0666",
    recording: withConfig((user) => {
      user.write("work", "Host *\n", 0o666)
      user.write("config", `Include ${user.path("work")}\n`)
    })
  },
  "config-directory": {
    about: "the config file is a directory",
    recording: withConfig((user) => {
      Fs.rmSync(user.path("config"))
      Fs.mkdirSync(user.path("config"), { mode: 0o700 })
    })
  },
  "config-agent-variable": {
    about: "IdentityAgent names a variable that is not set",
    recording: withConfig((user) => void user.write("config", "Host *\n  IdentityAgent ${NO_SUCH_VARIABLE}\n"))
  },
  "config-missing-f": {
    about: "ssh -F names a file that does not exist",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const { record } = yield* start(user, ["-F", user.path("gone"), "-N", "--", "box"])
      return yield* record
    })
  },
  "config-bad-option": {
    about: "a bad -o on the command line",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const { record } = yield* start(user, ["-F", "none", "-o", "Foobar=yes", "-N", "--", "box"])
      return yield* record
    })
  },
  "control-socket-directory-missing": {
    about: "-S in a directory that does not exist",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const key = yield* user.key("id_ed25519")
      const box = yield* server(user, "box")
      yield* box.authorize(key.publicKey)
      user.know(...box.knownHosts)
      writeConfig(user, hostBlock("box", box.port))
      writeOverlay(user)
      const { record } = yield* start(user, Argv.master({ ...connecting(user, "box"), socket: "gone/c1" }))
      return yield* record
    })
  },
  "control-socket-too-long": {
    about: "-S with a path of 120 characters",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const key = yield* user.key("id_ed25519")
      const box = yield* server(user, "box")
      yield* box.authorize(key.publicKey)
      user.know(...box.knownHosts)
      writeConfig(user, hostBlock("box", box.port))
      writeOverlay(user)
      const { record } = yield* start(user, Argv.master({ ...connecting(user, "box"), socket: "c".repeat(120) }))
      return yield* record
    })
  },

  // Jump hosts.
  "jump-host-key-unknown": {
    about: "the jump host's key is unknown, the target's is known",
    recording: withJump(() => {}, { known: ["inner"] })
  },
  "jump-target-key-unknown": {
    about: "the jump host's key is known, the target's is not",
    recording: withJump(() => {}, { known: ["bastion"] })
  },
  "jump-host-key-changed": {
    about: "the jump host shows another key",
    recording: withJump((user, { bastion }) =>
      Effect.gen(function*() {
        const old = yield* user.key("old_host_key")
        user.know(`[127.0.0.1]:${bastion.port} ${old.publicKey}`)
      }), { known: ["inner"] })
  },
  "jump-key-refused": {
    about: "the jump host refuses the key",
    recording: withJump(() => {}, { authorized: ["inner"] })
  },
  "jump-target-key-refused": {
    about: "the target refuses the key",
    recording: withJump(() => {}, { authorized: ["bastion"] })
  },
  "jump-password-only": {
    about: "the jump host takes passwords only",
    recording: withJump(() => {}, {
      bastion: { config: ["PasswordAuthentication yes", "PubkeyAuthentication no"] }
    })
  },
  "jump-refused": {
    about: "nobody listens at the jump host",
    recording: withJump((_, { bastion }) => bastion.stop)
  },
  "jump-not-resolved": {
    about: "the jump host's name does not exist",
    recording: withJump(() => {}, {
      config: (_, { inner }) => [hostBlock("inner", inner, "ProxyJump no-such-host.invalid")]
    })
  },
  "jump-target-refused": {
    about: "nobody listens at the target",
    recording: withJump((_, { inner }) => inner.stop)
  },
  "jump-prohibited": {
    about: "AllowTcpForwarding no at the jump host",
    recording: withJump(() => {}, { bastion: { config: ["AllowTcpForwarding no"] } })
  },
  "jump-target-not-resolved": {
    about: "the jump host cannot resolve the target",
    recording: withJump(() => {}, {
      config: (_, { bastion }) => [
        hostBlock("bastion", bastion),
        "Host inner\nHostName no-such-host.invalid\nProxyJump bastion\n"
      ]
    })
  },
  "jump-target-unreachable": {
    about: "the jump host has no way to the target",
    recording: withJump(() => {}, {
      config: (_, { bastion }) => [
        hostBlock("bastion", bastion),
        "Host inner\nHostName 255.255.255.255\nPort 2203\nProxyJump bastion\n"
      ]
    })
  },
  "jump-target-closes": {
    about: "the target closes the connection at once",
    recording: Effect.gen(function*() {
      const port = yield* listener((socket) => void socket.end())
      return yield* withJump((user) => user.replace(String(port), "2203"), {
        config: (_, { bastion }) => [hostBlock("bastion", bastion), hostBlock("inner", port, "ProxyJump bastion")]
      })
    })
  },
  "jump-target-silent": {
    about: "the target accepts and says nothing; ConnectTimeout 3",
    recording: Effect.gen(function*() {
      const port = yield* listener(() => {})
      return yield* withJump((user) => user.replace(String(port), "2203"), {
        config: (_, { bastion }) => [
          hostBlock("bastion", bastion),
          hostBlock("inner", port, "ProxyJump bastion", "ConnectTimeout 3")
        ]
      })
    })
  },
  "jump-silent": {
    about: "the jump host accepts and says nothing; ConnectTimeout 1",
    recording: Effect.gen(function*() {
      const port = yield* listener(() => {})
      return yield* withJump((user) => user.replace(String(port), "2202"), {
        config: (_, { inner }) => [
          hostBlock("bastion", port, "ConnectTimeout 1"),
          hostBlock("inner", inner, "ProxyJump bastion", "ConnectTimeout 1")
        ]
      })
    })
  },
  "jump-login-slow": {
    about: "the login at the jump host takes longer than the target's ssh waits for a banner: an agent that hangs",
    recording: Effect.gen(function*() {
      const agent = yield* TempDirectory.make()
      const socket = Path.join(agent, "agent")
      yield* Effect.acquireRelease(
        Effect.callback<Net.Server>((resume) => {
          const server = Net.createServer((socket) => void socket.on("error", () => {}))
          server.listen(socket, () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      return yield* withJump((user) => user.replace(socket, "/home/me/.ssh/agent"), {
        config: (_, { bastion, inner }) => [
          hostBlock("bastion", bastion, `IdentityAgent ${socket}`, "IdentitiesOnly no"),
          hostBlock("inner", inner, "ProxyJump bastion", "ConnectTimeout 3")
        ]
      })
    })
  },
  "jump-two-first-key-unknown": {
    about: "two jump hosts; the key of the first is unknown",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      yield* user.key("id_ed25519")
      const bastion = yield* server(user, "bastion")
      const box = yield* server(user, "box")
      const inner = yield* server(user, "inner")
      for (const sshd of [box, inner]) user.know(...sshd.knownHosts)
      writeConfig(
        user,
        hostBlock("bastion", bastion.port),
        hostBlock("box", box.port),
        hostBlock("inner", inner.port, "ProxyJump bastion,box")
      )
      writeOverlay(user)
      return yield* run(user, "inner")
    })
  },
  "jump-config-broken-only-there": {
    about: "the jump host's own block has a bad value in a Match that only it enters",
    recording: withJump(() => {}, {
      config: (user, { bastion, inner }) => [
        hostBlock("bastion", bastion, "ControlPath ${NO_SUCH_VARIABLE}"),
        hostBlock("inner", inner, "ProxyJump bastion")
      ]
    })
  },
  "jump-through-users-master": {
    about: "the user's own ControlMaster to the jump host is reused; the target refuses the key",
    recording: withJump((user, { bastion, inner }) =>
      Effect.gen(function*() {
        const socket = user.path("m")
        writeConfig(
          user,
          hostBlock("bastion", bastion.port, `ControlPath ${socket}`),
          hostBlock("inner", inner.port, "ProxyJump bastion")
        )
        const master = yield* Process.spawn("ssh", [
          "-F",
          "config",
          "-o",
          "LogLevel=DEBUG1",
          "-M",
          "-N",
          "--",
          "bastion"
        ], {
          cwd: user.home,
          env: environment
        })
        yield* master.stderr.waitFor((line) => line.includes(ready))
      }), { authorized: ["bastion"] })
  },
  "jump-through-users-master-prohibited": {
    about: "the user's own ControlMaster to the jump host is reused; the jump host forbids forwarding",
    recording: withJump((user, { bastion, inner }) =>
      Effect.gen(function*() {
        const socket = user.path("m")
        writeConfig(
          user,
          hostBlock("bastion", bastion.port, `ControlPath ${socket}`),
          hostBlock("inner", inner.port, "ProxyJump bastion")
        )
        const master = yield* Process.spawn("ssh", [
          "-F",
          "config",
          "-o",
          "LogLevel=DEBUG1",
          "-M",
          "-N",
          "--",
          "bastion"
        ], {
          cwd: user.home,
          env: environment
        })
        yield* master.stderr.waitFor((line) => line.includes(ready))
      }), { bastion: { config: ["AllowTcpForwarding no"] } })
  },
  "jump-two-second-refuses-key": {
    about: "two jump hosts; the second refuses the key",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const key = yield* user.key("id_ed25519")
      const bastion = yield* server(user, "bastion")
      const box = yield* server(user, "box")
      const inner = yield* server(user, "inner")
      for (const sshd of [bastion, inner]) yield* sshd.authorize(key.publicKey)
      for (const sshd of [bastion, box, inner]) user.know(...sshd.knownHosts)
      writeConfig(
        user,
        hostBlock("bastion", bastion.port),
        hostBlock("box", box.port),
        hostBlock("inner", inner.port, "ProxyJump bastion,box")
      )
      writeOverlay(user)
      return yield* run(user, "inner")
    })
  },
  "jump-two-first-prohibits": {
    about: "two jump hosts; the first forbids forwarding",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const key = yield* user.key("id_ed25519")
      const bastion = yield* server(user, "bastion", { config: ["PermitOpen 127.0.0.1:1"] })
      const box = yield* server(user, "box")
      const inner = yield* server(user, "inner")
      for (const sshd of [bastion, box, inner]) yield* sshd.authorize(key.publicKey)
      for (const sshd of [bastion, box, inner]) user.know(...sshd.knownHosts)
      writeConfig(
        user,
        hostBlock("bastion", bastion.port),
        hostBlock("box", box.port),
        hostBlock("inner", inner.port, "ProxyJump bastion,box")
      )
      writeOverlay(user)
      return yield* run(user, "inner")
    })
  },
  "proxy-command-missing": {
    about: "the program of the ProxyCommand does not exist",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      yield* user.key("id_ed25519")
      writeConfig(user, hostBlock("box", 2201, "ProxyCommand /opt/no-such-program %h %p"))
      writeOverlay(user)
      return yield* run(user, "box")
    })
  },
  "proxy-command-fails": {
    about: "the program of the ProxyCommand prints something and ends with 1",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      yield* user.key("id_ed25519")
      writeConfig(user, hostBlock("box", 2201, "ProxyCommand sh -c 'echo proxy: no route to %h >&2; exit 1'"))
      writeOverlay(user)
      return yield* run(user, "box")
    })
  },
  "proxy-command-ssh-refused": {
    about: "a ProxyCommand of the user's own, ssh -W, whose host refuses the key",
    recording: withJump(() => {}, {
      authorized: ["inner"],
      config: (user, { bastion, inner }) => [
        hostBlock(
          "inner",
          inner,
          `ProxyCommand ssh -F none -o BatchMode=yes -o UserKnownHostsFile=${user.path("known_hosts")} -i ${
            user.path("id_ed25519")
          } -p ${bastion} -W %h:%p 127.0.0.1`
        )
      ]
    })
  },
  "proxy-command-ssh-target-key-unknown": {
    about: "a ProxyCommand of the user's own, ssh -W, works; the target's key is unknown",
    recording: withJump(() => {}, {
      known: ["bastion"],
      config: (user, { bastion, inner }) => [
        hostBlock(
          "inner",
          inner,
          `ProxyCommand ssh -F none -o BatchMode=yes -o UserKnownHostsFile=${user.path("known_hosts")} -i ${
            user.path("id_ed25519")
          } -p ${bastion} -W %h:%p 127.0.0.1`
        )
      ]
    })
  },

  // Live connections.
  "up": {
    about: "everything is well; ended by SIGTERM",
    recording: established((running) => running.ssh.kill("SIGTERM"))
  },
  "jump-up": {
    about: "everything is well, over a jump host; ended by SIGTERM",
    recording: withJump(() => {}, { act: (running) => running.ssh.kill("SIGTERM") })
  },
  "forward-refused-and-prohibited": {
    about: "three forwards of one master: nobody listens, PermitOpen forbids, and a live one; channels are reused",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const key = yield* user.key("id_ed25519")
      const closed = yield* Port.free
      const open = yield* listener((socket) => void socket.end("hello"))
      const box = yield* server(user, "box", { config: [`PermitOpen 127.0.0.1:${closed} 127.0.0.1:${open}`] })
      yield* box.authorize(key.publicKey)
      user.know(...box.knownHosts)
      writeConfig(user, hostBlock("box", box.port))
      writeOverlay(user)
      const running = yield* up(user, "box")
      const first = yield* forward(user, 1, closed)
      const second = yield* forward(user, 2)
      const third = yield* forward(user, 3, open)
      for (const { local } of [first, second, third, second, first]) yield* touch(local)
      yield* Effect.all([touch(first.local), touch(second.local), touch(third.local)], { concurrency: "unbounded" })
      yield* control(user, Argv.controlCancel({ socket: "c1", localPort: first.local, remotePort: first.remote }))
      yield* control(user, Argv.controlForward({ socket: "c1", localPort: first.local, remotePort: second.remote }))
      yield* touch(first.local)
      yield* waitForLine(running, "open failed", 7)
      yield* running.ssh.kill("SIGTERM")
      return yield* running.record
    })
  },
  "forward-prohibited": {
    about: "AllowTcpForwarding no",
    recording: established((running, _, user) =>
      Effect.gen(function*() {
        const { local } = yield* forward(user, 1)
        yield* touch(local)
        yield* waitForLine(running, "open failed")
        yield* running.ssh.kill("SIGTERM")
      }), { server: { config: ["AllowTcpForwarding no"] } })
  },
  "forward-local-port-taken": {
    about: "-O forward on a local port that another program holds; the master goes on",
    recording: established((running, _, user) =>
      Effect.gen(function*() {
        const taken = yield* Port.hold()
        const { result } = yield* forward(user, 1, undefined, taken)
        if (result.code === 0) return yield* Effect.die("the port was not taken")
        yield* waitForLine(running, "bind [")
        yield* running.ssh.kill("SIGTERM")
      })
    )
  },
  "plain-up": {
    about: "one ssh for one forward: up, a connection that is refused over there, SIGTERM",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const key = yield* user.key("id_ed25519")
      const box = yield* server(user, "box")
      yield* box.authorize(key.publicKey)
      user.know(...box.knownHosts)
      writeConfig(user, hostBlock("box", box.port))
      writeOverlay(user)
      const [localPort = 0, remotePort = 0] = yield* Port.freeMany(2)
      user.replace(String(localPort), "40001")
      user.replace(String(remotePort), "9001")
      const running = yield* start(user, Argv.plainForward({ ...connecting(user, "box"), localPort, remotePort }))
      yield* waitForLine(running, ready)
      yield* touch(localPort)
      yield* waitForLine(running, "open failed")
      yield* running.ssh.kill("SIGTERM")
      return yield* running.record
    })
  },
  "plain-local-port-taken": {
    about: "one ssh for one forward, whose local port is taken",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const key = yield* user.key("id_ed25519")
      const box = yield* server(user, "box")
      yield* box.authorize(key.publicKey)
      user.know(...box.knownHosts)
      writeConfig(user, hostBlock("box", box.port))
      writeOverlay(user)
      const localPort = yield* Port.hold()
      user.replace(String(localPort), "40001")
      const { record } = yield* start(
        user,
        Argv.plainForward({ ...connecting(user, "box"), localPort, remotePort: 9001 })
      )
      return yield* record
    })
  },
  "plain-privileged-port": {
    about: "one ssh for one forward to a local address that this machine does not have",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const key = yield* user.key("id_ed25519")
      const box = yield* server(user, "box")
      yield* box.authorize(key.publicKey)
      user.know(...box.knownHosts)
      writeConfig(user, hostBlock("box", box.port))
      writeOverlay(user)
      const { record } = yield* start(user, [
        "-F",
        "overlay",
        "-N",
        "-o",
        "ExitOnForwardFailure=yes",
        "-L",
        "192.0.2.1:40001:127.0.0.1:9001",
        "--",
        "box"
      ])
      return yield* record
    })
  },
  "plain-exec-sessions-refused": {
    about: "one ssh for one command; MaxSessions 0",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const key = yield* user.key("id_ed25519")
      const box = yield* server(user, "box", { config: ["MaxSessions 0"] })
      yield* box.authorize(key.publicKey)
      user.know(...box.knownHosts)
      writeConfig(user, hostBlock("box", box.port))
      writeOverlay(user)
      const { record } = yield* start(user, Argv.plainExec(connecting(user, "box")))
      return yield* record
    })
  },
  "mux-exec-sessions-refused": {
    about: "the stderr of a command over the master; MaxSessions 0",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const key = yield* user.key("id_ed25519")
      const box = yield* server(user, "box", { config: ["MaxSessions 0"] })
      yield* box.authorize(key.publicKey)
      user.know(...box.knownHosts)
      writeConfig(user, hostBlock("box", box.port))
      writeOverlay(user)
      yield* up(user, "box")
      const { record } = yield* start(user, Argv.controlExec({ socket: "c1", command: "true" }))
      return yield* record
    })
  },
  "mux-sessions-refused": {
    about: "the master's own stderr when a command is refused; MaxSessions 0",
    recording: established((running, _, user) =>
      Effect.gen(function*() {
        yield* control(user, Argv.controlExec({ socket: "c1", command: "true" }))
        yield* waitForLine(running, "open failed")
        yield* running.ssh.kill("SIGTERM")
      }), { server: { config: ["MaxSessions 0"] } })
  },
  "mux-exec-master-gone": {
    about: "the stderr of a command when there is no master",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const { record } = yield* start(user, Argv.controlExec({ socket: "c1", command: "true" }))
      return yield* record
    })
  },
  "mux-forward-master-gone": {
    about: "the stderr of -O forward when there is no master",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const { record } = yield* start(
        user,
        Argv.controlForward({ socket: "c1", localPort: 40001, remotePort: 9001 })
      )
      return yield* record
    })
  },
  "mux-forward-taken": {
    about: "the stderr of -O forward when the local port is taken",
    recording: Effect.gen(function*() {
      const user = yield* makeUser
      const key = yield* user.key("id_ed25519")
      const box = yield* server(user, "box")
      yield* box.authorize(key.publicKey)
      user.know(...box.knownHosts)
      writeConfig(user, hostBlock("box", box.port))
      writeOverlay(user)
      yield* up(user, "box")
      const localPort = yield* Port.hold()
      user.replace(String(localPort), "40001")
      const { record } = yield* start(user, Argv.controlForward({ socket: "c1", localPort, remotePort: 9001 }))
      return yield* record
    })
  },
  "lost-session-killed": {
    about: "the server's process of this connection is killed",
    recording: established((_, box) => box.dropSessions)
  },
  "lost-server-silent": {
    about: "the server stops answering; ServerAliveInterval shortened to 1",
    recording: established((running, box) =>
      Effect.gen(function*() {
        const stopped = (yield* box.processes).filter(({ command }) => /\bsshd\b/.test(command))
        for (const { pid } of stopped) process.kill(pid, "SIGSTOP")
        yield* running.ssh.exit
        for (const { pid } of stopped) process.kill(pid, "SIGCONT")
      }), {
      overlay: (text) => text.replace("ServerAliveInterval 5", "ServerAliveInterval 1")
    })
  },
  "lost-jump-session-killed": {
    about: "the jump host's process of this connection is killed",
    recording: withJump(() => {}, { act: (_, { bastion }) => bastion.dropSessions })
  },
  "lost-target-session-killed-behind-jump": {
    about: "the target's process of this connection is killed",
    recording: withJump(() => {}, { act: (_, { inner }) => inner.dropSessions })
  },
  "lost-exit-request": {
    about: "the master is asked to exit (-O exit)",
    recording: established((_, __, user) =>
      control(user, ["-F", "none", "-o", "ProxyCommand=false", "-S", "c1", "-O", "exit", "--", "master"])
    )
  },
  "lost-killed": {
    about: "the master is killed",
    recording: established((running) => running.ssh.kill("SIGKILL"))
  },

  // Servers that lie.
  "banner-then-refused": {
    about: "a banner full of ssh's own wordings (LF), then the key is refused",
    recording: withBox(() => {}, { authorized: false, server: withBanner("\n") })
  },
  "banner-crlf-then-refused": {
    about: "the same with CR LF, as a hostile server would send it",
    recording: withBox(() => {}, { authorized: false, server: withBanner("\r\n") })
  },
  "banner-crlf-then-up": {
    about: "the same, and the login succeeds; ended by SIGTERM",
    recording: established((running) => running.ssh.kill("SIGTERM"), { server: withBanner("\r\n") })
  },
  "jump-banner-crlf-then-target-refused": {
    about: "the jump host's banner is full of ssh's own wordings; the target refuses the key",
    recording: withJump(() => {}, { authorized: ["bastion"], bastion: withBanner("\r\n") })
  },
  "debug-message-forged": {
    about: "an impostor's debug message during key exchange holds lines that look like ssh's own",
    recording: withPort(() =>
      listener((socket) => {
        socket.write("SSH-2.0-OpenSSH_9.2p1\r\n")
        const lines = [
          "hello",
          "debug1: Server host key: ssh-ed25519 SHA256:forged000000000000000000000000000000000000",
          "No ED25519 host key is known for [127.0.0.1]:2201 and you have requested strict checking.",
          "Host key verification failed.",
          ""
        ]
        socket.end(debugMessage(lines.join("\r\n")))
      })
    )
  },
  "disconnect-message-forged": {
    about: "the server's disconnect message holds lines that look like ssh's own",
    recording: withPort(() =>
      listener((socket) => {
        socket.write("SSH-2.0-OpenSSH_9.2p1\r\n")
        socket.end(disconnect(2, ["go away", ...spoof].join("\r\n")))
      })
    )
  }
}

const version = Effect.map(Process.run("ssh", ["-V"]), ({ stderr }) => stderr.trim())

const main = Effect.gen(function*() {
  const wanted = process.argv.slice(2)
  const by = yield* version
  for (const [name, { about, recording }] of Object.entries(scenarios)) {
    if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) continue
    const recorded = yield* Effect.scoped(recording)
    const head = [
      `# ${about}`,
      `# recorded: real, ${by}, Linux`,
      `# command: ${recorded.command}`,
      `# exit: ${recorded.exit}`,
      ""
    ]
    Fs.writeFileSync(Path.join(directory, `${name}.txt`), `${head.join("\n")}\n${recorded.stderr}`)
    console.log(`${name}: ${recorded.exit}`)
  }
})

await Effect.runPromise(main)
