/** The machine that the demo connects to, and the profile for it. */
import * as Opencode from "@opencode-ai/ssh-lab/Opencode"
import * as Port from "@opencode-ai/ssh-lab/Port"
import * as SshClient from "@opencode-ai/ssh-lab/SshClient"
import * as Sshd from "@opencode-ai/ssh-lab/Sshd"
import { CredentialStore } from "@opencode-ai/ssh-tunnel/CredentialStore"
import type { LocalHost } from "@opencode-ai/ssh-tunnel/LocalHost"
import { Profile, ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import { shellLine } from "@opencode-ai/ssh-tunnel/Remedy"
import * as SshCommandLine from "@opencode-ai/ssh-tunnel/SshCommandLine"
import { Effect, type Layer } from "effect"
import type { Options } from "./options.ts"

export interface Remote {
  readonly profile: Profile
  /** What a person calls it. */
  readonly label: string
  /** It was made for the demo, so everything on it is the demo's to stop. */
  readonly isOurs: boolean
  /** Its ports on this computer. */
  readonly ports: ReadonlyArray<number>
  readonly credentials: Layer.Layer<CredentialStore, never, LocalHost>
}

const id = ProfileId.make("demo")

/** A loopback sshd with an isolated home in which the real opencode is installed. It ends with the scope. */
export const embedded = Effect.gen(function*() {
  const sshd = yield* Sshd.make()
  yield* Opencode.install(sshd.home)
  const client = yield* SshClient.make({ hosts: { demo: sshd } })
  // Not 4096: on this computer that may be the user's own server.
  const remotePort = yield* Port.free
  const remote: Remote = {
    profile: new Profile({
      id,
      name: "demo",
      host: "demo",
      sshConfig: client.configFile,
      remotePort,
      bootstrap: { enabled: true, lifetime: "persistent" }
    }),
    label: "demo",
    isOurs: true,
    ports: [sshd.port, remotePort],
    // The user's environment may hold the password of another server.
    credentials: CredentialStore.layerMemory()
  }
  return remote
})

/** The user's own host, by the user's own ssh config. A server that is started there lives as long as the connection. */
export const own = Effect.fnUntraced(function*({ bootstrap, host, remotePort }: Options) {
  const { destination } = yield* Effect.fromResult(SshCommandLine.parse(shellLine(host)))
  const remote: Remote = {
    profile: new Profile({
      ...destination,
      id,
      name: "demo",
      ...(remotePort === undefined ? {} : { remotePort }),
      bootstrap: { enabled: bootstrap, lifetime: "session" }
    }),
    label: destination.toString(),
    isOurs: false,
    ports: [],
    credentials: CredentialStore.layerEnvironment
  }
  return remote
})
