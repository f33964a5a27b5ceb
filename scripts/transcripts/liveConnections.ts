/** Live connections. */
import * as Port from "@opencode-ai/ssh-lab/Port"
import { Effect } from "effect"
import * as Argv from "../../packages/ssh-tunnel/src/internal/argv.ts"
import {
  connecting,
  control,
  established,
  forward,
  listener,
  ready,
  type Scenarios,
  start,
  touch,
  up,
  waitForLine,
  withJump
} from "./recording.ts"
import { hostBlock, makeUser, server, writeConfig, writeOverlay } from "./user.ts"

export const liveConnections: Scenarios = {
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
  }
}
