/** Connections that were up. All of these go to `Reconnecting`. */
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import * as ProcessTable from "@opencode-ai/ssh-lab/ProcessTable"
import { Duration, Effect } from "effect"
import { boxWith, jumpWith } from "./places.ts"
import { fails, type Group } from "./Scenario.ts"

/** Only ssh's own keep-alive is to notice. */
const withoutProbes = { timing: { healthInterval: Duration.minutes(10), healthTimeout: Duration.minutes(10) } }

/** A server that a scenario takes away. */
const healthy = FakeServer.http(FakeServer.v1("1.18.33"))

export const established: Group = {
  title: "Connections that were up",
  scenarios: [
    {
      name: "session-killed",
      about: "sshd's session is killed, as when an administrator ends it.",
      expected: fails("TransportError", "ConnectionLost", "retried"),
      setUp: boxWith({}, ({ sshd }) => ({ afterwards: sshd.dropSessions }))
    },
    {
      name: "jump-session-killed",
      about: "The session at the jump host is killed.",
      expected: fails("TransportError", "ConnectionLost", "retried", { hop: "jump" }),
      // ssh ends the jump host's ssh when it has lost its connection, often before that one has said that it lost its own.
      hopIsLuck: true,
      setUp: jumpWith({}, ({ jump }) => ({
        afterwards: jump.dropSessions,
        names: [["The connection to box was lost", "The connection to the jump host jump was lost"]]
      }))
    },
    {
      name: "machine-silent",
      about: "The remote machine stops answering, as when the network is gone: ssh's own keep-alive notices.",
      seconds: 20,
      expected: fails("TransportError", "ConnectionLost", "retried"),
      setUp: boxWith({}, ({ sshd }) =>
        Effect.gen(function*() {
          // A stopped process would not take the signal that ends it.
          yield* Effect.addFinalizer(() => sshd.thaw)
          return { ...withoutProbes, afterwards: sshd.freeze }
        }))
    },
    {
      name: "ssh-killed",
      about: "The ssh process on this machine is killed.",
      expected: fails("TransportError", "ConnectionLost", "retried"),
      setUp: boxWith({}, ({ client }) => ({
        afterwards: Effect.flatMap(
          ProcessTable.find({ environment: `OPENCODE_SSH_LAB_CLIENT=${client.directory}` }),
          (found) => ProcessTable.signal(found.filter(({ command }) => command.includes(" -M ")), "SIGKILL")
        ),
        environment: { OPENCODE_SSH_LAB_CLIENT: client.directory }
      }))
    },
    {
      name: "server-dies-after-its-first-answer",
      about: "The OpenCode server dies right after its first good answer.",
      expected: fails("DiscoveryError", "NothingListening", "retried"),
      setUp: Effect.gen(function*() {
        const server = yield* healthy
        // When it is connected, the first answer has just been read.
        return yield* boxWith({ remotePort: server.port }, () => ({ afterwards: server.stop }))
      })
    },
    {
      name: "server-hangs",
      about: "The OpenCode server still accepts connections, and answers no more (probes shortened).",
      expected: fails("DiscoveryError", "NoAnswer", "retried"),
      setUp: Effect.gen(function*() {
        const server = yield* healthy
        return yield* boxWith({ remotePort: server.port }, () => ({
          timing: { healthInterval: Duration.millis(500), healthTimeout: Duration.millis(500) },
          afterwards: server.setRoutes({ "*": { silent: true } })
        }))
      })
    }
  ]
}
