/** A drawing of the life of a connection, from what the machine does and not from what it says. */
import { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { DiscoveryError, NothingListening } from "@opencode-ai/ssh-tunnel/DiscoveryError"
import { Timing } from "@opencode-ai/ssh-tunnel/Schedules"
import { AuthenticationFailed, ConnectionLost, TransportError } from "@opencode-ai/ssh-tunnel/TransportError"
import * as Lifecycle from "../../packages/ssh-tunnel/src/internal/lifecycle.ts"

const target = { host: "box", options: [] }
const linkLost = new TransportError({ reason: new ConnectionLost({ target, detail: "" }) })
const refused = new TransportError({ reason: new AuthenticationFailed({ target, alsoAccepts: [] }) })
const serverGone = new DiscoveryError({ reason: new NothingListening({ remotePort: 4096 }) })

const connected = ConnectionState.cases.Connected.make({
  url: "http://127.0.0.1:50000",
  localPort: 50_000,
  remotePort: 4096,
  serverVersion: "1.18.33",
  generation: "v1",
  secured: true,
  bootstrapped: false,
  strategy: "master",
  since: ""
})

/** Everything that may happen, in the words of the drawing. Shutdown, which ends every state, is left out. */
const events = ({ _tag, ticket }: Lifecycle.Life): ReadonlyArray<readonly [string, Lifecycle.Event]> => [
  ["connect", { _tag: "Connect", origin: "restore" }],
  ["ssh is ready", { _tag: "Opened", ticket }],
  ["the server answers", { _tag: "Found", ticket, connected }],
  ["ssh ended", { _tag: "Lost", ticket, error: linkLost }],
  // Without ssh there is no server to lose.
  ...(_tag === "Finding" || _tag === "Up"
    ? [["the server is gone", { _tag: "Lost", ticket, error: serverGone }]] as const
    : []),
  ["final error", { _tag: "Lost", ticket, error: refused }],
  ["defect", { _tag: "Broken", ticket, error: linkLost }],
  ["time is up", { _tag: "Elapsed", ticket }],
  ["retryNow", { _tag: "Retry" }],
  ["wake-up, networkChanged", { _tag: "Nudge" }],
  ["disconnect", { _tag: "Disconnect" }],
  ["all ended", { _tag: "Closed", ticket }]
]

/** Two lives that take every event alike. */
const kindOf = (life: Lifecycle.Life): string =>
  [life._tag, "session" in life ? life.session : "", "next" in life ? life.next._tag : ""].join(" ")

/** What leads from one state to another, found by trying every event in every state that can be reached. */
export const lifecycleDiagram = (): string => {
  const step = Lifecycle.make(Timing.defaults)
  const labels = new Map<string, Set<string>>()
  const known = new Set<string>()
  const explore = (life: Lifecycle.Life): void => {
    if (known.has(kindOf(life))) return
    known.add(kindOf(life))
    for (const [word, event] of events(life)) {
      const [next] = step(life, event, { monotonic: 0, wall: 0, chance: 0.5 })
      if (next._tag !== life._tag) {
        const edge = `${life._tag} --> ${next._tag}`
        labels.set(edge, (labels.get(edge) ?? new Set()).add(word))
      }
      explore(next)
    }
  }
  explore(Lifecycle.initial)
  const sources = [...labels.keys()].map((edge) => edge.split(" ")[0])
  const byState = [...labels].sort(([a], [b]) => sources.indexOf(a.split(" ")[0]) - sources.indexOf(b.split(" ")[0]))
  const edges = byState.map(([edge, words]) => `  ${edge}: ${[...words].join(" / ")}`)
  return ["```mermaid", "stateDiagram-v2", "  [*] --> Off", ...edges, "```"].join("\n")
}
