/** Writes `schema/ssh-profiles.schema.json`, which is shipped with the package. A test fails when it is stale. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, FileSystem } from "effect"
import { fileURLToPath } from "node:url"
import { jsonSchema } from "../src/ProfileFile.ts"

const target = fileURLToPath(new URL("../schema/ssh-profiles.schema.json", import.meta.url))

const program = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  yield* fs.writeFileString(target, `${JSON.stringify(jsonSchema(), undefined, 2)}\n`)
})

await Effect.runPromise(Effect.provide(program, NodeServices.layer))
