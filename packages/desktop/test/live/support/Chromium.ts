/** The machine's own Chromium. */
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, type Scope } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { type Browser, chromium } from "playwright-core"
import type { Opened, View } from "./Harness.ts"

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]

/** `OPENCODE_SSH_LAB_CHROMIUM`, else the first on the PATH. */
export const binary: string | undefined = [
  ...[process.env["OPENCODE_SSH_LAB_CHROMIUM"] ?? ""].filter((path) => path !== ""),
  ...(process.env["PATH"] ?? "").split(":").filter((directory) => directory.startsWith("/")).flatMap((directory) =>
    names.map((name) => Path.join(directory, name))
  )
].find((path) => Fs.existsSync(path))

export const available: boolean = binary !== undefined

/** A busy machine starts a browser slowly; the test has its own limit. In milliseconds. */
export const patience = 60_000

export const launch: Effect.Effect<Browser, never, Scope.Scope> = Effect.gen(function*() {
  const home = yield* TempDirectory.make()
  return yield* Effect.acquireRelease(
    Effect.promise(() =>
      chromium.launch({
        ...(binary === undefined ? {} : { executablePath: binary }),
        // A browser leaves files in all of these.
        env: {
          ...process.env as Record<string, string>,
          HOME: home,
          XDG_CONFIG_HOME: home,
          XDG_CACHE_HOME: home,
          XDG_RUNTIME_DIR: home,
          LANG: "en_US.UTF-8",
          TZ: "UTC"
        },
        timeout: patience,
        args: [
          // Root has no sandbox, and a container no shared memory to speak of.
          "--no-sandbox",
          "--disable-dev-shm-usage",
          "--disable-gpu",
          "--disable-background-networking",
          "--lang=en-US",
          "--font-render-hinting=none",
          // Nothing of a test leaves the machine.
          "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        ]
      })
    ),
    (browser) => Effect.promise(() => browser.close())
  )
})

/** Opens an address; the page and its cookies end with the scope. */
export const open = Effect.fnUntraced(function*(browser: Browser, url: string, view: View, origin: string) {
  const { height = 800, reducedMotion = true, scheme = "light", width = 1280, zoom = 1 } = view
  const context = yield* Effect.acquireRelease(
    Effect.promise(() =>
      browser.newContext({
        viewport: { width: Math.floor(width / zoom), height: Math.floor(height / zoom) },
        deviceScaleFactor: zoom,
        colorScheme: scheme,
        reducedMotion: reducedMotion ? "reduce" : "no-preference",
        locale: "en-US",
        timezoneId: "UTC"
      })
    ),
    (context) => Effect.promise(() => context.close())
  )
  const { time } = view
  if (time !== undefined) yield* Effect.promise(() => context.clock.setFixedTime(time))
  const page = yield* Effect.promise(() => context.newPage())
  page.setDefaultTimeout(patience)
  const complaints: Array<string> = []
  // A violated policy is a message of the console as well.
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`)
  })
  page.on("pageerror", (error) => complaints.push(String(error)))
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) complaints.push(`a request to ${request.url()}`)
  })
  yield* Effect.promise(() => page.goto(url))
  const opened: Opened = { page, complaints: () => [...complaints] }
  return { opened, context }
})
