/** The machines that all entries share. Each is made when the first entry wants it. */
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import type { LabError } from "@opencode-ai/ssh-lab/LabError"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as SshAgent from "@opencode-ai/ssh-lab/SshAgent"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as SshKey from "@opencode-ai/ssh-lab/SshKey"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, Scope } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"

/** Keys that only a certificate authority makes welcome. */
export interface Authority {
  /** Public key of the authority for hosts, without a comment. */
  readonly host: string
  /** A user's key that no authorized_keys lists, with its certificate beside it (`-cert.pub`). */
  readonly user: SshKey.SshKey
}

export interface Machines {
  /** What most entries connect to, and a jump host. */
  readonly plain: Effect.Effect<Sshd.Sshd, LabError>
  readonly jump: Effect.Effect<Sshd.Sshd, LabError>
  /** Listens on ::1 too. */
  readonly ipv6: Effect.Effect<Sshd.Sshd, LabError>
  /** Its host key has a certificate, and it takes the authority's word for users. */
  readonly certified: Effect.Effect<Sshd.Sshd, LabError>
  readonly authority: Effect.Effect<Authority, LabError>
  /** An agent that holds the key which all machines accept, and nothing else. */
  readonly agent: Effect.Effect<SshAgent.SshAgent, LabError>
  /** An OpenCode server on all of them, as far as discovery can see. */
  readonly server: Effect.Effect<FakeServer.FakeServer, LabError>
}

export type Machine = "plain" | "jump" | "ipv6" | "certified"

const options = { config: ["MaxStartups 1000", "MaxSessions 1000", "AcceptEnv LAB_*"] }

/** Machines that end with the scope. */
export const make: Effect.Effect<Machines, never, Scope.Scope> = Effect.gen(function*() {
  const scope = yield* Effect.scope
  const once = <A>(effect: Effect.Effect<A, LabError, Scope.Scope>) => Effect.cached(Scope.provide(effect, scope))

  const authority = yield* once(Effect.gen(function*() {
    const directory = yield* TempDirectory.make()
    const path = (name: string) => Path.join(directory, name)
    const names = ["host-ca", "user-ca", "host", "user"]
    const [hostCa, userCa, host, user] = yield* Effect.forEach(names, (name) => SshKey.make(path(name)))
    const sign = (ca: SshKey.SshKey | undefined, key: SshKey.SshKey | undefined, ...words: ReadonlyArray<string>) =>
      Process.output("ssh-keygen", ["-q", "-s", ca?.file ?? "", "-I", "lab", ...words, `${key?.file}.pub`])
    yield* sign(hostCa, host, "-h", "-n", "certified.lab")
    yield* sign(userCa, user, "-n", (yield* Process.output("id", ["-un"])).trim())
    if (hostCa === undefined || userCa === undefined || host === undefined || user === undefined) {
      return yield* Effect.die("four keys")
    }
    return { host: hostCa.publicKey.split(" ").slice(0, 2).join(" "), user, userCa, key: host }
  }))

  const plain = yield* once(Sshd.make(options))
  return {
    plain,
    jump: yield* once(Sshd.make(options)),
    ipv6: yield* once(Sshd.make({ config: [...options.config, "ListenAddress ::1"] })),
    certified: yield* once(Effect.gen(function*() {
      const { key, userCa } = yield* authority
      return yield* Sshd.make({
        config: [
          ...options.config,
          `HostKey ${key.file}`,
          `HostCertificate ${key.file}-cert.pub`,
          `TrustedUserCAKeys ${userCa.file}.pub`
        ],
        hostKeys: ["ecdsa"]
      })
    })),
    authority,
    agent: yield* once(Effect.gen(function*() {
      const agent = yield* SshAgent.make()
      yield* agent.add((yield* plain).key)
      return agent
    })),
    server: yield* once(FakeServer.http(FakeServer.v1("1.18.33")))
  }
})

/** Whether this machine has an IPv6 loopback address. */
export const hasIpv6 = (): boolean => {
  try {
    return Fs.readFileSync("/proc/net/if_inet6", "utf8").includes(`${"0".repeat(31)}1 `)
  } catch {
    return process.platform !== "linux"
  }
}
