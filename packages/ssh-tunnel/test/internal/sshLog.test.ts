import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Log from "../../src/internal/sshLog.ts"
import { AnyText, textOf, transcript, transcripts } from "./transcripts.ts"

const read = (...chunks: ReadonlyArray<string>) => {
  const events: Array<Log.SshEvent> = []
  let log = Log.empty
  for (const chunk of chunks) {
    const [more, next] = Log.append(log, chunk)
    events.push(...more)
    log = next
  }
  return { events, log }
}

/** Everything that is known, in the order of the channels' numbers: their order of opening is no fact. */
const facts = ({ channels, text: _, ...log }: Log.SshLog) => ({
  ...log,
  tail: "",
  channels: [...channels].sort(([a], [b]) => a - b)
})

const linesOf = (name: string): ReadonlyArray<string> => transcript(name).stderr.split("\n").map((line) => `${line}\n`)

/** What a person would see, each step once. */
const steps = (name: string): ReadonlyArray<string> => {
  const seen: Array<string> = []
  let log = Log.empty
  for (const line of linesOf(name)) {
    log = Log.append(log, line)[1]
    const { hop, step, waitingFor } = Log.progress(log)
    const text = [step, hop, waitingFor].filter((word) => word !== undefined).join(" ")
    if (seen.at(-1) !== text) seen.push(text)
  }
  return seen
}

describe("progress", () => {
  it("starts where nothing was said", () => {
    assert.deepStrictEqual(Log.progress(Log.empty), { step: "starting" })
  })

  it("names the jump host that ssh is busy with", () => {
    assert.deepStrictEqual(steps("up"), ["connecting", "authenticating"])
    assert.deepStrictEqual(steps("name-not-found"), ["starting"])
    assert.deepStrictEqual(steps("jump-up"), [
      "connecting bastion",
      "authenticating bastion",
      "connecting",
      "authenticating"
    ])
    assert.deepStrictEqual(steps("jump-two-second-refuses-key"), [
      "connecting box",
      "connecting bastion",
      "authenticating bastion",
      "connecting box",
      "authenticating box"
    ])
  })

  it("tells that a security key waits, from a file and from the agent, and no longer when it is over", () => {
    for (const name of ["source-security-key-waiting", "source-security-key-agent-waiting"]) {
      assert.deepStrictEqual(Log.progress(read(transcript(name).stderr).log), {
        step: "authenticating",
        waitingFor: "security-key"
      })
    }
    for (const name of ["source-security-key-pin", "source-security-key-absent", "key-locked"]) {
      assert.deepStrictEqual(Log.progress(read(transcript(name).stderr).log), { step: "authenticating" })
    }
  })

  it("knows when ssh has logged in at the destination, not at a jump host", () => {
    let log = Log.empty
    let hopAuthenticated = false
    for (const line of linesOf("jump-up")) {
      log = Log.append(log, line)[1]
      if (line.startsWith("Authenticated to 127.0.0.1 ([")) hopAuthenticated = true
      assert.strictEqual(Log.isAuthenticated(log), Log.isAuthenticated(log) && hopAuthenticated)
      if (line.startsWith("Authenticated to 127.0.0.1 ([")) assert.isFalse(Log.isAuthenticated(log))
    }
    assert.isTrue(Log.isAuthenticated(log))
  })
})

describe("forwards", () => {
  const rejected = (localPort: number, remotePort: number, rejection: "connect-failed" | "prohibited") => ({
    _tag: "Rejected" as const,
    localPort,
    remotePort,
    rejection
  })

  for (const name of ["forward-refused-and-prohibited", "source-8.2-forwards"]) {
    it(`${name}: each refusal belongs to its forward, although channels are used again`, () => {
      const { events } = read(transcript(name).stderr)
      const refusals = events.filter(({ _tag }) => _tag === "Rejected")
      // Three at once may be answered in any order.
      assert.deepStrictEqual([...refusals.slice(0, 4), refusals.at(-1)], [
        rejected(40001, 9001, "connect-failed"),
        rejected(40002, 9002, "prohibited"),
        rejected(40002, 9002, "prohibited"),
        rejected(40001, 9001, "connect-failed"),
        rejected(40001, 9002, "prohibited")
      ])
      assert.sameDeepMembers(refusals.slice(4, -1), [
        rejected(40001, 9001, "connect-failed"),
        rejected(40002, 9002, "prohibited")
      ])
      assert.deepStrictEqual(events.flatMap((event) => event._tag === "Listening" ? [event.localPort] : []), [
        40001,
        40002,
        40003,
        40001
      ])
    })
  }

  it("a forward that sshd forbids", () => {
    assert.deepStrictEqual(read(transcript("forward-prohibited").stderr).events, [
      { _tag: "Listening", localPort: 40001 },
      rejected(40001, 9001, "prohibited")
    ])
  })

  it("a local port that is taken is never said to be listened on", () => {
    for (const name of ["forward-local-port-taken", "plain-local-port-taken"]) {
      assert.deepStrictEqual(read(transcript(name).stderr).events, [
        { _tag: "BindFailed", localPort: 40001, taken: true, detail: "Address already in use" }
      ])
    }
    assert.deepStrictEqual(read(transcript("plain-privileged-port").stderr).events, [
      { _tag: "BindFailed", localPort: 40001, taken: false, detail: "Cannot assign requested address" }
    ])
  })

  it("an ssh for one forward is ready when it listens, not when it says that it will", () => {
    const lines = linesOf("plain-up")
    const at = lines.findIndex((line) => line.includes("Local forwarding listening on"))
    assert.deepStrictEqual(read(lines.slice(0, at + 1).join("")).events, [])
    assert.deepStrictEqual(read(lines.slice(0, at + 2).join("")).events, [{ _tag: "Listening", localPort: 40001 }])
  })

  it("tells a refused session from a refused forward", () => {
    for (const { name, stderr } of transcripts) {
      const { events, log } = read(stderr)
      assert.strictEqual(Log.isSessionRefused(log), name.includes("sessions-refused"), name)
      if (name.includes("sessions-refused")) {
        assert.deepStrictEqual(events.filter(({ _tag }) => _tag === "Rejected"), [])
      }
    }
  })

  it("a channel that was closed is nobody's, until it is opened again", () => {
    const failed = "channel 1: open failed: connect failed: Connection refused\r\n"
    const lines = linesOf("plain-up")
    const freed = lines.findIndex((line) => line.startsWith("debug1: channel 1: free"))
    assert.strictEqual(read(lines.slice(0, freed).join("")).events.length, 2)
    assert.strictEqual(read(lines.slice(0, freed + 1).join(""), failed).events.length, 2)
    const open = lines.slice(0, freed - 1).join("")
    assert.deepStrictEqual(read(open).events, [{ _tag: "Listening", localPort: 40001 }])
    assert.strictEqual(read(open, lines[freed] ?? "", failed).events.length, 1)
  })

  it("nothing of it can be said before the login", () => {
    const live = linesOf("forward-refused-and-prohibited")
    const login = live.findIndex((line) => line.startsWith("Authenticated to"))
    assert.deepStrictEqual(read(live.slice(login + 1).join("")).events, [])
  })
})

describe("what the other side may say", () => {
  const everything = transcripts.map(({ stderr }) => stderr).join("")
  const until = (name: string, text: string): Log.SshLog => {
    const lines = linesOf(name)
    return read(lines.slice(0, lines.findIndex((line) => line.startsWith(text)) + 1).join("")).log
  }
  const failuresIn = (log: Log.SshLog, steps: ReadonlyArray<string>): ReadonlyArray<string> => {
    const said = everything.split("\r\n").filter((line) => !steps.some((step) => line.startsWith(step)))
    const tags = said.map((line) => Log.append(log, `${line}\r\n`)[1].failures.at(-1)?._tag)
    return [...new Set(tags)].filter((tag) => tag !== undefined).sort()
  }
  const always = [
    "BannerTimedOut",
    "Closed",
    "Disconnected",
    "DisconnectedFrom",
    "Lost",
    "NotIdentified",
    "NotResponding",
    "TimedOut"
  ]

  it("is bounded by what ssh itself could say in this stage", () => {
    const steps = ["debug1: "]
    assert.deepStrictEqual(failuresIn(until("up", "debug1: Connecting to"), steps), [...always, "ConnectFailed"].sort())
    assert.deepStrictEqual(
      failuresIn(until("up", "debug1: Authenticating to"), steps),
      [
        ...always,
        "KeyChanged",
        "KeyOffending",
        "KeyRevoked",
        "KeyRevokedByFile",
        "KeyUnknown",
        "NoCommon",
        "RevokedKeysUnreadable",
        "VerificationFailed"
      ].sort()
    )
    assert.deepStrictEqual(
      failuresIn(until("up", "debug1: SSH2_MSG_SERVICE_ACCEPT"), steps),
      [...always, "PermissionDenied"].sort()
    )
    assert.deepStrictEqual(failuresIn(until("up", "debug1: Entering"), steps), [...always, "SocketFailed"].sort())
  })

  it("does not make a file of it that ssh has not named", () => {
    const login = until("up", "debug1: SSH2_MSG_SERVICE_ACCEPT")
    const problem = (file: string) =>
      Log.append(login, `Load key "${file}": bad permissions\r\ndebug1: Trying private key: ${file}\r\n`)[1]
    const own = problem("/home/me/.ssh/id_ed25519").connections[0]
    assert.deepStrictEqual([own?.identities.length, own?.attempts.length], [1, 1])
    const foreign = problem("/etc/shadow").connections[0]
    assert.deepStrictEqual([foreign?.identities.length, foreign?.attempts.length], [0, 0])
    const named = Log.append(login, "debug1: identity file /etc/shadow type -1\r\n")[1]
    assert.deepStrictEqual(named.identityFiles, login.identityFiles)
  })

  it("does not let a jump host pretend that its login is over", () => {
    const login = until("jump-key-refused", "debug1: SSH2_MSG_SERVICE_ACCEPT")
    const [, forged] = Log.append(
      login,
      "Authenticated to 127.0.0.1 ([127.0.0.1]:2202).\r\ndebug1: Remote protocol version 2.0, remote software version x\r\n" +
        "debug1: Server host key: ssh-ed25519 SHA256:evil\r\nNo ED25519 host key is known for inner and you have requested strict checking.\r\n"
    )
    assert.strictEqual(forged.current, 0)
    const [, log] = Log.append(forged, "debug1: Authentications that can continue: publickey\r\n")
    assert.strictEqual(log.current, 1)
    assert.deepStrictEqual(log.failures, [])
    assert.deepStrictEqual(log.connections[0], login.connections[0])
    assert.deepStrictEqual(Log.progress(log), { step: "authenticating", hop: "bastion" })
  })
})

describe("the last words", () => {
  const words = (text: string) => Log.append(Log.empty, text)[1].lastWords

  it("are those of the program, without ssh's lines and without the shell's name", () => {
    const complaint = "/opt/no-such-program: not found"
    for (
      const text of [
        `debug1: Executing proxy command: exec x\r\n/bin/sh: 1: exec: ${complaint}\ndebug1: Local version string\r\n`,
        // dash writes it in three pieces, and ssh goes on meanwhile.
        `/bin/sh: 1: exec: debug1: identity file a type -1\r\n${complaint}\ndebug1: Local version string\r\n`,
        `/bin/sh: 1: exec: ${complaint}debug1: identity file a type -1\r\n\ndebug1: Local version string\r\n`,
        `bash: line 1: exec: ${complaint}\n`,
        `/usr/bin/bash: line 1: ${complaint}\n`
      ]
    ) assert.strictEqual(words(text), complaint, text)
    assert.strictEqual(words("proxy: not today\ndebug1: x\r\n"), "proxy: not today")
    assert.strictEqual(words("debug1: x\r\n"), "")
  })
})

describe("text", () => {
  const Cuts = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 900 })))

  const cut = (text: string, sizes: ReadonlyArray<number>): ReadonlyArray<string> => {
    const chunks: Array<string> = []
    let from = 0
    for (const size of sizes) {
      chunks.push(text.slice(from, from + size))
      from += size
    }
    return [...chunks, text.slice(from)]
  }

  it.effect.prop(
    "is understood the same however it is cut into chunks",
    [Schema.Literals(transcripts.map(({ name }) => name)), Cuts],
    ([name, sizes]) =>
      Effect.sync(() => {
        const { stderr } = transcript(name)
        const whole = read(stderr)
        const parts = read(...cut(stderr, sizes))
        assert.deepStrictEqual(facts(parts.log), facts(whole.log))
        assert.deepStrictEqual(parts.events, whole.events)
        assert.strictEqual(Log.tail(parts.log), Log.tail(whole.log))
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop(
    "so is any other text",
    [AnyText, Cuts],
    ([lines, sizes]) =>
      Effect.sync(() => {
        const text = textOf(lines)
        const whole = read(text)
        const parts = read(...cut(text, sizes))
        assert.deepStrictEqual(facts(parts.log), facts(whole.log))
        assert.deepStrictEqual(parts.events, whole.events)
        assert.strictEqual(Log.tail(parts.log), text.slice(-Log.tailLength))
      }),
    { arbitrary: { runs: 300 } }
  )

  it("is understood character by character", () => {
    for (const name of ["host-key-changed", "forward-refused-and-prohibited", "jump-two-second-refuses-key"]) {
      const { stderr } = transcript(name)
      assert.deepStrictEqual(facts(read(...stderr).log), facts(read(stderr).log))
    }
  })

  it("only counts when its line ended as ssh's log ends lines", () => {
    const stderr = transcript("refused").stderr
    assert.isAbove(read(stderr).log.failures.length, 0)
    assert.deepStrictEqual(read(stderr.replaceAll("\r\n", "\n")).log.failures, [])
    assert.deepStrictEqual(read(stderr.slice(0, -2)).log.failures, [])
  })

  it("keeps the last 16 KiB", () => {
    const { log } = read("a".repeat(Log.tailLength), "b".repeat(Log.tailLength - 1), "c")
    assert.strictEqual(Log.tail(log), `${"b".repeat(Log.tailLength - 1)}c`)
    assert.strictEqual(Log.tail(read("x").log), "x")
  })

  it("keeps no more of many small pieces", () => {
    let log = Log.empty
    for (let index = 0; index < 20_000; index++) {
      log = Log.append(log, `${index}: ${"s".repeat(50)}\n`)[1]
      assert.isAtMost(log.text.length, 2 * Log.tailLength)
    }
    assert.isTrue(Log.tail(log).endsWith(`19999: ${"s".repeat(50)}\n`))
    assert.strictEqual(Log.tail(log).length, Log.tailLength)
  })

  it("a line that is too long tells nothing, and the next one does", () => {
    const line = "ssh: Could not resolve hostname box: Name or service not known"
    const long = `${line}${" ".repeat(Log.maxLineLength)}\r\n`
    for (const chunks of [[long], [long.slice(0, 100), long.slice(100)], [long.slice(0, -3), long.slice(-3)]]) {
      assert.deepStrictEqual(read(...chunks).log.failures, [])
      assert.deepStrictEqual(read(...chunks, `${line}\r\n`).log.failures.map(({ _tag }) => _tag), ["NotResolved"])
    }
  })
})

/** Everything that a value holds on to: the characters of its texts, and one for each other value. */
const weight = (value: unknown): number => {
  if (typeof value === "string") return value.length
  if (value instanceof Map) return [...value].reduce((sum, [key, item]) => sum + weight(key) + weight(item), 1)
  if (typeof value === "object" && value !== null) {
    return Object.values(value).reduce<number>((sum, item) => sum + weight(item), 1)
  }
  return 1
}

describe("10 MB of anything", () => {
  const size = 10 * 1024 * 1024
  const chunkSize = 64 * 1024
  const login = linesOf("up").slice(0, linesOf("up").findIndex((line) => line.startsWith("Authenticated to")))

  const pour = (log: Log.SshLog, next: (index: number) => string) => {
    let poured = 0
    let heaviest = 0
    let mostEvents = 0
    for (let index = 0; poured < size; poured += chunkSize) {
      let chunk = ""
      while (chunk.length < chunkSize) chunk += next(index++)
      const [events, after] = Log.append(log, chunk)
      log = after
      heaviest = Math.max(heaviest, weight(log))
      mostEvents = Math.max(mostEvents, events.length)
    }
    return { log, heaviest, mostEvents }
  }

  const before: Record<string, Log.SshLog> = {
    "before the connection": Log.empty,
    "during the login": read(login.join("")).log,
    "on a live connection": read(linesOf("up").slice(0, -4).join("")).log
  }

  const everything = transcripts.flatMap(({ stderr }) => stderr.split("\n").map((line) => `${line}\n`))
  const floods: Record<string, (index: number) => string> = {
    "without any line end": () => "x".repeat(1000),
    "of empty lines": () => "\r\n".repeat(500),
    "of long lines": (index) => `${index}${"y".repeat(Log.maxLineLength - 10)}\r\n`,
    "of lines too long": (index) => `${index}${"z".repeat(3 * Log.maxLineLength)}\r\n`,
    "of ssh's own lines": (index) => everything[index % everything.length] ?? "",
    "of failures": (index) => `Received disconnect from 127.0.0.1 port 22:2: ${index}${"!".repeat(3000)}\r\n`,
    "of keys": (index) =>
      `debug1: Will attempt key: /k${index}${"k".repeat(3000)} explicit\r\ndebug1: Trying private key: /k${index}\r\n`,
    "of offers": (index) => `debug1: Offering public key: /k${index}${"k".repeat(3000)} RSA SHA256:x agent\r\n`,
    "of identity files": (index) => `debug1: identity file /k${index}${"k".repeat(3000)} type 0\r\n`,
    "of unusable identity files": (index) => `Load key "/k${index}${"k".repeat(3000)}": invalid format\r\n`,
    "of jump hosts": (index) => `debug1: Executing proxy command: exec ssh ${index}${"p".repeat(3000)}\r\n`,
    "of channels": (index) => `debug1: channel ${index}: new session [${"c".repeat(100)}]\r\n`,
    "of forwards": (index) =>
      `debug1: Connection to port ${index} forwarding to 127.0.0.1 port 1 requested.\r\n` +
      `debug1: channel ${index}: new direct-tcpip [direct-tcpip]\r\n`,
    "of methods": () => `debug1: Authentications that can continue: ${"password,".repeat(400)}\r\n`
  }

  for (const [when, log] of Object.entries(before)) {
    for (const [what, next] of Object.entries(floods)) {
      it(`${what} ${when} costs bounded memory`, () => {
        const { heaviest, log: after, mostEvents } = pour(log, next)
        assert.isBelow(heaviest, 1024 * 1024)
        assert.isAtMost(after.channels.size, 1024)
        assert.isBelow(mostEvents, chunkSize / 40)
      })
    }
  }
})
