/** Runs the command line of this process, and ends the process with its exit code. */
import { Effect, Layer, Logger, References } from "effect"
import { run } from "./Cli.ts"
import { layer } from "./Layers.ts"
import { exit, layerSignals } from "./Process.ts"

/** Logs are for people who look for a fault: to stderr, and only warnings unless `--log-level` says otherwise. */
const layerLogs = Layer.merge(
  Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)]),
  Layer.succeed(References.MinimumLogLevel, "Warn")
)

Effect.runFork(
  run.pipe(
    Effect.provide(Layer.mergeAll(layer, layerSignals, layerLogs)),
    Effect.flatMap(exit)
  )
)
