import { assert, describe, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { parse } from "../../src/internal/sshEffective.ts"

/** Shortened, from OpenSSH 9.2. */
const output = `host Box
user DOM\\me
hostname 10.0.0.1
port 22
batchmode yes
identitiesonly yes
stricthostkeychecking true
canonicalizePermittedcnames none
identityfile ~/.ssh/id_ed25519
identityfile /with space/100%%key
userknownhostsfile /home/me/.ssh/known_hosts /home/me/.ssh/known_hosts2
identityagent /run/agent.sock
setenv API_KEY=hunter2
sendenv LANG
localforward 8080 [db]:5432
localcommand curl -u me:hunter2 example.com
remotecommand none
knownhostscommand /bin/x hunter2
tag hunter2
somethingnew hunter2
xauthlocation 
proxycommand nc --password hunter2 %h %p
proxyjump a@jump:2222,[::1]
`

describe("the answer of ssh -G", () => {
  const effective = Option.getOrThrow(parse(output))

  it("has its values by name", () =>
    assert.deepStrictEqual({ ...effective, parameters: [] }, {
      host: "Box",
      hostname: "10.0.0.1",
      user: "DOM\\me",
      port: 22,
      identityFiles: ["~/.ssh/id_ed25519", "/with space/100%%key"],
      identitiesOnly: true,
      proxyJump: "a@jump:2222,[::1]",
      proxyCommand: "nc --password hunter2 %h %p",
      identityAgent: "/run/agent.sock",
      userKnownHostsFile: "/home/me/.ssh/known_hosts /home/me/.ssh/known_hosts2",
      parameters: []
    }))

  it("shows reports only what is on the list", () => {
    assert.notInclude(JSON.stringify(effective.parameters), "hunter2")
    assert.deepStrictEqual(effective.parameters.map(({ keyword }) => keyword), [
      "host",
      "user",
      "hostname",
      "port",
      "batchmode",
      "identitiesonly",
      "stricthostkeychecking",
      "identityfile",
      "identityfile",
      "userknownhostsfile",
      "identityagent",
      "proxyjump"
    ])
  })

  it("leaves out what is not set", () => {
    const small = Option.getOrThrow(parse("hostname h\r\nuser u\r\nport 2222\r\n"))
    assert.deepStrictEqual(small, {
      host: "h",
      hostname: "h",
      user: "u",
      port: 2222,
      identityFiles: [],
      identitiesOnly: false,
      parameters: [
        { keyword: "hostname", value: "h" },
        { keyword: "user", value: "u" },
        { keyword: "port", value: "2222" }
      ]
    })
  })

  it("is nothing without a hostname, a user and a port", () => {
    for (const text of ["", "user u\nport 22\n", "hostname h\nport 22\n", "hostname h\nuser u\n"]) {
      assert.isTrue(Option.isNone(parse(text)))
    }
    assert.isTrue(Option.isNone(parse("hostname h\nuser u\nport x\n")))
  })

  it.prop("any text is an answer or none", [Schema.String], ([text]) => {
    parse(text)
    const found = parse(`${text}\nhostname h\nuser u\nport 1\n`)
    assert.isTrue(Option.isSome(found))
  })
})
