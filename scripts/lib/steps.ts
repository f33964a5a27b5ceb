/** Steps of a run: each is a command or a check, prints one line, and shows its output in full when it fails. */
import { spawn } from "node:child_process"

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export interface Outcome extends Counts {
  readonly name: string
}

export interface Step {
  readonly name: string
  readonly command?: ReadonlyArray<string>
  /** Counts of its own, from its exit status; without, a step counts as one. */
  readonly read?: (status: number) => Counts
  /** Instead of a command: returns what is wrong, or an empty text. */
  readonly check?: () => Promise<string>
  /** How long it may take, in milliseconds; default 15 minutes. A run that hangs is a failure too. */
  readonly limit?: number
  /** Why it cannot run here. */
  readonly skip?: string
}

/** An outcome, whose counts are 0 unless given. */
export const outcome = (counts: Partial<Counts> & { readonly name: string }): Outcome => ({
  passed: 0,
  failed: 0,
  skipped: 0,
  ...counts
})

/** The sum of all. */
export const total = (outcomes: ReadonlyArray<Counts>): Counts => ({
  passed: outcomes.reduce((sum, { passed }) => sum + passed, 0),
  failed: outcomes.reduce((sum, { failed }) => sum + failed, 0),
  skipped: outcomes.reduce((sum, { skipped }) => sum + skipped, 0)
})

const defaultLimit = 15 * 60_000

interface Ended {
  readonly status: number
  readonly output: string
}

const running = new Set<(signal: NodeJS.Signals) => void>()
let interrupted = false

/** From here on a signal ends the step that runs, and the steps that would follow. */
export const passSignals = (): void => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      interrupted = true
      for (const pass of running) pass(signal)
    })
  }
}

const execute = ([program = "", ...args]: ReadonlyArray<string>, limit: number): Promise<Ended> =>
  new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    const pass = (signal: NodeJS.Signals) => child.kill(signal)
    const timer = setTimeout(() => {
      output += `\n${program} took more than ${limit / 60_000} minutes`
      child.kill("SIGKILL")
    }, limit)
    running.add(pass)
    const end = (status: number) => {
      clearTimeout(timer)
      running.delete(pass)
      resolve({ status, output })
    }
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (output += chunk))
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (output += chunk))
    child.on("error", (error) => {
      output += `${error.message}\n`
      end(127)
    })
    child.on("close", (code) => end(code ?? 1))
  })

const count = (step: Step, { output, status }: Ended): Ended & Counts => {
  if (step.read === undefined) {
    return { status, output, passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0 }
  }
  try {
    return { status, output, ...step.read(status) }
  } catch (cause) {
    return { status, output: `${output}\nno report: ${String(cause)}`, passed: 0, failed: 1, skipped: 0 }
  }
}

/** Runs a step and prints its line. */
export const runStep = async (step: Step): Promise<Outcome> => {
  const { name } = step
  if (interrupted) {
    console.log(`- ${name}: interrupted`)
    return outcome({ name, failed: 1 })
  }
  if (step.skip !== undefined) {
    console.log(`- ${name}: SKIPPED, ${step.skip}`)
    return outcome({ name, skipped: 1 })
  }
  const begun = performance.now()
  const ended = step.check === undefined
    ? await execute(step.command ?? [], step.limit ?? defaultLimit)
    : await step.check().then((output) => ({ status: output === "" ? 0 : 1, output }))
  const { failed, output, passed, skipped } = count(step, ended)
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  const counts = step.read === undefined
    ? ""
    : `  ${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`
  console.log(`${failed > 0 ? "✗" : "✓"} ${name}  ${seconds} s${counts}`)
  if (failed > 0) console.log(`\n${output.trimEnd()}\n`)
  return outcome({ name, passed, failed, skipped })
}
