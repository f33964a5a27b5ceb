/** Reaching the server. */
import * as Port from "@opencode-ai/ssh-lab/Port"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Net from "node:net"
import { fullListener, listener, run, type Scenarios, withBox, withPort } from "./recording.ts"
import { hostBlock, makeUser, writeConfig, writeOverlay } from "./user.ts"

export const reaching: Scenarios = {
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
  }
}
