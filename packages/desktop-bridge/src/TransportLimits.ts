/**
 * Every bound and every duration of the transports, each with the reason for
 * its value. They are one `Context.Reference`, so that a host or a test
 * overrides them in one place:
 * `Effect.provideService(TransportLimits, { ...TransportLimits.defaults, clients: 2 })`.
 */
import { Context, Duration } from "effect"

/** The named bounds; see each field. */
export interface Limits {
  /** Bytes of one message to the main process, as JSON (for ports: about). The largest honest one imports 1000 host names. */
  readonly messageBytes: number
  /** Objects and arrays inside each other in such a message. A profile takes 5. */
  readonly messageDepth: number
  /** Calls of one client that run at the same time, streams included. Further ones fail. */
  readonly calls: number
  /** Bytes of messages of one client that wait to be worked off. More is a flood, which ends the client. */
  readonly waitingBytes: number
  /** Bytes that wait for one WebSocket client to read them. A client that does not read is cut off. */
  readonly unreadBytes: number
  /** WebSocket clients at the same time: windows and tabs. Further ones get 503. */
  readonly clients: number
  /** TCP connections to the window's server at the same time, clients included. Further ones are closed. */
  readonly connections: number
  /** Bytes of a request's line and headers. Node's default, which `NODE_OPTIONS` could change. */
  readonly headBytes: number
  /** Addresses for a first visit that are good at the same time; a new one beyond that takes the oldest one's place. */
  readonly tickets: number
  /** Bytes of all files that the window's server serves: it holds them in memory. */
  readonly fileBytes: number
  /** How long an address for a first visit is good: until a slow browser has started. */
  readonly ticket: Duration.Duration
  /** For a connection to send its request and take the answer; a WebSocket has no limit once it is open. */
  readonly request: Duration.Duration
  /** For a WebSocket client's connection to open. On loopback it takes some ms, or the server is stuck. */
  readonly open: Duration.Duration
  /** Before a WebSocket client tries again after a loss: first, then twice as long each time, … */
  readonly retryFirst: Duration.Duration
  /** … up to this, for ever: a window that stays open finds its server again within seconds. */
  readonly retryMost: Duration.Duration
  /** A connection that lasted so long counts as good: the next loss starts with the first wait again. */
  readonly steady: Duration.Duration
}

const mebi = 1024 * 1024

const defaults: Limits = {
  messageBytes: mebi,
  messageDepth: 32,
  calls: 256,
  waitingBytes: 8 * mebi,
  unreadBytes: 8 * mebi,
  clients: 16,
  connections: 128,
  headBytes: 16 * 1024,
  tickets: 16,
  fileBytes: 64 * mebi,
  ticket: Duration.minutes(2),
  request: Duration.seconds(10),
  open: Duration.seconds(5),
  retryFirst: Duration.millis(250),
  retryMost: Duration.seconds(5),
  steady: Duration.seconds(5)
}

/** The bounds in force; override by providing another value. */
export class TransportLimits extends Context.Reference<Limits>("@opencode-ai/desktop-bridge/TransportLimits", {
  defaultValue: () => defaults
}) {
  static readonly defaults: Limits = defaults
}
