/** Where this machine keeps our files: the profiles and the remembered ports. */
import { ConfigProvider, Context, Effect, Layer, Path } from "effect"
import * as UserDirectories from "effect/persistence/UserDirectories"
import { LocalHost } from "./LocalHost.ts"

/**
 * The user's data directory of OpenCode: `$OPENCODE_SSH_DATA_DIR`, else
 * `$XDG_DATA_HOME/opencode`, else `~/.local/share/opencode` (Linux and other
 * Unix), `~/Library/Application Support/opencode` (macOS) or
 * `%APPDATA%\opencode` (Windows).
 *
 * **Gotchas**
 *
 * `~` is `$HOME` here, as for OpenCode's own data, and only without one the
 * home of the passwd entry, which is what ssh means by it. A relative
 * `XDG_DATA_HOME` is ignored, as the XDG Base Directory Specification says.
 * Nothing is created here.
 */
export class DataDirectory extends Context.Service<DataDirectory, {
  /** Absolute. */
  readonly path: string
}>()("@opencode-ai/ssh-tunnel/DataDirectory") {
  static readonly layer: Layer.Layer<DataDirectory, never, LocalHost | Path.Path> = Layer.effect(
    DataDirectory,
    Effect.gen(function*() {
      const { environment, home, platform, system } = yield* LocalHost
      const path = yield* Path.Path
      const chosen = environment["OPENCODE_SSH_DATA_DIR"]
      if (chosen !== undefined && chosen !== "") return { path: path.resolve(chosen) }
      const directories = UserDirectories.make({
        platform: platform === "windows" ? "win32" : system.startsWith("darwin") ? "darwin" : "linux"
      })
      const variables = Object.entries({ HOME: home, USERPROFILE: home, ...environment })
        .flatMap(([name, value]) => value === undefined ? [] : [[name, value] as const])
      return {
        path: yield* directories.data("opencode").pipe(
          Effect.provideService(
            ConfigProvider.ConfigProvider,
            ConfigProvider.fromEnv({ env: Object.fromEntries(variables) })
          ),
          // It fails only without a home, and there is one.
          Effect.orDie
        )
      }
    })
  )

  /** A directory of the caller's choice. */
  static readonly layerAt = (path: string): Layer.Layer<DataDirectory> => Layer.succeed(DataDirectory, { path })
}
