/**
 * Decides whether a claim fits the limits of its key, and if not, which refusal helps the caller
 * most. Pure: the ledger reads the state, this decides, the ledger writes.
 */

import type { Balance, Units } from '../domain/limit.ts'
import type { Refusal } from '../errors.ts'
import { formatInstant } from '../lib/clock.ts'
import { millionths } from '../lib/text/decimal.ts'

/** A limit with what its period holds at the instant of the claim. */
export type LimitState = Balance & {
  /** The part of `used` that belongs to calls in flight and may yet come back. */
  readonly held: number
  /**
   * When this many units may fit again if nothing else is charged, ms; null if waiting cannot help.
   */
  readonly retryAt: (units: number) => number | null
}

/** Null means that every limit has room for `units`. */
export function decide(limits: readonly LimitState[], units: Units, at: number): Refusal | null {
  let worst: { refusal: Refusal; waitMs: number } | null = null
  for (const limit of limits) {
    const refusal = refuse(limit, units[limit.unit], at)
    if (!refusal) continue
    const waitMs = refusal.retryAfterS === undefined ? Infinity : refusal.retryAfterS
    // The longest wait is the honest one: after it, no other limit stands in the way.
    if (!worst || waitMs > worst.waitMs) worst = { refusal, waitMs }
  }
  return worst?.refusal ?? null
}

function refuse(limit: LimitState, n: number, at: number): Refusal | null {
  const { amount, used, unit } = limit
  if (amount === null || used + n <= amount) return null

  const state = { limit: amount, remaining: Math.max(0, amount - used) }
  // Holders read it, and money is counted in millionths.
  const [shown, what] = unit === 'cost' ? [millionths, 'in money'] : [String, unit]
  const retryAt = limit.retryAt(n)
  if (amount > 0 && n > amount && retryAt === null) {
    return {
      code: 'cost_exceeds_quota',
      message: `This call needs ${shown(n)} ${what}, which is more than the whole quota of ${shown(amount)}. Ask for less, or for a larger quota.`,
      ...state,
    }
  }
  if (used - limit.held + n <= amount) {
    return {
      code: 'quota_reserved',
      message: `The rest of the quota is held by calls in flight. Try again when they have ended.`,
      ...state,
      retryAfterS: 1,
    }
  }

  const spent = `Quota exhausted: ${shown(Math.min(used, amount))} of ${shown(amount)} ${what} used.`
  if (retryAt === null) {
    return {
      code: 'insufficient_quota',
      message: `${spent} It does not refill; ask for a larger quota.`,
      ...state,
    }
  }
  const resetsAt = formatInstant(retryAt)
  return {
    code:
      limit.windowS !== null && limit.windowS <= 3600
        ? 'rate_limit_exceeded'
        : 'insufficient_quota',
    message: `${spent} Resets ${resetsAt}.`,
    ...state,
    resetsAt,
    retryAfterS: Math.max(1, Math.ceil((retryAt - at) / 1000)),
  }
}
