/** The refusal of a call that would be one too many in flight. Pure. */
import type { Refusal } from '../errors.ts'

/** Calls end all the time. */
export const BUSY_RETRY_AFTER_S = 1

export function atConcurrency(who: 'This key' | 'This upstream', limit: number): Refusal {
  return {
    code: 'concurrency_limit_exceeded',
    message: `${who} may have ${limit} calls in flight at once. Wait for one of them to end.`,
    limit,
    remaining: 0,
    retryAfterS: BUSY_RETRY_AFTER_S,
  }
}
