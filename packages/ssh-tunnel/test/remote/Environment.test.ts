import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { vi } from "vitest"
import * as Machine from "./Machine.ts"

// Each test waits for dozens of processes, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 })

const dash: Machine.Shell = ["dash"]
const bash: Machine.Shell = ["bash", "--posix"]

const which = (command: string): string =>
  ChildProcess.spawnSync("sh", ["-c", `command -v ${command}`], { encoding: "utf8" }).stdout.trim()

const write = (machine: Machine.Machine, files: Readonly<Record<string, string>>) => {
  for (const [name, text] of Object.entries(files)) {
    Fs.mkdirSync(Path.dirname(Path.join(machine.home, name)), { recursive: true })
    Fs.writeFileSync(Path.join(machine.home, name), text)
  }
}

/** Only a start-up file of the login shell knows this directory, so a server can be found through it alone. */
const hidden = "only here/bin"

const started = (outcome: Machine.Outcome): Machine.Server => {
  const server = outcome.result?.server
  assert.isOk(server, outcome.stdout + outcome.stderr)
  assert.strictEqual(server.origin, "started")
  return server
}

const sh = "PATH=\"$HOME/only here/bin:$PATH\"; SEEN=yes; export PATH SEEN\n"
const csh = "setenv PATH \"${HOME}/only here/bin:${PATH}\"\nsetenv SEEN yes\n"
const fish = "set -x PATH \"$HOME/only here/bin\" $PATH\nset -x SEEN yes\n"

describe.concurrent("the server's environment", () => {
  it.live.each([
    { shell: "bash", file: ".profile", text: sh },
    {
      shell: "bash",
      file: ".bash_profile",
      text: ". ~/.bashrc\n",
      more: { ".bashrc": `case $- in *i*) ;; *) return ;; esac\n${sh}` }
    },
    { shell: "zsh", file: ".zprofile", text: sh },
    { shell: "zsh", file: ".zshrc", text: sh },
    { shell: "dash", file: ".profile", text: sh },
    { shell: "mksh", file: ".profile", text: sh },
    { shell: "fish", file: ".config/fish/config.fish", text: fish },
    { shell: "tcsh", file: ".login", text: csh },
    { shell: "tcsh", file: ".tcshrc", text: csh }
  ])("is that of $shell with $file", ({ file, more, shell, text }) =>
    Effect.gen(function*() {
      if (!Machine.available(shell)) return
      const machine = yield* Machine.make({ bin: hidden, login: which(shell) })
      write(machine, { [file]: text, ...more })
      started(yield* machine.run(dash))
      const { cwd, env } = machine.served()
      assert.strictEqual(env["SEEN"], "yes")
      assert.strictEqual(cwd, machine.home)
      assert.strictEqual(env["OPENCODE_SERVER_PASSWORD"], "pass_word-123")
      // Nothing of ours but the credentials.
      for (const name of Object.keys(env)) assert.notMatch(name, /^(oc[sl]_|OPENCODE_SSH_(?!LAB))/)
    }))

  it.live.each([{ name: "dash", shell: dash }, { name: "bash", shell: bash }])(
    "keeps values with newlines, quotes and bytes that are no text, in $name",
    ({ shell }) =>
      Effect.gen(function*() {
        const machine = yield* Machine.make()
        write(machine, {
          ".profile":
            "LINES3=\"one\ntwo'\\\"\\$(touch $HOME/pwned)\n\"; BYTES=$(printf 'a\\377\\001b'); UID_COPY=$UID\n" +
            "export LINES3 BYTES UID ocl_port=1 ocs_action=stop IFS=x EMPTY=\nexport OPENCODE_SERVER_USERNAME=mallory\n" +
            "umask 027\nexport LC_ALL=C.UTF-8\nreadonly READ=only; export READ\n"
        })
        const server = started(yield* machine.run(shell))
        const { env, umask } = machine.served()
        assert.strictEqual(env["LINES3"], `one\ntwo'"$(touch ${machine.home}/pwned)\n`)
        assert.strictEqual(env["EMPTY"], "")
        assert.strictEqual(env["READ"], "only")
        assert.strictEqual(env["LC_ALL"], "C.UTF-8")
        assert.strictEqual(env["OPENCODE_SERVER_USERNAME"], "opencode")
        assert.strictEqual(umask, 0o027)
        assert.isFalse(Fs.existsSync(Path.join(machine.home, "pwned")))
        const bytes = Fs.readFileSync(`/proc/${server.pid}/environ`, "latin1").split("\0")
        assert.include(bytes, "BYTES=a\xff\x01b")
      })
  )

  it.live("keeps the umask and the locale of the session when no start-up file sets them", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make({ env: { LC_ALL: "C.UTF-8" } })
      started(yield* machine.run(["sh", "-c", "umask 022; exec dash -s", "sh"]))
      const { env, umask } = machine.served()
      assert.strictEqual(umask, 0o022)
      assert.strictEqual(env["LC_ALL"], "C.UTF-8")
      const without = yield* Machine.make()
      started(yield* without.run(dash))
      assert.isUndefined(without.served().env["LC_ALL"])
    }))
})

describe.concurrent("start-up files that", () => {
  const marker = Machine.nonce.replace("0", "1")
  it.live.each([{ name: "dash", shell: dash }, { name: "bash", shell: bash }])(
    "print, in $name: the answer is read all the same",
    ({ shell }) =>
      Effect.gen(function*() {
        const machine = yield* Machine.make()
        write(machine, {
          ".profile":
            `printf '${marker} result {"server":null}\\nno newline'; echo error >&2; yes | head -c 100000\n${sh}`
        })
        // As an rc file of the session's own shell would, in front of everything.
        const outcome = yield* machine.run([
          "sh",
          "-c",
          "printf 'Welcome {\"error\":1} '; exec \"$0\" \"$@\"",
          ...shell
        ])
        assert.include(outcome.stdout, "Welcome")
        started(outcome)
      })
  )

  it.live("replace the shell by another one: that one's environment counts", () =>
    Effect.gen(function*() {
      if (!Machine.available("zsh")) return
      const machine = yield* Machine.make({ bin: hidden })
      write(machine, { ".bash_profile": "exec zsh\n", ".zshrc": sh })
      started(yield* machine.run(dash))
      assert.strictEqual(machine.served().env["SEEN"], "yes")
    }))

  it.live.each([
    { what: "end the shell", text: "exit 3\n" },
    { what: "become another program", text: "exec true\n" },
    { what: "cannot be parsed", text: "if then fi ((\n" },
    { what: "swallow stdin", text: "cat >/dev/null; while read x; do :; done\n" },
    { what: "set everything", text: "set -euCfv -o noclobber; set -o pipefail; export SHELLOPTS\n" },
    { what: "change the directory and the path", text: "cd /; PATH=/nowhere; export PATH\n" }
  ])("$what: a server starts", ({ text }) =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      write(machine, { ".bash_profile": text })
      started(yield* machine.run(dash))
      assert.strictEqual(machine.served().cwd, machine.home)
    }))

  it.live("never end: they are given up, with all that they have started", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      write(machine, { ".bash_profile": "sleep 1001 & sleep 1002\n" })
      const server = started(yield* machine.run(dash, { shellSeconds: 1 }))
      const left = (yield* machine.processes).filter(({ command }) => command.includes("sleep 100"))
      assert.deepStrictEqual(left, [])
      assert.isTrue(Machine.lives(server.pid))
    }))

  it.live("leave something running: it neither holds the session nor is ended", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      write(machine, { ".bash_profile": `sleep 1003 &\n${sh}` })
      started(yield* machine.run(dash))
      assert.strictEqual(machine.served().env["SEEN"], "yes")
      const left = (yield* machine.processes).filter(({ command }) => command.includes("sleep 1003"))
      assert.strictEqual(left.length, 1)
    }))

  it.live("print without end do not fill the disk", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      write(machine, { ".bash_profile": "yes\n" })
      started(yield* machine.run(dash, { shellSeconds: 1 }))
      for (const name of Fs.readdirSync(machine.state)) {
        assert.isBelow(Fs.statSync(Path.join(machine.state, name)).size, 10_000)
      }
    }))
})

describe.concurrent("a session", () => {
  it.live.each(["", "/nonexistent", "/bin/false", "/etc/passwd"])(
    "whose SHELL is %j starts a server",
    (login) =>
      Effect.gen(function*() {
        const machine = yield* Machine.make({ login })
        started(yield* machine.run(dash))
      })
  )

  it.live("whose functions stand in for tools starts a server", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const function_ = "() { echo hacked; }"
      const names = ["sed", "cat", "rm", "mv", "ls", "date", "awk", "kill", "ln"]
      started(
        yield* machine.run(["bash"], {
          env: Object.fromEntries(names.map((name) => [`BASH_FUNC_${name}%%`, function_]))
        })
      )
    }))

  it.live("without HOME is told so", () =>
    Effect.gen(function*() {
      const machine = yield* Machine.make()
      const { error } = (yield* machine.run(dash, { env: { HOME: "" } })).result ?? {}
      assert.strictEqual(error?._tag, "UnsupportedRemote")
    }))
})
