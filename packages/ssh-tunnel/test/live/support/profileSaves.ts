/** Processes that save profiles, some of which are killed: a few times in the live suite, many times in the soak. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert } from "@effect/vitest"
import * as Process from "@opencode-ai/ssh-lab/Process"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Effect, Layer, Ref, Result } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { DataDirectory } from "../../../src/DataDirectory.ts"
import * as NodeLocalHost from "../../../src/node/LocalHost.ts"
import type { Profile } from "../../../src/Profile.ts"
import { parse } from "../../../src/ProfileFile.ts"
import { ProfileRepo } from "../../../src/ProfileRepo.ts"
import { profile } from "../../ProfileFixtures.ts"
import * as Crash from "./Crash.ts"

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** `saveProfiles.ts` as one file: a process that has to compile all modules takes seven times as long to start. */
export const bundle = Effect.gen(function*() {
  const script = `${yield* TempDirectory.make()}/saveProfiles.mjs`
  const bun = at("../../../../../node_modules/.bin/bun")
  yield* Process.output(bun, ["build", at("../saveProfiles.ts"), "--target=node", "--outfile", script])
  return script
})

export const repository = (directory: string) =>
  Effect.flatMap(
    Layer.build(
      ProfileRepo.layerNoDeps.pipe(
        Layer.provide(DataDirectory.layerAt(directory)),
        Layer.provide(Layer.mergeAll(NodeServices.layer, NodeLocalHost.layer))
      )
    ),
    (context) => Effect.provide(ProfileRepo, context)
  )

export const ids = (profiles: ReadonlyArray<Profile>) => profiles.map(({ id }) => id as string)

/** A process that will save `count` profiles as soon as it gets a line. */
export const saver = (script: string, directory: string, prefix: string, count: number) =>
  Effect.tap(
    Process.spawn(process.execPath, [script, directory, prefix, String(count)]),
    (child) => child.stdout.waitFor("ready")
  )

export const entries = (directory: string) => Effect.sync(() => Fs.readdirSync(directory))

/** The ids that a saver has been told are saved. */
export const acknowledgedBy = (child: Process.Process) =>
  Effect.map(child.stdout.lines, (lines) => lines.filter((line) => /^[a-z]+\d*-\d+$/.test(line)))

/**
 * Kills so many processes while they save, three at a time, each at a random moment of its first saves. Whatever was
 * acknowledged is there, the file is whole at each moment, and nobody waits for the dead. `linked`: the file is a
 * symbolic link.
 */
export const killSavers = Effect.fnUntraced(function*(kills: number, { linked }: { readonly linked: boolean }) {
  const seed = Crash.seedOfRun()
  console.log(`kill ${kills} savers${linked ? ", the file a link" : ""}: OPENCODE_SSH_TEST_SEED=${seed}`)
  const next = Crash.random(seed)
  const moments = Array.from(
    { length: kills },
    (_, number) => ({ number, after: Math.floor(next() * 4), delay: next() })
  )
  const script = yield* bundle
  const directory = yield* TempDirectory.make()
  const file = Path.join(directory, "ssh-profiles.json")
  const elsewhere = yield* TempDirectory.make()
  if (linked) Fs.symlinkSync(Path.join(elsewhere, "mine.json"), file)
  const repo = yield* repository(directory)
  const acknowledged = yield* Ref.make<ReadonlyArray<string>>([])
  const whole = Effect.sync(() => assert.isTrue(Result.isSuccess(parse(Fs.readFileSync(file, "utf8"))), "torn"))
  const check = Effect.gen(function*() {
    const promised = yield* Ref.get(acknowledged)
    yield* whole
    const there = new Set(ids(yield* repo.list))
    assert.deepStrictEqual(promised.filter((id) => !there.has(id)), [], `lost, seed ${seed}`)
  })
  const life = ({ after, delay, number }: typeof moments[number]) =>
    Effect.scoped(Effect.gen(function*() {
      const child = yield* saver(script, directory, `k${number}`, 1_000)
      yield* child.write("go\n")
      if (after > 0) yield* child.stdout.waitFor(`k${number}-${after - 1}`)
      // Any moment of a save, which takes a few milliseconds.
      yield* Effect.sleep(delay * 10)
      yield* child.kill("SIGKILL")
      yield* whole.pipe(Effect.when(Effect.sync(() => Fs.existsSync(file))))
      yield* child.exit
      yield* child.stdout.ended
      const saved = yield* acknowledgedBy(child)
      yield* Ref.update(acknowledged, (all) => [...all, ...saved])
      // The list grows; to read all of it each time would be most of the work.
      if (number % 10 === 0 && saved.length > 0) yield* check
    }))
  yield* Effect.forEach(moments, life, { concurrency: 3, discard: true })
  assert.isAtLeast((yield* Ref.get(acknowledged)).length, kills / 2)
  yield* repo.save(profile("last"))
  yield* check
  assert.deepStrictEqual(yield* entries(directory), ["ssh-profiles.json"])
  if (linked) {
    assert.isTrue(Fs.lstatSync(file).isSymbolicLink())
    assert.deepStrictEqual(yield* entries(elsewhere), ["mine.json"])
  }
})
