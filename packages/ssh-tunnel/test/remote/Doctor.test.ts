import { assert, describe, it } from "@effect/vitest"
import * as Leftovers from "@opencode-ai/ssh-lab/Leftovers"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { afterAll, beforeAll, vi } from "vitest"
import * as Machine from "./Machine.ts"

// Each test waits for dozens of processes, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

let baseline: Leftovers.Baseline
beforeAll(async () => {
  baseline = await Effect.runPromise(Leftovers.begin)
})
afterAll(() => Effect.runPromise(Leftovers.check(baseline)))

const isRoot = process.getuid?.() === 0

/** A program as `opencode` below HOME. */
const install = (machine: Machine.Machine, directory: string, text: string, mode = 0o755): string => {
  const path = Path.join(machine.home, directory, "opencode")
  Fs.mkdirSync(Path.dirname(path), { recursive: true })
  Fs.writeFileSync(path, text, { mode })
  return path
}

/** Leaves traces where a real one would, and says its version. */
const tracing = (version: string) =>
  `#!/bin/sh\nmkdir -p "$HOME/.cache/opencode" "$XDG_DATA_HOME/opencode" "$XDG_STATE_HOME/x" "$TMPDIR/y"\necho ${version}\n`

/** Every file and directory below HOME. */
const tree = (machine: Machine.Machine): ReadonlyArray<string> =>
  Fs.readdirSync(machine.home, { recursive: true, encoding: "utf8" }).sort()

interface Facts {
  readonly account?: Readonly<Record<string, unknown>>
  readonly registered?: Machine.Result
  readonly listener?: string
  readonly login?: string
  readonly searched?: ReadonlyArray<string>
  readonly candidates?: ReadonlyArray<{
    readonly path: string
    readonly executable: boolean
    readonly version: string
    readonly generation: string
    readonly problem: string
    readonly detail: string
  }>
}

/** All that the script has found, as one object. */
const facts = ({ stdout }: Machine.Outcome): Facts =>
  Object.assign(
    {},
    ...stdout.split("\n").flatMap((line) => {
      const [word, kind, ...rest] = line.split(" ")
      return word === Machine.nonce && kind === "found" ? [JSON.parse(rest.join(" "))] : []
    })
  )

const examine = (
  machine: Machine.Machine,
  shell: Machine.Shell,
  options: Parameters<Machine.Machine["run"]>[1] = {}
) => machine.run(shell, { action: "doctor", port: 4096, ...options })

const shells = [...Machine.shells, ...Machine.moreShells.filter(([name]) => Machine.available(name))]

describe.concurrent.each(shells)("doctor in %s", (_, shell) => {
  it.live("tells the account and every candidate in the order of the search, and leaves no trace", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: false, name: "a home" })
      Fs.writeFileSync(Path.join(machine.home, ".profile"), "PATH=\"$HOME/first:$PATH\"\n")
      const first = install(machine, "first", tracing("1.18.33"))
      const second = install(machine, ".opencode/bin", tracing("\"opencode v2.0.1\""))
      const third = install(machine, ".local/bin", tracing("1.0.0"), 0o644)
      const before = tree(machine)
      const outcome = yield* examine(machine, shell)
      assert.deepStrictEqual(outcome.kinds, ["found", "found", "found", "found", "found", "result"], outcome.stderr)
      assert.deepStrictEqual(outcome.result as unknown, { examined: true })
      assert.strictEqual(outcome.code, 0)
      const { account, candidates, listener, login, registered, searched } = facts(outcome)
      assert.deepInclude(account, {
        shell: "/bin/bash",
        home: machine.home,
        state: machine.state,
        problem: "",
        path: Path.join(machine.home, ".local")
      })
      assert.isAbove(Number(account?.["free"]), 0)
      assert.match(String(account?.["system"]), /^\w+ \w+$/)
      assert.deepStrictEqual(registered, { server: null, state: "", ignored: [] })
      assert.include(["none", "own", "other"], listener)
      assert.strictEqual(login, "interactive")
      const fine = { executable: true, problem: "", detail: "" }
      assert.deepStrictEqual(candidates, [
        { path: first, version: "1.18.33", generation: "v1", ...fine },
        { path: second, version: "2.0.1", generation: "v2", ...fine },
        { path: third, executable: false, version: "", generation: "", problem: "mode", detail: "" }
      ])
      assert.strictEqual(searched?.[0], first)
      assert.deepStrictEqual(tree(machine), before)
    }))
})

describe.concurrent.each(Machine.shells)("doctor in %s", (_, shell) => {
  it.live("tells a registered server, and its password only when asked", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const server = (yield* machine.run(shell)).result?.server
      assert.isOk(server)
      const open = yield* examine(machine, shell, { port: server.port, nonce: Machine.nonce })
      const { password, ...known } = server
      assert.deepStrictEqual(facts(open).registered?.server, { ...known, origin: "reused" })
      assert.strictEqual(facts(open).listener, "own")
      assert.notInclude(open.stdout, "pass_word-123")
      const secret = yield* examine(machine, shell, { port: server.port, secret: true })
      assert.strictEqual(facts(secret).registered?.server?.password, password)
      assert.deepStrictEqual(machine.calls().filter((call) => call.startsWith("serve")).length, 1)
      yield* machine.run(shell, { action: "stop" })
    }))

  it.live("tells why a candidate does not run", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: false })
      // An ELF file for a machine that this one is not (s390x has the other byte order: never taken for ours).
      const other = process.arch === "arm64" ? 0x3e : 0xb7
      const elf = Buffer.alloc(64)
      elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0])
      elf.set([2, 0, other, 0], 16)
      const foreign = install(machine, ".opencode/bin", elf.toString("latin1"))
      Fs.writeFileSync(foreign, elf)
      const crashing = install(machine, ".local/bin", "#!/bin/sh\necho \"cannot \\\"start\\\"\" >&2; exit 3\n")
      const interpreter = install(machine, "bin", "#!/nonexistent/node\n")
      const { candidates } = facts(yield* examine(machine, shell))
      assert.deepStrictEqual(
        candidates?.map(({ path, problem }) => [path, problem]),
        [[foreign, "architecture"], [crashing, "crash"], [interpreter, "crash"]]
      )
      assert.match(candidates?.[0]?.detail ?? "", /^built for \w+, this machine is \w+/)
      assert.include(candidates?.[1]?.detail, "cannot \"start\"")
    }))

  it.live("ends a candidate that never answers, and removes what it left", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: false })
      const path = install(machine, ".opencode/bin", "#!/bin/sh\n: >\"$HOME/left\"; exec sleep 1000\n")
      const other = install(machine, ".local/bin", tracing("1.2.3"))
      const before = tree(machine)
      const { candidates } = facts(yield* examine(machine, shell, { seconds: 3 }))
      assert.deepStrictEqual(
        candidates?.map(({ path, problem, version }) => [path, problem, version]),
        [[path, "timeout", ""], [other, "", "1.2.3"]]
      )
      assert.deepStrictEqual(tree(machine), before)
      assert.deepStrictEqual((yield* machine.processes).map(({ command }) => command), [])
    }))

  it.live("ends what it has started when the session ends, and removes what that left", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: false })
      install(
        machine,
        ".opencode/bin",
        `#!/bin/sh\nmkdir "$HOME/x"; : >"${machine.home}/../begun"; exec sleep 1000\n`
      )
      const before = tree(machine)
      const begun = Path.join(machine.home, "..", "begun")
      const running = yield* machine.start(shell, { action: "doctor", port: 4096 })
      yield* Machine.eventually(() => Fs.existsSync(begun), "the candidate runs")
      yield* running.process.kill("SIGHUP")
      yield* running.outcome
      Fs.rmSync(begun)
      assert.deepStrictEqual(tree(machine), before)
      assert.deepStrictEqual((yield* machine.processes).map(({ command }) => command), [])
    }))

  it.live("tells that nothing can be kept: an unsafe directory, a HOME that is not there", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: false })
      Fs.mkdirSync(Path.dirname(machine.state), { recursive: true })
      Fs.symlinkSync("/tmp", machine.state)
      assert.deepInclude(facts(yield* examine(machine, shell)).account, { problem: "unsafe", path: machine.state })
      const nowhere = Path.join(machine.home, "nowhere")
      const { account, candidates } = facts(yield* examine(machine, shell, { env: { HOME: nowhere } }))
      assert.deepInclude(account, { problem: "missing", path: nowhere })
      assert.deepStrictEqual(candidates, [])
    }))

  it.live.skipIf(!isRoot)("tells a full disk and a read-only file system", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ fake: false })
      const within = (script: string): Machine.Shell => [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        `${script}; export TMPDIR=/tmp; exec "$@"`,
        "sh",
        ...shell
      ]
      const full = yield* examine(
        machine,
        within("mount -t tmpfs -o size=16k none \"$HOME\"; dd if=/dev/zero of=\"$HOME/x\" 2>/dev/null")
      )
      assert.deepInclude(facts(full).account, { problem: "full", free: 0 })
      const readOnly = yield* examine(machine, within("mount -t tmpfs -o ro none \"$HOME\""))
      assert.deepInclude(facts(readOnly).account, { problem: "read-only", path: machine.home })
      assert.isArray(facts(readOnly).candidates)
    }))
})
