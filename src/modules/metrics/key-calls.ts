/** Counts calls by key. Only so many keys have series of their own as the operator has set; the rest are counted together. */
import { type Counter, countersOf, createCounter } from './counter.ts'
import type { Metric } from './exposition.ts'

/** Stands for all keys beyond that number; no id looks like it. */
const OTHER = 'other'

type ByOutcome = Map<string, Counter>

export type KeyCalls = { count(keyId: string, outcome: string): void; readonly metric: Metric }

/** `keysMax` is asked at each call: it may change. */
export function createKeyCalls(keysMax: () => number): KeyCalls {
  const keys = new Map<string, ByOutcome>()
  const others: ByOutcome = new Map()

  function forget(): void {
    keys.clear()
    others.clear()
  }

  function countIn(outcomes: ByOutcome, key: string, outcome: string): void {
    const counter = outcomes.get(outcome) ?? createCounter({ key, outcome })
    if (counter.sum === 0) outcomes.set(outcome, counter)
    counter.sum++
  }

  return {
    count(id, outcome) {
      const max = keysMax()
      // Lowered while the server runs: only a new beginning keeps to it.
      if (keys.size > max) forget()
      if (max === 0) return
      const known = keys.get(id)
      if (known !== undefined) return countIn(known, id, outcome)
      if (keys.size >= max) return countIn(others, OTHER, outcome)
      const made: ByOutcome = new Map()
      keys.set(id, made)
      countIn(made, id, outcome)
    },
    metric: countersOf('quota_proxy_key_calls_total', () =>
      keysMax() === 0 ? [] : [...keys.values(), others].flatMap((one) => [...one.values()]),
    ),
  }
}
