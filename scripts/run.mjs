#!/usr/bin/env node
/**
 * Runs a task of this repository on a machine that has only git and Node >= 20 with npm (or only Bun): gets what is
 * missing, puts the exact runtimes first on PATH, then runs the task with its arguments, terminal and signals.
 *
 *   node scripts/run.mjs <task> [arguments of the task …]
 */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { constants } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { ensurePackages } from "./setup/packages.mjs"
import { fail, say } from "./setup/say.mjs"
import { commandFor, ensurePrograms } from "./setup/system.mjs"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const isCI = ["1", "true"].includes(process.env.CI ?? "")

/** What the live tests use beside sshd. CI has all of it; a person's machine only what does not change it. */
const testPrograms = (args) => [
  "ssh",
  "sshd",
  "shellcheck",
  "bash",
  "dash",
  "zsh",
  "fish",
  "tcsh",
  ...isCI ? ["busybox", "mksh", "ksh", "mawk", "gawk", "original-awk", "ip"] : [],
  ...isCI || args.includes("--chromium") ? ["chromium"] : []
]

/**
 * The tasks: the script (none: just set up), what it cannot do without, and what it can only skip things without. The demo with a host
 * of the user's own needs no sshd here.
 */
const tasks = {
  setup: {},
  demo: {
    script: "scripts/demo.ts",
    needs: (args) => args.some((arg) => !arg.startsWith("-")) ? ["ssh"] : ["ssh", "sshd"]
  },
  desktop: { script: "packages/desktop/src/host/main.ts", needs: () => ["ssh"] },
  bench: { script: "bench/run.ts", needs: () => ["ssh", "sshd"] },
  lab: { script: "scripts/lab.ts", needs: (args) => args.length === 0 ? [] : ["ssh", "sshd"] },
  test: { script: "scripts/test.ts", wants: testPrograms },
  bridge: { script: "scripts/test.ts", args: ["--bridge"], wants: () => ["ssh", "sshd"] },
  window: { script: "scripts/test.ts", args: ["--window"], needs: () => ["ssh", "sshd", "chromium"] },
  soak: { script: "scripts/soak.ts", wants: testPrograms },
  build: { script: "scripts/build.ts" },
  ci: { script: "scripts/test.ts", args: ["--everything"], wants: testPrograms }
}

const [name = "", ...args] = process.argv.slice(2)
const task = tasks[name]
if (task === undefined) {
  process.stderr.write(`usage: node scripts/run.mjs ${Object.keys(tasks).join("|")} [arguments …]\n`)
  process.exit(2)
}
const { env, node } = ensurePackages(root)
if (task.script === undefined) process.exit(0)
const script = join(root, task.script)
if (!existsSync(script)) fail(`${task.script} is missing in this checkout`)

const needed = task.needs?.(args) ?? []
const wanted = task.wants?.(args) ?? []
const missing = ensurePrograms([...needed, ...wanted])
if (missing.length > 0) {
  const command = commandFor(missing)
  const remedy = command === undefined ? "Install them with your system's package manager." : `Install: ${command}`
  if (isCI || missing.some((program) => needed.includes(program))) fail(`missing here: ${missing.join(", ")}`, remedy)
  say(`missing here, what needs it will be SKIPPED: ${missing.join(", ")}. ${remedy}`)
}

const child = spawn(node, [script, ...task.args ?? [], ...args], {
  cwd: root,
  stdio: "inherit",
  env: { ...env, OPENCODE_SSH_MISSING: missing.join(" ") }
})

/**
 * A terminal's Ctrl-C reaches every process of the foreground group, the task too: it must not get a second one from
 * here. Without a terminal a signal was sent to this process (npm, too, passes them on), and the task does not know.
 */
const hasTerminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY)
const lastPassed = {}
const pass = (signal) => {
  const now = performance.now()
  // A signal to the whole group comes once from the kernel and once more from npm.
  if (now - (lastPassed[signal] ?? -Infinity) < 300) return
  lastPassed[signal] = now
  child.kill(signal)
}
process.on("SIGINT", () => {
  if (!hasTerminal) pass("SIGINT")
})
process.on("SIGQUIT", () => {
  if (!hasTerminal) pass("SIGQUIT")
})
process.on("SIGHUP", () => pass("SIGHUP"))
process.on("SIGTERM", () => pass("SIGTERM"))
child.on("error", (error) => fail(`cannot start ${node}: ${error.message}`))
child.on("exit", (code, signal) => {
  process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0)
})
