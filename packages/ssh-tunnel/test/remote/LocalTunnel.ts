/** An open tunnel whose remote side is a shell on this machine: what `exec` does over ssh, without ssh. */
import { Effect, Redacted, Stream } from "effect"
import * as ChildProcess from "node:child_process"
import { PassThrough, type Readable } from "node:stream"
import type { OpenTunnel } from "../../src/Tunnel.ts"
import type { Machine, Shell } from "./Machine.ts"

/** Holds on to what comes before anybody reads: Node throws that away when the process ends. */
const text = (readable: Readable): Stream.Stream<string> => {
  const held = readable.pipe(new PassThrough({ encoding: "utf8" }))
  return Stream.orDie(Stream.fromAsyncIterable<string, unknown>(held, (cause) => cause))
}

/** Commands run on `machine` by `shell`; all else of a tunnel dies when it is used. */
export const make = (machine: Machine, shell: Shell): OpenTunnel => ({
  strategy: "master",
  forward: () => Effect.die("no forward here"),
  exec: (script) =>
    Effect.gen(function*() {
      const words = Object.entries(machine.env).map(([name, value]) => `${name}=${value}`)
      const child = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const child = ChildProcess.spawn("env", ["-i", ...words, ...shell, "-s"], {
            cwd: machine.home,
            detached: true
          })
          // It may end without having read everything.
          child.stdin.on("error", () => {})
          return child
        }),
        // The client is gone: the end of stdin is all that the other side sees of it.
        (child) =>
          Effect.callback<void>((resume) => {
            child.once("close", () => resume(Effect.void))
            if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
            child.stdin.end()
          })
      )
      const exited = new Promise<number>((resolve) => child.once("exit", (code) => resolve(code ?? 255)))
      const [stdout, stderr] = [text(child.stdout), text(child.stderr)]
      child.stdin.write(Redacted.value(script))
      return { stdout, stderr, exitCode: Effect.promise(() => exited) }
    }),
  capabilities: Effect.succeed({ sessions: "allowed" }),
  closed: Effect.never,
  stderr: Effect.succeed("")
})
