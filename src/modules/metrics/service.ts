/**
 * All that Prometheus is told: counts of what happens, kept here, and what is true at the moment of reading. No key, address,
 * path or model is ever a label.
 */
import { Registry } from 'prom-client'
import { type CountedCall, createCallCounts } from './calls.ts'
import { startLag } from './lag.ts'
import { registerState, type StateOptions } from './state.ts'
import { createSpread, createTally, writeSpreads, writeTallies } from './tally.ts'

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
  /** How many keys may have series of their own. */
  readonly keysMax: () => number
}

/** From one call at a time to a crowd. */
const BATCH_BOUNDS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000]

/** From memory to a disk that is asked to wait for its platters, in seconds. */
const COMMIT_BOUNDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1,
]

export function createMetrics({ keysMax, ...state }: MetricsOptions): Metrics {
  const registry = new Registry()
  const calls = createCallCounts(registry, keysMax)
  const batches = createSpread(BATCH_BOUNDS, {})
  const commits = createSpread(COMMIT_BOUNDS, {})
  const errors = createTally({})
  let unbalanced: number | null = null
  writeSpreads(registry, 'quota_proxy_ledger_batch_calls', () => [batches])
  writeSpreads(registry, 'quota_proxy_ledger_commit_seconds', () => [commits])
  writeTallies(registry, 'quota_proxy_store_errors_total', () => [errors])
  registerState(registry, { ...state, unbalanced: () => unbalanced })
  startLag(registry)

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
      for (const { name } of state.circuits()) calls.know(name)
      return { text: await registry.metrics(), contentType: registry.contentType }
    },
  }
}
