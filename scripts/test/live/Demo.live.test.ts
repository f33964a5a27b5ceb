import { assert, describe, it } from "@effect/vitest"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, Schedule } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"

const root = Path.dirname(Path.dirname(Path.dirname(import.meta.dirname)))

/** One run takes 5 s on an idle machine. */
const limit = 40_000

/** The demo in an environment of its own: everything that it leaves would be found in `directory`. */
const world = Effect.gen(function*() {
  const directory = yield* TempDirectory.make()
  const proxy = `http://127.0.0.1:${yield* Port.hold()}`
  const env = {
    TMPDIR: directory,
    XDG_RUNTIME_DIR: directory,
    HTTP_PROXY: proxy,
    http_proxy: proxy,
    NODE_USE_ENV_PROXY: "1",
    OPENCODE_SERVER_PASSWORD: "the password of another server"
  }
  const words = (args: ReadonlyArray<string>) => [Path.join(root, "scripts", "run.mjs"), "demo", ...args]
  const assertClean = Effect.gen(function*() {
    assert.deepStrictEqual(Fs.readdirSync(directory), [])
    assert.deepStrictEqual(yield* ProcessTable.find({ directory }), [])
  })
  return {
    directory,
    start: (args: ReadonlyArray<string>, more: Record<string, string> = {}) =>
      Process.spawn(process.execPath, words(args), { cwd: root, env: { ...env, ...more }, killAfter: 10_000 }),
    run: (args: ReadonlyArray<string>, more: Record<string, string> = {}) =>
      Process.run(process.execPath, words(args), { cwd: root, env: { ...env, ...more } }),
    assertClean
  }
})

const nothingLeft = "✓ Nothing is left on this computer: no process, no port, no temp file."

/** The states of its timeline, each once. */
const states = (stdout: string): ReadonlyArray<string> =>
  [...stdout.matchAll(/^ +\d+ ms {2}([A-Z][a-z]+)/gm)].map(([, state = ""]) => state)
    .filter((state, index, all) => state !== all[index - 1])

/** An ssh that does `extra` (shell) before the real one takes over. */
const sshThat = (directory: string, extra: string): string => {
  const file = Path.join(directory, "ssh")
  Fs.writeFileSync(file, `#!/bin/sh\n${extra}\nexec ssh "$@"\n`, { mode: 0o755 })
  return file
}

describe.skipIf(!Sshd.available || !Opencode.available)("the demo", () => {
  it.live("--once shows the main job from profile to web app, and cleans up", () =>
    Effect.gen(function*() {
      const { assertClean, start } = yield* world
      const begun = performance.now()
      const demo = yield* start(["--once"])
      yield* demo.endInput
      yield* demo.stdout.waitFor("Demo:")
      assert.isBelow(performance.now() - begun, 2_000)
      const ended = yield* demo.exit
      yield* demo.stdout.ended
      const text = yield* demo.stdout.text
      assert.deepStrictEqual(ended, { code: 0, signal: undefined }, text + (yield* demo.stderr.text))
      assert.deepStrictEqual(states(text), [
        "Connecting",
        "Discovering",
        "Bootstrapping",
        "Discovering",
        "Connected",
        "Disconnecting",
        "Disconnected"
      ])
      assert.match(text, /^ {2}URL {6}http:\/\/127\.0\.0\.1:\d+$/m)
      assert.match(text, /^ {2}server {3}OpenCode 1\.\d+\.\d+, with a password$/m)
      assert.match(text, /^ {2}health {3}200 \{"healthy":true,.* {2}\d+ ms$/m)
      assert.match(text, /^ {2}web app {2}200 "OpenCode", [\d.]+ KiB {2}\d+ ms$/m)
      assert.match(text, /Stopping it: process \d+ ended/)
      assert.strictEqual(text.trimEnd().split("\n").at(-1), nothingLeft)
      assert.notInclude(text, "\u001b")
      yield* assertClean
    }), limit)

  it.live("stays until a signal; meanwhile a browser and another terminal get in", () =>
    Effect.gen(function*() {
      const { assertClean, start } = yield* world
      const tools = yield* TempDirectory.make()
      const browser = Path.join(tools, "browser")
      const visited = Path.join(tools, "visited")
      const script = `#!/bin/sh\necho "$1 $$" >"$0.new" && mv "$0.new" ${visited} && exec sleep 1235\n`
      Fs.writeFileSync(browser, script, { mode: 0o755 })
      const demo = yield* start([], { BROWSER: browser })
      yield* demo.stdout.waitFor("Ctrl-C")
      yield* demo.write("o\n")
      yield* demo.stdout.waitFor("Opened in your browser.")
      const [link = "", pid] = Fs.readFileSync(visited, "utf8").trim().split(" ")
      yield* Effect.addFinalizer(() => Effect.sync(() => process.kill(Number(pid))))
      const door = yield* Effect.promise(() => fetch(link, { redirect: "manual" }))
      const location = new URL(door.headers.get("location") ?? "")
      assert.strictEqual(location.username, "opencode")
      yield* demo.stdout.waitFor("A browser has signed in.")

      const terminal = (yield* demo.stdout.waitFor("Or from another terminal")).split(": ")[1] ?? ""
      const other = yield* Process.run("sh", ["-c", terminal.replace("--open", "--once")], { cwd: root })
      assert.strictEqual(other.code, 0, other.stderr)
      assert.include(other.stderr, "started earlier")

      // A closing terminal tells everybody, and each passes it on.
      yield* demo.kill("SIGHUP")
      yield* demo.kill("SIGHUP", "group")
      assert.deepStrictEqual(yield* demo.exit, { code: 0, signal: undefined })
      yield* demo.stdout.ended
      const text = yield* demo.stdout.text
      assert.strictEqual(text.trimEnd().split("\n").at(-1), nothingLeft)
      assert.notInclude(text + (yield* demo.stderr.text), location.password)
      // The browser is the user's from then on.
      assert.isTrue(process.kill(Number(pid), 0))
      yield* assertClean
    }), limit)

  it.live("ends cleanly in the middle of connecting", () =>
    Effect.gen(function*() {
      const { assertClean, directory, start } = yield* world
      const tools = yield* TempDirectory.make()
      const ssh = sshThat(tools, "case \" $* \" in *\" -M \"*) echo reached >&2; exec sleep 1000 ;; esac")
      const demo = yield* start(["--once"], { OPENCODE_SSH_BINARY: ssh })
      yield* demo.stdout.waitFor(/^$/)
      yield* demo.kill("SIGTERM")
      assert.strictEqual((yield* demo.exit).code, 143)
      yield* demo.stdout.ended
      assert.include(yield* demo.stdout.text, nothingLeft)
      assert.isTrue(Fs.existsSync(directory))
      yield* assertClean
    }), limit)

  it.live("says what was left, and fails for that more than for anything else", () =>
    Effect.gen(function*() {
      const { assertClean, run } = yield* world
      const tools = yield* TempDirectory.make()
      const ssh = sshThat(tools, "case \" $* \" in *\" -M \"*) setsid sleep 1234 >/dev/null 2>&1 & ;; esac")
      const words = ["-F", "none", "-p", String(yield* Port.free), "127.0.0.1"]
      const demo = yield* run(words, { OPENCODE_SSH_BINARY: ssh })
      assert.deepStrictEqual(states(demo.stdout), ["Connecting", "Failed"])
      assert.match(demo.stdout, /✗ Left on this computer, and removed now:\n {2}process \d+: sleep 1234\n$/)
      assert.strictEqual(demo.code, 1)
      yield* assertClean
    }), limit)

  it.live("on a user's own host it starts nothing without leave, and nothing that stays", () =>
    Effect.gen(function*() {
      const { assertClean, run } = yield* world
      const sshd = yield* Sshd.make()
      yield* Opencode.install(sshd.home)
      const client = yield* SshClient.make({ hosts: { box: sshd } })
      const port = yield* Port.free
      const words = ["--once", "-F", client.configFile, "box", "--remote-port", String(port)]

      const refused = yield* run(words)
      assert.strictEqual(refused.code, 12, refused.stderr)
      assert.deepStrictEqual(states(refused.stdout), ["Connecting", "Discovering", "Failed"])
      assert.include(refused.stdout, "error: ")
      assert.include(refused.stdout, nothingLeft)

      const allowed = yield* run([...words, "--bootstrap"])
      assert.strictEqual(allowed.code, 0, allowed.stdout + allowed.stderr)
      assert.include(allowed.stdout, "just started")
      assert.include(allowed.stdout, nothingLeft)
      // Its server ends with the connection, a moment after it.
      yield* Port.isListening(port).pipe(
        Effect.repeat({ until: (listening) => !listening, schedule: Schedule.spaced("20 millis") })
      )
      const there = yield* sshd.processes
      assert.isTrue(there.every(({ command }) => !command.includes("opencode serve")))
      yield* assertClean
    }), 2 * limit)
})
