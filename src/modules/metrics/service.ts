/**
 * All that Prometheus is told: counts of what happens, kept here, and what is true at the moment of reading. No key, address,
 * path or model is ever a label.
 */
import { type CountedCall, createCallCounts } from './calls.ts'
import { countersOf, createCounter } from './counter.ts'
import { CONTENT_TYPE, type Metric, writeExposition } from './exposition.ts'
import { createHistogram, histogramsOf } from './histogram.ts'
import { watchLag } from './lag.ts'
import { processMetrics } from './process.ts'
import { type StateOptions, stateMetrics } from './state.ts'

export type Metrics = {
  /** A call has ended. */
  count(call: CountedCall): void
  /** The ledger has written a transaction. */
  committed(jobs: number, ms: number): void
  /** The store has failed. */
  failed(): void
  /** Somebody has examined the books, and found that this many counters do not balance. */
  noteUnbalanced(counters: number): void
  /** In the text format of Prometheus. */
  read(): Promise<{ readonly text: string; readonly contentType: string }>
}

export type MetricsOptions = Omit<StateOptions, 'unbalanced'> & {
  /** The names of all upstreams that there are, disabled ones too. */
  readonly upstreams: () => readonly string[]
  /** How many keys may have series of their own. */
  readonly keysMax: () => number
}

/** From one call at a time to a crowd. */
const BATCH_BOUNDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000]

/** From memory to a disk that is asked to wait for its platters, in seconds. */
const COMMIT_BOUNDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1,
]

export function createMetrics({ keysMax, upstreams, ...state }: MetricsOptions): Metrics {
  const calls = createCallCounts(keysMax)
  const batches = createHistogram(BATCH_BOUNDS, {})
  const commits = createHistogram(COMMIT_BOUNDS, {})
  const errors = createCounter({})
  let unbalanced: number | null = null
  const metrics: readonly Metric[] = [
    ...calls.metrics,
    histogramsOf('quota_proxy_ledger_batch_calls', () => [batches]),
    histogramsOf('quota_proxy_ledger_commit_seconds', () => [commits]),
    countersOf('quota_proxy_store_errors_total', () => [errors]),
    ...stateMetrics({ ...state, unbalanced: () => unbalanced }),
    ...processMetrics(),
    watchLag(),
  ]

  return {
    count: calls.count,
    committed(jobs, ms) {
      batches.observe(jobs)
      commits.observe(ms / 1000)
    },
    failed() {
      errors.sum++
    },
    noteUnbalanced(counters) {
      unbalanced = counters
    },
    async read() {
      calls.keepOnly(upstreams())
      for (const { name } of state.circuits()) calls.know(name)
      return { text: await writeExposition(metrics), contentType: CONTENT_TYPE }
    },
  }
}
