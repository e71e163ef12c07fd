/** A value that is read when somebody asks. Null leaves its line out. */
import type { Labels, Metric } from './exposition.ts'
import type { MetricName } from './table.ts'

type Reading = number | null

export function gauge(
  name: MetricName,
  read: () => Reading | Promise<Reading>,
  labels: Labels = {},
): Metric {
  return {
    name,
    async read() {
      const value = await read()
      return value === null ? [] : [{ labels, value }]
    },
  }
}
