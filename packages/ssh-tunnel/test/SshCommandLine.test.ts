import { assert, describe, it } from "@effect/vitest"
import * as Process from "@opencode-ai/ssh-lab/Process"
import { Effect, Result, Schema } from "effect"
import { Destination, joinAddress, LocalPath } from "../src/Destination.ts"
import * as Argv from "../src/internal/argv.ts"
import { expandHome } from "../src/internal/overlay.ts"
import { shellLine } from "../src/Remedy.ts"
import { parse } from "../src/SshCommandLine.ts"

const home = "/home/me"

const destination = (text: string): Destination | string => {
  const result = parse(text)
  return Result.isSuccess(result) ? result.success.destination : result.failure.message
}

const refusals = (text: string): ReadonlyArray<string> => {
  const result = parse(text)
  return Result.isFailure(result) ? result.failure.refusals.map(({ option }) => option) : []
}

const explanation = (text: string): string => {
  const result = parse(text)
  return Result.isFailure(result) ? result.failure.refusals[0].explanation : "accepted"
}

const notes = (text: string): ReadonlyArray<string> => {
  const result = parse(text)
  return Result.isSuccess(result) ? result.success.notes.map(({ option }) => option) : ["refused"]
}

describe("destinations", () => {
  it("in every form", () => {
    assert.deepStrictEqual(destination("box"), new Destination({ host: "box" }))
    assert.deepStrictEqual(destination("  me@box  "), new Destination({ host: "box", user: "me" }))
    assert.deepStrictEqual(destination("box:2222"), new Destination({ host: "box", port: 2222 }))
    assert.deepStrictEqual(destination("me@[::1]:22"), new Destination({ host: "::1", user: "me", port: 22 }))
    assert.deepStrictEqual(destination("::1"), new Destination({ host: "::1" }))
    assert.deepStrictEqual(
      destination("ssh://me@box:2222/"),
      new Destination({ host: "box", user: "me", port: 2222 })
    )
    assert.deepStrictEqual(destination("'DOM\\me'@box"), new Destination({ host: "box", user: "DOM\\me" }))
  })

  it("a whole line, with or without ssh, prompt and comment", () => {
    const me = new Destination({ host: "box", user: "me" })
    for (
      const line of [
        "ssh me@box",
        "$ ssh me@box",
        "/usr/bin/ssh me@box # work",
        "ssh.exe me@box",
        "ssh -l me box",
        "box -l me"
      ]
    ) {
      assert.deepStrictEqual(destination(line), me, line)
    }
    assert.deepStrictEqual(destination("ssh ssh"), new Destination({ host: "ssh" }))
  })

  it("every supported option, in every way of writing it", () => {
    const everything = new Destination({
      host: "box",
      user: "me",
      port: 22,
      identityFile: "~/.ssh/my key",
      proxyJump: "a@jump:2,b",
      sshConfig: "/etc/other config"
    })
    assert.deepStrictEqual(
      destination("ssh -p 22 -l me -i ~/.ssh/'my key' -J a@jump:2,b -F \"/etc/other config\" box"),
      everything
    )
    assert.deepStrictEqual(
      destination(
        "ssh -vp22 -lme -o IdentityFile='\"~/.ssh/my key\"' -oProxyJump=a@jump:2,b -F'/etc/other config' -- box"
      ),
      everything
    )
    assert.deepStrictEqual(
      destination(
        "ssh -o 'Port 22' -o user=me box -i \"$HOME/.ssh/my key\" -o \"ProxyJump = a@jump:2,b\" -F /etc/other\\ config"
      ),
      everything
    )
    assert.deepStrictEqual(
      destination("ssh \\\n  -p 22 \\\r\n  ${HOME}"),
      "destination: \"~\" is not a destination: [user@]host[:port] or ssh://[user@]host[:port]"
    )
  })

  it("the first value wins, as for ssh; of -F the last", () => {
    assert.deepStrictEqual(
      destination("ssh -p 1 -l a b@box:2 -p 3 -F /x -F /y"),
      new Destination({ host: "box", user: "a", port: 1, sshConfig: "/y" })
    )
    assert.deepStrictEqual(destination("ssh b@box -l a"), new Destination({ host: "box", user: "b" }))
  })

  it("no config and no jump", () => {
    assert.deepStrictEqual(destination("ssh -F NONE box"), new Destination({ host: "box", sshConfig: "none" }))
    assert.deepStrictEqual(destination("ssh -F /dev/null box"), new Destination({ host: "box", sshConfig: "none" }))
    assert.deepStrictEqual(destination("ssh -J none box"), new Destination({ host: "box", proxyJump: "none" }))
  })

  it("paths of Windows and tokens in paths", () => {
    assert.deepStrictEqual(
      destination("ssh -i C:\\Users\\me\\.ssh\\key me@box"),
      new Destination({ host: "box", user: "me", identityFile: "C:\\Users\\me\\.ssh\\key" })
    )
    assert.deepStrictEqual(
      destination("ssh -o IdentityFile=/a/100%%key box"),
      new Destination({ host: "box", identityFile: "/a/100%key" })
    )
    assert.match(explanation("ssh -i /a/%u box"), /Tokens/)
    assert.match(explanation("ssh -i key box"), /whole path/)
    assert.match(explanation("ssh -F ../config box"), /whole path/)
  })
})

describe("what is refused says why", () => {
  it("each option by its name, all at once", () => {
    assert.deepStrictEqual(refusals("ssh -NL 4096:localhost:4096 -A -o HostName=x -D1080 box uptime -l"), [
      "-L",
      "-A",
      "-o HostName",
      "-D",
      "command"
    ])
    assert.deepStrictEqual(
      refusals("ssh -R 1:a:2 -W a:1 -w 0 -X -Y -g -s -S x -O exit -G -Q key -V box"),
      Array.from("RWwXYgsSOGQV", (letter) => `-${letter}`)
    )
    assert.match(explanation("ssh -L 1:a:2 box"), /forward/)
    assert.match(explanation("ssh box rm -rf /"), /leave out "rm -rf \/"/)
    assert.match(explanation("ssh -Z box"), /no such option/)
    assert.match(explanation("ssh box -p"), /missing/)
  })

  it("what belongs into the ssh config, in the words to write there", () => {
    assert.include(explanation("ssh -4 box"), "\"AddressFamily inet\"")
    assert.include(explanation("ssh -c aes128-ctr box"), "\"Ciphers aes128-ctr\"")
    assert.include(explanation("ssh -o ProxyCommand='nc %h %p' box"), "\"ProxyCommand nc %h %p\"")
    assert.include(explanation("ssh -o IdentitiesOnly=yes box"), "\"IdentitiesOnly yes\"")
    assert.include(explanation("ssh -i /a -i /b box"), "config")
  })

  it("what would weaken the policy", () => {
    assert.match(explanation("ssh -o StrictHostKeyChecking=no box"), /terminal/)
    assert.match(explanation("ssh -o ForwardAgent=yes box"), /agent/)
    assert.match(explanation("ssh -o RemoteCommand=x box"), /commands/)
    assert.match(explanation("ssh -o LocalForward='1 a:2' box"), /forward/)
  })

  it("values that no destination may have", () => {
    assert.deepStrictEqual(refusals("ssh -p 0 -l -x -J -y -i -z box"), ["-p", "-l", "-J", "-i"])
    assert.deepStrictEqual(refusals("ssh -p 65536 a b"), ["-p", "command"])
    for (const host of ["-oProxyCommand=x", "-", "a/b", "%h", "user@", "@box", "box:", "a\\\"b", "[::1]x", ".x"]) {
      const quoted = shellLine(["ssh", "--", host])
      assert.deepStrictEqual(refusals(quoted), ["destination"], quoted)
    }
    assert.deepStrictEqual(refusals("ssh -o User='a b' -o Port= -o x -o 'User=\"' box"), [
      "-o User",
      "-o",
      "-o",
      "-o"
    ])
  })

  it("a line that only a shell could read", () => {
    for (
      const line of [
        "ssh $(whoami)@box",
        "ssh `x`",
        "ssh \"`x`\"",
        "ssh $USER@box",
        "ssh \"a$USER\"",
        "ssh a$HOME",
        "ssh box; rm x",
        "ssh box | cat",
        "ssh box &",
        "ssh box > x",
        "ssh box < x",
        "ssh (box)",
        "ssh 'box",
        "ssh \"box",
        "ssh box\\",
        "ssh a\nssh b"
      ]
    ) assert.deepStrictEqual(refusals(line), ["line"], line)
  })

  it("no host at all", () => {
    for (const line of ["", "   ", "ssh", "ssh -p 22", "# box", "ssh --"]) {
      assert.deepStrictEqual(refusals(line), ["destination"], line)
    }
    assert.deepStrictEqual(refusals("''"), ["destination"])
  })
})

describe("what the app does anyway", () => {
  it("is noted once, and the destination is taken", () => {
    const line =
      "ssh -fNTnqvvvtaxCkM2y -e none -E log -o BatchMode=yes -o ServerAliveInterval=60 -o ForwardAgent=no box"
    assert.deepStrictEqual(destination(line), new Destination({ host: "box" }))
    assert.deepStrictEqual(notes(line), [
      ...Array.from("fNTnqvtaxCkM2yeE", (letter) => `-${letter}`),
      "-o BatchMode",
      "-o ServerAliveInterval",
      "-o ForwardAgent"
    ])
    assert.deepStrictEqual(notes("ssh -i /key -o IdentitiesOnly=yes me@box"), [])
    assert.deepStrictEqual(notes("ssh -o StrictHostKeyChecking=yes box"), ["-o StrictHostKeyChecking"])
  })
})

/** Narrower than the real schemas, because values of `\p{…}` patterns cannot be generated. */
const HostText = Schema.Union([
  Schema.String.check(Schema.isPattern(/^[a-z_][a-z0-9._-]{0,20}$/)),
  Schema.Literals(["::1", "fe80::1", "1.2.3.4", "bücher"])
])
const UserText = Schema.Union([
  Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_][A-Za-z0-9._@+-]{0,10}$/)),
  Schema.Literals(["DOM\\me", "ünal"])
])
const PortNumber = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65535 }))
const PathText = Schema.String.check(
  Schema.isPattern(/^(~\/|\/|C:\\)[A-Za-z *?[\]{}'"\\#()`;&|<>~!ü%=$,:@+-]{1,24}$/),
  Schema.makeFilter((value) => Schema.is(LocalPath)(value))
)
const Hop = Schema.Struct({ host: HostText, user: Schema.optionalKey(UserText), port: Schema.optionalKey(PortNumber) })
const Fields = Schema.Struct({
  host: HostText,
  user: Schema.optionalKey(UserText),
  port: Schema.optionalKey(PortNumber),
  identityFile: Schema.optionalKey(PathText),
  sshConfig: Schema.optionalKey(PathText),
  hops: Schema.Array(Hop).check(Schema.isMaxLength(3))
})

/** Hops as ssh has them written: IPv6 always in brackets. */
const hopText = (hop: typeof Hop.Type): string => {
  const text = joinAddress(hop)
  return hop.host.includes(":") && hop.port === undefined ? text.replace(hop.host, `[${hop.host}]`) : text
}

describe("properties", () => {
  it.effect.prop(
    "the words that we show to people are read back as the same destination",
    [Fields],
    ([{ hops, ...fields }]) =>
      Effect.sync(() => {
        const original = new Destination({
          ...fields,
          ...(hops.length === 0 ? undefined : { proxyJump: hops.map(joinAddress).join(",") })
        })
        const { host, options } = Argv.target(original, home)
        const expected = new Destination({
          ...fields,
          ...(fields.identityFile === undefined ? undefined : { identityFile: expandHome(fields.identityFile, home) }),
          ...(fields.sshConfig === undefined ? undefined : { sshConfig: expandHome(fields.sshConfig, home) }),
          ...(hops.length === 0 ? undefined : { proxyJump: hops.map(hopText).join(",") })
        })
        const line = shellLine(["ssh", ...options, host])
        assert.deepStrictEqual(destination(line), expected, line)
        assert.deepStrictEqual(notes(line), [])
      })
  )

  const isDestination = Schema.is(Destination)

  it.effect.prop(
    "any text is a valid destination or refused with reasons",
    [Schema.String, Schema.String.check(Schema.isPattern(/^[-a-zA-Z0-9 @:[\]'"\\$#%/~.,=]{0,40}$/))],
    (texts) =>
      Effect.sync(() => {
        for (const text of [...texts, `ssh ${texts[1]}`, `ssh -o ${texts[1]} box`]) {
          const result = parse(text)
          if (Result.isSuccess(result)) assert.isTrue(isDestination(result.success.destination))
          else assert.isAbove(result.failure.message.length, 0)
        }
      })
  )

  const Part = Schema.Union([
    Schema.Literals([
      "-v",
      "-N",
      "-lme",
      "-l you",
      "-p22",
      "-p 2222",
      "-J jump",
      "-J a@b:3,[::1]",
      "-oUser=her"
    ]),
    Schema.Literals([
      "-o Port=77",
      "-o 'IdentityFile=\"/a b\"'",
      "-i /x\\ y",
      "-Nvlthem",
      "-o \"ProxyJump none\""
    ])
  ])
  const Line = Schema.Struct({
    before: Schema.Array(Part).check(Schema.isMaxLength(3)),
    host: Schema.Literals(["box", "him@box", "ssh://him@box:9", "'him'@box"]),
    after: Schema.Array(Part).check(Schema.isMaxLength(2))
  })

  const values = (output: string): ReadonlyArray<string> =>
    output.split("\n").filter((line) => /^(hostname|user|port|proxyjump|identityfile) /.test(line))

  it.live.prop(
    "a line means what a shell and ssh make of it",
    [Line],
    ([{ after, before, host }]) =>
      Effect.gen(function*() {
        const parts = [...before, ...after]
        const line = [...before, host, ...after].join(" ")
        const parsed = parse(`ssh ${line}`)
        // ssh refuses a second -J, and the app a second identity file.
        const theirs = yield* Process.run("sh", ["-c", `exec ssh -F none -T -G ${line}`])
        if (Result.isFailure(parsed)) {
          assert.isAbove(parts.filter((part) => /IdentityFile|-i/.test(part)).length, 1, parsed.failure.message)
          return
        }
        if (theirs.code !== 0) return assert.isAbove(parts.filter((part) => /Jump|-J/.test(part)).length, 1)
        const ours = yield* Process.run(
          "ssh",
          Argv.resolve({ config: "none", destination: parsed.success.destination, home })
        )
        const missing = parts.some((part) => part.startsWith("-i"))
        const without = (list: ReadonlyArray<string>) =>
          missing ? list.filter((value) => !value.startsWith("identityfile")) : list
        assert.deepStrictEqual(without(values(ours.stdout)), without(values(theirs.stdout)), line)
      }),
    { arbitrary: { runs: 60 } }
  )
})
