/** All scenarios of the failure laboratory. */
import { authentication } from "./authentication.ts"
import { bootstrap } from "./bootstrap.ts"
import { discovery } from "./discovery.ts"
import { established } from "./established.ts"
import { forwarding } from "./forwarding.ts"
import { hostKeys } from "./hostKeys.ts"
import { jump } from "./jump.ts"
import { local, otherSsh } from "./local.ts"
import { network } from "./network.ts"
import type { Group, Scenario } from "./Scenario.ts"

export const groups: ReadonlyArray<Group> = [
  network,
  hostKeys,
  authentication,
  jump,
  forwarding,
  discovery,
  bootstrap,
  established,
  local,
  otherSsh
]

export const scenarios: ReadonlyArray<Scenario> = groups.flatMap((group) => group.scenarios)
