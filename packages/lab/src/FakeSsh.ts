import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as TempDirectory from "./TempDirectory.ts"

export interface Options {
  /** What `-V` answers on stderr; default `OpenSSH_9.2p1`. */
  readonly version?: string
  /** What every other call prints on stderr. */
  readonly stderr?: string
  /** How such a call ends; default exit code 255. `never`: it goes on until it is killed. */
  readonly end?: { readonly code: number } | "never"
}

/**
 * A stand-in for the ssh program, where the real one cannot be brought to say it: another version, another language,
 * a security key. Returns its path. `-G` is answered with next to nothing.
 */
export const make = Effect.fn("FakeSsh.make")(function*(options: Options = {}) {
  const directory = yield* TempDirectory.make()
  const path = Path.join(directory, "ssh")
  const said = Path.join(directory, "stderr")
  const version = Path.join(directory, "version")
  const end = options.end ?? { code: 255 }
  const script = [
    "#!/bin/sh",
    `if test "$1" = -V; then cat '${version}' >&2; exit 0; fi`,
    "for word; do",
    "  if test \"$word\" = -G; then echo 'hostname 127.0.0.1'; echo 'port 22'; exit 0; fi",
    "done",
    `cat '${said}' >&2`,
    end === "never" ? "exec sleep 1000" : `exit ${end.code}`,
    ""
  ]
  yield* Effect.sync(() => {
    Fs.writeFileSync(version, `${options.version ?? "OpenSSH_9.2p1"}\n`)
    Fs.writeFileSync(said, options.stderr ?? "")
    Fs.writeFileSync(path, script.join("\n"), { mode: 0o755 })
  })
  return path
})
