import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, PlatformError, Ref } from "effect"
import * as AtomicFile from "../src/AtomicFile.ts"
import { LocalHost } from "../src/LocalHost.ts"

/** What a file system does, in order: the disk itself has it only after a sync. */
type Step =
  | { readonly _tag: "write"; readonly file: string; readonly text: string }
  | { readonly _tag: "rename"; readonly from: string; readonly to: string }
  | { readonly _tag: "sync"; readonly path: string }

/**
 * What may be on the disk when the power goes after these steps. Contents that were not synced may be missing; names
 * may be there or not, unless their directory was synced, and they may be there before the content is.
 */
const afterPowerCut = (steps: ReadonlyArray<Step>, file: string, directory: string): ReadonlyArray<string> => {
  const synced = new Map<string, string>([[file, "old"]])
  const written = new Map<string, string>()
  const outcomes = new Set<string>(["old"])
  for (const step of steps) {
    if (step._tag === "write") written.set(step.file, step.text)
    if (step._tag === "sync" && written.has(step.path)) synced.set(step.path, written.get(step.path) ?? "")
    if (step._tag === "rename" && step.to === file) {
      const content = synced.get(step.from) ?? "torn"
      outcomes.add(content)
      synced.set(file, content)
    }
    if (step._tag === "sync" && step.path === directory) {
      outcomes.clear()
      outcomes.add(synced.get(file) ?? "torn")
    }
  }
  return [...outcomes]
}

/** A file system that remembers what it was asked to do. */
const recording = Effect.gen(function*() {
  const steps = yield* Ref.make<ReadonlyArray<Step>>([])
  const add = (step: Step) => Ref.update(steps, (all) => [...all, step])
  const fs: FileSystem.FileSystem = {
    ...yield* FileSystem.FileSystem,
    makeDirectory: () => Effect.void,
    open: (path) =>
      Effect.succeed(
        // Nothing else of it is used.
        {
          writeAll: (bytes: Uint8Array) => add({ _tag: "write", file: path, text: new TextDecoder().decode(bytes) }),
          sync: add({ _tag: "sync", path })
        } as unknown as FileSystem.File
      ),
    rename: (from, to) => add({ _tag: "rename", from, to }),
    remove: () => Effect.fail(PlatformError.badArgument({ module: "FileSystem", method: "remove" }))
  }
  return { fs, steps: Ref.get(steps) }
})

it.effect("a power cut at any moment leaves the old content or the new; once it is acknowledged, the new", () =>
  Effect.gen(function*() {
    const { fs, steps } = yield* recording
    const { write } = yield* AtomicFile.make.pipe(
      Effect.provide(Layer.merge(
        Layer.succeed(FileSystem.FileSystem, fs),
        LocalHost.layerMock({ randomBytes: (length) => Effect.succeed(new Uint8Array(length)) })
      ))
    )
    yield* write("/data/file", new TextEncoder().encode("new"))
    const done = yield* steps
    for (let cut = 0; cut < done.length; cut++) {
      for (const content of afterPowerCut(done.slice(0, cut), "/data/file", "/data")) {
        assert.include(["old", "new"], content, `after ${cut} of ${JSON.stringify(done)}`)
      }
    }
    assert.deepStrictEqual(afterPowerCut(done, "/data/file", "/data"), ["new"])
  }).pipe(Effect.provide(NodeServices.layer)))
