import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Path from "node:path"
import type { Page } from "playwright-core"
import * as Chromium from "./support/Chromium.ts"
import { fresh, Harness, type View } from "./support/Harness.ts"
import * as Scenes from "./support/scenes.ts"
import { screens } from "./support/screens.ts"

/** The checks of WCAG 2.2 A and AA, and axe's own best practices. */
const axe = Fs.readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8")

interface AxeResult {
  readonly violations: ReadonlyArray<{
    readonly id: string
    readonly help: string
    readonly nodes: ReadonlyArray<{ readonly html: string; readonly failureSummary?: string }>
  }>
}

const violations = async (page: Page, only?: string): Promise<ReadonlyArray<string>> => {
  // Through the debugger, because the page's policy admits no script of ours.
  await page.evaluate(axe)
  const runOnly = only === undefined ? "" : `, runOnly: ["${only}"]`
  const result = await page.evaluate(`axe.run(document, { resultTypes: ["violations"]${runOnly} })`) as AxeResult
  return result.violations.flatMap(({ help, id, nodes }) =>
    nodes.map(({ failureSummary, html }) => `${id} (${help}): ${html.slice(0, 200)} ${failureSummary ?? ""}`)
  )
}

/** What sticks out: to the right, where nobody should have to scroll to read, or down from its own box onto the next. */
const overflowing = (page: Page): Promise<ReadonlyArray<string>> =>
  page.evaluate(async () => {
    const look = () => {
      const width = document.documentElement.clientWidth
      const sideways = [...document.querySelectorAll<HTMLElement>(".oc-window *")].flatMap((element) => {
        const { left, right, width: own } = element.getBoundingClientRect()
        const hidden = getComputedStyle(element).visibility === "hidden" || element.closest(".oc-hidden") !== null
        return !hidden && own > 0 && (right > width + 1 || left < -1) ? [`${element.className}: ${left}–${right}`] : []
      })
      const parts = document.querySelectorAll<HTMLElement>(
        [".oc-list", ".oc-detail", ".oc-dialog", ".oc-dialog-body", ".oc-step", ".oc-tests"].map((part) =>
          `${part} > *`
        )
          .join()
      )
      const down = [...parts].flatMap((part) =>
        getComputedStyle(part).overflowY === "visible" && part.clientHeight > 0 &&
          part.scrollHeight > part.clientHeight + 4
          ? [`${part.className}: ${part.scrollHeight} in ${part.clientHeight}`]
          : []
      )
      return [...sideways, ...down]
    }
    // A menu finds its new place some frames after the window has changed its size.
    for (let frame = 0; frame < 60 && look().length > 0; frame++) await new Promise(requestAnimationFrame)
    return look()
  })

const images = Path.resolve(import.meta.dirname, "../../../../docs/images")
/** The screens of the documentation; the first one has a dark twin for the README. */
const pictures = {
  light: ["connected", "failed", "wizard-host", "wizard-test", "danger"],
  dark: ["connected"]
} as const

describe.skipIf(!Chromium.available)("every screen", () => {
  layer(Harness.layer, { excludeTestServices: true, timeout: 120_000 })((it) => {
    const each = (view: View, visit: (page: Page, name: string) => Promise<void>) =>
      Effect.gen(function*() {
        const harness = yield* Harness
        const { complaints, page } = yield* harness.open(view)
        for (const { name, show } of screens) {
          yield* Effect.promise(() => fresh(page))
          yield* Effect.promise(() => show(page))
          yield* Effect.promise(() => visit(page, name))
          assert.deepStrictEqual(complaints(), [], name)
        }
      })

    it.effect(
      "passes axe in both schemes, fits 360 pixels, and fits at a zoom of 200 %",
      () =>
        each({}, async (page, name) => {
          assert.deepStrictEqual(await violations(page), [], `${name}, light`)
          // The other scheme differs in its colours only.
          await page.emulateMedia({ colorScheme: "dark" })
          assert.deepStrictEqual(await violations(page, "color-contrast"), [], `${name}, dark`)
          await page.emulateMedia({ colorScheme: "light" })
          // 200 % of 1280 × 800: half the pixels of CSS.
          for (const [width, height] of [[640, 400], [360, 740]] as const) {
            await page.setViewportSize({ width, height })
            assert.deepStrictEqual(await overflowing(page), [], `${name} at ${width} pixels`)
          }
          await page.setViewportSize({ width: 1280, height: 800 })
        }),
      180_000
    )

    it.effect("passes axe where there is one pane", () =>
      Effect.gen(function*() {
        const { page } = yield* (yield* Harness).open({ width: 360, height: 740 })
        for (
          const { name, show } of screens.filter(({ name }) => ["connected", "failed", "wizard-options"].includes(name))
        ) {
          yield* Effect.promise(() => fresh(page))
          yield* Effect.promise(() => show(page))
          assert.deepStrictEqual(yield* Effect.promise(() => violations(page)), [], name)
        }
      }), 120_000)

    // Only on demand, and then the same on every machine: they are in the documentation.
    if (process.env["UPDATE"] === "1") {
      it.effect("has its picture taken", () =>
        Effect.gen(function*() {
          Fs.mkdirSync(images, { recursive: true })
          const time = Date.parse("2026-03-01T09:30:00.000Z")
          Scenes.stopTheClock(time)
          for (const scheme of ["light", "dark"] as const) {
            yield* each({ scheme, height: 720, time }, async (page, name) => {
              if (!pictures[scheme].some((picture) => picture === name)) return
              await page.evaluate(() => document.fonts.ready)
              const path = Path.join(images, `window-${name}-${scheme}.png`)
              await page.screenshot({ path, animations: "disabled", caret: "hide" })
            })
          }
        }), 180_000)
    }
  })
})
