/** What windows may do to profiles, as pure rules. */
import type { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import type { ProfileDraft } from "@opencode-ai/ssh-tunnel/ProfileDraft"

/**
 * Why a window may not save this, or `undefined`. A config file can make ssh run programs (`ProxyCommand`, `Match
 * exec`), so that choosing one is choosing a program: only what a person has put into the profile file stays.
 */
export const refusedConfig = (
  { sshConfig }: Pick<ProfileDraft, "sshConfig">,
  before?: Pick<Profile, "sshConfig">
): string | undefined =>
  sshConfig === undefined || sshConfig === "none" || sshConfig === before?.sshConfig
    ? undefined
    : "a window cannot choose an ssh config file; edit the profile file, or use opencode-ssh profiles edit --ssh-config"

/** A name for a copy that nobody has: `work 2`, `work 3`, …; at most 200 characters. */
export const copyName = (name: string, taken: ReadonlyArray<string>): string => {
  const stem = name.replace(/ \d{1,6}$/, "").slice(0, 190)
  const numbers = Array.from({ length: taken.length + 1 }, (_, index) => `${stem} ${index + 2}`)
  return numbers.find((candidate) => !taken.includes(candidate)) ?? name
}
