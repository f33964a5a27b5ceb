/**
 * The environment mark: every process that a test run starts inherits it, so that what is left afterwards can be
 * found, whoever started it and whoever its parent is by then.
 */

/** The variable that holds the mark of one test file (or of one demo, one benchmark). */
export const variable = "OPENCODE_SSH_LAB"

/** The variable that names the machine (one sshd) a remote process runs on. */
export const machineVariable = "OPENCODE_SSH_LAB_MACHINE"

/** A short random word: lower-case letters and digits. */
export const random = (): string => globalThis.crypto.randomUUID().replaceAll("-", "").slice(0, 12)

/** The mark in force; a new one is set when there is none, so that it reaches everything started from here on. */
export const current = (): string => {
  const existing = process.env[variable]
  return existing === undefined || existing === "" ? renew() : existing
}

/** Puts a new mark in force and returns it: a test file begins. */
export const renew = (): string => {
  const mark = random()
  process.env[variable] = mark
  return mark
}

/** This process's environment with the mark, and then `more`; an `undefined` value removes the variable. */
export const environment = (more: Readonly<Record<string, string | undefined>> = {}): Record<string, string> => {
  const merged: Record<string, string | undefined> = { ...process.env, [variable]: current(), ...more }
  const result: Record<string, string> = {}
  for (const [name, value] of Object.entries(merged)) {
    if (value !== undefined) result[name] = value
  }
  return result
}
