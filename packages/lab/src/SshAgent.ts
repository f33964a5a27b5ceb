import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import { LabError } from "./LabError.ts"
import * as Process from "./Process.ts"
import type { SshKey } from "./SshKey.ts"
import * as TempDirectory from "./TempDirectory.ts"

/** A running ssh-agent. */
export interface SshAgent {
  /** For `SSH_AUTH_SOCK` or `IdentityAgent`. */
  readonly socket: string
  /** Adds a key without a passphrase; `confirm`: the agent asks before each use. */
  readonly add: (key: SshKey, options?: { readonly confirm?: boolean }) => Effect.Effect<void, LabError>
}

/** Starts an agent without keys. Nobody is there whom it could ask: every question of it is answered with "no". */
export const make = Effect.fn("SshAgent.make")(function*() {
  const directory = yield* TempDirectory.make()
  const socket = Path.join(directory, "agent")
  const agent = yield* Process.spawn("ssh-agent", ["-D", "-a", socket], {
    env: { SSH_ASKPASS: "/bin/false", SSH_ASKPASS_REQUIRE: "force", DISPLAY: undefined }
  })
  yield* agent.stdout.waitFor("SSH_AUTH_SOCK")
  return {
    socket,
    add: (key, { confirm = false } = {}) =>
      Process.output("ssh-add", ["-q", ...(confirm ? ["-c"] : []), key.file], { env: { SSH_AUTH_SOCK: socket } }).pipe(
        Effect.asVoid
      )
  } satisfies SshAgent
})

/** The socket of an agent that accepts connections and never answers. */
export const hung = Effect.gen(function*() {
  const directory = yield* TempDirectory.make()
  const path = Path.join(directory, "agent")
  yield* Effect.acquireRelease(
    Effect.callback<() => void, LabError>((resume) => {
      const sockets = new Set<Net.Socket>()
      const server = Net.createServer((socket) => {
        sockets.add(socket.on("error", () => {}).on("close", () => sockets.delete(socket)))
      })
      server.once("error", (cause) => resume(Effect.fail(new LabError({ message: `cannot listen on ${path}`, cause }))))
      server.listen(path, () =>
        resume(Effect.succeed(() => {
          for (const socket of sockets) socket.destroy()
          server.close()
          Fs.rmSync(path, { force: true })
        })))
    }),
    (close) => Effect.sync(close)
  )
  return path
})
