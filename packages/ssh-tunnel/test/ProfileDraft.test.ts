import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { InvalidProfile } from "../src/ConfigurationError.ts"
import { Profile, ProfileId } from "../src/Profile.ts"
import { draftProfiles, findById, fromDraft, newProfileId, resolveProfile, sameProfiles } from "../src/ProfileDraft.ts"
import { ProfileProblem } from "../src/ProfileFile.ts"
import { profile, profileId } from "./ProfileFixtures.ts"

const reasonOf = <A>(result: Result.Result<A, { readonly reason: { readonly _tag: string } }>) =>
  Result.isFailure(result) ? result.failure.reason._tag : "Success"

describe("ProfileDraft", () => {
  it("resolves an id, then a name, and never guesses", () => {
    const profiles = [
      profile("a", { name: "Work" }),
      profile("b", { name: "a" }),
      profile("c", { name: "Home" }),
      profile("d", { name: "Home" })
    ]
    assert.deepStrictEqual(resolveProfile(profiles, "a"), Result.succeed(profile("a", { name: "Work" })))
    assert.deepStrictEqual(resolveProfile(profiles, "Work"), Result.succeed(profile("a", { name: "Work" })))
    assert.strictEqual(reasonOf(resolveProfile(profiles, "work")), "ProfileNotFound")
    const several = resolveProfile(profiles, "Home")
    assert.strictEqual(reasonOf(several), "InvalidProfile")
    assert.include(Result.isFailure(several) ? several.failure.message : "", "c, d")
    const reason = new InvalidProfile({ path: "host", detail: "no" })
    const problems = [new ProfileProblem({ index: 4, id: "e", name: "Broken", reason })]
    assert.strictEqual(reasonOf(resolveProfile(profiles, "e", problems)), "InvalidProfile")
    assert.strictEqual(reasonOf(resolveProfile(profiles, "Broken", problems)), "InvalidProfile")
    assert.strictEqual(reasonOf(resolveProfile(profiles, "x", problems)), "ProfileNotFound")
  })

  it.effect.prop("a new id is valid whatever the name is, and two are different", [
    Schema.String,
    Schema.String
  ], ([name, other]) =>
    Effect.sync(() => {
      const random = new Uint8Array([1, 2, 3, 4, 5, 6])
      assert.isTrue(Schema.is(ProfileId)(newProfileId(name, random)))
      assert.notStrictEqual(newProfileId(name, random), newProfileId(other, random.toReversed()))
    }))

  it("a new id can be read", () => {
    const random = new Uint8Array([0xab, 0xcd])
    assert.strictEqual(newProfileId("Büro: GPU #2", random), "bu-ro-gpu-2-abcd")
    assert.strictEqual(newProfileId("服务器", random), "profile-abcd")
    assert.strictEqual(newProfileId("x".repeat(200), new Uint8Array(64)).length, 61)
  })

  it("makes drafts of ssh config hosts and leaves to the config what it was not given", () => {
    const { drafts, skipped } = draftProfiles([
      { name: "plain" },
      {
        name: "full",
        user: "me",
        port: 2222,
        identityFile: "~/.ssh/id_work",
        proxyJump: "jump"
      },
      { name: "odd", user: "%r", port: 0, identityFile: "-i", proxyJump: "$(id)" },
      { name: "*.example.com" },
      { name: "plain" },
      { name: "box" }
    ], [profile("a")])
    const bootstrap = { enabled: false, lifetime: "persistent" as const }
    assert.deepStrictEqual(drafts, [
      { name: "plain", host: "plain", bootstrap },
      {
        name: "full",
        host: "full",
        user: "me",
        port: 2222,
        identityFile: "~/.ssh/id_work",
        proxyJump: "jump",
        bootstrap
      },
      { name: "odd", host: "odd", bootstrap }
    ])
    assert.deepStrictEqual(skipped.map(({ name }) => name), ["*.example.com", "plain", "box"])
    const made = drafts.map((draft, index) => fromDraft(draft, profileId(`p${index}`)))
    assert.isTrue(made.every(Schema.is(Profile)))
    assert.isTrue(findById(made, profileId("p1")).pipe((found) => found._tag === "Some" && found.value.port === 2222))
  })

  it("compares lists by their profiles", () => {
    assert.isTrue(sameProfiles([profile("a")], [profile("a")]))
    assert.isFalse(sameProfiles([profile("a")], [profile("a", { port: 1 })]))
    assert.isFalse(sameProfiles([profile("a"), profile("b")], [profile("b"), profile("a")]))
  })
})
