/** Opens a page in the user's browser, the way this system does it. */
import { Config, Effect, Exit, Option, Redacted, Scope } from "effect"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { variables } from "./EnvironmentCredentials.ts"
import { openerGrace } from "./Schedules.ts"

/** What decides how a page is opened. */
export interface Surroundings {
  readonly platform: string
  /** Commands separated by colons, tried in order; `%s` stands for the URL, which else is added. `none` opens nothing. */
  readonly browser: string
  /** Whether a graphical session is there (Linux and BSD: DISPLAY, WAYLAND_DISPLAY; WSL has Windows' own). */
  readonly display: boolean
}

/** The command lines to try in order; without the URL. */
export const openers = (
  { browser, display, platform }: Surroundings
): ReadonlyArray<(url: string) => readonly [string, ...Array<string>]> => {
  if (browser === "none") return []
  const named = browser.split(":").map((command) => command.trim().split(/\s+/)).flatMap(([program, ...words]) =>
    program === undefined || program === "" ? [] : [(url: string) =>
      words.some((word) => word.includes("%s"))
        ? [program, ...words.map((word) => word.replaceAll("%s", url))] as const
        : [program, ...words, url] as const]
  )
  if (platform === "darwin") return [...named, (url) => ["open", url]]
  // `start` takes a first quoted word for a window title.
  if (platform === "win32") return [...named, (url) => ["cmd.exe", "/d", "/c", "start", "", url]]
  return display ? [...named, (url) => ["xdg-open", url], (url) => ["wslview", url]] : named
}

const variable = (name: string) => Effect.map(Config.option(Config.String(name)), Option.getOrElse(() => ""))

const surroundings = (platform: string) =>
  Effect.orDie(Effect.gen(function*() {
    const displays = yield* Effect.forEach(["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"], variable)
    return { platform, browser: yield* variable("BROWSER"), display: displays.some((value) => value !== "") }
  }))

/**
 * Opens the page; `false` when there is no way to. The URL may be a ticket:
 * nothing but the opener sees it. The browser outlives us.
 */
export const open = Effect.fn("Browser.open")(function*(url: Redacted.Redacted<string>, platform: string) {
  const spawner = yield* ChildProcessSpawner
  const tries = openers(yield* surroundings(platform))
  for (const opener of tries) {
    const [program, ...words] = opener(Redacted.value(url))
    // Closing this scope would end the browser: it is left open for one that runs on.
    const scope = yield* Scope.make()
    const opened = yield* spawner.spawn(ChildProcess.make(program, words.map((word) => Redacted.make(word)), {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
      extendEnv: true,
      env: { [variables.password]: undefined }
    })).pipe(
      Effect.tap((handle) => handle.unref),
      Effect.flatMap((handle) => handle.exitCode),
      Effect.map((code) => code === 0),
      Effect.timeoutOrElse({ duration: openerGrace, orElse: () => Effect.succeed(true) }),
      Effect.orElseSucceed(() => false),
      Scope.provide(scope)
    )
    if (opened) return true
    yield* Scope.close(scope, Exit.void)
  }
  return false
})
