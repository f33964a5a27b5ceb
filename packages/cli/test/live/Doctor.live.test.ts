/**
 * `doctor` and `diagnose` as a person runs them, and their outputs in docs/doctor.md.
 *
 *     UPDATE=1 vitest run --project live packages/cli/test/live/Doctor.live.test.ts      writes the outputs there
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { jsonLines } from "../harness.ts"

const root = Path.join(import.meta.dirname, "..", "..", "..", "..")

/** What a person runs in a checkout; makes the bundle when a source is newer. */
const program = Path.join(root, "bin", "opencode-ssh")

const page = Path.join(root, "docs", "doctor.md")

const isUpdate = process.env["UPDATE"] === "1"

beforeAll(() => Effect.runPromise(Process.output(program, ["--version"])), 60_000)

const password = "s3cret pass"

interface Options {
  /** Whether known_hosts knows the host; default true. */
  readonly known?: boolean
  /** Whether OpenCode is installed there; default true. */
  readonly installed?: boolean
  /** Whether a server runs there; default true. */
  readonly running?: boolean
}

/** A remote machine, and the command line beside it. */
const makeWorld = Effect.fnUntraced(function*(options: Options = {}) {
  const directory = yield* TempDirectory.make()
  const sshd = yield* Sshd.make({ loginShell: "/bin/sh" })
  if (options.installed !== false) yield* Opencode.install(sshd.home)
  const client = yield* SshClient.make({ hosts: { box: { sshd, known: options.known ?? true } } })
  const remotePort = yield* Port.free
  if (options.running !== false) yield* Opencode.serve({ port: remotePort, password })
  const run = (...args: ReadonlyArray<string>) =>
    Process.run(program, [...args, "-F", client.configFile, "--remote-port", String(remotePort)], {
      cwd: directory,
      env: { OPENCODE_SSH_DATA_DIR: directory, OPENCODE_SERVER_PASSWORD: password, NO_COLOR: "1" }
    })

  /** The text with names for what differs from run to run and from machine to machine. */
  const stable = (text: string): string => {
    const names: ReadonlyArray<readonly [string, string]> = [
      [client.configFile, "~/.ssh/config"],
      [client.knownHostsFile, "~/.ssh/known_hosts"],
      [sshd.key.file, "~/.ssh/id_ed25519"],
      [sshd.home, "/home/dev"]
    ]
    const named = names.reduce((text, [path, name]) => text.replaceAll(path, name), text)
    return named
      .replaceAll(new RegExp(`\\b${sshd.port}\\b`, "g"), "SSHD_PORT")
      .replaceAll(new RegExp(`\\b${remotePort}\\b`, "g"), "REMOTE_PORT")
      .replaceAll(new RegExp(`\\b(as|me|User|user) ${sshd.user}\\b`, "g"), "$1 dev")
      .replaceAll(new RegExp(`\\b${sshd.user}( at |@)`, "g"), "dev$1")
      .replaceAll(/OpenSSH_[^\n]*/g, "OpenSSH_VERSION")
      .replaceAll(/SHA256:[A-Za-z0-9+/]{43}/g, "SHA256:FINGERPRINT")
      .replaceAll(/[\d.]+ [GM]iB free, .*/g, "SIZE free, SYSTEM")
      .replaceAll(/-L 127\.0\.0\.1:\d+:/g, "-L 127.0.0.1:LOCAL_PORT:")
      .replaceAll(/http:\/\/127\.0\.0\.1:\d+/g, "http://127.0.0.1:LOCAL_PORT")
      .replaceAll(/\b20\d\d-\d\d-\d\dT[\d:.]+Z/g, "TIME")
      .replaceAll(/^TIME( +)[\d.]+ s /gm, "TIME  TIME ")
      .replaceAll(
        /^(runtime|system|application)( +).*$/gm,
        (_, name: string, gap: string) => `${name}${gap}${name.toUpperCase()}`
      )
      .replaceAll(/(?<!`)\b(root|user-1)\b/g, "USER")
      .replaceAll(/\bport \d{4,5}\b/g, "port PORT")
      .replaceAll(/"?searched"?: ?\[[^\]]*\]/g, "searched: [PLACES]")
      .replaceAll(/\b[0-9a-f]{32}\b/g, "NONCE")
      // As wide as it was, so that the columns stay.
      .replaceAll(/ {2} *(?:\d+ ms|\d+\.\d s)(?=  |$)/gm, (time) => "TIME".padStart(time.length))
      .split("\n").map((line) => line.trimEnd()).join("\n")
  }
  return { sshd, client, run, stable }
})

const block = (name: string) => new RegExp(`(<!-- recorded: ${name} -->\n\n(\`\`\`|~~~)\\w*\n)([\\s\\S]*?)(\\2\n)`)

/** Compares an output with the page's, or writes it there. */
const record = (
  name: string,
  command: string,
  output: string,
  comparable: (text: string) => string = (text) => text
): void => {
  const text = Fs.readFileSync(page, "utf8")
  const found = block(name).exec(text)
  if (found === null) return assert.fail(`docs/doctor.md has no place for ${name}`)
  const now = `$ ${command}\n${output.trimEnd()}\n`
  if (isUpdate) {
    Fs.writeFileSync(
      page,
      text.replace(block(name), (_, before: string, _fence, _old, after: string) => before + now + after)
    )
  } else assert.strictEqual(comparable(found[3] ?? ""), comparable(now), "docs/doctor.md is stale: run with UPDATE=1")
}

/** The sections of a report: its heading, then the rest. */
const sections = (text: string): ReadonlyArray<readonly [heading: string, body: string]> =>
  text.split(/^(?=## )/m).map((section) => {
    const end = section.indexOf("\n")
    return [section.slice(0, end), section.slice(end)] as const
  })

/** The first and the last of the many lines of a section's block. */
const shortened = (text: string, first: number, last: number): string =>
  text.replaceAll(/(?<=```text\n)([\s\S]*?)(?=```)/g, (lines) => {
    const all = lines.trimEnd().split("\n")
    const more = all.length - first - last
    return more < 2
      ? lines
      : [...all.slice(0, first), "…", ...last === 0 ? [] : all.slice(-last)].map((line) => `${line}\n`).join("")
  })

/** A report for the page: the longest sections are cut. */
const excerpt = (report: string): string =>
  sections(report).map(([heading, body]) =>
    heading +
    (heading === "## Effective parameters"
      ? shortened(body, 4, 0)
      : heading === "## Output of ssh" || heading.startsWith("## Remote")
      ? shortened(body, 1, 3)
      : body)
  ).join("")

/** What every run says: not how often it was seen on the way, and not what other programs say. */
const comparable = (report: string): string =>
  sections(report)
    .filter(([heading]) => !/^## (Effective|Output|Remote)/.test(heading))
    .flat().join("")
    .replaceAll(/^TIME .*\n/gm, "")

const signs = (stdout: string): string => (stdout.match(/^[✔✘!–] /gm) ?? []).join("").replaceAll(" ", "")

describe.skipIf(!Sshd.available || !Opencode.available)("opencode-ssh doctor", () => {
  it.live("on a good host", () =>
    Effect.gen(function*() {
      const { run, sshd, stable } = yield* makeWorld()
      const { code, stderr, stdout } = yield* run("doctor", "box")
      assert.deepStrictEqual([code, stderr, signs(stdout)], [0, "", "✔✔✔✔✔✔✔✔✔✔✔✔✔"], stdout)
      record("doctor-good", "opencode-ssh doctor box", stable(stdout))
      assert.strictEqual(yield* sshd.authentications, 1)
      assert.notInclude(stdout, "s3cret")
    }), 90_000)

  it.live("on a host whose key is not known", () =>
    Effect.gen(function*() {
      const { run, stable } = yield* makeWorld({ known: false, running: false })
      const { code, stderr, stdout } = yield* run("doctor", "box")
      assert.deepStrictEqual([code, stderr, signs(stdout)], [11, "", "✔✔✔✔✔✘–––––––"], stdout)
      record("doctor-unknown-key", "opencode-ssh doctor box", stable(stdout))
    }))

  it.live("on a host without OpenCode", () =>
    Effect.gen(function*() {
      const { run, stable } = yield* makeWorld({ installed: false, running: false })
      const { code, stderr, stdout } = yield* run("doctor", "box", "--bootstrap")
      assert.deepStrictEqual([code, stderr, signs(stdout)], [13, "", "✔✔✔✔✔✔✔✔✔✘–––"], stdout)
      record("doctor-no-opencode", "opencode-ssh doctor box --bootstrap", stable(stdout))

      const json = yield* run("doctor", "box", "--bootstrap", "--json")
      const lines = jsonLines(json.stdout.trimEnd().split("\n"))
      assert.deepStrictEqual([json.code, json.stderr, lines.length], [13, "", 14])
      const last = lines.at(-1)
      assert.isTrue(last?.type === "examination" && last.failed === "opencode" && last.durationMs > 0)
    }))
})

describe.skipIf(!Sshd.available || !Opencode.available)("opencode-ssh diagnose", () => {
  it.live("about a good host", () =>
    Effect.gen(function*() {
      const { run, sshd, stable } = yield* makeWorld({ installed: false })
      const { code, stderr, stdout } = yield* run("diagnose", "box")
      assert.strictEqual(code, 0, stderr)
      assert.match(stderr, /^Read the report before you send it/)
      assert.include(stdout, "state       Connected")
      record("diagnose-good", "opencode-ssh diagnose box", excerpt(stable(stdout)), comparable)
      assert.strictEqual(yield* sshd.authentications, 1)
      assert.notInclude(stdout, "s3cret")
    }), 90_000)

  it.live("about a host whose key is not known", () =>
    Effect.gen(function*() {
      const { run, stable } = yield* makeWorld({ known: false, running: false })
      const { code, stderr, stdout } = yield* run("diagnose", "box")
      assert.strictEqual(code, 0, stderr)
      assert.include(stderr, "The connection failed: The host key of ")
      record("diagnose-unknown-key", "opencode-ssh diagnose box", excerpt(stable(stdout)), comparable)

      const json = yield* run("diagnose", "box", "--json")
      const [line, ...others] = jsonLines(json.stdout.trimEnd().split("\n"))
      assert.deepStrictEqual([json.code, json.stderr, others.length], [0, "", 0])
      assert.isTrue(line?.type === "report" && line.report["state"] === "Failed")
    }))

  it.live("about a host without OpenCode", () =>
    Effect.gen(function*() {
      const { run, stable } = yield* makeWorld({ installed: false, running: false })
      const { code, stderr, stdout } = yield* run("diagnose", "box", "--bootstrap")
      assert.strictEqual(code, 0, stderr)
      assert.include(stderr, "The connection failed: OpenCode is not installed")
      record("diagnose-no-opencode", "opencode-ssh diagnose box --bootstrap", excerpt(stable(stdout)), comparable)
    }))
})
