/** {@link LocalHost} on Node and Bun. */
import { Effect, Layer, Option, PlatformError, Queue, Stream } from "effect"
import { execFileSync } from "node:child_process"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { LocalHost, type ProcessIdentity } from "../LocalHost.ts"

const isWindows = process.platform === "win32"
const isBun = process.versions["bun"] !== undefined

/** After an event of Bun's watcher, milliseconds until it is looked again. */
const bunSettles = 100

const failure = (method: string, path: string | undefined, cause: unknown): PlatformError.PlatformError =>
  PlatformError.systemError({
    _tag: (cause as NodeJS.ErrnoException).code === "ENOENT"
      ? "NotFound"
      : (cause as NodeJS.ErrnoException).code === "EACCES"
      ? "PermissionDenied"
      : "Unknown",
    module: "LocalHost",
    method,
    ...(path === undefined ? undefined : { pathOrDescriptor: path }),
    cause
  })

/** The passwd entry. Bun answers `os.userInfo().homedir` from `$HOME`, so there a shell is asked: it expands `~name` by getpwnam. */
const passwdHome = (username: string): string => {
  const { homedir } = Os.userInfo()
  if (!isBun || isWindows || !/^[\w.@\\-]+$/.test(username)) return homedir
  try {
    const answer = execFileSync("/bin/sh", ["-c", `echo ~${username}`], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    })
      .trim()
    return answer.startsWith("/") ? answer : homedir
  } catch {
    return homedir
  }
}

const loginName = (): string => {
  if (!isBun || isWindows) return Os.userInfo().username
  try {
    return execFileSync("id", ["-un"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()
  } catch {
    return Os.userInfo().username
  }
}

/** proc(5) counts start times from boot, so another boot's process could have the same one. */
const bootId = (() => {
  try {
    return Fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
  } catch {
    return ""
  }
})()

/** Start time and state of a process: proc(5) on Linux, ps(1) elsewhere. */
const startTime = (pid: number): string | undefined => {
  try {
    if (process.platform === "linux") {
      const stat = Fs.readFileSync(`/proc/${pid}/stat`, "utf8")
      // The command name (field 2) is in parentheses and may itself hold spaces and parentheses.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      return fields[0] === "Z" || fields[0] === "X" ? undefined : `${bootId} ${fields[19]}`
    }
    const text = execFileSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C" },
      stdio: ["ignore", "pipe", "ignore"]
    }).trim()
    return text === "" || text.startsWith("Z") ? undefined : text.slice(text.indexOf(" ") + 1).trim()
  } catch {
    return undefined
  }
}

const identify = (pid: number): Effect.Effect<Option.Option<ProcessIdentity>> =>
  Effect.sync(() => {
    const started = startTime(pid)
    return started === undefined ? Option.none() : Option.some({ pid, startTime: started })
  })

const signalGroup = (pgid: number, signal: "SIGTERM" | "SIGKILL"): Effect.Effect<boolean> =>
  Effect.sync(() => {
    if (pgid <= 1) return false
    try {
      return process.kill(-pgid, signal)
    } catch {
      return false
    }
  })

/** State and process group of all processes, one line each: proc(5) on Linux, ps(1) elsewhere. */
const groupStates = (): ReadonlyArray<readonly [state: string, pgid: number]> => {
  if (process.platform === "linux") {
    return Fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
      try {
        const stat = Fs.readFileSync(`/proc/${name}/stat`, "utf8")
        const [state = "", , pgid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
        return [[state, Number(pgid)] as const]
      } catch {
        // Gone meanwhile.
        return []
      }
    })
  }
  const text = execFileSync("ps", ["-axo", "stat=,pgid="], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
  return text.split("\n").map((line) => {
    const [state = "", pgid] = line.trim().split(/\s+/)
    return [state, Number(pgid)] as const
  })
}

const isGroupAlive = (pgid: number): Effect.Effect<boolean> =>
  Effect.sync(() => {
    try {
      return groupStates().some(([state, other]) => other === pgid && !/^[ZX]/.test(state))
    } catch {
      // Nobody knows, so nobody may rely on its end.
      return true
    }
  })

const listenOn = (port: number): Effect.Effect<number, PlatformError.PlatformError> =>
  Effect.callback((resume) => {
    const server = Net.createServer()
    server.once("error", (cause) => resume(Effect.fail(failure("listen", String(port), cause))))
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => {
      const address = server.address() as Net.AddressInfo
      server.close(() => resume(Effect.succeed(address.port)))
    })
    return Effect.sync(() => server.close())
  })

const watchFor = Effect.fnUntraced(function*(path: string) {
  const directory = Path.dirname(path)
  const name = Path.basename(path)
  const watcher = yield* Effect.acquireRelease(
    Effect.try({
      try: () => Fs.watch(directory, { persistent: false }),
      catch: (cause) => failure("watchFor", path, cause)
    }),
    (watcher) => Effect.sync(() => watcher.close())
  )
  // The watch and the wait for it are two steps.
  // @effect-diagnostics-next-line returnEffectInGen:off
  return Effect.callback<void>((resume) => {
    const look = (_event: string, file: string | Buffer | null) => {
      if ((file === null || String(file) === name) && Fs.existsSync(path)) resume(Effect.void)
    }
    watcher.on("change", look)
    // A watcher that breaks (its directory was removed) has no more events; nothing will ever appear there.
    watcher.on("error", () => {})
    // The watcher is older than this look, so nothing can slip in between.
    look("", null)
    return Effect.sync(() => watcher.off("change", look))
  })
})

const changesOf = (path: string): Stream.Stream<void> =>
  Stream.callback<void>((queue) =>
    Effect.gen(function*() {
      const changed = () => void Queue.offerUnsafe(queue, undefined)
      // Of two changes in a moment Bun tells one, and not always the last.
      const afterwards = isBun ? setTimeout(changed, bunSettles).unref() : undefined
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const name = Path.basename(path)
          try {
            const watcher = Fs.watch(Path.dirname(path), { persistent: false }, (_event, file) => {
              if (file !== null && String(file) !== name) return
              changed()
              afterwards?.refresh()
            })
            watcher.on("error", () => {})
            return watcher
          } catch {
            return undefined
          }
        }),
        (watcher) =>
          Effect.sync(() => {
            watcher?.close()
            clearTimeout(afterwards)
          })
      )
      changed()
      return yield* Effect.never
    })
  )

const inspect = (path: string) =>
  Effect.try({
    try: () => {
      const stat = Fs.lstatSync(path)
      return {
        kind: stat.isSymbolicLink()
          ? "symlink" as const
          : stat.isDirectory()
          ? "directory" as const
          : stat.isFile()
          ? "file" as const
          : "other" as const,
        uid: stat.uid,
        mode: stat.mode & 0o7777
      }
    },
    catch: (cause) => failure("inspect", path, cause)
  })

const removeEmptyDirectory = (path: string) =>
  Effect.try({ try: () => Fs.rmdirSync(path), catch: (cause) => failure("removeEmptyDirectory", path, cause) })

/** The machine as this process sees it; the environment is copied when the layer is built. */
export const layer: Layer.Layer<LocalHost> = Layer.sync(LocalHost, () => {
  const username = loginName()
  return LocalHost.of({
    platform: isWindows ? "windows" : "posix",
    system: `${process.platform} ${Os.release()}`,
    runtime: process.versions["bun"] === undefined
      ? `node ${process.versions.node}`
      : `bun ${process.versions["bun"]}`,
    environment: { ...process.env },
    home: passwdHome(username),
    username,
    uid: process.getuid?.(),
    temporaryDirectory: Os.tmpdir(),
    self: { pid: process.pid, startTime: startTime(process.pid) ?? "" },
    identify,
    signalGroup,
    isGroupAlive,
    freePort: listenOn(0),
    isPortFree: (port) => Effect.match(listenOn(port), { onSuccess: () => true, onFailure: () => false }),
    watchFor,
    changesOf,
    inspect,
    removeEmptyDirectory,
    randomBytes: (length) => Effect.sync(() => new Uint8Array(Crypto.randomBytes(length)))
  })
})
