/** Every screen of the window, and how to get there: for the checks that all of them must pass, and for pictures. */
import type { Page } from "playwright-core"
import { world } from "./Harness.ts"
import * as Scenes from "./scenes.ts"

export interface Screen {
  readonly name: string
  readonly show: (page: Page) => Promise<void>
}

/** Selects a connection; where there is one pane, this goes to it. */
export const select = async (page: Page, id: string): Promise<void> => {
  await page.evaluate(() => {
    const back = document.querySelector<HTMLElement>(".oc-back")
    if (back !== null && getComputedStyle(back).display !== "none") back.click()
  })
  await page.locator(`[data-id="${id}"] .oc-row-main`).click()
}

/** The usual six connections. */
export const fill = async (page: Page): Promise<void> => {
  await world(page, "hosts", ["devbox", "bastion", "gpu-07", "staging", "office", "archive"])
  await world(page, "states", Scenes.states())
  await world(page, "profiles", Scenes.profiles)
  await page.locator("[data-id=devbox]").waitFor()
}

const menuItem = async (page: Page, name: string): Promise<void> => {
  await page.locator(".oc-main-buttons [aria-haspopup]").click()
  await page.getByRole("menuitem", { name, exact: true }).click()
}

const wizard = async (page: Page): Promise<void> => {
  await fill(page)
  await page.getByRole("button", { name: "Add connection" }).click()
  await page.getByRole("option").first().waitFor()
  await page.getByText("dev@devbox.example.com:22").waitFor()
}

const options = async (page: Page): Promise<void> => {
  await wizard(page)
  await page.getByRole("combobox").fill("gpu")
  await page.getByText("dev@gpu").waitFor()
  await page.getByRole("option", { name: "gpu-07" }).click()
  await page.getByText("dev@gpu-07.example.com:22").waitFor()
}

export const test = async (page: Page, last: "failed" | "ok"): Promise<void> => {
  await options(page)
  await page.getByRole("button", { name: "Test", exact: true }).click()
  const steps = Scenes.examination(last)
  for (const step of steps) await world(page, "step", step)
  await page.locator(`.oc-test:nth-child(${steps.length})[data-status=${last}]`).waitFor()
}

export const screens: ReadonlyArray<Screen> = [
  {
    name: "empty",
    show: async (page) => {
      await page.getByRole("button", { name: "Add connection" }).waitFor()
    }
  },
  { name: "connected", show: fill },
  {
    name: "connecting",
    show: async (page) => {
      await fill(page)
      await select(page, "gpu")
    }
  },
  {
    name: "reconnecting",
    show: async (page) => {
      await fill(page)
      await select(page, "office")
    }
  },
  {
    name: "failed",
    show: async (page) => {
      await fill(page)
      await select(page, "archive")
    }
  },
  {
    name: "danger",
    show: async (page) => {
      await fill(page)
      await world(page, "state", "gpu", { _tag: "Failed", error: Scenes.hostKeyChanged })
      await select(page, "gpu")
      await page.locator(".oc-failure details").first().locator("summary").click()
    }
  },
  {
    name: "disconnected",
    show: async (page) => {
      await fill(page)
      await select(page, "staging")
    }
  },
  {
    name: "server",
    show: async (page) => {
      await fill(page)
      await world(page, "server", Scenes.server())
      await world(page, "log", Scenes.log)
      await world(page, "state", "devbox", Scenes.connected({ secured: false }))
      await select(page, "devbox")
      await page.locator(".oc-detail > .oc-fold > summary").click()
      await page.getByText("opencode server listening").waitFor()
    }
  },
  {
    name: "menu",
    show: async (page) => {
      await fill(page)
      await select(page, "devbox")
      await page.locator(".oc-main-buttons [aria-haspopup]").click()
      await page.getByRole("menuitem", { name: "Remove…" }).waitFor()
    }
  },
  { name: "wizard-host", show: wizard },
  { name: "wizard-options", show: options },
  { name: "wizard-test", show: (page) => test(page, "failed") },
  {
    name: "diagnostics",
    show: async (page) => {
      await fill(page)
      await world(page, "report", Scenes.report)
      await select(page, "devbox")
      await menuItem(page, "Copy Diagnostics…")
      await page.getByText("Timeline").waitFor()
    }
  },
  {
    name: "remove",
    show: async (page) => {
      await fill(page)
      await select(page, "devbox")
      await menuItem(page, "Remove…")
      await page.getByRole("alertdialog").waitFor()
    }
  },
  {
    name: "keys",
    show: async (page) => {
      await fill(page)
      await page.getByRole("button", { name: "Keyboard shortcuts" }).click()
      await page.getByRole("dialog").waitFor()
    }
  },
  {
    name: "news",
    show: async (page) => {
      await fill(page)
      await world(page, "profiles", Scenes.profiles, [{
        id: "broken",
        name: "old entry",
        message: "port: a port from 1 to 65535"
      }])
      await world(page, "state", "devbox", {
        _tag: "Reconnecting",
        attempt: 1,
        nextAt: Scenes.until(4),
        error: Scenes.lost
      })
      await world(page, "fail", "sshCommand", Scenes.lost)
      await select(page, "staging")
      await menuItem(page, "Copy ssh command")
      await page.locator(".oc-notice[data-tone=bad]").waitFor()
      await world(page, "link", false)
      await page.getByRole("alert").getByText("is gone").waitFor()
    }
  }
]
