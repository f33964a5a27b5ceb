/**
 * A host process with many profiles, so that its memory and processor time are its own: `host.ts CONFIG PORT COUNT`,
 * run with `--expose-gc` and an IPC channel. Each message is a question, each gets one answer.
 */
import { Connections, ProfileId } from "@opencode-ai/ssh-tunnel"
import { Effect, ManagedRuntime } from "effect"
import * as World from "./world.ts"

const [configFile = "", port = "0", count = "0"] = process.argv.slice(2)
const ids = Array.from({ length: Number(count) }, (_, index) => ProfileId.make(`p${index}`))
const runtime = ManagedRuntime.make(
  World.layerOf([...ids, World.id].map((id) => World.profileFor(configFile, Number(port), id)))
)

const connect = (id: ProfileId) =>
  Connections.use((connections) => Effect.andThen(connections.connect(id), connections.settled(id)))

const collect = async () => {
  const { gc } = globalThis as { gc?: () => void }
  for (let turn = 0; turn < 3; turn++) {
    gc?.()
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return process.memoryUsage()
}

const answers: Record<string, () => Promise<unknown>> = {
  /** Everything is compiled and warm. */
  warmUp: () =>
    runtime.runPromise(
      Effect.andThen(connect(World.id), Connections.use((connections) => connections.disconnect(World.id)))
    ),
  connect: () =>
    runtime.runPromise(
      World.timed(Effect.forEach(
        ids,
        (id) =>
          Effect.match(connect(id), {
            onFailure: (error) => `${error.reason._tag}: ${error.message}`,
            onSuccess: () => "up"
          }),
        { concurrency: "unbounded" }
      ))
    ).then(({ ms, value }) => ({
      ms,
      up: value.filter((word) => word === "up").length,
      errors: [...new Set(value.filter((word) => word !== "up"))]
    })),
  memory: collect,
  /** Microseconds of processor time in ten seconds. */
  idle: async () => {
    const before = process.cpuUsage()
    await new Promise((resolve) => setTimeout(resolve, 10_000))
    const { system, user } = process.cpuUsage(before)
    return user + system
  },
  disconnect: () =>
    runtime.runPromise(World.timed(Effect.forEach(
      ids,
      (id) => Connections.use((connections) => connections.disconnect(id)),
      { concurrency: "unbounded", discard: true }
    ))).then(({ ms }) => ms),
  end: async () => {
    await runtime.dispose()
    setImmediate(() => process.disconnect())
  }
}

process.on("message", (question: string) => {
  answers[question]?.().then(
    (value) => process.send?.({ value: value ?? null }),
    (error: unknown) => process.send?.({ error: String(error) })
  )
})
process.send?.({ value: "ready" })
