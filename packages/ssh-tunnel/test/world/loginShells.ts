/** The accounts that bootstrap is tried with. */
import { type Account, posixPath } from "./Accounts.ts"

/** Only a start-up file of the login shell knows this directory. */
const hidden = "only here/bin"
const sh = "PATH=\"$HOME/only here/bin:$PATH\"; export PATH\n"

/** A shell whose own start-up file says where opencode is. */
const clean = (shell: string, file: string, text: string = sh): Account => ({
  name: `lab-${shell}`,
  about: `login shell ${shell}; ${file} says where opencode is`,
  shell,
  bin: hidden,
  files: { [file]: text },
  expected: "started"
})

/** A file that this shell reads before it runs the command of a session. */
const early: Readonly<Record<string, string>> = {
  bash: ".bashrc",
  zsh: ".zshenv",
  fish: ".config/fish/config.fish",
  tcsh: ".tcshrc"
}

const odd = (shell: string, name: string, about: string, text: string, expected = "started"): Account => ({
  name: `lab-${shell}-${name}`,
  about: `${shell}, whose start-up file ${about}`,
  shell,
  files: { [early[shell] ?? ".profile"]: text },
  expected
})

const prints = "echo 'Welcome {\"error\": 1}'; printf 'no newline'; echo warning >&2\n"

export const accounts: ReadonlyArray<Account> = [
  clean("bash", ".profile"),
  clean("dash", ".profile"),
  clean("zsh", ".zprofile"),
  clean("busybox", ".profile"),
  clean("fish", ".config/fish/config.fish", "set -x PATH \"$HOME/only here/bin\" $PATH\n"),
  clean("tcsh", ".login", "setenv PATH \"${HOME}/only here/bin:${PATH}\"\n"),

  odd("bash", "odd", "prints and sets everything", `${prints}set -euC -o pipefail; export SHELLOPTS\n`),
  odd("zsh", "odd", "prints and sets everything", `${prints}setopt ERR_EXIT NO_CLOBBER NO_UNSET PIPE_FAIL\n`),
  odd("tcsh", "odd", "prints and sets everything", "echo Welcome; printf 'no newline'\nset noclobber\nset noglob\n"),
  odd("fish", "odd", "prints and fails", `${prints}no-such-command; false\n`),
  odd("bash", "slow", "takes a second and fails", "sleep 1; no-such-command; return 3\n"),
  odd("bash", "exits", "ends the shell", "exit 3\n", "CommandRefused"),
  odd("zsh", "exits", "ends the shell", "exit 0\n", "InvalidOutput"),
  odd("bash", "exec-zsh", "becomes zsh, which reads the script instead of sh", "exec zsh\n"),
  {
    ...odd("bash", "exec-fish", "becomes fish, which waits for the script's end", "exec fish\n", "InvalidOutput"),
    patience: 5
  },
  {
    name: "lab-bash-login-fish",
    about: "bash, which becomes fish at a login",
    shell: "bash",
    bin: hidden,
    files: {
      ".bash_profile": "exec fish\n",
      ".config/fish/config.fish": "set -x PATH \"$HOME/only here/bin\" $PATH\n"
    },
    expected: "started"
  },

  {
    name: "lab-foreign-home",
    about: "an account that cannot write to its HOME",
    shell: "bash",
    foreignHome: true,
    expected: "RemoteNotWritable"
  },
  {
    name: "lab-posix",
    about: "an account whose PATH has the utilities of POSIX and nothing else",
    shell: "dash",
    path: posixPath,
    expected: "started"
  },
  { name: "lab-real", about: "the real opencode, with zsh", shell: "zsh", real: true, expected: "started" }
]
