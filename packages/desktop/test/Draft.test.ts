import { assert, describe, it } from "@effect/vitest"
import { Profile, ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import { fromDraft, ProfileDraft } from "@opencode-ai/ssh-tunnel/ProfileDraft"
import { Schema } from "effect"
import * as Draft from "../src/ui/Draft.ts"
import { fields } from "../src/ui/Strings.ts"

const id = ProfileId.make("p")

describe("the form", () => {
  it.prop("shows a profile and gives the same one back", [forms()], ([texts]) => {
    const draft = Draft.draft({ ...Draft.blank, ...texts, name: "my box", host: "box" })
    if (draft === undefined) return
    const profile = fromDraft(draft, id)
    const again = Draft.draft(Draft.ofProfile(profile), profile)
    assert.deepStrictEqual(again && fromDraft(again, id), profile)
  }, { arbitrary: { runs: 150 } })

  it("asks for a name and a host, and for nothing else", () => {
    assert.deepStrictEqual(Draft.errors(Draft.blank), { name: fields.required, host: fields.required })
    const draft = Draft.draft({ ...Draft.blank, name: "box", host: "box" })
    assert.deepStrictEqual(draft, { name: "box", host: "box", bootstrap: { enabled: true, lifetime: "persistent" } })
  })

  it.each(
    [
      ["host", "-oProxyCommand=x", fields.host],
      ["host", "a b", fields.host],
      ["user", "$(id)", fields.user],
      ["port", "0", fields.port],
      ["port", "65536", fields.port],
      ["port", "2e3", fields.port],
      ["identityFile", "id_ed25519", fields.identityFile],
      ["proxyJump", "a,,b", fields.proxyJump],
      ["remotePort", "http", fields.port],
      ["localPort", "-1", fields.port],
      ["username", "a:b", fields.username],
      ["name", "two\nlines", fields.name]
    ] as const
  )("says what is wrong with the %s %j", (field, value, message) => {
    const form = { ...Draft.blank, name: "box", host: "box", [field]: value }
    assert.deepStrictEqual(Draft.errors(form), { [field]: message })
    assert.isUndefined(Draft.draft(form))
  })

  it.prop("makes valid drafts or names a field", [forms()], ([texts]) => {
    const form = { ...Draft.blank, ...texts }
    const draft = Draft.draft(form)
    assert.strictEqual(draft === undefined, Object.keys(Draft.errors(form)).length > 0)
    if (draft !== undefined) assert.isTrue(Schema.is(ProfileDraft)(draft))
  }, { arbitrary: { runs: 150 } })

  it("asks ssh about nothing that is not a destination", () => {
    const form = { ...Draft.blank, host: "box" }
    assert.deepStrictEqual(Draft.target(form), { host: "box" })
    assert.deepStrictEqual(Draft.target({ ...form, port: "2222", user: " me " }), {
      host: "box",
      user: "me",
      port: 2222
    })
    assert.isUndefined(Draft.target({ ...form, port: "x" }))
    assert.isUndefined(Draft.target({ ...form, host: "" }))
    // What ssh -G does not look at cannot be in the way.
    assert.deepStrictEqual(Draft.target({ ...form, localPort: "x" }), { host: "box" })
  })

  it("keeps what it does not show", () => {
    const profile = new Profile({
      id,
      name: "box",
      host: "box",
      sshConfig: "/etc/other",
      strategy: "plain",
      versionRange: "^1.0.0",
      bootstrap: { enabled: true, lifetime: "session", port: 5000 }
    })
    const draft = Draft.draft({ ...Draft.ofProfile(profile), user: "me" }, profile)
    assert.deepStrictEqual(draft && fromDraft(draft, id), new Profile({ ...profile, user: "me" }))
  })
})

describe("what is typed", () => {
  const destination = (typed: string) => {
    const understood = Draft.understand(typed)
    return understood._tag === "Destination" ? Draft.ofDestination(understood.destination) : undefined
  }

  it.each(
    [
      ["devbox", { host: "devbox" }],
      ["me@host:2222", { host: "host", user: "me", port: "2222" }],
      ["ssh://me@[::1]:22", { host: "::1", user: "me", port: "22" }],
      ["ssh -p 2222 -J bastion -i ~/.ssh/key me@host", {
        host: "host",
        user: "me",
        port: "2222",
        proxyJump: "bastion",
        identityFile: "~/.ssh/key"
      }],
      ["$ ssh -F none box", { host: "box", withoutConfig: true }]
    ] as const
  )("%s", (typed, expected) => {
    const host: { readonly host: string } = expected
    assert.deepStrictEqual(destination(typed), { ...Draft.blank, name: host.host, ...expected })
  })

  it.each(
    [
      ["ssh -L 1:a:2 box", ["-L"]],
      ["ssh -A -D 1 box", ["-A", "-D"]],
      ["ssh -F /tmp/evil box", ["-F"]],
      ["ssh -o ProxyCommand=x box", ["-o ProxyCommand"]],
      ["ssh box rm -rf /", ["command"]],
      ["box; rm", ["line"]]
    ] as const
  )("%s is refused", (typed, options) => {
    const understood = Draft.understand(typed)
    assert(understood._tag === "Refused")
    assert.deepStrictEqual(understood.refusals.map(({ option }) => option), [...options])
    for (const { explanation } of understood.refusals) assert.isNotEmpty(explanation)
  })

  it("nothing is nothing", () => assert.deepStrictEqual(Draft.understand("  "), { _tag: "Nothing" }))
})

function forms() {
  const text = Schema.Literals(["", "box", "22", "~/key", "a b", "-x", "me@jump:1"])
  return Schema.Struct({
    name: text,
    host: text,
    user: text,
    port: text,
    identityFile: text,
    proxyJump: text,
    remotePort: text,
    localPort: text,
    username: text,
    bootstrap: Schema.Boolean,
    lifetime: Schema.Literals(["persistent", "session"]),
    withoutConfig: Schema.Boolean
  })
}
