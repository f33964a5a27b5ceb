import { assert, describe, it } from "@effect/vitest"
import * as Home from "@opencode-ai/ssh-lab/Home"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { layerPlatformWith } from "@opencode-ai/ssh-tunnel/node"
import { Effect, Exit, Scope } from "effect"
import * as Net from "node:net"
import * as Path from "node:path"
import type { Page } from "playwright-core"
import * as Desktop from "../../src/host/Desktop.ts"
import * as WindowFiles from "../../src/host/WindowFiles.ts"
import * as Chromium from "./support/Chromium.ts"

const status = (page: Page, state: string) => page.locator(`.oc-status [data-state=${state}]`).waitFor()
const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true })

/** Cuts every connection of a server of this process, as a network would: nobody says goodbye. */
const cutConnections = (port: number): void => {
  const { _getActiveHandles } = process as unknown as { readonly _getActiveHandles: () => ReadonlyArray<unknown> }
  for (const handle of _getActiveHandles.call(process)) {
    if (handle instanceof Net.Socket && handle.localPort === port) handle.destroy()
  }
}

describe.skipIf(!Sshd.available || !Opencode.available || !Chromium.available)("the window over a real bridge", () => {
  it.live(
    "add, test, connect with bootstrap, open, lose, come back, disconnect, stop the server, end",
    () =>
      Effect.gen(function*() {
        const sshd = yield* Sshd.make()
        yield* Opencode.install(sshd.home)
        const client = yield* SshClient.make({ hosts: { box: sshd } })
        const { dataDirectory, environment, home } = yield* Home.make(client)
        const runtime = { dataDirectory, platform: layerPlatformWith({ home, environment }) }
        const remotePort = yield* Port.free
        const directory = yield* TempDirectory.make()
        const [browser] = yield* Effect.all([Chromium.launch, WindowFiles.build(directory)], { concurrency: 2 })
        const host = yield* Scope.make()
        yield* Effect.addFinalizer(() => Scope.close(host, Exit.void))
        const { clients, origin, url } = yield* Desktop.serve({ directory, runtime }).pipe(Scope.provide(host))
        const { context, opened } = yield* Chromium.open(browser, url, {}, origin)
        const { complaints, page } = opened
        const use = (does: () => Promise<unknown>) => Effect.promise(does)

        yield* use(async () => {
          // The ticket is gone from the address, and the first visit was its last.
          assert.match(page.url(), /^http:\/\/127\.0\.0\.1:\d+\/w-[0-9a-f]+\/$/)
          await button(page, "Add connection").click()
          await page.getByRole("option", { name: "box" }).waitFor()
          await page.getByText(`@127.0.0.1:${sshd.port}`).waitFor()
          await page.keyboard.press("Enter")
          await page.getByLabel("Port on the host").fill(String(remotePort))
          await button(page, "Test").click()
          await page.getByText("All well").or(page.getByText("It will work")).waitFor()
          assert.strictEqual(await page.locator(".oc-test[data-status=pending]").count(), 0)
          await page.locator(".oc-test", { hasText: "The login works" }).and(page.locator("[data-status=ok]")).waitFor()
          await button(page, "Save & connect").click()
          await page.locator(".oc-status [data-tone=busy]").waitFor()
          // What is under way is not the page's: it goes on.
          await page.reload()
          await status(page, "Connected")
          await page.getByText("Started by this app").waitFor()
        })

        // The real web app of OpenCode, through the tunnel, signed in.
        yield* use(async () => {
          const answers: Array<number> = []
          context.on("response", (response) => answers.push(response.status()))
          const arriving = context.waitForEvent("page")
          await button(page, "Open in OpenCode").click()
          const app = await arriving
          await app.getByText("Settings").first().waitFor()
          assert.isFalse(answers.includes(401))
          // What the page, or whoever looks at the screen, sees of the address.
          assert.notInclude(String(await app.evaluate("location.href")), "@")
          assert.strictEqual(await app.evaluate("window.opener"), null)
          await app.close()
        })

        // The window loses its host for a moment, says so, and goes on by itself.
        yield* use(async () => {
          const said = page.evaluate(() =>
            new Promise<void>((resolve) => {
              const banner = document.querySelector(".oc-gone")
              const look = () => banner?.getAttribute("data-shown") === "true" && resolve()
              new MutationObserver(look).observe(banner ?? document, { attributes: true })
            })
          )
          await page.evaluate("0")
          cutConnections(Number(new URL(origin).port))
          await said
          await page.locator(".oc-gone[data-shown=false]").waitFor({ state: "attached" })
        })

        // A second tab sees the same, and both follow.
        const second = yield* use(() => context.newPage()) as Effect.Effect<Page>
        yield* use(async () => {
          second.setDefaultTimeout(Chromium.patience)
          await second.goto(page.url())
          await status(second, "Connected")
        })
        assert.strictEqual(yield* clients, 2)
        yield* sshd.stop
        yield* sshd.dropSessions
        yield* use(async () => {
          await Promise.all([status(page, "Reconnecting"), status(second, "Reconnecting")])
          await page.locator(".oc-notice").getByText("Connection to box lost").waitFor()
          await page.getByText("Retry now").waitFor()
        })
        yield* sshd.start
        yield* use(async () => {
          // It may be trying by itself just now.
          await page.evaluate(() => {
            const button = document.querySelector<HTMLElement>(".oc-main-button")
            if (button?.innerText === "Retry now") button.click()
          })
          await Promise.all([status(page, "Connected"), status(second, "Connected")])
          await page.locator(".oc-notice").getByText("box is connected again").waitFor()
          await page.getByText("Remote server").click()
          await page.locator(".oc-log-line").first().waitFor()
          await button(second, "Disconnect").click()
          await Promise.all([status(page, "Disconnected"), status(second, "Disconnected")])
          // Not connected: it is looked for over a connection of its own.
          await button(second, "Remote server").or(second.getByText("Remote server")).click()
          await button(second, "Look").click()
          await button(second, "Stop server…").click()
          await second.getByRole("alertdialog").getByRole("button", { name: "Stop server" }).click()
          await second.getByText("No server is registered there.").waitFor()
          assert.deepStrictEqual(complaints(), [])
        })

        yield* Scope.close(host, Exit.void)
        yield* use(() => page.getByRole("alert").getByText("is gone").waitFor())
      }),
    240_000
  )
})

describe("npm run desktop", () => {
  it.live("serves the window, and ends cleanly when it is asked to", () =>
    Effect.gen(function*() {
      const home = yield* TempDirectory.make()
      const main = Path.resolve(import.meta.dirname, "../../src/host/main.ts")
      const host = yield* Process.spawn(process.execPath, [main, "--no-open"], {
        env: { HOME: home, OPENCODE_SSH_DATA_DIR: Path.join(home, "data"), XDG_RUNTIME_DIR: home }
      })
      const line = yield* host.stdout.waitFor("The connections are at")
      const url = line.slice(line.indexOf("http"))
      const visit = (address: string, cookie = "") =>
        Effect.promise(() => fetch(address, { redirect: "manual", headers: { cookie } }))
      const first = yield* visit(url)
      assert.strictEqual(first.status, 303)
      const page = yield* visit(
        new URL(first.headers.get("location") ?? "", url).href,
        first.headers.get("set-cookie")?.split(";")[0]
      )
      assert.include(yield* Effect.promise(() => page.text()), "<title>Connections</title>")
      // The ticket is spent, and without the cookie there is nothing.
      assert.strictEqual((yield* visit(url)).status, 403)
      assert.strictEqual((yield* visit(page.url)).status, 403)
      yield* host.kill("SIGINT")
      assert.deepStrictEqual(yield* host.exit, { code: 0, signal: undefined })
      assert.isTrue(yield* Effect.promise(() => fetch(page.url).then(() => false, () => true)))
    }), 120_000)
})
