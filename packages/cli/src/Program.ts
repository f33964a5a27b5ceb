/** How the program is called in what it says. */
export const program = "opencode-ssh"
