import { assert, describe, it } from "@effect/vitest"
import { resolve } from "node:path"
import { gzipSync } from "node:zlib"
import { build, type Rollup } from "vite"

/** What a window's bundler makes of some lines: the code, what it could not bundle, and which of our files are in it. */
const bundle = async (source: string) => {
  const entry = "\0entry.ts"
  const result = await build({
    root: resolve(import.meta.dirname, ".."),
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      target: "es2023",
      lib: { entry: "entry", formats: ["es"], fileName: "entry" },
      rollupOptions: { external: [/^node:/] }
    },
    plugins: [{
      name: "entry",
      enforce: "pre",
      resolveId: (id) => id === "entry" || id.endsWith("/entry") ? entry : undefined,
      load: (id) => id === entry ? source : undefined
    }]
  })
  const outputs = (Array.isArray(result) ? result : [result]) as ReadonlyArray<Rollup.RollupOutput>
  const chunks = outputs.flatMap(({ output }) => output).filter((output) => output.type === "chunk")
  return {
    code: chunks.map(({ code }) => code).join("\n"),
    imports: chunks.flatMap(({ dynamicImports, imports }) => [...imports, ...dynamicImports]),
    modules: chunks.flatMap(({ moduleIds }) => moduleIds),
    /** KiB, as sent. */
    size: gzipSync(chunks.map(({ code }) => code).join("\n")).length / 1024
  }
}

/** What only the main process may need: the services. A window that bundled one would carry all of it. */
const isServerPart = (module: string): boolean =>
  /\/ssh-tunnel\/src\/(?:Bootstrap|Connections|OpenSsh|Tunnel|SshConfig|Redaction)\.ts$/.test(module) ||
  /\/desktop-bridge\/src\/(?:Handlers|Authorization|LastConnected|SafeStorage)\.ts$/.test(module) ||
  /\/(?:ssh-tunnel|desktop-bridge)\/src\/node\/|\/rpc\/RpcServer\./.test(module)

describe("in a window's bundle", () => {
  it.each<readonly [string, string, number]>([
    [
      "the package's index",
      "import { BridgeApi } from \"@opencode-ai/desktop-bridge\"\nglobalThis.kept = BridgeApi",
      48
    ],
    [
      "a window in one call",
      "import * as Window from \"@opencode-ai/desktop-bridge/Window\"\nimport { fromMessagePort } from \"@opencode-ai/desktop-bridge/BrowserPort\"\nglobalThis.kept = [Window, fromMessagePort]",
      84
    ]
  ])("%s is small and needs nothing of Node", async (_, source, limit) => {
    const { code, imports, modules, size } = await bundle(source)
    assert.include(code, "watchStates")
    assert.deepStrictEqual(imports, [])
    assert.deepStrictEqual(modules.filter(isServerPart), [])
    assert.isBelow(size, limit)
  }, 60_000)

  it("a part of the server would be seen", async () => {
    const { imports, modules } = await bundle(
      "import * as Main from \"@opencode-ai/desktop-bridge/node\"\nglobalThis.kept = Main"
    )
    assert.isNotEmpty(imports.filter((name) => name.startsWith("node:")))
    assert.isNotEmpty(modules.filter(isServerPart))
  }, 60_000)
})
