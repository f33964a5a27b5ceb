/**
 * Accounts of a machine, each with its own login shell and start-up files, behind a real sshd. They are in a passwd
 * file that only this sshd sees (a mount of its own), so nothing is added to the machine that runs the tests. Root
 * only. `/tmp` and `/var/tmp` of that machine may not execute.
 */
import * as Namespace from "@opencode-ai/ssh-lab/Namespace"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

/** One account. */
export interface Account {
  /** Lower-case words joined by `-`, 20 letters at most. */
  readonly name: string
  readonly about: string
  /** A program on PATH; `busybox` is its `sh`. */
  readonly shell: string
  /** Files of HOME. */
  readonly files?: Readonly<Record<string, string>>
  /** Where opencode is, below HOME; default where its installer puts it. */
  readonly bin?: string
  /** HOME belongs to somebody else. */
  readonly foreignHome?: boolean
  /** PATH of its sessions; default sshd's. */
  readonly path?: string
  /** The real opencode instead of the stand-in. */
  readonly real?: boolean
  /** Seconds that bootstrap gets; default the product's own limit. */
  readonly patience?: number
  /** What bootstrap says: `started`, or the tag of the error's reason. */
  readonly expected: string
}

/** Where the homes are, over there. */
const there = "/mnt"

const fixture = fileURLToPath(new URL("../remote/fixtures/opencode-v1.mjs", import.meta.url))

/** The utilities of POSIX.1-2017 (Shell & Utilities), without those for developers, and without built-ins. */
const posix =
  ("awk basename cat chgrp chmod chown cksum cmp comm cp csplit cut date dd df diff dirname du echo env expand expr "
    + "false file find fold getconf grep head iconv id join kill ln locale logger logname ls mkdir mkfifo mv nice nl "
    + "nohup od paste pathchk pr printf ps pwd renice rm rmdir sed sh sleep sort split stty tail tee test time touch tr "
    + "true tsort tty uname unexpand uniq wc who xargs").split(" ")

const which = (program: string) =>
  Effect.map(
    Process.run("sh", ["-c", "command -v \"$1\"", "sh", program], { env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" } }),
    ({ stdout }) => stdout.trim()
  )

/** The path of a directory of links to POSIX's utilities, over there. */
export const posixPath = `${there}/posix`

/** The machine with these accounts. Its ssh config has a host for each, of the same name. */
export const make = Effect.fn("Accounts.make")(function*(accounts: ReadonlyArray<Account>) {
  const directory = yield* TempDirectory.make()
  const root = Path.join(directory, "machine")
  const put = (name: string, text: string, mode = 0o644) => {
    const file = Path.join(root, name)
    Fs.mkdirSync(Path.dirname(file), { recursive: true, mode: 0o755 })
    Fs.writeFileSync(file, text)
    Fs.chmodSync(file, mode)
  }
  put("bin/opencode-v1.mjs", Fs.readFileSync(fixture, "utf8"))
  put("bin/node", "")
  put("bin/opencode", "")
  Fs.symlinkSync(yield* which("busybox"), Path.join(root, "bin/ash"))
  Fs.mkdirSync(Path.join(root, "posix"))
  for (const program of posix) {
    const target = yield* which(program)
    if (target.startsWith("/")) Fs.symlinkSync(target, Path.join(root, "posix", program))
  }

  const lines: Array<string> = []
  for (const [index, account] of accounts.entries()) {
    const { bin = ".opencode/bin", files = {}, foreignHome = false, name, real = false } = account
    const uid = 61_000 + index
    const shell = account.shell === "busybox" ? `${there}/bin/ash` : yield* which(account.shell)
    lines.push(`${name}:*:${uid}:${uid}:${name}:${there}/${name}:${shell}`)
    for (const [file, text] of Object.entries(files)) put(`${name}/${file}`, text)
    if (real) {
      Fs.mkdirSync(Path.join(root, name, bin), { recursive: true })
      Fs.symlinkSync(`${there}/bin/opencode`, Path.join(root, name, bin, "opencode"))
    } else {
      const own = `${there}/${name}/${bin}`
      put(
        `${name}/${bin}/opencode`,
        `#!/bin/sh\nexec ${there}/bin/node ${there}/bin/opencode-v1.mjs "${own}" "$@"\n`,
        0o755
      )
      put(`${name}/${bin}/fake.json`, JSON.stringify({ version: "1.18.33" }))
    }
    yield* Process.output("chown", ["-Rh", `${uid}:${uid}`, Path.join(root, name)])
    if (foreignHome) Fs.chownSync(Path.join(root, name), 0, 0)
    Fs.chmodSync(Path.join(root, name), 0o755)
  }
  const passwd = Path.join(directory, "passwd")
  Fs.writeFileSync(passwd, `${Fs.readFileSync("/etc/passwd", "utf8").trimEnd()}\n${lines.join("\n")}\n`)
  const keys = Path.join(directory, "keys")
  Fs.mkdirSync(keys)

  const { HOME: _home, TMPDIR: _temporary, ...quiet } = Sshd.isolation("/nonexistent")
  const sshd = yield* Sshd.make({
    home: "real",
    env: Object.fromEntries(Object.entries(quiet).filter(([variable]) => !variable.startsWith("XDG_"))),
    config: [
      // Not in the name of an account that cannot read the file.
      "AuthorizedKeysFile none",
      `AuthorizedKeysCommand /bin/cat ${keys}/%u`,
      "AuthorizedKeysCommandUser root",
      "MaxStartups 100",
      "PermitUserEnvironment PATH"
    ],
    mounts: [
      Namespace.replaced("/etc/passwd", passwd),
      `mount --bind "${root}" ${there}`,
      `mount --bind "${process.execPath}" ${there}/bin/node`,
      ...(Opencode.binary === undefined ? [] : [`mount --bind "${Opencode.binary}" ${there}/bin/opencode`]),
      ...["/tmp", "/var/tmp"].flatMap((
        path
      ) => [`mount --bind ${path} ${path}`, `mount -o remount,bind,noexec ${path}`])
    ]
  })
  for (const { name, path } of accounts) {
    const environment = path === undefined ? "" : `environment="PATH=${path}" `
    Fs.writeFileSync(Path.join(keys, name), `${environment}${sshd.key.publicKey}\n`)
  }
  const client = yield* SshClient.make({
    hosts: Object.fromEntries(accounts.map(({ name }) => [name, { sshd, lines: [`User ${name}`] }]))
  })
  return { sshd, client, homeOf: (name: string) => Path.join(root, name) }
})
