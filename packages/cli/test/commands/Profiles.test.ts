import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { InvalidProfile } from "@opencode-ai/ssh-tunnel/ConfigurationError"
import { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { ProfileProblem } from "@opencode-ai/ssh-tunnel/ProfileFile"
import { Effect, FileSystem, Schema } from "effect"
import { jsonLines, makeWorld, profile } from "../harness.ts"

const work = profile({
  name: "work",
  id: "w1",
  host: "far",
  user: "dev",
  proxyJump: "bastion",
  bootstrap: { enabled: true, port: 4097, lifetime: "session" }
})

const shown = (stdout: ReadonlyArray<string>) =>
  jsonLines(stdout).map((line) => line.type === "profile" ? line.profile : assert.fail(line.type))

describe("profiles add", () => {
  it.effect("saves every value, and shows what it saved", () =>
    Effect.gen(function*() {
      const { cli, repo } = yield* makeWorld()
      const { code, stderr, stdout } = yield* cli(
        ...[
          ["profiles", "add", "My box", "--host", "dev@box:2222", "--port", "2200"],
          ["--identity-file", "/keys/id", "--proxy-jump", "a,b:22", "-F", "~/other config", "--strategy", "plain"],
          ["--remote-port", "4100", "--local-port", "5100", "--bootstrap", "--bootstrap-port", "4200"],
          ["--lifetime", "session", "--version-range", ">=1.2.0", "--username", "bob", "--json"]
        ].flat()
      )
      assert.strictEqual(code, 0, stderr.join("\n"))
      const [saved, ...more] = yield* repo.list
      assert.deepStrictEqual(more, [])
      assert.isDefined(saved)
      assert.deepStrictEqual(shown(stdout), [saved])
      assert.match(saved.id, /^my-box-[0-9a-f]{12}$/)
      const { id: _id, ...values } = yield* Schema.encodeEffect(Profile)(saved)
      assert.deepStrictEqual(values, {
        name: "My box",
        host: "box",
        user: "dev",
        port: 2200,
        identityFile: "/keys/id",
        proxyJump: "a,b:22",
        sshConfig: "~/other config",
        strategy: "plain",
        remotePort: 4100,
        localPort: 5100,
        bootstrap: { enabled: true, port: 4200, lifetime: "session" },
        versionRange: ">=1.2.0",
        username: "bob"
      })
    }))

  it.effect("refuses a name that a profile has, and values that are not valid", () =>
    Effect.gen(function*() {
      const { cli, repo } = yield* makeWorld({ profiles: [work] })
      const taken = yield* cli("profiles", "add", "work", "--host", "box", "--json")
      assert.strictEqual(taken.code, 10)
      const [line] = jsonLines(taken.stdout)
      assert.isTrue(line?.type === "error" && line.error.reason._tag === "InvalidProfile")
      for (
        const args of [
          ["x"],
          ["--host", "box"],
          ["x", "--host", "a b"],
          ["x", "--host", "box", "--user", "-x"],
          ["a\nb", "--host", "box"]
        ]
      ) {
        assert.strictEqual((yield* cli("profiles", "add", ...args)).code, 2, args.join(" "))
      }
      assert.deepStrictEqual(yield* repo.list, [work])
    }))
})

describe("profiles edit", () => {
  it.effect("sets, unsets and renames; the id stays", () =>
    Effect.gen(function*() {
      const { cli, repo } = yield* makeWorld({ profiles: [work] })
      const { code, stderr } = yield* cli(
        ...[
          ["profiles", "edit", "work", "--name", "office", "--host", "me@near", "--remote-port", "5000"],
          ["--no-bootstrap", "--unset", "proxy-jump", "--unset", "bootstrap-port"]
        ].flat()
      )
      assert.strictEqual(code, 0, stderr.join("\n"))
      assert.deepStrictEqual(yield* repo.list, [
        profile({
          name: "office",
          id: "w1",
          host: "near",
          user: "me",
          remotePort: 5000,
          bootstrap: { enabled: false, lifetime: "session" }
        })
      ])
    }))

  it.effect("refuses to set and unset the same value, an unknown field, and a missing profile", () =>
    Effect.gen(function*() {
      const { cli, repo } = yield* makeWorld({ profiles: [work] })
      assert.strictEqual((yield* cli("profiles", "edit", "work", "--user", "x", "--unset", "user")).code, 2)
      assert.strictEqual(
        (yield* cli("profiles", "edit", "work", "--bootstrap-port", "1", "--unset", "bootstrap-port")).code,
        2
      )
      assert.strictEqual((yield* cli("profiles", "edit", "work", "--unset", "host")).code, 2)
      assert.strictEqual((yield* cli("profiles", "edit", "home", "--user", "x")).code, 10)
      assert.deepStrictEqual(yield* repo.list, [work])
    }))
})

describe("profiles list, show and remove", () => {
  it.effect("a table for a person, a line for a program", () =>
    Effect.gen(function*() {
      const other = profile({ name: "漢", id: "h", host: "fe80::1", port: 22 })
      const { cli } = yield* makeWorld({ profiles: [work, other] })
      const table = yield* cli("profiles", "list")
      assert.deepStrictEqual(table.stdout, [
        "NAME  ID  DESTINATION   PROXY JUMP  REMOTE PORT  BOOTSTRAP",
        "work  w1  dev@far       bastion                  yes",
        "漢    h   [fe80::1]:22                           no"
      ])
      const lines = yield* cli("profiles", "list", "--json")
      assert.deepStrictEqual(shown(lines.stdout).map(({ name }) => name), ["work", "漢"])
    }))

  it.effect("show prints the values by the names of their options", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeWorld({ profiles: [work] })
      assert.deepStrictEqual((yield* cli("profiles", "show", "w1")).stdout, [
        "name            work",
        "id              w1",
        "host            far",
        "user            dev",
        "proxy-jump      bastion",
        "bootstrap       yes",
        "bootstrap-port  4097",
        "lifetime        session"
      ])
      assert.strictEqual((yield* cli("profiles", "show", "none")).code, 10)
    }))

  it.effect("says how to begin when there is none", () =>
    Effect.gen(function*() {
      const { cli } = yield* makeWorld()
      const { code, stderr, stdout } = yield* cli("profiles", "list")
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(stdout, [])
      assert.include(stderr[0], "profiles add")
    }))

  it.effect("a broken entry is told, is never taken for a destination, and can be removed by its id", () =>
    Effect.gen(function*() {
      const problem = new ProfileProblem({
        index: 1,
        id: "old",
        name: "old\u001b[2J",
        reason: new InvalidProfile({ path: "host", detail: "no host" })
      })
      const { asked, cli, repo } = yield* makeWorld({ profiles: [work], problems: [problem] })
      const listed = yield* cli("profiles", "list")
      assert.deepStrictEqual(listed.stderr, [
        "warning: entry 2 (old\\x1b[2J) of the profile file is left out: The profile's host is not valid: no host"
      ])
      assert.strictEqual((yield* cli("connect", "old")).code, 10)
      assert.deepStrictEqual(yield* asked, [])
      assert.strictEqual((yield* cli("profiles", "remove", "old")).code, 0)
      assert.deepStrictEqual(yield* repo.problems, [])
      assert.deepStrictEqual(yield* repo.list, [work])
    }))

  it.effect("remove", () =>
    Effect.gen(function*() {
      const { cli, repo } = yield* makeWorld({ profiles: [work] })
      assert.strictEqual((yield* cli("profiles", "remove", "home")).code, 10)
      assert.strictEqual((yield* cli("profiles", "remove", "work")).code, 0)
      assert.deepStrictEqual(yield* repo.list, [])
    }))
})

describe("profiles import and export", () => {
  it.effect("all hosts of the ssh config, or the named ones; those that are there stay as they are", () =>
    Effect.gen(function*() {
      const { cli, repo } = yield* makeWorld({ hosts: ["box", "far", "near"], profiles: [work] })
      const some = yield* cli("profiles", "import", "near", "far", "-F", "/etc/my config", "--json")
      assert.strictEqual(some.code, 0)
      assert.deepStrictEqual(shown(some.stdout).map(({ host, name, sshConfig }) => [name, host, sshConfig]), [
        ["near", "near", "/etc/my config"]
      ])
      assert.include(some.stderr.join("\n"), "far is left out")
      const all = yield* cli("profiles", "import")
      assert.deepStrictEqual(all.stdout, ["box"])
      assert.deepStrictEqual((yield* repo.list).map(({ name }) => name), ["work", "near", "box"])
      assert.strictEqual((yield* cli("profiles", "import", "nowhere")).code, 2)
    }))

  it.effect("what was exported can be imported elsewhere", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const file = `${yield* fs.makeTempDirectoryScoped()}/team.json`
      const here = yield* makeWorld({ profiles: [work, profile({ name: "home" })] })
      const all = yield* here.cli("profiles", "export")
      assert.deepStrictEqual(JSON.parse(all.stdout.join("\n")).version, 1)
      const one = yield* here.cli("profiles", "export", "work", "--json")
      assert.strictEqual(one.stdout.length, 1)
      assert.notInclude(one.stdout[0], "\n")
      yield* fs.writeFileString(file, one.stdout.join("\n"))

      const there = yield* makeWorld()
      assert.strictEqual((yield* there.cli("profiles", "import", "--file", file)).code, 0)
      assert.deepStrictEqual(yield* there.repo.list, [work])
      const again = yield* there.cli("profiles", "import", "--file", file)
      assert.strictEqual(again.code, 0)
      assert.include(again.stderr.join("\n"), "work is left out")
      yield* fs.writeFileString(file, "no json")
      assert.strictEqual((yield* there.cli("profiles", "import", "--file", file)).code, 2)
      assert.strictEqual((yield* there.cli("profiles", "import", "--file", `${file}.missing`)).code, 2)
      assert.strictEqual((yield* there.cli("profiles", "import", "box", "--file", file)).code, 2)
    }).pipe(Effect.provide(NodeFileSystem.layer)))
})
