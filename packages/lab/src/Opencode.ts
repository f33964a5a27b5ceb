import { Effect, type Scope } from "effect"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Path from "node:path"
import { LabError } from "./LabError.ts"
import type * as Log from "./Log.ts"
import * as Process from "./Process.ts"
import { isolation } from "./Sshd.ts"
import * as TempDirectory from "./TempDirectory.ts"

const fromPackage = (): string | undefined => {
  try {
    const manifest = createRequire(import.meta.url).resolve(`opencode-${process.platform}-${process.arch}/package.json`)
    return Path.join(Path.dirname(manifest), "bin", "opencode")
  } catch {
    // Not published for this platform.
    return undefined
  }
}

/** The real opencode (V1) of this platform: `OPENCODE_SSH_LAB_OPENCODE`, else the package's; absent on some. */
export const binary: string | undefined = [process.env["OPENCODE_SSH_LAB_OPENCODE"], fromPackage()].find((path) =>
  path !== undefined && path !== "" && Fs.existsSync(path)
)

/** Whether live suites that need the real opencode can run. */
export const available: boolean = binary !== undefined

/** The path of the real opencode, or a failure that says it is missing. */
export const requireBinary: Effect.Effect<string, LabError> = Effect.suspend(() =>
  binary === undefined
    ? Effect.fail(
      new LabError({
        message: `there is no opencode for ${process.platform}-${process.arch}: set OPENCODE_SSH_LAB_OPENCODE`
      })
    )
    : Effect.succeed(binary)
)

/** Installs opencode where its own installer puts it: `<home>/.opencode/bin/opencode`. Returns that path. */
export const install = Effect.fn("Opencode.install")(function*(home: string) {
  const target = yield* requireBinary
  const directory = Path.join(home, ".opencode", "bin")
  return yield* Effect.sync(() => {
    const path = Path.join(directory, "opencode")
    Fs.mkdirSync(directory, { recursive: true })
    Fs.rmSync(path, { force: true })
    Fs.symlinkSync(target, path)
    return path
  })
})

export interface Options {
  /** Default 0: opencode's own choice (4096, else a random one). */
  readonly port?: number
  /** Default: none; the server is then open to everybody who reaches the port. */
  readonly password?: string
  readonly username?: string
  /** Default: a throw-away one. */
  readonly home?: string
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** A running `opencode serve`. */
export interface Opencode {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  readonly port: number
  readonly pid: number
  readonly home: string
  readonly stdout: Log.Log
  readonly stderr: Log.Log
  readonly exit: Effect.Effect<Process.Exit>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** SIGTERM, and SIGKILL after 2 s; done when it is gone. */
  readonly stop: Effect.Effect<void>
}

/** Starts the real `opencode serve` on 127.0.0.1 (2-3 s); done when it says that it listens. Ends with the scope. */
export const serve: (options?: Options) => Effect.Effect<Opencode, LabError, Scope.Scope> = Effect.fn("Opencode.serve")(
  function*(options: Options = {}) {
    const path = yield* requireBinary
    const home = options.home ?? (yield* TempDirectory.make())
    const env = isolation(home)
    Fs.mkdirSync(Path.join(home, "tmp"), { recursive: true })
    const port = String(options.port ?? 0)
    const child = yield* Process.spawn(path, ["serve", "--hostname", "127.0.0.1", "--port", port], {
      cwd: home,
      env: {
        ...env,
        OPENCODE_SERVER_PASSWORD: options.password,
        OPENCODE_SERVER_USERNAME: options.username,
        ...options.env
      }
    })
    const pattern = /listening on (http:\/\/\S+)/
    const line = yield* child.stdout.waitFor(pattern).pipe(
      Effect.catch((error) =>
        Effect.flatMap(
          child.stderr.text,
          (stderr) => Effect.fail(new LabError({ message: `${error.message}\n${stderr}` }))
        )
      )
    )
    const url = pattern.exec(line)?.[1] ?? ""
    const opencode: Opencode = {
      url,
      port: Number(new URL(url).port),
      pid: child.pid,
      home,
      stdout: child.stdout,
      stderr: child.stderr,
      exit: child.exit,
      kill: (signal) => child.kill(signal),
      stop: child.stop
    }
    return opencode
  }
)
