/** All scenarios of the failure laboratory. */
import { hostKeys } from "./hostKeys.ts"
import { network } from "./network.ts"
import type { Group, Scenario } from "./Scenario.ts"

export const groups: ReadonlyArray<Group> = [network, hostKeys]

export const scenarios: ReadonlyArray<Scenario> = groups.flatMap((group) => group.scenarios)
