/** What all benchmarks need: an sshd, a server behind it, profiles, and our connections to it. */
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import type { LabError } from "@opencode-ai/ssh-lab/LabError"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Connections, CredentialStore, LocalPorts, Profile, ProfileId, ProfileRepo } from "@opencode-ai/ssh-tunnel"
import { layerConnections } from "@opencode-ai/ssh-tunnel/node"
import { Effect, Layer, type Scope } from "effect"

export const id = ProfileId.make("bench")

export interface Options {
  /** Absent: sshd's own default. */
  readonly maxStartups?: number
  /** A way to sshd's port that is not direct: where it begins. */
  readonly way?: (port: number) => Effect.Effect<{ readonly port: number }, LabError, Scope.Scope>
}

export const make = Effect.fnUntraced(function*({ maxStartups, way }: Options = {}) {
  const sshd = yield* Sshd.make(maxStartups === undefined ? {} : { config: [`MaxStartups ${maxStartups}`] })
  const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
  const { port } = way === undefined ? sshd : yield* way(sshd.port)
  const client = yield* SshClient.make({
    hosts: { box: { sshd, lines: [`Port ${port}`] } },
    knownHosts: sshd.hostKeys.map((key) => `[127.0.0.1]:${port} ${key.publicKey}`)
  })
  return { sshd, server, client }
})

export type World = Effect.Success<ReturnType<typeof make>>

export const profileFor = (configFile: string, remotePort: number, profileId: ProfileId = id) =>
  new Profile({
    id: profileId,
    name: "Bench",
    host: "box",
    sshConfig: configFile,
    remotePort,
    bootstrap: { enabled: false, lifetime: "persistent" }
  })

/** Our connections with these profiles, and nothing else of this machine. */
export const layerOf = (profiles: ReadonlyArray<Profile>) =>
  layerConnections.pipe(
    Layer.provide([ProfileRepo.layerMemory(profiles), CredentialStore.layerMemory(), LocalPorts.layerMemory()])
  )

/** Runs with the connections of one profile of a world. */
export const withConnections = <A, E, R>(
  { client, server }: World,
  use: (connections: Connections["Service"]) => Effect.Effect<A, E, R>,
  remotePort: number = server.port
) =>
  Effect.gen(function*() {
    return yield* use(yield* Connections)
  }).pipe(Effect.provide(layerOf([profileFor(client.configFile, remotePort)])))

/** An effect's value, and how many milliseconds it took. */
export const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(effect, (value) => ({ value, ms: performance.now() - start }))
  })
