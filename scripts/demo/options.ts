/** The command line of the demo. Imports nothing, so that the first line is there at once. */

export interface Options {
  /** Ends as soon as everything was shown. */
  readonly once: boolean
  /** What ssh would be given to reach the user's own host; empty: a remote machine is made for the demo. */
  readonly host: ReadonlyArray<string>
  /** On the user's own host: OpenCode may be started there. */
  readonly bootstrap: boolean
  /** On the user's own host: the port of the OpenCode server there. */
  readonly remotePort: number | undefined
}

export const usage = `Shows the main job: a profile becomes a working URL.

  npm run demo                            on a "remote machine" that is made for it and gone afterwards
  npm run demo -- --once                  the same without waiting for Ctrl-C
  npm run demo -- [ssh options] user@host on your own host: nothing is started or stopped there
      --bootstrap                         start OpenCode there if none runs; it ends with the demo
      --remote-port N                     where OpenCode listens there (4096)

An OpenCode server with a password: OPENCODE_SERVER_PASSWORD, OPENCODE_SERVER_USERNAME.`

/** The options, `help`, or a sentence that says what is wrong. */
export const parse = (args: ReadonlyArray<string>): Options | string => {
  const host: Array<string> = []
  const flags = new Set<string>()
  let remotePort: number | undefined
  for (let index = 0; index < args.length; index++) {
    const [word = "", value] = (args[index] ?? "").split("=")
    switch (word) {
      // `bun run demo -- --once` hands it on.
      case "--":
        break
      case "-h":
      case "--help":
        return "help"
      case "--once":
      case "--bootstrap":
        flags.add(word)
        break
      case "--remote-port": {
        remotePort = Number(value ?? args[++index])
        if (!Number.isInteger(remotePort) || remotePort < 1 || remotePort > 65_535) {
          return "--remote-port: a port from 1 to 65535 is missing"
        }
        break
      }
      default:
        if (word.startsWith("--")) return `there is no option ${word}`
        host.push(args[index] ?? "")
    }
  }
  const bootstrap = flags.has("--bootstrap")
  if (host.length === 0 && (bootstrap || remotePort !== undefined)) {
    return `${bootstrap ? "--bootstrap" : "--remote-port"} is for a host of your own: add it`
  }
  return { once: flags.has("--once"), bootstrap, remotePort, host }
}

/** The first words. */
export const introduction = ({ bootstrap, host }: Options): string =>
  host.length === 0
    ? "Demo: a \"remote machine\" is made on this computer, a loopback sshd with keys and a home of its own.\n" +
      "OpenCode is installed there, and no server runs."
    : `Demo: OpenCode on ${host.join(" ")}, by your own ssh.\n${
      bootstrap
        ? "If no server runs there, one is started; it ends with this demo."
        : "Nothing is started or stopped there (--bootstrap: start OpenCode if no server runs)."
    }`
