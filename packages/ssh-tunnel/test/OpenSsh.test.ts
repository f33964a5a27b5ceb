import { assert, it } from "@effect/vitest"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Context, Deferred, Effect, Exit, Layer, Scope } from "effect"
import { layerPlatformWith } from "../src/node/index.ts"
import { OpenSsh } from "../src/OpenSsh.ts"
import { Reaper } from "../src/Reaper.ts"
import { RuntimeDirectory } from "../src/RuntimeDirectory.ts"

it.live("a connection's end does not wait until it is forgotten, but the end of the services does", () =>
  Effect.gen(function*() {
    const path = yield* TempDirectory.make()
    const news: Array<string> = []
    const mayForget = yield* Deferred.make<void>()
    const directory = Layer.effect(
      RuntimeDirectory,
      Effect.gen(function*() {
        yield* Effect.addFinalizer(() => Effect.sync(() => news.push("the directory is removed")))
        return {
          ...(yield* RuntimeDirectory),
          forget: () => Effect.andThen(Deferred.await(mayForget), Effect.sync(() => news.push("forgotten")))
        }
      })
    ).pipe(Layer.provide(RuntimeDirectory.layerMock(path)))
    // A program that, like an ssh with a connection, does not end by itself.
    const platform = layerPlatformWith({ environment: { ...process.env, OPENCODE_SSH_BINARY: "sleep" } })
    const lifetime = yield* Scope.make()
    const services = yield* OpenSsh.layerNoDeps.pipe(
      Layer.provide([directory, Reaper.layerNoop, platform]),
      Layer.buildWithScope(lifetime)
    )

    yield* Effect.scoped(Context.get(services, OpenSsh).hold(["1000"]))
    assert.deepStrictEqual(news, [])
    yield* Effect.all([Scope.close(lifetime, Exit.void), Deferred.succeed(mayForget, undefined)], {
      concurrency: "unbounded"
    })
    assert.deepStrictEqual(news, ["forgotten", "the directory is removed"])
  }))
