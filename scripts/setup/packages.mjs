/**
 * Gets the exact packages and runtimes of bun.lock. Runs on Node >= 20 and on Bun, before anything is installed.
 */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { fail, say } from "./say.mjs"

/** The oldest system Node that runs TypeScript sources and undici, for platforms without a Node from npm. */
const oldestNode = [22, 19]

const atLeast = (version, [major, minor]) => {
  const [foundMajor = 0, foundMinor = 0] = version.replace(/^v/, "").split(".").map(Number)
  return foundMajor > major || (foundMajor === major && foundMinor >= minor)
}

const versionOf = (program) => {
  const { status, stdout } = spawnSync(program, ["--version"], { encoding: "utf8" })
  return status === 0 ? stdout.trim() : undefined
}

/** The first program of this name on a PATH, `except` in the directories given. */
export const which = (name, path = process.env.PATH ?? "", except = []) =>
  path.split(delimiter).filter((directory) => directory !== "" && !except.includes(directory)).map((directory) =>
    join(directory, name)
  ).find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })

const run = (command, args, root) => {
  const { error, status } = spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] })
  return error === undefined && status === 0
}

/** Installs with the Bun at hand, else with npx's: `--frozen-lockfile`, so exactly what bun.lock says. */
const install = (root, version, bin) => {
  const frozen = ["install", "--frozen-lockfile"]
  const bun = [
    process.versions.bun === undefined ? undefined : process.execPath,
    which("bun", bin),
    which("bun")
  ].find((candidate) => candidate !== undefined && atLeast(versionOf(candidate) ?? "", [1, 3]))
  if (bun !== undefined && run(bun, frozen, root)) return
  if (which("npx") !== undefined && run("npx", ["-y", `bun@${version}`, ...frozen], root)) return
  fail(
    "the packages could not be installed",
    `Is the npm registry reachable? This must work here: npx -y bun@${version} install --frozen-lockfile`
  )
}

/** The directory that must be first on PATH for `node` to be recent enough, or undefined when there is none. */
const findNode = (bin) => {
  const own = which("node", bin)
  // It may be there and not run: it is linked against glibc.
  if (own !== undefined && versionOf(own) !== undefined) return own
  const system = which("node", process.env.PATH, [bin])
  if (system !== undefined && atLeast(versionOf(system) ?? "", oldestNode)) return system
  return fail(
    `there is no Node from npm for ${process.platform}-${process.arch}, and the system's is missing or too old`,
    `Install Node >= ${oldestNode.join(".")}, better 24.`
  )
}

/**
 * Makes sure that node_modules holds what bun.lock says; costs some milliseconds when it does. Returns the
 * environment (PATH with the exact runtimes first) and the Node to run things with.
 */
export const ensurePackages = (root) => {
  const bin = join(root, "node_modules", ".bin")
  const stampFile = join(root, "node_modules", ".opencode-ssh-setup.json")
  const lock = createHash("sha256").update(readFileSync(join(root, "bun.lock"))).digest("hex")
  const stamp = (() => {
    try {
      return JSON.parse(readFileSync(stampFile, "utf8"))
    } catch {
      return {}
    }
  })()
  let node = stamp.node
  if (stamp.lock !== lock || node === undefined || !existsSync(node) || !existsSync(join(bin, "bun"))) {
    const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
    say("installing the exact packages of bun.lock")
    rmSync(stampFile, { force: true })
    install(root, devDependencies.bun, bin)
    node = findNode(bin)
    writeFileSync(stampFile, `${JSON.stringify({ lock, node })}\n`)
  }
  return { node, env: { ...process.env, PATH: [bin, process.env.PATH ?? ""].join(delimiter) } }
}
