/** What the windows of the tests show. */
export const since = (seconds: number): string => new Date(Date.now() - seconds * 1000).toISOString()
export const until = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString()

const bootstrap = { enabled: true, lifetime: "persistent" } as const

export const profiles = [
  { id: "devbox", name: "devbox", host: "devbox", user: "ada", bootstrap },
  { id: "gpu", name: "GPU workstation", host: "gpu-07.lab.example", user: "ada", port: 2222, proxyJump: "bastion.example", bootstrap },
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
