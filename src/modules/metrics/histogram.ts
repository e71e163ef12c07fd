/** How often a value was at most each of some bounds, as Prometheus keeps a histogram, in plain numbers. */
import type { Labels, Metric, Sample } from './exposition.ts'
import type { MetricName } from './table.ts'

export type Histogram = {
  observe(value: number): void
  read(): readonly Sample[]
}

/** `bounds` ascend. */
export function createHistogram(bounds: readonly number[], labels: Labels): Histogram {
  /** The last one is for what is above all bounds. */
  const counts = new Float64Array(bounds.length + 1)
  let sum = 0
  return {
    observe(value) {
      // Halves the range each time: four comparisons find one of fifteen buckets.
      let low = 0
      let high = bounds.length
      while (low < high) {
        const middle = (low + high) >> 1
        if (value > (bounds[middle] as number)) low = middle + 1
        else high = middle
      }
      ;(counts[low] as number)++
      sum += value
    },
    read() {
      let count = 0
      const buckets = Array.from(counts, (n, at): Sample => {
        count += n
        return { suffix: '_bucket', labels: { ...labels, le: bounds[at] ?? '+Inf' }, value: count }
      })
      return [
        ...buckets,
        { suffix: '_sum', labels, value: sum },
        { suffix: '_count', labels, value: count },
      ]
    },
  }
}

export function histogramsOf(name: MetricName, histograms: () => readonly Histogram[]): Metric {
  return { name, read: () => histograms().flatMap((one) => one.read()) }
}
