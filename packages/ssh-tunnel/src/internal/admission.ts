/**
 * At most so many logins at a time at one machine: sshd drops connections at
 * random beyond its MaxStartups (sshd_config(5), default 10:30:100). Different
 * machines never wait for each other.
 */
import { Effect, Option, Stream, SubscriptionRef } from "effect"

/** sshd begins to drop at 10; other clients of the same machine need room too. */
export const maxLogins = 8

/** A login that has not ended. `machine` is asked only when there are so many logins that it matters. */
interface Login {
  readonly machine: Effect.Effect<string>
}

/** Lets effects through that log in; see the module. */
export interface Admission {
  /** `machine` names the first hop, e.g. `host:port`; it may be costly (`ssh -G`) and is asked at most once. */
  readonly through: (
    machine: Effect.Effect<string>
  ) => <A, E, R>(login: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** Makes an {@link Admission} for one process. */
export const make = Effect.gen(function*() {
  const logins = yield* SubscriptionRef.make<ReadonlyArray<Login>>([])

  const countAt = (machine: string, all: ReadonlyArray<Login>) =>
    Effect.map(
      Effect.forEach(all, (login) => login.machine, { concurrency: "unbounded" }),
      (machines) => machines.filter((other) => other === machine).length
    )

  /** Enters if the picture is still the one that the decision was made on. */
  const enter = (mine: Login, seen: ReadonlyArray<Login>) =>
    SubscriptionRef.modifySome(logins, (now) =>
      // Only real changes are published: an unchanged picture would wake everybody who waits for one.
      now === seen ? [true, Option.some([...now, mine])] as const : [false, Option.none()] as const)

  const hasRoom = Effect.fnUntraced(function*(mine: Login, seen: ReadonlyArray<Login>) {
    if (seen.length < maxLogins) return true
    return (yield* countAt(yield* mine.machine, seen)) < maxLogins
  })

  const admit = (mine: Login) =>
    SubscriptionRef.changes(logins).pipe(
      Stream.mapEffect((seen) =>
        Effect.flatMap(hasRoom(mine, seen), (room) => room ? enter(mine, seen) : Effect.succeed(false))
      ),
      Stream.filter((entered) => entered),
      Stream.runHead,
      Effect.asVoid
    )

  const leave = (mine: Login) => SubscriptionRef.update(logins, (now) => now.filter((login) => login !== mine))

  const through: Admission["through"] = (machine) => (login) =>
    Effect.gen(function*() {
      const mine: Login = { machine: yield* Effect.cached(machine) }
      return yield* Effect.acquireUseRelease(
        Effect.interruptible(admit(mine)),
        () => login,
        () => leave(mine)
      )
    })

  return { through } satisfies Admission
})
