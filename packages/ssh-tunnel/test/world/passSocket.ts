/**
 * `passSocket.ts HOST PORT`, as ProxyCommand under `ProxyUseFdpass yes`: connects, hands the descriptor over stdout
 * (sendmsg(2) with SCM_RIGHTS) and ends. For Bun, which can call libc; Linux, 64 bits.
 */
type Words = ReadonlyArray<number | bigint>

/** As much of `bun:ffi` as is used here; Node does not know that module. */
interface Ffi {
  readonly dlopen: (
    library: string,
    functions: Readonly<Record<string, { readonly args: ReadonlyArray<string>; readonly returns: string }>>
  ) => { readonly symbols: Readonly<Record<"socket" | "connect" | "sendmsg", (...words: Words) => number | bigint>> }
  readonly ptr: (memory: ArrayBufferView) => number
}

const name: string = "bun:ffi"
const { dlopen, ptr } = await import(name) as Ffi
const { symbols } = dlopen("libc.so.6", {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "i32"], returns: "i32" },
  sendmsg: { args: ["i32", "ptr", "i32"], returns: "i64" }
})

const [host = "", port = ""] = process.argv.slice(2)

/** `struct sockaddr_in` */
const address = new DataView(new ArrayBuffer(16))
address.setUint16(0, 2, true)
address.setUint16(2, Number(port))
host.split(".").forEach((part, index) => address.setUint8(4 + index, Number(part)))

const socket = Number(symbols.socket(2, 1, 0))
if (Number(symbols.connect(socket, ptr(address), 16)) !== 0) throw new Error(`cannot connect to ${host}:${port}`)

/** `struct cmsghdr` with one descriptor, `struct iovec` with one byte, `struct msghdr`. */
const control = new DataView(new ArrayBuffer(24))
control.setBigUint64(0, 20n, true)
control.setInt32(8, 1, true)
control.setInt32(12, 1, true)
control.setInt32(16, socket, true)
const byte = new Uint8Array(1)
const vector = new BigUint64Array([BigInt(ptr(byte)), 1n])
const message = new DataView(new ArrayBuffer(56))
message.setBigUint64(16, BigInt(ptr(vector)), true)
message.setBigUint64(24, 1n, true)
message.setBigUint64(32, BigInt(ptr(control)), true)
message.setBigUint64(40, 24n, true)
if (Number(symbols.sendmsg(1, ptr(message), 0)) !== 1) throw new Error("cannot hand the connection over")
