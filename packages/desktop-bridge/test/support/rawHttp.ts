/** HTTP byte for byte: no client library would send what these tests send. */
import { Effect } from "effect"
import * as Net from "node:net"

export interface RawReply {
  /** 0: closed without an answer. */
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** The line and headers of a request, with what every test needs unless it says otherwise. */
export const head = (
  line: string,
  headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
): string =>
  `${line} HTTP/1.1\r\n${
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [value].flat().map((one) => `${name}: ${one}\r\n`)
    ).join("")
  }\r\n`

const parse = (bytes: Buffer): RawReply => {
  const text = bytes.toString("latin1")
  const end = text.indexOf("\r\n\r\n")
  const [line = "", ...lines] = text.slice(0, end).split("\r\n")
  return {
    status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(`${line} `)?.[1] ?? 0),
    headers: Object.fromEntries(lines.map((one) => {
      const colon = one.indexOf(":")
      return [one.slice(0, colon).toLowerCase(), one.slice(colon + 1).trim()]
    })),
    body: text.slice(end + 4)
  }
}

/** Sends the bytes and reads until the server closes. */
export const ask = (port: number, bytes: string | Uint8Array): Effect.Effect<RawReply> =>
  Effect.callback<RawReply>((resume) => {
    const chunks: Array<Buffer> = []
    const socket = Net.connect({ host: "127.0.0.1", port }, () => socket.write(bytes))
    socket.on("data", (chunk) => chunks.push(chunk))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.sync(() => parse(Buffer.concat(chunks)))))
    return Effect.sync(() => socket.destroy())
  })

/** A frame of a client (RFC 6455 §5.2), masked by zeros unless it is told not to be. */
export const frame = (
  opcode: number,
  payload: string | Uint8Array,
  options: { readonly final?: boolean; readonly masked?: boolean } = {}
): Buffer => {
  const bytes = Buffer.from(payload)
  const mask = options.masked === false ? 0 : 0x80
  const length = bytes.length < 126
    ? Buffer.from([mask | bytes.length])
    : Buffer.from([mask | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (bytes.length >> shift) & 0xff)])
  return Buffer.concat([
    Buffer.from([(options.final === false ? 0 : 0x80) | opcode]),
    length,
    Buffer.alloc(options.masked === false ? 0 : 4),
    bytes
  ])
}
