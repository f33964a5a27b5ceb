/**
 * An ssh server as an enemy would write one: it speaks just enough of the protocol (RFC 4253, 4252, 4254;
 * curve25519-sha256, ssh-ed25519, aes128-gcm@openssh.com) to let everybody in, and then asks the client for what no
 * client should give.
 */
import { LabError } from "@opencode-ai/ssh-lab/LabError"
import { Effect, type Scope } from "effect"
import * as Crypto from "node:crypto"
import * as Net from "node:net"

/** Messages by number. */
const message = {
  serviceRequest: 5,
  serviceAccept: 6,
  kexInit: 20,
  newKeys: 21,
  ecdhInit: 30,
  ecdhReply: 31,
  userauthRequest: 50,
  userauthSuccess: 52,
  userauthBanner: 53,
  globalRequest: 80,
  requestFailure: 82,
  channelOpen: 90,
  channelOpenConfirmation: 91,
  channelOpenFailure: 92,
  channelData: 94,
  channelEof: 96,
  channelClose: 97
} as const

const byte = (value: number): Buffer => Buffer.from([value])
const uint32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value)
  return buffer
}
const string = (value: string | Buffer): Buffer => {
  const content = Buffer.from(value as string)
  return Buffer.concat([uint32(content.length), content])
}
const mpint = (value: Buffer): Buffer => {
  const start = value.findIndex((octet) => octet !== 0)
  const rest = start === -1 ? Buffer.alloc(0) : value.subarray(start)
  return string((rest[0] ?? 0) >= 0x80 ? Buffer.concat([byte(0), rest]) : rest)
}

/** Reads the fields of a message, one after the other. */
class Reader {
  at = 1
  readonly payload: Buffer
  constructor(payload: Buffer) {
    this.payload = payload
  }
  uint32(): number {
    this.at += 4
    return this.payload.readUInt32BE(this.at - 4)
  }
  string(): Buffer {
    const length = this.uint32()
    this.at += length
    return this.payload.subarray(this.at - length, this.at)
  }
}

/** aes128-gcm@openssh.com (RFC 5647): the length is in clear, and the nonce counts packets. */
class Cipher {
  readonly key: Buffer
  readonly nonce: Buffer
  constructor(key: Buffer, nonce: Buffer) {
    this.key = key
    this.nonce = Buffer.from(nonce)
  }
  next(): Buffer {
    const nonce = Buffer.from(this.nonce)
    this.nonce.writeBigUInt64BE(BigInt.asUintN(64, this.nonce.readBigUInt64BE(4) + 1n), 4)
    return nonce
  }
  seal(length: Buffer, text: Buffer): Buffer {
    const cipher = Crypto.createCipheriv("aes-128-gcm", this.key, this.next()).setAAD(length)
    return Buffer.concat([length, cipher.update(text), cipher.final(), cipher.getAuthTag()])
  }
  open(length: Buffer, text: Buffer, tag: Buffer): Buffer {
    const decipher = Crypto.createDecipheriv("aes-128-gcm", this.key, this.next()).setAAD(length).setAuthTag(tag)
    return Buffer.concat([decipher.update(text), decipher.final()])
  }
}

/** What the enemy asks for once a client is in. */
export interface Plan {
  /** Texts that are sent before the login is accepted. */
  readonly banners?: ReadonlyArray<string>
  /** Types of channels that it opens towards the client, with what follows in the request. */
  readonly channels?: ReadonlyArray<readonly [type: string, rest: Buffer]>
  /** Requests that concern the whole connection. */
  readonly requests?: ReadonlyArray<readonly [name: string, rest: Buffer]>
}

/** What the client has done. */
export interface Seen {
  /** `host:port` of each connection that it wanted to have forwarded. */
  readonly forwards: ReadonlyArray<string>
  /** Channels of ours that it has opened, by type: none should be. */
  readonly granted: ReadonlyArray<string>
  /** Channels of ours that it has refused, by type. */
  readonly denied: ReadonlyArray<string>
  /** Types of channels that it has asked for. */
  readonly asked: ReadonlyArray<string>
}

export interface EnemySshd {
  readonly port: number
  /** Its line of known_hosts. */
  readonly knownHosts: string
  readonly seen: Effect.Effect<Seen>
  /** Waits until all channels of the plan are answered. */
  readonly answered: Effect.Effect<void>
}

/** Values of `forwarded-tcpip` and its like: an address and a port, twice. */
export const addresses = (port: number): Buffer =>
  Buffer.concat([string("127.0.0.1"), uint32(port), string("127.0.0.1"), uint32(1234)])

export const field = string

/** Starts it on 127.0.0.1. Forwarded connections are made as the client asks. */
export const make: (plan: Plan) => Effect.Effect<EnemySshd, LabError, Scope.Scope> = Effect.fn("EnemySshd.make")(
  function*(plan: Plan) {
    const hostKey = Crypto.generateKeyPairSync("ed25519")
    const raw = hostKey.publicKey.export({ type: "spki", format: "der" }).subarray(-32)
    const publicKey = Buffer.concat([string("ssh-ed25519"), string(raw)])
    const forwards: Array<string> = []
    const granted: Array<string> = []
    const denied: Array<string> = []
    const asked: Array<string> = []
    const watchers = new Set<() => void>()
    const sockets = new Set<Net.Socket>()

    const serve = (socket: Net.Socket) => {
      const version = "SSH-2.0-Enemy_1.0"
      const own = Buffer.concat([
        byte(message.kexInit),
        Crypto.randomBytes(16),
        ...["curve25519-sha256", "ssh-ed25519", ...Array(2).fill("aes128-gcm@openssh.com")].map(string),
        ...[...Array(2).fill("hmac-sha2-256"), "none", "none", "", ""].map(string),
        byte(0),
        uint32(0)
      ])
      let clientVersion = ""
      let theirs = Buffer.alloc(0)
      let input = Buffer.alloc(0)
      let receiving: Cipher | undefined
      let sending: Cipher | undefined
      let keys: ((letter: string, length: number) => Buffer) | undefined
      /** Channels by our number: those of ours by type, those of the client by their other end. */
      const ours = new Map<number, string>()
      const bridges = new Map<number, { readonly remote: number; readonly end: Net.Socket }>()
      let channel = 0

      const send = (payload: Buffer) => {
        if (socket.destroyed) return
        const counted = sending === undefined ? 5 : 1
        const block = sending === undefined ? 8 : 16
        const padding = block + (block - ((payload.length + counted) % block)) % block
        const text = Buffer.concat([byte(padding), payload, Crypto.randomBytes(padding)])
        const length = uint32(text.length)
        socket.write(sending === undefined ? Buffer.concat([length, text]) : sending.seal(length, text))
      }

      const exchange = (point: Buffer) => {
        const pair = Crypto.generateKeyPairSync("x25519")
        const mine = pair.publicKey.export({ type: "spki", format: "der" }).subarray(-32)
        const prefix = Buffer.from("302a300506032b656e032100", "hex")
        const other = Crypto.createPublicKey({ key: Buffer.concat([prefix, point]), format: "der", type: "spki" })
        const secret = mpint(Crypto.diffieHellman({ privateKey: pair.privateKey, publicKey: other }))
        const hash = Crypto.createHash("sha256").update(Buffer.concat([
          ...[clientVersion, version, theirs, own, publicKey, point, mine].map(string),
          secret
        ])).digest()
        const signature = Buffer.concat([string("ssh-ed25519"), string(Crypto.sign(null, hash, hostKey.privateKey))])
        keys = (letter, length) =>
          Crypto.createHash("sha256").update(Buffer.concat([secret, hash, Buffer.from(letter), hash])).digest()
            .subarray(0, length)
        send(Buffer.concat([byte(message.ecdhReply), string(publicKey), string(mine), string(signature)]))
        send(byte(message.newKeys))
        sending = new Cipher(keys("D", 16), keys("B", 12))
      }

      const attack = () => {
        for (const [name, rest] of plan.requests ?? []) {
          send(Buffer.concat([byte(message.globalRequest), string(name), byte(0), rest]))
        }
        for (const [type, rest] of plan.channels ?? []) {
          ours.set(channel, type)
          send(Buffer.concat([
            byte(message.channelOpen),
            string(type),
            uint32(channel++),
            uint32(1 << 20),
            uint32(1 << 15),
            rest
          ]))
        }
      }

      const open = (reader: Reader) => {
        const type = reader.string().toString()
        const remote = reader.uint32()
        asked.push(type)
        if (type !== "direct-tcpip") {
          const reason = Buffer.concat([uint32(1), string("no"), string("")])
          return send(Buffer.concat([byte(message.channelOpenFailure), uint32(remote), reason]))
        }
        reader.at += 8
        const host = reader.string().toString()
        const port = reader.uint32()
        forwards.push(`${host}:${port}`)
        const number = channel++
        const end = Net.connect({ host: "127.0.0.1", port })
        sockets.add(end)
        const head = (type: number) => Buffer.concat([byte(type), uint32(remote)])
        end.once("connect", () => {
          bridges.set(number, { remote, end })
          send(Buffer.concat([head(message.channelOpenConfirmation), uint32(number), uint32(1 << 30), uint32(1 << 15)]))
        })
        end.on("data", (data) => {
          for (let at = 0; at < data.length; at += 1 << 14) {
            send(Buffer.concat([head(message.channelData), string(data.subarray(at, at + (1 << 14)))]))
          }
        })
        end.once("error", () => {
          if (bridges.has(number)) return
          send(Buffer.concat([head(message.channelOpenFailure), uint32(2), string("refused"), string("")]))
        })
        end.once("close", () => {
          sockets.delete(end)
          if (bridges.delete(number)) {
            send(head(message.channelEof))
            send(head(message.channelClose))
          }
        })
      }

      const take = (payload: Buffer) => {
        const reader = new Reader(payload)
        switch (payload[0]) {
          case message.kexInit:
            theirs = Buffer.from(payload)
            return
          case message.ecdhInit:
            return exchange(reader.string())
          case message.newKeys:
            if (keys !== undefined) receiving = new Cipher(keys("C", 16), keys("A", 12))
            return
          case message.serviceRequest:
            return send(Buffer.concat([byte(message.serviceAccept), string(reader.string())]))
          case message.userauthRequest:
            for (const banner of plan.banners ?? []) {
              send(Buffer.concat([byte(message.userauthBanner), string(banner), string("")]))
            }
            send(byte(message.userauthSuccess))
            return attack()
          case message.globalRequest:
            reader.string()
            if (payload[reader.at] === 1) send(byte(message.requestFailure))
            return
          case message.channelOpen:
            return open(reader)
          case message.channelOpenConfirmation:
          case message.channelOpenFailure: {
            const type = ours.get(reader.uint32()) ?? "nobody's"
            if (payload[0] === message.channelOpenFailure) denied.push(type)
            else granted.push(type)
            for (const watcher of watchers) watcher()
            return
          }
          case message.channelData: {
            const bridge = bridges.get(reader.uint32())
            bridge?.end.write(reader.string())
            return
          }
          case message.channelEof:
            bridges.get(reader.uint32())?.end.end()
            return
          case message.channelClose:
            bridges.get(reader.uint32())?.end.destroy()
        }
      }

      socket.write(`${version}\r\n`)
      send(own)
      socket.on("data", (data) => {
        input = Buffer.concat([input, data])
        while (true) {
          if (clientVersion === "") {
            const end = input.indexOf("\n")
            if (end === -1) return
            clientVersion = input.subarray(0, end).toString().trim()
            input = input.subarray(end + 1)
          }
          if (input.length < 4) return
          const length = input.readUInt32BE(0)
          const tag = receiving === undefined ? 0 : 16
          if (input.length < 4 + length + tag) return
          const body = input.subarray(4, 4 + length)
          const text = receiving === undefined
            ? body
            : receiving.open(input.subarray(0, 4), body, input.subarray(4 + length, 4 + length + tag))
          input = input.subarray(4 + length + tag)
          take(text.subarray(1, text.length - (text[0] ?? 0)))
        }
      })
    }

    const server = Net.createServer((socket) => {
      sockets.add(socket)
      socket.on("error", () => {}).on("close", () => sockets.delete(socket))
      serve(socket)
    })
    const port = yield* Effect.acquireRelease(
      Effect.callback<number, LabError>((resume) => {
        server.once(
          "error",
          (cause) => resume(Effect.fail(new LabError({ message: "the enemy cannot listen", cause })))
        )
        server.listen({ host: "127.0.0.1", port: 0 }, () => {
          resume(Effect.succeed((server.address() as Net.AddressInfo).port))
        })
      }),
      () =>
        Effect.callback<void>((resume) => {
          for (const socket of sockets) socket.destroy()
          server.close(() => resume(Effect.void))
        })
    )
    return {
      port,
      knownHosts: `[127.0.0.1]:${port} ssh-ed25519 ${publicKey.toString("base64")}`,
      seen: Effect.sync(() => ({
        forwards: [...forwards],
        granted: [...granted],
        denied: [...denied],
        asked: [...asked]
      })),
      answered: Effect.callback((resume) => {
        const look = () => {
          if (granted.length + denied.length < (plan.channels ?? []).length) return
          watchers.delete(look)
          resume(Effect.void)
        }
        watchers.add(look)
        look()
        return Effect.sync(() => watchers.delete(look))
      })
    }
  }
)
