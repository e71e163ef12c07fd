/**
 * Limits how often a key may ask about itself: generously enough for people and for pages that
 * refresh themselves. A key that asks without end is refused before anything is read for it. Calls
 * do not count.
 */
import type { Authenticate } from './holder.ts'

/** Questions in a minute, and as many at once after a quiet minute. */
export const ASKED_MAX = 60
const MINUTE_MS = 60_000

/**
 * How many keys are remembered. Beyond that the limiter forgets the key that asked longest ago,
 * which only makes the limit milder for it.
 */
const KEYS_MAX = 10_000

/** `nowMs` is a clock that never goes back. */
export function limitRate(authenticate: Authenticate, nowMs: () => number): Authenticate {
  /** How many questions each key had left, and when. */
  const buckets = new Map<number, { left: number; at: number }>()

  /** Takes one question. Returns 0, or the seconds until the key may ask again. */
  function take(keySeq: number): number {
    const at = nowMs()
    const before = buckets.get(keySeq) ?? { left: ASKED_MAX, at }
    const refilled = before.left + ((at - before.at) * ASKED_MAX) / MINUTE_MS
    const left = Math.min(ASKED_MAX, refilled)
    const may = left >= 1
    buckets.delete(keySeq)
    buckets.set(keySeq, { left: may ? left - 1 : left, at })
    const oldest = buckets.keys().next().value
    if (buckets.size > KEYS_MAX && oldest !== undefined) buckets.delete(oldest)
    return may ? 0 : Math.ceil(((1 - left) * MINUTE_MS) / ASKED_MAX / 1000)
  }

  return async (headers) => {
    const caller = await authenticate(headers)
    if (!caller.ok) return caller
    const retryAfterS = take(caller.key.seq)
    if (retryAfterS === 0) return caller
    const message = `A key may ask about itself ${ASKED_MAX} times a minute. Nothing was charged; ask again in a moment.`
    const details = { limit: ASKED_MAX, remaining: 0, retryAfterS }
    return { ok: false, refusal: { code: 'rate_limit_exceeded', message, ...details } }
  }
}
