import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Effect, FileSystem, type Scope } from "effect"
import * as Path from "node:path"
import { version } from "../../src/Version.ts"
import { jsonLines } from "../harness.ts"

/** What a person runs in a checkout; makes the bundle when a source is newer. */
const program = Path.join(import.meta.dirname, "..", "..", "..", "..", "bin", "opencode-ssh")

const password = "s3cret pass"

beforeAll(() => Effect.runPromise(Process.output(program, ["--version"])), 60_000)

/** A remote machine with a server that wants a password, and the command line beside it. */
const makeWorld = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped()
  const sshd = yield* Sshd.make()
  const client = yield* SshClient.make({ hosts: { box: sshd } })
  const server = yield* FakeServer.http(FakeServer.guarded("opencode", password, FakeServer.v1("1.18.33")))
  const options = {
    env: { OPENCODE_SSH_DATA_DIR: directory, OPENCODE_SERVER_PASSWORD: password, NO_COLOR: "1", TERM: "xterm" }
  }
  const target = ["connect", "box", "-F", client.configFile, "--remote-port", String(server.port)]
  return {
    fs,
    directory,
    sshd,
    target,
    start: (...args: ReadonlyArray<string>) => Process.spawn(program, [...target, ...args], options),
    run: (...args: ReadonlyArray<string>) => Process.run(program, args, options),
    sh: (script: string) => Process.run("sh", ["-c", script, program, ...target], options),
    /** On a terminal of its own. `exec`: a shell in between (whichever `SHELL` names) would take Ctrl-C for itself. */
    onTerminal: (line: string) => Process.spawn("script", ["-qec", `exec ${line}`, "/dev/null"], options)
  }
})

const live = <A, E>(test: Effect.Effect<A, E, FileSystem.FileSystem | Scope.Scope>) =>
  Effect.provide(test, NodeFileSystem.layer)

const states = (stdout: string) =>
  jsonLines(stdout.trimEnd().split("\n")).map((line) => line.type === "state" ? line.state._tag : line.type)

it.live("--version is what the command tree says, too", () =>
  Effect.gen(function*() {
    const fast = yield* Process.run(program, ["--version"])
    const full = yield* Process.run(program, ["--log-level", "warn", "--version"])
    assert.strictEqual(fast.stdout, `opencode-ssh ${version}\n`)
    assert.deepStrictEqual(full, fast)
  }))

describe.skipIf(!Sshd.available)("opencode-ssh connect", () => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    it.live(`holds the connection until ${signal}, and then ends cleanly`, () =>
      live(Effect.gen(function*() {
        const { sshd, start } = yield* makeWorld
        const child = yield* start("--json")
        const line = yield* child.stdout.waitFor("\"Connected\"")
        const { url } = JSON.parse(line).state
        const authorization = `Basic ${Buffer.from(`opencode:${password}`).toString("base64")}`
        const health = yield* Effect.tryPromise(() => fetch(`${url}/global/health`, { headers: { authorization } }))
        assert.strictEqual(health.status, 200)
        yield* child.kill(signal)
        assert.deepStrictEqual(yield* child.exit, { code: 0, signal: undefined })
        yield* child.stdout.ended
        const text = yield* child.stdout.text
        assert.deepStrictEqual(states(text).slice(-3), ["Connected", "Disconnecting", "Disconnected"])
        assert.strictEqual(states(text)[0], "Connecting")
        assert.strictEqual(yield* child.stderr.text, "")
        assert.notInclude(text, password)
        assert.isFalse(yield* Port.isListening(Number(new URL(url).port)))
        assert.strictEqual(yield* sshd.authentications, 1)
      })))
  }

  it.live("--once ends as soon as it is connected; the next time it has the same URL", () =>
    live(Effect.gen(function*() {
      const { run, target } = yield* makeWorld
      const first = yield* run(...target, "--once")
      assert.strictEqual(first.code, 0, first.stderr)
      assert.match(first.stdout, /^http:\/\/127\.0\.0\.1:\d+\n$/)
      const second = yield* run(...target, "--once")
      assert.strictEqual(second.stdout, first.stdout)
    })))

  it.live("a reader that goes away is a quit", () =>
    live(Effect.gen(function*() {
      const { sh } = yield* makeWorld
      const { stderr, stdout } = yield* sh(`{ "$0" "$@" --json; echo "code $?" >&2; } | head -n 1`)
      assert.deepStrictEqual(states(stdout), ["Connecting"])
      assert.strictEqual(stderr, "code 0\n")
    })))

  it.live("-- CMD gets the server, and its exit code is ours", () =>
    live(Effect.gen(function*() {
      const { directory, fs, run, target } = yield* makeWorld
      const file = `${directory}/credentials.json`
      const script = `
        const headers = { authorization: "Basic " + btoa(process.env.OPENCODE_SERVER_USERNAME + ":" + process.env.OPENCODE_SERVER_PASSWORD) }
        const answer = await fetch(process.env.OPENCODE_SERVER_URL + "/global/health", { headers })
        const { mode } = (await import("node:fs")).statSync(${JSON.stringify(file)})
        console.log(answer.status, (await answer.json()).version, (mode & 0o777).toString(8))
        process.exitCode = 42`
      const { code, stderr, stdout } = yield* run(
        ...target,
        "--credentials-file",
        file,
        "--",
        process.execPath,
        "--input-type=module",
        "--eval",
        script
      )
      assert.strictEqual(stdout, "200 1.18.33 600\n", stderr)
      assert.strictEqual(code, 42)
      assert.isFalse(yield* fs.exists(file))
    })))

  it.live("--open hands the door to the browser, which is signed in by it; nobody else sees it", () =>
    live(Effect.gen(function*() {
      const { directory, fs, sh } = yield* makeWorld
      const browser = `${directory}/browser`
      const visit = `
        import { renameSync, writeFileSync } from "node:fs"
        const [, , door] = process.argv
        const answer = await fetch(door, { redirect: "manual" })
        writeFileSync("${directory}/new", door + " " + answer.headers.get("location"))
        renameSync("${directory}/new", "${directory}/visited")`
      yield* fs.writeFileString(`${directory}/visit.mjs`, visit)
      yield* fs.writeFileString(browser, `#!/bin/sh\nexec ${process.execPath} ${directory}/visit.mjs "$1"\n`, {
        mode: 0o755
      })
      const { stderr, stdout } = yield* sh(
        `BROWSER=${browser} "$0" "$@" --open & until test -e ${directory}/visited; do sleep 0.05; done; kill $!; wait $!; echo "code $?"`
      )
      const [door, location] = (yield* fs.readFileString(`${directory}/visited`)).split(" ")
      const url = new URL(location ?? "")
      assert.strictEqual(decodeURIComponent(`${url.username}:${url.password}`), `opencode:${password}`)
      assert.strictEqual(stdout, `http://${url.host}\ncode 0\n`)
      assert.notInclude(stderr + stdout, new URL(door ?? "").pathname)
      assert.notInclude(stderr + stdout, "pass")
    })))

  it.live("a wrong password is told with its class", () =>
    live(Effect.gen(function*() {
      const { sh } = yield* makeWorld
      const { code, stdout } = yield* sh(`OPENCODE_SERVER_PASSWORD=wrong exec "$0" "$@" --json`)
      assert.strictEqual(code, 12)
      const shown = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "").state
      assert.deepStrictEqual([shown._tag, shown.error.reason._tag], ["Failed", "Unauthorized"])
    })))

  describe.skipIf(process.platform !== "linux")("on a terminal", () => {
    it.live("shows the states as they happen, and Ctrl-C disconnects", () =>
      live(Effect.gen(function*() {
        const { onTerminal, target } = yield* makeWorld
        const child = yield* onTerminal(`${program} ${target.join(" ")}`)
        yield* child.stdout.waitFor("Ctrl-C disconnects.")
        yield* child.write("\u0003")
        assert.deepStrictEqual(yield* child.exit, { code: 0, signal: undefined })
        const text = yield* child.stdout.text
        assert.match(text, /⠋ Connecting to box {2}0\.0 s/)
        assert.match(text, /✓ Connecting to box {2}\d\.\d s\r\n/)
        assert.match(text, /✓ Connected to box: OpenCode 1\.18\.33 on remote port \d+ {2}\d\.\d s\r\nhttp:\/\/127/)
        assert.match(text, /Disconnected\r\n$/)
        assert.notMatch(text, /\u001b\[\d*m/)
      })))

    it.live("Ctrl-C reaches a command once", () =>
      live(Effect.gen(function*() {
        const { directory, fs, onTerminal, target } = yield* makeWorld
        const command =
          `n=0; trap "n=\\$((n+1))" INT; echo ready; while [ $n = 0 ]; do sleep 0.05; done; sleep 0.3; echo "count $n"; exit 6`
        yield* fs.writeFileString(`${directory}/command`, command)
        const child = yield* onTerminal(`${program} ${target.join(" ")} -- sh ${directory}/command`)
        yield* child.stdout.waitFor("ready")
        yield* child.write("\u0003")
        assert.deepStrictEqual(yield* child.exit, { code: 6, signal: undefined })
        assert.include(yield* child.stdout.text, "count 1\r\n")
      })))
  })
})
