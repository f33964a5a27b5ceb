/** `opencode-ssh help [command…]`: the same as `--help` behind the command. */
import { Effect } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import { UsageError } from "../CliFailure.ts"
import { version } from "../Version.ts"

/** The names on the way to a command, without aliases; `undefined` when a word is no command. */
const pathIn = (tree: Command.Command.Any, words: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
  const [word, ...rest] = words
  if (word === undefined) return []
  const found = tree.subcommands.flatMap(({ commands }) => commands).find(({ alias, name }) =>
    name === word || alias === word
  )
  const below = found === undefined ? undefined : pathIn(found, rest)
  return found === undefined || below === undefined ? undefined : [found.name, ...below]
}

/** A tree of commands of which none is run. */
export type Tree = Command.Command<string, object, object>

/** `tree` is asked for when the command runs, because this command is itself a part of it. */
export const help = (tree: () => Tree) =>
  Command.make(
    "help",
    {
      command: Argument.String("command").pipe(
        Argument.withDescription("The command to explain, such as: profiles add"),
        Argument.variadic()
      )
    },
    Effect.fn("help")(function*({ command }) {
      const path = pathIn(tree(), command)
      if (path === undefined) return yield* new UsageError({ message: `there is no command ${command.join(" ")}` })
      yield* Command.runWith(tree(), { version })([...path, "--help"])
    })
  ).pipe(Command.withDescription("Explain a command"))
