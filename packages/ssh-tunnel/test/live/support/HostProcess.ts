import type { LabError } from "@opencode-ai/ssh-lab/LabError"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, Schema, type Scope } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { noBootstrap, Profile, ProfileId } from "../../../src/Profile.ts"
import type { Fields } from "./Workstation.ts"

/** A host application in a process of its own, which a test may kill; see `connect.ts`. */
export interface HostProcess {
  readonly process: Process.Process
  /** The state of this tag, once it is printed. */
  readonly awaitState: (tag: string) => Effect.Effect<string, LabError>
}

/** Where hosts keep what they make; it outlives them. */
export interface Place {
  readonly runtimeBase: string
  readonly dataDirectory: string
  /** What runs in a runtime directory of this place: ssh, and what it has started. */
  readonly processes: Effect.Effect<ReadonlyArray<ProcessTable.ProcessInfo>>
  readonly runtimeDirectories: Effect.Effect<ReadonlyArray<string>>
}

const script = fileURLToPath(new URL("connect.ts", import.meta.url))
const encodeProfile = Schema.encodeEffect(Schema.fromJsonString(Schema.toCodecJson(Profile)))

/** An empty place. */
export const makePlace: Effect.Effect<Place, never, Scope.Scope> = Effect.gen(function*() {
  const directory = yield* TempDirectory.make()
  const runtimeBase = Path.join(directory, "run")
  Fs.mkdirSync(runtimeBase, { mode: 0o700 })
  return {
    runtimeBase,
    dataDirectory: Path.join(directory, "data"),
    // ssh works there; the reaper works elsewhere and has the directory among its arguments.
    processes: ProcessTable.find({ directory: runtimeBase }),
    runtimeDirectories: Effect.sync(() => Fs.readdirSync(runtimeBase))
  }
})

/** Starts a host that connects a profile. It ends with the scope. */
export const start = Effect.fnUntraced(function*(
  place: Place,
  fields: Fields,
  environment: Readonly<Record<string, string | undefined>> = {}
) {
  const profile = yield* Effect.orDie(
    encodeProfile(new Profile({ id: ProfileId.make("box"), name: "Box", bootstrap: noBootstrap, ...fields }))
  )
  const child = yield* Process.spawn(process.execPath, [script, profile], {
    env: {
      SSH_AUTH_SOCK: undefined,
      OPENCODE_SERVER_PASSWORD: undefined,
      OPENCODE_SSH_BINARY: undefined,
      OPENCODE_SSH_DATA_DIR: place.dataDirectory,
      XDG_RUNTIME_DIR: place.runtimeBase,
      // Options of the test runner are not meant for it.
      NODE_OPTIONS: undefined,
      ...environment
    }
  })
  const host: HostProcess = {
    process: child,
    awaitState: (tag) => child.stdout.waitFor(`"_tag":"${tag}"`)
  }
  return host
})
