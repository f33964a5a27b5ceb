/** Which local port a forward gets. `-L` with port 0 is refused by ssh, so a free one is taken and the race is expected to be lost now and then. */
import { Data, Effect } from "effect"
import type { LocalHost } from "../LocalHost.ts"
import { localPortRace } from "../Schedules.ts"
import { LocalPortInUse, TransportError } from "../TransportError.ts"
import type { LocalPortChoice } from "../Tunnel.ts"

/** ssh could not listen there because another program does. */
export class PortTaken extends Data.TaggedError("PortTaken")<{ readonly port: number }> {}

const inUse = ({ port }: PortTaken) => new TransportError({ reason: new LocalPortInUse({ port }) })

/**
 * Lets `bind` try the port that is wanted, or free ones until one can be had.
 * Only a pinned port that is taken is a failure.
 */
export const bindLocalPort = <A, E, R>(
  host: LocalHost["Service"],
  choice: LocalPortChoice,
  bind: (port: number) => Effect.Effect<A, E | PortTaken, R>
): Effect.Effect<A, Exclude<E, PortTaken> | TransportError, R> => {
  const anyPort = host.freePort.pipe(
    // No free port on loopback: the machine is out of descriptors or ports, which no caller can mend.
    Effect.orDie,
    Effect.flatMap(bind),
    Effect.retry({ schedule: localPortRace, while: (error) => error instanceof PortTaken })
  )
  const attempt = choice._tag === "Any"
    ? anyPort
    : choice._tag === "Pinned"
    ? bind(choice.port)
    : Effect.catchIf(bind(choice.port), (error): error is E & PortTaken => error instanceof PortTaken, () => anyPort)
  return Effect.mapError(
    attempt,
    (error): Exclude<E, PortTaken> | TransportError =>
      error instanceof PortTaken ? inUse(error) : error as Exclude<E, PortTaken>
  )
}
