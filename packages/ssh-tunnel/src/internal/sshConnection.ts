/** One connection of the chain of jump hosts, as ssh's text tells of it. */
import type { IdentityProblem, PublicKey, SigningProblem } from "./sshWordings.ts"

/**
 * One key that was tried. `trying`: a file that ssh could not load so far;
 * `offered`; `accepted`: sshd wants a signature, none was sent so far;
 * `refused`; `partial`: good, but more is wanted; `unsigned`: signing failed.
 */
export interface Attempt {
  readonly file: string
  readonly key?: PublicKey
  readonly outcome: "trying" | "offered" | "accepted" | "refused" | "partial" | "unsigned"
  readonly signing?: SigningProblem
}

/** How far one connection has come. */
export type Stage =
  | "starting"
  | "connecting"
  | "connected"
  | "identified"
  | "keyed"
  | "authenticating"
  | "authenticated"

/** One ssh of the chain, or the program of a `ProxyCommand`. */
export interface Connection {
  /** The jump host's name as the user wrote it; absent for the destination and for the program of a ProxyCommand. */
  readonly hop?: string
  /** How it is reached, if not by TCP: the command of its ProxyJump or ProxyCommand. */
  readonly proxy?: string
  readonly stage: Stage
  readonly host?: string
  readonly port?: number
  readonly user?: string
  /** The name that known_hosts uses instead of the host's. */
  readonly hostKeyAlias?: string
  readonly serverKey?: { readonly algorithm: string; readonly fingerprint: string }
  /** What the server would still take, in its own order. */
  readonly methods: ReadonlyArray<string>
  /** Something was good, but more is wanted. */
  readonly partial: boolean
  /** The keys that ssh means to try. */
  readonly candidates: ReadonlyArray<PublicKey>
  readonly attempts: ReadonlyArray<Attempt>
  readonly identities: ReadonlyArray<{ readonly file: string; readonly problem: IdentityProblem }>
  /** Lines that ssh does not print here: somebody else speaks in its name. */
  readonly forged: boolean
}

/** A connection of which nothing is known. */
export const noConnection: Connection = {
  stage: "starting",
  methods: [],
  partial: false,
  candidates: [],
  attempts: [],
  identities: [],
  forged: false
}

const stages: ReadonlyArray<Stage> = [
  "starting",
  "connecting",
  "connected",
  "identified",
  "keyed",
  "authenticating",
  "authenticated"
]

/** Whether a connection has not come as far as a stage. */
export const isBefore = (connection: Connection, stage: Stage): boolean =>
  stages.indexOf(connection.stage) < stages.indexOf(stage)

/** Gives the attempt that is still open its outcome. */
export const settled = (
  attempts: ReadonlyArray<Attempt>,
  change: Pick<Attempt, "outcome" | "signing">
): ReadonlyArray<Attempt> => {
  const last = attempts.at(-1)
  return last === undefined || last.outcome === "refused" || last.outcome === "partial" || last.outcome === "unsigned"
    ? attempts
    : [...attempts.slice(0, -1), { ...last, ...change }]
}
