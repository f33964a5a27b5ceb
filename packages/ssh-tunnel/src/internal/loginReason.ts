/** Logins that sshd denied: what is missing, and who has to do something about it. */
import { IdentityFileUnusable } from "../ConfigurationError.ts"
import { AuthenticationFailed, InteractionRequired } from "../TransportError.ts"
import type { Ended, FailureOf, Place, Reason } from "./ended.ts"
import type { Attempt, Connection } from "./sshConnection.ts"

const isSecurityKey = ({ key }: Attempt): boolean => /-SK(?:-CERT)?$/.test(key?.type ?? "")

const unusableIdentity = (ended: Ended, connection: Connection, wasRefused: boolean) => {
  const { identities } = connection
  const own = identities.find(({ file }) => file === ended.identityFile)
  const unusable = own ??
    (wasRefused ? undefined : identities.find(({ problem }) => problem !== "missing") ?? identities[0])
  if (unusable === undefined) return undefined
  // ssh offers a public key that was named by mistake, and then can't load it as a private one.
  const isPublic = unusable.file.endsWith(".pub") && unusable.problem !== "missing" && unusable.problem !== "unreadable"
  return new IdentityFileUnusable(isPublic ? { file: unusable.file, problem: "public-key" } : unusable)
}

const signingReason = (place: Place, attempt: Attempt, isFile: boolean): Reason | undefined => {
  const securityKey = isSecurityKey(attempt)
  const identityFile = isFile ? { identityFile: attempt.file } : undefined
  switch (attempt.signing) {
    case "refused":
      return new InteractionRequired({ ...place, what: securityKey ? "security-key" : "confirmation" })
    case "pin":
      return securityKey ? new InteractionRequired({ ...place, what: "pin", ...identityFile }) : undefined
    case "no-device":
      return securityKey ? new InteractionRequired({ ...place, what: "security-key", ...identityFile }) : undefined
    default:
      return undefined
  }
}

/** The reason of a login that was denied; `undefined` when nothing sure can be said. */
export const loginReason = (
  ended: Ended,
  connection: Connection,
  place: Place,
  denied: FailureOf<"PermissionDenied">
): Reason | undefined => {
  const { attempts, candidates, identities, partial } = connection
  const methods = denied.methods
  const wasRefused = attempts.some(({ outcome }) => outcome === "refused")

  // A key that sshd would take, but that gave no signature.
  const wanted = attempts.find(({ outcome }) => outcome === "accepted" || outcome === "unsigned")
  if (wanted !== undefined && !identities.some(({ file }) => file === wanted.file)) {
    const isFile = wanted.key?.agent !== true && ended.log.identityFiles.includes(wanted.file)
    if (wanted.outcome === "unsigned") return signingReason(place, wanted, isFile)
    return isFile
      ? new InteractionRequired({ ...place, what: "passphrase", identityFile: wanted.file })
      : undefined
  }
  if (methods.includes("publickey") && !partial) {
    const unusable = unusableIdentity(ended, connection, wasRefused && wanted === undefined)
    if (unusable !== undefined) return unusable
    // Not even its public half could be read, and it is there: a locked key in an old format.
    const locked = attempts.find(({ file, outcome }) =>
      outcome === "trying" && candidates.some((key) => key.file === file && key.explicit)
    )
    if (locked !== undefined && !wasRefused) {
      return new InteractionRequired({ ...place, what: "passphrase", identityFile: locked.file })
    }
  }
  if (partial || !wasRefused) {
    const what = (["password", "keyboard-interactive"] as const).find((method) => methods.includes(method))
    if (what !== undefined) {
      const key = partial ? "accepted" : methods.includes("publickey") ? undefined : "unsupported"
      return new InteractionRequired({ ...place, what, ...(key === undefined ? undefined : { key }) })
    }
  }
  return new AuthenticationFailed({
    ...place,
    user: denied.user,
    alsoAccepts: methods,
    ...(partial ? { partial } : undefined),
    offered: attempts.filter(({ outcome }) => outcome === "refused" || outcome === "partial").length
  })
}
