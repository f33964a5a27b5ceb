import { assert, describe, it } from "@effect/vitest"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Context, Effect, Fiber, Option } from "effect"
import { Connections } from "../../src/Connections.ts"
import { Door } from "../../src/Door.ts"
import * as Chromium from "./support/Chromium.ts"
import * as Workstation from "./support/Workstation.ts"

describe.skipIf(!Sshd.available || !Opencode.available || !Chromium.available)("the door", () => {
  it.live("a browser that comes through it gets the whole web app, and its events", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make()
      yield* Opencode.install(sshd.home)
      const client = yield* SshClient.make({ hosts: { box: sshd } })
      const workstation = yield* Workstation.make()
      const box = yield* workstation.profile({
        host: "box",
        sshConfig: client.configFile,
        remotePort: yield* Port.free,
        bootstrap: { enabled: true, lifetime: "persistent" }
      })
      const { url } = yield* box.connected
      const endpoint = Option.getOrThrow(yield* Context.get(workstation.services, Connections).endpoint(box.id))
      const door = yield* Context.get(workstation.services, Door).open(endpoint)
      const closed = yield* Effect.forkChild(door.closed)
      const visit = yield* Chromium.visit(door.url)
      for (const pathname of ["/global/event", "/project", "/provider"]) {
        yield* visit.awaitAnswer((answer) => new URL(answer.url).pathname === pathname)
      }
      yield* Effect.promise(() => visit.page.getByText("Settings").first().waitFor())
      assert.strictEqual(yield* Fiber.join(closed), "used")

      const [ticket, ...answers] = visit.answers()
      assert.strictEqual(ticket?.status, 302)
      assert.isAtLeast(answers.length, 12)
      const bad = answers.filter((answer) => answer.status !== 200 || new URL(answer.url).host !== new URL(url).host)
      assert.deepStrictEqual(bad, [])
      assert.deepStrictEqual(visit.failures(), [])
      const events = answers.find((answer) => new URL(answer.url).pathname === "/global/event")
      assert.strictEqual(events?.contentType, "text/event-stream")
      // What the page, or whoever looks at the screen, sees of the address.
      const address = String(yield* Effect.promise(() => visit.page.evaluate("location.href")))
      assert.strictEqual(new URL(address).password, "")
    }), 120_000)
})
