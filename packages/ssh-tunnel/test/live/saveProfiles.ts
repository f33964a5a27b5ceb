/**
 * A process of its own that saves profiles: `saveProfiles.ts DIRECTORY PREFIX
 * COUNT`. Prints `ready`, waits for a line on stdin, then saves PREFIX-0,
 * PREFIX-1, … and prints each id once it is saved, or `refused` and the reason.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Effect, Layer } from "effect"
import { once } from "node:events"
import { DataDirectory } from "../../src/DataDirectory.ts"
import * as NodeLocalHost from "../../src/node/LocalHost.ts"
import { ProfileRepo } from "../../src/ProfileRepo.ts"
import { profile } from "../ProfileFixtures.ts"

const [directory = "", prefix = "", count = "0"] = process.argv.slice(2)

const layer = ProfileRepo.layerNoDeps.pipe(
  Layer.provide(DataDirectory.layerAt(directory)),
  Layer.provide(Layer.mergeAll(NodeFileSystem.layer, NodePath.layer, NodeLocalHost.layer))
)

const program = Effect.gen(function*() {
  const repo = yield* ProfileRepo
  yield* Effect.sync(() => console.log("ready"))
  yield* Effect.promise(() => once(process.stdin, "data"))
  for (let index = 0; index < Number(count); index++) {
    const id = `${prefix}-${index}`
    const word = yield* Effect.match(repo.save(profile(id)), {
      onFailure: ({ reason }) => `refused ${reason._tag}`,
      onSuccess: () => id
    })
    yield* Effect.sync(() => console.log(word))
  }
})

await Effect.runPromise(Effect.provide(program, layer))
process.stdin.destroy()
