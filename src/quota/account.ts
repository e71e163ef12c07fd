/**
 * A limit with what it has granted in the period of an instant. Engines read accounts; the ledger decides by them, and the
 * API shows them. Pure.
 */
import type { NamedLimit } from '../domain/key.ts'
import { type Balance, remainingOf } from '../domain/limit.ts'
import type { LimitState } from './decide.ts'
import {
  freesAt,
  isSliding,
  type Period,
  resetsAt,
  slidingRetryAt,
  windowSeconds,
} from './window.ts'

/** `id` is the store's. */
export type Limit = Readonly<NamedLimit> & { readonly id: number }

/** A counter of a sliding window: one of the parts that count together. */
export type Bucket = {
  readonly id: number
  readonly start: number
  readonly used: number
  readonly credited: number
}

export type Account = {
  readonly limit: Limit
  /** The one that the instant asked for is in. */
  readonly period: Period
  /** The counter of the period; null if nothing was ever charged or credited to it. */
  readonly counterId: number | null
  readonly credited: number
  readonly used: number
  /** Live buckets that count now, oldest first; empty unless the window slides. */
  readonly buckets: readonly Bucket[]
}

/** The account of a limit whose window slides: what its live buckets hold together. */
export function slidingAccount(
  limit: Limit,
  period: Period,
  counterId: number | null,
  buckets: readonly Bucket[],
): Account {
  let used = 0
  let credited = 0
  for (const bucket of buckets) {
    used += bucket.used
    credited += bucket.credited
  }
  return { limit, period, counterId, used, credited, buckets }
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

/** `heldBy` says how much of a counter belongs to calls in flight. */
export function limitState(
  account: Account,
  heldBy: (counterId: number) => number,
  at: number,
): LimitState {
  const { limit, period, buckets } = account
  const state = balance(account)
  return {
    ...state,
    held: heldOf(account, heldBy),
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

function heldOf({ counterId, buckets }: Account, heldBy: (counterId: number) => number): number {
  if (buckets.length === 0) return counterId === null ? 0 : heldBy(counterId)
  let units = 0
  for (const bucket of buckets) units += heldBy(bucket.id)
  return units
}
