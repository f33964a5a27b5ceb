/** `opencode-ssh completions`: scripts that teach a shell this command line. */
import { Console, Effect } from "effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Shells from "effect/cli/Completions"
import { program } from "../Program.ts"

/** Options that take a file. effect/cli's own path options would make another path of `none` and `~/…`. */
const fileOptions: ReadonlyArray<string> = ["ssh-config", "identity-file", "credentials-file", "file"]

const withFiles = (command: Shells.CommandDescriptor): Shells.CommandDescriptor => ({
  ...command,
  flags: command.flags.map((flag) =>
    fileOptions.includes(flag.name) ? { ...flag, type: { _tag: "Path", pathType: "file" } } : flag
  ),
  subcommands: command.subcommands.map(withFiles)
})

/** `tree` is asked for when the command runs, because this command is itself a part of it. */
export const completions = (tree: () => Command.Command.Any) =>
  Command.make(
    "completions",
    {
      shell: Argument.Literals("shell", ["bash", "zsh", "fish", "powershell"]).pipe(
        Argument.withDescription("The shell to write for")
      )
    },
    Effect.fn("completions")(({ shell }) =>
      Console.log(Shells.generate(program, shell, withFiles(Shells.fromCommand(tree()))))
    )
  ).pipe(
    Command.withDescription("Print a script that completes commands and options in your shell"),
    Command.withExamples([
      {
        command: "opencode-ssh completions bash > ~/.local/share/bash-completion/completions/opencode-ssh",
        description: "bash"
      },
      { command: "opencode-ssh completions zsh > \"${fpath[1]}/_opencode-ssh\"", description: "zsh" },
      { command: "opencode-ssh completions fish > ~/.config/fish/completions/opencode-ssh.fish", description: "fish" }
    ])
  )
