/** The machine at which a person sits: a home directory whose ssh config knows the lab's hosts. */
import { Effect, type Scope } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { LabError } from "./LabError.ts"
import * as Mark from "./Mark.ts"
import * as SshClient from "./SshClient.ts"
import * as TempDirectory from "./TempDirectory.ts"

export interface Home {
  /** The home directory; its `.ssh/config` includes the client's. */
  readonly home: string
  /** Where the product keeps its files; not made yet. */
  readonly dataDirectory: string
  /** The product's runtime directory is made in here (`XDG_RUNTIME_DIR`). */
  readonly runtimeBase: string
  /** The mark, this home, and nothing of whoever runs the tests that the product would use: no agent, no password. */
  readonly environment: Record<string, string>
}

/** Makes the home; it goes with the scope. */
export const make: (client: SshClient.SshClient) => Effect.Effect<Home, LabError, Scope.Scope> = Effect.fn("Home.make")(
  function*(client: SshClient.SshClient) {
    const directory = yield* TempDirectory.make()
    const place = (name: string) => {
      const path = Path.join(directory, name)
      Fs.mkdirSync(path, { mode: 0o700, recursive: true })
      return path
    }
    const home = place("home")
    const runtimeBase = place("run")
    Fs.writeFileSync(Path.join(place("home/.ssh"), "config"), `Include ${SshClient.quote(client.configFile)}\n`, {
      mode: 0o600
    })
    const environment = Mark.environment({
      HOME: home,
      SSH_AUTH_SOCK: undefined,
      OPENCODE_SERVER_PASSWORD: undefined,
      OPENCODE_SSH_BINARY: undefined,
      OPENCODE_SSH_DATA_DIR: undefined,
      XDG_RUNTIME_DIR: runtimeBase,
      SHELL: "/bin/sh",
      LC_ALL: "C"
    })
    return { home, dataDirectory: Path.join(directory, "data"), runtimeBase, environment }
  }
)
