/** The forward works, and what answers at its end is not (or not yet) an OpenCode server that we can use. */
import * as FakeServer from "@opencode-ai/ssh-lab/FakeServer"
import type { LabError } from "@opencode-ai/ssh-lab/LabError"
import { Duration, Effect, Redacted, type Scope } from "effect"
import * as Tls from "node:tls"
import { Credentials } from "../../src/Credentials.ts"
import { boxWith } from "./places.ts"
import { fails, type Failure, type Group, type Scenario, type Situation } from "./Scenario.ts"

type Port = Effect.Effect<number, LabError, Scope.Scope>

const http = (routes: FakeServer.Routes): Port => Effect.map(FakeServer.http(routes), ({ port }) => port)

const tcp = (speak: Parameters<typeof FakeServer.tcp>[0]): Port => Effect.map(FakeServer.tcp(speak), ({ port }) => port)

const behind = (
  name: string,
  about: string,
  expected: Failure,
  port: Port,
  more: Partial<Situation> = {}
): Scenario => ({
  name,
  about,
  expected,
  setUp: Effect.flatMap(port, (remotePort) => boxWith({ remotePort }, () => more))
})

/** A person waits longer; the words do not depend on it. */
const impatient = { timing: { discovery: Duration.seconds(2) } }

/** A TLS server; it has no certificate, but nobody comes so far as to ask for one. */
const tls: Port = Effect.acquireRelease(
  Effect.callback<Tls.Server>((resume) => {
    const server = Tls.createServer()
    server.on("tlsClientError", () => {})
    server.listen({ host: "127.0.0.1", port: 0 }, () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
).pipe(Effect.map((server) => {
  const address = server.address()
  return address === null || typeof address === "string" ? 0 : address.port
}))

const credentials = new Credentials({ username: "opencode", password: Redacted.make("wrong") })

export const discovery: Group = {
  title: "The server behind the forward",
  scenarios: [
    behind(
      "server-silent",
      "The remote port accepts connections, and nobody answers (budget shortened).",
      fails("DiscoveryError", "NoAnswer", "retried"),
      tcp(() => {}),
      impatient
    ),
    behind(
      "server-closes",
      "The remote port accepts connections, and closes them without an answer.",
      fails("DiscoveryError", "NoAnswer", "retried"),
      tcp((socket) => void socket.once("data", () => socket.end()))
    ),
    {
      name: "server-speaks-ssh",
      about: "The profile's remote port is that of sshd.",
      expected: fails("DiscoveryError", "NotAnOpencodeServer", "final"),
      setUp: boxWith({}, ({ sshd, situation }) => ({ profile: { ...situation.profile, remotePort: sshd.port } }))
    },
    behind(
      "server-speaks-tls",
      "The server wants TLS (https).",
      fails("DiscoveryError", "NotAnOpencodeServer", "final"),
      tls
    ),
    behind(
      "server-is-a-web-page",
      "Another web server answers every path with an HTML page.",
      fails("DiscoveryError", "NotAnOpencodeServer", "final"),
      http({ "*": FakeServer.html })
    ),
    behind(
      "server-is-another-service",
      "Another web service answers its health check, without a version.",
      fails("DiscoveryError", "NotAnOpencodeServer", "final"),
      http({ "/health": { body: { status: "ok" } } })
    ),
    behind(
      "server-wants-a-websocket",
      "A server that speaks WebSocket only asks for the upgrade (status 426).",
      fails("DiscoveryError", "NotAnOpencodeServer", "final"),
      http({
        "*": { status: 426, headers: { connection: "Upgrade", upgrade: "websocket" }, body: "Upgrade Required" }
      })
    ),
    behind(
      "server-redirects",
      "The server redirects everything to another place.",
      fails("DiscoveryError", "NotAnOpencodeServer", "final"),
      http({ "*": { status: 302, headers: { location: "https://login.example/" } } })
    ),
    behind(
      "server-without-end",
      "The server's answer never ends.",
      fails("DiscoveryError", "NotAnOpencodeServer", "final"),
      http({ "*": { endless: true, headers: { "content-type": "application/json" }, body: "{\"healthy\":true," } })
    ),
    behind(
      "server-wants-a-password",
      "The server has a password, and nobody gave one.",
      fails("DiscoveryError", "Unauthorized", "final", { credentials: "none" }),
      http(FakeServer.guarded("opencode", "secret", FakeServer.v1("1.18.33")))
    ),
    behind(
      "server-refuses-the-password",
      "The password that was given is not the server's.",
      fails("DiscoveryError", "Unauthorized", "final", { credentials: "refused" }),
      http(FakeServer.guarded("opencode", "secret", FakeServer.v1("1.18.33"))),
      { credentials }
    ),
    behind(
      "server-unavailable",
      "The server answers with status 503.",
      fails("DiscoveryError", "UnexpectedStatus", "retried", { status: 503 }),
      http({ "*": { status: 503 } })
    ),
    behind(
      "server-unhealthy",
      "The server says that it is not healthy.",
      fails("DiscoveryError", "Unhealthy", "retried"),
      http({ "/global/health": { body: { healthy: false, version: "1.18.33" } } })
    ),
    behind(
      "server-of-another-major-version",
      "The server is OpenCode 3.",
      fails("CompatibilityError", "UnsupportedVersion", "final", { found: "3.0.0" }),
      http(FakeServer.v1("3.0.0"))
    ),
    behind(
      "server-too-old",
      "The server is OpenCode 0.9.",
      fails("CompatibilityError", "UnsupportedVersion", "final", { found: "0.9.9" }),
      http(FakeServer.v1("0.9.9"))
    ),
    behind(
      "server-with-a-version-of-its-own",
      "The server was built from source, and calls its version \"local\".",
      fails("CompatibilityError", "UnparsableVersion", "final", { found: "local" }),
      http(FakeServer.v1("local"))
    )
  ]
}
