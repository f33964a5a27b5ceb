/** The only place where live layers meet. */
import { CredentialStore } from "@opencode-ai/ssh-tunnel/CredentialStore"
import { Application } from "@opencode-ai/ssh-tunnel/Diagnostics"
import { LocalPorts } from "@opencode-ai/ssh-tunnel/LocalPorts"
import {
  layerConnections,
  layerDiagnostics,
  layerDoctor,
  layerPlatform,
  layerProfiles,
  layerRemote,
  layerSshConfig
} from "@opencode-ai/ssh-tunnel/node"
import { ProfileRepo } from "@opencode-ai/ssh-tunnel/ProfileRepo"
import { Layer, Option } from "effect"
import { Engine } from "./Engine.ts"
import { Output } from "./Output.ts"
import { program } from "./Program.ts"
import { version } from "./Version.ts"

const layerEngine = Layer.succeed(
  Engine,
  Engine.of({
    profiles: layerProfiles,
    sshConfig: layerSshConfig,
    remote: layerRemote,
    doctor: layerDoctor,
    connections: (profile, credentials) =>
      Layer.merge(layerConnections, layerDiagnostics).pipe(
        Layer.provide([
          Layer.succeed(Application, `${program} ${version}`),
          ProfileRepo.layerMemory([profile]),
          CredentialStore.layerMemory(
            Option.match(credentials, { onNone: () => [], onSome: (known) => [[profile.id, known] as const] })
          ),
          LocalPorts.layer
        ]),
        Layer.provide(layerPlatform)
      )
  })
)

/** Everything that the commands need of this machine. */
export const layer = Layer.merge(layerEngine, Output.layer).pipe(Layer.provideMerge(layerPlatform))
