/** The way of a connection as a picture: this machine → jump hosts → host → server, and where on it something is. */
import type { ConnectionError } from "@opencode-ai/ssh-tunnel/ConnectionError"
import type { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import type { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { path } from "./Strings.ts"

export type Place = "local" | "hop" | "host" | "server"

export type Reached = "idle" | "active" | "ok" | "broken"

export interface PathNode {
  readonly place: Place
  readonly label: string
  readonly status: Reached
  /** The link that leads here from the node before; the first node has none. */
  readonly link: Reached
}

/** Where an error happened: at a node, or on the way to it. */
interface Fault {
  readonly index: number
  readonly at: "node" | "link"
}

/** The host part of a jump as ssh writes it, to compare `me@bastion:22` with what ssh says of `bastion`. */
const bare = (hop: string): string =>
  hop.replace(/^ssh:\/\//, "").replace(/^.*@/, "").replace(/^\[([^\]]+)\](?::\d+)?$/, "$1").replace(
    /^([^:]+):\d+$/,
    "$1"
  )

/** The jump hosts that a profile names. */
export const profileHops = (profile: Profile): ReadonlyArray<string> =>
  profile.proxyJump === undefined || profile.proxyJump === "none" ? [] : profile.proxyJump.split(",")

/** The jump host that a state speaks of. */
export const hopOf = (state: ConnectionState): string | undefined => {
  if (state._tag === "Connecting") return state.hop
  if (state._tag !== "Failed" && state._tag !== "Reconnecting") return undefined
  const { reason } = state.error
  return "hop" in reason ? reason.hop : undefined
}

/**
 * The hops to draw: the profile's, and those that ssh has spoken of (`seen`),
 * because the ssh config may know more than the profile.
 */
export const hops = (profile: Profile, seen: ReadonlyArray<string>): ReadonlyArray<string> => {
  const named = profileHops(profile)
  return [...named, ...seen.filter((hop) => !named.some((other) => bare(other) === bare(hop)))]
}

/** Failures of the host itself, met after the way there was made. */
const atHost: ReadonlySet<string> = new Set([
  "HostKeyUnknown",
  "HostKeyChanged",
  "HostKeyRevoked",
  "AuthenticationFailed",
  "AuthenticationTimedOut",
  "InteractionRequired",
  "TooManyAuthenticationFailures",
  "NoCommonAlgorithm",
  "CommandRefused"
])

const atServer: ReadonlySet<string> = new Set(["Unauthorized", "UnexpectedStatus", "NotAnOpencodeServer", "Unhealthy"])

const fault = (error: ConnectionError, names: ReadonlyArray<string>): Fault => {
  const host = names.length + 1
  const { reason } = error
  if (error._tag === "ConfigurationError" || reason._tag === "LocalPortInUse") return { index: 0, at: "node" }
  if (reason._tag === "ForwardingDenied") return { index: host + 1, at: "link" }
  if (error._tag === "DiscoveryError") return { index: host + 1, at: atServer.has(reason._tag) ? "node" : "link" }
  if (error._tag === "CompatibilityError") return { index: host + 1, at: "node" }
  if (error._tag === "BootstrapError") return { index: reason._tag === "CommandRefused" ? host : host + 1, at: "node" }
  const hop = "hop" in reason ? reason.hop : undefined
  const found = hop === undefined ? -1 : names.findIndex((name) => bare(name) === bare(hop))
  const index = found === -1 ? host : found + 1
  // The jump host was reached; it is the next one that it could not reach.
  if (reason._tag === "ProxyJumpFailed") return { index: found === -1 ? index : index + 1, at: "link" }
  return { index, at: atHost.has(reason._tag) ? "node" : "link" }
}

/** How far a working state has come: the node that it is busy with. */
const busyWith = (state: ConnectionState, names: ReadonlyArray<string>): number => {
  const host = names.length + 1
  switch (state._tag) {
    case "Connecting": {
      if (state.step === "starting") return 0
      const hop = state.hop
      const found = hop === undefined ? -1 : names.findIndex((name) => bare(name) === bare(hop))
      return found === -1 ? host : found + 1
    }
    case "Discovering":
    case "Bootstrapping":
      return host + 1
    default:
      return -1
  }
}

/** The nodes of a connection's way, in order. Exactly one of all nodes and links is `broken` when there is an error. */
export const nodes = (
  profile: Profile,
  state: ConnectionState,
  seen: ReadonlyArray<string>
): ReadonlyArray<PathNode> => {
  const names = hops(profile, seen)
  const places: ReadonlyArray<readonly [Place, string]> = [
    ["local", path.local],
    ...names.map((name) => ["hop", bare(name)] as const),
    ["host", profile.host],
    ["server", path.server]
  ]
  const error = state._tag === "Failed" || state._tag === "Reconnecting" ? state.error : undefined
  const broken = error === undefined ? undefined : fault(error, names)
  const busy = busyWith(state, names)
  return places.map(([place, label], index) => {
    const node = { place, label }
    if (broken !== undefined) {
      if (index < broken.index) return { ...node, status: "ok", link: "ok" }
      if (index > broken.index) return { ...node, status: "idle", link: "idle" }
      return broken.at === "node"
        ? { ...node, status: "broken", link: "ok" }
        : { ...node, status: "idle", link: "broken" }
    }
    if (state._tag === "Connected") return { ...node, status: "ok", link: "ok" }
    if (busy === -1 || index > busy) return { ...node, status: "idle", link: "idle" }
    return index === busy ? { ...node, status: "active", link: "active" } : { ...node, status: "ok", link: "ok" }
  })
}
