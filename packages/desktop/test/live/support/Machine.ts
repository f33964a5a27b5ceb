/** The machine at which the person sits: a home directory with the ssh config, and places for our files. */
import type { MainRuntime } from "@opencode-ai/desktop-bridge/node"
import * as Mark from "@opencode-ai/ssh-lab/Mark"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { LocalHost } from "@opencode-ai/ssh-tunnel/LocalHost"
import { layerPlatform } from "@opencode-ai/ssh-tunnel/node"
import { Effect, Layer } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"

export const make = Effect.fnUntraced(function*(client: SshClient.SshClient) {
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
  const platform = Layer.merge(
    layerPlatform,
    Layer.effect(LocalHost, Effect.map(LocalHost, (real) => ({ ...real, home, environment }))).pipe(
      Layer.provide(layerPlatform)
    )
  )
  const runtime: Partial<MainRuntime.Options> = { dataDirectory: Path.join(directory, "data"), platform }
  return { runtime }
})
