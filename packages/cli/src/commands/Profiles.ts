/** `opencode-ssh profiles …`: the saved profiles. */
import * as Command from "effect/cli/Command"
import { add } from "./profiles/Add.ts"
import { edit } from "./profiles/Edit.ts"
import { exportCommand } from "./profiles/Export.ts"
import { importCommand } from "./profiles/Import.ts"
import { list } from "./profiles/List.ts"
import { remove } from "./profiles/Remove.ts"
import { show } from "./profiles/Show.ts"

export const profiles = Command.make("profiles").pipe(
  Command.withShortDescription("Manage saved profiles"),
  Command.withDescription("Save what belongs to a connection under a name, for this command line and the desktop app."),
  Command.withSubcommands([list, show, add, edit, remove, importCommand, exportCommand])
)
