/** A number that only grows, and its labels. Whoever counts adds to `sum`: that costs a call next to nothing. */
import type { Labels, Metric } from './exposition.ts'
import type { MetricName } from './table.ts'

export type Counter = { readonly labels: Labels; sum: number }

export function createCounter(labels: Labels): Counter {
  return { labels, sum: 0 }
}

export function countersOf(name: MetricName, counters: () => readonly Counter[]): Metric {
  return { name, read: () => counters().map(({ labels, sum }) => ({ labels, value: sum })) }
}
