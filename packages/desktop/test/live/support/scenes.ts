/** What the windows of the tests show. */
const clock = { stoppedAt: Number.NaN }
const now = () => Number.isNaN(clock.stoppedAt) ? Date.now() : clock.stoppedAt

/** For pictures, whose times must be the same each time; `View.time` does the same to the page. */
export const stopTheClock = (time: number): void => {
  clock.stoppedAt = time
}

export const since = (seconds: number): string => new Date(now() - seconds * 1000).toISOString()
export const until = (seconds: number): string => new Date(now() + seconds * 1000).toISOString()

const bootstrap = { enabled: true, lifetime: "persistent" } as const

export const profiles = [
  { id: "devbox", name: "devbox", host: "devbox", user: "ada", bootstrap },
  {
    id: "gpu",
    name: "GPU workstation",
    host: "gpu-07.lab.example",
    user: "ada",
    port: 2222,
    proxyJump: "bastion.example",
    bootstrap
  },
  { id: "staging", name: "staging", host: "staging", bootstrap: { enabled: false, lifetime: "persistent" } },
  { id: "pi", name: "Raspberry Pi", host: "pi.local", user: "pi", bootstrap: { enabled: true, lifetime: "session" } },
  { id: "office", name: "office", host: "office", proxyJump: "bastion.example", bootstrap },
  { id: "archive", name: "archive", host: "archive.example", bootstrap }
] as const

export const connected = (fields: object = {}) => ({
  _tag: "Connected",
  url: "http://127.0.0.1:41873",
  localPort: 41873,
  remotePort: 4096,
  serverVersion: "1.18.33",
  generation: "v1",
  secured: true,
  bootstrapped: "started",
  strategy: "master",
  since: since(3 * 3600 + 12 * 60),
  ...fields
})

export const transport = (reason: object) => ({ _tag: "TransportError", reason })

export const target = { host: "gpu-07.lab.example", options: ["-p", "2222", "-J", "bastion.example"] }

export const hostKeyUnknown = transport({
  _tag: "HostKeyUnknown",
  target: { host: "archive.example", options: [] },
  keyType: "ED25519",
  fingerprint: "SHA256:Zk0nNcYFq3wU1v3mO8mC2pYdYd5H1m2eT0cE3zq9Jxs",
  rememberable: true
})

export const lost = transport({
  _tag: "ConnectionLost",
  target: { host: "office", options: ["-J", "bastion.example"] },
  detail: "Timeout, server office not responding."
})

export const states = () =>
  [
    ["devbox", connected()],
    ["gpu", { _tag: "Connecting", step: "authenticating", hop: "bastion.example", since: since(2) }],
    ["pi", { _tag: "Bootstrapping", step: "waiting", since: since(4) }],
    ["office", { _tag: "Reconnecting", attempt: 3, nextAt: until(8), error: lost }],
    ["archive", { _tag: "Failed", error: hostKeyUnknown }]
  ] as const

export const manyProfiles = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    id: `box-${index}`,
    name: `box ${String(index).padStart(3, "0")}`,
    host: `box-${index}.example`,
    bootstrap
  }))

export const hostKeyChanged = transport({
  _tag: "HostKeyChanged",
  target,
  hop: "bastion.example",
  keyType: "ED25519",
  fingerprint: "SHA256:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg",
  knownHostsFile: "/home/ada/.ssh/known_hosts",
  knownHostsLine: 7,
  knownHostsName: "bastion.example"
})

export const server = () => ({
  port: 4096,
  pid: 81234,
  version: "1.18.33",
  owner: "ours",
  lifetime: "persistent",
  startedAt: since(3 * 3600 + 13 * 60),
  logFile: "/home/ada/.local/state/opencode-ssh/server.log"
})

export const log = [
  "opencode server listening on http://127.0.0.1:4096",
  ...Array.from({ length: 24 }, (_, index) => `INFO  service=session id=ses_${1000 + index} updated`)
]

export const report = [
  "# Connection report",
  "",
  "| | |",
  "| --- | --- |",
  "| application | OpenCode Desktop 1.18.33 |",
  "| ssh | OpenSSH_9.2p1 |",
  "| host | devbox |",
  "",
  "## Timeline",
  "",
  "- Connecting (authenticating): 212 ms",
  "- Discovering: 9 ms",
  "- Connected"
].join("\n")

const titles = [
  ["ssh", "ssh is installed", "OpenSSH_9.2p1 Debian-2+deb12u7"],
  ["config", "The ssh config is valid", ""],
  ["parameters", "Effective parameters", "dev@gpu-07.example.com:22"],
  ["name", "The host name resolves", "gpu-07.example.com is 192.0.2.7"],
  ["port", "The ssh port answers", ""],
  ["host-key", "The host key is known", "ED25519 SHA256:Zk0nNcYFq3wU1v3mO8mC2pYdYd5H1m2eT0cE3zq9Jxs"],
  ["authentication", "The login works", "publickey ~/.ssh/id_ed25519"],
  ["forwarding", "Forwarding is allowed", ""],
  ["shell", "Shell and HOME are usable", "/bin/zsh"],
  ["opencode", "OpenCode is installed", "1.18.33 in ~/.opencode/bin"],
  ["server", "The server answers", "Nothing listens on port 4096; connecting would start OpenCode there"],
  ["version", "The version is supported", "1.18.33"],
  ["secured", "The server is secured", ""]
] as const

/** The steps up to a locked key, or all of them. */
export const examination = (last: "failed" | "ok") => {
  const steps = titles.map(([id, title, detail], index) => ({
    id,
    title,
    detail,
    status: "ok",
    durationMs: 7 * index + 3
  }))
  if (last === "ok") return steps
  const error = transport({
    _tag: "InteractionRequired",
    target: { host: "gpu-07", options: [] },
    what: "passphrase",
    identityFile: "~/.ssh/id_ed25519"
  })
  return [...steps.slice(0, 6), { ...steps[6], status: "failed", detail: "", error }]
}
