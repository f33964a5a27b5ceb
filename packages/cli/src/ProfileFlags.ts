/** The options that describe a connection, for `connect`, `server …`, `profiles add` and `profiles edit` alike. */
import { Port, ProxyJump, User } from "@opencode-ai/ssh-tunnel/Destination"
import { Lifetime } from "@opencode-ai/ssh-tunnel/Profile"
import { Effect, Option, Path, Result, Schema } from "effect"
import * as Flag from "effect/cli/Flag"
import * as SemVerRange from "effect/SemVerRange"

const port = (name: string) => Flag.Int(name).pipe(Flag.withMetavar("PORT"), Flag.withSchema(Port))

/** A range in npm's syntax, checked before anything is connected. */
const VersionRange = Schema.String.check(
  Schema.makeFilter((text) => Result.isSuccess(SemVerRange.parse(text)), {
    expected: "a version range such as \">=1.2.0 <2.0.0\""
  })
)

/** A path as typed, absolute afterwards; `~/` stays for ssh-tunnel, which knows whose home ssh means. */
const absolute = (value: string) =>
  Effect.map(Path.Path, (path) => /^~(\/|$)/.test(value) ? value : path.resolve(value))

/** TARGET: how ssh reaches the destination. Values given here win over a profile's and over the ssh config. */
export const target = {
  sshConfig: Flag.String("ssh-config").pipe(
    Flag.withAlias("F"),
    Flag.withMetavar("FILE"),
    Flag.withDescription("Read this ssh config instead of the user's and the system's, as ssh -F; \"none\" reads none"),
    Flag.mapEffect((value) => value === "none" ? Effect.succeed(value) : absolute(value)),
    Flag.optional
  ),
  user: Flag.String("user").pipe(
    Flag.withMetavar("USER"),
    Flag.withDescription("Log in as this user"),
    Flag.withSchema(User),
    Flag.optional
  ),
  port: port("port").pipe(Flag.withDescription("Port of the remote sshd"), Flag.optional),
  identityFile: Flag.String("identity-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("Log in with this private key only"),
    Flag.mapEffect(absolute),
    Flag.optional
  ),
  proxyJump: Flag.String("proxy-jump").pipe(
    Flag.withMetavar("HOSTS"),
    Flag.withDescription("Go through these hosts: [user@]host[:port], separated by commas; \"none\" goes directly"),
    Flag.withSchema(ProxyJump),
    Flag.optional
  )
}

/** How the OpenCode server is found or started. */
export const server = {
  remotePort: port("remote-port").pipe(
    Flag.withDescription("Port of the OpenCode server on the remote machine (default: 4096)"),
    Flag.optional
  ),
  localPort: port("local-port").pipe(
    Flag.withDescription("Use exactly this port of this machine; else one is chosen and kept"),
    Flag.optional
  ),
  bootstrap: Flag.Boolean("bootstrap").pipe(
    Flag.withDescription("Start OpenCode there when none is running (--no-bootstrap: never)"),
    Flag.optional
  ),
  bootstrapPort: port("bootstrap-port").pipe(
    Flag.withDescription("Start it on this port (default: the remote port)"),
    Flag.optional
  ),
  lifetime: Flag.Literals("lifetime", Lifetime.literals).pipe(
    Flag.withMetavar("LIFETIME"),
    Flag.withDescription("Whether a started server survives the connection (default: persistent)"),
    Flag.optional
  ),
  username: Flag.String("username").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription(
      "The OpenCode server's user name (default: opencode); its password is OPENCODE_SERVER_PASSWORD"
    ),
    Flag.optional
  ),
  versionRange: Flag.String("version-range").pipe(
    Flag.withMetavar("RANGE"),
    Flag.withDescription("OpenCode versions to accept, in npm's syntax (default: >=1.0.0 <3.0.0)"),
    Flag.withSchema(VersionRange),
    Flag.optional
  ),
  strategy: Flag.Literals("strategy", ["auto", "master", "plain"]).pipe(
    Flag.withMetavar("STRATEGY"),
    Flag.withDescription("One private ControlMaster, or one ssh per forward (default: auto)"),
    Flag.optional
  )
}

/** Every option of {@link target} and {@link server}, as a command gets it. */
export interface Given {
  readonly sshConfig: Option.Option<string>
  readonly user: Option.Option<string>
  readonly port: Option.Option<number>
  readonly identityFile: Option.Option<string>
  readonly proxyJump: Option.Option<string>
  readonly remotePort: Option.Option<number>
  readonly localPort: Option.Option<number>
  readonly bootstrap: Option.Option<boolean>
  readonly bootstrapPort: Option.Option<number>
  readonly lifetime: Option.Option<Lifetime>
  readonly username: Option.Option<string>
  readonly versionRange: Option.Option<string>
  readonly strategy: Option.Option<"auto" | "master" | "plain">
}

/** Nothing given. */
export const nothing: Given = {
  sshConfig: Option.none(),
  user: Option.none(),
  port: Option.none(),
  identityFile: Option.none(),
  proxyJump: Option.none(),
  remotePort: Option.none(),
  localPort: Option.none(),
  bootstrap: Option.none(),
  bootstrapPort: Option.none(),
  lifetime: Option.none(),
  username: Option.none(),
  versionRange: Option.none(),
  strategy: Option.none()
}
