/**
 * A made-up world for the machine of `lifecycle.ts`: it plays what happens, does what the machine commands, and keeps
 * its own account of what must hold.
 */
import { assert } from "@effect/vitest"
import { Duration, Equal } from "effect"
import type { ConnectionError } from "../../src/ConnectionError.ts"
import { type Connected, ConnectionState } from "../../src/ConnectionState.ts"
import { DiscoveryError, NothingListening } from "../../src/DiscoveryError.ts"
import * as Lifecycle from "../../src/internal/lifecycle.ts"
import { Timing } from "../../src/Schedules.ts"
import { AuthenticationFailed, ConnectionLost, TransportError } from "../../src/TransportError.ts"

const target = { host: "box", options: [] }
export const linkLost = new TransportError({ reason: new ConnectionLost({ target, detail: "test" }) })
export const serverGone = new DiscoveryError({ reason: new NothingListening({ remotePort: 4096 }) })
export const refused = new TransportError({ reason: new AuthenticationFailed({ target, alsoAccepts: [] }) })

export const connected: Connected = ConnectionState.cases.Connected.make({
  url: "http://127.0.0.1:50000",
  localPort: 50_000,
  remotePort: 4096,
  serverVersion: "1.18.33",
  generation: "v1",
  secured: true,
  bootstrapped: false,
  strategy: "master",
  since: "1970-01-01T00:00:00.000Z"
})

const progress = ConnectionState.cases.Connecting.make({ step: "authenticating", since: connected.since })

export const step = Lifecycle.make(Timing.defaults)

/** What the world may do next, by name: people, the machine they sit at, and the work. */
export const happenings = [
  "connect",
  "restore",
  "disconnect",
  "retry",
  "nudge",
  "shutdown",
  "work succeeds",
  "link is lost",
  "server is gone",
  "login is refused",
  "work breaks",
  "progress",
  "old work speaks",
  "a moment",
  "a while",
  "an hour"
] as const
export type Happening = (typeof happenings)[number]

/** How much time passes before each. */
const delays: { readonly [H in Happening]?: Duration.Duration } = {
  "a moment": Duration.seconds(1),
  "a while": Duration.seconds(40),
  "an hour": Duration.hours(1)
}

/** The event with which the work that runs in a state ends well. */
const success = ({ _tag, ticket }: Lifecycle.Life): Lifecycle.Event | undefined => {
  switch (_tag) {
    case "Opening":
      return { _tag: "Opened", ticket }
    case "Finding":
      return { _tag: "Found", ticket, connected }
    case "Waiting":
      return { _tag: "Elapsed", ticket }
    case "Closing":
      return { _tag: "Closed", ticket }
    default:
      return undefined
  }
}

/** The work that runs in each state. */
const workIn: { readonly [S in Lifecycle.Life["_tag"]]?: Lifecycle.Work["_tag"] } = {
  Opening: "Open",
  Finding: "Discover",
  Up: "Watch",
  Waiting: "Wait",
  Closing: "Close"
}

const isWork = (command: Lifecycle.Command): command is Lifecycle.Work => "ticket" in command

const { healthyAfter, retryAtMost, retryFor } = Timing.defaults

/** The wait before an attempt without jitter, written down another way than in the machine. */
const plainWait = (attempt: number): number => {
  if (attempt === 1) return 0
  const waits = [500, 1000, 2000, 4000, 8000, 16_000]
  return waits[attempt - 2] ?? 25_000
}

/** One play; each step asserts the laws. */
export const play = (script: ReadonlyArray<{ readonly happening: Happening; readonly chance: number }>) => {
  let life = Lifecycle.initial
  let monotonic = 1000
  /** The world's own account. */
  let forbidden = true
  let over = false
  let ssh = false
  let wasUp = false
  let origin: Lifecycle.Origin = "user"
  let upSince: number | undefined
  let outage: { readonly since: number; readonly attempts: number } | undefined
  let running: Lifecycle.Work | undefined
  const seen: Array<Lifecycle.Life["_tag"]> = []

  const eventOf = (happening: Happening): Lifecycle.Event | undefined => {
    const { ticket } = life
    const lost = (error: ConnectionError): Lifecycle.Event => ({ _tag: "Lost", ticket, error })
    switch (happening) {
      case "connect":
        return { _tag: "Connect", origin: "user" }
      case "restore":
        return { _tag: "Connect", origin: "restore" }
      case "disconnect":
        return { _tag: "Disconnect" }
      case "retry":
        return { _tag: "Retry" }
      case "nudge":
        return { _tag: "Nudge" }
      case "shutdown":
        return { _tag: "Shutdown" }
      case "work succeeds":
        return success(life)
      case "link is lost":
        // Without ssh no work can lose it; while it waits only a session that is kept can.
        return running === undefined || running._tag === "Close" || (running._tag === "Wait" && !ssh)
          ? undefined
          : lost(linkLost)
      case "server is gone":
        return running?._tag === "Discover" || running?._tag === "Watch" ? lost(serverGone) : undefined
      case "login is refused":
        return running?._tag === "Open" || running?._tag === "Discover" || running?._tag === "Watch"
          ? lost(refused)
          : undefined
      case "work breaks":
        return running === undefined ? undefined : { _tag: "Broken", ticket, error: linkLost }
      case "progress":
        return { _tag: "Progress", ticket, state: progress }
      case "old work speaks":
        return { _tag: "Lost", ticket: ticket - 1, error: refused }
      default:
        return undefined
    }
  }

  for (const { chance, happening } of script) {
    monotonic += Duration.toMillis(delays[happening] ?? Duration.millis(10))
    const event = eventOf(happening)
    if (event === undefined) continue
    const before = life
    const [next, commands] = step(before, event, { monotonic, wall: monotonic, chance })
    life = next
    const says = `${before._tag} + ${happening}: ${commands.map(({ _tag }) => _tag).join(", ")} → ${next._tag}`
    const works = commands.filter(isWork)
    const wasForbidden = forbidden

    if (over) {
      assert.isTrue(next === before && commands.length === 0, `no state after shutdown: ${says}`)
      continue
    }
    if (happening === "old work speaks") {
      assert.isTrue(next === before && commands.length === 0, `late words change nothing: ${says}`)
      continue
    }

    // People see a state exactly when it changes.
    const published = commands.filter((command) => command._tag === "Publish")
    assert.isAtMost(published.length, 1, says)
    assert.strictEqual(published.length === 1, !Equal.equals(next.shown, before.shown), says)
    for (const command of published) assert.isTrue(Equal.equals(command.state, next.shown), says)

    // One work at a time, each with a ticket of its own, and the one that belongs to the state.
    assert.isAtMost(works.length, 1, says)
    for (const work of works) {
      assert.strictEqual(work.ticket, before.ticket + 1, says)
      running = work
    }
    if (works.length === 0) assert.strictEqual(next.ticket, before.ticket, says)
    const isEnd = next._tag === "Off" || next._tag === "Failed"
    if (isEnd) running = undefined
    assert.strictEqual(running?._tag, next._tag === "Over" ? "Close" : workIn[next._tag], says)
    if (!isEnd) assert.strictEqual(next.ticket, running?.ticket, says)

    // What the world knows of the past.
    if (event._tag === "Connect" && (before._tag === "Off" || before._tag === "Failed")) {
      wasUp = false
      outage = undefined
      origin = event.origin
    }
    if (event._tag === "Connect" && before._tag === "Closing") {
      wasUp = false
      outage = undefined
      origin = event.origin
    }
    if (event._tag === "Nudge" && before._tag !== "Up") outage = undefined
    if (event._tag === "Found") {
      assert.strictEqual(next._tag, "Up", says)
      wasUp = true
      upSince = monotonic
    }

    // What may never be tried again, and what must be.
    if (event._tag === "Connect") forbidden = false
    if (event._tag === "Disconnect" || (event._tag === "Broken" && before._tag !== "Closing")) forbidden = true
    if (event._tag === "Lost") {
      if (upSince !== undefined && monotonic - upSince >= Duration.toMillis(healthyAfter)) outage = undefined
      upSince = undefined
      outage = { since: outage?.since ?? monotonic, attempts: (outage?.attempts ?? 0) + 1 }
      const isTired = monotonic - outage.since >= Duration.toMillis(retryFor)
      if (!event.error.retryable || isTired || (origin === "user" && !wasUp)) forbidden = true
      assert.strictEqual(next._tag, forbidden ? "Closing" : "Waiting", `an outage lasts three hours: ${says}`)
    }
    if (event._tag === "Shutdown") {
      over = true
      forbidden = true
    }
    if (forbidden && event._tag !== "Connect") {
      for (const work of works) assert.strictEqual(work._tag, "Close", `nothing is tried any more: ${says}`)
    }
    if (event._tag === "Disconnect") {
      assert.include(["Off", "Closing"], next._tag, says)
      assert.include(["Disconnected", "Disconnecting"], next.shown._tag, says)
    }
    if (before._tag === "Closing" && (event._tag === "Closed" || event._tag === "Broken")) {
      assert.include(wasForbidden ? ["Off", "Failed"] : ["Opening"], next._tag, says)
    }

    // ssh: there from its opening until it is dropped, and never opened twice.
    if (event._tag === "Opened") ssh = true
    for (const work of works) {
      if (work._tag === "Close" || (work._tag === "Wait" && !work.keep)) ssh = false
      if (work._tag === "Open") assert.isFalse(ssh, `ssh is there: ${says}`)
      if (work._tag === "Discover" || work._tag === "Watch" || (work._tag === "Wait" && work.keep)) {
        assert.isTrue(ssh, `there is no ssh: ${says}`)
      }
      if (work._tag === "Wait") {
        const error = event._tag === "Lost" ? event.error : undefined
        assert.strictEqual(work.keep, error === serverGone, `only a server that is gone costs no new ssh: ${says}`)
      }
    }

    // Waits.
    for (const work of works) {
      if (work._tag !== "Wait") continue
      const plain = plainWait(outage?.attempts ?? 0)
      assert.isAtLeast(work.millis, plain * 0.8 - 1e-6, says)
      assert.isAtMost(work.millis, plain * 1.2 + 1e-6, says)
      assert.isAtMost(work.millis, Duration.toMillis(retryAtMost) + 1e-6, says)
      assert.closeTo(work.millis, plain * (0.8 + 0.4 * chance), 1e-6, `chance decides the jitter: ${says}`)
    }
    if (before._tag === "Waiting" && ["Retry", "Connect", "Nudge", "Elapsed"].includes(event._tag)) {
      assert.include(["Opening", "Finding"], next._tag, `a wait can be skipped: ${says}`)
    }
    if (before._tag === "Up" && (event._tag === "Nudge" || event._tag === "Connect")) {
      assert.deepStrictEqual(commands, [{ _tag: "Probe" }], says)
    }
    seen.push(next._tag)
  }

  // From wherever the play has come: a disconnect ends it, and nothing but a connect begins anything.
  if (!over) {
    const at = { monotonic, wall: monotonic, chance: 0.5 }
    const [closing] = step(life, { _tag: "Disconnect" }, at)
    const [end] = step(closing, { _tag: "Closed", ticket: closing.ticket }, at)
    assert.strictEqual(end._tag, "Off", `a disconnect from ${life._tag} ends it`)
    for (const tag of ["Retry", "Nudge", "Disconnect"] as const) {
      assert.deepStrictEqual(step(end, { _tag: tag }, at), [end, []])
    }
  }
  return seen
}
