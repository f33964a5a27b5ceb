/**
 * Why an ssh ended, as a typed error. The text of ssh is classified purely; only
 * for host keys more is asked, because ssh's text alone can't tell: whether
 * known_hosts holds other key types, and whether a new key could be remembered.
 * Asked on failures only, never on the way to a connection.
 */
import { Duration, Effect, Option, Schema, Stream, SubscriptionRef } from "effect"
import { ConfigurationError, SshConfigInvalid } from "../ConfigurationError.ts"
import { Destination, Host } from "../Destination.ts"
import type { LocalHost } from "../LocalHost.ts"
import type { OpenSsh, SshExit, SshProcess } from "../OpenSsh.ts"
import type { Timings } from "../Schedules.ts"
import type { TransportError } from "../TransportError.ts"
import * as Argv from "./argv.ts"
import { classify, type Ended, expired, knownHostsQuery } from "./classify.ts"
import { expandHome } from "./overlay.ts"
import { type Effective, parse } from "./sshEffective.ts"
import { progress, type SshLog } from "./sshLog.ts"

/** Explains the end of one destination's ssh processes. */
export interface Explainer {
  /** Waits for the end and fails with what it means. */
  readonly ended: (
    process: SshProcess,
    phase: "opening" | "established"
  ) => Effect.Effect<never, TransportError | ConfigurationError>
  /**
   * Fails once login has lasted longer than it may; a security key gets more time to be touched. And at once when jump
   * hosts lead to each other: ssh sees only a host that leads to itself, and would start one ssh after the other.
   */
  readonly deadline: (process: SshProcess) => Effect.Effect<never, TransportError | ConfigurationError>
}

/** The key types in the answer of `ssh-keygen -l -F`: the word before each fingerprint. */
const keyTypesIn = (answer: string): ReadonlyArray<string> =>
  [...answer.matchAll(/(\S+) SHA256:\S+/g)].map((match) => match[1] ?? "")

const isHost = Schema.is(Host)

const isNowhere = (file: string): boolean => file === "/dev/null" || file.toLowerCase() === "none"

/** More hosts, one behind the other, than anybody has. */
const tooManyHops = 12

/** Makes an {@link Explainer} for a destination. */
export const make = (
  ssh: OpenSsh["Service"],
  host: LocalHost["Service"],
  timing: Timings,
  destination: Destination
): Explainer => {
  const target = Argv.target(destination, host.home)
  const hopsBy = (proxyJump?: string) => (name: string) => Argv.hopTarget(destination, name, host.home, proxyJump)

  const effective = (asked: Destination) =>
    Effect.map(Effect.option(ssh.resolve(asked)), (answer) => Option.flatMap(answer, parse))

  /** A jump host of the ssh config may have a name that we would not take from a profile: it is not asked about. */
  const effectiveHop = (name: string) =>
    isHost(name)
      ? effective(
        new Destination({
          host: name,
          ...(destination.sshConfig === undefined ? undefined : { sshConfig: destination.sshConfig })
        })
      )
      : Effect.succeed(Option.none<Effective>())

  const configFile = expandHome(destination.sshConfig ?? "~/.ssh/config", host.home)

  const looping = Effect.fnUntraced(function*(process: SshProcess): Effect.fn.Return<never, ConfigurationError> {
    const { connections } = yield* SubscriptionRef.changes(process.log).pipe(
      Stream.filter(({ connections }) => connections.length >= tooManyHops),
      Stream.runHead,
      Effect.flatMap(Option.match({ onNone: () => Effect.never, onSome: Effect.succeed }))
    )
    const hosts = new Set(connections.flatMap(({ hop }) => hop ?? []))
    return yield* new ConfigurationError({
      reason: new SshConfigInvalid({
        file: configFile,
        detail: `jump hosts lead to each other: ${[...hosts].join(", ")}`
      })
    })
  })

  const explain = Effect.fnUntraced(function*(log: SshLog, exit: SshExit, phase: "opening" | "established") {
    const ended: Ended = {
      log,
      exit,
      phase,
      target,
      hops: hopsBy(),
      configFile,
      ...(destination.identityFile === undefined
        ? undefined
        : { identityFile: expandHome(destination.identityFile, host.home) })
    }
    const error = classify(ended)
    const query = knownHostsQuery(log)
    const hop = error._tag === "TransportError" && "hop" in error.reason ? error.reason.hop : undefined
    const isUnknown = error._tag === "TransportError" && error.reason._tag === "HostKeyUnknown"
    if (hop === undefined && query === undefined && !isUnknown) return error
    // Hops of the ssh config have their user and port there, and every host its own known_hosts files.
    const own = yield* effective(destination)
    const hops = hopsBy(Option.getOrUndefined(own)?.proxyJump)
    const failed = hop === undefined ? own : yield* effectiveHop(hops(hop).host)
    const filesOf = (value: string | undefined) => value?.split(/\s+/) ?? []
    const files = filesOf(Option.getOrUndefined(failed)?.userKnownHostsFile)
    const globalFiles = filesOf(Option.getOrUndefined(failed)?.globalKnownHostsFile)
    const answers = query === undefined
      ? []
      : yield* Effect.forEach(
        new Set([query.file, ...files, ...globalFiles]),
        (file) => ssh.knownHosts(query.name, file)
      )
    return classify({
      ...ended,
      hops,
      rememberable: () => files.length === 0 || !files.every(isNowhere),
      knownKeyTypes: answers.flatMap(keyTypesIn)
    })
  })

  return {
    ended: Effect.fnUntraced(function*(process, phase) {
      const exit = yield* process.exit
      const log = yield* SubscriptionRef.get(process.log)
      return yield* Effect.flatMap(explain(log, exit, phase), Effect.fail)
    }),
    deadline: Effect.fnUntraced(function*(process: SshProcess): Effect.fn.Return<never, TransportError> {
      const rest = Duration.subtract(timing.deadlineWithSecurityKey, timing.deadline)
      const log = yield* Effect.sleep(timing.deadline).pipe(Effect.andThen(SubscriptionRef.get(process.log)))
      if (progress(log).waitingFor === undefined) {
        return yield* expired({ log, target, hops: hopsBy(), waited: Duration.toMillis(timing.deadline) })
      }
      yield* Effect.sleep(rest)
      return yield* expired({
        log: yield* SubscriptionRef.get(process.log),
        target,
        hops: hopsBy(),
        waited: Duration.toMillis(timing.deadlineWithSecurityKey)
      })
    }, (deadline, process) => Effect.raceFirst(deadline, looping(process)))
  }
}
