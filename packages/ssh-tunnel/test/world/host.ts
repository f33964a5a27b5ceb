/**
 * A host application in a process of its own: `host.ts PROFILE`, a profile as
 * JSON. It connects it, prints each state as a line of JSON and logs
 * everything to stderr, until it is ended.
 */
import { Effect, HashMap, Layer, Logger, References, Schema, Stream } from "effect"
import { Connections } from "../../src/Connections.ts"
import { ConnectionState } from "../../src/ConnectionState.ts"
import { layer } from "../../src/node/index.ts"
import { Profile } from "../../src/Profile.ts"
import { ProfileRepo } from "../../src/ProfileRepo.ts"

const encode = Schema.encodeEffect(Schema.fromJsonString(Schema.toCodecJson(ConnectionState)))

const program = Effect.gen(function*() {
  const profile = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.toCodecJson(Profile)))(process.argv[2])
  const profiles = yield* ProfileRepo
  const connections = yield* Connections
  yield* profiles.save(profile)
  yield* connections.connect(profile.id)
  yield* connections.states.pipe(
    Stream.flatMap((states) => Stream.fromIterable(HashMap.values(states))),
    Stream.runForEach((state) => Effect.flatMap(encode(state), (line) => Effect.sync(() => console.log(line))))
  )
})

const everything = Layer.merge(
  Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)]),
  Layer.succeed(References.MinimumLogLevel, "All")
)

await Effect.runPromise(Effect.provide(program, Layer.provideMerge(layer, everything)))
