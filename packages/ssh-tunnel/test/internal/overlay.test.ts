import { assert, describe, it } from "@effect/vitest"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, Result, Schema } from "effect"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { expandHome, overlay, type OverlayInput } from "../../src/internal/overlay.ts"

const modern = { major: 8, minor: 7 }

const text = (input: OverlayInput): string => Result.getOrThrow(overlay(input))

const includes = (input: OverlayInput): ReadonlyArray<string> =>
  text(input).split("\n").filter((line) => line.startsWith("Include"))

const detail = (input: OverlayInput): string => {
  const result = overlay(input)
  return Result.isFailure(result) ? result.failure.detail : "succeeded"
}

describe("overlay", () => {
  it("puts the policy first, then the user's and the system's config, then the defaults", () => {
    assert.strictEqual(
      text({ home: "/home/me", sshVersion: modern }),
      `Match all
  BatchMode yes
  StrictHostKeyChecking yes
  NoHostAuthenticationForLocalhost no
  CheckHostIP no
  UpdateHostKeys no
  AddKeysToAgent no
  RemoteCommand none
  RequestTTY no
  PermitLocalCommand no
  Tunnel no
  ForwardAgent no
  ForwardX11 no
  ControlMaster no
  GatewayPorts no
  VisualHostKey no
  ServerAliveInterval 5
  ServerAliveCountMax 3
  LogLevel DEBUG1
  LogVerbose none
  SessionType default
  StdinNull no
  ForkAfterAuthentication no
Include "/home/me/.ssh/config"
Include "/etc/ssh/ssh_config"
Match all
  ConnectTimeout 10
`
    )
  })

  it("leaves out what OpenSSH before 8.5 and 8.7 does not know", () => {
    for (const sshVersion of [undefined, { major: 8, minor: 4 }]) {
      assert.notInclude(text({ home: "/home/me", sshVersion }), "LogVerbose")
    }
    assert.include(text({ home: "/home/me", sshVersion: { major: 8, minor: 5 } }), "LogVerbose none")
    for (const sshVersion of [undefined, { major: 8, minor: 6 }, { major: 7, minor: 9 }]) {
      assert.notMatch(text({ home: "/home/me", sshVersion }), /SessionType|StdinNull|ForkAfterAuthentication/)
    }
    for (const sshVersion of [{ major: 8, minor: 7 }, { major: 9, minor: 0 }, { major: 10, minor: 5 }]) {
      assert.match(text({ home: "/home/me", sshVersion }), /SessionType default\n {2}StdinNull no/)
    }
  })

  it("takes -F FILE as ssh does: without the system's config; none is neither", () => {
    assert.deepStrictEqual(includes({ home: "/h", userConfig: "/etc/x" }), ["Include \"/etc/x\""])
    assert.deepStrictEqual(includes({ home: "/h", userConfig: "~/x" }), ["Include \"/h/x\""])
    assert.deepStrictEqual(includes({ home: "/h", userConfig: "none" }), [])
    assert.deepStrictEqual(includes({ home: "/h", userConfig: "/dev/null" }), [])
    assert.deepStrictEqual(includes({ home: "/h", systemConfig: "/opt/ssh_config" }), [
      "Include \"/h/.ssh/config\"",
      "Include \"/opt/ssh_config\""
    ])
    assert.deepStrictEqual(includes({ home: "/h", systemConfig: "none" }), ["Include \"/h/.ssh/config\""])
  })

  it("names the files of Windows with slashes, which its ssh needs in patterns", () =>
    assert.deepStrictEqual(includes({ home: "C:\\Users\\Jo [x]", platform: "windows" }), [
      "Include \"C:/Users/Jo [[]x]/.ssh/config\"",
      "Include \"__PROGRAMDATA__/ssh/ssh_config\""
    ]))

  it("writes a path the way each version reads it", () => {
    const word = (userConfig: string, sshVersion?: OverlayInput["sshVersion"]) =>
      includes({ home: "/h", userConfig, sshVersion })[0]
    assert.strictEqual(word("/a*?[b]"), "Include \"/a[*][?][[]b]\"")
    assert.strictEqual(word("/$(x) 'y' #z ü"), "Include \"/$(x) 'y' #z ü\"")
    assert.strictEqual(word("/a\\b\"c", { major: 9, minor: 2 }), "Include \"/a\\\\\\\\b\\\"c\"")
    assert.strictEqual(word("/a\\b", { major: 8, minor: 0 }), "Include \"/a\\\\b\"")
    assert.strictEqual(word("/100%h", { major: 9, minor: 8 }), "Include \"/100%h\"")
    assert.strictEqual(word("/100%h", { major: 9, minor: 9 }), "Include \"/100%%h\"")
    assert.strictEqual(text({ home: "/h/${x}", sshVersion: modern }).match(/Include .*/)?.[0].includes("${"), false)
  })

  it("refuses a path that this version cannot read, because ssh would drop the user's config without a word", () => {
    assert.match(detail({ home: "/home/a\nUser x" }), /control character/)
    assert.match(detail({ home: "/home/\"", sshVersion: { major: 8, minor: 6 } }), /quotation mark/)
    assert.match(detail({ home: "/home/\"" }), /quotation mark/)
    assert.match(detail({ home: "/home/\\" }), /backslash/)
    assert.match(detail({ home: "/home/100%" }), /%/)
    assert.match(detail({ home: `/${"ü".repeat(600)}`, sshVersion: modern }), /too long/)
    const result = overlay({ home: "/h", userConfig: "~/\"" })
    assert.strictEqual(Result.isFailure(result) ? result.failure.file : undefined, "/h/\"")
  })

  it("expands ~ and leaves the rest alone", () => {
    assert.strictEqual(expandHome("~", "/h"), "/h")
    assert.strictEqual(expandHome("~/a~", "/h"), "/h/a~")
    assert.strictEqual(expandHome("~user/a", "/h"), "~user/a")
    assert.strictEqual(expandHome("/~/a", "/h"), "/~/a")
  })
})

/** The installed ssh; it may be an old one. */
const installed = (() => {
  const [, major, minor] = /OpenSSH_(?:for_Windows_)?(\d+)\.(\d+)/.exec(
    ChildProcess.spawnSync("ssh", ["-V"], { encoding: "utf8" }).stderr
  ) ?? []
  return { major: Number(major), minor: Number(minor) }
})()

const isModern = installed.major > 8 || (installed.major === 8 && installed.minor >= 7)

/** What the installed ssh makes of an overlay. */
const ask = Effect.fnUntraced(function*(input: Omit<OverlayInput, "sshVersion">, ...words: ReadonlyArray<string>) {
  const directory = yield* TempDirectory.make()
  const content = overlay({ ...input, sshVersion: installed })
  yield* Effect.sync(() => Fs.writeFileSync(`${directory}/config-1`, Result.getOrThrow(content)))
  const { code, stderr, stdout } = yield* Process.run("ssh", ["-F", "config-1", "-T", "-G", ...words], {
    cwd: directory
  })
  const values = (keyword: string) =>
    stdout.split("\n").filter((line) => line.startsWith(`${keyword} `)).map((line) => line.slice(keyword.length + 1))
  return { code, stderr, values, value: (keyword: string) => values(keyword)[0] }
})

const write = (file: string, content: string, mode = 0o600) =>
  Effect.sync(() => {
    Fs.mkdirSync(Path.dirname(file), { recursive: true })
    Fs.writeFileSync(file, content)
    // Whatever the umask is.
    Fs.chmodSync(file, mode)
  })

/** A user who sets everything that the policy sets, to something else, for every host, in both passes. */
const contrary = `
BatchMode no
StrictHostKeyChecking no
NoHostAuthenticationForLocalhost yes
CheckHostIP yes
UpdateHostKeys yes
AddKeysToAgent yes
RemoteCommand reboot
RequestTTY force
PermitLocalCommand yes
Tunnel yes
ForwardAgent yes
ForwardX11 yes
ControlMaster auto
GatewayPorts yes
VisualHostKey yes
ServerAliveInterval 0
ServerAliveCountMax 99
LogLevel QUIET
${isModern ? "LogVerbose *:*:*\nSessionType none\nStdinNull yes\nForkAfterAuthentication yes\n" : ""}`

const assertPolicy = (answer: { readonly value: (keyword: string) => string | undefined }) => {
  const policy = {
    batchmode: "yes",
    stricthostkeychecking: "true",
    nohostauthenticationforlocalhost: "no",
    checkhostip: "no",
    updatehostkeys: "false",
    addkeystoagent: "false",
    remotecommand: undefined,
    requesttty: "false",
    permitlocalcommand: "no",
    tunnel: "false",
    forwardagent: "no",
    forwardx11: "no",
    controlmaster: "false",
    gatewayports: "no",
    visualhostkey: "no",
    serveraliveinterval: "5",
    serveralivecountmax: "3",
    loglevel: "DEBUG",
    ...(isModern
      ? { logverbose: "none", sessiontype: "default", stdinnull: "no", forkafterauthentication: "no" }
      : undefined)
  }
  const found = Object.fromEntries(Object.keys(policy).map((keyword) => [keyword, answer.value(keyword)]))
  assert.deepStrictEqual(found, policy)
}

describe("overlay, read by the real ssh", () => {
  it.live("the policy wins over a user who wants everything else, and their other values stay", () =>
    Effect.gen(function*() {
      const home = yield* TempDirectory.make()
      yield* write(`${home}/.ssh/config`, `${contrary}User me\nMatch all\n${contrary}ConnectTimeout 77\n`)
      const answer = yield* ask({ home, systemConfig: "none" }, "--", "box")
      assert.strictEqual(answer.code, 0, answer.stderr)
      assertPolicy(answer)
      assert.strictEqual(answer.value("user"), "me")
      assert.strictEqual(answer.value("connecttimeout"), "77")
    }))

  it.live("the policy holds in the second pass of Match final and CanonicalizeHostname", () =>
    Effect.gen(function*() {
      const home = yield* TempDirectory.make()
      const canonicalize = "CanonicalizeHostname always\nCanonicalDomains invalid\nCanonicalizeFallbackLocal yes"
      yield* write(`${home}/.ssh/config`, `${canonicalize}\nMatch final\n${contrary}User final\nConnectTimeout 77\n`)
      const answer = yield* ask({ home, systemConfig: "none" }, "--", "127.0.0.1")
      assert.strictEqual(answer.code, 0, answer.stderr)
      assertPolicy(answer)
      assert.strictEqual(answer.value("user"), "final")
      // The first pass has set our default already.
      assert.strictEqual(answer.value("connecttimeout"), "10")
    }))

  it.live("a block at the end of an included file ends with the file", () =>
    Effect.gen(function*() {
      const home = yield* TempDirectory.make()
      yield* write(`${home}/.ssh/config`, "Host other\n  User other\nInclude nested\n")
      yield* write(`${home}/system`, "TCPKeepAlive no\nMatch originalhost nobody\n  Port 1\n")
      const answer = yield* ask({ home, systemConfig: `${home}/system` }, "--", "box")
      assert.strictEqual(answer.code, 0, answer.stderr)
      assertPolicy(answer)
      assert.strictEqual(answer.value("tcpkeepalive"), "no")
      assert.strictEqual(answer.value("connecttimeout"), "10")
      assert.strictEqual(answer.value("port"), "22")
    }))

  it.live("the user's IgnoreUnknown works", () =>
    Effect.gen(function*() {
      const home = yield* TempDirectory.make()
      yield* write(`${home}/.ssh/config`, "IgnoreUnknown UseKeychain\nUseKeychain yes\nUser me\n")
      const answer = yield* ask({ home, systemConfig: "none" }, "--", "box")
      assert.strictEqual(answer.code, 0, answer.stderr)
      assert.strictEqual(answer.value("user"), "me")
    }))

  it.live("missing files are ignored; a file that others may write is refused", () =>
    Effect.gen(function*() {
      const home = yield* TempDirectory.make()
      const missing = yield* ask({ home, systemConfig: `${home}/missing` }, "--", "box")
      assert.strictEqual(missing.code, 0, missing.stderr)
      assertPolicy(missing)
      yield* write(`${home}/.ssh/config`, "User me\n", 0o666)
      const refused = yield* ask({ home, systemConfig: "none" }, "--", "box")
      assert.strictEqual(refused.code, 255)
      assert.include(refused.stderr, `Bad owner or permissions on ${home}/.ssh/config`)
    }))

  const awkward = [
    "a b",
    " lead",
    "trail ",
    "$(touch hit)",
    "`touch hit`",
    "100%h",
    "%%",
    "st*r",
    "q?",
    "br[a]c",
    "[",
    "]x",
    "[!a]",
    "[[:alpha:]]",
    "{a,b}",
    "it's",
    "d\"q",
    "\"",
    "back\\slash",
    "\\",
    "\\*",
    "\\\"",
    "hash#x",
    "#",
    "üñ 服务器",
    "~t",
    "-F",
    "=",
    "a;b|c&d>e<f"
  ]

  const expressible = (path: string) => isModern || !path.includes("\"")

  it.live.each(awkward.filter(expressible))(
    "reads the config in the directory %j, and no other one",
    (name) =>
      Effect.gen(function*() {
        const directory = yield* TempDirectory.make()
        yield* write(`${directory}/${name}/config`, "User right\n")
        // What an unquoted pattern would match as well.
        for (const other of ["a", "star", "qx", "brac", "b", "back*slash"]) {
          if (other !== name) yield* write(`${directory}/${other}/config`, "User wrong\n")
        }
        const answer = yield* ask({ home: "/nonexistent", userConfig: `${directory}/${name}/config` }, "--", "box")
        assert.strictEqual(answer.code, 0, answer.stderr)
        assert.strictEqual(answer.value("user"), "right")
        assertPolicy(answer)
      })
  )

  const FileName = Schema.String.check(Schema.isPattern(/^[a-z *?[\]{}'"\\#$()`;&|<>~!ü%=,:@+-]{1,24}$/))

  it.live.prop(
    "any file name at all",
    [FileName],
    ([name]) =>
      Effect.gen(function*() {
        if (!expressible(name)) return
        const directory = yield* TempDirectory.make()
        yield* write(`${directory}/x${name}`, "User right\n")
        const answer = yield* ask({ home: "/nonexistent", userConfig: `${directory}/x${name}` }, "--", "box")
        assert.strictEqual(answer.value("user"), "right", answer.stderr)
      }),
    { arbitrary: { runs: 60 } }
  )
})
