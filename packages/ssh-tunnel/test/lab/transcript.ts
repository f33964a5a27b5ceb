/** What ssh prints where the real one cannot be brought to it, said by a stand-in. */
import * as FakeSsh from "@opencode-ai/ssh-lab/FakeSsh"
import { Effect } from "effect"
import { transcript } from "../internal/transcripts.ts"
import type { Situation } from "./Scenario.ts"

/** ssh that prints this transcript of `test/fixtures/stderr`, and ends as that says, unless told otherwise. */
export const replayed = (name: string, options: Pick<FakeSsh.Options, "end"> = {}) =>
  Effect.gen(function*() {
    const { exit, stderr } = transcript(name)
    const ssh = yield* FakeSsh.make({ stderr, end: { code: exit.code ?? 255 }, ...options })
    const situation: Situation = { profile: { host: "box" }, environment: { OPENCODE_SSH_BINARY: ssh } }
    return situation
  })
