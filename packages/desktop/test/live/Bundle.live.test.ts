import { assert, describe, it } from "@effect/vitest"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { gzipSync } from "node:zlib"
import { build } from "vite"

const directory = Path.resolve(import.meta.dirname, "../..")

/** In bytes, of everything that the page loads. */
const limit = 150 * 1024

describe("what the local host serves", () => {
  it.live("is small, and asks for nothing that the strictest policy forbids", () =>
    Effect.gen(function*() {
      const outDir = yield* TempDirectory.make()
      yield* Effect.promise(() => build({ configFile: Path.join(directory, "vite.config.ts"), build: { outDir } }))
      const files = Fs.readdirSync(outDir, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
        .map((file) => ({ name: file.name, bytes: Fs.readFileSync(Path.join(file.parentPath, file.name)) }))
      const size = files.reduce((sum, { bytes }) => sum + gzipSync(bytes).length, 0)
      assert.isAtMost(size, limit)
      // A bundle that lost its window would be small, too.
      assert.isAbove(size, limit / 4)

      const html = String(files.find(({ name }) => name === "index.html")?.bytes)
      assert.notMatch(html, /<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/)
      for (const { bytes, name } of files.filter(({ name }) => /\.(html|css)$/.test(name))) {
        assert.notMatch(String(bytes), /https?:|url\(\s*["']?data:/, name)
      }
      for (const { bytes, name } of files.filter(({ name }) => name.endsWith(".js"))) {
        assert.notMatch(String(bytes), /\beval\(|new Function\(/, name)
      }
    }), 60_000)
})
