/** The machines of the scenarios: a `box` that is connected to, a `jump` host before it, and the user's ssh files. */
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import type { LabError } from "@opencode-ai/ssh-lab/LabError"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as SshKey from "@opencode-ai/ssh-lab/SshKey"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, type Scope } from "effect"
import * as Path from "node:path"
import type { Fields, Situation } from "./Scenario.ts"

type Make<A> = Effect.Effect<A, LabError, Scope.Scope>

/** The user's keys: files beside the ssh config, but not watched, because scenarios spoil them. */
export interface Keys {
  readonly directory: string
  readonly path: (name: string) => string
  readonly make: (name: string, options?: Parameters<typeof SshKey.make>[1]) => Make<SshKey.SshKey>
}

export const keys: Make<Keys> = Effect.map(TempDirectory.make(), (directory) => ({
  directory,
  path: (name) => Path.join(directory, name),
  make: (name, options) => SshKey.make(Path.join(directory, name), options)
}))

/** The lines of one host of an ssh config. */
export const host = (name: string, ...lines: ReadonlyArray<string>): string => [`Host ${name}`, ...lines].join("\n  ")

/** A host at a port of this machine that no sshd of the lab has. */
export const atPort = (name: string, port: number, ...lines: ReadonlyArray<string>): string =>
  host(name, ...lines, "HostName 127.0.0.1", `Port ${port}`, "IdentityFile none")

/** The names of what differs in each run. */
export const namesOf = (sshd: Sshd.Sshd, name = "box"): NonNullable<Situation["names"]> => [
  [sshd.port, name === "box" ? "PORT" : `PORT-OF-${name.toUpperCase()}`],
  [sshd.key.file, "~/.ssh/id_ed25519"],
  [sshd.directory, `FILES-OF-${name.toUpperCase()}`],
  [`the user ${sshd.user}`, "the user USER"],
  [`${sshd.user}@`, "USER@"]
]

/** An OpenCode server on the remote machine, as far as discovery can see. */
export const server = FakeServer.http(FakeServer.v1("1.18.33"))

export interface BoxOptions {
  readonly sshd?: Sshd.Options
  readonly host?: Omit<SshClient.Host, "sshd">
  readonly client?: Omit<SshClient.Options, "hosts">
  readonly profile?: Partial<Fields>
  /** Default: a healthy one. */
  readonly remotePort?: number
}

export interface Box {
  readonly sshd: Sshd.Sshd
  readonly client: SshClient.SshClient
  /** To connect to it would succeed. */
  readonly situation: Situation
}

/** A machine with sshd and an OpenCode server, which the user's ssh config calls `box`. */
export const box = Effect.fn("places.box")(function*(options: BoxOptions = {}) {
  const sshd = yield* Sshd.make(options.sshd)
  const client = yield* SshClient.make({ ...options.client, hosts: { box: { sshd, ...options.host } } })
  const remotePort = options.remotePort ?? (yield* server).port
  const situation: Situation = {
    profile: { host: "box", sshConfig: client.configFile, remotePort, ...options.profile },
    names: [...namesOf(sshd), [client.directory, "~/.ssh"], [remotePort, "REMOTE-PORT"]]
  }
  return { sshd, client, situation } satisfies Box
})

/** The same, and what is wrong with it. */
export const boxWith = (
  options: BoxOptions,
  more: (box: Box) => Make<Partial<Situation>> | Partial<Situation> = () => ({})
): Make<Situation> =>
  Effect.gen(function*() {
    const made = yield* box(options)
    const changed = more(made)
    const change = Effect.isEffect(changed) ? yield* changed : changed
    return {
      ...made.situation,
      ...change,
      profile: { ...made.situation.profile, ...change.profile },
      names: [...change.names ?? [], ...made.situation.names ?? []]
    }
  })

/** Only the user's ssh files; nobody is reached. */
export const files = Effect.fn("places.files")(
  function*(config: string, options: Omit<SshClient.Options, "after" | "hosts"> = {}) {
    const client = yield* SshClient.make({ ...options, after: config })
    const situation: Situation = {
      profile: { host: "box", sshConfig: client.configFile },
      names: [[client.directory, "~/.ssh"]]
    }
    return { client, situation }
  }
)

/** Something on a port of this machine that is no sshd of the lab, as `box`. */
export const portWith = (port: Make<number>, ...lines: ReadonlyArray<string>): Make<Situation> =>
  Effect.gen(function*() {
    const number = yield* port
    const { situation } = yield* files(atPort("box", number, ...lines))
    return { ...situation, names: [[number, "PORT"], ...situation.names ?? []] }
  })

export interface JumpOptions {
  readonly jump?: Sshd.Options
  readonly box?: Sshd.Options
  readonly jumpHost?: Omit<SshClient.Host, "sshd">
  readonly boxHost?: Omit<SshClient.Host, "sshd">
  readonly client?: Omit<SshClient.Options, "hosts">
}

export interface Jump {
  readonly jump: Sshd.Sshd
  readonly box: Sshd.Sshd
  readonly client: SshClient.SshClient
}

/** A machine behind a jump host, which the user's ssh config calls `box` and `jump`. */
export const jumpWith = (
  options: JumpOptions,
  more: (machines: Jump) => Make<Partial<Situation>> | Partial<Situation> = () => ({})
): Make<Situation> =>
  Effect.gen(function*() {
    const [jump, box] = yield* Effect.all([Sshd.make(options.jump), Sshd.make(options.box)], { concurrency: 2 })
    const lines = [...options.boxHost?.lines ?? [], "ProxyJump jump"]
    const client = yield* SshClient.make({
      ...options.client,
      hosts: { jump: { sshd: jump, ...options.jumpHost }, box: { sshd: box, ...options.boxHost, lines } }
    })
    const { port } = yield* server
    const changed = more({ jump, box, client })
    const change = Effect.isEffect(changed) ? yield* changed : changed
    return {
      ...change,
      profile: { host: "box", sshConfig: client.configFile, remotePort: port, ...change.profile },
      names: [...change.names ?? [], ...namesOf(jump, "jump"), ...namesOf(box), [client.directory, "~/.ssh"]]
    }
  })
