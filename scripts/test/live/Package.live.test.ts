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
const manifestOf = (name: string) =>
  JSON.parse(Fs.readFileSync(Path.join(root, "packages", name, "package.json"), "utf8"))

/** A program that a stranger to this workspace might write; it is type-checked, then run. */
const program = `
import { ConfigurationError, Destination, Profile, ProfileId } from "@opencode-ai/ssh-tunnel"
import * as Destinations from "@opencode-ai/ssh-tunnel/Destination"
import * as Node from "@opencode-ai/ssh-tunnel/node"
import { MemoryPort } from "@opencode-ai/desktop-bridge"
import { MainRuntime } from "@opencode-ai/desktop-bridge/node"
import * as BridgeWindow from "@opencode-ai/desktop-bridge/Window"
import { Schema } from "effect"

const destination: Destination = Schema.decodeUnknownSync(Destinations.DestinationFromString)("ada@box:2222")
console.log(JSON.stringify({ host: destination.host, sameClass: Destinations.Destination === Destination }))
console.log(typeof Profile, Object.keys(Node).length > 0)

const runtime = MainRuntime.make({ application: "Consumer 1.0.0", origins: [], dataDirectory: process.argv[2] ?? "" })
const [main, page] = MemoryPort.makePair()
runtime.serve(main)
const window = await BridgeWindow.open(page)
const error: unknown = await window.run(window.client.connect({ id: Schema.decodeUnknownSync(ProfileId)("nobody") }))
  .catch((error: unknown) => error)
console.log((await window.run(window.client.about())).application, error instanceof ConfigurationError)
await window.close()
await runtime.dispose()
`

/** What an installed package says of its own files is true. */
const requireWhole = (installed: string): void => {
  const declarations = Fs.globSync("lib/**/*.d.ts", { cwd: installed })
  assert.isNotEmpty(declarations)
  // Declarations name files that exist.
  for (const name of declarations) {
    const file = Path.join(installed, name)
    for (const { from } of importsOf(file, Fs.readFileSync(file, "utf8")).filter(({ from }) => from.startsWith("."))) {
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
}

describe("the published packages", () => {
  it.live("are installed from their tarballs, type-checked and run on Node outside the workspace", () =>
    Effect.gen(function*() {
      const directory = yield* TempDirectory.make()
      yield* Process.output("node", ["scripts/build.ts", "desktop-bridge", "--pack", directory], { cwd: root })
      const tarball = (name: string) =>
        `file:${Path.join(directory, `opencode-ai-${name}-${manifestOf(name).version}.tgz`)}`
      const write = (name: string, content: string) => Fs.writeFileSync(Path.join(directory, name), content)
      write(
        "package.json",
        JSON.stringify({
          name: "consumer",
          private: true,
          type: "module",
          dependencies: {
            "@opencode-ai/desktop-bridge": tarball("desktop-bridge"),
            "@opencode-ai/ssh-tunnel": tarball("ssh-tunnel"),
            "@types/node": manifest.workspaces.catalog["@types/node"],
            effect: manifest.workspaces.catalog.effect,
            typescript: manifest.devDependencies.typescript
          },
          // Until they are in a registry, one of them finds the other only so.
          overrides: { "@opencode-ai/ssh-tunnel": tarball("ssh-tunnel") }
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
        yield* Process.output("node", ["program.js", Path.join(directory, "data")], { cwd: directory }),
        "{\"host\":\"box\",\"sameClass\":true}\nfunction true\nConsumer 1.0.0 true\n"
      )
      for (const [name, internal] of [["ssh-tunnel", "argv"], ["desktop-bridge", "guard"]] as const) {
        const refused = yield* Process.run(
          "node",
          ["--input-type=module", "-e", `import "@opencode-ai/${name}/internal/${internal}"`],
          { cwd: directory }
        )
        assert.include(refused.stderr, "ERR_PACKAGE_PATH_NOT_EXPORTED")
        requireWhole(Path.join(directory, "node_modules", "@opencode-ai", name))
      }
    }))
})
