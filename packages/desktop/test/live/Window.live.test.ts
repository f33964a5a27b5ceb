import { assert, describe, layer } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import type { Locator, Page } from "playwright-core"
import { classes } from "../../../../scripts/lib/errorReference.ts"
import * as Chromium from "./support/Chromium.ts"
import { eventually, Harness, type View, world } from "./support/Harness.ts"
import * as Scenes from "./support/scenes.ts"
import { fill, select, test as runTest } from "./support/screens.ts"

/** Opens a window and uses it; it must not have complained about anything at the end. */
const inWindow = (use: (page: Page) => Promise<void>, view?: View): Effect.Effect<void, never, Harness | Scope.Scope> =>
  Effect.gen(function*() {
    const { complaints, page } = yield* (yield* Harness).open(view)
    yield* Effect.promise(() => use(page))
    assert.deepStrictEqual(complaints(), [])
  })

const calls = async (page: Page, name: string): Promise<ReadonlyArray<unknown>> =>
  (await world(page, "calls")).filter(([call]) => call === name).map(([, payload]) => payload)

const row = (page: Page, id: string): Locator => page.locator(`[data-id="${id}"]`)
const press = (page: Page, key: string) => page.keyboard.press(key)

const menu = async (page: Page, name: string): Promise<void> => {
  await page.locator(".oc-main-buttons [aria-haspopup]").click()
  await page.getByRole("menuitem", { name, exact: true }).click()
}

describe.skipIf(!Chromium.available)("the window", () => {
  layer(Harness.layer, { excludeTestServices: true, timeout: 120_000 })((it) => {
    it.effect("shows every state by word, icon and colour, and nothing jumps from one to the next", () =>
      inWindow(async (page) => {
        await fill(page)
        const states = [
          ["Disconnected", { _tag: "Disconnected" }],
          ["Connecting", { _tag: "Connecting", step: "connecting", since: Scenes.since(3) }],
          ["Discovering", { _tag: "Discovering", since: Scenes.since(1) }],
          ["Bootstrapping", { _tag: "Bootstrapping", step: "starting", since: Scenes.since(1) }],
          ["Connected", Scenes.connected()],
          ["Reconnecting", { _tag: "Reconnecting", attempt: 2, nextAt: Scenes.until(9), error: Scenes.lost }],
          ["Failed", { _tag: "Failed", error: Scenes.hostKeyUnknown }],
          ["Disconnecting", { _tag: "Disconnecting" }]
        ] as const
        const places = async () =>
          JSON.stringify(
            await page.evaluate(() =>
              [".oc-row", ".oc-row-acts", ".oc-status", ".oc-path", ".oc-path-icon", ".oc-detail-name .oc-title"].map((
                part
              ) =>
                [...document.querySelectorAll(part)].map((element) => {
                  const { height, top } = element.getBoundingClientRect()
                  return [top, height]
                })
              )
            )
          )
        await select(page, "devbox")
        const before = await places()
        const looks = new Set<string>()
        for (const [word, state] of states) {
          await world(page, "state", "devbox", state)
          const pill = page.locator(`.oc-status [data-state=${word}]`)
          await pill.waitFor()
          assert.strictEqual(await pill.innerText(), word)
          assert.strictEqual(await row(page, "devbox").locator(".oc-pill").innerText(), word)
          looks.add(
            await pill.evaluate((element) =>
              `${getComputedStyle(element).color} ${element.querySelector("svg")?.innerHTML}`
            )
          )
          assert.strictEqual(await places(), before, word)
          assert.include(
            await page.locator(".oc-app > [role=status]").innerText(),
            word === "Disconnected" ? "" : `devbox: ${word}`
          )
        }
        // The five that last look different from each other; those that pass share a look.
        assert.strictEqual(looks.size, 5)
      }))

    it.effect("tells version, port, step, time and countdown, and the clock goes on", () =>
      inWindow(async (page) => {
        await fill(page)
        const summary = (id: string) => row(page, id).locator(".oc-row-summary").innerText()
        assert.strictEqual(await summary("devbox"), "1.18.33 · :41873")
        assert.match(await summary("gpu"), /^\d+ s · Logging in at bastion\.example$/)
        assert.match(await summary("office"), /^in \d+ s$/)
        await select(page, "office")
        const line = page.locator(".oc-status-text")
        const first = await line.innerText()
        assert.match(first, /^Next try in \d+ s\s+Attempt 3$/)
        await eventually(page, `document.querySelector(".oc-status-text").innerText !== ${JSON.stringify(first)}`)
        assert.match(await line.innerText(), /Next try in \d+ s/)
      }))

    it.effect("asks the bridge for what a person wants", () =>
      inWindow(async (page) => {
        await fill(page)
        await select(page, "staging")
        await page.getByRole("button", { name: "Connect", exact: true }).click()
        await page.getByText("Starting ssh").first().waitFor()
        // One button for all states: the focus is still there. Pressed again it does not undo what it did.
        assert.strictEqual(await page.evaluate("document.activeElement.innerText"), "Connecting…")
        await press(page, "Enter")
        assert.deepStrictEqual(await calls(page, "disconnect"), [])
        await page.getByRole("button", { name: "Cancel", exact: true }).click()
        await page.locator(".oc-status [data-state=Disconnected]").waitFor()
        assert.strictEqual(await page.evaluate("document.activeElement.innerText"), "Connect")
        // A double-click connects once, and does not end it.
        await row(page, "staging").getByRole("button", { name: "Connect staging" }).dblclick()
        await row(page, "staging").getByText("Connecting").waitFor()
        assert.deepStrictEqual(await calls(page, "disconnect"), [{ id: "staging" }])
        await row(page, "pi").getByRole("button", { name: "Cancel connecting Raspberry Pi" }).click()
        await select(page, "office")
        await page.getByRole("button", { name: "Retry now" }).click()
        await select(page, "archive")
        await page.getByRole("button", { name: "Try again" }).click()
        await select(page, "devbox")
        await world(page, "url", "http://127.0.0.1:1/door")
        await page.getByRole("button", { name: "Open in OpenCode" }).click()
        await menu(page, "Copy URL")
        await menu(page, "Copy ssh command")
        await menu(page, "Duplicate")
        await page.getByRole("heading", { name: "devbox copy" }).waitFor()
        assert.deepStrictEqual(await calls(page, "connect"), [{ id: "staging" }, { id: "staging" }, { id: "archive" }])
        assert.deepStrictEqual(await calls(page, "disconnect"), [{ id: "staging" }, { id: "pi" }])
        assert.deepStrictEqual(await calls(page, "retryNow"), [{ id: "office" }])
        assert.deepStrictEqual(await world(page, "opened"), ["http://127.0.0.1:1/door"])
        assert.deepStrictEqual(await world(page, "copied"), [
          "http://127.0.0.1:41873",
          "ssh -N -L 4096:127.0.0.1:4096 devbox"
        ])
      }))

    it.effect("asks before it removes", () =>
      inWindow(async (page) => {
        await fill(page)
        await select(page, "devbox")
        await menu(page, "Remove…")
        const dialog = page.getByRole("alertdialog")
        await dialog.getByText("the connection ends first").waitFor()
        // The safe answer has the focus.
        assert.strictEqual(await page.evaluate("document.activeElement.innerText"), "Cancel")
        await press(page, "Enter")
        await dialog.waitFor({ state: "detached" })
        assert.deepStrictEqual(await calls(page, "removeProfile"), [])
        await menu(page, "Remove…")
        await dialog.getByRole("button", { name: "Remove" }).click()
        await row(page, "devbox").waitFor({ state: "detached" })
        assert.deepStrictEqual(await calls(page, "removeProfile"), [{ id: "devbox" }])
        await page.getByRole("heading", { name: "GPU workstation" }).waitFor()
      }))

    it.effect("shows the report that it copies", () =>
      inWindow(async (page) => {
        await fill(page)
        await world(page, "report", Scenes.report)
        await select(page, "devbox")
        await menu(page, "Copy Diagnostics…")
        const preview = page.getByRole("region", { name: "The report" })
        await preview.getByText("host-1").waitFor()
        const copy = page.getByRole("button", { name: "Copy report" })
        await copy.click()
        const hidden = await preview.innerText()
        await page.getByRole("switch", { name: "Show real names" }).press("Space")
        await preview.getByText("devbox").waitFor()
        await copy.click()
        await page.getByText("Copied", { exact: true }).waitFor()
        assert.deepStrictEqual(await world(page, "copied"), [hidden, await preview.innerText()])
        assert.deepStrictEqual(
          await calls(page, "diagnostics"),
          [true, false].map((pseudonyms) => ({
            id: "devbox",
            format: "markdown",
            pseudonyms
          }))
        )
      }))

    it.effect("can be used by keyboard alone", () =>
      inWindow(async (page) => {
        const focused = () =>
          page.evaluate(() =>
            document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? ""
          )
        /** Goes on by Tab until the focus is on this. */
        const tabTo = async (name: string) => {
          for (let presses = 0; presses < 30; presses++) {
            if ((await focused()).trim() === name) return
            await press(page, "Tab")
            const outline = await page.evaluate(() => {
              const focused = document.activeElement
              if (focused === null || focused === document.body) return "body"
              const style = getComputedStyle(focused)
              const control = focused.closest(".oc-switch")?.querySelector(".oc-switch-control")
              return control === null || control === undefined
                ? style.outlineStyle
                : getComputedStyle(control).outlineStyle
            })
            assert.notStrictEqual(outline, "none", `the focus is visible on ${await focused()}`)
          }
          assert.fail(`${name} cannot be reached by Tab`)
        }
        await world(page, "hosts", ["alpha", "beta"])
        await tabTo("Add connection")
        await press(page, "Enter")
        await page.getByRole("option", { name: "beta" }).waitFor()
        await press(page, "ArrowDown")
        await page.getByText("dev@beta.example.com:22").waitFor()
        await press(page, "Enter")
        await page.getByLabel("User (optional)").waitFor()
        assert.strictEqual(await page.evaluate("document.activeElement.value"), "beta")
        await press(page, "Tab")
        await press(page, "Control+A")
        await page.keyboard.type("My beta")
        await tabTo("Save & connect")
        await press(page, "Enter")
        await page.getByRole("dialog").waitFor({ state: "detached" })
        await page.getByText("Starting ssh").first().waitFor()
        assert.deepStrictEqual(await calls(page, "addProfile"), [{
          name: "My beta",
          host: "beta",
          bootstrap: { enabled: true, lifetime: "persistent" }
        }])

        await world(page, "profiles", Scenes.profiles)
        await row(page, "devbox").waitFor()
        await world(page, "states", Scenes.states())
        await page.locator(".oc-row[data-current=true] .oc-row-main").focus()
        await press(page, "End")
        await page.getByRole("heading", { name: "archive" }).waitFor()
        await press(page, "ArrowUp")
        await press(page, "r")
        await press(page, "Home")
        await press(page, "o")
        await press(page, "c")
        await page.locator(".oc-status [data-state=Disconnected]").waitFor()
        await press(page, "Enter")
        assert.strictEqual((await focused()).trim(), "Connect")
        await press(page, "Shift+Tab")
        await row(page, "devbox").locator(".oc-row-main").focus()
        await press(page, "/")
        await page.keyboard.type("pi.loc")
        await page.getByText("1 of 6 connections").waitFor()
        await press(page, "ArrowDown")
        await press(page, "Delete")
        await page.getByRole("alertdialog", { name: "Remove Raspberry Pi?" }).waitFor()
        await press(page, "Escape")
        await page.getByRole("alertdialog").waitFor({ state: "detached" })
        // Back where it was.
        await eventually(page, "document.activeElement.closest('[data-id=pi]') !== null")
        await press(page, "e")
        await page.getByRole("dialog", { name: "Edit Raspberry Pi" }).waitFor()
        await press(page, "Escape")
        await page.getByRole("dialog").waitFor({ state: "detached" })
        assert.deepStrictEqual(await calls(page, "retryNow"), [{ id: "office" }])
        assert.deepStrictEqual(await calls(page, "open"), [{ id: "devbox" }])
      }))

    it.effect("understands what a person pastes, or explains why not", () =>
      inWindow(async (page) => {
        await fill(page)
        await page.getByRole("button", { name: "Add connection" }).click()
        const input = page.getByRole("combobox")
        await input.fill("ssh -A -L 1:a:2 me@box")
        await page.getByText("The app never forwards your agent to the remote machine").waitFor()
        await page.getByText("The app makes the forward to OpenCode itself").waitFor()
        assert.strictEqual(await input.getAttribute("aria-invalid"), "true")
        assert.isTrue(await page.getByRole("button", { name: "Continue" }).isDisabled())
        await input.fill("ssh -F /tmp/evil box")
        await page.getByText("can’t be chosen from this window").waitFor()
        await input.fill("ssh -p 2222 -J bastion -i ~/.ssh/work me@box")
        await page.getByRole("option", { name: "Use me@box:2222" }).waitFor()
        await page.getByRole("button", { name: "Continue" }).click()
        const value = (label: string) => page.getByLabel(label, { exact: true }).inputValue()
        assert.deepStrictEqual(
          await Promise.all(
            ["Host", "User (optional)", "ssh port (optional)", "Identity file (optional)", "Jump host (optional)"].map(
              value
            )
          ),
          ["box", "me", "2222", "~/.ssh/work", "bastion"]
        )
        const port = page.getByLabel("ssh port (optional)")
        await port.fill("99999")
        assert.strictEqual(await port.getAttribute("aria-invalid"), "true")
        const error = page.locator(`[id="${await port.getAttribute("aria-describedby")}"]`)
        assert.strictEqual(await error.innerText(), "A port from 1 to 65535")
        // Saving leads back to it.
        await page.getByLabel("Name", { exact: true }).focus()
        await page.getByRole("button", { name: "Save", exact: true }).click()
        await eventually(page, "document.activeElement.value === '99999'")
        assert.deepStrictEqual(await calls(page, "addProfile"), [])
        await port.fill("22")
        await world(page, "fail", "addProfile", {
          _tag: "ConfigurationError",
          reason: { _tag: "ProfileStoreUnwritable", path: "/data", detail: "No space left on device" }
        })
        await page.getByRole("button", { name: "Save", exact: true }).click()
        await page.getByRole("alert").getByText("No space left on device").waitFor()
        assert.strictEqual(await port.inputValue(), "22")
      }))

    it.effect("asks ssh for the effective parameters once the typing has stopped", () =>
      inWindow(async (page) => {
        await fill(page)
        await page.getByRole("button", { name: "Add connection" }).click()
        await page.getByRole("combobox").fill("box")
        await page.getByText("dev@box.example.com:22").waitFor()
        await press(page, "Enter")
        await page.getByText("dev@box.example.com:22").waitFor()
        const before = (await calls(page, "effective")).length
        await page.getByLabel("User (optional)").pressSequentially("somebody")
        await page.getByText("somebody@box.example.com:22").waitFor()
        const asked = await calls(page, "effective")
        assert.deepStrictEqual(asked.at(-1), { host: "box", user: "somebody" })
        assert.isBelow(asked.length - before, "somebody".length)
        await world(page, "fail", "effective", {
          _tag: "ConfigurationError",
          reason: {
            _tag: "SshConfigInvalid",
            file: "/home/ada/.ssh/config",
            configLine: 3,
            detail: "Bad configuration option: prot"
          }
        })
        await page.getByLabel("User (optional)").fill("else")
        await page.locator(".oc-effective").getByText("Bad configuration option: prot").waitFor()
      }))

    it.effect("tests a draft step by step, and can be stopped", () =>
      inWindow(async (page) => {
        await runTest(page, "failed")
        await page.getByText("The login works").waitFor()
        assert.strictEqual(await page.locator(".oc-test[data-status=ok]").count(), 6)
        await page.getByText("ssh-add", { exact: false }).first().waitFor()
        await world(page, "endExamination")
        await page.getByRole("status").getByText("This would not work yet.").waitFor()
        await page.getByRole("button", { name: "Test again" }).click()
        await page.locator(".oc-test[data-status=running]").waitFor()
        for (const step of Scenes.examination("ok")) await world(page, "step", step)
        await world(page, "endExamination")
        await page.getByText("All well").waitFor()
        await page.getByRole("button", { name: "Test again" }).click()
        await page.getByRole("button", { name: "Stop", exact: true }).click()
        await page.getByText("The test ended before its last step.").waitFor()
        const drafts = await calls(page, "examineDraft")
        assert.strictEqual(drafts.length, 3)
        assert.deepStrictEqual(drafts[0], {
          name: "gpu-07",
          host: "gpu-07",
          bootstrap: { enabled: true, lifetime: "persistent" }
        })
      }))

    it.effect("has for every failure what happened, where, and what to do", () =>
      inWindow(async (page) => {
        await fill(page)
        await select(page, "archive")
        let index = 0
        for (const [tag, reasons] of Object.entries(classes)) {
          for (const reason of Object.values(reasons).flat()) {
            const error = { _tag: tag, reason: { ...reason, _tag: reason._tag } }
            // Each with a text of its own, so that the panel of the one before is not taken for it.
            await world(page, "state", "archive", {
              _tag: "Connecting",
              step: "starting",
              since: Scenes.since(index++)
            })
            await page.locator(".oc-failure").waitFor({ state: "detached" })
            await world(page, "state", "archive", { _tag: "Failed", error: JSON.parse(JSON.stringify(error)) })
            const panel = page.locator(".oc-failure")
            await panel.waitFor()
            const danger = reason._tag === "HostKeyChanged" || reason._tag === "HostKeyRevoked"
            const shown = await panel.evaluate((element) => ({
              what: element.querySelector(".oc-failure-what")?.textContent,
              text: element.textContent ?? "",
              commands: [...element.querySelectorAll(".oc-command-text")].map((code) => code.textContent),
              buttons: [...element.querySelectorAll("button")].map((button) => button.textContent),
              danger: element.getAttribute("data-danger"),
              broken: document.querySelectorAll(".oc-path-node:is([data-status=broken], [data-link=broken])").length
            }))
            const { command, text } = reason.remedy
            assert.strictEqual(shown.what, reason.message)
            assert.include(shown.text, text)
            assert.deepStrictEqual(shown.commands, command === undefined ? [] : [command])
            assert.strictEqual(shown.broken, 1, reason._tag)
            assert.strictEqual(shown.danger, String(danger))
            if (danger) assert.deepStrictEqual(shown.buttons, [])
            else assert.include(shown.buttons, "Try again")
          }
        }
        assert.isAbove(index, 50)
        await page.locator(".oc-failure > .oc-fold > summary").click()
        await page.locator(".oc-failure").getByText("CompatibilityError / UnparsableVersion").waitFor()
      }), 120_000)

    it.effect("copies the command of a remedy", () =>
      inWindow(async (page) => {
        await fill(page)
        await select(page, "archive")
        await page.getByRole("button", { name: "Copy: Command for a terminal" }).click()
        await page.getByText("Copied").waitFor()
        assert.deepStrictEqual(await world(page, "copied"), [
          "ssh -S none -o StrictHostKeyChecking=ask archive.example true"
        ])
      }))

    it.effect("shows the remote server with its log as it grows, and stops it when asked twice", () =>
      inWindow(async (page) => {
        await fill(page)
        await world(page, "server", Scenes.server())
        await select(page, "staging")
        assert.strictEqual(await page.getByText("Remote server").count(), 0)
        await select(page, "devbox")
        assert.deepStrictEqual(await calls(page, "serverStatus"), [])
        await page.getByText("Remote server").click()
        await page.getByText("81234").waitFor()
        await page.getByText("The log is empty.").waitFor()
        await world(page, "log", ["first line"])
        await page.getByRole("log").getByText("first line").waitFor()
        await world(page, "log", Array.from({ length: 2000 }, (_, index) => `line ${index}`))
        await page.getByRole("log").getByText("line 1999").waitFor()
        assert.strictEqual(await page.locator(".oc-log-line").count(), 1000)
        assert.isTrue(
          await page.getByRole("log").evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight < 2)
        )
        await page.getByRole("button", { name: "Stop server…" }).click()
        await page.getByRole("alertdialog").getByRole("button", { name: "Stop server" }).click()
        await page.getByText("No server is registered there.").waitFor()
        assert.deepStrictEqual(await calls(page, "serverStop"), [{ id: "devbox" }])
        // Not connected: a look would be a login that nobody asked for.
        await select(page, "archive")
        await page.getByText("Remote server").click()
        await page.getByText("looking there logs in once").waitFor()
        assert.deepStrictEqual(await calls(page, "serverStatus"), [{ id: "devbox" }])
      }))

    it.effect("warns of a server without a password", () =>
      inWindow(async (page) => {
        await fill(page)
        await select(page, "devbox")
        assert.strictEqual(await page.getByText("This server has no password").count(), 0)
        await world(page, "state", "devbox", Scenes.connected({ secured: false }))
        await page.getByText("This server has no password").waitFor()
      }))

    it.effect("says why the address is another one than before", () =>
      inWindow(async (page) => {
        await fill(page)
        await select(page, "devbox")
        await world(page, "state", "devbox", Scenes.connected({ movedFrom: 40_001 }))
        await page.getByText("Another program holds the local port 40001").waitFor()
      }))

    it.effect("shows hostile texts as texts", () =>
      inWindow(async (page) => {
        const evil = `<img src=x onerror="globalThis.hacked=1"><script>globalThis.hacked=1</script>&amp;\u202e"'`
        await world(page, "profiles", [{
          id: "evil",
          name: evil,
          host: "evil",
          bootstrap: { enabled: true, lifetime: "persistent" }
        }], [
          { name: evil, message: evil }
        ])
        await world(page, "states", [["evil", Scenes.connected({ serverVersion: evil })]])
        await world(page, "server", { ...Scenes.server(), version: evil, logFile: evil, startedAt: evil })
        await world(page, "report", evil)
        await page.getByText("Remote server").click()
        await world(page, "log", [evil])
        await page.getByRole("log").getByText(evil).waitFor()
        assert.strictEqual(await page.locator(".oc-facts").getByText(evil, { exact: true }).count(), 4)
        await menu(page, "Copy Diagnostics…")
        await page.locator(".oc-report").getByText(evil).waitFor()
        await press(page, "Escape")
        await world(page, "state", "evil", { _tag: "Reconnecting", attempt: 1, nextAt: evil, error: Scenes.lost })
        await page.locator(".oc-notice").getByText(evil).waitFor()
        const error = Scenes.transport({ _tag: "Unclassified", target: { host: evil, options: [evil] }, stderr: evil })
        await world(page, "state", "evil", { _tag: "Failed", error })
        await page.locator(".oc-failure-what").getByText(evil).waitFor()
        await page.locator(".oc-failure > .oc-fold > summary").click()
        assert.strictEqual(await page.evaluate("globalThis.hacked"), undefined)
        assert.strictEqual(await page.locator("#window img, #window script").count(), 0)
      }))

    it.effect("tells when a connection is lost and when it is back, in the page and to the host", () =>
      inWindow(async (page) => {
        await fill(page)
        await world(page, "state", "devbox", {
          _tag: "Reconnecting",
          attempt: 1,
          nextAt: Scenes.until(1),
          error: Scenes.lost
        })
        await page.locator(".oc-notice").getByText("Connection to devbox lost").waitFor()
        await world(page, "state", "devbox", Scenes.connected())
        await page.locator(".oc-notice").getByText("devbox is connected again").waitFor()
        assert.deepStrictEqual((await world(page, "told") as ReadonlyArray<{ kind: string }>).map(({ kind }) => kind), [
          "lost",
          "back"
        ])
        await page.locator(".oc-notice").first().getByRole("button", { name: "Close" }).click()
        await eventually(page, "document.querySelectorAll('.oc-notice').length === 1")
      }))

    it.effect("says when the application is gone, and goes on when it is back", () =>
      inWindow(async (page) => {
        await fill(page)
        await select(page, "devbox")
        await world(page, "link", false)
        await page.getByRole("alert").getByText("is gone").waitFor()
        assert.isTrue(await page.getByRole("button", { name: "Disconnect", exact: true }).isDisabled())
        await world(page, "link", true)
        await page.getByText("is gone").waitFor({ state: "detached" })
        await world(page, "state", "devbox", { _tag: "Disconnected" })
        await page.locator(".oc-status [data-state=Disconnected]").waitFor()
        await page.getByRole("button", { name: "Connect", exact: true }).click()
        await page.locator(".oc-status [data-state=Connecting]").waitFor()
      }))

    it.effect("is fluid with 200 profiles: a state touches its own row only", () =>
      inWindow(async (page) => {
        await world(page, "profiles", Scenes.manyProfiles(200))
        await row(page, "box-199").waitFor({ state: "attached" })
        assert.strictEqual(await page.locator(".oc-row").count(), 200)
        const touched = await page.evaluate(async (states) => {
          const rows = new Set<string>()
          let made = 0
          const observer = new MutationObserver((records) => {
            for (const { addedNodes, target } of records) {
              const element = target instanceof Element ? target : target.parentElement
              const id = element?.closest(".oc-row")?.getAttribute("data-id")
              if (id !== null && id !== undefined) rows.add(id)
              made += [...addedNodes].filter((node) => node instanceof HTMLElement && node.matches(".oc-row")).length
            }
          })
          observer.observe(document.querySelector(".oc-rows")!, {
            subtree: true,
            childList: true,
            attributes: true,
            characterData: true
          })
          const settled = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))
          globalThis.world.state("box-7", states.connected)
          while (document.querySelector("[data-id=box-7] [data-state=Connected]") === null) await settled()
          const one = [...rows]
          // All at once.
          const started = performance.now()
          for (let index = 0; index < 200; index++) globalThis.world.state(`box-${index}`, states.connecting)
          while (document.querySelectorAll(".oc-row [data-state=Connecting]").length < 200) await settled()
          return { one, made, all: performance.now() - started }
        }, {
          connected: Scenes.connected(),
          connecting: { _tag: "Connecting", step: "connecting", since: Scenes.since(1) }
        })
        assert.deepStrictEqual(touched.one, ["box-7"])
        assert.strictEqual(touched.made, 0)
        // 200 changes in one go take some 50 ms on an idle machine.
        assert.isBelow(touched.all, 2000)
        // A saved profile makes one row anew, not two hundred.
        const [first, ...others] = Scenes.manyProfiles(200)
        await row(page, "box-100").evaluate((element) => element.setAttribute("data-same", ""))
        await world(page, "profiles", [{ ...first, name: "renamed" }, ...others])
        await row(page, "box-0").getByText("renamed").waitFor()
        assert.strictEqual(await page.locator("[data-same]").count(), 1)
        await page.getByLabel("Filter connections").fill("box 17")
        await page.getByText("12 of 200 connections").waitFor()
        assert.strictEqual(await page.locator(".oc-row").count(), 12)
      }))

    it.effect("is there within a second", () =>
      inWindow(async (page) => {
        const firstPaint = async () => {
          await page.reload()
          return page.evaluate(() =>
            new Promise<number>((resolve) =>
              new PerformanceObserver((list) => {
                const entry = list.getEntriesByName("first-contentful-paint")[0]
                if (entry !== undefined) resolve(entry.startTime)
              }).observe({ type: "paint", buffered: true })
            )
          )
        }
        // The best of some: what else this machine does is not the window's time.
        let best = Infinity
        for (let visits = 0; visits < 20 && best >= 1000; visits++) best = Math.min(best, await firstPaint())
        assert.isBelow(best, 1000)
      }))
  })
})
