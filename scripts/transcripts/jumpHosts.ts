/** Jump hosts. */
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect } from "effect"
import * as Net from "node:net"
import * as Path from "node:path"
import { listener, ready, run, type Scenarios, withJump } from "./recording.ts"
import { environment, hostBlock, makeUser, server, writeConfig, writeOverlay } from "./user.ts"

export const jumpHosts: Scenarios = {
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
  }
}
