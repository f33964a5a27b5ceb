/** Connections that ssh processes share (ControlMaster), and forwards of the user's own. */
import { assert } from "@effect/vitest"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import type { Connected, Entry, Group, Place } from "./Entry.ts"

const shared = ["ControlMaster auto", "ControlPersist yes", "ControlPath {dir}/%C"]

/** A master of the user's own, in a terminal, say. */
const master = (host: string) => (place: Place) =>
  Effect.gen(function*() {
    const theirs = yield* Process.spawn("ssh", ["-F", place.fill("{ssh}/config"), "-M", "-N", "-v", host])
    yield* theirs.stderr.waitFor("Entering interactive session")
  })

const isAlive = (host: string) => (place: Place) =>
  Effect.gen(function*() {
    const { code } = yield* Process.run("ssh", ["-F", place.fill("{ssh}/config"), "-O", "check", host])
    assert.strictEqual(code, 0, "the user's master lives")
  })

/** A socket that nobody listens on any more. */
const stale = (place: Place) =>
  Effect.callback<void>((resume) => {
    const file = place.fill("{dir}/stale")
    const server = Net.createServer().listen(`${file}.live`, () => {
      // Closing removes the name that it was bound to, not another one.
      Fs.linkSync(`${file}.live`, file)
      server.close(() => resume(Effect.void))
    })
  })

const sharing: ReadonlyArray<Entry> = [
  {
    name: "control-master-auto",
    about: "Every ssh becomes a master that stays.",
    box: shared,
    strategies: ["master", "plain"],
    expected: "Connected"
  },
  {
    name: "control-master-autoask",
    about: "A master asks before it serves others.",
    box: ["ControlMaster autoask", "ControlPersist 10m", "ControlPath {dir}/%r@%h:%p"],
    expected: "Connected"
  },
  {
    name: "control-master-alive",
    about: "A master of the user is running: it is neither used nor ended.",
    box: shared,
    arrange: master("box"),
    afterwards: isAlive("box"),
    expected: "Connected"
  },
  {
    name: "control-master-dead",
    about: "A master of the user has died and left its socket.",
    box: ["ControlMaster auto", "ControlPersist yes", "ControlPath {dir}/stale"],
    prepare: stale,
    expected: "Connected"
  },
  {
    name: "control-path-too-long",
    about: "The ControlPath is longer than a socket's name may be.",
    box: ["ControlMaster auto", `ControlPath {dir}/${"long".repeat(30)}`],
    expected: "Connected"
  },
  {
    name: "control-path-nowhere",
    about: "The directory of the ControlPath does not exist.",
    box: ["ControlMaster auto", "ControlPersist yes", "ControlPath {dir}/missing/%C"],
    expected: "Connected"
  },
  {
    name: "control-master-on-the-way",
    about: "The ssh to a jump host would become a master that stays.",
    box: ["ProxyJump jump"],
    jump: shared,
    expected: "Connected"
  },
  {
    name: "control-master-alive-on-the-way",
    about: "A master of the user to the jump host is running: it may be used, and is not ended.",
    box: ["ProxyJump jump"],
    jump: shared,
    arrange: master("jump"),
    afterwards: isAlive("jump"),
    expected: "Connected"
  },
  {
    name: "stream-local-bind-mask",
    about: "Sockets of forwards are for everybody: the control socket is not.",
    box: ["StreamLocalBindMask 0000", "StreamLocalBindUnlink yes"],
    program: { umask: "000" },
    environment: { XDG_RUNTIME_DIR: "{dir}" },
    connected: ({ names }) =>
      Effect.sync(() => {
        const dir = String(names["dir"])
        const modes = Fs.readdirSync(dir, { recursive: true, encoding: "utf8" }).map((name) => {
          const { mode } = Fs.statSync(Path.join(dir, name))
          return [Path.basename(name).replace(/[A-Za-z0-9]{6}$|\d+\.json$|\d+$/, ""), (mode & 0o777).toString(8)]
        })
        assert.deepStrictEqual(Object.fromEntries(modes), {
          "opencode-ssh-run-": "700",
          "c": "600",
          "config-": "600",
          "group-": "600",
          "owner.json": "600"
        })
      }),
    expected: "Connected"
  }
]

/** A port that somebody has. */
const taken = () => Effect.map(Port.hold(), (port) => ({ taken: port }))

const nobodyListens = ({ names }: Connected) =>
  Effect.gen(function*() {
    assert.isFalse(yield* Port.isListening(Number(names["free"])), "the user's forward is not made")
  })

const forwards: ReadonlyArray<Entry> = [
  {
    name: "local-forward",
    about: "A forward of the user: it is left to the user's own ssh.",
    box: ["LocalForward 127.0.0.1:{free} 127.0.0.1:{server}"],
    connected: nobodyListens,
    expected: "Connected"
  },
  {
    name: "local-forward-taken",
    about: "The port of the user's forward is taken.",
    box: ["LocalForward 127.0.0.1:{taken} 127.0.0.1:9"],
    prepare: taken,
    strategies: ["master", "plain"],
    expected: "Connected"
  },
  {
    name: "local-forward-must-work",
    about: "The port of the user's forward is taken, and ssh is to give up for it.",
    box: ["ExitOnForwardFailure yes", "LocalForward 127.0.0.1:{taken} 127.0.0.1:9"],
    prepare: taken,
    expected: "Connected"
  },
  {
    name: "local-forward-of-sockets",
    about: "The user forwards sockets of the file system.",
    box: ["LocalForward {dir}/forwarded /run/docker.sock", "StreamLocalBindUnlink yes"],
    expected: "Connected"
  },
  {
    name: "dynamic-forward-taken",
    about: "The port of the user's SOCKS proxy is taken.",
    box: ["ExitOnForwardFailure yes", "DynamicForward 127.0.0.1:{taken}"],
    prepare: taken,
    strategies: ["master", "plain"],
    expected: "Connected"
  },
  {
    name: "remote-forward-taken",
    about: "The port of the user's remote forward is taken over there.",
    box: ["ExitOnForwardFailure yes", "RemoteForward 127.0.0.1:{taken} 127.0.0.1:9"],
    prepare: taken,
    strategies: ["master", "plain"],
    expected: "Connected"
  },
  {
    name: "forwards-on-the-way",
    about: "The jump host has forwards whose ports are taken.",
    box: ["ProxyJump jump"],
    jump: [
      "ExitOnForwardFailure yes",
      "LocalForward 127.0.0.1:{taken} 127.0.0.1:9",
      "DynamicForward 127.0.0.1:{taken}",
      "RemoteForward 127.0.0.1:{taken} 127.0.0.1:9"
    ],
    prepare: taken,
    expected: "Connected"
  },
  {
    name: "clear-all-forwardings",
    about: "Forwards are switched off.",
    box: ["ClearAllForwardings yes"],
    strategies: ["master", "plain"],
    expected: "Connected"
  },
  {
    name: "gateway-ports",
    about: "Forwards are for the whole network: ours is for this machine alone.",
    box: ["GatewayPorts yes"],
    strategies: ["master", "plain"],
    expected: "Connected"
  },
  {
    name: "forward-everything",
    about: "Agent and X11 are offered to every machine: to ours they are not.",
    box: ["ForwardAgent yes", "ForwardX11 yes", "ForwardX11Trusted yes"],
    environment: { DISPLAY: ":0", SSH_AUTH_SOCK: "{agent}" },
    prepare: ({ machines }) => Effect.map(machines.agent, ({ socket }) => ({ agent: socket })),
    connected: ({ run }) =>
      Effect.gen(function*() {
        assert.strictEqual(
          yield* run("echo \"${SSH_AUTH_SOCK-no agent} ${DISPLAY-no display}\""),
          "no agent no display\n"
        )
      }),
    expected: "Connected"
  }
]

export const groups: ReadonlyArray<Group> = [
  { title: "Shared connections", entries: sharing },
  { title: "Forwards", entries: forwards }
]
