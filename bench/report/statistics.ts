/** What is reported of repeated measurements: the middle and the extremes, never a mean. Pure. */

export type Spread = { readonly median: number; readonly min: number; readonly max: number }

export function spread(values: readonly number[]): Spread {
  return { median: quantile(values, 0.5), min: quantile(values, 0), max: quantile(values, 1) }
}

/** Between two neighbours the value is interpolated, so that the median of two is halfway. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const place = (sorted.length - 1) * q
  const below = sorted[Math.floor(place)]
  const above = sorted[Math.ceil(place)]
  if (below === undefined || above === undefined) throw new Error('there is nothing to summarise')
  return below + (above - below) * (place - Math.floor(place))
}

/**
 * Of each round, one value to the other: what slowed the machine down in a round slowed both down. Both were measured in
 * the same rounds, in the same order.
 */
export function ratios(values: readonly number[], references: readonly number[]): number[] {
  return pairs(values, references).map(([value, reference]) => value / reference)
}

export function differences(values: readonly number[], references: readonly number[]): number[] {
  return pairs(values, references).map(([value, reference]) => value - reference)
}

function pairs(a: readonly number[], b: readonly number[]): [number, number][] {
  if (a.length !== b.length) throw new Error('only the same rounds can be compared')
  return a.map((value, i) => [value, b[i] ?? Number.NaN])
}
