/**
 * Programs of the system that the demo and the live tests need. As root on Debian and Ubuntu they are got by apt,
 * without starting or enabling any service; elsewhere the one command is said.
 */
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { which } from "./packages.mjs"
import { say } from "./say.mjs"

const systemDirectories = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/sbin"]

/**
 * What can be asked for: the names a program may have, and its package by package manager. `ssh-keygen` comes with
 * the client everywhere.
 */
const programs = {
  ssh: {
    names: ["ssh"],
    packages: { apt: "openssh-client", dnf: "openssh-clients", pacman: "openssh", apk: "openssh" }
  },
  sshd: {
    names: ["sshd"],
    packages: { apt: "openssh-server", dnf: "openssh-server", pacman: "openssh", apk: "openssh-server" }
  },
  shellcheck: {
    names: ["shellcheck"],
    packages: { apt: "shellcheck", dnf: "ShellCheck", pacman: "shellcheck", apk: "shellcheck", brew: "shellcheck" }
  },
  bash: { names: ["bash"], packages: { apt: "bash", dnf: "bash", pacman: "bash", apk: "bash", brew: "bash" } },
  dash: { names: ["dash"], packages: { apt: "dash", dnf: "dash", pacman: "dash", apk: "dash", brew: "dash" } },
  zsh: { names: ["zsh"], packages: { apt: "zsh", dnf: "zsh", pacman: "zsh", apk: "zsh", brew: "zsh" } },
  fish: { names: ["fish"], packages: { apt: "fish", dnf: "fish", pacman: "fish", apk: "fish", brew: "fish" } },
  tcsh: { names: ["tcsh"], packages: { apt: "tcsh", dnf: "tcsh", pacman: "tcsh", apk: "tcsh", brew: "tcsh" } },
  // The remote script is tested with each of these shells and tools.
  busybox: { names: ["busybox"], packages: { apt: "busybox", dnf: "busybox", pacman: "busybox", apk: "busybox" } },
  mksh: { names: ["mksh"], packages: { apt: "mksh", dnf: "mksh", pacman: "mksh", apk: "mksh", brew: "mksh" } },
  ksh: { names: ["ksh"], packages: { apt: "ksh", dnf: "ksh", pacman: "ksh", apk: "loksh", brew: "ksh93" } },
  mawk: { names: ["mawk"], packages: { apt: "mawk", dnf: "mawk", apk: "mawk", brew: "mawk" } },
  gawk: { names: ["gawk"], packages: { apt: "gawk", dnf: "gawk", pacman: "gawk", apk: "gawk", brew: "gawk" } },
  "original-awk": { names: ["original-awk"], packages: { apt: "original-awk" } },
  // Network namespaces.
  ip: { names: ["ip"], packages: { apt: "iproute2", dnf: "iproute", pacman: "iproute2", apk: "iproute2" } },
  chromium: {
    names: ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
    packages: { apt: "chromium", dnf: "chromium", pacman: "chromium", apk: "chromium", brew: "--cask chromium" }
  }
}

/** How each package manager installs. */
const installers = {
  apt: "apt-get install -y --no-install-recommends",
  dnf: "dnf install -y",
  pacman: "pacman -S --noconfirm",
  apk: "apk add",
  brew: "brew install"
}

const has = (name) =>
  programs[name].names.some((program) => which(program, `${process.env.PATH ?? ""}:${systemDirectories.join(":")}`))

const manager = () =>
  [["apt", "apt-get"], ["dnf", "dnf"], ["pacman", "pacman"], ["apk", "apk"], ["brew", "brew"]]
    .find(([, program]) => which(program) !== undefined)?.[0]

const isRoot = () => process.getuid?.() === 0

/** The one command that installs these programs here, or undefined when this system is not known. */
export const commandFor = (missing) => {
  const name = manager()
  if (name === undefined) return undefined
  const packages = [...new Set(missing.map((program) => programs[program].packages[name]).filter(Boolean))]
  if (packages.length === 0) return undefined
  return `${name === "brew" || isRoot() ? "" : "sudo "}${installers[name]} ${packages.join(" ")}`
}

const policyFile = "/usr/sbin/policy-rc.d"
const savedPolicyFile = "/usr/sbin/policy-rc.d.before-opencode-ssh"
const policy = "#!/bin/sh\n# Temporary: opencode-ssh installs packages whose services must not be started.\nexit 101\n"

/** Runs `install` while Debian's own switch forbids to start any service, and puts the switch back afterwards. */
const withoutStartingServices = (install) => {
  // What an interrupted run left is the truth about before.
  if (existsSync(policyFile) && !existsSync(savedPolicyFile) && readFileSync(policyFile, "utf8") !== policy) {
    renameSync(policyFile, savedPolicyFile)
  }
  const restore = () => {
    if (existsSync(savedPolicyFile)) renameSync(savedPolicyFile, policyFile)
    else rmSync(policyFile, { force: true })
  }
  // Ctrl-C ends apt, then this goes on to the finally.
  const ignore = () => {}
  process.on("SIGINT", ignore).on("SIGTERM", ignore)
  try {
    writeFileSync(policyFile, policy, { mode: 0o755 })
    return install()
  } finally {
    restore()
    process.off("SIGINT", ignore).off("SIGTERM", ignore)
  }
}

/** A package's installation enables its services for the next boot: takes that back. */
const disableServices = (names) => {
  for (const name of names) {
    const quiet = { stdio: "ignore" }
    if (which("systemctl") !== undefined) {
      spawnSync("systemctl", ["--no-reload", "disable", `${name}.service`, `${name}.socket`], quiet)
    } else {
      spawnSync("deb-systemd-helper", ["disable", `${name}.service`], quiet)
      spawnSync("deb-systemd-helper", ["disable", `${name}.socket`], quiet)
    }
    spawnSync("update-rc.d", [name, "disable"], quiet)
  }
}

const apt = (args) =>
  spawnSync("apt-get", args, {
    stdio: ["ignore", "ignore", "inherit"],
    // Quiet: what matters is whether the program is there afterwards.
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  }).status === 0

const installByApt = (missing) => {
  const packages = [...new Set(missing.map((program) => programs[program].packages.apt))]
  say(`installing ${packages.join(", ")} (no service is started or enabled)`)
  return withoutStartingServices(() => {
    const install = (names) => apt(["-qq", "install", "-y", "--no-install-recommends", ...names])
    // A fresh machine has no package lists, or old ones; and one unknown package makes apt refuse them all.
    if (!install(packages)) {
      apt(["-qq", "update"])
      if (!install(packages)) packages.forEach((name) => install([name]))
    }
    if (missing.includes("sshd")) disableServices(["ssh"])
  })
}

/** Makes sure of these programs, as far as that can be done without asking; returns those that are still missing. */
export const ensurePrograms = (wanted) => {
  const missing = wanted.filter((name) => !has(name))
  if (missing.length === 0) return []
  if (isRoot() && manager() === "apt") installByApt(missing)
  return missing.filter((name) => !has(name))
}
