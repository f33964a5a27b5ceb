/** The end of an ssh process, and what is needed to say why. */
import type { ConfigurationReason } from "../ConfigurationError.ts"
import type { SshTarget } from "../Remedy.ts"
import type { TransportReason } from "../TransportError.ts"
import type { SshLog } from "./sshLog.ts"
import type { Failure } from "./sshWordings.ts"

/** How the ssh process ended. */
export interface SshExit {
  readonly code?: number
  readonly signal?: string
  /** It never ran: the platform's own words. */
  readonly spawnError?: string
}

/** What `classify` needs to know. */
export interface Ended {
  readonly log: SshLog
  readonly exit: SshExit
  /** `established`: the connection was ready before; whatever happened, it is lost. */
  readonly phase: "opening" | "established"
  /** The destination, for remedies. */
  readonly target: SshTarget
  /** The same for a jump host, by the name that the user gave it. */
  readonly hops: (name: string) => SshTarget
  /** The ssh program, for `SshNotFound`. Default: `ssh`. */
  readonly binary?: string
  /** The user's config file, for errors for which ssh names none. Default: `~/.ssh/config`. */
  readonly configFile?: string
  /** The identity file of the profile, as ssh prints it: when it is unusable, that is the cause. */
  readonly identityFile?: string
  /**
   * Whether an accepted host key can be remembered: `false` when every
   * `UserKnownHostsFile` is /dev/null or `none` (no line of ssh tells). Default: it can.
   */
  readonly rememberable?: (hop: string | undefined) => boolean
  /**
   * Key types (`ED25519`, `RSA`, …) that all known_hosts files together have for
   * the name of `knownHostsQuery`. When absent or empty, a key of a new
   * type counts as *changed*, as ssh itself says.
   */
  readonly knownKeyTypes?: ReadonlyArray<string>
}

/** Every reason that an end of ssh can have. */
export type Reason = TransportReason | ConfigurationReason
/** One kind of {@link Failure}. */
export type FailureOf<T extends Failure["_tag"]> = Extract<Failure, { readonly _tag: T }>

/** Where it happened, as errors name it. */
export interface Place {
  readonly target: SshTarget
  readonly hop?: string
}

/** The first failure of a kind. */
export const first = <T extends Failure["_tag"]>(failures: ReadonlyArray<Failure>, tag: T) =>
  failures.find((failure): failure is FailureOf<T> => failure._tag === tag)

/**
 * The place of a connection of the chain. The program of a ProxyCommand is no
 * place: the host that it leads to is meant.
 */
export const placeOf = (ended: Pick<Ended, "log" | "target" | "hops">, index: number): Place => {
  const connection = ended.log.connections[index]
  if (index <= 0 || connection === undefined) return { target: ended.target }
  const hop = connection.hop ?? connection.host
  if (hop === undefined) return placeOf(ended, index - 1)
  return { target: ended.hops(hop), hop }
}
