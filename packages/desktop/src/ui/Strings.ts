/** Every text of the window. What ssh-tunnel says (errors, remedies, titles of steps) comes from there. */
import type { ConnectingStep, ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import type { StepStatus } from "@opencode-ai/ssh-tunnel/DoctorStep"

type StateTag = ConnectionState["_tag"]

export const words: { readonly [Tag in StateTag]: string } = {
  Disconnected: "Disconnected",
  Connecting: "Connecting",
  Discovering: "Discovering",
  Bootstrapping: "Bootstrapping",
  Connected: "Connected",
  Reconnecting: "Reconnecting",
  Failed: "Failed",
  Disconnecting: "Disconnecting"
}

const connecting: { readonly [Step in ConnectingStep]: string } = {
  starting: "Starting ssh",
  connecting: "Reaching the host",
  authenticating: "Logging in"
}

export const steps = {
  connecting,
  at: (step: ConnectingStep, hop: string | undefined): string =>
    hop === undefined ? connecting[step] : `${connecting[step]} at ${hop}`,
  securityKey: "Touch your security key now",
  discovering: "Looking for the OpenCode server",
  looking: "Looking for OpenCode on the host",
  starting: "Starting OpenCode on the host",
  waiting: "Waiting for OpenCode to answer",
  disconnecting: "Closing the connection"
}

export const list = {
  title: "Connections",
  label: "Connections",
  add: "Add connection",
  filter: "Filter connections",
  filterPlaceholder: "Filter",
  none: (text: string) => `No connection matches “${text}”`,
  count: (shown: number, all: number) => shown === all ? `${all} connections` : `${shown} of ${all} connections`,
  keys: "Keyboard shortcuts",
  loading: "Loading connections…",
  problems: "Entries that cannot be used",
  problemName: (name: string | undefined) => name ?? "Entry without a name",
  problemRemove: "Remove entry",
  storeProblem: "The profiles could not be read"
}

export const empty = {
  title: "No connections yet",
  text: "Add the machine that OpenCode runs on. Anything you can reach with ssh will do.",
  action: "Add connection",
  pick: "Select a connection"
}

export const actions = {
  connect: "Connect",
  connecting: "Connecting…",
  disconnecting: "Disconnecting…",
  connectTo: (name: string) => `Connect ${name}`,
  disconnect: "Disconnect",
  disconnectFrom: (name: string) => `Disconnect ${name}`,
  cancel: "Cancel",
  cancelConnecting: (name: string) => `Cancel connecting ${name}`,
  retry: "Retry now",
  tryAgain: "Try again",
  open: "Open in OpenCode",
  more: "More actions",
  moreFor: (name: string) => `More actions for ${name}`,
  edit: "Edit…",
  duplicate: "Duplicate",
  remove: "Remove…",
  copyUrl: "Copy URL",
  copySsh: "Copy ssh command",
  diagnostics: "Copy Diagnostics…",
  back: "Back to all connections",
  copy: "Copy",
  copied: "Copied",
  close: "Close"
}

export const detail = {
  region: (name: string) => `Connection ${name}`,
  via: (hops: string) => `via ${hops}`,
  facts: "Details",
  url: "URL here",
  version: "OpenCode",
  remotePort: "Port on the host",
  localPort: "Port here",
  since: "Connected for",
  server: "Server",
  strategy: "Transport",
  host: "Host",
  jump: "Jump host",
  identity: "Identity file",
  start: "Start OpenCode",
  startOn: (lifetime: "persistent" | "session") =>
    lifetime === "persistent" ? "if it isn’t running; it stays" : "if it isn’t running; ends with the connection",
  startOff: "no",
  auto: "kept from the last time",
  byConfig: "as your ssh config says",
  strategyMaster: "One shared ssh connection",
  strategyPlain: "One ssh per forward",
  bootstrapped: { started: "Started by this app", reused: "Was running, started by this app before" },
  notBootstrapped: "Was running, not started by this app",
  unsecured: "This server has no password",
  unsecuredText:
    "Every user of the remote machine can use it and, while you are connected, so can web pages in your browser. Start OpenCode there with OPENCODE_SERVER_PASSWORD set, or let this app start it.",
  moved: "The address has changed",
  movedText: (port: number) =>
    `Another program holds the local port ${port} that this connection had. What a browser stored under the old address is not seen at the new one.`,
  retryIn: (seconds: number) => seconds <= 0 ? "Trying now" : `Next try in ${seconds} s`,
  attempt: (attempt: number) => `Attempt ${attempt}`,
  in: (seconds: number) => seconds <= 0 ? "now" : `in ${seconds} s`
}

export const path = {
  title: "Path",
  local: "This machine",
  server: "OpenCode",
  status: {
    idle: "not reached yet",
    active: "being reached",
    ok: "reached",
    broken: "failed here"
  }
}

export const failure = {
  what: "What happened",
  todo: "What to do",
  danger: "Possible attack",
  dangerText:
    "Nothing was sent. Until the machine’s owner confirms that its key was replaced, do not connect to it, neither here nor in a terminal.",
  confirmed: "The owner has confirmed the new key",
  details: "Technical details",
  command: "Command for a terminal",
  reason: "Reason",
  retryable: "May work later",
  yes: "yes",
  no: "no"
}

export const server = {
  title: "Remote server",
  looking: "Asking the host…",
  loginNeeded: "Not connected: looking there logs in once.",
  look: "Look",
  refresh: "Look again",
  none: "No server is registered there.",
  noneText: "A server that somebody else started is not listed here.",
  version: "Version",
  pid: "Process",
  port: "Port",
  since: "Running since",
  owner: "Started by",
  owners: { ours: "this app", opencode: "OpenCode’s own service" },
  lifetime: "Lifetime",
  lifetimes: { persistent: "stays after disconnecting", session: "ends with the connection" },
  logFile: "Log file",
  log: "Log",
  logLabel: "Log of the remote server",
  logLive: "live",
  logEnded: "ended",
  logEmpty: "The log is empty.",
  stop: "Stop server…",
  stopTitle: "Stop the remote server?",
  stopText: (name: string) =>
    `Agents that run on it are interrupted, and the connection ${name} ends. Connecting again starts a new server.`,
  stopAction: "Stop server",
  stopped: "The server was stopped"
}

export const remove = {
  title: (name: string) => `Remove ${name}?`,
  text: "The profile and its stored password are deleted here. Nothing changes on the host or in your ssh config.",
  connected: "It is connected: the connection ends first.",
  action: "Remove"
}

export const diagnostics = {
  title: "Copy Diagnostics",
  text: "A report to paste into an issue. This is exactly what is copied; passwords and keys are never in it.",
  realNames: "Show real names",
  realNamesText: "Off: users, hosts and addresses are replaced by stand-ins such as host-1.",
  loading: "Making the report…",
  preview: "The report",
  action: "Copy report",
  size: (kib: string) => `${kib} KiB of Markdown`
}

export const wizard = {
  add: "Add connection",
  edit: (name: string) => `Edit ${name}`,
  stepHost: "Host",
  stepOptions: "Options",
  stepTest: "Test",
  step: (n: number, of: number) => `Step ${n} of ${of}`,
  destination: "Host, ssh command or address",
  destinationPlaceholder: "devbox, me@host:2222, ssh -J bastion me@host, ssh://me@host",
  hosts: "Hosts in your ssh config",
  hostsNone: "Your ssh config names no hosts. Type a destination above.",
  hostsNoMatch: "No host in your ssh config matches.",
  hostsLoading: "Reading your ssh config…",
  hostsProblem: "Your ssh config could not be read",
  use: (text: string) => `Use ${text}`,
  typed: "what you typed",
  effective: "ssh will use",
  effectiveIdle: "Pick a host to see what ssh will use.",
  effectiveWrong: "Correct the marked fields to see it.",
  effectiveWait: "Asking ssh…",
  effectiveAll: (count: number) => `All ${count} parameters`,
  effectiveOf: (user: string, hostname: string, port: number) => `${user}@${hostname}:${port}`,
  effectiveKeys: (keys: ReadonlyArray<string>, only: boolean) =>
    keys.length === 0 ? "keys of your agent" : only ? keys.join(", ") : `agent, then ${keys.join(", ")}`,
  cancel: "Cancel",
  next: "Continue",
  back: "Back",
  ssh: "Connection",
  name: "Name",
  host: "Host",
  user: "User (optional)",
  port: "ssh port (optional)",
  identityFile: "Identity file (optional)",
  proxyJump: "Jump host (optional)",
  proxyJumpPlaceholder: "bastion, me@bastion:2222",
  identityPlaceholder: "~/.ssh/id_ed25519",
  fromConfig: "from ssh config",
  opencode: "OpenCode server",
  remotePort: "Port on the host",
  localPort: "Port on this machine (optional)",
  localPortPlaceholder: "chosen",
  username: "Server user name (optional)",
  bootstrap: "Start OpenCode if it isn’t running",
  bootstrapText: "Needs a shell login and the opencode program on the host. Nothing is installed.",
  lifetime: "When you disconnect",
  persistent: "Keep it running",
  persistentText: "Agents go on working, and the next connection finds them.",
  session: "End it",
  sessionText: "For hosts that don’t allow background processes. Running agents are interrupted.",
  sshConfigNone: "Ignores every ssh config (-F none), as your command line says.",
  test: "Test",
  testAgain: "Test again",
  testing: "Testing…",
  testStop: "Stop",
  testIdle: "Logs in once and changes nothing on either side.",
  testPassed: "All well: this connection will work.",
  testWarned: "It will work; have a look at the warnings.",
  testFailed: "This would not work yet.",
  testCut: "The test ended before its last step.",
  save: "Save",
  saveConnect: "Save & connect",
  reconnectNote: "A connection that is open goes on as it was; the change counts from the next one.",
  stepStatus: {
    ok: "fine",
    failed: "failed",
    warning: "warning",
    skipped: "skipped"
  } satisfies { readonly [S in StepStatus]: string } as { readonly [S in StepStatus]: string },
  pending: "waiting",
  running: "running"
}

export const fields = {
  required: "Fill this in",
  name: "1 to 200 characters on one line",
  host: "A host name, a Host of your ssh config, or an IP address",
  user: "A user name, without spaces or shell characters",
  port: "A port from 1 to 65535",
  identityFile: "A whole path: begins with / or ~/",
  proxyJump: "[user@]host[:port]; several separated by commas",
  username: "At most 128 characters, no colon",
  configFile: (file: string) =>
    `Another ssh config (${file}) can’t be chosen from this window: put the host into your own ssh config`
}

export const notices = {
  region: "Notifications",
  lost: (name: string) => `Connection to ${name} lost`,
  lostText: "Reconnecting by itself.",
  back: (name: string) => `${name} is connected again`,
  failed: (name: string) => `${name} could not be reconnected`,
  announce: (name: string, word: string, detail: string) =>
    detail === "" ? `${name}: ${word}` : `${name}: ${word}, ${detail}`,
  callFailed: "That did not work",
  blocked: "Your browser blocked the new tab",
  openLink: "Open it here",
  copyFailed: "The text could not be copied",
  urlCopied: "URL copied",
  sshCopied: "ssh command copied",
  removed: (name: string) => `${name} was removed`
}

export const gone = {
  title: "OpenCode’s connection service is gone.",
  text: "Looking for it. What is shown may be out of date.",
  call: "OpenCode’s connection service does not answer"
}

export const shortcuts = {
  title: "Keyboard shortcuts",
  text: "They work while the list of connections has the focus.",
  keys: [
    ["↑ ↓ Home End", "Go through the list"],
    ["Enter", "Go to the connection’s actions"],
    ["C", "Connect or disconnect"],
    ["O", "Open in OpenCode"],
    ["R", "Retry now"],
    ["N", "Add connection"],
    ["E", "Edit"],
    ["Delete", "Remove"],
    ["/", "Filter"],
    ["?", "This list"],
    ["Esc", "Close, or clear the filter"]
  ] as ReadonlyArray<readonly [string, string]>
}

const unit = (value: number, name: string): string => `${value} ${name}`

/** A length of time in its largest unit or two; `seconds` may be fractional. */
export const duration = (seconds: number): string => {
  const s = Math.max(0, Math.floor(seconds))
  if (s < 60) return unit(s, "s")
  if (s < 3600) return `${unit(Math.floor(s / 60), "min")} ${unit(s % 60, "s")}`
  if (s < 86_400) return `${unit(Math.floor(s / 3600), "h")} ${unit(Math.floor((s % 3600) / 60), "min")}`
  return `${unit(Math.floor(s / 86_400), "d")} ${unit(Math.floor((s % 86_400) / 3600), "h")}`
}

/** A step's time. */
export const milliseconds = (ms: number): string => ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`
