import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { jsonLines, makeWorld } from "../harness.ts"

it.effect("names for a person, places as well for a program", () =>
  Effect.gen(function*() {
    const { cli } = yield* makeWorld({ hosts: ["box", "bastion"] })
    const plain = yield* cli("hosts")
    assert.deepStrictEqual([plain.code, plain.stdout, plain.stderr], [0, ["box", "bastion"], []])
    const lines = yield* cli("hosts", "--json")
    assert.deepStrictEqual(jsonLines(lines.stdout), [
      { type: "host", host: "box", file: "/home/me/.ssh/config", line: 1 },
      { type: "host", host: "bastion", file: "/home/me/.ssh/config", line: 2 }
    ])
  }))

it.effect("no host is no error, a word too many is one", () =>
  Effect.gen(function*() {
    const { cli } = yield* makeWorld()
    const none = yield* cli("hosts")
    assert.deepStrictEqual([none.code, none.stdout], [0, []])
    assert.strictEqual((yield* cli("hosts", "box")).code, 2)
  }))
