/** Every wait of the window, in milliseconds, each with the reason for its value. */

/** How often elapsed times and countdowns are drawn anew while something is under way. */
export const tick = 1000

/** `ssh -G` runs the user's `Match exec`: it is asked when the typing has stopped, not at every key. */
export const effectiveDebounce = 450

/** A stream has ended: how long until it is asked for again. Calls fail at once while the application is gone. */
export const lookAgain = 300

/** How long "Copied" stands on a button. */
export const copied = 1500

/** A notice can be read in this time; errors stay until somebody closes them. */
export const notice = 6000
