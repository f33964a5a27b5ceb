import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Namespace from "../../src/Namespace.ts"
import * as Process from "../../src/Process.ts"
import * as SshClient from "../../src/SshClient.ts"
import * as Sshd from "../../src/Sshd.ts"
import * as TempDirectory from "../../src/TempDirectory.ts"

const isCI = process.env["CI"] === "true"

describe.skipIf(!Namespace.available() && !isCI)("a namespace", () => {
  it.live("is a program's own, with its arguments, its pid and its exit code", () =>
    Effect.gen(function*() {
      const sh = yield* Namespace.wrapper("/bin/sh", ["ip link set lo up"])
      const inside = yield* Process.run(sh, ["-c", "ip -o addr; echo \"$1\" $$; exit 7", "name", "a 'b' $(c)"])
      assert.strictEqual(inside.code, 7)
      assert.match(inside.stdout, /\blo\b[\s\S]*\na 'b' \$\(c\) \d+\n$/)
      assert.notInclude(inside.stdout, "eth0")
      const child = yield* Process.spawn(sh, ["-c", "echo $$; exec sleep 1000"])
      assert.strictEqual(Number(yield* child.stdout.waitFor(/^\d+$/)), child.pid)
    }))

  it.live.each(
    [
      ["none", "Network is unreachable"],
      ["noRoute", "No route to host"],
      ["prohibited", "Permission denied"],
      ["dropping", "Connection timed out"]
    ] as const
  )("without a way: %s", ([network, words]) =>
    Effect.gen(function*() {
      const ssh = yield* Namespace.wrapper("ssh", Namespace.network[network])
      const { stderr } = yield* Process.run(ssh, ["-F", "none", "-o", "ConnectTimeout=1", Namespace.address])
      assert.include(stderr, words)
    }))

  it.live("has files of its own", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make({ name: "with space" })
      const [one = "", other = ""] = ["one", "other"].map((name) => Path.join(directory, name))
      Fs.writeFileSync(one, "one")
      Fs.writeFileSync(other, "other")
      const cat = yield* Namespace.wrapper("/bin/cat", [Namespace.replaced(one, other)])
      assert.strictEqual(yield* Process.output(cat, [one]), "other")
      assert.strictEqual(Fs.readFileSync(one, "utf8"), "one")
    }))
})

describe.skipIf(!(Sshd.available && Namespace.isRoot()) && !isCI)("an sshd with mounts of its own", () => {
  const written = (mount: string) =>
    Effect.gen(function*() {
      const sshd = yield* Sshd.make({ mounts: [mount] })
      const client = yield* SshClient.make({ hosts: { box: sshd } })
      const result = yield* client.ssh("box", "head -c 100000 /dev/zero > ~/state/file")
      assert.notInclude(Fs.readFileSync("/proc/self/mountinfo", "utf8"), sshd.directory)
      return result
    })

  it.live("has a disk that is full, and a home that is read-only", () =>
    Effect.gen(function*() {
      assert.match((yield* written(Namespace.empty("$1/home/state", 16_384))).stderr, /No space left on device/)
      const readOnly = `mkdir "$1/home/state" && ${Namespace.readOnly("$1/home")}`
      assert.match((yield* written(readOnly)).stderr, /Read-only file system/)
    }))
})
