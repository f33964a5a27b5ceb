import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Redacted, Schema } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Redaction from "../src/Redaction.ts"
import {
  assertAbsent,
  encodings,
  Flag,
  index,
  Password,
  privateKeys,
  Token,
  unknownTokens
} from "./RedactionFixtures.ts"

const plain = Redaction.context({ pseudonyms: false })
const knowing = (...secrets: ReadonlyArray<string>) =>
  Redaction.context({ secrets: secrets.map((secret) => Redacted.make(secret)), pseudonyms: false })

const encoders = Object.entries(encodings)
const Piece = Arbitrary.schema(
  Schema.Literals([
    "debug1: Next authentication method: publickey\n",
    "INFO  ok ",
    "{\"a\":1} ",
    "\n",
    " ",
    "\t- ",
    "é "
  ])
)
const Filler = Arbitrary.map(Arbitrary.array(Piece, { minLength: 0, maxLength: 4 }), (parts) => parts.join(""))

/** Everything of which a person could read the secret. */
const readable = (secret: string): ReadonlyArray<string> => encoders.map(([, encode]) => encode(secret))

describe("Redaction of known secrets", () => {
  for (const [name, encode] of encoders) {
    it.effect.prop(
      name,
      { secret: Password, before: Filler, after: Filler, glued: Flag },
      ({ after, before, glued, secret }) =>
        Effect.sync(() => {
          const blank = glued ? "" : " "
          const text = `${before}${blank}${encode(secret)}${blank}${after}`
          const hidden = Redaction.redactText(text, knowing(secret))
          for (const form of readable(secret)) assertAbsent(hidden, form)
          assert.include(hidden, Redaction.marker)
          if (!glued) {
            assert.isTrue(hidden.startsWith(before), hidden)
            assert.isTrue(hidden.endsWith(after), hidden)
          }
        }),
      { arbitrary: { runs: 150 } }
    )
  }

  it.effect.prop(
    "whose beginning or end was cut off",
    { secret: Password, at: index(1000), encoder: index(encoders.length) },
    ({ at, encoder, secret }) =>
      Effect.sync(() => {
        const form = encoders[encoder]?.[1](secret) ?? ""
        const cut = 1 + at % (form.length - 1)
        const context = knowing(secret)
        const tail = Redaction.redactText(`${form.slice(cut)} behind\nnext line`, context, { cut: "start" })
        // Only of a form that has more than one line something is left.
        if (!form.includes("\n")) assert.strictEqual(tail, "next line")
        assert.isTrue(tail.endsWith("next line"))
        const head = Redaction.redactText(`line before ${form.slice(0, cut)}`, context, { cut: "end" })
        assert.isTrue(head.startsWith("line before"), head)
        // What is left of an escape or of quoting is no secret: `"`, `%`, `\\u00`, the beginning of a longer text.
        for (let length = 4; length <= secret.length; length++) {
          assertAbsent(head.slice("line before".length), secret.slice(0, length))
        }
      }),
    { arbitrary: { runs: 2000 } }
  )

  it("that are as short as a word hide only where they stand alone", () => {
    assert.strictEqual(
      Redaction.redactText("pin 12 of 1234, \"12\" and x12", knowing("12")),
      "pin <redacted> of 1234, \"<redacted>\" and x12"
    )
    assert.strictEqual(Redaction.redactText("nothing", knowing("")), "nothing")
  })

  it("that are as long as a key are found in parts", () => {
    const secret = Array.from({ length: 4000 }, (_, at) => String.fromCharCode(33 + (at * 7919 + (at >> 3)) % 90)).join(
      ""
    )
    const hidden = Redaction.redactText(`a ${secret} b ${Buffer.from(secret).toString("base64")} c`, knowing(secret))
    assert.match(hidden, /^a <redacted>.{0,3} b .{0,3}<redacted>.{0,3} c$/)
    assertAbsent(Redaction.redactText(secret.slice(1000, 2500), knowing(secret)), secret.slice(1400, 1420))
  })

  it("before an ellipsis are found by their beginning", () => {
    assert.strictEqual(
      Redaction.redactText("\"my hunter2-sw…\" is", knowing("hunter2-swordfish")),
      "\"my <redacted>…\" is"
    )
  })
})

describe("Redaction of secrets that nobody told us of", () => {
  for (const [name, write] of Object.entries(unknownTokens)) {
    it.effect.prop(
      name,
      { secret: Token, before: Filler, after: Filler },
      ({ after, before, secret }) =>
        Effect.sync(() => {
          const hidden = Redaction.redactText(`${before}\n${write(secret)}\n${after}`, plain)
          assertAbsent(hidden, secret)
          assertAbsent(hidden, Buffer.from(secret).toString("base64").slice(4, -4))
          assert.isTrue(hidden.startsWith(`${before}\n`) && hidden.endsWith(`\n${after}`), hidden)
        }),
      { arbitrary: { runs: 100 } }
    )
  }

  for (const [name, write] of Object.entries(privateKeys)) {
    it.effect.prop(
      name,
      { random: Token, after: Filler },
      ({ after, random }) =>
        Effect.sync(() => {
          const { body, text } = write(random)
          const hidden = Redaction.redactText(`before\n${text}\n# ${after}!`, plain)
          for (const line of body) assertAbsent(hidden, line.slice(0, 12))
          assert.isTrue(hidden.startsWith("before\n") && hidden.endsWith(`${after}!`), hidden)
        }),
      { arbitrary: { runs: 25 } }
    )
  }

  it("a private key from which the beginning was cut off", () => {
    const { body, text } = privateKeys["RSA PRIVATE KEY, truncated"]?.("Zk3") ?? { body: [], text: "" }
    const hidden = Redaction.redactText(text.slice(50), plain, { cut: "start" })
    for (const line of body) assertAbsent(hidden, line.slice(0, 12))
  })

  it("a fake frame of a key hides nothing of ssh's own words", () => {
    const words = "debug1: Authentications that can continue: publickey,password\nbox: Permission denied (publickey)."
    for (const end of ["", "\n-----END OPENSSH PRIVATE KEY-----"]) {
      assert.include(Redaction.redactText(`-----BEGIN OPENSSH PRIVATE KEY-----\n${words}${end}`, plain), words)
    }
  })
})

describe("Redaction of plain data", () => {
  it("hides by key, by flag, by Redacted, in keys and deep inside", () => {
    const context = Redaction.context({ secrets: [Redacted.make("swordfish")], users: ["alice"], hosts: ["box.corp"] })
    assert.deepStrictEqual(
      Redaction.redact({
        env: { OPENAI_API_KEY: "abc", PATH: "/bin", PORT: 1 },
        args: ["--password", "x y", "--port", "1", "--token", "--verbose"],
        pin: Redacted.make("1"),
        "swordfish of alice": [null, true, undefined, 7, "alice@box.corp"],
        token: ""
      }, context) as unknown,
      {
        env: { OPENAI_API_KEY: "<redacted>", PATH: "/bin", PORT: 1 },
        args: ["--password", "<redacted>", "--port", "1", "--token", "--verbose"],
        pin: "<redacted>",
        "<redacted> of user-1": [null, true, undefined, 7, "user-1@host-1"],
        token: ""
      }
    )
  })

  it("is total: cycles, prototypes, instances", () => {
    const cycle: Record<string, unknown> = { a: 1 }
    cycle["self"] = cycle
    assert.isDefined(Redaction.redact(cycle, plain))
    const odd = Redaction.redact(
      JSON.parse("{\"__proto__\":{\"password\":\"abc\"},\"toString\":\"x\"}") as object,
      plain
    )
    assert.strictEqual(JSON.stringify(odd), "{\"__proto__\":{\"password\":\"<redacted>\"},\"toString\":\"x\"}")
    assert.strictEqual(Redaction.redact(new Error("token=abcdef") as unknown, plain), "Error: token=<redacted>")
    assert.strictEqual(
      Redaction.redact(new Proxy(new Error("x"), { get: () => assert.fail() }) as unknown, plain),
      "[object]"
    )
  })

  it.effect.prop("gives one person one name", { a: Token, b: Token }, ({ a, b }) =>
    Effect.sync(() => {
      const context = Redaction.context({ users: [`u${a}`], hosts: [`${b}.corp.example`, "10.1.2.3"] })
      const { first, second } = Redaction.redact({
        first: `u${a}@${b}.corp.example via 10.1.2.3 and 10.9.9.9, x@y.corp`,
        second: `10.9.9.9 is y.corp; ${b.toUpperCase()}.corp.example (10.1.2.3): /home/u${a}/x`
      }, context)
      assert.strictEqual(first, "user-1@host-1 via ip-1 and ip-2, user-2@host-3")
      assert.strictEqual(second, "ip-2 is host-3; host-1 (ip-1): /home/user-1/x")
    }))
})

describe("Redaction of people and places", () => {
  const context = Redaction.context({
    users: ["alice", "me"],
    hosts: ["prod-db.corp.example", "dev", "2001:db8::7"],
    homes: ["/home/alice", "C:\\Users\\Alice B"],
    labels: ["Acme build farm"]
  })
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["/home/alice/.ssh/id /home/alice2/x /home/bob/.opencode", "~/.ssh/id /home/user-3/x /home/user-4/.opencode"],
    ["\"C:\\\\Users\\\\Alice B\\\\x\" C:\\Users\\carol\\x", "\"~\\\\x\" C:\\Users\\user-3\\x"],
    [
      "/data/u7/carol/.opencode/bin/opencode \"/srv/x/.ssh/id\" /.ssh/x /a/.config/b",
      "~/.opencode/bin/opencode \"~/.ssh/id\" /.ssh/x /a/.config/b"
    ],
    ["alice-laptop %2Fhome%2Falice%2Fx malice", "user-1-laptop %2Fhome%2Fuser-1%2Fx malice"],
    ["dev: refused; /dev/null; npm run dev-server", "host-2: refused; /dev/null; npm run dev-server"],
    ["tell me, as 'me'", "tell me, as 'me'"],
    ["debug1: Authenticating to dev:22 as 'me'", "debug1: Authenticating to host-2:22 as 'user-2'"],
    ["Connecting to prod-db [10.0.0.7] port 22.", "Connecting to host-3 [ip-2] port 22."],
    ["[2001:db8::7]:22 ::1 fe80::1%eth0 12:30:45", "[ip-1]:22 ::1 ip-2 12:30:45"],
    ["127.0.0.1 0.0.0.0 localhost root@localhost", "127.0.0.1 0.0.0.0 localhost root@localhost"],
    [
      "http://wiki.corp/x https://opencode.ai/install https://me:x@npm.acme.io/",
      "http://host-4/x https://opencode.ai/install https://user-2:<redacted>@host-5/"
    ],
    [
      "aes256-gcm@openssh.com effect@4.1.0 a@latest git@github.com:a/b",
      "aes256-gcm@openssh.com effect@4.1.0 a@latest git@github.com:a/b"
    ],
    ["OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.19 1.2.3 v1.2.3.4", "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.19 1.2.3 v1.2.3.4"],
    ["profile Acme build farm", "profile profile-1"],
    ["Dev", "host-2"],
    ["USER=carol HOSTNAME=vm7 {\"hostname\":\"vm7\"}", "USER=user-3 HOSTNAME=host-4 {\"hostname\":\"host-4\"}"]
  ]
  for (const [text, expected] of cases) {
    it(text, () => {
      assert.strictEqual(Redaction.redactText(text, context), expected)
      assert.strictEqual(Redaction.redactText(expected, context), expected)
      assert.strictEqual(Redaction.redactText(text, plain), text.replace(":x@", ":<redacted>@"))
    })
  }

  it("a name that was found by where it stood is recognised elsewhere, where that is wanted", () => {
    const text = "vault7x.log {\"hostname\":\"vault7x\"} Vault7X! vm1 \"host\":\"vm1\""
    assert.strictEqual(
      Redaction.redactText(text, context, { learn: true }),
      "host-4.log {\"hostname\":\"host-4\"} host-4! vm1 \"host\":\"host-5\""
    )
    assert.strictEqual(
      Redaction.redactText(text, context),
      "vault7x.log {\"hostname\":\"host-4\"} Vault7X! vm1 \"host\":\"host-5\""
    )
    assert.strictEqual(
      Redaction.redactText("x/.local/state/opencode-ssh/server-vm-1202378154.log", context),
      "x/.local/state/opencode-ssh/server-host-4-1202378154.log"
    )
  })

  it("a pseudonym is never somebody's name", () => {
    const context = Redaction.context({ hosts: ["host-2", "host-1", "box7"] })
    assert.strictEqual(Redaction.redactText("box7 host-1 host-2", context), "host-5 host-4 host-3")
    assert.strictEqual(Redaction.redactText("host-5 host-4 host-3", context), "host-5 host-4 host-3")
  })
})

describe("Redaction of any text", () => {
  const Text = Arbitrary.map(
    Arbitrary.array(
      Arbitrary.schema(Schema.Union([
        Schema.String,
        Schema.Literals([
          "token",
          "password",
          "=",
          ":",
          ": ",
          "\"",
          "'",
          "\\",
          "://",
          "@",
          "/home/",
          "-----BEGIN RSA PRIVATE KEY-----",
          "\n",
          "-----END RSA PRIVATE KEY-----",
          "Basic ",
          "Authorization: ",
          "--token ",
          "swordfish",
          "c3dvcmRmaXNo",
          "alice",
          "box",
          "[",
          "{",
          "|\n ",
          "%",
          "&",
          "\ud800",
          "\u001b[31m",
          "<redacted>",
          "user-1",
          "10.0.0.1",
          "…",
          "abcdefghijklmnop",
          " ",
          "\0",
          "?key=",
          "A_KEY=",
          "<token>",
          "</",
          "as 'me'",
          "Connecting to ",
          " port 22",
          "\"host\":\"",
          "a"
        ])
      ])),
      { minLength: 0, maxLength: 14 }
    ),
    (parts) => parts.join("")
  )
  const contexts = [
    plain,
    Redaction.context({
      secrets: [Redacted.make("swordfish")],
      users: ["alice"],
      hosts: ["box"],
      homes: ["/home/alice"]
    })
  ]

  it.effect.prop("is total, and changes nothing the second time", { text: Text }, ({ text }) =>
    Effect.sync(() => {
      for (const context of contexts) {
        const once = Redaction.redactText(text, context)
        assert.strictEqual(Redaction.redactText(once, context), once)
        Redaction.redactText(text, context, { cut: "both" })
      }
    }), { arbitrary: { runs: 2000 } })

  it("is linear on hostile texts, and bears 10 MB", () => {
    const context = Redaction.context({ secrets: [Redacted.make("swordfish")], users: ["alice"], hosts: ["box.corp"] })
    const units = [
      "a",
      ":",
      "token=",
      "token=[",
      "token=\"",
      "authorization: ",
      "://",
      "http://a:b@",
      "-----BEGIN RSA PRIVATE KEY-----",
      "\\",
      "%41",
      "-----END RSA PRIVATE KEY-----\n",
      "-a",
      "a.",
      "1:",
      "eyJaaaaaaaa-",
      "<token>",
      "swordfis",
      "&amp;",
      " ",
      "login a ",
      "\ud800"
    ]
    for (const unit of units) {
      const began = performance.now()
      Redaction.redactText(unit.repeat(200_000 / unit.length), context, { cut: "both" })
      // Linear takes a fraction of this; anything quadratic takes minutes.
      assert.isBelow(performance.now() - began, 8_000, JSON.stringify(unit))
    }
    const line = "12:00:01 INFO service=server path=/session status=200 \u{1f600} \ud800 password=hunter22\n"
    const big = line.repeat(Math.ceil(10 * 1024 * 1024 / line.length))
    const hidden = Redaction.redactText(big, context)
    assertAbsent(hidden, "hunter22")
    assert.strictEqual(hidden.length, big.length + (hidden.split("\n").length - 1) * 2)
  }, 120_000)
})

describe("Redaction of real logs", () => {
  const stderr = Path.join(import.meta.dirname, "fixtures", "stderr")
  const context = Redaction.context({ users: ["me"], hosts: ["box", "bastion", "inner"], homes: ["/home/me"] })

  it("finds no secret in what ssh prints", () => {
    for (const file of Fs.readdirSync(stderr)) {
      const text = Fs.readFileSync(Path.join(stderr, file), "utf8")
      assert.strictEqual(Redaction.redactText(text, plain), text, file)
      const named = Redaction.redactText(text, context)
      // Word for word, only names of people and places have changed.
      const [before, after] = [text.split("\n"), named.split("\n")]
      assert.strictEqual(after.length, before.length, file)
      after.forEach((line, at) => {
        const pattern = line.split(/(?:user|host|ip)-\d+|~/).map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"))
          .join("\\S+?")
        assert.match(before[at] ?? "", new RegExp(`^${pattern}$`), `${file}:${at + 1}`)
      })
    }
  })

  const corpus = Path.join(import.meta.dirname, "fixtures", "redaction")
  const names = Fs.readdirSync(corpus).filter((file) => file.endsWith(".txt") && !file.endsWith(".expected.txt"))
  it.each(names)("%s", (file) => {
    const text = Fs.readFileSync(Path.join(corpus, file), "utf8")
    const expected = Fs.readFileSync(Path.join(corpus, file.replace(/\.txt$/, ".expected.txt")), "utf8")
    const context = Redaction.context({
      secrets: [Redacted.make("correct horse battery staple")],
      users: ["alice"],
      hosts: ["devbox", "devbox.corp.example"],
      homes: ["/home/alice"]
    })
    assert.strictEqual(Redaction.redactText(text, context), expected)
  })
})
