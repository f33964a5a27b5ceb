/** Set-up speaks on stderr: stdout belongs to what it sets up for. */
export const say = (text) => {
  process.stderr.write(`set-up: ${text}\n`)
}

/** Says what is missing and what to do about it, and ends with exit code 1. */
export const fail = (problem, remedy) => {
  process.stderr.write(`\nset-up: ${problem}\n${remedy === undefined ? "" : `${remedy}\n`}`)
  process.exit(1)
}
