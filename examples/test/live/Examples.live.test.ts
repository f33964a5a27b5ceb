import { assert, describe, it } from "@effect/vitest"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"

const root = Path.dirname(Path.dirname(Path.dirname(import.meta.dirname)))
const example = (name: string) => Path.join(root, "examples", name)

const password = "a secret: ü"
const authorization = `Basic ${Buffer.from(`opencode:${password}`).toString("base64")}`

/** A machine behind sshd on which a real server with a password runs, and a user's ssh config that knows it as `box`. */
const machine = Effect.gen(function*() {
  const sshd = yield* Sshd.make()
  const client = yield* SshClient.make({ hosts: { box: sshd } })
  const server = yield* Opencode.serve({ port: yield* Port.free, password })
  // Whoever asks a proxy about 127.0.0.1 is told nothing, and has told it the password.
  const proxy = `http://127.0.0.1:${yield* Port.hold()}`
  const env = { OPENCODE_SERVER_PASSWORD: password, HTTP_PROXY: proxy, http_proxy: proxy, NO_PROXY: undefined }
  return { sshd, client, server, env }
})

describe.skipIf(!Sshd.available || !Opencode.available)("the examples", () => {
  it.live("open-tunnel.ts calls the server's API with the official SDK, on Bun", () =>
    Effect.gen(function*() {
      const { client, env, server, sshd } = yield* machine
      const created = yield* Effect.promise(() =>
        fetch(`${server.url}/session`, {
          method: "POST",
          headers: { authorization, "content-type": "application/json" },
          body: JSON.stringify({ title: "Fix the build" })
        })
      )
      assert.strictEqual(created.status, 200)
      const words = [example("open-tunnel.ts"), "-F", client.configFile, "box"]
      const result = yield* Process.run("bun", words, { env: { ...env, REMOTE_PORT: String(server.port) } })
      assert.strictEqual(result.stderr, "")
      assert.strictEqual(result.code, 0)
      assert.match(result.stdout, /^OpenCode 1\.\d+\.\d+ of box is at http:\/\/127\.0\.0\.1:\d+\n1 sessions in /)
      assert.include(result.stdout, "- Fix the build")
      assert.strictEqual(yield* sshd.authentications, 1)
    }))

  it.live("open-tunnel.ts says what went wrong and what helps", () =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make()
      const client = yield* SshClient.make({ hosts: { box: { sshd, known: false } } })
      const result = yield* Process.run("bun", [example("open-tunnel.ts"), "-F", client.configFile, "box"])
      assert.strictEqual(result.code, 1)
      assert.strictEqual(result.stdout, "")
      assert.include(result.stderr, "SHA256:")
      assert.notInclude(result.stderr, "    at ")
    }))

  it.live("electron-main.ts connects, and quits without leaving anything", () =>
    Effect.gen(function*() {
      const { client, env, server } = yield* machine
      const dataDirectory = yield* TempDirectory.make()
      const profile = {
        id: "box",
        name: "Box",
        host: "box",
        sshConfig: client.configFile,
        remotePort: server.port,
        bootstrap: { enabled: false, lifetime: "persistent" }
      }
      Fs.writeFileSync(
        Path.join(dataDirectory, "ssh-profiles.json"),
        JSON.stringify({ version: 1, profiles: [profile] })
      )
      const app = yield* Process.spawn("node", [example("electron-main.ts"), "box"], {
        env: { ...env, OPENCODE_SSH_DATA_DIR: dataDirectory }
      })
      const line = yield* app.stdout.waitFor("The window shows")
      const url = line.split(" ").at(-1) ?? ""
      const answer = yield* Effect.promise(() => fetch(`${url}/global/health`, { headers: { authorization } }))
      assert.strictEqual(answer.status, 200)
      yield* app.kill("SIGTERM")
      assert.deepStrictEqual(yield* app.exit, { code: 0, signal: undefined })
      assert.isFalse(yield* Port.isListening(Number(new URL(url).port)))
      const states = (yield* app.stdout.lines).filter((each) => each.startsWith("box: ")).map((each) => each.slice(5))
      const order = states.filter((state, index) => state !== states[index - 1])
      assert.deepStrictEqual(order.slice(0, 3), ["Connecting", "Discovering", "Connected"])
      assert.strictEqual(yield* app.stderr.text, "")
    }))
})
