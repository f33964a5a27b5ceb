/** What the app does about each option of ssh(1) and keyword of ssh_config(5) that a person may paste, in words for that person. */

/** Options of ssh(1) that take an argument, up to OpenSSH 10. */
export const withArgument = new Set("BDEFIJLOPQRSWbceilmopw")

const forwards = "The app makes the forward to OpenCode itself, and no other one"
const oneConnection = "The app makes a connection of its own"
/** Of values that agree with the app's own. */
export const quiet = "The app decides this itself"

/** What the app does anyway, or what changes nothing for it. */
export const ignoredOptions: Readonly<Record<string, string>> = {
  2: "There is no other protocol any more",
  C: "Compression is left to your ssh config (Compression yes)",
  E: "The app keeps ssh's log",
  M: oneConnection,
  N: "The app opens no shell",
  T: "The app opens no terminal",
  a: "The app never forwards your agent",
  e: "The app opens no terminal",
  f: "The app looks after ssh itself",
  k: quiet,
  n: "The app looks after ssh itself",
  q: "The app keeps ssh's log",
  t: "The app opens no terminal",
  v: "The app keeps ssh's log",
  x: "The app never forwards X11",
  y: "The app keeps ssh's log"
}

/** What the app never does. */
export const refusedOptions: Readonly<Record<string, string>> = {
  A: "The app never forwards your agent to the remote machine",
  D: forwards,
  G: "This asks ssh something and connects nowhere",
  L: forwards,
  O: oneConnection,
  Q: "This asks ssh something and connects nowhere",
  R: forwards,
  S: oneConnection,
  V: "This asks ssh something and connects nowhere",
  W: forwards,
  X: "The app never forwards X11",
  Y: "The app never forwards X11",
  g: "Forwards of the app listen on this machine only",
  s: "The app runs its own commands over there",
  w: forwards
}

/** Options that have a keyword in ssh_config(5), where they work with the app too. */
export const configOptions: Readonly<Record<string, string>> = {
  4: "AddressFamily inet",
  6: "AddressFamily inet6",
  B: "BindInterface",
  I: "PKCS11Provider",
  K: "GSSAPIAuthentication yes",
  P: "Tag",
  b: "BindAddress",
  c: "Ciphers",
  m: "MACs"
}

/** Keywords that say the same as an option. */
export const takenOver: ReadonlySet<string> = new Set(["user", "port", "identityfile", "proxyjump"])

/** Keywords of which the app gives its own value to every ssh, whatever is asked. */
export const ignoredKeywords: Readonly<Record<string, string>> = {
  addkeystoagent: quiet,
  batchmode: "The app lets ssh ask nothing",
  checkhostip: quiet,
  clearallforwardings: quiet,
  controlmaster: oneConnection,
  controlpath: oneConnection,
  controlpersist: oneConnection,
  exitonforwardfailure: quiet,
  forkafterauthentication: "The app looks after ssh itself",
  loglevel: "The app keeps ssh's log",
  requesttty: "The app opens no terminal",
  serveralivecountmax: "The app notices dead connections itself",
  serveraliveinterval: "The app notices dead connections itself",
  sessiontype: quiet,
  stdinnull: "The app looks after ssh itself",
  updatehostkeys: quiet,
  visualhostkey: quiet
}

/** What the app never does, or takes from another place. */
export const refusedKeywords: Readonly<Record<string, string>> = {
  dynamicforward: forwards,
  hostname: "Write the address as the destination, or HostName under a Host of your ssh config",
  localcommand: "The app runs no local command",
  localforward: forwards,
  permitlocalcommand: "The app runs no local command",
  remotecommand: "The app runs its own commands over there",
  remoteforward: forwards,
  tunnel: forwards
}

/** Keywords that are refused only when they switch on what the app never does. */
export const switchedOff: Readonly<Record<string, readonly [value: string, explanation: string]>> = {
  forwardagent: ["no", "The app never forwards your agent to the remote machine"],
  forwardx11: ["no", "The app never forwards X11"],
  gatewayports: ["no", "Forwards of the app listen on this machine only"],
  stricthostkeychecking: [
    "yes",
    "The app accepts no unknown host key by itself: connect once in a terminal and answer ssh's question"
  ]
}
