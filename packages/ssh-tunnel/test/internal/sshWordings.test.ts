import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import {
  candidates,
  type Fact,
  passingProblem,
  read,
  variableWordings,
  type Wording,
  wordings
} from "../../src/internal/sshWordings.ts"
import { transcripts } from "./transcripts.ts"

const lines = [...new Set(transcripts.flatMap(({ stderr }) => stderr.split(/\r?\n/)))]

/** Lines that no transcript holds, as OpenSSH's sources print them. */
const fromSource: ReadonlyArray<readonly [line: string, tag: Fact["_tag"]]> = [
  ["ssh: Could not resolve host \"box\"", "NotResolved"],
  ["unix_listener: cannot listen on path c1.abcdefghijklmnop: Invalid argument", "SocketFailed"],
  ["ControlSocket c1 already exists, disabling multiplexing", "SocketFailed"],
  ["client_loop: send disconnect: Broken pipe", "Lost"],
  [
    "channel_setup_fwd_listener_tcpip: getaddrinfo(127.0.0.1): Address family for hostname not supported",
    "FamilyRefused"
  ],
  ["Read from remote host box: Connection reset by peer", "Lost"],
  ["ssh_dispatch_run_fatal: Connection to 192.0.2.1 port 22: message authentication code incorrect", "Closed"],
  // Seen, too, when a proxy is gone early: a race that cannot be recorded.
  ["banner exchange: Connection to UNKNOWN port 65535: Broken pipe", "NotIdentified"],
  ["config line 27: Can't open user config file /home/me/.ssh/config: Permission denied", "ConfigInvalid"],
  ["inconsistent options: ProxyCommand+ProxyJump", "ConfigInvalid"],
  ["Too many recursive configuration includes", "ConfigInvalid"],
  ["hostname contains invalid characters", "ConfigInvalid"],
  ["remote username contains invalid characters", "ConfigInvalid"],
  ["debug1: Server host certificate: ssh-ed25519-cert-v01@openssh.com SHA256:x, serial 0 ID \"a", "Forged"]
]

const taker = (line: string): Wording | undefined => candidates(line).find(({ pattern }) => pattern.test(line))

describe("the table", () => {
  it("has no row that nothing proves", () => {
    const taken = new Set([...lines, ...fromSource.map(([line]) => line)].map(taker))
    const unproven = [...wordings, ...variableWordings].filter((row) => !taken.has(row))
    assert.deepStrictEqual(unproven.map(({ pattern }) => pattern.source), [])
  })

  it("reads lines that were only found in the sources", () => {
    for (const [line, tag] of fromSource) assert.strictEqual(read(line)?._tag, tag, line)
  })

  it("begins each row with the words that select it, and takes whole lines", () => {
    for (const { pattern, prefix } of [...wordings, ...variableWordings]) {
      assert.isTrue(pattern.source.replaceAll("\\", "").startsWith(`^${prefix}`), pattern.source)
      assert.isTrue(pattern.source.endsWith("$"), pattern.source)
      assert.strictEqual(pattern.flags, "")
    }
  })

  it("tries a handful of rows on any line", () => {
    for (const { prefix } of wordings) assert.isAtMost(candidates(`${prefix} and more`).length, 16)
    for (const line of ["", " ", "debug1:", "debug1: ", "constructor", "__proto__ x", "a b c"]) {
      assert.isAtMost(candidates(line).length, variableWordings.length)
    }
  })

  it.effect.prop(
    "is total",
    [Schema.String, Schema.Literals([...wordings, ...variableWordings].map(({ prefix }) => prefix))],
    ([text, prefix]) =>
      Effect.sync(() => {
        for (const line of [text, `${prefix} ${text}`, `${prefix}${text}`, `debug1: ${text}`]) {
          assert.isAtMost(candidates(line).length, 16)
          read(line)
        }
      }),
    { arbitrary: { runs: 500 } }
  )
})

describe("a line", () => {
  it("of a jump host that ssh uses by itself names it", () => {
    const hop = (command: string) => {
      const fact = read(`debug1: Executing proxy command: exec ${command}`)
      return fact?._tag === "ProxyCommand" ? fact.hop : "nothing"
    }
    assert.strictEqual(hop("ssh -F config -W '[127.0.0.1]:22' bastion"), "bastion")
    assert.strictEqual(hop("./ssh -l me -p 2222 -J a,b -F config -W '[::1]:22' ::1"), "::1")
    assert.isUndefined(hop("ssh -W 127.0.0.1:22 bastion"))
    assert.isUndefined(hop("nc 127.0.0.1 22"))
    assert.isUndefined(hop("sh -c \"ssh -W '[127.0.0.1]:22' bastion; true\""))
  })

  it("of a key has its file, however it is written", () => {
    const file = (line: string) => {
      const fact = read(line)
      return fact !== undefined && "key" in fact ? fact.key : undefined
    }
    const key = { file: "/home/me/my keys/id", type: "ED25519", fingerprint: "SHA256:x", explicit: true, agent: false }
    assert.deepStrictEqual(file("debug1: Offering public key: /home/me/my keys/id ED25519 SHA256:x explicit"), key)
    assert.deepStrictEqual(file("debug1: Will attempt key: /home/me/my keys/id  explicit"), {
      ...key,
      type: "",
      fingerprint: ""
    })
    assert.deepStrictEqual(file("debug1: Will attempt key: /home/me/id "), {
      ...key,
      file: "/home/me/id",
      type: "",
      fingerprint: "",
      explicit: false
    })
    assert.deepStrictEqual(file("debug1: Offering public key: my key RSA SHA256:x agent"), {
      ...key,
      file: "my key",
      type: "RSA",
      explicit: false,
      agent: true
    })
    assert.deepStrictEqual(file("debug1: Offering public key: ED25519 SHA256:x /home/me/my keys/id"), {
      ...key,
      explicit: false
    })
  })

  it("with more before or after it is another line", () => {
    const told = lines.filter((line) => wordings.some((row) => row === taker(line)))
    assert.isAbove(told.length, 150)
    for (const line of told) assert.isUndefined(read(`x${line}`), line)
    const closed = [
      "Host key verification failed.",
      "stdio forwarding failed",
      "Connection timed out during banner exchange",
      "me@127.0.0.1: Permission denied (publickey).",
      "No ED25519 host key is known for box and you have requested strict checking."
    ]
    for (const line of closed) {
      assert.isDefined(read(line), line)
      assert.isUndefined(read(`${line} (not really)`), line)
      assert.isUndefined(read(`${line}\n`), line)
    }
  })

  it("in another language tells nothing", () => {
    assert.isUndefined(read("ssh: Verbindung zu Host box Port 22: Verbindung verweigert"))
    assert.strictEqual(passingProblem("Verbindung verweigert"), undefined)
    assert.strictEqual(passingProblem("constructor"), undefined)
  })
})
