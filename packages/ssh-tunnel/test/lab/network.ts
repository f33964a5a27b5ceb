/** Names, addresses, ports, and what answers there instead of sshd. */
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Namespace from "@opencode-ai/ssh-lab/Namespace"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect } from "effect"
import * as Fs from "node:fs"
import type * as Net from "node:net"
import * as Path from "node:path"
import { boxWith, files, host, portWith } from "./places.ts"
import { fails, type Group, type Scenario, type Situation } from "./Scenario.ts"

/** ssh in a network of its own. */
const inNetwork = (lines: ReadonlyArray<string>, config: string) =>
  Effect.gen(function*() {
    const ssh = yield* Namespace.wrapper("ssh", lines)
    const { situation } = yield* files(config)
    return { ...situation, environment: { OPENCODE_SSH_BINARY: ssh } }
  })

/** ssh on a machine with these files for its resolver, and no network. */
const withResolver = (config: { readonly hosts: string; readonly resolver: string }, hostName: string) =>
  Effect.gen(function*() {
    const directory = yield* TempDirectory.make()
    const write = (name: string, text: string) => {
      const path = Path.join(directory, name)
      Fs.writeFileSync(path, text)
      return path
    }
    return yield* inNetwork([
      "ip link set lo up",
      Namespace.replaced("/etc/nsswitch.conf", write("nsswitch.conf", `hosts: ${config.hosts}\n`)),
      Namespace.replaced("/etc/resolv.conf", write("resolv.conf", config.resolver))
    ], host("box", `HostName ${hostName}`))
  })

const far = (...lines: ReadonlyArray<string>): string => host("box", `HostName ${Namespace.address}`, ...lines)

/** A listener that is no sshd. */
const listener = (speak: (socket: Net.Socket) => void) => Effect.map(FakeServer.tcp(speak), ({ port }) => port)

/** Whether the end or the reset of a connection is seen first is a matter of luck; ssh prints either. */
const eitherWay = Effect.map((situation: Situation): Situation => ({
  ...situation,
  names: [
    ["read: Connection reset by peer", "Connection closed by remote host"],
    ["Connection reset by 127.0.0.1", "Connection closed by 127.0.0.1"],
    ...situation.names ?? []
  ]
}))

const noCommon = (kind: string, server: string, client: string): Scenario => ({
  name: `no-common-${kind.replaceAll(" ", "-").toLowerCase()}`,
  about: `ssh and sshd have no ${kind} in common.`,
  expected: fails("TransportError", "NoCommonAlgorithm", "final", { kind }),
  setUp: boxWith({ sshd: { config: [server] }, host: { lines: [client] } })
})

export const network: Group = {
  title: "Names and network",
  scenarios: [
    {
      name: "name-not-found",
      about: "The host's name does not exist.",
      requires: ["namespaces"],
      expected: fails("TransportError", "HostNameNotResolved", "retried", { hostName: "no-such-host.invalid" }),
      setUp: withResolver({ hosts: "files", resolver: "" }, "no-such-host.invalid")
    },
    {
      name: "resolver-down",
      about: "The name server does not answer: no network, or no VPN yet.",
      requires: ["namespaces"],
      expected: fails("TransportError", "HostNameNotResolved", "retried", { hostName: "host.example" }),
      setUp: withResolver({ hosts: "dns", resolver: "nameserver 127.0.0.1\n" }, "host.example")
    },
    {
      name: "connection-refused",
      about: "The machine is up, and nothing listens on its ssh port.",
      expected: fails("TransportError", "ConnectionRefused", "retried"),
      setUp: portWith(Port.free)
    },
    {
      name: "filtered",
      about: "A firewall drops the packets: nobody ever answers (ConnectTimeout 1).",
      requires: ["namespaces"],
      expected: fails("TransportError", "ConnectionTimedOut", "retried", { phase: "connect" }),
      setUp: inNetwork(Namespace.network.dropping, far("ConnectTimeout 1"))
    },
    {
      name: "network-unreachable",
      about: "This machine has no network.",
      requires: ["namespaces"],
      expected: fails("TransportError", "NetworkUnreachable", "retried", { detail: "Network is unreachable" }),
      setUp: inNetwork(Namespace.network.none, far())
    },
    {
      name: "no-route",
      about: "A router says that there is no way to the host.",
      requires: ["namespaces"],
      expected: fails("TransportError", "NetworkUnreachable", "retried", { detail: "No route to host" }),
      setUp: inNetwork(Namespace.network.noRoute, far())
    },
    {
      name: "locally-prohibited",
      about: "A firewall of this machine forbids the connection.",
      requires: ["namespaces"],
      expected: fails("TransportError", "NetworkUnreachable", "retried", { detail: "Permission denied" }),
      setUp: inNetwork(Namespace.network.prohibited, far())
    },
    {
      name: "banner-never-comes",
      about: "Something accepts the connection and never says a word (ConnectTimeout 1).",
      expected: fails("TransportError", "ConnectionTimedOut", "retried", { phase: "banner" }),
      setUp: portWith(listener(() => {}), "ConnectTimeout 1")
    },
    {
      name: "key-exchange-stalls",
      about: "An ssh server introduces itself, and then says nothing more.",
      seconds: 20,
      expected: fails("TransportError", "ConnectionTimedOut", "retried", { phase: "key-exchange" }),
      setUp: portWith(listener((socket) => void socket.write("SSH-2.0-OpenSSH_9.2\r\n")))
    },
    {
      name: "max-startups",
      about: "sshd has too many connections that have not logged in yet, and drops more (MaxStartups).",
      expected: fails("TransportError", "ConnectionClosed", "retried"),
      setUp: boxWith({ sshd: { config: ["MaxStartups 1"] } }, ({ sshd }) => Effect.as(Port.occupy(sshd.port), {})).pipe(
        eitherWay
      )
    },
    {
      name: "closed-at-accept",
      about: "The connection is closed as soon as it is accepted.",
      expected: fails("TransportError", "ConnectionClosed", "retried"),
      setUp: portWith(listener((socket) => void socket.end())).pipe(eitherWay)
    },
    {
      name: "reset-at-accept",
      about: "The connection is reset as soon as ssh has said hello.",
      expected: fails("TransportError", "ConnectionClosed", "retried"),
      setUp: portWith(listener((socket) => void socket.once("data", () => socket.resetAndDestroy())))
    },
    {
      name: "closed-after-banner",
      about: "An ssh server introduces itself, and closes the connection.",
      expected: fails("TransportError", "ConnectionClosed", "retried"),
      setUp: portWith(listener((socket) => void socket.end("SSH-2.0-OpenSSH_9.2\r\n"))).pipe(eitherWay)
    },
    {
      name: "http-on-the-ssh-port",
      about: "A web server listens on the ssh port.",
      expected: fails("TransportError", "ConnectionClosed", "retried"),
      setUp: portWith(Effect.map(FakeServer.http({ "*": FakeServer.html }), ({ port }) => port)).pipe(eitherWay)
    },
    {
      name: "binary-on-the-ssh-port",
      about: "Something that is not ssh sends bytes as soon as it is connected to.",
      expected: fails("TransportError", "ConnectionClosed", "retried"),
      setUp: portWith(listener((socket) => void socket.write(Buffer.from([0x4a, 0, 0, 0, 0x0a, 0x38, 0x2e, 0x0a]))))
    },
    {
      name: "endless-text-on-the-ssh-port",
      about: "Something that is not ssh sends line after line.",
      expected: fails("TransportError", "ConnectionClosed", "retried"),
      setUp: portWith(listener((socket) => void socket.write("welcome\r\n".repeat(2_000))))
    },
    noCommon("cipher", "Ciphers aes128-ctr", "Ciphers aes256-ctr"),
    noCommon("key exchange method", "KexAlgorithms ecdh-sha2-nistp521", "KexAlgorithms curve25519-sha256"),
    noCommon("host key type", "HostKeyAlgorithms ssh-ed25519", "HostKeyAlgorithms rsa-sha2-512"),
    {
      name: "no-common-mac",
      about: "ssh and sshd have no MAC in common.",
      expected: fails("TransportError", "NoCommonAlgorithm", "final", { kind: "MAC" }),
      setUp: boxWith({
        sshd: { config: ["Ciphers aes128-ctr", "MACs hmac-sha2-256"] },
        host: { lines: ["Ciphers aes128-ctr", "MACs hmac-sha2-512"] }
      })
    }
  ]
}
