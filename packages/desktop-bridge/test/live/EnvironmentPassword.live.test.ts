import { assert, describe, it } from "@effect/vitest"
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { layerPlatformWith } from "@opencode-ai/ssh-tunnel/node"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as MainRuntime from "../../src/node/MainRuntime.ts"

describe.skipIf(!Sshd.available)("the password of the environment", () => {
  const connect = Effect.fnUntraced(function*(environmentPassword: boolean) {
    const sshd = yield* Sshd.make()
    const client = yield* SshClient.make({ hosts: { box: sshd } })
    const server = yield* FakeServer.http(FakeServer.guarded("ada", "of the environment", FakeServer.v1("1.18.33")))
    const dataDirectory = yield* TempDirectory.make()
    const run = yield* TempDirectory.make()
    Fs.writeFileSync(
      Path.join(dataDirectory, "ssh-profiles.json"),
      JSON.stringify({
        version: 1,
        profiles: [{
          id: "box",
          name: "Box",
          host: "box",
          sshConfig: client.configFile,
          remotePort: server.port,
          bootstrap: { enabled: false, lifetime: "persistent" }
        }]
      })
    )
    const environment = {
      ...process.env,
      XDG_RUNTIME_DIR: run,
      OPENCODE_SERVER_USERNAME: "ada",
      OPENCODE_SERVER_PASSWORD: "of the environment"
    }
    const runtime = yield* Effect.acquireRelease(
      Effect.sync(() =>
        MainRuntime.make({
          application: "Test 1.0.0",
          origins: [],
          dataDirectory,
          environmentPassword,
          platform: layerPlatformWith({ environment })
        })
      ),
      (runtime) => Effect.promise(() => runtime.dispose())
    )
    return yield* Effect.promise(() =>
      runtime.connect("box").then(() => runtime.settled("box")).then(
        ({ secured }) => secured ? "signed in" : "unsecured",
        (error: { readonly reason?: { readonly _tag: string } }) => error.reason?._tag
      )
    )
  }, Effect.scoped)

  it.live("is for hosts that ask for it, and for nobody else", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* connect(true), "signed in")
      assert.strictEqual(yield* connect(false), "Unauthorized")
    }))
})
