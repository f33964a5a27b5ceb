/** Opens a page in the user's browser. The browser is the user's from then on, and no leftover of the demo. */
import * as Mark from "@opencode-ai/ssh-lab/Mark"
import { Duration, Effect } from "effect"
import { spawn } from "node:child_process"
import { openers } from "../../packages/cli/src/Browser.ts"
import { openerGrace } from "../../packages/cli/src/Schedules.ts"

/** Stands in the environment of the opener and of the browser that it starts. */
export const browserVariable = "OPENCODE_SSH_DEMO_BROWSER"

const start = (program: string, words: ReadonlyArray<string>): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const env = { ...process.env, [browserVariable]: Mark.current(), OPENCODE_SERVER_PASSWORD: undefined }
    const child = spawn(program, words, { detached: true, stdio: "ignore", env })
    const answer = (opened: boolean) => {
      clearTimeout(timer)
      child.unref()
      resume(Effect.succeed(opened))
    }
    // One that still runs is the browser itself.
    const timer = setTimeout(() => answer(true), Duration.toMillis(openerGrace))
    child.once("error", () => answer(false))
    child.once("exit", (code) => answer(code === 0))
  })

/** `false` when there is no way to. */
export const open = Effect.fnUntraced(function*(url: string) {
  const { BROWSER, DISPLAY, WAYLAND_DISPLAY, WSL_DISTRO_NAME } = process.env
  const display = [DISPLAY, WAYLAND_DISPLAY, WSL_DISTRO_NAME].some((value) => value !== undefined && value !== "")
  for (const opener of openers({ platform: process.platform, browser: BROWSER ?? "", display })) {
    const [program, ...words] = opener(url)
    if (yield* start(program, words)) return true
  }
  return false
})
