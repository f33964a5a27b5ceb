/** What the demo cannot do without, and what to do about it. */
import { commandFor } from "../setup/system.mjs"

export interface Machine {
  readonly platform: string
  readonly arch: string
  readonly sshd: boolean
  readonly opencode: boolean
}

/** A sentence and a command, or nothing when nothing is missing. */
export const missing = ({ arch, opencode, platform, sshd }: Machine): string | undefined => {
  if (!sshd) {
    const command = commandFor(["sshd"])
    return `sshd is missing on this computer; the demo uses it as the remote machine. ${
      command === undefined
        ? "Install the OpenSSH server with your system's package manager."
        : `Install it: ${command}`
    }\n(It need not be running. Or use a host of your own: npm run demo -- user@host)`
  }
  if (!opencode) {
    return `this checkout has no opencode for ${platform}-${arch}. Install it and name it:\n` +
      "  npm install -g opencode-ai && OPENCODE_SSH_LAB_OPENCODE=\"$(command -v opencode)\" npm run demo"
  }
  return undefined
}
