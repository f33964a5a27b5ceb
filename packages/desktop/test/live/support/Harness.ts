/** The window over a bridge in memory, in a real Chromium, behind the real server with its real headers. */
import * as WebSocketServer from "@opencode-ai/desktop-bridge/node"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Context, Effect, Layer, type Scope } from "effect"
import * as Path from "node:path"
import type { Page } from "playwright-core"
import { build } from "vite"
import type { World } from "../../harness/World.ts"
import * as Chromium from "./Chromium.ts"

export interface View {
  readonly scheme?: "light" | "dark"
  readonly width?: number
  readonly height?: number
  /** 2 is what a person gets with the browser's zoom at 200 %: half the CSS pixels, twice the dots. */
  readonly zoom?: number
  readonly reducedMotion?: boolean
  /** The page's clock stands still at this instant, in milliseconds of the epoch. */
  readonly time?: number
}

export interface Opened {
  readonly page: Page
  /** Everything that a healthy page has none of: errors, violations of the policy, requests elsewhere. */
  readonly complaints: () => ReadonlyArray<string>
}

const directory = Path.resolve(import.meta.dirname, "../../..")

/** The harness as static files. */
const buildHarness = Effect.gen(function*() {
  const outDir = yield* TempDirectory.make()
  yield* Effect.promise(() =>
    build({
      configFile: Path.join(directory, "vite.config.ts"),
      root: Path.join(directory, "test/harness"),
      publicDir: Path.join(directory, "public"),
      build: { outDir, minify: false, emptyOutDir: true }
    })
  )
  return outDir
})

/** Waits, frame by frame, until this is true in the page. `page.waitForFunction` would need `eval`, which the policy forbids. */
export const eventually = (page: Page, condition: string): Promise<unknown> =>
  page.evaluate(
    `new Promise((resolve) => {
      const look = () => (${condition}) ? resolve() : requestAnimationFrame(look)
      look()
    })`
  )

const ready = (page: Page) => eventually(page, "globalThis.world !== undefined")

/** An empty world again. */
export const fresh = async (page: Page): Promise<void> => {
  await page.reload()
  await ready(page)
}

export class Harness extends Context.Service<Harness, {
  /** A fresh window; it closes with the scope. */
  readonly open: (view?: View) => Effect.Effect<Opened, never, Scope.Scope>
}>()("@opencode-ai/ssh-desktop/test/Harness") {
  static readonly layer: Layer.Layer<Harness> = Layer.effect(
    Harness,
    Effect.gen(function*() {
      const [outDir, browser] = yield* Effect.all([buildHarness, Chromium.launch], { concurrency: 2 })
      const server = yield* Effect.orDie(WebSocketServer.WebSocketServer.make({ directory: outDir }))
      return Harness.of({
        open: Effect.fnUntraced(function*(view = {}) {
          const { opened } = yield* Chromium.open(browser, yield* server.mintUrl, view, server.origin)
          yield* Effect.promise(() => ready(opened.page))
          return opened
        })
      })
    })
  )
}

/** Calls the page's world. */
export const world = <K extends keyof World>(
  page: Page,
  method: K,
  ...args: Parameters<World[K]>
): Promise<ReturnType<World[K]>> =>
  page.evaluate(([method, args]) => {
    const call = globalThis.world[method as keyof World] as (...args: ReadonlyArray<unknown>) => unknown
    return call(...args as ReadonlyArray<unknown>)
  }, [method, args] as const) as Promise<ReturnType<World[K]>>
