/** Servers that lie. */
import { established, listener, type Scenarios, withBox, withJump, withPort } from "./recording.ts"
import { type User } from "./user.ts"

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

export const liars: Scenarios = {
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
