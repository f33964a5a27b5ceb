/** Host keys that ssh did not accept. */
import { RevokedKeysUnreadable } from "../ConfigurationError.ts"
import { HostKeyChanged, HostKeyRevoked, HostKeyUnknown } from "../TransportError.ts"
import { type Ended, first, type Place, type Reason } from "./ended.ts"
import type { Connection } from "./sshConnection.ts"
import { currentConnection, type SshLog } from "./sshLog.ts"

/** What ssh calls a key's type: `ED25519` for the algorithm `ssh-ed25519`. */
const keyTypeOf = (algorithm: string): string =>
  algorithm.startsWith("ssh-rsa") || algorithm.startsWith("rsa-")
    ? "RSA"
    : algorithm.startsWith("ssh-ed25519")
    ? "ED25519"
    : algorithm.startsWith("ecdsa-")
    ? "ECDSA"
    : algorithm.startsWith("sk-ssh-ed25519")
    ? "ED25519-SK"
    : algorithm.startsWith("sk-ecdsa-")
    ? "ECDSA-SK"
    : algorithm.startsWith("ssh-dss")
    ? "DSA"
    : algorithm

/** known_hosts names of this connection: a message about another name is not about this connection. */
const isNameOf = (connection: Connection, name: string): boolean => {
  const { host, hostKeyAlias, port } = connection
  const names = [hostKeyAlias, host, host === undefined ? undefined : `[${host}]:${port}`]
  // ssh cuts names in messages after 200 bytes.
  return names.some((known) =>
    known !== undefined && (known === name || (name.length >= 200 && known.startsWith(name)))
  )
}

/** "Host key verification failed." is the last word of an ssh; only those outside of it may speak afterwards. */
const isLastWord = (log: SshLog): boolean => {
  const end = log.failures.findIndex(({ _tag }) => _tag === "VerificationFailed")
  if (end === -1) return false
  const after = log.failures.slice(end + 1)
  const closings = after.filter(({ _tag }) => _tag === "Closed")
  return closings.length <= log.current &&
    after.every((failure) =>
      log.connections.length > 1 && failure._tag === "Lost" ||
      log.current > 0 && (failure._tag === "NotIdentified" || failure._tag === "Closed" && failure.proxied)
    )
}

/** The reason of an ssh that ended over a host key; `undefined` when its text is not to be believed. */
export const hostKeyReason = (ended: Ended, connection: Connection, place: Place): Reason | undefined => {
  const { log } = ended
  const { failures } = log
  if (connection.forged || !isLastWord(log)) return undefined
  const unreadable = first(failures, "RevokedKeysUnreadable")
  if (unreadable !== undefined) {
    return new RevokedKeysUnreadable({ file: unreadable.file, detail: unreadable.detail })
  }
  const shown = connection.serverKey === undefined
    ? undefined
    : { keyType: keyTypeOf(connection.serverKey.algorithm), fingerprint: connection.serverKey.fingerprint }
  const listed = first(failures, "KeyRevokedByFile")
  if (listed !== undefined) {
    return new HostKeyRevoked({
      ...place,
      keyType: listed.keyType,
      fingerprint: listed.fingerprint,
      knownHostsFile: listed.file
    })
  }
  const named = first(failures, "KeyRevoked") ?? first(failures, "KeyChanged") ?? first(failures, "KeyUnknown")
  if (named === undefined || !isNameOf(connection, named.name)) return undefined
  const fields = { ...place, ...shown, knownHostsName: named.name }
  if (named._tag === "KeyRevoked") return new HostKeyRevoked(fields)
  const rememberable = ended.rememberable?.(place.hop) ?? true
  if (named._tag === "KeyUnknown") return new HostKeyUnknown({ keyType: named.keyType, ...fields, rememberable })
  const offending = first(failures, "KeyOffending")
  const entry = offending === undefined ? undefined : { knownHostsFile: offending.file, knownHostsLine: offending.line }
  const known = knownHostsQuery(log) === undefined ? [] : ended.knownKeyTypes ?? []
  return known.length === 0 || shown === undefined || known.includes(shown.keyType)
    ? new HostKeyChanged({ ...fields, ...entry })
    : new HostKeyUnknown({ ...fields, ...entry, knownKeyTypes: [...new Set(known)], rememberable })
}

/**
 * What `ssh-keygen -l -F <name> -f <file>` should be asked of every known_hosts
 * file in force before `classify`, because ssh calls a key *changed* also
 * when known_hosts has only keys of other types. `undefined`: ssh's text is
 * enough, nothing is to be asked.
 *
 * **Gotchas**
 *
 * Asking only the file that ssh names is not enough: it names the last entry
 * that does not match, and a key of the shown type may stand in another file.
 */
export const knownHostsQuery = (
  log: SshLog
): { readonly name: string; readonly file: string; readonly hop?: string } | undefined => {
  const { hop, serverKey } = currentConnection(log)
  const changed = first(log.failures, "KeyChanged")
  const offending = first(log.failures, "KeyOffending")
  if (changed === undefined || offending === undefined || serverKey === undefined) return undefined
  if (offending.keyType === keyTypeOf(serverKey.algorithm)) return undefined
  return { name: changed.name, file: offending.file, ...(hop === undefined ? undefined : { hop }) }
}
