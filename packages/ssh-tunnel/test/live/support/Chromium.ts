import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, type Scope } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { type Browser, chromium, type Page } from "playwright-core"

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]

/** The machine's own Chromium: `OPENCODE_SSH_LAB_CHROMIUM`, else the first on the PATH. */
export const binary: string | undefined = [
  ...[process.env["OPENCODE_SSH_LAB_CHROMIUM"] ?? ""].filter((path) => path !== ""),
  ...(process.env["PATH"] ?? "").split(":").filter((directory) => directory.startsWith("/")).flatMap((directory) =>
    names.map((name) => Path.join(directory, name))
  )
].find((path) => Fs.existsSync(path))

/** Whether suites that need a browser can run. */
export const available: boolean = binary !== undefined

/** One answer that the page got. */
export interface Answer {
  readonly url: string
  readonly status: number
  readonly contentType: string
}

export interface Visit {
  readonly page: Page
  /** What was answered so far, from whichever address. */
  readonly answers: () => ReadonlyArray<Answer>
  /** What got no answer so far. */
  readonly failures: () => ReadonlyArray<string>
  /** The first answer, so far or to come, for which this holds. */
  readonly awaitAnswer: (predicate: (answer: Answer) => boolean) => Effect.Effect<Answer>
}

/** A browser leaves files in all of these. */
const environment = (home: string): Record<string, string> => ({
  ...process.env as Record<string, string>,
  HOME: home,
  XDG_CONFIG_HOME: home,
  XDG_CACHE_HOME: home,
  XDG_RUNTIME_DIR: home
})

/** A busy machine starts a browser slowly; the test has its own limit. In milliseconds. */
const patience = 100_000

const launch = (home: string): Effect.Effect<Browser, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() =>
      chromium.launch({
        ...(binary === undefined ? {} : { executablePath: binary }),
        env: environment(home),
        timeout: patience,
        args: [
          // Root has no sandbox, and a container no shared memory to speak of.
          "--no-sandbox",
          "--disable-dev-shm-usage",
          "--disable-gpu",
          // Nothing of a test leaves the machine.
          "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        ]
      })
    ),
    (browser) => Effect.promise(() => browser.close())
  )

/** Opens an address in a fresh browser; it ends with the scope. */
export const visit = Effect.fnUntraced(function*(url: string) {
  const browser = yield* launch(yield* TempDirectory.make())
  const page = yield* Effect.promise(() => browser.newPage())
  page.setDefaultTimeout(patience)
  const answers: Array<Answer> = []
  const failures: Array<string> = []
  const watchers = new Set<() => void>()
  page.on("response", (response) => {
    answers.push({
      url: response.url(),
      status: response.status(),
      contentType: response.headers()["content-type"] ?? ""
    })
    for (const watcher of watchers) watcher()
  })
  page.on("requestfailed", (request) => failures.push(`${request.url()}: ${request.failure()?.errorText ?? ""}`))
  yield* Effect.promise(() => page.goto(url))
  const visit: Visit = {
    page,
    answers: () => [...answers],
    failures: () => [...failures],
    awaitAnswer: (predicate) =>
      Effect.callback((resume) => {
        const look = () => {
          const found = answers.find(predicate)
          if (found !== undefined) resume(Effect.succeed(found))
        }
        watchers.add(look)
        look()
        return Effect.sync(() => watchers.delete(look))
      })
  }
  return visit
})
