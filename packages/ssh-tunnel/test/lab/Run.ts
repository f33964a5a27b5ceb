/** Runs a scenario, and tells what the product said. */
import * as Namespace from "@opencode-ai/ssh-lab/Namespace"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Context, Effect, HashMap, Option, Ref, type Scope, Stream } from "effect"
import type { ConnectionError } from "../../src/ConnectionError.ts"
import { Connections } from "../../src/Connections.ts"
import type { ConnectionState } from "../../src/ConnectionState.ts"
import { CredentialStore } from "../../src/CredentialStore.ts"
import { noBootstrap, Profile, ProfileId } from "../../src/Profile.ts"
import { ProfileRepo } from "../../src/ProfileRepo.ts"
import * as Product from "./Product.ts"
import type { Requirement, Scenario, Situation } from "./Scenario.ts"

/** A state, and when it was reached: milliseconds since the product was asked. */
export interface Step {
  readonly at: number
  readonly state: ConnectionState
}

export interface Outcome {
  readonly steps: ReadonlyArray<Step>
  /** Absent: it is connected. */
  readonly error: ConnectionError | undefined
  readonly situation: Situation
  readonly dataDirectory: string
}

const present: Readonly<Record<Requirement, { readonly holds: () => boolean; readonly what: string }>> = {
  namespaces: { holds: Namespace.available, what: "Linux with namespaces for this user" },
  root: { holds: Namespace.isRoot, what: "root on Linux" },
  opencode: { holds: () => Opencode.available, what: "the real opencode" }
}

/** What this machine does not offer; empty when the scenario can run. */
export const missing = ({ requires = [] }: Scenario): ReadonlyArray<string> => [
  ...(Sshd.available ? [] : ["sshd"]),
  ...requires.filter((requirement) => !present[requirement].holds()).map((requirement) => present[requirement].what)
]

/** How long a scenario may take at most. */
const limit = "50 seconds"

const profileOf = (situation: Situation): Profile =>
  new Profile({ id: ProfileId.make("box"), name: "Box", bootstrap: noBootstrap, ...situation.profile })

/** Connects the profile; done with its first error, or when it is connected and nothing happens to it any more. */
export const connect = Effect.fnUntraced(function*(
  { services }: Product.Product,
  situation: Situation,
  profile: Profile = profileOf(situation),
  note: (state: ConnectionState) => void = () => {}
) {
  const connections = Context.get(services, Connections)
  const saved = yield* Effect.result(Context.get(services, ProfileRepo).save(profile))
  if (saved._tag === "Failure") return saved.failure
  if (situation.credentials !== undefined) {
    yield* Context.get(services, CredentialStore).set(profile.id, situation.credentials)
  }
  return yield* reach(connections, situation, profile.id, note)
})

const reach = Effect.fnUntraced(function*(
  connections: Connections["Service"],
  situation: Situation,
  id: ProfileId,
  note: (state: ConnectionState) => void
) {
  yield* connections.connect(id)
  const { afterwards, during = "Connected" } = situation
  const happened = yield* Ref.make(false)
  const happens = Effect.fnUntraced(function*({ _tag }: ConnectionState) {
    if (afterwards === undefined || _tag !== during || (yield* Ref.getAndSet(happened, true))) return
    yield* afterwards
  })
  const end = yield* connections.states.pipe(
    Stream.map(HashMap.get(id)),
    Stream.filter(Option.isSome),
    Stream.map(({ value }) => value),
    Stream.tap((state) => Effect.andThen(Effect.sync(() => note(state)), happens(state))),
    Stream.filter((state) =>
      state._tag === "Failed" || state._tag === "Reconnecting" || state._tag === "Disconnected" ||
      (state._tag === "Connected" && (afterwards === undefined || during !== "Connected"))
    ),
    Stream.runHead
  )
  return Option.isSome(end) && "error" in end.value ? end.value.error : undefined
})

/** The product in the scenario. What it has started is gone when the scope ends. */
export const run = Effect.fn("Run.run")(function*(scenario: Scenario): Effect.fn.Return<Outcome, unknown, Scope.Scope> {
  const situation = yield* scenario.setUp
  const product = yield* Product.make(situation)
  if (situation.before !== undefined) yield* situation.before(product)
  const profile = profileOf(situation)
  const steps: Array<Step> = []
  const start = performance.now()
  const note = (state: ConnectionState) => void steps.push({ at: performance.now() - start, state })
  const asked = situation.ask === undefined
    ? connect(product, situation, profile, note)
    : situation.ask(product, profile).pipe(
      Effect.match({ onFailure: (error) => error, onSuccess: () => undefined })
    )
  const error = yield* Effect.timeout(asked, limit)
  return { steps, error, situation, dataDirectory: product.dataDirectory }
})
