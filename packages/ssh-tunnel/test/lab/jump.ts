/** Jump hosts, and programs of the user's own on the way: whose failure it is must be told. */
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshAgent from "@opencode-ai/ssh-lab/SshAgent"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Effect } from "effect"
import * as Fs from "node:fs"
import { atPort, host, jumpWith, keys, namesOf, server } from "./places.ts"
import { fails, type Group, type Scenario, type Situation } from "./Scenario.ts"

const hop = "jump"

/** A key that no machine knows, as the only one for a host. */
const stranger = Effect.flatMap(keys, (user) => Effect.map(user.make("id_other"), (key) => ({ user, key })))

/** A jump host that is well, and something else than a machine of the lab behind it. */
const behindJump = (target: string, names: Situation["names"] = []): Scenario["setUp"] =>
  Effect.gen(function*() {
    const jump = yield* Sshd.make()
    const client = yield* SshClient.make({ hosts: { jump }, after: target })
    return {
      profile: { host: "box", sshConfig: client.configFile },
      names: [...names, ...namesOf(jump, "jump"), [client.directory, "~/.ssh"]]
    }
  })

/** A target that is well behind a jump host that is none. */
const jumpAt = (config: string, names: Situation["names"] = []): Scenario["setUp"] =>
  Effect.gen(function*() {
    const box = yield* Sshd.make()
    const client = yield* SshClient.make({ before: config, hosts: { box: { sshd: box, lines: ["ProxyJump jump"] } } })
    return {
      profile: { host: "box", sshConfig: client.configFile },
      names: [...names, ...namesOf(box), [client.directory, "~/.ssh"]]
    }
  })

/** A listener that is no sshd. */
const silent = Effect.map(FakeServer.tcp(() => {}), ({ port }) => port)

/** A target with a ProxyCommand. */
const through = (command: (sshd: Sshd.Sshd, client: string) => string): Scenario["setUp"] =>
  Effect.gen(function*() {
    const [jump, box] = yield* Effect.all([Sshd.make(), Sshd.make()], { concurrency: 2 })
    const { port } = yield* server
    const client = yield* SshClient.make({ hosts: { box }, knownHosts: jump.knownHosts })
    const line = `ProxyCommand ${command(jump, client.knownHostsFile)}`
    const text = Fs.readFileSync(client.configFile, "utf8")
    yield* client.write("config", text.replace("Host box", () => `Host box\n  ${line}`))
    return {
      profile: { host: "box", sshConfig: client.configFile, remotePort: port },
      names: [...namesOf(jump, "jump"), ...namesOf(box), [client.directory, "~/.ssh"]]
    }
  })

export const jump: Group = {
  title: "Jump hosts",
  scenarios: [
    {
      name: "jump-not-resolved",
      about: "The jump host's name does not exist.",
      expected: fails("TransportError", "HostNameNotResolved", "retried", { hop }),
      // The name is too long for any name server to be asked.
      setUp: jumpAt(host("jump", `HostName ${"a".repeat(64)}.invalid`), [["a".repeat(64), "NAME"]])
    },
    {
      name: "jump-refused",
      about: "Nothing listens on the ssh port of the jump host.",
      expected: fails("TransportError", "ConnectionRefused", "retried", { hop }),
      setUp: jumpWith({}, ({ jump }) => Effect.as(jump.stop, {}))
    },
    {
      name: "jump-never-speaks",
      about: "The jump host accepts the connection and never says a word (ConnectTimeout 1).",
      expected: fails("TransportError", "ConnectionTimedOut", "retried", { hop, phase: "banner" }),
      setUp: Effect.flatMap(silent, (port) => jumpAt(`${atPort("jump", port)}\nHost *\n  ConnectTimeout 1`))
    },
    {
      name: "jump-refuses-key",
      about: "The jump host does not know the key.",
      expected: fails("TransportError", "AuthenticationFailed", "final", { hop }),
      setUp: Effect.flatMap(stranger, ({ key }) => jumpWith({ jumpHost: { identityFile: key.file } }))
    },
    {
      name: "target-behind-jump-refuses-key",
      about: "The jump host lets us in, and the host behind it does not know the key.",
      expected: fails("TransportError", "AuthenticationFailed", "final"),
      setUp: Effect.flatMap(stranger, ({ key }) => jumpWith({ boxHost: { identityFile: key.file } }))
    },
    {
      name: "jump-key-with-passphrase",
      about: "The key for the jump host is locked with a passphrase.",
      expected: fails("TransportError", "InteractionRequired", "final", { hop, what: "passphrase" }),
      setUp: Effect.gen(function*() {
        const user = yield* keys
        const key = yield* user.make("id_jump", { passphrase: "open sesame" })
        return yield* jumpWith(
          { jump: { authorizedKeys: [key.publicKey] }, jumpHost: { identityFile: key.file } },
          () => ({ names: [[user.directory, "~/.ssh"]] })
        )
      })
    },
    {
      name: "jump-password-only",
      about: "The jump host takes passwords only.",
      expected: fails("TransportError", "InteractionRequired", "final", { hop, what: "password" }),
      setUp: jumpWith({ jump: { config: ["PasswordAuthentication yes", "PubkeyAuthentication no"] } })
    },
    {
      name: "jump-login-slow",
      about: "The login at the jump host takes longer than the next ssh waits: its agent hangs (ConnectTimeout 3).",
      expected: fails("TransportError", "ConnectionTimedOut", "retried", { hop, phase: "login" }),
      setUp: Effect.flatMap(SshAgent.hung, (socket) =>
        jumpWith({
          jumpHost: { lines: [`IdentityAgent ${socket}`, "IdentitiesOnly no"] },
          boxHost: { lines: ["ConnectTimeout 3"] }
        }))
    },
    {
      name: "jump-forbids-forwarding",
      about: "The jump host passes nothing on (AllowTcpForwarding no).",
      expected: fails("TransportError", "ProxyJumpFailed", "final", { hop, problem: "prohibited" }),
      setUp: jumpWith({ jump: { config: ["AllowTcpForwarding no"] } })
    },
    {
      name: "jump-forbids-target",
      about: "The jump host passes connections on, and not to this host (PermitOpen).",
      expected: fails("TransportError", "ProxyJumpFailed", "final", { hop, problem: "prohibited" }),
      setUp: jumpWith({ jump: { config: ["PermitOpen 127.0.0.1:1"] } })
    },
    {
      name: "target-refused-behind-jump",
      about: "The jump host finds the ssh port of the host behind it closed.",
      expected: fails("TransportError", "ProxyJumpFailed", "retried", { hop, problem: "refused" }),
      setUp: jumpWith({}, ({ box }) => Effect.as(box.stop, {}))
    },
    {
      name: "target-not-resolved-behind-jump",
      about: "The jump host cannot resolve the name of the host behind it.",
      expected: fails("TransportError", "ProxyJumpFailed", "retried", { hop, problem: "not-resolved" }),
      setUp: behindJump(host("box", `HostName ${"a".repeat(64)}.invalid`, "ProxyJump jump"))
    },
    {
      name: "target-closes-behind-jump",
      about: "The host behind the jump host closes the connection at once.",
      expected: fails("TransportError", "ConnectionClosed", "retried"),
      setUp: Effect.flatMap(
        FakeServer.tcp((socket) => void socket.end()),
        ({ port }) => behindJump(atPort("box", port, "ProxyJump jump"), [[port, "PORT"]])
      )
    },
    {
      name: "target-never-speaks-behind-jump",
      about: "The host behind the jump host accepts the connection and never says a word (ConnectTimeout 3).",
      expected: fails("TransportError", "ConnectionTimedOut", "retried", { phase: "banner" }),
      setUp: Effect.flatMap(
        silent,
        (port) => behindJump(atPort("box", port, "ProxyJump jump", "ConnectTimeout 3"), [[port, "PORT"]])
      )
    },
    {
      name: "second-of-two-jumps-refuses-key",
      about: "Of two jump hosts the second does not know the key.",
      expected: fails("TransportError", "AuthenticationFailed", "final", { hop: "second" }),
      setUp: Effect.gen(function*() {
        const { key } = yield* stranger
        const [first, second, box] = yield* Effect.all([Sshd.make(), Sshd.make(), Sshd.make()], { concurrency: 3 })
        const client = yield* SshClient.make({
          hosts: {
            first,
            second: { sshd: second, identityFile: key.file },
            box: { sshd: box, lines: ["ProxyJump first,second"] }
          }
        })
        return {
          profile: { host: "box", sshConfig: client.configFile },
          names: [...namesOf(box), [client.directory, "~/.ssh"]]
        }
      })
    },
    {
      name: "proxy-command-missing",
      about: "The program of the ProxyCommand does not exist.",
      expected: fails("TransportError", "ProxyJumpFailed", "final", { problem: "proxy-command" }),
      setUp: through(() => "/opt/no-such-program %h %p")
    },
    {
      name: "proxy-command-fails",
      about: "The program of the ProxyCommand ends with an error.",
      expected: fails("TransportError", "ProxyJumpFailed", "final", { problem: "proxy-command" }),
      setUp: through(() => "sh -c 'echo proxy: not today >&2; exit 1'")
    },
    {
      name: "proxy-command-ssh-refused",
      about: "The ProxyCommand is an ssh of the user's own, whose host does not know the key.",
      expected: fails("TransportError", "ProxyJumpFailed", "final", { problem: "proxy-command" }),
      setUp: Effect.flatMap(
        stranger,
        ({ key }) =>
          through((jump, known) =>
            `ssh -F none -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile=${known} -i ${key.file} -p ${jump.port} -W %h:%p 127.0.0.1`
          )
      )
    },
    {
      name: "jump-through-the-users-master",
      about: "The user's own ControlMaster to the jump host is used, and the jump host forbids forwarding.",
      expected: fails("TransportError", "ProxyJumpFailed", "retried", { hop, problem: "unknown" }),
      setUp: Effect.gen(function*() {
        const user = yield* keys
        const socket = user.path("master")
        return yield* jumpWith(
          { jump: { config: ["AllowTcpForwarding no"] }, jumpHost: { lines: [`ControlPath ${socket}`] } },
          ({ client }) =>
            Effect.gen(function*() {
              const master = yield* Process.spawn("ssh", ["-F", client.configFile, "-v", "-M", "-N", "jump"])
              yield* master.stderr.waitFor("Entering interactive session.")
              return {}
            })
        )
      })
    }
  ]
}
