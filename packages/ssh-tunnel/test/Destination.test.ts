import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import {
  Destination,
  DestinationFromString,
  Host,
  joinAddress,
  LocalPath,
  Port,
  ProxyJump,
  splitAddress,
  User
} from "../src/Destination.ts"

const accepts = (schema: Schema.Codec<string>, values: ReadonlyArray<string>) =>
  values.forEach((value) => assert.isTrue(Schema.is(schema)(value), `refused ${JSON.stringify(value)}`))

const refuses = (schema: Schema.Codec<string>, values: ReadonlyArray<string>) =>
  values.forEach((value) => assert.isFalse(Schema.is(schema)(value), `accepted ${JSON.stringify(value)}`))

const dangerous = [
  "-oProxyCommand=x",
  "-",
  "",
  "a b",
  "a\nb",
  "a\tb",
  "a\0b",
  "$(id)",
  "`id`",
  "${HOME}",
  "a;b",
  "a|b",
  "a&b",
  "a<b",
  "a>b",
  "a'b",
  "a\"b",
  "a(b)",
  "%h",
  "a%b",
  "a*b",
  "a?b",
  "a/b",
  "a,b",
  "x".repeat(65_536),
  "\u202Eabc"
]

describe("what a value may look like", () => {
  it("Host", () => {
    accepts(Host, [
      "box",
      "box.example.com",
      "box_1",
      "1.2.3.4",
      "::1",
      "fe80::1",
      "::ffff:1.2.3.4",
      "bücher",
      "服务器",
      "a-b",
      "a."
    ])
    refuses(Host, [...dangerous, "[::1]", "a:22", "u@h", "fe80::1%eth0", ".a", "a\\b", "‐x", "：22"])
  })

  it("User", () => {
    accepts(User, ["root", "a.b", "a_b", "a-b", "DOMAIN\\user", "user@domain", "a@b-c", "ünal", "a+b"])
    refuses(User, [...dangerous, "a\\", "a\\\\b", "a:b", "@a", "a@-b", "a@--"])
  })

  it("ProxyJump", () => {
    accepts(ProxyJump, ["none", "jump", "u@jump:2222", "a,b:22,c@d", "[::1]:22", "ssh://u@h:22"])
    refuses(ProxyJump, ["", ",", "a,", "-J", "a b", "a,-oX=y", "$(id)", "u@", "a:99999", "a:0", "a:b"])
  })

  it("LocalPath", () => {
    accepts(LocalPath, ["/a b/$(x)/ü", "~/.ssh/id", "/100%key", "~", "C:\\Users\\x\\key"])
    refuses(LocalPath, [
      "",
      "a",
      "./a",
      "-i",
      "/a\nb",
      "/a\0b",
      "/a\u009bb",
      "/a\u2028b",
      "/${HOME}",
      "~other/x",
      "/".padEnd(5000, "x")
    ])
  })
})

/** Narrower than the real schemas, because values of `\p{…}` patterns cannot be generated. */
const Address = Schema.Struct({
  host: Schema.Union([
    Schema.String.check(Schema.isPattern(/^[a-z0-9_][a-z0-9._-]{0,30}$/)),
    Schema.Literals(["::1", "fe80::1", "bücher"])
  ]),
  user: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^[a-z0-9_][a-z0-9._@+-]{0,20}$/))),
  port: Schema.optionalKey(Port)
})

describe("destinations as text", () => {
  it.effect.prop(
    "join and split are inverse",
    [Address],
    ([address]) => Effect.sync(() => assert.deepStrictEqual(splitAddress(joinAddress(address)), { ...address }))
  )

  it("reads ssh's two forms", () => {
    assert.deepStrictEqual(splitAddress("ssh://me@box:2222"), { host: "box", user: "me", port: 2222 })
    assert.deepStrictEqual(splitAddress("ssh://[::1]:22/"), { host: "::1", port: 22 })
    assert.deepStrictEqual(splitAddress("a@b@host"), { host: "host", user: "a@b" })
    assert.deepStrictEqual(splitAddress("::1"), { host: "::1" })
    assert.isUndefined(splitAddress("@host"))
    assert.isUndefined(splitAddress("host:"))
    assert.isUndefined(splitAddress(""))
  })

  it.effect("decodes to a Destination and names what is wrong", () =>
    Effect.gen(function*() {
      const decode = Schema.decodeEffect(DestinationFromString)
      assert.deepStrictEqual(yield* decode("me@box:22"), new Destination({ host: "box", user: "me", port: 22 }))
      const error = yield* Effect.flip(decode("me@-oX"))
      assert.include(String(error), "host")
    }))
})
