import { assert, describe, it } from "@effect/vitest"
import * as Process from "@opencode-ai/ssh-lab/Process"
import { Effect, Option, Schema } from "effect"
import { Destination, joinAddress, LocalPath, splitAddress } from "../../src/Destination.ts"
import * as Argv from "../../src/internal/argv.ts"
import { expandHome } from "../../src/internal/overlay.ts"

const home = "/home/me"

/** Words without spaces in them. */
const words = (line: string): ReadonlyArray<string> => line.split(" ")

const everything = new Destination({
  host: "box",
  user: "me",
  port: 2222,
  identityFile: "~/.ssh/100% \"mine\"",
  proxyJump: "a@jump:22,::1,ssh://b@[::2]:33",
  sshConfig: "~/other config"
})

const profileWords = [
  "-l",
  "me",
  "-p",
  "2222",
  "-o",
  "IdentityFile=\"/home/me/.ssh/100%% \\\"mine\\\"\"",
  "-o",
  "IdentitiesOnly=yes",
  "-J",
  "a@jump:22,[::1],b@[::2]:33"
]

describe("words of ssh", () => {
  const plain = new Destination({ host: "box" })
  const connecting = { config: "config-1", destination: plain, home }

  it("the master", () =>
    assert.deepStrictEqual(
      Argv.master({ config: "config-1", socket: "c1", destination: everything, home }),
      [
        ...words("-F config-1 -M -N -T -S c1"),
        ...words("-o ControlPersist=no -o ClearAllForwardings=yes"),
        ...profileWords,
        ...words("-- box")
      ]
    ))

  it("the plain strategy", () => {
    assert.deepStrictEqual(
      Argv.plainForward({ ...connecting, localPort: 4001, remotePort: 4096 }),
      [
        ...words("-F config-1 -N -T -S none -o ExitOnForwardFailure=no -o ClearAllForwardings=no"),
        ...words("-L 127.0.0.1:4001:127.0.0.1:4096 -- box")
      ]
    )
    assert.deepStrictEqual(
      Argv.plainExec({ ...connecting, destination: everything }),
      [
        ...words("-F config-1 -T -S none -o ClearAllForwardings=yes"),
        ...profileWords,
        ...words("-- box"),
        "exec sh -s"
      ]
    )
  })

  it("clients of the master, which cannot connect on their own", () => {
    const client = ["-F", "none", "-o", "ProxyCommand=false", "-S", "c1"]
    const ports = { localPort: 4001, remotePort: 4096 }
    const forward = ["-L", "127.0.0.1:4001:127.0.0.1:4096"]
    assert.deepStrictEqual(
      Argv.controlForward({ socket: "c1", ...ports }),
      [...client, "-O", "forward", ...forward, "--", "master"]
    )
    assert.deepStrictEqual(
      Argv.controlCancel({ socket: "c1", ...ports }),
      [...client, "-O", "cancel", ...forward, "--", "master"]
    )
    assert.deepStrictEqual(Argv.controlCheck({ socket: "c1" }), [...client, "-O", "check", "--", "master"])
    assert.deepStrictEqual(
      Argv.controlExec({ socket: "c1", command: "exec sh -s" }),
      [...client, "-T", "--", "master", "exec sh -s"]
    )
  })

  it("questions", () => {
    assert.deepStrictEqual(Argv.resolve(connecting), ["-F", "config-1", "-T", "-G", "--", "box"])
    assert.deepStrictEqual(Argv.version, ["-V"])
  })

  it("IPv6 and a switched-off jump", () => {
    const destination = new Destination({ host: "fe80::1", proxyJump: "none" })
    assert.deepStrictEqual(
      Argv.resolve({ ...connecting, destination }).slice(4),
      ["-J", "none", "--", "fe80::1"]
    )
  })
})

describe("words of a person", () => {
  it("hold the same values, and our files nowhere", () => {
    assert.deepStrictEqual(
      Argv.userOptions(everything, home),
      ["-F", "/home/me/other config", "-p", "2222", "-l", "me", ...profileWords.slice(4)]
    )
    assert.deepStrictEqual(
      Argv.target(new Destination({ host: "box", identityFile: "~/key", sshConfig: "none" }), home),
      { host: "box", options: ["-F", "none", "-i", "/home/me/key", "-o", "IdentitiesOnly=yes"] }
    )
    assert.deepStrictEqual(Argv.userOptions(new Destination({ host: "box" }), home), [])
  })

  it("name a jump host by itself", () => {
    assert.deepStrictEqual(Argv.hopTarget(everything, "jump", home), {
      host: "jump",
      options: ["-F", "/home/me/other config", "-p", "22", "-l", "a"]
    })
    assert.deepStrictEqual(Argv.hopTarget(everything, "::2", home), {
      host: "::2",
      options: ["-F", "/home/me/other config", "-p", "33", "-l", "b", "-J", "a@jump:22,[::1]"]
    })
    const plain = new Destination({ host: "box" })
    assert.deepStrictEqual(Argv.hopTarget(plain, "JUMP", home, "me@jump:1"), {
      host: "jump",
      options: ["-p", "1", "-l", "me"]
    })
    assert.deepStrictEqual(Argv.hopTarget(plain, "jump", home), { host: "jump", options: [] })
    assert.deepStrictEqual(Argv.hopTarget(new Destination({ host: "box", proxyJump: "none" }), "none", home), {
      host: "none",
      options: []
    })
  })
})

/** Narrower than the real schemas, because values of `\p{…}` patterns cannot be generated. */
const HostText = Schema.Union([
  Schema.String.check(Schema.isPattern(/^[a-z_][a-z0-9._-]{0,30}$/)),
  Schema.Literals(["::1", "fe80::1", "::ffff:1.2.3.4", "1.2.3.4", "bücher", "服务器", "none", "localhost"])
])
const UserText = Schema.Union([
  Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_][A-Za-z0-9._@+-]{0,20}$/)),
  Schema.Literals(["DOM\\me", "ünal", "a@b", "none"])
])
const PortNumber = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65535 }))
const Path = Schema.String.check(
  Schema.isPattern(/^(~\/|\/)[A-Za-z *?[\]{}'"\\#()`;&|<>~!ü%=,:@+-]{1,24}$/),
  Schema.makeFilter((value) => Schema.is(LocalPath)(value))
)
const Hop = Schema.Struct({
  host: HostText,
  user: Schema.optionalKey(UserText),
  port: Schema.optionalKey(PortNumber)
})
const Fields = Schema.Struct({
  host: HostText,
  user: Schema.optionalKey(UserText),
  port: Schema.optionalKey(PortNumber),
  identityFile: Schema.optionalKey(Path),
  hops: Schema.Array(Hop).check(Schema.isMaxLength(3))
}).check(
  // ssh refuses a host that is its own jump host.
  Schema.makeFilter(({ host, hops }) => hops.every((hop) => hop.host !== host))
)

const destinationOf = ({ hops, ...fields }: typeof Fields.Type) =>
  new Destination({
    ...fields,
    ...(hops.length === 0 ? undefined : { proxyJump: hops.map(joinAddress).join(",") })
  })

/** What `ssh -G` says, as lists of values by keyword. */
const ask = Effect.fnUntraced(function*(words: ReadonlyArray<string>) {
  const { code, stderr, stdout } = yield* Process.run("ssh", words)
  assert.strictEqual(code, 0, `${words.join(" ")}: ${stderr}`)
  return Map.groupBy(stdout.trimEnd().split("\n"), (line) => line.slice(0, line.indexOf(" ")))
})

const resolve = (destination: Destination) => ask(Argv.resolve({ config: "none", destination, home }))

const value = (answer: ReadonlyMap<string, ReadonlyArray<string>>, keyword: string) =>
  answer.get(keyword)?.[0]?.slice(keyword.length + 1)

describe("words, read by the real ssh", () => {
  it.live.prop(
    "every value comes out as it was put in",
    [Fields],
    ([fields]) =>
      Effect.gen(function*() {
        const destination = destinationOf(fields)
        const answer = yield* resolve(destination)
        assert.strictEqual(value(answer, "hostname"), fields.host)
        if (fields.user !== undefined) assert.strictEqual(value(answer, "user"), fields.user)
        assert.strictEqual(value(answer, "port"), String(fields.port ?? 22))
        if (fields.identityFile !== undefined) {
          assert.deepStrictEqual(
            answer.get("identityfile"),
            [`identityfile ${expandHome(fields.identityFile, home).replaceAll("%", "%%")}`]
          )
          assert.strictEqual(value(answer, "identitiesonly"), "yes")
        }
        assert.deepStrictEqual(
          value(answer, "proxyjump")?.split(",").map(splitAddress) ?? [],
          // A single "none" is not a host.
          destination.proxyJump === "none" ? [] : fields.hops.map((hop) => ({ ...hop }))
        )
      }),
    { arbitrary: { runs: 60 } }
  )

  it.live.prop(
    "a person's words mean the same",
    [Fields],
    ([fields]) =>
      Effect.gen(function*() {
        const destination = destinationOf(fields)
        const ours = yield* resolve(destination)
        const { host, options } = Argv.target(destination, home)
        // A file that is missing is kept by -o and dropped by -i.
        const byPath = options.indexOf("-i")
        const kept = byPath === -1
          ? options
          : options.with(byPath, "-o").with(
            byPath + 1,
            `IdentityFile="${options[byPath + 1]?.replace(/[\\"]/g, "\\$&")}"`
          )
        const theirs = yield* ask(["-F", "none", "-T", "-G", ...kept, host])
        assert.deepStrictEqual([...theirs], [...ours])
      }),
    { arbitrary: { runs: 60 } }
  )

  const hostile = [
    "-oProxyCommand=touch /tmp/hit",
    "-F/dev/null",
    "--",
    "-",
    "x -oProxyCommand=y",
    "x\n-oProxyCommand=y",
    "x\nProxyCommand y",
    "x\0-oProxyCommand=y",
    "%h",
    "%%",
    "${HOME}",
    "$(touch /tmp/hit)",
    "`touch /tmp/hit`",
    "x;touch /tmp/hit",
    "x|y",
    "x&y",
    "'x'",
    "\"x\"",
    "x\" -oProxyCommand=y \"",
    "x,-oProxyCommand=y",
    "x@-oProxyCommand=y",
    "-oProxyCommand=y@x",
    "\u2010oProxyCommand=x",
    "\uFF0DoProxyCommand=x",
    "\u202Ex",
    "\u200Bx",
    "\r-oX",
    "\t-oX",
    "~/-oX",
    "/-oProxyCommand=y\"",
    "/x\" -o \"ProxyCommand=y",
    "/x\" ProxyCommand=y \"",
    "/x\"\\",
    "/x\\\" y",
    "/ #",
    "C:\\x\"",
    "x".repeat(65_536),
    "/" + "x".repeat(4_095)
  ]

  /** What a value may change; every other line must be as it is for a harmless destination. */
  const own = ["host", "hostname", "user", "port", "identityfile", "identitiesonly", "proxyjump"]

  it.live("no hostile value that is let in adds or changes anything else", () =>
    Effect.gen(function*() {
      const rest = (answer: ReadonlyMap<string, ReadonlyArray<string>>) =>
        [...answer].filter(([keyword]) => !own.includes(keyword))
      const baseline = rest(yield* resolve(new Destination({ host: "box" })))
      const decode = Schema.decodeUnknownOption(Destination)
      for (const text of hostile) {
        for (const field of ["host", "user", "identityFile", "proxyJump"]) {
          const destination = decode({ host: "box", [field]: text })
          if (Option.isNone(destination)) continue
          const answer = yield* resolve(destination.value)
          assert.deepStrictEqual(rest(answer), baseline, `${field} ${JSON.stringify(text)}`)
        }
      }
    }))

  it("only paths of that corpus are let in", () => {
    const decode = Schema.decodeUnknownOption(Destination)
    const accepted = (field: string) =>
      hostile.filter((text) => Option.isSome(decode({ host: "box", port: 22, [field]: text })))
    assert.deepStrictEqual(accepted("host"), [])
    assert.deepStrictEqual(accepted("user"), [])
    assert.deepStrictEqual(accepted("port"), [])
    assert.deepStrictEqual(accepted("proxyJump"), [])
    assert.isTrue(accepted("identityFile").every((text) => /^(~?\/|C:)/.test(text)))
  })
})
