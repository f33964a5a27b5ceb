/** All entries of the corpus. */
import type { Entry, Group } from "./Entry.ts"
import * as Environments from "./environments.ts"
import * as Files from "./files.ts"
import * as Identities from "./identities.ts"
import * as Sessions from "./sessions.ts"
import * as Sharing from "./sharing.ts"
import * as Ways from "./ways.ts"

export const groups: ReadonlyArray<Group> = [
  ...Sharing.groups,
  ...Sessions.groups,
  ...Files.groups,
  ...Identities.groups,
  ...Ways.groups,
  ...Environments.groups
]

export const entries: ReadonlyArray<Entry> = groups.flatMap((group) => group.entries)
