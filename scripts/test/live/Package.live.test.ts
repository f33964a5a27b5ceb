import { assert, describe, it } from "@effect/vitest"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { importsOf } from "../../lib/importRules.ts"

const root = Path.dirname(Path.dirname(Path.dirname(import.meta.dirname)))
const bin = Path.join(root, "node_modules", ".bin")
const manifest = JSON.parse(Fs.readFileSync(Path.join(root, "package.json"), "utf8"))

/** A program that a stranger to this workspace might write; it is type-checked, then run. */
const program = `
import { Profile, Destination } from "@opencode-ai/ssh-tunnel"
import * as Destinations from "@opencode-ai/ssh-tunnel/Destination"
import * as Node from "@opencode-ai/ssh-tunnel/node"
import { Schema } from "effect"

const destination: Destination = Schema.decodeUnknownSync(Destinations.DestinationFromString)("ada@box:2222")
console.log(JSON.stringify({ host: destination.host, sameClass: Destinations.Destination === Destination }))
console.log(typeof Profile, Object.keys(Node).length > 0)
`

describe("the published package", () => {
  it.live("is installed from its tarball, type-checked and run on Node outside the workspace", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make()
      yield* Process.output("node", ["scripts/build.ts", "ssh-tunnel", "--pack", directory], { cwd: root })
      const [tarball = ""] = Fs.readdirSync(directory).filter((name) => name.endsWith(".tgz"))
      const write = (name: string, content: string) => Fs.writeFileSync(Path.join(directory, name), content)
      write(
        "package.json",
        JSON.stringify({
          name: "consumer",
          private: true,
          type: "module",
          dependencies: {
            "@opencode-ai/ssh-tunnel": `file:${Path.join(directory, tarball)}`,
            "@types/node": manifest.workspaces.catalog["@types/node"],
            effect: manifest.workspaces.catalog.effect,
            typescript: manifest.devDependencies.typescript
          }
        })
      )
      write("program.ts", program)
      write(
        "tsconfig.json",
        JSON.stringify({
          compilerOptions: {
            strict: true,
            target: "ES2024",
            module: "NodeNext",
            types: ["node"],
            exactOptionalPropertyTypes: true,
            skipLibCheck: true
          },
          files: ["program.ts"]
        })
      )
      // All of it is in the cache since the workspace itself was installed.
      yield* Process.output(Path.join(bin, "bun"), ["install", "--prefer-offline"], { cwd: directory })
      const tsc = Path.join(directory, "node_modules", ".bin", "tsc")
      const checked = yield* Process.run(tsc, ["-p", "tsconfig.json"], { cwd: directory })
      assert.strictEqual(checked.stdout + checked.stderr, "")
      assert.strictEqual(
        yield* Process.output("node", ["program.js"], { cwd: directory }),
        "{\"host\":\"box\",\"sameClass\":true}\nfunction true\n"
      )
      const internal = yield* Process.run(
        "node",
        ["--input-type=module", "-e", "import \"@opencode-ai/ssh-tunnel/internal/argv\""],
        { cwd: directory }
      )
      assert.include(internal.stderr, "ERR_PACKAGE_PATH_NOT_EXPORTED")
      const installed = Path.join(directory, "node_modules", "@opencode-ai", "ssh-tunnel")
      // Declarations name files that exist.
      for (const name of Fs.globSync("lib/**/*.d.ts", { cwd: installed })) {
        const file = Path.join(installed, name)
        for (
          const { from } of importsOf(file, Fs.readFileSync(file, "utf8")).filter(({ from }) => from.startsWith("."))
        ) {
          assert.isTrue(Fs.existsSync(Path.join(Path.dirname(file), from)), `${name}: ${from}`)
        }
      }
      // Breakpoints and stack traces find the sources.
      for (const name of Fs.globSync("lib/**/*.map", { cwd: installed })) {
        const file = Path.join(installed, name)
        for (const source of JSON.parse(Fs.readFileSync(file, "utf8")).sources) {
          assert.isTrue(Fs.existsSync(Path.join(Path.dirname(file), source)), `${name}: ${source}`)
        }
      }
    }))
})
