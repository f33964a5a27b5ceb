import { Effect, type Scope } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as TempDirectory from "./TempDirectory.ts"

/** `unshare` for a program with a network and mounts of its own; `-r` needs no root where users may make namespaces. */
const enter = ["unshare", "-rmn"] as const

let answer: boolean | undefined

/** Whether this machine lets us give a program its own network and mounts (Linux; root, or user namespaces allowed). */
export const available = (): boolean =>
  answer ??= process.platform === "linux" &&
    ChildProcess.spawnSync(enter[0], [enter[1], "ip", "link", "set", "lo", "up"]).status === 0

/** Whether a daemon of ours can have mounts of its own and still log other accounts in: that takes root. */
export const isRoot = (): boolean => process.platform === "linux" && process.getuid?.() === 0

/** Words of a POSIX shell. */
const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

/** An address that nobody has (RFC 5737): in a namespace it is whatever {@link network} says. */
export const address = "192.0.2.7"

/** Shell lines that set a network up; a new one has nothing but a loopback interface that is down. */
export const network = {
  /** No interface and no route. */
  none: [],
  /** Packets to {@link address} are sent, and nobody ever answers. */
  dropping: [
    "ip link set lo up",
    "ip link add near type veth peer name far",
    "ip addr add 192.0.2.1/24 dev near",
    "ip link set near up",
    "ip link set far up",
    `ip neigh add ${address} lladdr 02:00:00:00:00:07 dev near`
  ],
  /** A router says that there is no way to {@link address}. */
  noRoute: ["ip link set lo up", `ip route add unreachable ${address}`],
  /** A firewall of this machine refuses. */
  prohibited: ["ip link set lo up", `ip route add prohibit ${address}`]
} as const

// The paths below may hold the parameters of the shell that reads the line, such as `$1`.

/** A shell line after which one file holds the content of another one, for this namespace only. */
export const replaced = (file: string, by: string): string => `mount --bind "${by}" "${file}"`

/** A shell line after which an empty file system of that size, in bytes, lies over a directory, for this namespace only. */
export const empty = (directory: string, size: number): string =>
  `mkdir -p "${directory}" && mount -t tmpfs -o size=${size},mode=0755 none "${directory}"`

/** A shell line after which nothing can be written below a directory, for this namespace only. */
export const readOnly = (directory: string): string =>
  `mount --bind "${directory}" "${directory}" && mount -o remount,bind,ro "${directory}"`

/**
 * An executable that runs `program` with its own arguments in a network and mounts of its own, which `lines` set up.
 * The process that is started becomes the program: signals and exit codes are the program's.
 */
export const wrapper = Effect.fn("Namespace.wrapper")(
  function*(program: string, lines: ReadonlyArray<string>) {
    const directory = yield* TempDirectory.make()
    const path = Path.join(directory, Path.basename(program))
    const setUp = [...lines, `exec ${quote(program)} "$@"`].join(" && ")
    yield* Effect.sync(() =>
      Fs.writeFileSync(path, `#!/bin/sh\nexec ${enter.join(" ")} sh -c ${quote(setUp)} sh "$@"\n`, { mode: 0o755 })
    )
    return path
  }
) satisfies (program: string, lines: ReadonlyArray<string>) => Effect.Effect<string, never, Scope.Scope>
