/**
 * Other accounts of this machine: the product runs as an ordinary account with a temporary directory that another one
 * has prepared, and that one tries what it can. Root on Linux, which can be both.
 */
import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Namespace from "@opencode-ai/ssh-lab/Namespace"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Context, Effect, Schema } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { noBootstrap, Profile, ProfileId } from "../../src/Profile.ts"
import { RuntimeDirectory } from "../../src/RuntimeDirectory.ts"
import * as Product from "../lab/Product.ts"
import * as Machine from "../remote/Machine.ts"
import * as Run from "../world/Run.ts"

const possible = Sshd.available && Namespace.isRoot()
if (!possible) console.warn("SKIPPED: other accounts of this machine need sshd, and root on Linux")

const encodeProfile = Schema.encodeEffect(Schema.fromJsonString(Schema.toCodecJson(Profile)))

const idOf = (account: string) => Effect.map(Process.output("id", ["-u", account]), (text) => Number(text.trim()))

/** Words that run a program as an account. */
const as = (uid: number, ...words: ReadonlyArray<string>): readonly [string, ReadonlyArray<string>] => [
  "setpriv",
  [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups", "--no-new-privs", ...words]
]

/** A directory that other accounts can enter, if not read. */
const reachable = Effect.gen(function*() {
  const directory = yield* TempDirectory.make()
  for (const path of [TempDirectory.root(), Path.dirname(directory), directory]) Fs.chmodSync(path, 0o711)
  yield* Effect.addFinalizer(() => Effect.sync(() => Fs.chmodSync(TempDirectory.root(), 0o700)))
  return directory
})

/** A program that an account can execute, whoever may enter the checkout. */
const executable = Effect.fnUntraced(function*(directory: string, uid: number) {
  const [command, words] = as(uid, "test", "-x", process.execPath)
  if ((yield* Process.run(command, words)).code === 0) return process.execPath
  const copy = Path.join(directory, "node")
  Fs.copyFileSync(process.execPath, copy)
  Fs.chmodSync(copy, 0o755)
  return copy
})

describe.skipIf(!possible)("another account of this machine", () => {
  it.live("can neither use the connection nor read of it, and what it has prepared is left alone", () =>
    Effect.gen(function*() {
      const [user, enemy] = yield* Effect.all([idOf("nobody"), idOf("daemon")])
      const sshd = yield* Sshd.make()
      const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
      const directory = yield* reachable
      const give = (path: string, mode: number, uid = user) => {
        Fs.chmodSync(path, mode)
        Fs.lchownSync(path, uid, uid)
        return path
      }
      const file = (name: string, text: string, uid = user) => {
        const path = Path.join(directory, name)
        Fs.mkdirSync(Path.dirname(path), { recursive: true })
        Fs.writeFileSync(path, text)
        return give(path, 0o600, uid)
      }
      const folder = (name: string, mode: number, uid = user) => {
        const path = Path.join(directory, name)
        Fs.mkdirSync(path, { recursive: true })
        return give(path, mode, uid)
      }

      // The user's files.
      const key = file("id", Fs.readFileSync(sshd.key.file, "utf8"))
      const knownHosts = file("known_hosts", `${sshd.knownHosts.join("\n")}\n`)
      const sshConfig = file(
        "config",
        [
          "Host box",
          "HostName 127.0.0.1",
          `Port ${sshd.port}`,
          `User ${sshd.user}`,
          `IdentityFile ${key}`,
          `UserKnownHostsFile ${knownHosts}`,
          ""
        ].join("\n  ")
      )
      const treasure = folder("treasure", 0o700)
      file("treasure/precious", "of the user")
      const data = folder("data", 0o700)

      // The temporary directory of all, and what the enemy has put there: names that are ours.
      const tmp = folder("tmp", 0o1777, 0)
      const victim = yield* Process.spawn(...as(user, "sleep", "1000"))
      const stat = Fs.readFileSync(`/proc/${victim.pid}/stat`, "utf8")
      const bootId = Fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()
      const startTime = `${bootId} ${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`
      const signed = (name: string, mode: number) => {
        const path = folder(`tmp/opencode-ssh-run-${name}`, mode, enemy)
        file(`tmp/opencode-ssh-run-${name}/owner.json`, JSON.stringify({ pid: 4_000_000, startTime }), enemy)
        const group = { pid: victim.pid, startTime }
        file(`tmp/opencode-ssh-run-${name}/group-${victim.pid}.json`, JSON.stringify(group), enemy)
        for (const each of Fs.readdirSync(path)) Fs.chmodSync(Path.join(path, each), 0o644)
        return path
      }
      const planted = [signed("AAAAAA", 0o777), signed("BBBBBB", 0o755), signed("CCCCCC", 0o700)]
      const link = Path.join(tmp, "opencode-ssh-run-DDDDDD")
      Fs.symlinkSync(treasure, link)
      give(link, 0o777, enemy)
      yield* Process.output(...as(enemy, "mkfifo", Path.join(tmp, "opencode-ssh-run-EEEEEE")))

      // The product.
      const bundle = give(
        yield* Effect.tap(
          Run.bundled,
          (path) => Effect.sync(() => Fs.copyFileSync(path, Path.join(directory, "host.mjs")))
        )
          .pipe(Effect.as(Path.join(directory, "host.mjs"))),
        0o644
      )
      const profile = new Profile({
        id: ProfileId.make("box"),
        name: "Box",
        host: "box",
        sshConfig,
        remotePort: server.port,
        bootstrap: noBootstrap
      })
      const node = yield* executable(directory, user)
      const host = yield* Process.spawn(...as(user, node, bundle, yield* encodeProfile(profile)), {
        cwd: "/",
        env: {
          HOME: directory,
          TMPDIR: tmp,
          XDG_RUNTIME_DIR: undefined,
          SSH_AUTH_SOCK: undefined,
          NODE_OPTIONS: undefined,
          OPENCODE_SSH_BINARY: undefined,
          OPENCODE_SSH_DATA_DIR: data
        }
      })
      yield* host.stdout.waitFor("\"_tag\":\"Connected\"")

      // Where it is.
      const masters = (yield* ProcessTable.find({ ancestor: host.pid })).filter(({ command }) =>
        / -M -N /.test(command)
      )
      assert.strictEqual(masters.length, 1)
      const master = masters[0]?.pid ?? 0
      const own = Fs.readlinkSync(`/proc/${master}/cwd`)
      assert.strictEqual(Path.dirname(own), tmp)
      assert.strictEqual(Fs.statSync(`/proc/${master}`).uid, user)
      const names = Fs.readdirSync(own)
      const socket = names.find((name) => /^c\d+$/.test(name)) ?? ""
      assert.isTrue(names.length >= 4 && socket !== "", names.join())
      assert.strictEqual(Fs.statSync(own).mode & 0o777, 0o700)
      for (const name of names) assert.strictEqual(Fs.statSync(Path.join(own, name)).mode & 0o777, 0o600, name)
      for (const name of Fs.readdirSync(data)) {
        // A lock that was there for a moment has no mode any more.
        const found = Fs.lstatSync(Path.join(data, name), { throwIfNoEntry: false })
        assert.strictEqual((found?.mode ?? 0) & 0o077, 0, name)
      }

      // The user can do all this, so that it means something when the enemy cannot.
      const attempts: ReadonlyArray<readonly [string, ...ReadonlyArray<string>]> = [
        ["ls", own],
        ["cat", Path.join(own, names.find((name) => name.startsWith("config-")) ?? "")],
        ["cat", Path.join(own, "owner.json")],
        ["ssh", "-F", "none", "-o", "ProxyCommand=false", "-S", Path.join(own, socket), "-O", "check", "master"],
        ["cat", Path.join(data, "ssh-profiles.json")],
        ["touch", Path.join(data, "new")],
        ["cat", key],
        ["ls", `/proc/${host.pid}/cwd/`],
        ["cat", `/proc/${master}/environ`],
        ["ls", `/proc/${master}/fd/`],
        ["kill", "-0", String(master)]
      ]
      for (const words of attempts) {
        const [allowed, denied] = yield* Effect.all([
          Process.run(...as(user, ...words)),
          Process.run(...as(enemy, ...words))
        ])
        // A process of another session may be hidden from its own account, too, where the kernel is strict.
        if (!words.join(" ").includes("/proc/")) {
          assert.strictEqual(allowed.code, 0, `${words.join(" ")} ${allowed.stderr}`)
        }
        assert.notStrictEqual(denied.code, 0, words.join(" "))
      }
      Fs.rmSync(Path.join(data, "new"))
      const stolen: ReadonlyArray<ReadonlyArray<string>> = [
        ["mv", own, `${own}.old`],
        ["rm", "-rf", own],
        ["ln", Path.join(own, "owner.json"), Path.join(tmp, "hard")],
        ["ssh", "-F", "none", "-o", "ProxyCommand=false", "-S", Path.join(own, socket), "-O", "exit", "master"]
      ]
      for (const words of stolen) {
        assert.notStrictEqual((yield* Process.run(...as(enemy, ...words))).code, 0, words.join(" "))
      }
      assert.deepStrictEqual(Fs.readdirSync(own), names)

      // What was prepared is as it was, and nobody was ended for it.
      for (const path of planted) assert.strictEqual(Fs.readdirSync(path).length, 2, path)
      assert.strictEqual(Fs.readFileSync(Path.join(treasure, "precious"), "utf8"), "of the user")
      assert.isTrue(Fs.lstatSync(link).isSymbolicLink())
      assert.isTrue(Fs.existsSync(`/proc/${victim.pid}/stat`))
      assert.strictEqual(yield* sshd.authentications, 1)

      yield* host.stop
      yield* Machine.eventually(() => !Fs.existsSync(own), "the reaper has removed the runtime directory")
      assert.isTrue(Fs.existsSync(Path.join(treasure, "precious")))
    }))

  it.live("cannot lend a directory: one that belongs to it is not used", () =>
    Effect.gen(function*() {
      const enemy = yield* idOf("daemon")
      const lent = yield* TempDirectory.make()
      Fs.chownSync(lent, enemy, enemy)
      // Also by a link.
      const link = Path.join(yield* TempDirectory.make(), "link")
      Fs.symlinkSync(lent, link)
      for (const base of [lent, link]) {
        const { services } = yield* Product.make({ environment: { XDG_RUNTIME_DIR: base } })
        const path = yield* Context.get(services, RuntimeDirectory).path
        assert.notStrictEqual(Fs.realpathSync(Path.dirname(path)), lent)
        assert.deepStrictEqual(Fs.readdirSync(lent), [])
      }
    }))
})
