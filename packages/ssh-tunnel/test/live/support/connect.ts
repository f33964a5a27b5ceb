/**
 * A host application in a process of its own: `connect.ts PROFILES [ENDING [TIMING]]`, profiles as JSON. It connects
 * them and prints each of their states as a line of JSON, and logs everything to stderr, until it is ended.
 *
 * ENDING is how it deals with its own end:
 *   unprepared   (default) it does not; signals have their default action
 *   signals      SIGINT, SIGTERM and SIGHUP release the layers, as README.md shows it for Electron
 *   runner       Effect's own runner, which knows SIGINT and SIGTERM
 * TIMING overrides durations: `{ "killAfter": 700 }` (milliseconds).
 *
 * Each line on stdin is a command: `connect ID`, `disconnect ID`, `ask ID` (prints the state), `release` (releases the
 * layers, and does nothing more), `exit` and `throw` (end the process with everything running).
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Duration, Effect, Layer, Logger, ManagedRuntime, References, Schema, Stream } from "effect"
import { createInterface } from "node:readline"
import { Connections } from "../../../src/Connections.ts"
import { ConnectionState } from "../../../src/ConnectionState.ts"
import { layer } from "../../../src/node/index.ts"
import { Profile, ProfileId } from "../../../src/Profile.ts"
import { ProfileRepo } from "../../../src/ProfileRepo.ts"
import { Timing } from "../../../src/Schedules.ts"

const [words = "[]", ending = "unprepared", durations = "{}"] = process.argv.slice(2)
const encode = Schema.encodeEffect(Schema.fromJsonString(Schema.toCodecJson(ConnectionState)))
const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(Schema.Array(Profile))))

const logs = Layer.merge(
  Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)]),
  Layer.succeed(References.MinimumLogLevel, "All")
)
const timing = Layer.succeed(Timing, {
  ...Timing.defaults,
  ...Object.fromEntries(
    Object.entries(JSON.parse(durations) as Record<string, number>).map(([name, ms]) => [name, Duration.millis(ms)])
  )
})
const everything = layer.pipe(Layer.provideMerge(logs), Layer.provide(timing))
const runtime = ManagedRuntime.make(everything)

const shown = new Map<ProfileId, string>()
const show = Effect.fnUntraced(function*(id: ProfileId, state: ConnectionState, again: boolean = false) {
  const text = yield* encode(state)
  if (!again && shown.get(id) === text) return
  shown.set(id, text)
  console.log(`{"id":"${id}","state":${text}}`)
})

const lines = createInterface({ input: process.stdin })

/** Stops listening to stdin, which would keep the process alive, and releases the layers. */
const release = async () => {
  lines.close()
  process.stdin.destroy()
  await runtime.dispose()
  console.log("released")
}

const command = Effect.fnUntraced(function*(line: string) {
  const connections = yield* Connections
  const [word = "", name = "box"] = line.split(" ")
  const id = ProfileId.make(name)
  if (word === "connect") yield* connections.connect(id)
  if (word === "disconnect") yield* connections.disconnect(id)
  if (word === "ask") yield* show(id, yield* connections.state(id), true)
})

const start = Effect.gen(function*() {
  const profiles = yield* decode(words)
  const connections = yield* Connections
  const repository = yield* ProfileRepo
  yield* Effect.forEach(profiles, (profile) => repository.save(profile), { discard: true })
  yield* connections.states.pipe(
    Stream.runForEach((states) => Effect.forEach(states, ([id, state]) => show(id, state), { discard: true })),
    Effect.forkDetach
  )
  yield* Effect.forEach(profiles, ({ id }) => connections.connect(id), { discard: true })
})

process.on("beforeExit", () => console.log("the event loop is empty"))
if (ending === "runner") {
  NodeRuntime.runMain(Effect.provide(Effect.andThen(start, Effect.never), everything))
} else {
  lines.on("line", (line) => {
    if (line === "release") void release()
    else if (line === "exit") process.exit(7)
    else if (line === "throw") {
      setImmediate(() => {
        throw new Error("a bug of the host")
      })
    } else void runtime.runPromise(command(line))
  })
  if (ending === "signals") {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => void release().finally(() => process.exit(0)))
    }
  }
  await runtime.runPromise(start)
}
