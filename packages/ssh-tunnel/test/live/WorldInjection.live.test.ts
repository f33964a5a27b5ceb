/**
 * Hostile values in a profile file that somebody else has written, and a user's ssh config that hands host and user to
 * shells, as many do. Every command in a value would leave a file.
 */
import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Context, Effect, Exit, Scope } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { afterAll, beforeAll } from "vitest"
import { Connections } from "../../src/Connections.ts"
import { ProfileId } from "../../src/Profile.ts"
import { profileFileName } from "../../src/ProfileRepo.ts"
import * as Product from "../lab/Product.ts"

/** A value of a profile's field; `CANARY` stands for the path of a file. */
interface Attack {
  readonly field: string
  readonly value: string
  /** The tag of the reason, or `Connected` for what is a strange value and no attack. */
  readonly expected: string
  /** A file of that name is there: the right key, or the right config. */
  readonly file?: "key" | "config"
}

const refused = (field: string, ...values: ReadonlyArray<string>): ReadonlyArray<Attack> =>
  values.map((value) => ({ field, value, expected: "InvalidProfile" }))

/** A path below the test's directory. */
const strangePaths = [
  "$(touch CANARYNAME)",
  "`touch CANARYNAME`",
  "a b; touch CANARYNAME",
  "it's \"quoted\" \\ %h %% #",
  "-oProxyCommand=touch CANARYNAME",
  "[a]*?{b,c}",
  "\u202Eüñ 服务器"
]

const commands = [
  "$(touch CANARY)",
  "`touch CANARY`",
  ";touch CANARY",
  "|touch CANARY",
  "&touch CANARY",
  "\ntouch CANARY"
]

const attacks: ReadonlyArray<Attack> = [
  ...refused(
    "host",
    "-oProxyCommand=touch CANARY",
    "-F/dev/null",
    "box -oProxyCommand=x",
    "%h$(touch CANARY)",
    "box\u0000",
    "\u2010oProxyCommand=touch CANARY",
    ...commands.map((command) => `box${command}`)
  ),
  ...refused(
    "user",
    "-oProxyCommand=touch CANARY",
    "%r",
    "'; touch CANARY; '",
    "\uFF0Dl",
    ...commands.map((command) => `me${command}`)
  ),
  ...refused("proxyJump", "-oProxyCommand=touch CANARY", "jump,-oProxyCommand=x", "x@-oX", ...commands),
  ...refused("identityFile", "-i", "${LAB_EVIL}", "relative", "/a\nProxyCommand touch CANARY", "/a\u0000b"),
  ...refused("sshConfig", "-F", "/a\nMatch exec \"touch CANARY\"", "${LAB_EVIL}"),
  ...[">=1 $(touch CANARY)", ">=1' touch CANARY '"].map((value) => ({
    field: "versionRange",
    value,
    expected: "UnparsableVersion"
  })),
  ...refused("username", "a:b", "a\nb"),
  ...refused("strategy", "master -oProxyCommand=x"),
  // Of a domain, as it happens; nobody here is called so.
  { field: "user", value: "LAB\\someone", expected: "AuthenticationFailed" },
  { field: "user", value: "someone@example.org", expected: "AuthenticationFailed" },
  { field: "username", value: "$(touch CANARY) `touch CANARY` ' \"", expected: "Connected" },
  { field: "name", value: "$(touch CANARY); `touch CANARY` -oProxyCommand=x %h", expected: "Connected" },
  ...strangePaths.flatMap((value): ReadonlyArray<Attack> => [
    { field: "identityFile", value, expected: "Connected", file: "key" },
    { field: "sshConfig", value, expected: "Connected", file: "config" }
  ])
]

const idOf = (index: number) => ProfileId.make(`attack-${index}`)

describe.skipIf(!Sshd.available).concurrent("a profile of an enemy", () => {
  const scope = Scope.makeUnsafe()
  let connections: Connections["Service"]
  let directory: string
  let canary: string
  let calls: string

  const make = Effect.gen(function*() {
    const sshd = yield* Sshd.make({ config: ["MaxStartups 100"] })
    const { port } = yield* FakeServer.http(FakeServer.v1("1.18.33"))
    directory = yield* TempDirectory.make()
    canary = Path.join(directory, "canary")
    calls = Path.join(directory, "calls")
    const proxy = Path.join(directory, "proxy")
    // What it gets as words is not asked; it only connects.
    Fs.writeFileSync(proxy, `#!/bin/sh\nexec ssh -F '${directory}/direct' -W 127.0.0.1:${sshd.port} direct\n`, {
      mode: 0o700
    })
    // Unquoted and quoted, as people write it.
    const lines = [
      `ProxyCommand '${proxy}' %h %n %r "%h" "%n" "%r" '%h' '%n' '%r'`,
      "HostKeyAlias known"
    ]
    const knownHosts = sshd.knownHosts.map((line) => `known ${line.split(" ").slice(1).join(" ")}`)
    const client = yield* SshClient.make({
      before: "Match exec \"true %h %n %r %p '%h' '%n' '%r'\"\n  ConnectTimeout 9",
      hosts: { box: { sshd, lines } },
      knownHosts
    })
    const direct = [
      `UserKnownHostsFile ${client.knownHostsFile}`,
      `IdentityFile ${sshd.key.file}`,
      "HostKeyAlias known"
    ]
    Fs.writeFileSync(
      `${directory}/direct`,
      ["Host direct", `HostName 127.0.0.1`, `Port ${sshd.port}`, ...direct, ""].join("\n")
    )

    // An ssh that notes its words, one line for each.
    const binary = Path.join(directory, "ssh")
    Fs.writeFileSync(
      binary,
      `#!/bin/sh\n{ for word; do printf '%s\\n' "word $word"; done; } >>'${calls}'\nexec ssh "$@"\n`,
      { mode: 0o700 }
    )
    const place = (value: string) => value.replaceAll("CANARYNAME", "canary").replaceAll("CANARY", canary)
    const profiles = attacks.map(({ field, file, value }, index) => {
      const path = Path.join(directory, String(index), place(value))
      if (file !== undefined) {
        Fs.mkdirSync(Path.dirname(path), { recursive: true })
        Fs.writeFileSync(path, Fs.readFileSync(file === "key" ? sshd.key.file : client.configFile), { mode: 0o600 })
      }
      return {
        id: idOf(index),
        name: "Box",
        host: "box",
        sshConfig: client.configFile,
        remotePort: port,
        bootstrap: { enabled: false, lifetime: "persistent" },
        [field]: file === undefined ? place(value) : path
      }
    })
    const product = yield* Product.make({
      environment: { OPENCODE_SSH_BINARY: binary, LAB_EVIL: `$(touch ${canary})` }
    })
    Fs.mkdirSync(product.dataDirectory, { recursive: true, mode: 0o700 })
    Fs.writeFileSync(
      Path.join(product.dataDirectory, profileFileName),
      JSON.stringify({ version: 1, profiles }),
      { mode: 0o600 }
    )
    connections = Context.get(product.services, Connections)
  })

  beforeAll(() => Effect.runPromise(make.pipe(Scope.provide(scope))))
  afterAll(async () => {
    const [before, words] = [Fs.readdirSync(directory).sort(), Fs.readFileSync(calls, "utf8").split("\n")]
    await Effect.runPromise(Scope.close(scope, Exit.void))
    assert.deepStrictEqual(before.filter((name) => !/^\d+$/.test(name)), ["calls", "direct", "proxy", "ssh"])
    // Options that begin a word of ssh's are ours, and every value of ours.
    const allowed = /^word -(?:V|F|M|N|T|S|O|L|G|o|p|l|J|W|vvv|-|-\S+)?$/
    assert.deepStrictEqual(words.filter((word) => word.startsWith("word -") && !allowed.test(word)), [])
    assert.isAbove(words.length, 100)
  })

  it.live.each(
    attacks.map((attack, index) => [`${attack.field} ${JSON.stringify(attack.value)}`, attack, index] as const)
  )(
    "%s",
    ([, { expected }, index]) =>
      Effect.gen(function*() {
        yield* connections.connect(idOf(index))
        const outcome = yield* Effect.result(connections.settled(idOf(index)))
        const tag = outcome._tag === "Success" ? outcome.success._tag : outcome.failure.reason._tag
        assert.strictEqual(tag, expected)
        if (outcome._tag === "Success") yield* connections.disconnect(idOf(index))
        assert.isFalse(Fs.existsSync(canary))
      })
  )
})
