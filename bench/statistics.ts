/** Figures over several runs. Medians and paired ratios are quoted: machines are noisy. */

const sorted = (values: ReadonlyArray<number>) => [...values].sort((a, b) => a - b)

export const median = (values: ReadonlyArray<number>): number => {
  const all = sorted(values)
  const middle = Math.floor(all.length / 2)
  const [low = Number.NaN, high = Number.NaN] = all.length % 2 === 1
    ? [all[middle], all[middle]]
    : [all[middle - 1], all[middle]]
  return (low + high) / 2
}

/** `min / median / max`, in the unit of the values. */
export const spread = (values: ReadonlyArray<number>): string => {
  const all = sorted(values)
  return [all[0], median(all), all.at(-1)].map((value) => (value ?? Number.NaN).toFixed(1)).join(" / ")
}

/** The median of the ratios of runs that were made one after the other. */
export const pairedRatio = (ours: ReadonlyArray<number>, theirs: ReadonlyArray<number>): number =>
  median(ours.map((value, index) => value / (theirs[index] ?? Number.NaN)))
