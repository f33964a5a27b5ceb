import { assert, describe, it } from "@effect/vitest"
import { ConnectionError } from "@opencode-ai/ssh-tunnel/ConnectionError"
import type { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import { Profile, ProfileId } from "@opencode-ai/ssh-tunnel/Profile"
import { Schema } from "effect"
import { classes } from "../../../scripts/lib/errorReference.ts"
import * as PathView from "../src/ui/PathView.ts"

const profile = (proxyJump?: string) =>
  new Profile({
    id: ProfileId.make("p"),
    name: "box",
    host: "box",
    ...(proxyJump === undefined ? {} : { proxyJump }),
    bootstrap: { enabled: true, lifetime: "persistent" }
  })

const show = (nodes: ReadonlyArray<PathView.PathNode>): string =>
  nodes.map(({ label, link, status }, index) => {
    const mark = { idle: ".", active: "~", ok: "=", broken: "x" }
    return `${index === 0 ? "" : ` ${mark[link]} `}${label}${status === "broken" ? "!" : ""}`
  }).join("")

const failed = (error: ConnectionError, proxyJump?: string): string => {
  const state: ConnectionState = { _tag: "Failed", error }
  const hop = PathView.hopOf(state)
  return show(PathView.nodes(profile(proxyJump), state, hop === undefined ? [] : [hop]))
}

const errorOf = (tag: keyof typeof classes, reason: object): ConnectionError =>
  Schema.decodeUnknownSync(ConnectionError)({ _tag: tag, reason })

const target = { host: "box", options: [] }

describe("the path", () => {
  it("goes on as the connection does", () => {
    const at = (state: object) => show(PathView.nodes(profile("me@bastion:22"), state as ConnectionState, ["bastion"]))
    assert.strictEqual(at({ _tag: "Disconnected" }), "This machine . bastion . box . OpenCode")
    assert.strictEqual(
      at({ _tag: "Connecting", step: "starting", since: "" }),
      "This machine . bastion . box . OpenCode"
    )
    assert.strictEqual(
      at({ _tag: "Connecting", step: "authenticating", hop: "bastion", since: "" }),
      "This machine ~ bastion . box . OpenCode"
    )
    assert.strictEqual(
      at({ _tag: "Connecting", step: "authenticating", since: "" }),
      "This machine = bastion ~ box . OpenCode"
    )
    assert.strictEqual(at({ _tag: "Discovering", since: "" }), "This machine = bastion = box ~ OpenCode")
    assert.strictEqual(
      at({ _tag: "Bootstrapping", step: "looking", since: "" }),
      "This machine = bastion = box ~ OpenCode"
    )
    assert.strictEqual(at({ _tag: "Connected" }), "This machine = bastion = box = OpenCode")
  })

  it.each(
    [
      ["ConfigurationError", { _tag: "SshNotFound", binary: "ssh", detail: "" }, "This machine! . box . OpenCode"],
      ["TransportError", { _tag: "LocalPortInUse", port: 1 }, "This machine! . box . OpenCode"],
      ["TransportError", { _tag: "ConnectionRefused", target }, "This machine x box . OpenCode"],
      ["TransportError", { _tag: "HostKeyChanged", target }, "This machine = box! . OpenCode"],
      ["TransportError", { _tag: "ForwardingDenied", target, remotePort: 1 }, "This machine = box x OpenCode"],
      ["DiscoveryError", { _tag: "NothingListening", remotePort: 1 }, "This machine = box x OpenCode"],
      [
        "DiscoveryError",
        { _tag: "Unauthorized", remotePort: 1, credentials: "none" },
        "This machine = box = OpenCode!"
      ],
      ["BootstrapError", { _tag: "CommandRefused", detail: "" }, "This machine = box! . OpenCode"],
      ["BootstrapError", { _tag: "ServerExited", log: "" }, "This machine = box = OpenCode!"],
      ["CompatibilityError", { _tag: "UnparsableVersion", found: "", supported: "" }, "This machine = box = OpenCode!"]
    ] as const
  )("%s %j", (tag, reason, expected) => assert.strictEqual(failed(errorOf(tag, reason)), expected))

  it.each(
    [
      [{ _tag: "ConnectionRefused", target, hop: "bastion" }, "This machine x bastion . box . OpenCode"],
      [
        { _tag: "AuthenticationFailed", target, hop: "bastion", alsoAccepts: [] },
        "This machine = bastion! . box . OpenCode"
      ],
      [
        { _tag: "ProxyJumpFailed", target, hop: "bastion", problem: "refused", detail: "" },
        "This machine = bastion x box . OpenCode"
      ]
    ] as const
  )("behind a jump host: %j", (reason, expected) => {
    assert.strictEqual(failed(errorOf("TransportError", reason), "me@bastion:2222"), expected)
    // The ssh config names the jump host, the profile does not.
    assert.strictEqual(failed(errorOf("TransportError", reason)), expected)
  })

  it.each([undefined, "bastion", "a,b,c"])("every failure breaks it in exactly one place (%s)", (proxyJump) => {
    for (const [tag, reasons] of Object.entries(classes)) {
      for (const reason of Object.values(reasons).flat()) {
        const picture = failed({ _tag: tag, reason } as unknown as ConnectionError, proxyJump)
        assert.strictEqual(picture.split(/ x |!/).length, 2, `${reason._tag}: ${picture}`)
      }
    }
  })
})
