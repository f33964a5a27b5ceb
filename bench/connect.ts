/**
 * Profile → Connected against raw `ssh -N -L` plus the first good answer, in
 * turn, on loopback and with 100 ms RTT; then 300 new HTTP connections through
 * each tunnel, counting those that stall on Nagle and delayed ACK (~42 ms).
 *
 * `node bench/connect.ts [runs]`
 */
import * as DelayProxy from "@opencode-ai/ssh-lab/DelayProxy"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { Connections, CredentialStore, LocalPorts, Profile, ProfileId, ProfileRepo } from "@opencode-ai/ssh-tunnel"
import { layerConnections } from "@opencode-ai/ssh-tunnel/node"
import { Effect, Layer } from "effect"
import { get, tunnel } from "./rawSsh.ts"
import { median, pairedRatio, spread } from "./statistics.ts"

const runs = Number(process.argv[2] ?? 15)
const requests = 300
/** Above this a new connection waited for a delayed ACK (Linux: 40 ms at least). */
const stalled = 35
const roundTrip = 100

const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const start = performance.now()
    return Effect.map(effect, (value) => ({ value, ms: performance.now() - start }))
  })

const stalls = (port: number) =>
  Effect.map(
    Effect.replicateEffect(timed(get(port, "/global/health")), requests),
    (all) => all.filter(({ ms }) => ms > stalled).length
  )

const id = ProfileId.make("bench")

const scenario = Effect.fnUntraced(function*(name: string, delay: number, count: number) {
  const sshd = yield* Sshd.make()
  const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
  const port = delay === 0 ? sshd.port : (yield* DelayProxy.make({ to: sshd.port, delay: delay / 2 })).port
  const client = yield* SshClient.make({
    hosts: { box: { sshd, lines: [`Port ${port}`] } },
    knownHosts: sshd.hostKeys.map((key) => `[127.0.0.1]:${port} ${key.publicKey}`)
  })
  const profile = new Profile({
    id,
    name: "Bench",
    host: "box",
    sshConfig: client.configFile,
    remotePort: server.port,
    bootstrap: { enabled: false, lifetime: "persistent" }
  })

  return yield* Effect.gen(function*() {
    const connections = yield* Connections
    const connect = Effect.andThen(connections.connect(id), connections.settled(id))
    const raw = Effect.scoped(Effect.map(timed(tunnel(client.configFile, "box", server.port)), ({ ms }) => ms))
    const ours = Effect.acquireUseRelease(
      timed(connect),
      ({ ms }) => Effect.succeed(ms),
      () => connections.disconnect(id)
    )
    yield* raw
    yield* ours
    const before = yield* sshd.authentications
    const theirs: Array<number> = []
    const mine: Array<number> = []
    for (let run = 0; run < count; run++) {
      theirs.push(yield* raw)
      mine.push(yield* ours)
    }
    const authentications = ((yield* sshd.authentications) - before - count) / count
    console.log(`${name}: ${count} runs in turn, ms as min / median / max`)
    console.log(`  ssh -N -L and first answer   ${spread(theirs)}`)
    console.log(`  profile → Connected          ${spread(mine)}`)
    console.log(`  ratio (median of pairs)      ${pairedRatio(mine, theirs).toFixed(2)}`)
    console.log(`  authentications per connect  ${authentications}`)
    return { mine, theirs, connect, connections, client, server }
  }).pipe(Effect.provide(layerConnections.pipe(
    Layer.provide([ProfileRepo.layerMemory([profile]), CredentialStore.layerMemory(), LocalPorts.layerMemory()])
  )))
}, Effect.scoped)

const stallCount = Effect.gen(function*() {
  const sshd = yield* Sshd.make()
  const server = yield* FakeServer.http(FakeServer.v1("1.18.33"))
  const client = yield* SshClient.make({ hosts: { box: sshd } })
  const profile = new Profile({
    id,
    name: "Bench",
    host: "box",
    sshConfig: client.configFile,
    remotePort: server.port,
    bootstrap: { enabled: false, lifetime: "persistent" }
  })
  const raw = yield* Effect.scoped(
    Effect.flatMap(tunnel(client.configFile, "box", server.port), ({ port }) => stalls(port))
  )
  const ours = yield* Effect.gen(function*() {
    const connections = yield* Connections
    yield* connections.connect(id)
    const { localPort } = yield* connections.settled(id)
    return yield* stalls(localPort)
  }).pipe(Effect.provide(layerConnections.pipe(
    Layer.provide([ProfileRepo.layerMemory([profile]), CredentialStore.layerMemory(), LocalPorts.layerMemory()])
  )))
  console.log(`${requests} new HTTP connections: slower than ${stalled} ms`)
  console.log(`  ssh -N -L  ${raw}`)
  console.log(`  ours       ${ours}`)
}).pipe(Effect.scoped)

await Effect.runPromise(Effect.gen(function*() {
  const near = yield* scenario("loopback", 0, runs)
  const far = yield* scenario(`${roundTrip} ms RTT`, roundTrip, Math.max(3, Math.ceil(runs / 3)))
  const trips = (median(far.mine) - median(near.mine)) / roundTrip
  const rawTrips = (median(far.theirs) - median(near.theirs)) / roundTrip
  console.log(`RTTs on the critical path: ours ${trips.toFixed(1)}, ssh -N -L ${rawTrips.toFixed(1)}`)
  yield* stallCount
}))
