import { assert, describe, it } from "@effect/vitest"
import { type Kind, openers, type Surroundings } from "../src/host/Browser.ts"

const lines = (kind: Kind, surroundings: Partial<Surroundings>) =>
  openers(kind, { platform: "linux", environment: {}, which: () => undefined, ...surroundings }).map((opener) =>
    opener("URL").join(" ")
  )
const display = { environment: { DISPLAY: ":0" } }

describe("opening a browser", () => {
  it("as the system does it", () => {
    assert.deepStrictEqual(lines("tab", { platform: "darwin" }), ["open URL"])
    assert.deepStrictEqual(lines("tab", { platform: "win32" }), ["cmd.exe /d /c start  URL"])
    assert.deepStrictEqual(lines("tab", display), ["xdg-open URL", "wslview URL"])
  })
  it("where there is no screen, not at all", () => {
    assert.deepStrictEqual(lines("tab", {}), [])
    assert.deepStrictEqual(lines("app", { which: () => "/usr/bin/chromium" }), [])
  })
  it("as the user says", () => {
    assert.deepStrictEqual(lines("tab", { environment: { BROWSER: "firefox:x", DISPLAY: ":0" } })[0], "firefox URL")
    assert.deepStrictEqual(lines("tab", { platform: "darwin", environment: { BROWSER: "none" } }), [])
  })
  it("in a window of its own", () => {
    const which = (name: string) => name === "google-chrome" ? "/opt/chrome" : undefined
    assert.deepStrictEqual(lines("app", { ...display, which }), ["/opt/chrome --app=URL"])
  })
})
