/** A key as its holder is shown it. */

import type { KeyRecord, LimitView } from '../../domain/key.ts'
import { formatInstant } from '../../lib/clock.ts'
import { show } from '../keys/show.ts'

export function showOwn(record: KeyRecord, at: number) {
  const { id, hint, name, status, expires_at, concurrency, created_at, last_used_at, ...rest } =
    show(record, at)
  const { upstreams, methods, paths, models, ip_allow } = rest
  return {
    id, hint, name, status, expires_at,
    limits: record.limits.map(showLimit),
    concurrency, upstreams, methods, paths, models, ip_allow, created_at, last_used_at,
  } // biome-ignore format: as the schema
}

/** With the credits of the present period, as `X-Quota-Limit` has it; null is unlimited. */
export function presentAmount({ amount, credited }: LimitView): number | null {
  // Taking back more than there is leaves nothing, not less.
  return amount === null ? null : Math.max(0, amount + credited)
}

function showLimit(limit: LimitView) {
  const { name, unit, window, used, remaining, resetsAt } = limit
  const resets_at = resetsAt === null ? null : formatInstant(resetsAt)
  return { name, unit, window, amount: presentAmount(limit), used, remaining, resets_at }
}
