/** A failure that really happens: what is set up, what the product is asked to do, and what it must say. */
import type { LabError } from "@opencode-ai/ssh-lab/LabError"
import type { Effect, Scope } from "effect"
import type { ConnectionError } from "../../src/ConnectionError.ts"
import type { Credentials } from "../../src/Credentials.ts"
import type { Profile } from "../../src/Profile.ts"
import type { Timings } from "../../src/Schedules.ts"
import type { Product } from "./Product.ts"

/** What a scenario says of its profile; the rest is as a person gets it who fills in the host only. */
export type Fields = Partial<Profile> & Pick<Profile, "host">

/** What `setUp` has made, and how the product is to meet it. */
export interface Situation {
  /** The profile that is connected. */
  readonly profile: Fields
  /** Variables of the product's environment. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Waits that are shorter than a person's. */
  readonly timing?: Partial<Timings>
  /** What the CredentialStore has for the profile. */
  readonly credentials?: Credentials
  /** Before anything is asked of the product. */
  readonly before?: (product: Product) => Effect.Effect<void, LabError>
  /** What happens once the connection is up, or for the first time in the state `during`. */
  readonly afterwards?: Effect.Effect<void, LabError>
  readonly during?: "Bootstrapping"
  /** What the product is asked for instead of a connection. */
  readonly ask?: (product: Product, profile: Profile) => Effect.Effect<unknown, ConnectionError, Scope.Scope>
  /** Names for what is different in each run: ports, and paths before what is below them. */
  readonly names?: ReadonlyArray<readonly [value: string | number, name: string]>
}

type ReasonOf<Tag extends ConnectionError["_tag"]> = Extract<ConnectionError, { readonly _tag: Tag }>["reason"]

/** The error that must come. `hop` is absent when it must not be there. */
export interface Failure {
  readonly error: ConnectionError["_tag"]
  readonly reason: ConnectionError["reason"]["_tag"]
  readonly retryable: boolean
  readonly hop?: string
  /** Further fields of the reason, as far as they tell the scenario from others. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** What the machine must allow. */
export type Requirement =
  /** A network or mounts of its own for one program. */
  | "namespaces"
  /** Mounts of its own for sshd, or another account. */
  | "root"
  /** The real opencode. */
  | "opencode"

/** Where what ssh says comes from. */
export type Origin =
  /** Real programs, and the real cause. */
  | "real"
  /** A stand-in for ssh prints what OpenSSH's (or another) source text says: a transcript of `test/fixtures/stderr`. */
  | "transcript"

export interface Scenario {
  /** Lower-case words joined by `-`; stable. */
  readonly name: string
  /** What is wrong, in one sentence. */
  readonly about: string
  /** `Connected`: what looks like a failure is none. */
  readonly expected: Failure | "Connected"
  readonly requires?: ReadonlyArray<Requirement>
  readonly origin?: Origin
  /** Now and then ssh's own words do not tell that it is the jump host's failure: then nobody can. */
  readonly hopIsLuck?: boolean
  /** It takes so many seconds, because the wait is ssh's own. */
  readonly seconds?: number
  readonly setUp: Effect.Effect<Situation, LabError, Scope.Scope>
}

export interface Group {
  readonly title: string
  readonly scenarios: ReadonlyArray<Scenario>
}

/** An error of a class, with a reason, that is `retried` or `final`. */
export const fails = <Tag extends ConnectionError["_tag"], Reason extends ReasonOf<Tag>["_tag"]>(
  error: Tag,
  reason: Reason,
  retryable: "retried" | "final",
  { hop, ...fields }: Partial<Extract<ReasonOf<Tag>, { readonly _tag: Reason }>> & { readonly hop?: string } = {}
): Failure => ({
  error,
  reason,
  retryable: retryable === "retried",
  ...(hop === undefined ? undefined : { hop }),
  fields
})
