/**
 * Reads ssh's stderr as it arrives and keeps what is needed later: the last
 * 16 KiB of text, how far each connection of the chain has come, and why one
 * of them ended. Pure; linear in the input; bounded, whatever the other side
 * prints.
 *
 * ssh, and the ssh of each jump host, write to the same stderr without saying
 * who writes. Whose line it is follows from causality: the ssh of a destination
 * can't hear from it before the jump host has let it through, so the chain is
 * worked through from the innermost jump host outward.
 *
 * What a server can forge: its banner (SSH_MSG_USERAUTH_BANNER) is printed as
 * it is, between "SSH2_MSG_SERVICE_ACCEPT received" and "Authenticated to". So
 * a fact counts only in the stage in which ssh itself prints it: nothing about
 * a host's key can be forged by that host, and no file name by anybody.
 */
import type { Progress, Rejection } from "../Tunnel.ts"
import { type Failure, type IdentityProblem, type PublicKey, read } from "./sshWordings.ts"

/** How much raw text is kept, in UTF-16 units. */
export const tailLength = 16 * 1024
/** ssh's own lines have at most 1 KiB (MSGBUFSIZ); a longer line is cut and tells nothing. */
export const maxLineLength = 4 * 1024
const maxConnections = 16
const maxAttempts = 64
const maxFailures = 16
const maxChannels = 4096

/** One key that was tried. `refused`, `accepted` (a signature was wanted, none followed), `partial`, `unsigned` (signing failed). */
export interface Attempt {
  readonly file: string
  readonly key?: PublicKey
  readonly outcome: "trying" | "offered" | "accepted" | "refused" | "partial" | "unsigned"
  readonly detail?: string
}

export type Stage =
  | "starting"
  | "connecting"
  | "connected"
  | "identified"
  | "keyed"
  | "authenticating"
  | "authenticated"

/** One ssh process of the chain, or the program of a `ProxyCommand`. */
export interface Connection {
  /** The jump host's name as the user wrote it; absent for the destination and for the program of a ProxyCommand. */
  readonly hop?: string
  /** How it is reached: the command of its ProxyCommand or ProxyJump. */
  readonly proxy?: string
  readonly stage: Stage
  readonly host?: string
  readonly port?: number
  readonly user?: string
  readonly serverKey?: { readonly algorithm: string; readonly fingerprint: string }
  /** What the server would still take, in its own order. */
  readonly methods: ReadonlyArray<string>
  readonly partial: boolean
  readonly candidates: ReadonlyArray<PublicKey>
  readonly attempts: ReadonlyArray<Attempt>
  readonly identities: ReadonlyArray<{ readonly file: string; readonly problem: IdentityProblem }>
  /** In the order in which they were printed; the first is the cause. */
  readonly failures: ReadonlyArray<Failure>
}

/** Something that happened on a live connection. */
export type SshEvent =
  | {
    /** sshd did not open a forwarded connection. */
    readonly _tag: "Rejected"
    readonly localPort: number
    readonly remotePort: number
    readonly rejection: Rejection
  }
  | {
    /** ssh could not listen on a local port. `taken`: another program has it. */
    readonly _tag: "BindFailed"
    readonly localPort: number
    readonly taken: boolean
    readonly detail: string
  }
  | {
    /** ssh listens on a local port: printed after bind(2), so connections are accepted. */
    readonly _tag: "Listening"
    readonly localPort: number
  }

interface Forwarding {
  readonly localPort: number
  readonly remotePort: number
}

/** See the module. Immutable; opaque outside `internal/`. */
export interface SshLog {
  /** At most twice {@link tailLength}; read it by {@link tail}. */
  readonly text: string
  /** The line that has not ended yet. */
  readonly rest: string
  /** Whether `rest` has lost its end because the line is too long. */
  readonly cut: boolean
  /** `[0]` is the destination, the last one the innermost jump host. */
  readonly connections: ReadonlyArray<Connection>
  /** Which of them ssh is busy with. */
  readonly current: number
  /** The last line that is no debug text. */
  readonly lastWords: string
  /** The text contradicts itself: somebody forges lines. */
  readonly contradictory: boolean
  readonly listening?: number
  readonly requested?: Forwarding
  readonly channels: ReadonlyMap<number, Forwarding | string>
  readonly sessionRefused: boolean
}

const start: Connection = {
  stage: "starting",
  methods: [],
  partial: false,
  candidates: [],
  attempts: [],
  identities: [],
  failures: []
}

/** Nothing read yet. */
export const empty: SshLog = {
  text: "",
  rest: "",
  cut: false,
  connections: [start],
  current: 0,
  lastWords: "",
  contradictory: false,
  channels: new Map(),
  sessionRefused: false
}

/** A copy that does not keep the chunk alive from which it was cut (engines share the memory of substrings). */
const detached = (text: string): string => ` ${text}`.slice(1)

/** A log while lines are being added; never visible outside. */
interface Draft {
  log: SshLog
  channels: Map<number, Forwarding | string> | undefined
  readonly events: Array<SshEvent>
}

const channelsOf = (draft: Draft): Map<number, Forwarding | string> => {
  if (draft.channels === undefined) {
    draft.channels = new Map(draft.log.channels)
    draft.log = { ...draft.log, channels: draft.channels }
  }
  return draft.channels
}

const set = (draft: Draft, change: Partial<SshLog>): void => {
  draft.log = { ...draft.log, ...change }
}

const connectionOf = (draft: Draft): Connection => draft.log.connections[draft.log.current] ?? start

const setConnection = (draft: Draft, change: Partial<Connection>, index = draft.log.current): void =>
  set(draft, {
    connections: draft.log.connections.map((connection, i) => i === index ? { ...connection, ...change } : connection)
  })

const stages: ReadonlyArray<Stage> = [
  "starting",
  "connecting",
  "connected",
  "identified",
  "keyed",
  "authenticating",
  "authenticated"
]
const isBefore = (connection: Connection, stage: Stage): boolean =>
  stages.indexOf(connection.stage) < stages.indexOf(stage)

const push = <A>(items: ReadonlyArray<A>, item: A, max: number): ReadonlyArray<A> =>
  items.length < max ? [...items, item] : items

const setChannel = (draft: Draft, channel: number, value: Forwarding | string): void => {
  const channels = channelsOf(draft)
  channels.delete(channel)
  channels.set(channel, value)
  if (channels.size > maxChannels) {
    const [oldest] = channels.keys()
    if (oldest !== undefined) channels.delete(oldest)
  }
}

/** Replaces the outcome of the attempt that is still open. */
const settle = (
  attempts: ReadonlyArray<Attempt>,
  outcome: Attempt["outcome"],
  detail?: string
): ReadonlyArray<Attempt> => {
  const last = attempts.at(-1)
  return last === undefined || last.outcome === "refused" || last.outcome === "partial" || last.outcome === "unsigned"
    ? attempts
    : [...attempts.slice(0, -1), { ...last, outcome, ...(detail === undefined ? undefined : { detail }) }]
}

/** Whether ssh itself has named this file for this connection, so that no banner can name another. */
const isCandidate = (connection: Connection, file: string): boolean =>
  connection.candidates.length === 0 || connection.candidates.some((key) => key.file === file)

const fail = (draft: Draft, failure: Failure): void => {
  const connection = connectionOf(draft)
  setConnection(draft, { failures: push(connection.failures, failure, maxFailures) })
}

const line = (draft: Draft, text: string, isLogLine: boolean): void => {
  if (!text.startsWith("debug1: ") && text !== "" && !/^(?:Transferred|Bytes per second): /.test(text)) {
    set(draft, { lastWords: text })
  }
  const fact = read(text)
  if (fact === undefined) return
  // Only ssh's log ends its lines with \r\n; what it prints otherwise is a warning about -i, or its proxy's shell.
  if (!isLogLine && fact._tag !== "IdentityUnusable" && fact._tag !== "CommandMissing") return
  const { log } = draft
  const connection = connectionOf(draft)
  switch (fact._tag) {
    case "ProxyCommand":
      if (connection.stage !== "starting" || log.current !== log.connections.length - 1) return
      if (log.connections.length >= maxConnections) return
      setConnection(draft, { proxy: fact.command })
      set(draft, {
        connections: [...draft.log.connections, fact.hop === undefined ? start : { ...start, hop: fact.hop }],
        current: log.connections.length
      })
      return
    case "Connecting":
      if (connection.proxy !== undefined || !isBefore(connection, "connected")) return
      setConnection(draft, { stage: "connecting", host: fact.host, port: fact.port })
      return
    case "Connected":
      if (connection.stage === "connecting") setConnection(draft, { stage: "connected" })
      return
    case "Identified": {
      // A proxy that prints nothing of its own has done its work.
      if (connection.stage === "starting" && connection.proxy === undefined && log.current > 0) {
        setConnection(draft, { stage: "authenticated" })
        set(draft, { current: log.current - 1 })
      }
      const speaking = connectionOf(draft)
      if (isBefore(speaking, "identified")) setConnection(draft, { stage: "identified" })
      else set(draft, { contradictory: true })
      return
    }
    case "Authenticating":
      if (connection.stage === "identified") setConnection(draft, { host: fact.host, port: fact.port, user: fact.user })
      return
    case "ServerKey":
      if (connection.stage === "identified") {
        setConnection(draft, { serverKey: { algorithm: fact.algorithm, fingerprint: fact.fingerprint } })
      }
      return
    case "KeysAgreed":
      if (connection.stage === "identified") setConnection(draft, { stage: "keyed" })
      return
    case "WillAttempt":
      if (connection.stage === "keyed") {
        setConnection(draft, { candidates: push(connection.candidates, fact.key, maxAttempts) })
      }
      return
    case "ServiceAccepted":
      if (connection.stage === "keyed") setConnection(draft, { stage: "authenticating" })
      return
    case "MethodsLeft":
      if (isBefore(connection, "keyed") && log.connections.length > 1) set(draft, { contradictory: true })
      else if (isBefore(connection, "authenticated")) {
        setConnection(draft, { methods: fact.methods.slice(0, 32), attempts: settle(connection.attempts, "refused") })
      }
      return
    case "Trying":
      if (!isBefore(connection, "authenticated") || !isCandidate(connection, fact.file)) return
      setConnection(draft, {
        attempts: push(connection.attempts, { file: fact.file, outcome: "trying" }, maxAttempts)
      })
      return
    case "Offering":
      if (!isBefore(connection, "authenticated") || !isCandidate(connection, fact.key.file)) return
      setConnection(draft, {
        attempts: push(connection.attempts, { file: fact.key.file, key: fact.key, outcome: "offered" }, maxAttempts)
      })
      return
    case "Accepted": {
      if (!isBefore(connection, "authenticated") || !isCandidate(connection, fact.key.file)) return
      setConnection(draft, { attempts: settle(connection.attempts, "accepted") })
      return
    }
    case "PartialSuccess":
      setConnection(draft, { partial: true, attempts: settle(connection.attempts, "partial") })
      return
    case "Authenticated":
      if (isBefore(connection, "keyed") && !(connection.stage === "starting" && log.current > 0)) {
        set(draft, { contradictory: true })
        return
      }
      setConnection(draft, { stage: "authenticated" })
      if (log.current > 0) set(draft, { current: log.current - 1 })
      return
    case "IdentityUnusable": {
      const problem = fact.problem === "missing" || !fact.file.endsWith(".pub") ? fact.problem : "public-key"
      if (isLogLine && !isCandidate(connection, fact.file)) return
      setConnection(draft, {
        identities: push(connection.identities, { file: fact.file, problem }, maxFailures)
      })
      return
    }
    case "SigningFailed":
      setConnection(draft, { attempts: settle(connection.attempts, "unsigned", fact.detail) })
      return
    case "PinNeeded":
      return

    case "Listening":
      set(draft, { listening: fact.port })
      return
    case "Bound":
      if (log.listening !== undefined) {
        draft.events.push({ _tag: "Listening", localPort: log.listening })
        const { listening: _, ...rest } = draft.log
        draft.log = rest
      }
      return
    case "ForwardRequested":
      set(draft, { requested: { localPort: fact.localPort, remotePort: fact.remotePort } })
      return
    case "ForwardOpening":
      if (log.requested !== undefined) {
        setChannel(draft, fact.channel, log.requested)
        const { requested: _, ...rest } = draft.log
        draft.log = rest
      }
      return
    case "ChannelOpening":
      setChannel(draft, fact.channel, fact.type)
      return
    case "ChannelFailed": {
      const opening = log.channels.get(fact.channel)
      if (opening === undefined) return
      channelsOf(draft).delete(fact.channel)
      if (typeof opening !== "string") {
        draft.events.push({
          _tag: "Rejected",
          ...opening,
          rejection: fact.reason === "prohibited" ? "prohibited" : "connect-failed"
        })
      } else if (opening === "stdio-forward" || opening === "stdio forward") {
        fail(draft, { _tag: "NotPassedOn", reason: fact.reason, detail: fact.detail })
      } else {
        set(draft, { sessionRefused: true })
      }
      return
    }
    case "ChannelFreed":
      if (log.channels.has(fact.channel)) channelsOf(draft).delete(fact.channel)
      return
    case "BindFailed":
      draft.events.push({
        _tag: "BindFailed",
        localPort: fact.port,
        taken: fact.detail === "Address already in use",
        detail: fact.detail
      })
      fail(draft, { _tag: "BindRefused", port: fact.port, detail: fact.detail })
      return

    case "SessionRefused":
      set(draft, { sessionRefused: true })
      return
    case "ConfigLine":
    case "NotResolved":
    case "CommandMissing":
      if (connection.stage === "starting") fail(draft, fact)
      return
    case "ConnectFailed":
      if (isBefore(connection, "connected")) fail(draft, fact)
      return
    case "NoCommon":
    case "KeyUnknown":
    case "KeyChanged":
    case "KeyOffending":
    case "KeyChangedName":
    case "KeyRevoked":
    case "KeyRevokedByFile":
    case "RevokedKeysUnreadable":
    case "VerificationFailed":
      if (connection.stage === "identified") fail(draft, fact)
      return
    default:
      fail(draft, fact)
  }
}

/**
 * Adds a chunk of text as it came from the pipe, cut anywhere. Gives the events
 * of the lines that ended in it and the new log, in the order that
 * `Ref.modify` wants.
 */
export const append = (log: SshLog, chunk: string): readonly [events: ReadonlyArray<SshEvent>, log: SshLog] => {
  if (chunk === "") return [[], log]
  const draft: Draft = { log, channels: undefined, events: [] }
  let { cut, rest } = log
  let from = 0
  for (let end = chunk.indexOf("\n"); end !== -1; end = chunk.indexOf("\n", from)) {
    if (!cut && rest.length + end - from <= maxLineLength) {
      const text = rest + chunk.slice(from, end)
      const isLogLine = text.endsWith("\r")
      line(draft, detached(isLogLine ? text.slice(0, -1) : text), isLogLine)
    }
    rest = ""
    cut = false
    from = end + 1
  }
  const room = maxLineLength - rest.length
  cut = cut || chunk.length - from > room
  rest = cut ? "" : detached(rest + chunk.slice(from))
  const text = chunk.length >= tailLength ? chunk.slice(-tailLength) : log.text + chunk
  return [draft.events, {
    ...draft.log,
    rest,
    cut,
    text: text.length > 2 * tailLength ? detached(text.slice(-tailLength)) : text
  }]
}

/** The last 16 KiB of what ssh printed. Redact before showing. */
export const tail = (log: SshLog): string => log.text.slice(-tailLength)

/** The destination's own connection. */
export const target = (log: SshLog): Connection => log.connections[0] ?? start

/** Whether ssh has logged in at the destination. */
export const isAuthenticated = (log: SshLog): boolean => target(log).stage === "authenticated"

/** A key that wants a touch was accepted and its signature is awaited. */
const awaitsTouch = (connection: Connection): boolean => {
  const last = connection.attempts.at(-1)
  return connection.stage === "authenticating" && last?.outcome === "accepted" &&
    /-SK(?:-CERT)?$/.test(last.key?.type ?? "")
}

/** How far ssh has come, for the state `Connecting`. */
export const progress = (log: SshLog): Progress => {
  const connection = log.connections[log.current] ?? start
  const hop = log.current === 0 ? undefined : connection.hop
  return {
    step: isBefore(connection, "keyed")
      ? connection.stage === "starting" && log.connections.length === 1 ? "starting" : "connecting"
      : "authenticating",
    ...(hop === undefined ? undefined : { hop }),
    ...(awaitsTouch(connection) ? { waitingFor: "security-key" } : undefined)
  }
}
