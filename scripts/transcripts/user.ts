/** A user's ssh, as the product runs it: the overlay by -F, in a directory of its own. */
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as SshKey from "@opencode-ai/ssh-lab/SshKey"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, Result } from "effect"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { overlay } from "../../packages/ssh-tunnel/src/internal/overlay.ts"

export interface User {
  /** `/home/me/.ssh` in the fixtures. */
  readonly home: string
  readonly path: (name: string) => string
  readonly write: (name: string, text: string, mode?: number) => string
  readonly key: (name: string, options?: Parameters<typeof SshKey.make>[1]) => Effect.Effect<SshKey.SshKey, unknown>
  /** Appends to known_hosts. */
  readonly know: (...lines: ReadonlyArray<string>) => void
  /** Texts that are replaced in the fixture. */
  readonly replace: (from: string, to: string) => void
  readonly neutral: (text: string) => string
}

export const environment = {
  SSH_AUTH_SOCK: undefined,
  SSH_ASKPASS: undefined,
  DISPLAY: undefined,
  WAYLAND_DISPLAY: undefined,
  SSH_ASKPASS_REQUIRE: "never",
  LC_ALL: "C"
}

export const makeUser = Effect.gen(function*() {
  const home = yield* TempDirectory.make()
  const replacements: Array<readonly [string, string]> = [[home, "/home/me/.ssh"]]
  const write = (name: string, text: string, mode = 0o600) => {
    const file = Path.join(home, name)
    Fs.writeFileSync(file, text)
    Fs.chmodSync(file, mode)
    return file
  }
  write("known_hosts", "")
  const fingerprint = (key: SshKey.SshKey, name: string) => {
    const neutral = `SHA256:${name.replace(/[^A-Za-z0-9]/g, "+")}`.padEnd("SHA256:".length + 43, "0")
    replacements.push([key.fingerprint, neutral])
  }
  const user: User = {
    home,
    path: (name) => Path.join(home, name),
    write,
    key: (name, options) =>
      SshKey.make(Path.join(home, name), { comment: "me@laptop", ...options }).pipe(
        Effect.tap((key) => Effect.sync(() => fingerprint(key, name)))
      ),
    know: (...lines) => Fs.appendFileSync(Path.join(home, "known_hosts"), lines.map((line) => `${line}\n`).join("")),
    replace: (from, to) => void replacements.push([from, to]),
    neutral: (text) => {
      const name = Os.userInfo().username
      const neutral = [...replacements].sort(([a], [b]) => b.length - a.length)
        .reduce((text, [from, to]) => text.replaceAll(from, to), text)
      return neutral
        .replaceAll(`${Os.userInfo().homedir}/`, "/home/me/")
        .replaceAll(`'${name}'`, "'me'")
        .replaceAll(`${name}@`, "me@")
    }
  }
  return user
})

/** A server with its neutral name: its port, key and files are replaced in the fixture. */
export const server = Effect.fn("server")(function*(
  user: User,
  name: "box" | "bastion" | "inner",
  options?: Parameters<typeof Sshd.make>[0]
) {
  const sshd = yield* Sshd.make(options)
  user.replace(sshd.directory, `/etc/${name}`)
  user.replace(String(sshd.port), { box: "2201", bastion: "2202", inner: "2203" }[name])
  for (const key of sshd.hostKeys) {
    user.replace(key.fingerprint, `SHA256:${name}+${key.type}`.padEnd("SHA256:".length + 43, "0"))
  }
  user.replace(sshd.key.fingerprint, `SHA256:${name}+client`.padEnd("SHA256:".length + 43, "0"))
  return sshd
})

export type ServerOptions = Parameters<typeof Sshd.make>[0] | ((user: User) => Parameters<typeof Sshd.make>[0])

export const optionsFor = (user: User, options: ServerOptions): Parameters<typeof Sshd.make>[0] =>
  typeof options === "function" ? options(user) : options

export const hostBlock = (name: string, port: number, ...lines: ReadonlyArray<string>): string =>
  [`Host ${name}`, ...lines, "HostName 127.0.0.1", `Port ${port}`, ""].join("\n")

/** The user's ssh config, complete: no file of the real user is read. */
export const writeConfig = (user: User, ...blocks: ReadonlyArray<string>): void => {
  user.write(
    "config",
    [
      ...blocks,
      "Host *",
      `  UserKnownHostsFile "${user.path("known_hosts")}"`,
      "  GlobalKnownHostsFile /dev/null",
      "  IdentitiesOnly yes",
      // Identity files add up; a host that names its own has no other.
      ...(blocks.some((block) => /^ *IdentityFile /m.test(block))
        ? []
        : [`  IdentityFile "${user.path("id_ed25519")}"`]),
      ""
    ].join("\n")
  )
}

export const writeOverlay = (user: User, userConfig: string = user.path("config")): void => {
  const text = overlay({
    userConfig,
    home: Os.userInfo().homedir,
    systemConfig: "none",
    sshVersion: { major: 9, minor: 2 }
  })
  user.write("overlay", Result.getOrThrow(text))
}
