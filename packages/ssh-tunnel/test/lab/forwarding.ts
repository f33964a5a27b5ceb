/** ssh is connected, and the forward to the server is refused on one side or the other. */
import * as Port from "@opencode-ai/ssh-lab/Port"
import { Context, Effect } from "effect"
import { LocalPorts } from "../../src/LocalPorts.ts"
import { ProfileId } from "../../src/Profile.ts"
import { boxWith, keys } from "./places.ts"
import { fails, type Group, type Scenario } from "./Scenario.ts"

const denied = (name: string, about: string, config: string): Scenario => ({
  name,
  about,
  expected: fails("TransportError", "ForwardingDenied", "final"),
  setUp: boxWith({ sshd: { config: [config] } })
})

export const forwarding: Group = {
  title: "Forwarding",
  scenarios: [
    denied("forwarding-forbidden", "sshd forbids forwarding (AllowTcpForwarding no).", "AllowTcpForwarding no"),
    denied("port-not-permitted", "sshd allows forwarding to another port only (PermitOpen).", "PermitOpen 127.0.0.1:1"),
    denied(
      "all-forwarding-disabled",
      "sshd forbids every kind of forwarding (DisableForwarding).",
      "DisableForwarding yes"
    ),
    {
      name: "restricted-key",
      about: "The key may not forward ports (restrict in authorized_keys).",
      expected: fails("TransportError", "ForwardingDenied", "final"),
      setUp: Effect.gen(function*() {
        const user = yield* keys
        const key = yield* user.make("id_restricted")
        return yield* boxWith({
          sshd: { authorizedKeys: [`restrict ${key.publicKey}`] },
          host: { identityFile: key.file }
        })
      })
    },
    {
      name: "nothing-listening",
      about: "Nothing listens on the remote port, and the profile does not allow to start OpenCode.",
      expected: fails("DiscoveryError", "NothingListening", "retried"),
      setUp: Effect.flatMap(Port.free, (remotePort) => boxWith({ remotePort }))
    },
    {
      name: "local-port-taken",
      about: "Another program holds the local port that the profile pins.",
      expected: fails("TransportError", "LocalPortInUse", "final"),
      setUp: Effect.gen(function*() {
        const taken = yield* Port.hold()
        return yield* boxWith({ profile: { localPort: taken } }, () => ({ names: [[taken, "LOCAL-PORT"]] }))
      })
    },
    {
      name: "local-port-taken-without-master",
      about: "The same with one ssh for each forward (strategy plain).",
      expected: fails("TransportError", "LocalPortInUse", "final"),
      setUp: Effect.gen(function*() {
        const taken = yield* Port.hold()
        return yield* boxWith(
          { profile: { localPort: taken, strategy: "plain" } },
          () => ({ names: [[taken, "LOCAL-PORT"]] })
        )
      })
    },
    {
      name: "forced-command-without-bootstrap",
      about: "The account may run nothing but one command (ForceCommand); forwards work all the same.",
      expected: "Connected",
      setUp: boxWith({ sshd: { config: ["ForceCommand echo only this"] } })
    },
    {
      name: "no-sessions-without-bootstrap",
      about: "sshd opens no session at all (MaxSessions 0); forwards work all the same.",
      expected: "Connected",
      setUp: boxWith({ sshd: { config: ["MaxSessions 0"] } })
    },
    {
      name: "remembered-local-port-taken",
      about: "Another program holds the local port that the profile had before: another one is taken.",
      expected: "Connected",
      setUp: Effect.gen(function*() {
        const taken = yield* Port.hold()
        return yield* boxWith({}, () => ({
          before: ({ services }) => Context.get(services, LocalPorts).remember(ProfileId.make("box"), taken)
        }))
      })
    }
  ]
}
