/**
 * Reads ssh's stderr as it arrives and keeps what is needed later: the last
 * 16 KiB of text, how far each connection of the chain has come, what became of
 * the keys, and the lines that may tell why it ends. Pure; linear in the input;
 * bounded, whatever the other side prints.
 *
 * ssh, and the ssh of each jump host, write to the same stderr without saying
 * who writes. Whose line it is follows from causality: the ssh of a destination
 * hears nothing from it before the jump host has let it through, so the chain
 * is worked through from the innermost jump host outward, one at a time.
 *
 * What the other side can forge, and why it does not matter here:
 *
 * - A banner is printed as it is between "SSH2_MSG_SERVICE_ACCEPT received" and
 *   "Authenticated to". A line counts only in the stage in which ssh itself
 *   prints it, so nothing about host keys, names or the configuration can be
 *   said by a banner, and no file is believed that ssh has not named before.
 * - ssh's own course goes on after a banner, and forgets what was said so far.
 * - Messages that ssh quotes (disconnect, debug, a certificate's ID) may hold
 *   newlines; ssh's own words stand in front of them, and the first line counts.
 */
import type { Progress, Rejection } from "../Tunnel.ts"
import { type Connection, isBefore, noConnection, settled } from "./sshConnection.ts"
import { type Fact, type Failure, read } from "./sshWordings.ts"

/** How much raw text is kept, in UTF-16 units. */
export const tailLength = 16 * 1024
/** ssh's own lines have at most 1 KiB (MSGBUFSIZ), and a path; a longer line is cut and tells nothing. */
export const maxLineLength = 4 * 1024
const maxConnections = 16
/** SSH_MAX_IDENTITY_FILES, each also with `-cert`. */
const maxIdentityFiles = 200
const maxKeys = 128
const maxProblems = 32
const maxFirstFailures = 8
const maxFailures = 32
const maxChannels = 1024

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
    /** ssh cannot listen on 127.0.0.1 at all, because the ssh config wants IPv6 alone. */
    readonly _tag: "FamilyRefused"
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

/** See the module. Immutable. */
export interface SshLog {
  /** At most twice {@link tailLength}; read it by {@link tail}. */
  readonly text: string
  /** The line that has not ended yet. */
  readonly rest: string
  /** Whether `rest` was given up because the line is too long. */
  readonly cut: boolean
  /** `[0]` is the destination, the last one the innermost jump host. */
  readonly connections: ReadonlyArray<Connection>
  /** The identity files of all of them, as each ssh names them before anybody else can speak. */
  readonly identityFiles: ReadonlyArray<string>
  /** The one that ssh is busy with. */
  readonly current: number
  /** Since the last step of ssh's normal course, in order. */
  readonly failures: ReadonlyArray<Failure>
  /** Whether "No more authentication methods to try" was the last step. */
  readonly exhausted: boolean
  /** The last line in which somebody said something else than ssh's usual words. */
  readonly lastWords: string
  readonly listening: number | undefined
  readonly requested: Forwarding | undefined
  readonly bindFailed: { readonly port: number; readonly taken: boolean; readonly detail: string } | undefined
  readonly channels: ReadonlyMap<number, Forwarding | string>
  /** sshd did not open a session. */
  readonly sessionRefused: boolean
}

/** Nothing read yet. */
export const empty: SshLog = {
  text: "",
  rest: "",
  cut: false,
  connections: [noConnection],
  identityFiles: [],
  current: 0,
  failures: [],
  exhausted: false,
  lastWords: "",
  listening: undefined,
  requested: undefined,
  bindFailed: undefined,
  channels: new Map(),
  sessionRefused: false
}

/** The connection that ssh is busy with, or was when it ended. */
export const currentConnection = (log: SshLog): Connection => log.connections[log.current] ?? noConnection

/** A copy that does not keep the chunk alive from which it was cut (engines share the memory of substrings). */
const detached = (text: string): string => ` ${text}`.slice(1)

const pushed = <A>(items: ReadonlyArray<A>, item: A, max: number): ReadonlyArray<A> =>
  items.length < max ? [...items, item] : items

/** A log while lines are being added; never visible outside. */
interface Draft {
  log: SshLog
  ownChannels: Map<number, Forwarding | string> | undefined
  readonly events: Array<SshEvent>
}

const set = (draft: Draft, change: Partial<SshLog>): void => {
  draft.log = { ...draft.log, ...change }
}

const setConnection = (draft: Draft, change: Partial<Connection>): void => {
  const { connections, current } = draft.log
  set(draft, {
    connections: connections.map((connection, index) => index === current ? { ...connection, ...change } : connection)
  })
}

/** A step of ssh's own course: it lives, so what was said before was no reason to end. */
const step = (draft: Draft, change: Partial<Connection>): void => {
  setConnection(draft, change)
  if (draft.log.failures.length > 0 || draft.log.exhausted) set(draft, { failures: [], exhausted: false })
}

const channelsOf = (draft: Draft): Map<number, Forwarding | string> => {
  if (draft.ownChannels === undefined) {
    draft.ownChannels = new Map(draft.log.channels)
    set(draft, { channels: draft.ownChannels })
  }
  return draft.ownChannels
}

const openChannel = (draft: Draft, channel: number, value: Forwarding | string): void => {
  const channels = channelsOf(draft)
  channels.delete(channel)
  channels.set(channel, value)
  if (channels.size <= maxChannels) return
  const [oldest] = channels.keys()
  if (oldest !== undefined) channels.delete(oldest)
}

/** Keeps the first and the last ones. */
const fail = (draft: Draft, failure: Failure): void => {
  const { failures } = draft.log
  set(draft, {
    failures: failures.length < maxFailures
      ? [...failures, failure]
      : [...failures.slice(0, maxFirstFailures), ...failures.slice(maxFirstFailures + 1), failure]
  })
}

/** Steps of a login. */
const loginSteps: ReadonlySet<Fact["_tag"]> = new Set<Fact["_tag"]>([
  "MethodsLeft",
  "MethodsExhausted",
  "Trying",
  "Offering",
  "Accepted",
  "PartialSuccess",
  "Authenticated"
])

/** The login goes on at a jump host that was taken for done: somebody has forged its end, and all that came since. */
const goBack = (draft: Draft): void => {
  const { connections, current } = draft.log
  const [outer, inner] = [connections[current], connections[current + 1]]
  if (outer === undefined || inner?.stage !== "authenticated" || !isBefore(outer, "authenticating")) return
  set(draft, {
    current: current + 1,
    connections: connections.map((connection, index) =>
      index === current
        ? { ...noConnection, ...(outer.hop === undefined ? undefined : { hop: outer.hop }), proxy: outer.proxy ?? "" }
        : index === current + 1
        ? { ...inner, stage: "authenticating" }
        : connection
    )
  })
}

/** What a shell puts in front of its complaint: `/bin/sh: 1: exec: `. */
const shellPrefix = /^(?:\S*\/)?(?:ba|da|k|mk|z)?sh: (?:line )?\d+: (?:exec: )?/

/**
 * What somebody else than ssh says in a line. A program that shares its stderr writes piece by piece (dash does, each
 * complaint in three), so a line of ssh's may come between.
 */
const wordsIn = (line: string): string => (line.split("debug1: ", 1)[0] ?? "").replace(shellPrefix, "").trim()

/** Takes in one whole line. `isLogLine`: it ended as ssh's log ends its lines. */
const takeLine = (draft: Draft, line: string, isLogLine: boolean): void => {
  const fact = read(line)
  if (fact === undefined || !isLogLine) {
    const lastWords = wordsIn(line)
    if (lastWords !== "") set(draft, { lastWords })
    // The one warning of ssh that does not go through its log: about -i, before anything else.
    if (fact?._tag !== "IdentityUnusable" || currentConnection(draft.log).stage !== "starting") return
  }
  if (loginSteps.has(fact._tag)) goBack(draft)
  const { log } = draft
  const connection = currentConnection(log)
  switch (fact._tag) {
    // --- Steps ---
    case "ProxyCommand": {
      const isNext = connection.stage === "starting" && connection.proxy === undefined
      if (!isNext || log.current !== log.connections.length - 1 || log.connections.length >= maxConnections) return
      step(draft, { proxy: fact.command })
      return set(draft, {
        connections: [
          ...draft.log.connections,
          fact.hop === undefined ? noConnection : { ...noConnection, hop: fact.hop }
        ],
        current: log.current + 1
      })
    }
    case "Connecting":
      // Once for each address of the host.
      if (connection.proxy !== undefined || !isBefore(connection, "connected")) return
      return step(draft, { stage: "connecting", host: fact.host, port: fact.port })
    case "Connected":
      if (connection.stage === "connecting") step(draft, { stage: "connected" })
      return
    case "IdentityFile":
      // No banner before the login; afterwards nobody names new files.
      if (log.connections.some((connection) => !isBefore(connection, "authenticating"))) return
      if (log.identityFiles.includes(fact.file)) return
      return set(draft, { identityFiles: pushed(log.identityFiles, fact.file, maxIdentityFiles) })
    case "Identified": {
      // A proxy that says nothing of its own has done its work.
      if (connection.stage === "starting" && connection.proxy === undefined && log.current > 0) {
        set(draft, { current: log.current - 1 })
      }
      if (isBefore(currentConnection(draft.log), "identified")) return step(draft, { stage: "identified" })
      return setConnection(draft, { forged: true })
    }
    case "Authenticating":
      if (connection.stage !== "identified" || connection.user !== undefined) return
      return step(draft, { host: fact.host, port: fact.port, user: fact.user })
    case "HostKeyAlias":
      if (connection.stage === "identified" && connection.hostKeyAlias === undefined) {
        step(draft, { hostKeyAlias: fact.alias })
      }
      return
    case "ServerKey":
      if (connection.stage !== "identified") return
      // Shown once; if the key of a certificate is checked instead, it is the same key.
      if (connection.serverKey !== undefined) return setConnection(draft, { forged: true })
      return step(draft, { serverKey: { algorithm: fact.algorithm, fingerprint: fact.fingerprint } })
    case "KeysAgreed":
      if (connection.stage === "identified") step(draft, { stage: "keyed" })
      return
    case "WillAttempt":
      // Since 9.6 only when publickey is about to be tried.
      if (connection.stage !== "keyed" && connection.stage !== "authenticating") return
      return step(draft, { candidates: pushed(connection.candidates, fact.key, maxKeys) })
    case "ServiceAccepted":
      if (connection.stage === "keyed") step(draft, { stage: "authenticating" })
      return
    case "MethodsLeft":
      if (connection.stage !== "authenticating") return
      return step(draft, { methods: fact.methods, attempts: settled(connection.attempts, { outcome: "refused" }) })
    case "MethodsExhausted":
      if (connection.stage !== "authenticating") return
      step(draft, {})
      return set(draft, { exhausted: true })
    case "Trying":
      if (connection.stage !== "authenticating" || !log.identityFiles.includes(fact.file)) return
      return step(draft, {
        attempts: pushed(connection.attempts, { file: fact.file, outcome: "trying" }, maxKeys)
      })
    case "Offering":
      if (connection.stage !== "authenticating") return
      if (fact.key.explicit && !log.identityFiles.includes(fact.key.file)) return
      return step(draft, {
        attempts: pushed(connection.attempts, { file: fact.key.file, key: fact.key, outcome: "offered" }, maxKeys)
      })
    case "Accepted":
      if (connection.stage !== "authenticating") return
      if (fact.key !== undefined && fact.key.file !== connection.attempts.at(-1)?.file) return
      return step(draft, { attempts: settled(connection.attempts, { outcome: "accepted" }) })
    case "PartialSuccess":
      if (connection.stage !== "authenticating") return
      return step(draft, { partial: true, attempts: settled(connection.attempts, { outcome: "partial" }) })
    case "Authenticated":
      // The program of a ProxyCommand may be an ssh that says only this.
      if (connection.stage !== "authenticating" && !(connection.stage === "starting" && log.current > 0)) return
      step(draft, { stage: "authenticated" })
      return set(draft, { current: Math.max(0, log.current - 1), lastWords: "" })

    // --- Keys of the user ---
    case "IdentityUnusable":
      if (isBefore(connection, "authenticated") && (!isLogLine || log.identityFiles.includes(fact.file))) {
        setConnection(draft, {
          identities: pushed(connection.identities, { file: fact.file, problem: fact.problem }, maxProblems)
        })
      }
      return
    case "SigningFailed":
      if (connection.stage === "authenticating") {
        setConnection(draft, {
          attempts: settled(connection.attempts, { outcome: "unsigned", signing: fact.problem })
        })
      }
      return

    // --- Forwards and sessions ---
    case "Listening":
      if (connection.stage !== "authenticated") return
      return set(draft, { listening: fact.port })
    case "ForwardRequested":
      if (connection.stage !== "authenticated") return
      return set(draft, { requested: { localPort: fact.localPort, remotePort: fact.remotePort } })
    case "ChannelOpening":
      // A jump host's own channel is the connection to the next host.
      if (connection.stage !== "authenticated" && log.connections[log.current + 1]?.stage !== "authenticated") return
      if (fact.type === "port-listener") {
        if (log.listening === undefined) return
        draft.events.push({ _tag: "Listening", localPort: log.listening })
        return set(draft, { listening: undefined })
      }
      if (fact.type !== "direct-tcpip") return openChannel(draft, fact.channel, fact.type)
      if (log.requested === undefined) return
      openChannel(draft, fact.channel, log.requested)
      return set(draft, { requested: undefined })
    case "ChannelFreed":
      if (log.channels.has(fact.channel)) channelsOf(draft).delete(fact.channel)
      return
    case "ChannelFailed": {
      const opening = log.channels.get(fact.channel)
      if (opening === undefined) return
      channelsOf(draft).delete(fact.channel)
      if (typeof opening !== "string") {
        const rejection: Rejection = fact.reason === "prohibited" ? "prohibited" : "connect-failed"
        draft.events.push({ _tag: "Rejected", ...opening, rejection })
      } else if (opening.startsWith("stdio")) {
        fail(draft, { _tag: "NotPassedOn", reason: fact.reason, detail: fact.detail })
      } else {
        set(draft, { sessionRefused: true })
      }
      return
    }
    case "BindFailed": {
      if (connection.stage !== "authenticated") return
      const { detail, port, taken } = fact
      draft.events.push({ _tag: "BindFailed", localPort: port, taken, detail })
      return set(draft, { bindFailed: { port, taken, detail }, listening: undefined })
    }
    case "FamilyRefused":
      if (connection.stage !== "authenticated") return
      return void draft.events.push({ _tag: "FamilyRefused" })
    case "ForwardingFailed":
      if (log.bindFailed !== undefined) fail(draft, { _tag: "NotForwarded", ...log.bindFailed })
      return
    case "SessionRefused":
      return set(draft, { sessionRefused: true })

    // --- Ends, each in the stage in which ssh prints it ---
    case "ConfigInvalid":
    case "NotResolved":
      if (connection.stage === "starting") fail(draft, fact)
      return
    case "ConnectFailed":
      if (isBefore(connection, "connected")) fail(draft, fact)
      return
    case "NoCommon":
    case "KeyUnknown":
    case "KeyOffending":
    case "KeyChanged":
    case "KeyRevoked":
    case "KeyRevokedByFile":
    case "RevokedKeysUnreadable":
    case "VerificationFailed":
      if (connection.stage === "identified") fail(draft, fact)
      return
    case "PermissionDenied":
      if (connection.stage === "authenticating") return fail(draft, fact)
      // By the program of a ProxyCommand, of which nothing else is known.
      return set(draft, { lastWords: line })
    case "SocketFailed":
      if (connection.stage === "authenticated") fail(draft, fact)
      return
    case "Forged":
      return setConnection(draft, { forged: true })
    case "Quoted":
      // Before its key is known to be right, the other side has nothing to say; a jump host before it may have.
      if (connection.stage === "identified" && connection.proxy === undefined) setConnection(draft, { forged: true })
      return
    case "Noise":
      return
    default:
      return fail(draft, fact)
  }
}

/**
 * Adds a chunk of text as it came from the pipe, cut anywhere. Gives the events
 * of the lines that ended in it, and the new log, in the order that
 * `Ref.modify` wants.
 */
export const append = (log: SshLog, chunk: string): readonly [events: ReadonlyArray<SshEvent>, log: SshLog] => {
  if (chunk === "") return [[], log]
  const draft: Draft = { log, ownChannels: undefined, events: [] }
  let { cut, rest } = log
  let from = 0
  for (let end = chunk.indexOf("\n"); end !== -1; end = chunk.indexOf("\n", from)) {
    const length = rest.length + end - from
    if (!cut && length > 1 && length <= maxLineLength) {
      const line = detached(rest + chunk.slice(from, end))
      const isLogLine = line.endsWith("\r")
      takeLine(draft, isLogLine ? line.slice(0, -1) : line, isLogLine)
    }
    rest = ""
    cut = false
    from = end + 1
  }
  cut = cut || rest.length + chunk.length - from > maxLineLength
  rest = cut ? "" : detached(rest + chunk.slice(from))
  const text = chunk.length >= tailLength ? chunk.slice(-tailLength) : log.text + chunk
  return [
    draft.events,
    { ...draft.log, rest, cut, text: text.length > 2 * tailLength ? detached(text.slice(-tailLength)) : text }
  ]
}

/** The last 16 KiB of what ssh printed. Redact before showing. */
export const tail = (log: SshLog): string => log.text.slice(-tailLength)

/** Whether ssh has logged in at the destination. */
export const isAuthenticated = (log: SshLog): boolean => log.connections[0]?.stage === "authenticated"

/** Whether sshd would not open a session: ForceCommand without one, MaxSessions 0, a full server. */
export const isSessionRefused = (log: SshLog): boolean => log.sessionRefused

/** A security key's signature is awaited; whether it wants a touch is not told, nearly all do. */
const awaitsTouch = (connection: Connection): boolean => {
  const last = connection.attempts.at(-1)
  return connection.stage === "authenticating" && last?.outcome === "accepted" &&
    /-SK(?:-CERT)?$/.test(last.key?.type ?? "")
}

/** How far ssh has come, for the state `Connecting`. */
export const progress = (log: SshLog): Progress => {
  const connection = currentConnection(log)
  const hop = log.current === 0 ? undefined : connection.hop ?? connection.host
  const step = !isBefore(connection, "keyed")
    ? "authenticating"
    : connection.stage === "starting" && log.connections.length === 1
    ? "starting"
    : "connecting"
  return {
    step,
    ...(hop === undefined ? undefined : { hop }),
    ...(awaitsTouch(connection) ? { waitingFor: "security-key" } : undefined)
  }
}
