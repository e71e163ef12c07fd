/**
 * Counts in plain numbers what happens with every call, and hands them to prom-client when it is read: its own counters
 * find their place by the text of all labels each time, which costs more than all the counting here.
 */
import type { Counter, Registry } from 'prom-client'
import { METRICS, type MetricName } from './table.ts'

export type Labels = Readonly<Record<string, string>>

/** A number that only grows, and whose it is. */
export type Tally = { readonly labels: Labels; sum: number }

export function createTally(labels: Labels): Tally {
  return { labels, sum: 0 }
}

/** How often a value was at most each of the bounds, as Prometheus keeps a histogram. */
export type Spread = {
  readonly labels: Labels
  observe(value: number): void
  /** The lines of a histogram. */
  values(name: string): Value[]
}

type Value = {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  readonly metricName?: string
}

export function createSpread(bounds: readonly number[], labels: Labels): Spread {
  /** The last one is for what is above all bounds. */
  const counts = new Array<number>(bounds.length + 1).fill(0)
  let sum = 0
  return {
    labels,
    observe(value) {
      let place = 0
      while (place < bounds.length && value > (bounds[place] ?? 0)) place++
      counts[place] = (counts[place] ?? 0) + 1
      sum += value
    },
    values(name) {
      let count = 0
      const buckets = counts.map((n, place) => {
        count += n
        const le = bounds[place] ?? '+Inf'
        return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count }
      })
      return [
        ...buckets,
        { metricName: `${name}_sum`, labels, value: sum },
        { metricName: `${name}_count`, labels, value: count },
      ]
    },
  }
}

/** Makes the registry write a metric whose numbers are kept here. */
export function writeTallies(
  registry: Registry,
  name: MetricName,
  tallies: () => Iterable<Tally>,
): void {
  write(registry, name, () =>
    [...tallies()].map(({ labels, sum }): Value => ({ labels, value: sum })),
  )
}

export function writeSpreads(
  registry: Registry,
  name: MetricName,
  spreads: () => Iterable<Spread>,
): void {
  write(registry, name, () => [...spreads()].flatMap((spread) => spread.values(name)))
}

function write(registry: Registry, name: MetricName, values: () => Value[]): void {
  const { help, type } = METRICS[name]
  const metric = { name, get: async () => ({ name, help, type, values: values() }) }
  // All that a registry asks of a metric when it writes; its types know no other than prom-client's own.
  registry.registerMetric(metric as unknown as Counter)
}
