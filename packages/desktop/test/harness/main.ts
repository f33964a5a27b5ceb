/** The window over a bridge in memory; a test drives it by `world`. */
// What OpenCode looks like, on every machine that makes pictures.
import "@fontsource-variable/inter/wght.css"
import { Effect } from "effect"
import { mount } from "../../src/ui/index.ts"
import "../../src/ui/page.css"
import * as World from "./World.ts"

declare global {
  // The page's global: tests call it from outside.
  var world: World.World
}

const program = Effect.gen(function*() {
  const { bridge, link, world } = yield* World.make
  const copied: Array<string> = []
  const opened: Array<string> = []
  const told: Array<unknown> = []
  globalThis.world = { ...world, copied: () => copied, opened: () => opened, told: () => told }
  const element = document.getElementById("window")
  if (element === null) return
  mount(element, {
    bridge,
    link,
    copy: async (text) => {
      copied.push(text)
    },
    openUrl: (url) => {
      opened.push(url)
    },
    notify: (news) => {
      told.push(news)
    }
  })
  return yield* Effect.never
})

Effect.runFork(Effect.scoped(program).pipe(Effect.tapCause((cause) => Effect.sync(() => console.error(String(cause))))))
