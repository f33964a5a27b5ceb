/**
 * Who may see the window: whoever holds the cookie, and the cookie is given for
 * a ticket that is good once and for a short time.
 */
import { Clock, Duration, Effect, Ref } from "effect"
import * as Crypto from "node:crypto"
import { TransportLimits } from "../../TransportLimits.ts"

interface Ticket {
  readonly digest: Uint8Array
  /** Milliseconds since 1970. */
  readonly expires: number
}

export interface Visits {
  /** A new ticket: letters, digits, `-` and `_`. */
  readonly mint: Effect.Effect<string>
  /** Takes a ticket. True for the first one who brings it in time. */
  readonly redeem: (ticket: string) => Effect.Effect<boolean>
  /** What the cookie must hold. */
  readonly secret: string
  readonly isSecret: (given: string) => boolean
}

/** 256 bits: nobody finds one by trying. */
const random = (): string => Crypto.randomBytes(32).toString("base64url")

/** Digests have one length, and are compared in a time that says nothing about where they differ. */
const digest = (text: string): Uint8Array => Crypto.createHash("sha256").update(text).digest()
const isSame = (a: Uint8Array, b: Uint8Array): boolean => Crypto.timingSafeEqual(a, b)

export const makeVisits: Effect.Effect<Visits> = Effect.gen(function*() {
  const limits = yield* TransportLimits
  const tickets = yield* Ref.make<ReadonlyArray<Ticket>>([])
  const secret = random()
  const secretDigest = digest(secret)

  const mint = Effect.gen(function*() {
    const ticket = random()
    const now = yield* Clock.currentTimeMillis
    const minted = { digest: digest(ticket), expires: now + Duration.toMillis(limits.ticket) }
    yield* Ref.update(tickets, (all) => [...all, minted].slice(-limits.tickets))
    return ticket
  })

  const redeem = Effect.fnUntraced(function*(ticket: string) {
    const now = yield* Clock.currentTimeMillis
    const given = digest(ticket)
    return yield* Ref.modify(tickets, (all) => {
      const good = all.filter(({ expires }) => expires > now)
      return [good.some((one) => isSame(one.digest, given)), good.filter((one) => !isSame(one.digest, given))]
    })
  })

  return { mint, redeem, secret, isSecret: (given) => isSame(digest(given), secretDigest) }
})
