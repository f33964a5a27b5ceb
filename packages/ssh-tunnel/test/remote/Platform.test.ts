import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { vi } from "vitest"
import * as Machine from "./Machine.ts"

// Each test waits for dozens of processes, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

/** A directory with these programs only, as the whole PATH of a machine. */
const programs = (machine: Machine.Machine, names: ReadonlyArray<string>): string => {
  const directory = Path.join(machine.home, "programs")
  Fs.mkdirSync(directory)
  for (const name of names) {
    const path = ChildProcess.spawnSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).stdout.trim()
    if (path !== "") Fs.symlinkSync(path, Path.join(directory, name))
  }
  return directory
}

/**
 * Runs the script where these programs are all there is: `/usr/bin` and `/bin`
 * are on the script's own PATH, so they are covered by an empty directory in a
 * mount namespace.
 */
const without = (machine: Machine.Machine, hidden: ReadonlyArray<string>): Machine.Shell => {
  const empty = Path.join(machine.home, "empty")
  Fs.writeFileSync(empty, "", { mode: 0o644 })
  const commands = hidden.flatMap((name) => {
    const path = ChildProcess.spawnSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).stdout.trim()
    return path === "" ? [] : [`mount --bind "$EMPTY" "$(readlink -f ${path})"`]
  })
  return ["unshare", "-m", "sh", "-c", `EMPTY='${empty}'; ${["set -e", ...commands, "exec dash -s"].join("; ")}`, "sh"]
}

const root = process.getuid?.() === 0

const wholeLife = (
  machine: Machine.Machine,
  shell: Machine.Shell,
  options: { readonly proc?: string; readonly env?: Record<string, string> } = {}
) =>
  Effect.gen(function*() {
    // Without setsid the server is in the session's process group, which the fixture ends with the session.
    const session = yield* machine.start(shell, options)
    const first = yield* session.outcome
    assert.strictEqual(first.result?.server?.origin, "started", first.stdout + first.stderr)
    const again = yield* machine.run(shell, { ...options, nonce: "feedface00" })
    assert.strictEqual(again.result?.server?.pid, first.result?.server?.pid, again.stdout + again.stderr)
    const stop = yield* machine.run(shell, { ...options, action: "stop" })
    assert.strictEqual(stop.result?.stopped?.pid, first.result?.server?.pid, stop.stdout + stop.stderr)
    assert.isFalse(Machine.lives(first.result?.server?.pid ?? 0))
  })

describe.each(Machine.shells)("a system without /proc, in %s", (_, shell) => {
  const proc = "/nonexistent"

  it.live("starts, finds and stops a server by ps", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      yield* wholeLife(machine, shell, { proc })
    }))

  it.live("tells a busy port", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const stranger = yield* FakeServer.tcp(() => {})
      const { error } = (yield* machine.run(shell, { proc, port: stranger.port })).result ?? {}
      assert.deepStrictEqual(error, { _tag: "PortInUse", port: stranger.port })
    }))

  it.live("does not take another process for the server", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      yield* machine.run(shell, { proc })
      const registration = JSON.parse(Fs.readFileSync(machine.registration, "utf8"))
      assert.match(registration.startTime, /^[A-Z][a-z]{2}_[A-Z][a-z]{2}_\d/)
      for (const wrong of [{ startTime: "Thu_Jan_1_00:00:00_1970" }, { pid: process.pid }]) {
        Fs.writeFileSync(machine.registration, JSON.stringify({ ...registration, ...wrong }, null, 2))
        assert.isNull((yield* machine.run(shell, { proc, action: "look" })).result?.server)
      }
    }))
})

describe("a system", () => {
  it.live.skipIf(!root)("without setsid starts, finds and stops a server", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      yield* wholeLife(machine, without(machine, ["setsid"]))
    }))

  it.live.skipIf(!root)("without setsid and perl does, too", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      yield* wholeLife(machine, without(machine, ["setsid", "perl"]))
    }))

  it.live.skipIf(!root)("without ss, netstat, curl, wget, ps and pgrep does, too", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      yield* wholeLife(machine, without(machine, ["ss", "netstat", "curl", "wget", "ps", "pgrep"]))
    }))

  it.live.skipIf(!root)("without a tool that POSIX has is told", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const { result, stderr } = yield* machine.run(without(machine, ["awk"]))
      assert.deepStrictEqual(result?.error, { _tag: "UnsupportedRemote", detail: "it has no awk" }, stderr)
    }))

  it.live.skipIf(!Machine.available("busybox"))(
    "of busybox alone starts, finds and stops a server",
    () =>
      Effect.gen(function*() {
        const machine = yield* Machine.make()
        const directory = Path.join(machine.home, "applets")
        Fs.mkdirSync(directory)
        const applets = ChildProcess.execFileSync("busybox", ["--list"], { encoding: "utf8" }).trim().split("\n")
        const busybox = ChildProcess.execFileSync("sh", ["-c", "command -v busybox"], { encoding: "utf8" }).trim()
        for (const applet of applets) Fs.symlinkSync(busybox, Path.join(directory, applet))
        const env = { PATH: directory, SHELL: Path.join(directory, "ash") }
        const run = (action: "ensure" | "look" | "stop") => machine.run([busybox, "sh"], { action, env })
        const first = yield* run("ensure")
        assert.strictEqual(first.result?.server?.origin, "started", first.stdout + first.stderr)
        assert.strictEqual((yield* run("look")).result?.server?.pid, first.result?.server?.pid)
        assert.isOk((yield* run("stop")).result?.stopped)
      })
  )

  for (const awk of ["mawk", "gawk", "original-awk"]) {
    it.live.skipIf(!Machine.has(awk))(
      `whose awk is ${awk} starts, finds and stops a server`,
      () =>
        Effect.gen(function*() {
          const machine = yield* Machine.make({ name: "it's \"quoted\" \\ ü" })
          const directory = programs(machine, [awk])
          Fs.renameSync(Path.join(directory, awk), Path.join(directory, "awk"))
          yield* wholeLife(machine, ["dash"], { env: { PATH: `${directory}:/usr/bin:/bin` } })
          machine.behave({ serve: "exit", serveCode: 3, serveError: "ö\t\"q\"\\ \u001b[31mred\u001b[0m \u0001\n2" })
          const { error } = (yield* machine.run(["dash"], { env: { PATH: `${directory}:/usr/bin:/bin` } })).result ?? {}
          assert.deepInclude(error, { _tag: "ServerExited", exitCode: 3, log: "ö\t\"q\"\\ red \u0001\n2" })
        })
    )
  }

  it.live.skipIf(!Machine.available("mksh"))(
    "whose printf is a program shows it no secret",
    () =>
      Effect.gen(function*() {
        const machine = yield* Machine.make()
        const directory = programs(machine, [])
        const seen = Path.join(machine.home, "seen")
        Fs.writeFileSync(
          Path.join(directory, "printf"),
          `#!/bin/sh\nprintf '%s\\n' "$@" >>'${seen}'\nexec /usr/bin/printf "$@"\n`,
          { mode: 0o755 }
        )
        const env = { PATH: `${directory}:/usr/bin:/bin` }
        const actions = ["ensure", "ensure", "look", "stop"] as const
        for (const [index, action] of actions.entries()) {
          const { result, stderr, stdout } = yield* machine.run(["mksh"], { action, env, nonce: `feedface0${index}` })
          assert.isOk(result?.server ?? result?.stopped, stdout + stderr)
          if (action !== "stop") assert.strictEqual(result?.server?.password, "pass_word-123")
        }
        // It was used, and never with the password.
        assert.isAbove(Fs.statSync(seen).size, 1_000)
        assert.notInclude(Fs.readFileSync(seen, "utf8"), "pass_word-123")
      })
  )

  it.live("of Windows is told", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const directory = programs(machine, [])
      Fs.writeFileSync(Path.join(directory, "uname"), "#!/bin/sh\necho MINGW64_NT-10.0\n", { mode: 0o755 })
      const { result } = yield* machine.run(["dash"], { env: { PATH: `${directory}:/usr/bin:/bin` } })
      assert.strictEqual(result?.error?._tag, "UnsupportedRemote")
    }))

  it.live.skipIf(!root)(
    "without /tmp that may execute, or with one that is not ours, does not matter",
    () =>
      Effect.gen(function*() {
        const machine = yield* Machine.make()
        const shell: Machine.Shell = [
          "unshare",
          "-m",
          "sh",
          "-c",
          "mkdir -p \"$HOME/t\"; mount -t tmpfs -o ro,noexec tmpfs /var/tmp; exec dash -s",
          "sh"
        ]
        yield* wholeLife(machine, shell)
      })
  )
})

describe("a home shared by two hosts", () => {
  it.live("has one server per host, and each host stops its own", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      // Another host has another name; its processes cannot be seen from here.
      const host = (name: string) => {
        const directory = Path.join(machine.home, `on-${name}`)
        Fs.mkdirSync(directory)
        Fs.writeFileSync(
          Path.join(directory, "uname"),
          `#!/bin/sh\nif [ "$1" = -n ]; then echo ${name}; else exec /usr/bin/uname "$@"; fi\n`,
          { mode: 0o755 }
        )
        return { PATH: `${directory}:/usr/bin:/bin` }
      }
      const [one, two] = [host("one"), host("two")]
      const run = (
        env: { readonly PATH: string },
        action: "ensure" | "look" | "stop" | "status",
        nonce = "feedface01"
      ) => Effect.map(machine.run(["dash"], { action, env, nonce }), ({ result }) => result)
      // Both at once, and nothing there before.
      const [first, second] = yield* Effect.all([run(one, "ensure", "aaaaaaaa01"), run(two, "ensure", "bbbbbbbb01")], {
        concurrency: "unbounded"
      })
      const [a, b] = [first?.server, second?.server]
      assert.strictEqual(a?.origin, "started")
      assert.strictEqual(b?.origin, "started")
      assert.notStrictEqual(a?.pid, b?.pid)
      assert.notStrictEqual(a?.registration, b?.registration)
      assert.notStrictEqual(a?.logFile, b?.logFile)
      assert.strictEqual((yield* run(one, "ensure"))?.server?.pid, a?.pid)
      assert.strictEqual((yield* run(two, "look"))?.server?.pid, b?.pid)
      assert.strictEqual((yield* run(two, "stop"))?.stopped?.pid, b?.pid)
      assert.isTrue(Machine.lives(a?.pid ?? 0))
      assert.strictEqual((yield* run(one, "status"))?.server?.pid, a?.pid)
      assert.strictEqual((yield* run(one, "stop"))?.stopped?.pid, a?.pid)
    }))
})
