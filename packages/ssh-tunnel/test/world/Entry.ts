/** One entry of the corpus: a part of somebody's world, as data, and what must come of a connection in it. */
import type { LabError } from "@opencode-ai/ssh-lab/LabError"
import type { Effect, Scope } from "effect"
import type { Failure, Fields } from "../lab/Scenario.ts"
import type { Machines } from "./Machines.ts"

/** Names for what differs in each run: `{dir}` in a text of an entry stands for the value of `dir`. */
export type Names = Readonly<Record<string, string | number>>

/** What the functions of an entry get. */
export interface Place {
  readonly machines: Machines
  /** `dir`: a directory of the entry's own; `ssh`: that of the ssh config. */
  readonly names: Names
  /** The text with values for names. */
  readonly fill: (text: string) => string
}

/** What the functions get that look at a living connection. */
export interface Connected extends Place {
  readonly localPort: number
  /** Runs a script over there, and gives what it prints. */
  readonly run: (script: string) => Effect.Effect<string, unknown>
}

/** How the product is run. */
export interface Program {
  /** Octal. */
  readonly umask?: string
  /** The directory in which it is started is removed. */
  readonly nowhere?: boolean
}

/** What the machine must allow. */
export type Requirement = "namespaces" | "ipv6" | "linux"

export interface Entry {
  /** Lower-case words joined by `-`; stable. */
  readonly name: string
  /** What is special, in one sentence. */
  readonly about: string
  readonly expected: "Connected" | Failure
  /** Lines of the block of `box`, before those that say where it is. */
  readonly box?: ReadonlyArray<string>
  /** Lines of the block of `jump`; without them there is no such host. */
  readonly jump?: ReadonlyArray<string>
  /** Lines before and after the hosts' blocks. */
  readonly before?: ReadonlyArray<string>
  readonly after?: ReadonlyArray<string>
  /** Whether ssh config and known_hosts name a key for `box`, and its host key; both default to true. */
  readonly identityFile?: false
  readonly known?: false
  /** Lines of known_hosts. */
  readonly knownHosts?: ReadonlyArray<string>
  /** More files beside the ssh config, and in the entry's own directory. */
  readonly sshFiles?: Readonly<Record<string, string>>
  readonly files?: Readonly<Record<string, string>>
  /** What the ssh config's text becomes before it is written. */
  readonly rewrite?: (config: string) => string
  /** The name of the ssh config's directory. */
  readonly directoryName?: string
  /** Variables of the product; `undefined` removes one. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** It is a process of its own. */
  readonly program?: Program
  /** The machine behind `box`; default `plain`. */
  readonly machine?: keyof Machines
  readonly profile?: Partial<Fields>
  /** Default `master` alone; the name of another one is part of the test's name. */
  readonly strategies?: ReadonlyArray<"master" | "plain">
  readonly requires?: ReadonlyArray<Requirement>
  /** Makes what must be there first, and more names. */
  readonly prepare?: (place: Place) => Effect.Effect<Names | void, LabError, Scope.Scope>
  /** The same, when the ssh config (`ssh`) is there. */
  readonly arrange?: (place: Place) => Effect.Effect<void, LabError, Scope.Scope>
  /** Looks at the connection. */
  readonly connected?: (place: Connected) => Effect.Effect<void, unknown, Scope.Scope>
  /** Looks at what there is after its end. */
  readonly afterwards?: (place: Place) => Effect.Effect<void, unknown, Scope.Scope>
  /** What appears in the entry's own directory; nothing by default. */
  readonly leaves?: ReadonlyArray<string>
}

export interface Group {
  readonly title: string
  readonly entries: ReadonlyArray<Entry>
}
