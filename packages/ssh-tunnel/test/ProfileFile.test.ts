import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Option, Predicate, Result, Schema } from "effect"
import { InvalidProfile } from "../src/ConfigurationError.ts"
import { Profile } from "../src/Profile.ts"
import {
  contents,
  emptyDocument,
  exportProfiles,
  getProfile,
  jsonSchema,
  parse,
  type ProfileDocument,
  ProfileProblem,
  removeProfile,
  setProfile,
  stringify
} from "../src/ProfileFile.ts"
import { fileOf, plain, profile, ProfileFields, ProfileFileData, profileId } from "./ProfileFixtures.ts"

const read = (value: unknown): ProfileDocument => Result.getOrThrow(parse(JSON.stringify(value)))
const data = (document: ProfileDocument) =>
  plain(JSON.parse(stringify(document))) as {
    readonly profiles: ReadonlyArray<unknown>
    readonly [key: string]: unknown
  }
const without = (value: unknown, keys: ReadonlyArray<string>) =>
  Object.fromEntries(Object.entries(value as object).filter(([key]) => !keys.includes(key)))
const decodeProfile = Schema.decodeSync(Profile)
const hasId = (id: string) => (entry: unknown) => Predicate.isObject(entry) && entry["id"] === id

describe("ProfileFile", () => {
  it.effect.prop("reading and writing any file changes nothing", [ProfileFileData], ([generated]) =>
    Effect.sync(() => {
      const file = fileOf(generated)
      assert.deepStrictEqual(data(read(file)), file)
    }))

  it.effect.prop("saving touches only the known fields of its own entry", [ProfileFileData, ProfileFields], ([
    generated,
    fields
  ]) =>
    Effect.sync(() => {
      const file = fileOf(generated)
      const saved = decodeProfile(fields)
      const document = Result.getOrThrow(setProfile(read(file), saved))
      const after = data(document)
      const place = file.profiles.findIndex(hasId(fields.id))
      const others = place === -1 ? file.profiles : file.profiles.toSpliced(place, 1)
      const entry = after.profiles.at(place)
      assert.deepStrictEqual(after.profiles.toSpliced(place, 1), others)
      assert.deepStrictEqual(without(after, ["profiles"]), without(file, ["profiles"]))
      const old = place === -1 ? {} : file.profiles[place]
      assert.deepStrictEqual(
        without(entry, Object.keys(Profile.fields)),
        without(old, Object.keys(Profile.fields))
      )
      assert.deepStrictEqual(Option.getOrThrow(getProfile(document, saved.id)), Result.succeed(saved))
      assert.strictEqual(stringify(Result.getOrThrow(setProfile(document, saved))), stringify(document))
    }))

  it.effect.prop(
    "saving a profile of the file changes nothing, and every other one can be saved over it",
    [ProfileFileData, ProfileFields],
    ([generated, fields]) =>
      Effect.sync(() => {
        const document = read(fileOf(generated))
        for (const found of contents(document).profiles) {
          assert.strictEqual(stringify(Result.getOrThrow(setProfile(document, found))), stringify(document))
          const other = decodeProfile({ ...fields, id: found.id })
          const changed = Result.getOrThrow(setProfile(document, other))
          assert.deepStrictEqual(Option.getOrThrow(getProfile(changed, found.id)), Result.succeed(other))
        }
      })
  )

  it.effect.prop("each entry is a profile or a problem, and removing one leaves the others", [ProfileFileData], ([
    generated
  ]) =>
    Effect.sync(() => {
      const document = read(fileOf(generated))
      const { problems, profiles } = contents(document)
      assert.strictEqual(profiles.length + problems.length, document.entries.length)
      for (const { id } of profiles) {
        const rest = Option.getOrThrow(removeProfile(document, id))
        assert.deepStrictEqual(rest.entries, document.entries.filter((entry) => !hasId(id)(entry)))
      }
    }))

  it("keeps unknown fields of the file, the profile and its bootstrap, in a readable text", () => {
    const document = read({
      "$schema": "./ssh-profiles.schema.json",
      "version": 1,
      "profiles": [{
        ...plain(profile("a", { user: "me", port: 22 })) as object,
        color: "red",
        bootstrap: { enabled: true, lifetime: "session", port: 4096, nice: 5 }
      }]
    })
    assert.strictEqual(
      stringify(Result.getOrThrow(setProfile(document, profile("a", { name: "New" })))),
      `{
  "$schema": "./ssh-profiles.schema.json",
  "version": 1,
  "profiles": [
    {
      "id": "a",
      "name": "New",
      "host": "box",
      "bootstrap": {
        "enabled": false,
        "lifetime": "persistent",
        "nice": 5
      },
      "color": "red"
    }
  ]
}
`
    )
  })

  it("reads an empty file, a byte order mark, and nothing that is not a profile file", () => {
    assert.deepStrictEqual(parse(""), Result.succeed(emptyDocument))
    assert.deepStrictEqual(parse(" \n"), Result.succeed(emptyDocument))
    assert.isTrue(Result.isSuccess(parse("\uFEFF{\"version\":1,\"profiles\":[]}")))
    for (
      const text of [
        "{",
        "[]",
        "null",
        "1",
        "{}",
        "{\"version\":\"1\",\"profiles\":[]}",
        "{\"version\":0,\"profiles\":[]}",
        "{\"version\":1.5,\"profiles\":[]}",
        "{\"version\":1}",
        "{\"version\":1,\"profiles\":{}}",
        "{\"version\":1,\"profiles\":[]}}",
        "\0\0\0\0"
      ]
    ) {
      const parsed = parse(text)
      assert.isTrue(Result.isFailure(parsed) && parsed.failure.problem === "corrupt", text)
    }
  })

  it("reads a later format as far as it holds profiles", () => {
    const later = read({ version: 2, profiles: [{ kind: "group" }, plain(profile("a"))] })
    assert.deepStrictEqual(contents(later).profiles, [profile("a")])
    assert.strictEqual(later.version, 2)
    assert.isTrue(Result.isSuccess(parse("{\"version\":2,\"profiles\":[]}")))
    for (const text of ["{\"version\":2}", "{\"version\":2,\"profiles\":[{\"kind\":\"group\"}]}"]) {
      const parsed = parse(text)
      assert.isTrue(Result.isFailure(parsed) && parsed.failure.problem === "newer", text)
    }
  })

  it("names what is wrong with an entry", () => {
    const { problems, profiles } = contents(read({
      version: 1,
      profiles: [
        plain(profile("a")),
        { ...plain(profile("b")) as object, host: "-oProxyCommand=x" },
        { ...plain(profile("c")) as object, bootstrap: { enabled: true } },
        { ...plain(profile("a")) as object, name: "Twin" },
        7
      ]
    }))
    assert.deepStrictEqual(profiles, [profile("a")])
    assert.deepStrictEqual(
      problems.map(({ id, index, name, reason }) => [index, id, name, reason.path]),
      [
        [1, "b", "The b", "host"],
        [2, "c", "The c", "bootstrap.lifetime"],
        [3, "a", "Twin", "id"],
        [4, undefined, undefined, ""]
      ]
    )
    const problem = problems[0]
    assert.isDefined(problem)
    assert.include(problem?.reason.detail, "host name")
    assert.deepStrictEqual(
      Schema.decodeUnknownSync(ProfileProblem)(plain(Schema.encodeSync(ProfileProblem)(problem!))),
      problem
    )
  })

  it("refuses to write what it could not read again", () => {
    const wrong = Object.assign(profile("a"), { host: "-oProxyCommand=x" })
    const saved = setProfile(emptyDocument, wrong)
    assert.isTrue(Result.isFailure(saved) && saved.failure instanceof InvalidProfile && saved.failure.path === "host")
  })

  it("removes every entry of an id, also invalid ones", () => {
    const document = read({ version: 1, profiles: [{ id: "a" }, plain(profile("b")), { id: "a", host: 1 }] })
    assert.deepStrictEqual(
      Option.map(removeProfile(document, "a"), ({ entries }) => entries),
      Option.some([plain(profile("b"))])
    )
    assert.isTrue(Option.isNone(removeProfile(document, "c")))
    const found = getProfile(document, profileId("a"))
    assert.isTrue(Option.isSome(found) && Result.isFailure(found.value) && found.value.failure.path === "name")
  })

  it("exports known fields only", () => {
    const document = read({
      version: 1,
      token: "s3cret",
      profiles: [{ ...plain(profile("a")) as object, note: "s3cret" }]
    })
    const text = exportProfiles(contents(document).profiles)
    assert.notInclude(text, "s3cret")
    assert.deepStrictEqual(contents(Result.getOrThrow(parse(text))).profiles, [profile("a")])
  })

  it.effect("the shipped JSON Schema is the current one", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const shipped = yield* fs.readFileString(new URL("../schema/ssh-profiles.schema.json", import.meta.url).pathname)
      assert.deepStrictEqual(
        JSON.parse(shipped),
        plain(jsonSchema()),
        "stale: run `node packages/ssh-tunnel/scripts/generate-profile-schema.ts`"
      )
    }).pipe(Effect.provide(NodeServices.layer)))

  it("the JSON Schema describes every field", () => {
    const schema = jsonSchema() as {
      readonly properties: {
        readonly profiles: { readonly items: { readonly properties: Record<string, { description?: string }> } }
      }
    }
    const { properties } = schema.properties.profiles.items
    assert.deepStrictEqual(Object.keys(properties), Object.keys(Profile.fields))
    for (const [name, { description }] of Object.entries(properties)) assert.isString(description, name)
  })
})
