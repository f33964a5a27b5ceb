import { defineConfig } from "vitest/config"

/** Bun's child processes have no `channel.unref`, which vitest's fork pool calls: threads there, forks on Node. */
const isBun = process.versions["bun"] !== undefined
const pool = isBun ? "threads" : "forks"

const isCI = ["1", "true"].includes(process.env["CI"] ?? "")

/** Live suites wait more than they work; in CI steadiness counts for more than time. */
const maxWorkers = isCI ? 2 : 3

/** The remote script's suites run it in real shells and start real processes; which runtime looks on does not matter. */
const remoteScript = "packages/*/test/remote/**/*.test.ts"

const live = [
  "packages/*/test/live/**/*.live.test.ts",
  "{scripts,examples}/test/live/**/*.live.test.ts",
  remoteScript
]

/** The live suites that run on Bun as well: those whose behaviour depends on the runtime (processes, sockets, files). */
const liveOnBun = [
  "packages/desktop-bridge/test/live/**/*.live.test.ts",
  "packages/lab/test/live/Sshd.live.test.ts",
  "packages/ssh-tunnel/test/live/Connections.live.test.ts",
  "packages/ssh-tunnel/test/live/Discovery.live.test.ts",
  "packages/ssh-tunnel/test/live/HostKeys.live.test.ts",
  "packages/ssh-tunnel/test/live/Processes.live.test.ts",
  "packages/ssh-tunnel/test/live/ProfileRepo.live.test.ts",
  "packages/ssh-tunnel/test/live/Prompts.live.test.ts",
  "packages/ssh-tunnel/test/live/Reaper.live.test.ts",
  "packages/ssh-tunnel/test/live/Secrets.live.test.ts",
  "packages/ssh-tunnel/test/live/Tunnel.live.test.ts"
]

/**
 * Suites that need sshd, opencode or Chromium. Each file gets a fresh worker: a suite that damages the process-wide
 * state (environment, agents, umask) must not reach the next one.
 */
const liveProject = (name: string, include: Array<string>) => ({
  test: {
    name,
    include,
    pool,
    isolate: true,
    // After the unit suites. One file at a time on Bun: its threads share one process, and the check for leftovers
    // could not tell whose child or listener it sees.
    sequence: { groupOrder: 1 },
    maxWorkers: isBun ? 1 : maxWorkers,
    setupFiles: ["scripts/vitest/leftovers.ts"],
    // On a person's machine a flaky test fails, so that its cause is found; where a whole change waits for the result,
    // it gets a second try, and is named at the end.
    retry: isCI ? 1 : 0,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000
  }
})

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["packages/*/test/**/*.test.ts", "scripts/test/**/*.test.ts", "examples/*.test.ts"],
          exclude: ["**/node_modules/**", "**/test/live/**", "**/*.soak.test.ts", remoteScript],
          pool,
          // Threads of one process: a child that one of them starts holds the sockets of the others for a moment, so
          // that what is closed still listens.
          maxWorkers: isBun ? 1 : maxWorkers,
          isolate: false,
          testTimeout: 15_000
        }
      },
      liveProject("live", live),
      liveProject("live-bun", liveOnBun),
      {
        test: {
          name: "soak",
          include: ["packages/*/test/**/*.soak.test.ts"],
          pool,
          sequence: { groupOrder: 2 },
          maxWorkers: 1,
          setupFiles: ["scripts/vitest/leftovers.ts"],
          testTimeout: 3_600_000,
          hookTimeout: 120_000
        }
      }
    ]
  }
})
