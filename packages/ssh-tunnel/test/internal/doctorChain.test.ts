import { assert, describe, it } from "@effect/vitest"
import type { StepId } from "../../src/DoctorStep.ts"
import { classify } from "../../src/internal/classify.ts"
import * as DoctorChain from "../../src/internal/doctorChain.ts"
import { append, empty, type SshLog } from "../../src/internal/sshLog.ts"
import { transcript, transcripts } from "./transcripts.ts"

const logOf = (stderr: string): SshLog => append(empty, stderr)[1]

const errorOf = (name: string) => {
  const { exit, stderr } = transcript(name)
  return classify({
    log: logOf(stderr),
    exit,
    phase: "opening",
    target: { host: "box", options: [] },
    hops: (host) => ({ host, options: [] })
  })
}

/** At which step each recorded failure belongs, by the beginning of its name; the longest one counts. */
const expected: Readonly<Record<string, StepId>> = {
  "agent-": "authentication",
  "banner-": "authentication",
  "banner-never": "port",
  "closed-after-banner": "host-key",
  "closed-at-accept": "port",
  "config-": "config",
  "config-deprecated-option": "name",
  "config-directory": "name",
  "config-unsupported-option": "name",
  "control-socket-": "config",
  "debug-message-forged": "host-key",
  "disconnect-message-forged": "host-key",
  "host-": "host-key",
  "identity-": "authentication",
  "jump-banner-crlf-then-target-refused": "authentication",
  "jump-config-": "config",
  "jump-host-key-": "host-key",
  "jump-key-refused": "authentication",
  "jump-login-slow": "authentication",
  "jump-not-resolved": "name",
  "jump-password-only": "authentication",
  "jump-prohibited": "port",
  "jump-refused": "port",
  "jump-silent": "port",
  "jump-target-": "port",
  "jump-target-key-refused": "authentication",
  "jump-target-key-unknown": "host-key",
  "jump-through-users-master": "authentication",
  "jump-through-users-master-prohibited": "port",
  "jump-two-first-key-unknown": "host-key",
  "jump-two-first-prohibits": "port",
  "jump-two-second-refuses-key": "authentication",
  "key-": "authentication",
  "key-exchange-stalls": "host-key",
  "keyboard-": "authentication",
  "lost-": "forwarding",
  "max-startups": "port",
  "name-": "name",
  "no-common-": "host-key",
  "no-default-key": "authentication",
  "no-key-to-offer": "authentication",
  "no-route": "port",
  "not-ssh-": "port",
  "password-": "authentication",
  "plain-local-port-taken": "forwarding",
  "prohibited-locally": "port",
  "protocol-1": "host-key",
  "proxy-command-": "port",
  "proxy-command-ssh-target-key-unknown": "host-key",
  "refused": "port",
  "reset-at-accept": "port",
  "source-7.3-closed-at-accept": "port",
  "source-8.2-host-key-changed": "host-key",
  "source-8.2-key-then-password": "authentication",
  "source-9.6-": "authentication",
  "source-10.2-key-refused": "authentication",
  "source-7.3-key-": "authentication",
  "source-7.6-key-": "authentication",
  "source-localised-denied": "authentication",
  "source-macos-name-not-found": "name",
  "source-macos-timed-out": "port",
  "source-security-key-": "authentication",
  "source-unknown-connect-error": "port",
  "source-unsupported-option-then-host-key-unknown": "host-key",
  "timed-out": "port",
  "too-many-failures": "authentication",
  "two-addresses-refused": "port",
  "unreachable": "port"
}

const stepOfName = (name: string): StepId | undefined => {
  const prefix = Object.keys(expected).filter((prefix) => name.startsWith(prefix))
    .sort((a, b) => b.length - a.length)[0]
  return prefix === undefined ? undefined : expected[prefix]
}

describe("the step at which a connection has failed", () => {
  for (const { name, stderr } of transcripts) {
    const step = stepOfName(name)
    if (step === undefined || name === "banner-crlf-then-up") continue
    it(`${name}: ${step}`, () => {
      const log = logOf(stderr)
      assert.strictEqual(DoctorChain.stepOf(errorOf(name), log), step)
      // What ssh's log says is done lies before it.
      const done = DoctorChain.chainSteps.filter((step) => DoctorChain.isDone(log, step))
      assert.notInclude(done as ReadonlyArray<StepId>, step)
    })
  }

  it("is known for all recorded ends of a connection that was being made", () => {
    const others = transcripts.filter(({ name }) => stepOfName(name) === undefined).map(({ name }) => name)
    // Clients of a master, what happens later, and other programs in the place of ssh.
    for (const name of others) assert.match(name, /^(mux-|forward-|jump-up$|plain-|up$|source-)/)
  })
})

describe("what is seen on the way", () => {
  const details = (name: string) => {
    const log = logOf(transcript(name).stderr)
    return DoctorChain.chainSteps.map((step) => DoctorChain.detailOf(log, step))
  }

  it("is what a banner cannot change", () => {
    assert.deepStrictEqual(details("banner-crlf-then-up"), [
      "127.0.0.1 is an address",
      "port 2201",
      "ssh-ed25519 SHA256:box+ed2551900000000000000000000000000000000",
      "as me with the ED25519 key /home/me/.ssh/id_ed25519"
    ])
  })

  it("names every machine behind a jump host", () => {
    const [name, port, hostKey, login] = details("jump-up")
    assert.strictEqual(name, "bastion, the jump host; names behind it are its business")
    assert.strictEqual(port, "bastion: port 2202\n127.0.0.1: port 2203")
    assert.match(
      hostKey ?? "",
      /^bastion: ssh-ed25519 SHA256:bastion\S+\n127\.0\.0\.1: ssh-ed25519 SHA256:inner\S+$/
    )
    assert.match(login ?? "", /^bastion: as me with the ED25519 key \S+\n127\.0\.0\.1: as me with the ED25519 key \S+$/)
  })

  it("ends where the chain has ended", () => {
    assert.deepStrictEqual(details("jump-key-refused").slice(1).map((text) => text.split(":")[0]), [
      "bastion",
      "bastion",
      ""
    ])
  })

  it("is not more than a ProxyCommand lets see", () => {
    const { stderr } = transcript("proxy-command-ssh-target-key-unknown")
    const log = logOf(stderr)
    assert.strictEqual(DoctorChain.isProxied(log), true)
    assert.strictEqual(DoctorChain.detailOf(log, "name"), "the ProxyCommand does this")
    assert.isTrue(DoctorChain.isDone(log, "name"))
  })

  it("grows with the log, and a step that is done stays done", () => {
    for (const { stderr } of transcripts) {
      let log = empty
      const done = new Set<string>()
      for (const line of stderr.split(/(?<=\n)/)) {
        log = append(log, line)[1]
        for (const step of DoctorChain.chainSteps) {
          if (DoctorChain.isDone(log, step)) done.add(step)
          else assert.isFalse(done.has(step) && !log.connections.some(({ forged }) => forged), step)
        }
      }
    }
  })
})
