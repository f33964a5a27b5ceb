import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Process from "./Process.ts"

/** Key types that every OpenSSH since 7.0 knows. */
export type KeyType = "ed25519" | "ecdsa" | "rsa"

/** A key pair in files. */
export interface SshKey {
  /** The private key's file (0600); the public one is beside it, with `.pub`. */
  readonly file: string
  readonly type: KeyType
  /** `ssh-ed25519 AAAA… comment`: a line for authorized_keys. */
  readonly publicKey: string
  /** `SHA256:…`, as ssh prints it. */
  readonly fingerprint: string
}

/** Makes a key pair with `ssh-keygen`; with a passphrase, ssh cannot use it unattended. */
export const make = Effect.fn("SshKey.make")(function*(file: string, options?: {
  readonly type?: KeyType
  readonly passphrase?: string
  readonly comment?: string
}) {
  const type = options?.type ?? "ed25519"
  const bits = type === "rsa" ? ["-b", "2048"] : []
  const words = ["-N", options?.passphrase ?? "", "-C", options?.comment ?? "lab"]
  yield* Process.output("ssh-keygen", ["-q", "-t", type, ...bits, "-f", file, ...words])
  const publicKey = yield* Effect.sync(() => Fs.readFileSync(`${file}.pub`, "utf8").trim())
  const listing = yield* Process.output("ssh-keygen", ["-l", "-f", `${file}.pub`])
  const key: SshKey = { file, type, publicKey, fingerprint: listing.split(" ")[1] ?? "" }
  return key
})
