/**
 * Records what the real ssh prints in situations that really occur, as fixtures of the classifier:
 *
 *     node scripts/record-transcripts.ts [NAME…]     all scenarios, or those whose name contains a NAME
 *
 * Everything happens on 127.0.0.1 with throw-away servers and keys. Paths, ports, fingerprints and the user's name are
 * replaced by neutral ones; nothing else is changed.
 */
import * as Process from "@opencode-ai/ssh-lab/Process"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { authentication } from "./transcripts/authentication.ts"
import { configuration } from "./transcripts/configuration.ts"
import { hostKeys } from "./transcripts/hostKeys.ts"
import { identityFiles } from "./transcripts/identityFiles.ts"
import { jumpHosts } from "./transcripts/jumpHosts.ts"
import { liars } from "./transcripts/liars.ts"
import { liveConnections } from "./transcripts/liveConnections.ts"
import { reaching } from "./transcripts/reaching.ts"
import type { Scenarios } from "./transcripts/recording.ts"

const directory = Path.join(import.meta.dirname, "..", "packages", "ssh-tunnel", "test", "fixtures", "stderr")

const scenarios: Scenarios = {
  ...hostKeys,
  ...authentication,
  ...identityFiles,
  ...reaching,
  ...configuration,
  ...jumpHosts,
  ...liveConnections,
  ...liars
}

const version = Effect.map(Process.run("ssh", ["-V"]), ({ stderr }) => stderr.trim())

const main = Effect.gen(function*() {
  const wanted = process.argv.slice(2)
  const by = yield* version
  for (const [name, { about, recording }] of Object.entries(scenarios)) {
    if (wanted.length > 0 && !wanted.some((word) => name.includes(word))) continue
    const recorded = yield* Effect.scoped(recording)
    const head = [
      `# ${about}`,
      `# recorded: real, ${by}, Linux`,
      `# command: ${recorded.command}`,
      `# exit: ${recorded.exit}`,
      ""
    ]
    Fs.writeFileSync(Path.join(directory, `${name}.txt`), `${head.join("\n")}\n${recorded.stderr}`)
    console.log(`${name}: ${recorded.exit}`)
  }
})

await Effect.runPromise(main)
