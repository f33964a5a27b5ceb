import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Effect, Schedule } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { BootstrapSettings } from "../../src/Profile.ts"
import * as HostProcess from "./support/HostProcess.ts"

const bootstrap: BootstrapSettings = { enabled: true, lifetime: "persistent" }

/** A machine with the real opencode, not running, and a login shell that sets things up. */
const machine = Effect.gen(function*() {
  const sshd = yield* Sshd.make({ logLevel: "DEBUG3" })
  yield* Opencode.install(sshd.home)
  Fs.writeFileSync(
    Path.join(sshd.home, ".profile"),
    "export LAB_API_KEY='from the profile'\nPATH=\"$HOME/tools:$PATH\"\necho noise of the profile\n"
  )
  const client = yield* SshClient.make({ hosts: { box: sshd } })
  const fields = { host: "box", sshConfig: client.configFile, remotePort: yield* Port.free, bootstrap }
  return { sshd, fields }
})

const read = (file: string): string => {
  try {
    return Fs.readFileSync(file, "utf8")
  } catch {
    // Gone meanwhile, or somebody else's.
    return ""
  }
}

/** What others could see of a process: `argv` or `environ`, and its content. */
interface Sight {
  readonly pid: number
  readonly command: string
  readonly what: "argv" | "environ"
  readonly text: string
}

/** Looks at every process of the machine, again and again, for as long as the scope lives. */
const spy = Effect.gen(function*() {
  const sights: Array<Sight> = []
  const known = new Map<string, string>()
  const look = Effect.sync(() => {
    for (const name of Fs.readdirSync("/proc")) {
      if (!/^\d+$/.test(name)) continue
      const argv = read(`/proc/${name}/cmdline`)
      // Another program or title is there only with another argv.
      if (argv === "" || known.get(name) === argv) continue
      known.set(name, argv)
      const sight = { pid: Number(name), command: argv.replaceAll("\0", " ") }
      sights.push({ ...sight, what: "argv", text: argv })
      sights.push({ ...sight, what: "environ", text: read(`/proc/${name}/environ`) })
    }
  })
  yield* look.pipe(Effect.repeat(Schedule.spaced("2 millis")), Effect.forkScoped)
  // To watch and to ask what was seen are two steps.
  // @effect-diagnostics-next-line returnEffectInGen:off
  return Effect.andThen(look, Effect.sync(() => [...sights]))
})

/** The files below a directory that hold a text. */
const filesWith = (directory: string, text: string): ReadonlyArray<string> =>
  Fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => {
    const path = Path.join(directory, name)
    return Fs.lstatSync(path).isFile() && Fs.readFileSync(path, "latin1").includes(text)
  })

describe.skipIf(!Sshd.available || !Opencode.available || process.platform !== "linux")(
  "the secret of a server that was started",
  () => {
    it.live(
      "is in no argv, environment, file, log or output but the server's own; no proxy sees a byte",
      () =>
        Effect.gen(function*() {
          const { fields, sshd } = yield* machine
          const proxy = yield* FakeServer.tcp((socket) => socket.destroy())
          const address = `http://127.0.0.1:${proxy.port}`
          const place = yield* HostProcess.makePlace
          const sights = yield* spy
          const host = yield* HostProcess.start(place, fields, {
            NODE_USE_ENV_PROXY: "1",
            HTTP_PROXY: address,
            http_proxy: address,
            HTTPS_PROXY: address,
            https_proxy: address,
            ALL_PROXY: address,
            NO_PROXY: undefined,
            no_proxy: undefined
          })
          const connected = yield* host.awaitState("Connected")
          assert.include(connected, "\"bootstrapped\":\"started\"")
          // Once more, from its registration, with probes that carry it.
          yield* sshd.dropSessions
          yield* host.process.stdout.waitFor("\"bootstrapped\":\"reused\"")

          const registration = ".local/state/opencode-ssh/server.json"
          const { password, pid } = JSON.parse(Fs.readFileSync(Path.join(sshd.home, registration), "utf8")) as {
            readonly password: string
            readonly pid: number
          }
          assert.isAtLeast(password.length, 32)
          const basic = Buffer.from(`opencode:${password}`).toString("base64")
          const secrets = [password, basic, encodeURIComponent(password), Buffer.from(password).toString("base64")]

          const all = yield* sights
          for (const program of ["ssh -F", "connect.mjs", "sshd:", "opencode serve"]) {
            assert.isTrue(all.some(({ command }) => command.includes(program)), `${program} was looked at`)
          }
          const revealing = all.filter(({ text }) => secrets.some((secret) => text.includes(secret)))
          const others = revealing.filter((sight) => sight.pid !== pid || sight.what !== "environ")
          assert.deepStrictEqual(others.map(({ command, pid, what }) => `${what} of ${pid}: ${command}`), [])
          assert.isNotEmpty(revealing)

          const outputs = {
            "the host's stdout": yield* host.process.stdout.text,
            "the host's stderr": yield* host.process.stderr.text,
            "sshd's log": yield* sshd.log.text
          }
          assert.isNotEmpty(outputs["the host's stderr"])
          for (const [name, text] of Object.entries(outputs)) {
            for (const secret of secrets) assert.notInclude(text, secret, name)
          }
          for (const secret of secrets) {
            assert.deepStrictEqual(filesWith(Path.dirname(place.runtimeBase), secret), [])
            assert.deepStrictEqual(filesWith(sshd.home, secret), secret === password ? [registration] : [])
          }
          assert.strictEqual(Fs.statSync(Path.join(sshd.home, registration)).mode & 0o777, 0o600)
          assert.strictEqual(yield* proxy.connections, 0)

          const environment = read(`/proc/${pid}/environ`).split("\0")
          assert.include(environment, "LAB_API_KEY=from the profile")
          assert.match(environment.find((entry) => entry.startsWith("PATH=")) ?? "", /^PATH=[^:]*\/home\/tools:/)
        }),
      120_000
    )
  }
)
