/** What the facts of an examination mean for each step. Pure. */
import {
  BootstrapError,
  OpencodeNotFound,
  OpencodeUnusable,
  PortInUse,
  RemoteNotWritable,
  UnsupportedRemote
} from "../BootstrapError.ts"
import { CompatibilityError } from "../CompatibilityError.ts"
import type { ConnectionError } from "../ConnectionError.ts"
import type { Destination } from "../Destination.ts"
import type { RemoteServer } from "../RemoteServer.ts"
import type { ServerInfo } from "../ServerInfo.ts"
import type { EffectiveParameters } from "../SshConfig.ts"
import type { Account, Candidate, Candidates, Listener, Registered } from "./doctorRemote.ts"
import type { Finding } from "./doctorWalk.ts"
import { judgeVersion } from "./versionRange.ts"

const lines = (...texts: ReadonlyArray<string>): string => texts.filter((text) => text !== "").join("\n")

/** What an unexpected finding is when a connection needs it, and when it can do without. */
const severity = (needed: boolean): "failed" | "warning" => needed ? "failed" : "warning"

// --- This machine ----------------------------------------------------------------------------------------------------

/** Which ssh config is in force. */
export const configDetail = (destination: Destination): string =>
  destination.sshConfig === undefined
    ? "~/.ssh/config and the system's"
    : destination.sshConfig === "none"
    ? "none, neither the user's nor the system's"
    : destination.sshConfig

/** Names that ssh tries by itself. */
const isDefaultKey = (file: string): boolean => /^~\/\.ssh\/id_[a-z0-9_]+$/.test(file)

const runsSsh = (command: string): boolean => /(?:^|[\s/\\;&|'"])ssh(?:\.exe)?(?:["'\s]|$)/i.test(command)

/** Who logs in where, by what way and with what. */
export const parametersFinding = (
  { hostname, identityFiles, identitiesOnly, port, proxyCommand, proxyJump, user }: EffectiveParameters
): Finding => {
  const named = identityFiles.filter((file) => !isDefaultKey(file))
  const proxied = proxyCommand !== undefined && proxyCommand !== "none"
  const way = lines(
    `${user} at ${hostname}, port ${port}`,
    proxyJump === undefined || proxyJump === "none" ? "" : `through ${proxyJump}`,
    proxied ? "through a ProxyCommand" : "",
    named.length === 0 ? "" : `key ${named.join(", ")}${identitiesOnly ? "" : ", and those of the agent"}`
  )
  return proxied && runsSsh(proxyCommand)
    ? {
      status: "warning",
      detail: lines(
        way,
        "The ProxyCommand starts an ssh of its own. It cannot ask anything here, but it takes host keys as its own options say, and may write known_hosts. Use ProxyJump if that is possible."
      )
    }
    : { status: "ok", detail: way }
}

// --- The account over there ------------------------------------------------------------------------------------------

const mebibyte = 1024
/** A server that starts with less than this soon fails. KiB. */
const scarce = 100 * mebibyte

const sizeOf = (kib: number): string => {
  const mib = kib / mebibyte
  return mib < 1024 ? `${Math.floor(mib)} MiB` : `${(mib / 1024).toFixed(1)} GiB`
}

const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

/** `needed`: a server must be started for a connection. */
export const shellFinding = (account: Account, needed: boolean): Finding => {
  const { free, home, path, problem, shell, system } = account
  const detail = lines(
    [
      shell === "" ? "" : baseName(shell),
      `HOME ${home}`,
      free === null ? "" : `${sizeOf(free)} free`,
      system
    ].filter((text) => text !== "").join(", ")
  )
  if (problem !== "") {
    const reason = problem === "missing"
      ? new UnsupportedRemote({ detail: `the home directory ${path} does not exist` })
      : new RemoteNotWritable({ path, problem })
    return { status: severity(needed), detail, error: new BootstrapError({ reason }) }
  }
  return free !== null && free < scarce
    ? { status: "warning", detail: lines(detail, `Only ${sizeOf(free)} are left in ${path}.`) }
    : { status: "ok", detail }
}

/** The candidate that bootstrap would take: the first that may be executed, else the first that may not. */
export const chosenOf = ({ candidates }: Candidates): Candidate | undefined =>
  candidates.find(({ executable }) => executable) ?? candidates[0]

const problemText = {
  "": "",
  "architecture": "is built for another kind of machine",
  "mode": "is not executable",
  "crash": "fails when it is started",
  "timeout": "does not tell its version"
} as const satisfies Record<Candidate["problem"], string>

const candidateText = ({ path, problem, version }: Candidate): string =>
  problem === "" ? `${version} at ${path}` : `${path} ${problemText[problem]}`

const unusable = ({ detail, path, problem }: Candidate): BootstrapError =>
  new BootstrapError({
    reason: new OpencodeUnusable({
      path,
      problem: problem === "architecture" || problem === "mode" ? problem : "crash",
      detail: problem === "timeout" ? "it did not tell its version in time" : detail
    })
  })

/** All candidates, and which one would be started. */
export const opencodeFinding = (found: Candidates, needed: boolean): Finding => {
  const chosen = chosenOf(found)
  const environment = {
    interactive: "",
    login: "The login shell does not work as an interactive one: PATH is that of a plain login.",
    session: "The login shell does not work: PATH is that of this ssh session."
  }[found.login]
  if (chosen === undefined) {
    return {
      status: severity(needed),
      detail: lines(needed ? "" : "No connection needs it while a server runs.", environment),
      error: new BootstrapError({ reason: new OpencodeNotFound({ searched: found.searched }) })
    }
  }
  const others = found.candidates.filter((candidate) => candidate !== chosen)
  const detail = lines(
    candidateText(chosen),
    ...others.map((candidate) => `also ${candidateText(candidate)}`),
    environment
  )
  return chosen.problem === ""
    ? { status: "ok", detail }
    : { status: severity(needed), detail, error: unusable(chosen) }
}

// --- The server ------------------------------------------------------------------------------------------------------

/** What the other machine knows of registered servers, for the step of the server. */
export const registeredNotes = (registered: Registered, used: boolean): string => {
  const { ignored, server, state } = registered
  return lines(
    server === null || used
      ? ""
      : `${
        server.owner === "ours" ? "One that bootstrap started" : "OpenCode's own service"
      } listens on port ${server.port} (${server.version}).`,
    state === "starting" ? "One that bootstrap started is still starting." : "",
    state === "deaf" ? "One that bootstrap started lives, but does not listen any more." : "",
    ...ignored.map(({ path, why }) => `The registration ${path} is ignored: ${why}.`)
  )
}

/** Whoever may use bootstrap gets the password of a server that it has started. */
export const passwordNote = (port: number, registered: RemoteServer | undefined): string =>
  registered?.owner === "ours" && registered.port === port
    ? "Bootstrap has started it: a connection that allows bootstrap knows its password."
    : ""

/** A server that answered, and how it came to run. */
export const answeredDetail = (
  version: string,
  info: ServerInfo | undefined,
  port: number,
  registered: RemoteServer | undefined
): string => {
  const origin = registered === undefined || registered.port !== port
    ? ""
    : registered.owner === "ours"
    ? `, started by bootstrap${registered.startedAt === undefined ? "" : ` at ${registered.startedAt}`}`
    : ", OpenCode's own service"
  return `OpenCode ${version}${info?.generation === "generic" ? " (generic)" : ""} on port ${port}${origin}`
}

/** A version that a range admits, or not. */
export const versionFinding = (version: string, range: string, suffix = ""): Finding => {
  const reason = judgeVersion(version, range)
  return reason === undefined
    ? { status: "ok", detail: `${version} fits ${range}${suffix}` }
    : { status: "failed", detail: suffix.replace(/^, /, ""), error: new CompatibilityError({ reason }) }
}

/** Whether only those who know a password can use it. */
export const securedFinding = (secured: boolean): Finding =>
  secured
    ? { status: "ok", detail: "it asks for a password" }
    : {
      status: "warning",
      detail:
        "It has no password: every local user of that machine can use it, and so can web pages in your browser while you are connected. Start it with OPENCODE_SERVER_PASSWORD, or let bootstrap start one."
    }

/** A stranger where a new server would have to listen. */
export const portFinding = (port: number | undefined, listener: Listener): ConnectionError | undefined =>
  port !== undefined && (listener === "own" || listener === "other")
    ? new BootstrapError({ reason: new PortInUse({ port }) })
    : undefined

/** Nothing runs, and a connection would start one. */
export const startDetail = ({ path, version }: Candidate, port: number | undefined): string =>
  `none runs; connecting starts ${version} (${path})${port === undefined ? "" : ` on port ${port}`}`
