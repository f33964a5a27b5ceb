/**
 * The life of one connection as a pure machine: a state and an event give the
 * next state and what has to be done. No effect, no clock, no chance in here;
 * `Connections` does what the commands say. Read {@link make} from its table.
 *
 * Long work (open, discover, watch, wait, close) is done one at a time: each
 * command of these has a ticket, starting one ends what was begun before, and
 * what comes of it carries its ticket. A late word of ended work is ignored.
 */
import { DateTime, Duration, Equal } from "effect"
import type { ConnectionError } from "../ConnectionError.ts"
import { type Connected, ConnectionState } from "../ConnectionState.ts"
import type { Timings } from "../Schedules.ts"

/** Who asked for the connection; see `Connections.connect`. */
export type Origin = "user" | "restore"

/** When something happens, and how the dice fall. */
export interface Moment {
  /** Milliseconds of a clock that nobody sets, for what lasts. */
  readonly monotonic: number
  /** Milliseconds since 1970, for people. */
  readonly wall: number
  /** 0 to 1, for the jitter. */
  readonly chance: number
}

/** A time without connection: since when, and the how-manieth attempt is next. */
interface Outage {
  readonly since: number
  readonly attempt: number
}

/** What is remembered from connect to the end. */
interface Course {
  readonly origin: Origin
  /** There once it was connected. */
  readonly url?: string
  /** There from a loss to the next connection that is healthy. */
  readonly outage?: Outage | undefined
}

/** What follows when everything is closed. */
type Next =
  | { readonly _tag: "Disconnected" }
  | { readonly _tag: "Failed"; readonly error: ConnectionError }
  | { readonly _tag: "Connect"; readonly origin: Origin }

interface Common {
  /** Of the work that is done now, or was done last. */
  readonly ticket: number
  /** What everybody sees. */
  readonly shown: ConnectionState
}

/** Where a connection is in its life. */
export type Life =
  /** Nothing runs, nothing is there. */
  | Common & { readonly _tag: "Off" }
  /** ssh is being started. */
  | Common & { readonly _tag: "Opening"; readonly course: Course }
  /** ssh is there; the server is being looked for, or started. */
  | Common & { readonly _tag: "Finding"; readonly course: Course }
  /** Connected, and watched. `since` is monotonic. */
  | Common & { readonly _tag: "Up"; readonly course: Course; readonly since: number }
  /** Lost, to be tried again. `session`: ssh is still there. */
  | Common & { readonly _tag: "Waiting"; readonly course: Course; readonly session: boolean }
  /** Everything is being ended. */
  | Common & { readonly _tag: "Closing"; readonly next: Next }
  /** Given up; nothing is there. */
  | Common & { readonly _tag: "Failed" }
  /** The service ends; nothing moves any more. */
  | Common & { readonly _tag: "Over" }

/** What can happen: people and the machine they sit at, and then what comes of the work. */
export type Event =
  | { readonly _tag: "Connect"; readonly origin: Origin }
  | { readonly _tag: "Disconnect" }
  | { readonly _tag: "Retry" }
  /** The network is another one, or the machine was asleep. */
  | { readonly _tag: "Nudge" }
  | { readonly _tag: "Shutdown" }
  | { readonly _tag: "Progress"; readonly ticket: number; readonly state: ConnectionState }
  | { readonly _tag: "Opened"; readonly ticket: number }
  | { readonly _tag: "Found"; readonly ticket: number; readonly connected: Connected }
  | { readonly _tag: "Lost"; readonly ticket: number; readonly error: ConnectionError }
  /** A bug of ours. */
  | { readonly _tag: "Broken"; readonly ticket: number; readonly error: ConnectionError }
  | { readonly _tag: "Elapsed"; readonly ticket: number }
  | { readonly _tag: "Closed"; readonly ticket: number }

/** The long work; it ends with the event behind the arrow, or with `Lost`. */
export type Work =
  /** → `Opened`: a new ssh. */
  | { readonly _tag: "Open"; readonly ticket: number }
  /** → `Found`: the server, through the ssh that is there. */
  | { readonly _tag: "Discover"; readonly ticket: number }
  /** Only ever `Lost`. */
  | { readonly _tag: "Watch"; readonly ticket: number }
  /** → `Elapsed`, after so many ms; ssh ends first unless it is kept. */
  | { readonly _tag: "Wait"; readonly ticket: number; readonly millis: number; readonly keep: boolean }
  /** → `Closed`: nothing is left. */
  | { readonly _tag: "Close"; readonly ticket: number }

/** What has to be done, in this order. */
export type Command =
  | Work
  | { readonly _tag: "Publish"; readonly state: ConnectionState }
  /** The next connection shall have this local port. */
  | { readonly _tag: "Remember"; readonly localPort: number }
  /** Ask the server now whether it is there. */
  | { readonly _tag: "Probe" }

export type Step = readonly [Life, ReadonlyArray<Command>]

type At<S extends Life["_tag"]> = Extract<Life, { readonly _tag: S }>

/** For each state, the events that mean something there. All others change nothing. */
type Table = {
  readonly [S in Life["_tag"]]: {
    readonly [E in Event["_tag"]]?: (life: At<S>, event: Extract<Event, { readonly _tag: E }>, at: Moment) => Step
  }
}

const disconnected = ConnectionState.cases.Disconnected.make({})
const disconnecting = ConnectionState.cases.Disconnecting.make({})
const iso = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis))

/** Before anything has happened. */
export const initial: Life = { _tag: "Off", ticket: 0, shown: disconnected }

/** The part of the wait that chance decides, up or down. */
export const jitter = 0.2

/** How long to wait before an attempt, in ms: the first is at once, then the wait doubles up to the limit. */
export const backOff = (
  { retryAfter, retryAtMost }: Pick<Timings, "retryAfter" | "retryAtMost">,
  attempt: number,
  chance: number
): number => {
  if (attempt <= 1) return 0
  const doubled = Duration.toMillis(retryAfter) * 2 ** (attempt - 2)
  return Math.min(doubled, Duration.toMillis(retryAtMost) / (1 + jitter)) * (1 - jitter + 2 * jitter * chance)
}

/** The machine with these durations. */
export const make = (
  timing: Pick<Timings, "healthyAfter" | "retryAfter" | "retryAtMost" | "retryFor">
): (life: Life, event: Event, at: Moment) => Step => {
  const opening = ({ ticket }: Life, course: Course, at: Moment): Step => [
    {
      _tag: "Opening",
      ticket: ticket + 1,
      course,
      shown: ConnectionState.cases.Connecting.make({ step: "starting", since: iso(at.wall) })
    },
    [{ _tag: "Open", ticket: ticket + 1 }]
  ]

  const finding = ({ ticket }: Life, course: Course, at: Moment): Step => [
    {
      _tag: "Finding",
      ticket: ticket + 1,
      course,
      shown: ConnectionState.cases.Discovering.make({ since: iso(at.wall) })
    },
    [{ _tag: "Discover", ticket: ticket + 1 }]
  ]

  const again = (life: At<"Waiting">, course: Course, at: Moment): Step =>
    life.session ? finding(life, course, at) : opening(life, course, at)

  const closing = ({ ticket }: Life, next: Next, shown: ConnectionState): Step => [
    { _tag: "Closing", ticket: ticket + 1, next, shown },
    [{ _tag: "Close", ticket: ticket + 1 }]
  ]

  const failing = (life: Life, error: ConnectionError): Step =>
    closing(life, { _tag: "Failed", error }, life._tag === "Up" ? disconnecting : life.shown)

  const disconnects = (life: Life): Step => closing(life, { _tag: "Disconnected" }, disconnecting)

  const lost = (
    life: At<"Opening" | "Finding" | "Up" | "Waiting">,
    { error }: { readonly error: ConnectionError },
    at: Moment
  ): Step => {
    const { course } = life
    const isHealthy = life._tag === "Up" && at.monotonic - life.since >= Duration.toMillis(timing.healthyAfter)
    const before = isHealthy ? undefined : course.outage
    const outage = { since: before?.since ?? at.monotonic, attempt: (before?.attempt ?? 0) + 1 }
    // What fails before anybody saw it work is for the person who asked to hear.
    const mayRetry = error.retryable && (course.origin === "restore" || course.url !== undefined)
    if (!mayRetry || at.monotonic - outage.since >= Duration.toMillis(timing.retryFor)) return failing(life, error)
    const millis = backOff(timing, outage.attempt, at.chance)
    // A server that is gone costs no new ssh.
    const keep = error._tag !== "TransportError" && (life._tag === "Waiting" ? life.session : life._tag !== "Opening")
    return [
      {
        _tag: "Waiting",
        ticket: life.ticket + 1,
        course: { ...course, outage },
        session: keep,
        shown: ConnectionState.cases.Reconnecting.make({
          attempt: outage.attempt,
          nextAt: iso(at.wall + millis),
          error,
          ...(course.url === undefined ? undefined : { url: course.url })
        })
      },
      [{ _tag: "Wait", ticket: life.ticket + 1, millis, keep }]
    ]
  }

  const broken = (life: Life, { error }: { readonly error: ConnectionError }): Step => failing(life, error)

  /** One "Connecting" counts from where it began, whatever its steps. */
  const progress = (
    life: At<"Opening" | "Finding">,
    { state }: { readonly state: ConnectionState }
  ): Step => [
    {
      ...life,
      shown: state._tag === "Connecting" && life.shown._tag === "Connecting"
        ? ConnectionState.cases.Connecting.make({ ...state, since: life.shown.since })
        : state
    },
    []
  ]

  const up = (life: At<"Finding">, { connected }: { readonly connected: Connected }, at: Moment): Step => [
    {
      _tag: "Up",
      ticket: life.ticket + 1,
      course: { ...life.course, url: connected.url },
      since: at.monotonic,
      shown: connected
    },
    [{ _tag: "Remember", localPort: connected.localPort }, { _tag: "Watch", ticket: life.ticket + 1 }]
  ]

  const connects = (life: Life, { origin }: { readonly origin: Origin }, at: Moment): Step =>
    opening(life, { origin }, at)

  const probes = (life: Life): Step => [life, [{ _tag: "Probe" }]]

  const skips = (life: At<"Waiting">, _: unknown, at: Moment): Step => again(life, life.course, at)

  /** What was learnt about the network before it changed is worth nothing: the back-off begins anew. */
  const fresh = (course: Course): Course => ({ ...course, outage: undefined })
  const forgets = <L extends At<"Opening" | "Finding">>(life: L): Step => [{ ...life, course: fresh(life.course) }, []]

  const ended = (life: At<"Closing">, _: unknown, at: Moment): Step => {
    const { next, ticket } = life
    switch (next._tag) {
      case "Connect":
        return opening(life, { origin: next.origin }, at)
      case "Failed":
        return [{ _tag: "Failed", ticket, shown: ConnectionState.cases.Failed.make({ error: next.error }) }, []]
      case "Disconnected":
        return [{ _tag: "Off", ticket, shown: disconnected }, []]
    }
  }

  const over = ({ ticket }: Life): Step => [
    { _tag: "Over", ticket: ticket + 1, shown: disconnected },
    [{ _tag: "Close", ticket: ticket + 1 }]
  ]

  const table: Table = {
    Off: {
      Connect: connects,
      Shutdown: over
    },
    Opening: {
      Progress: progress,
      Opened: (life, _, at) => finding(life, life.course, at),
      Lost: lost,
      Broken: broken,
      Nudge: forgets,
      Disconnect: disconnects,
      Shutdown: over
    },
    Finding: {
      Progress: progress,
      Found: up,
      Lost: lost,
      Broken: broken,
      Nudge: forgets,
      Disconnect: disconnects,
      Shutdown: over
    },
    Up: {
      Lost: lost,
      Broken: broken,
      Nudge: probes,
      Connect: probes,
      Disconnect: disconnects,
      Shutdown: over
    },
    Waiting: {
      Elapsed: skips,
      Retry: skips,
      Connect: skips,
      Nudge: (life, _, at) => again(life, fresh(life.course), at),
      // ssh, which was kept, has ended as well.
      Lost: lost,
      Broken: broken,
      Disconnect: disconnects,
      Shutdown: over
    },
    Closing: {
      Closed: ended,
      // Then so much is left as there is; waiting for more would be for ever.
      Broken: ended,
      Connect: (life, { origin }) => [{ ...life, next: { _tag: "Connect", origin } }, []],
      Disconnect: (life) => [{ ...life, next: { _tag: "Disconnected" }, shown: disconnecting }, []],
      Shutdown: over
    },
    Failed: {
      Connect: connects,
      Disconnect: (life) => [{ _tag: "Off", ticket: life.ticket, shown: disconnected }, []],
      Shutdown: over
    },
    Over: {}
  }

  return (life, event, at) => {
    if ("ticket" in event && event.ticket !== life.ticket) return [life, []]
    // Safe: the row and the column are those of the two arguments.
    const cell = table[life._tag][event._tag] as ((life: Life, event: Event, at: Moment) => Step) | undefined
    if (cell === undefined) return [life, []]
    const [next, commands] = cell(life, event, at)
    return Equal.equals(next.shown, life.shown)
      ? [next, commands]
      : [next, [{ _tag: "Publish", state: next.shown }, ...commands]]
  }
}
