import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Redacted, Result, Schema } from "effect"
import { ConnectionState } from "../src/ConnectionState.ts"
import { DiagnosticReport, toJson, toMarkdown } from "../src/DiagnosticReport.ts"
import { emptyHistory } from "../src/FlightRecorder.ts"
import { assemble, maxReport } from "../src/internal/report.ts"
import { Profile, ProfileId } from "../src/Profile.ts"
import { material, now, type Planted, profile, quiet, readMarkdown, unclassified } from "./DiagnosticsFixtures.ts"
import { assertAbsent, encodings, index, Password, privateKeys, Token, unknownTokens } from "./RedactionFixtures.ts"

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(DiagnosticReport))
const size = (text: string) => Buffer.byteLength(text)

const everywhere = (text: string): Planted => ({
  stderr: `debug1: before\n${text}\ndebug1: after`,
  stdout: text,
  log: `line\n${text}`,
  detail: text,
  path: `/opt/${text}/opencode`,
  value: text
})

const forms = Object.values(encodings)
const unknown = Object.values(unknownTokens)
const keys = Object.values(privateKeys)
const places = ["stderr", "stdout", "log", "detail", "path", "value"] as const

/** Few settings, so that ten thousand reports take seconds. */
const small = new Profile({
  id: ProfileId.make("prod"),
  name: "Production farm",
  host: "prod-db.corp.internal",
  bootstrap: { enabled: false, lifetime: "persistent" }
})

describe("A report", () => {
  it.effect.prop(
    "never shows a planted secret",
    {
      secret: Password,
      token: Token,
      form: index(forms.length),
      around: index(unknown.length),
      key: index(keys.length),
      place: index(places.length)
    },
    ({ around, form, key, place, secret, token }) =>
      Effect.sync(() => {
        const encoded = forms[form]?.(secret) ?? ""
        const spot = places[place] ?? "stderr"
        const { body, text } = keys[key]?.(token) ?? { body: [], text: "" }
        const planted: Planted = {
          ...quiet,
          stderr: unknown[around]?.(token) ?? "",
          stdout: place % 2 === 0 ? text : "",
          [spot]: `a ${encoded} b`
        }
        const report = assemble({ ...material(planted, [Redacted.make(secret)]), profile: small })
        const [markdown, json] = [toMarkdown(report), toJson(report)]
        for (const output of [markdown, json]) {
          for (const leak of [secret, encoded, encodeURIComponent(secret), Buffer.from(secret).toString("base64")]) {
            assertAbsent(output, leak)
          }
          assertAbsent(output, token)
          for (const line of body) assertAbsent(output, line.slice(0, 16))
          for (
            const name of [
              "alice",
              "prod-db",
              "corp.internal",
              "bastion",
              "jumper",
              "10.20.30.40",
              "/home/",
              "Production farm"
            ]
          ) {
            assertAbsent(output, name)
          }
        }
      }),
    // The texts are the same on every runtime; Bun's regular expressions are slower to compile.
    { arbitrary: { runs: process.versions["bun"] === undefined ? 10_000 : 2000 }, timeout: 240_000 }
  )

  it.effect.prop(
    "keeps to 128 KiB and to its sections, whatever a stranger prints",
    {
      parts: Arbitrary.array(
        Arbitrary.all([
          Arbitrary.schema(Schema.Union([
            Schema.String,
            Schema.Literals([
              "```",
              "\n```\n",
              "\n````text\n",
              "`",
              "~~~\n",
              "\n## Errors\n",
              "\n# Report on an SSH connection to OpenCode\n",
              "<img src=x>",
              "![x](http://evil.example/x.png)",
              "[x](javascript:1)",
              "<!--",
              "-->",
              "</details>",
              "<script>",
              "\u001b[2J",
              "\u001b[8m",
              "\u001b]8;;http://evil\u0007",
              "\u202e",
              "\u2066",
              "\u200b",
              "\r",
              "\b",
              "\0",
              "\ud800",
              "\ufeff",
              "\u2028",
              "\u0085",
              "\f",
              "a\u0301\u0301\u0301\u0301",
              "é",
              "漢",
              "\"",
              "\\",
              "\n",
              "\u{e0041}",
              "@everyone",
              "\t",
              "x"
            ])
          ])),
          Arbitrary.schema(Schema.Literals([1, 1, 1, 2, 40, 9000]))
        ]),
        { minLength: 0, maxLength: 6 }
      )
    },
    ({ parts }) =>
      Effect.sync(() => {
        const text = parts.map(([part, count]) => part.repeat(count)).join("")
        const report = assemble(material(everywhere(text)))
        const [markdown, json] = [toMarkdown(report), toJson(report)]
        readMarkdown(markdown)
        assert.isAtMost(size(markdown), maxReport)
        assert.isAtMost(size(json), maxReport)
        // Nothing acts on a terminal or a page, and nothing is invisible.
        assert.notMatch(markdown, /(?![\n\t])[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|\p{M}{3}/u)
        assert.deepStrictEqual(decode(json), report)
      }),
    { arbitrary: { runs: 150 }, timeout: 120_000 }
  )

  it("shows what a stranger tried to hide", () => {
    const text = "\u001b[8mconcealed\u001b[0m a\u202eb \u200bc\rd ```\n`````\n" + "`".repeat(9000)
    const { "Output of ssh": output } = readMarkdown(toMarkdown(assemble(material({ ...quiet, stderr: text }))))
    assert.strictEqual(
      output?.[0],
      `concealed a<U+202E>b <U+200B>c<U+000D>d \`\`\`\n\`\`\`\`\`\n${"`".repeat(31)}<U+0060 × 8969>`
    )
  })

  it("a stranger cannot make pseudonyms of ssh's words", () => {
    const words = "debug1: Permission denied (publickey)."
    const report = assemble(
      material({ ...quiet, stdout: "Permission@denied publickey@debug1 as 'publickey'", stderr: words })
    )
    assert.strictEqual(report.output.ssh[0]?.text, words)
    assert.include(report.errors[0]?.message, words)
  })

  it("bears a line of many megabytes and shows its end", () => {
    const stderr = "A".repeat(10_000_000) + "\nssh: the end"
    const { "Output of ssh": output } = readMarkdown(toMarkdown(assemble(material({ ...quiet, stderr }))))
    assert.isTrue(output?.[0]?.endsWith("\nssh: the end"))
  }, 60_000)

  it("shows the last 16 KiB, cut where a secret stands, without a part of it", () => {
    const secret = "Zk3vQ8yN1sT6wX9bR4mL7pD2"
    const line = `OTHER=1 password: ${secret} and opencode:${secret}@127.0.0.1 ${
      Buffer.from(secret).toString("base64")
    }\n`
    for (let shift = 0; shift < line.length; shift += 3) {
      for (const known of [[Redacted.make(secret)], []]) {
        const stdout = line + "x".repeat(16 * 1024 - shift - 40) + "\nlast line\n"
        const cut = stdout.slice(-(16 * 1024))
        for (const [text, wasCut] of [[stdout, false], [cut, true]] as const) {
          const base = material(quiet, known)
          const report = assemble({
            ...base,
            history: { ...base.history, outputs: [{ id: 1, at: now, source: "remote stdout", text, cut: wasCut }] }
          })
          const markdown = toMarkdown(report)
          assert.include(markdown, "last line")
          for (let at = 0; at + 6 <= secret.length; at++) assertAbsent(markdown, secret.slice(at, at + 6))
          if (known.length > 0) {
            const base64 = Buffer.from(secret).toString("base64")
            for (let at = 0; at + 8 <= base64.length; at++) assertAbsent(markdown, base64.slice(at, at + 8))
          }
        }
      }
    }
  }, 60_000)

  it("of a profile that never connected", () => {
    const report = assemble({ ...material(quiet), history: emptyHistory })
    assert.strictEqual(report.state, "Disconnected")
    const sections = readMarkdown(toMarkdown(report))
    assert.deepStrictEqual(sections["Errors"], [])
    assert.deepStrictEqual(sections["Equivalent command"], [
      "ssh -N -L 127.0.0.1:4096:127.0.0.1:4096 -l user-1 -i ~/.ssh/id_ed25519 -o IdentitiesOnly=yes -J user-2@host-2:2222 -- host-1"
    ])
    assert.deepStrictEqual(sections["Effective parameters"], [
      [
        "host                host-1",
        "user                user-1",
        "hostname            ip-1",
        "identityfile        ~/.ssh/id_ed25519",
        "userknownhostsfile  ~/.ssh/known_hosts",
        "proxyjump           user-2@host-2:2222"
      ].join("\n")
    ])
    assert.deepStrictEqual(decode(toJson(report)), report)
  })

  it("of a live connection, with the command a person could type", () => {
    const connected = ConnectionState.cases.Connected.make({
      url: "http://127.0.0.1:50123",
      localPort: 50123,
      remotePort: 4999,
      serverVersion: "1.18.33",
      generation: "v1",
      secured: true,
      bootstrapped: "started",
      strategy: "master",
      since: "2026-11-22T09:58:57.000Z"
    })
    const states = [
      {
        at: now - 70_250,
        state: ConnectionState.cases.Connecting.make({ step: "connecting", hop: "bastion.corp.internal", since: "x" })
      },
      { at: now - 70_000, state: connected }
    ]
    const report = assemble({
      ...material(quiet),
      pseudonyms: false,
      history: { ...emptyHistory, states, forgotten: 3 }
    })
    const sections = readMarkdown(toMarkdown(report))
    assert.strictEqual(
      sections["Equivalent command"]?.[0],
      "ssh -N -L 127.0.0.1:50123:127.0.0.1:4999 -l alice -i /home/alice/.ssh/id_ed25519 -o IdentitiesOnly=yes -J jumper@bastion.corp.internal:2222 -- prod-db.corp.internal"
    )
    assert.strictEqual(
      sections["Timeline"]?.[0],
      [
        "2026-11-22T09:58:49.750Z       0.250 s  Connecting: connecting, at the jump host bastion.corp.internal",
        "2026-11-22T09:58:50.000Z    1 min 10 s  Connected: http://127.0.0.1:50123 to remote port 4999, OpenCode 1.18.33 (v1), with a password, started by bootstrap, strategy master"
      ].join("\n")
    )
    assert.strictEqual(report.timeline.omitted, 3)
    assert.include(sections["Connection"]?.[0], "strategy      master (asked: auto)")
  })

  it("of a failure: the last error, what to do, and the errors before it", () => {
    const base = material({ ...quiet, stderr: "line 1\nssh: something new", log: "panic: no space\n" })
    const states = [
      ...base.history.states,
      {
        at: now - 1000,
        state: ConnectionState.cases.Failed.make({ error: unclassified("line 1\nssh: something new") })
      }
    ]
    const sections = readMarkdown(toMarkdown(assemble({ ...base, history: { ...base.history, states } })))
    assert.deepStrictEqual(sections["Errors"], [
      [
        "TransportError / Unclassified",
        "ssh ended unexpectedly (exit code 255): ssh: something new",
        "",
        "seen:      2026-11-22T09:59:59.000Z, 2 times",
        "retryable: yes",
        "remedy:    Try the same in a terminal, where ssh shows more:",
        "           ssh -S none -v -l user-1 host-1 true",
        "",
        "target: {\"host\":\"host-1\",\"options\":[\"-l\",\"user-1\"]}",
        "exitCode: 255",
        "stderr:\n  line 1\n  ssh: something new"
      ].join("\n"),
      [
        "BootstrapError / ServerExited",
        "The remote OpenCode server ended while it was starting (exit code 1)",
        "",
        "seen:      2026-11-22T09:59:57.000Z",
        "retryable: no",
        "remedy:    The details hold the end of its log. Try it by hand on the remote machine:",
        "           opencode serve --hostname 127.0.0.1",
        "",
        "exitCode: 1",
        "log:\n  panic: no space"
      ].join("\n")
    ])
  })

  it("says what could not be found out", () => {
    const error = unclassified("it broke")
    const report = assemble({ ...material(quiet), ssh: Result.fail(error), effective: Result.fail(error) })
    assert.include(report.versions.ssh, "it broke")
    assert.include(report.parameters.problem ?? "", "it broke")
    readMarkdown(toMarkdown(report))
  })

  it("hides variables of this process whose name promises a secret", () => {
    const base = material({ ...quiet, stdout: "value-4711-x and production and sk" })
    const environment = { ...base.environment, ACME_TOKEN: "value-4711-x", SECRET_MODE: "production", TOKEN: "sk" }
    const { output } = assemble({ ...base, environment })
    assert.strictEqual(output.remoteStdout[0]?.text, "<redacted> and production and sk")
  })

  it("calls vague hosts by their pseudonyms in our own sentences", () => {
    const report = assemble({ ...material(quiet), profile: profile({ host: "dev", name: "dev", proxyJump: "server" }) })
    assert.isTrue(report.command.endsWith("-J host-2 -- host-1"), report.command)
    assert.deepStrictEqual(report.profile.slice(0, 2), [{ name: "profile", value: "host-1" }, {
      name: "host",
      value: "host-1"
    }])
  })
})
