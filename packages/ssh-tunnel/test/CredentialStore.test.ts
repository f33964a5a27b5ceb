import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, Redacted } from "effect"
import { Credentials } from "../src/Credentials.ts"
import { CredentialStore } from "../src/CredentialStore.ts"
import { LocalHost } from "../src/LocalHost.ts"
import { profileId } from "./ProfileFixtures.ts"

const credentials = (username: string, password: string) =>
  new Credentials({ username, password: Redacted.make(password) })

const [a, b] = [profileId("a"), profileId("b")]

const environment = (variables: Readonly<Record<string, string>>) =>
  CredentialStore.layerEnvironment.pipe(
    Layer.provide(Layer.mock(LocalHost, {
      platform: "posix",
      system: "linux 6.1",
      runtime: "node 24",
      environment: variables,
      home: "/home/me",
      username: "me",
      uid: 1000,
      temporaryDirectory: "/tmp",
      self: { pid: 1, startTime: "1" }
    }))
  )

const get = Effect.flatMap(CredentialStore, (store) => store.get(a))

const revealed = Option.map(({ password, username }: Credentials) => `${username}:${Redacted.value(password)}`)

describe("CredentialStore", () => {
  it.effect("in memory: keeps each profile's own", () =>
    Effect.gen(function*() {
      const store = yield* CredentialStore
      assert.deepStrictEqual(revealed(yield* store.get(a)), Option.some("me:one"))
      assert.deepStrictEqual(yield* store.get(b), Option.none())
      yield* store.set(b, credentials("you", "two"))
      yield* store.set(a, credentials("me", "three"))
      assert.deepStrictEqual(revealed(yield* store.get(b)), Option.some("you:two"))
      assert.deepStrictEqual(revealed(yield* store.get(a)), Option.some("me:three"))
      yield* store.remove(a)
      assert.deepStrictEqual(yield* store.get(a), Option.none())
    }).pipe(Effect.provide(CredentialStore.layerMemory([[a, credentials("me", "one")]]))))

  it.effect("from the environment: for every profile that has none of its own", () =>
    Effect.gen(function*() {
      const store = yield* CredentialStore
      assert.deepStrictEqual(revealed(yield* store.get(a)), Option.some("opencode:s3cret"))
      yield* store.set(a, credentials("me", "own"))
      assert.deepStrictEqual(revealed(yield* store.get(a)), Option.some("me:own"))
      assert.deepStrictEqual(revealed(yield* store.get(b)), Option.some("opencode:s3cret"))
      yield* store.remove(a)
      assert.deepStrictEqual(revealed(yield* store.get(a)), Option.some("opencode:s3cret"))
      assert.notInclude(`${yield* store.get(a)} ${JSON.stringify(yield* store.get(a))}`, "s3cret")
    }).pipe(Effect.provide(environment({ OPENCODE_SERVER_PASSWORD: "s3cret" }))))

  it.effect("from the environment: a user name without a password is nothing", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(
        revealed(
          yield* get.pipe(
            Effect.provide(environment({ OPENCODE_SERVER_USERNAME: "me", OPENCODE_SERVER_PASSWORD: "pw" }))
          )
        ),
        Option.some("me:pw")
      )
      assert.deepStrictEqual(
        revealed(
          yield* get.pipe(Effect.provide(environment({ OPENCODE_SERVER_USERNAME: "", OPENCODE_SERVER_PASSWORD: "pw" })))
        ),
        Option.some("opencode:pw")
      )
      assert.deepStrictEqual(
        yield* get.pipe(Effect.provide(environment({ OPENCODE_SERVER_USERNAME: "me", OPENCODE_SERVER_PASSWORD: "" }))),
        Option.none()
      )
      assert.deepStrictEqual(
        yield* get.pipe(Effect.provide(environment({ OPENCODE_SERVER_USERNAME: "me" }))),
        Option.none()
      )
    }))
})
