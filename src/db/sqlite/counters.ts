/**
 * Reads a key's limits and what they have granted in the period of a given instant. Shared by the ledger, which decides
 * on it inside its transaction, and by the admin API, which shows it.
 */
import type { Database } from 'bun:sqlite'
import type { Unit, WeekStart, Window } from '../../domain/limit.ts'
import { type Balance, remainingOf } from '../../domain/limit.ts'
import type { LimitState } from '../../quota/decide.ts'
import {
  freesAt,
  isSliding,
  type Period,
  periodAt,
  resetsAt,
  slidingHorizon,
  slidingRetryAt,
  windowSeconds,
} from '../../quota/window.ts'

export type LimitRow = {
  id: number
  name: string
  unit: Unit
  amount: number | null
  window: Window
  timezone: string
  week_start: WeekStart
}

type CounterRow = { id: number; used: number; credited: number }
type BucketRow = CounterRow & { start: number }

/** A limit, the period of the instant asked for, and the counter of that period if anything was ever charged to it. */
export type Account = {
  readonly limit: LimitRow
  readonly period: Period
  readonly counterId: number | null
  readonly credited: number
  readonly used: number
  /** Live buckets that count now, oldest first; empty unless the window slides. */
  readonly buckets: readonly BucketRow[]
}

export function createCounters(client: Database) {
  const limitsOf = client.query<LimitRow, [number]>(
    'SELECT id, name, unit, amount, window, timezone, week_start FROM limits WHERE key_seq = ? ORDER BY id',
  )
  const counterOf = client.query<CounterRow, [number, number]>(
    'SELECT id, used, credited FROM counters WHERE limit_id = ? AND period_start = ? AND retired_seq IS NULL',
  )
  const bucketsOf = client.query<BucketRow, [number, number]>(
    'SELECT id, period_start AS start, used, credited FROM counters WHERE limit_id = ? AND period_start > ? AND retired_seq IS NULL ORDER BY period_start',
  )

  function account(limit: LimitRow, at: number): Account {
    const period = periodAt(limit.window, at, limit.timezone, limit.week_start)
    const counter = counterOf.get(limit.id, period.start)
    const counterId = counter?.id ?? null
    if (!isSliding(limit.window)) {
      return {
        limit,
        period,
        counterId,
        used: counter?.used ?? 0,
        credited: counter?.credited ?? 0,
        buckets: [],
      }
    }
    const buckets = bucketsOf.all(limit.id, slidingHorizon(limit.window, at))
    const used = buckets.reduce((sum, bucket) => sum + bucket.used, 0)
    const credited = buckets.reduce((sum, bucket) => sum + bucket.credited, 0)
    return { limit, period, counterId, used, credited, buckets }
  }

  return {
    accounts: (keySeq: number, at: number) =>
      limitsOf.all(keySeq).map((limit) => account(limit, at)),
  }
}

export function balance(account: Account, used = account.used): Balance {
  const { limit, period } = account
  // Taking back more than there is leaves nothing, not less.
  const amount = limit.amount === null ? null : Math.max(0, limit.amount + account.credited)
  return {
    name: limit.name,
    unit: limit.unit,
    window: limit.window,
    amount,
    used,
    remaining: remainingOf(amount, used),
    windowS: windowSeconds(limit.window, period),
    resetsAt: endOf(account),
  }
}

/** A bucket that was moved may count for a little longer than what is charged now. */
function endOf({ limit: { window }, period, buckets }: Account): number | null {
  const end = resetsAt(window, period)
  const newest = buckets.at(-1)
  if (end === null || newest === undefined || !isSliding(window)) return end
  return Math.max(end, freesAt(window, newest.start))
}

/** `held` is how much of each counter belongs to calls in flight. */
export function limitState(account: Account, held: number, at: number): LimitState {
  const { limit, period, buckets } = account
  const state = balance(account)
  return {
    ...state,
    held,
    retryAt(units) {
      if (isSliding(limit.window)) {
        // A credit leaves the window with its bucket, like what was used.
        const net = buckets.map(({ start, used, credited }) => ({ start, used: used - credited }))
        return slidingRetryAt(net, limit.amount ?? 0, units, at, limit.window)
      }
      // Credits end with their period: what does not fit the bare amount will not fit the next one either.
      return limit.amount !== null && units > limit.amount ? null : period.end
    },
  }
}
