/** What a report is made of, filled with planted texts, and a reader of Markdown that trusts nobody. */
import { assert } from "@effect/vitest"
import { type Redacted, Result } from "effect"
import { BootstrapError, ServerExited } from "../src/BootstrapError.ts"
import { ConnectionState } from "../src/ConnectionState.ts"
import { emptyHistory, type History } from "../src/FlightRecorder.ts"
import type { Material } from "../src/internal/report.ts"
import { Profile, ProfileId } from "../src/Profile.ts"
import { EffectiveParameters } from "../src/SshConfig.ts"
import { TransportError, Unclassified } from "../src/TransportError.ts"

export const now = Date.parse("2026-11-22T10:00:00.000Z")

export const profile = (fields: Partial<Profile> = {}): Profile =>
  new Profile({
    id: ProfileId.make("prod"),
    name: "Production farm",
    host: "prod-db.corp.internal",
    user: "alice",
    proxyJump: "jumper@bastion.corp.internal:2222",
    identityFile: "~/.ssh/id_ed25519",
    bootstrap: { enabled: true, lifetime: "persistent" },
    ...fields
  })

export const effective = new EffectiveParameters({
  host: "prod-db.corp.internal",
  hostname: "10.20.30.40",
  user: "alice",
  port: 22,
  identityFiles: ["/home/alice/.ssh/id_ed25519"],
  identitiesOnly: true,
  proxyJump: "jumper@bastion.corp.internal:2222",
  parameters: [
    { keyword: "host", value: "prod-db.corp.internal" },
    { keyword: "user", value: "alice" },
    { keyword: "hostname", value: "10.20.30.40" },
    { keyword: "identityfile", value: "/home/alice/.ssh/id_ed25519" },
    { keyword: "userknownhostsfile", value: "/home/alice/.ssh/known_hosts" },
    { keyword: "proxyjump", value: "jumper@bastion.corp.internal:2222" }
  ]
})

/** A text for each place of a report that others write. */
export interface Planted {
  readonly stderr: string
  readonly stdout: string
  readonly log: string
  readonly detail: string
  readonly path: string
  readonly value: string
}

export const quiet: Planted = { stderr: "", stdout: "", log: "", detail: "", path: "", value: "" }

export const unclassified = (stderr: string): TransportError =>
  new TransportError({
    reason: new Unclassified({
      target: { host: "prod-db.corp.internal", options: ["-l", "alice"] },
      exitCode: 255,
      stderr
    })
  })

/** Only what holds something: a small report is a fast one. */
export const history = ({ detail, log, path, stderr, stdout }: Planted): History => ({
  ...emptyHistory,
  states: [
    ...(detail === "" ? [] : [{
      at: now - 4000,
      state: ConnectionState.cases.Connecting.make({ step: "authenticating", hop: detail, since: "x" })
    }]),
    ...(log === "" ? [] : [{
      at: now - 3000,
      state: ConnectionState.cases.Reconnecting.make({
        attempt: 1,
        nextAt: "2026-11-22T09:59:57.000Z",
        error: new BootstrapError({ reason: new ServerExited({ exitCode: 1, log }) })
      })
    }]),
    ...(stderr === ""
      ? []
      : [{ at: now - 1500, state: ConnectionState.cases.Failed.make({ error: unclassified(stderr) }) }])
  ],
  probes: detail === "" ? [] : [{ at: now - 2000, remotePort: 4096, path: "/global/health", answer: detail }],
  candidates: path === "" ? [] : [{ at: now - 2500, path, version: detail }],
  outputs: ([["ssh", stderr], ["remote stdout", stdout], ["remote stderr", log]] as const).flatMap(
    ([source, text], id) => text === "" ? [] : [{ id, at: now - 4000 + id, source, text, cut: false }]
  )
})

export const material = (planted: Planted, secrets: ReadonlyArray<Redacted.Redacted<string>> = []): Material => ({
  at: now,
  application: "OpenCode Desktop 1.18.33",
  runtime: "node 24.21.0",
  system: "linux 6.1.0",
  ssh: Result.succeed("OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.19"),
  profile: profile(),
  effective: Result.succeed(
    planted.value === "" && planted.stderr === ""
      ? effective
      : new EffectiveParameters({
        ...effective,
        parameters: [...effective.parameters.slice(0, 3), { keyword: "certificatefile", value: planted.value }]
      })
  ),
  history: history(planted),
  secrets,
  home: "/home/alice",
  username: "alice",
  environment: { USER: "alice", PATH: "/bin" },
  usernames: [],
  pseudonyms: true
})

export const titles = [
  "Versions",
  "Connection",
  "Errors",
  "Equivalent command",
  "Effective parameters",
  "Timeline",
  "Probes",
  "Bootstrap",
  "Output of ssh",
  "Remote stdout",
  "Remote stderr"
]

/** Every line that may stand outside of a code block. */
const ours = [
  /^$/,
  /^# Report on an SSH connection to OpenCode$/,
  /^Made at \d{4}-\d\d-\d\dT[\d:.]+Z\. Secrets are replaced by `<redacted>`, people and places (?:by `user-1`, `host-1`, `ip-1` and `~`|are shown); characters that cannot be seen are shown as `<U\+001B>`\.$/,
  new RegExp(`^## (?:${titles.join("|")})$`),
  /^None was seen\.$/,
  /^`ssh -G` gave none\.$/,
  /^\d+ earlier states are left out\.$/,
  /^It was never connected\.$/,
  /^No health endpoint has answered\.$/,
  /^It is allowed\. No `opencode` was found so far\.$/,
  /^It is not allowed by the profile\.$/,
  /^ssh was not started\.$/,
  /^No remote command was run\.$/,
  /^Since \d{4}-\d\d-\d\dT[\d:.]+Z(?:, only the end)?:$/,
  /^Nothing was printed\.$/
]

/**
 * Reads Markdown as CommonMark does (§4.5), fails where anything but our own
 * words stands outside of code blocks, and gives the blocks of each section.
 */
export const readMarkdown = (markdown: string): Readonly<Record<string, ReadonlyArray<string>>> => {
  const sections: Record<string, Array<string>> = {}
  let section = ""
  let fence: string | undefined
  let block: Array<string> = []
  // Every line end that any reader knows.
  for (const line of markdown.split(/\r\n|[\n\r\v\f\u0085\u2028\u2029]/)) {
    if (fence !== undefined) {
      const closing = /^ {0,3}(`{3,})[ \t]*$/.exec(line)?.[1]
      if (closing !== undefined && closing.length >= fence.length) {
        sections[section]?.push(block.join("\n"))
        fence = undefined
      } else {
        block.push(line)
      }
      continue
    }
    const opening = /^(`{3,})text$/.exec(line)?.[1]
    if (opening !== undefined) {
      fence = opening
      block = []
      continue
    }
    if (!ours.some((pattern) => pattern.test(line))) {
      assert.fail(`a stranger's line: ${JSON.stringify(line.slice(0, 200))}`)
    }
    const title = /^## (.*)$/.exec(line)?.[1]
    if (title !== undefined) {
      section = title
      sections[section] = []
    }
  }
  assert.isUndefined(fence, "a block is not closed")
  assert.deepStrictEqual(Object.keys(sections), titles)
  return sections
}
