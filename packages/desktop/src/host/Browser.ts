/** Shows an address in a browser of this machine. */
import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"

/** `tab`: the user's browser; `app`: a window of its own, without tabs and address bar, of a Chromium-like browser. */
export type Kind = "tab" | "app"

/** What decides how. */
export interface Surroundings {
  readonly platform: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** The path of a program of the PATH. */
  readonly which: (name: string) => string | undefined
}

const chromiums = [
  "chromium",
  "chromium-browser",
  "google-chrome",
  "google-chrome-stable",
  "microsoft-edge",
  "brave-browser"
]

/** The command lines to try in order, without the address. */
export const openers = (
  kind: Kind,
  { environment, platform, which }: Surroundings
): ReadonlyArray<(url: string) => readonly [string, ...ReadonlyArray<string>]> => {
  const hasDisplay = platform === "darwin" || platform === "win32" ||
    ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"].some((name) => (environment[name] ?? "") !== "")
  if (environment["BROWSER"] === "none") return []
  if (kind === "app") {
    const found = hasDisplay ? chromiums.map(which).filter((path) => path !== undefined) : []
    if (platform === "darwin") {
      return ["Google Chrome", "Chromium", "Microsoft Edge"].map(
        (name) => (url) => ["open", "-na", name, "--args", `--app=${url}`]
      )
    }
    if (platform === "win32") return [(url) => ["cmd.exe", "/d", "/c", "start", "", "msedge", `--app=${url}`]]
    return found.map((path) => (url) => [path, `--app=${url}`])
  }
  if (platform === "darwin") return [(url) => ["open", url]]
  // `start` takes a first quoted word for a window title.
  if (platform === "win32") return [(url) => ["cmd.exe", "/d", "/c", "start", "", url]]
  const [named = ""] = (environment["BROWSER"] ?? "").split(":")
  return [
    ...(named === "" ? [] : [(url: string) => [named, url] as const]),
    ...(hasDisplay ? [(url: string) => ["xdg-open", url] as const, (url: string) => ["wslview", url] as const] : [])
  ]
}

const here: Surroundings = {
  platform: process.platform,
  environment: process.env,
  which: (name) =>
    (process.env["PATH"] ?? "").split(Path.delimiter).map((directory) => Path.join(directory, name))
      .find((path) => Fs.existsSync(path))
}

/** How long an opener that has not ended is given before it counts as the browser itself, in milliseconds. */
const grace = 3000

const run = ([program, ...words]: readonly [string, ...ReadonlyArray<string>]): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    // It outlives us, and a Ctrl-C of our terminal is not meant for it.
    const child = ChildProcess.spawn(program, words, { stdio: "ignore", detached: true })
    child.unref()
    const timer = setTimeout(() => resume(Effect.succeed(true)), grace)
    timer.unref()
    child.once("error", () => resume(Effect.succeed(false)))
    child.once("exit", (code) => resume(Effect.succeed(code === 0)))
    return Effect.sync(() => clearTimeout(timer))
  })

/** Opens the address; `false` when there is no way to. It may be good for one visit: nothing but the opener sees it. */
export const open = Effect.fn("Browser.open")(function*(url: string, kind: Kind) {
  for (const opener of openers(kind, here)) {
    if (yield* run(opener(url))) return true
  }
  return false
})
