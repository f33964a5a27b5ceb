import { describe, it } from "@effect/vitest"
import { killSavers } from "../live/support/profileSaves.ts"

describe("the profile file", () => {
  it.live(
    "600 processes are killed while they save: nothing torn, nothing lost",
    () => killSavers(600, { linked: false }),
    900_000
  )

  it.live("400 more, when the file is a symbolic link", () => killSavers(400, { linked: true }), 900_000)
})
